package lane

import (
	"testing"

	"golang.org/x/sys/unix"
)

// What a receiver gets it cannot use for more than was given, whatever it does with
// the descriptor, and whatever rights the message claims.
func TestRightsCannotBeWidened(t *testing.T) {
	const readable = RightRead | RightMap | RightPass
	memory := func(t *testing.T, prepare func(m *Memory) error) Object {
		m, err := NewMemory(pageSize)
		if err != nil {
			t.Fatal(err)
		}
		if err := prepare(m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	for name, tc := range map[string]struct {
		make        func(t *testing.T) Object
		read, write bool // as the kernel has it
	}{
		"memory, all":  {func(t *testing.T) Object { return memory(t, func(*Memory) error { return nil }) }, true, true},
		"memory, read": {func(t *testing.T) Object { return memory(t, func(m *Memory) error { return m.Reduce(readable) }) }, true, false},
		"memory, write": {func(t *testing.T) Object {
			return memory(t, func(m *Memory) error { return m.Reduce(RightWrite | RightPass) })
		}, false, true},
		"memory, sealed": {func(t *testing.T) Object { return memory(t, (*Memory).Seal) }, true, false},
		"memory, ours": {func(t *testing.T) Object {
			return memory(t, func(m *Memory) error { _, err := m.SealOthers(); return err })
		}, true, false},
		"event, all":  {func(*testing.T) Object { return NewEvent(Bitset) }, true, true},
		"event, read": {func(*testing.T) Object { return NewEvent(Bitset).Reduce(RightRead | RightPass) }, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := tc.make(t).export()
			if err != nil {
				t.Fatal(err)
			}
			fd := e.fds[0]
			_, readErr := unix.Pread(fd, make([]byte, 1), 0)
			_, writeErr := unix.Pwrite(fd, []byte{0}, 100)
			if (readErr == nil) != tc.read || (writeErr == nil) != tc.write {
				t.Errorf("read: %v, write: %v", readErr, writeErr)
			}
			for prot, may := range map[int]bool{unix.PROT_READ: tc.read, unix.PROT_READ | unix.PROT_WRITE: tc.read && tc.write} {
				b, err := unix.Mmap(fd, 0, pageSize, prot, unix.MAP_SHARED)
				if (err == nil) != may {
					t.Errorf("map with %d: %v", prot, err)
				}
				if err != nil {
					continue
				}
				if !tc.write && unix.Mprotect(b, unix.PROT_READ|unix.PROT_WRITE) == nil {
					t.Error("a mapping became writable")
				}
				unix.Munmap(b)
			}
			if !tc.write { // sealing is a change, too
				if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); err != unix.EPERM {
					t.Errorf("sealed by its receiver: %v", err)
				}
			}
			claimed := e
			claimed.rights = AllRights
			o, err := importObject(claimed)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			if r := o.Rights(); (r&RightWrite != 0) != tc.write || (r&RightRead != 0) != tc.read {
				t.Errorf("rights %v", r)
			}
		})
	}
}

// Credentials are the kernel's: what a client says of itself is not heard, and it
// cannot say it for another without the privilege.
func TestCredentialsCannotBeForged(t *testing.T) {
	h := newHostile(t)
	before, ok := h.good.Peer()
	if !ok {
		t.Fatal("unknown peer")
	}
	forged := unix.UnixCredentials(&unix.Ucred{Pid: 1, Uid: 12345, Gid: 12345})
	err := unix.Sendmsg(h.evil.sock, []byte{msgHello}, forged, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if unix.Geteuid() != 0 && err != unix.EPERM {
		t.Errorf("sent as another: %v", err)
	}
	if after, _ := h.good.Peer(); after != before {
		t.Errorf("%v became %v", before, after)
	}
}
