package posix

import (
	"sync"
	"syscall"

	"github.com/hati-os/hati/internal/machine"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Anonymous memory is the stub's business: most of these calls reach the server
// only in the forms that concern a file.
var memoryCalls = calls{
	unix.SYS_MMAP: {fn: sysMmap},
	unix.SYS_BRK:  {fn: sysBrk},
}

// Memory is an address space, as its threads and vfork children share it.
type Memory struct {
	space *machine.Space

	mu                   sync.Mutex
	users                int
	leaving              int // threads that are ending, no users any more
	brkStart, brk        uint64
	argStart, argEnd     uint64
	envStart, envEnd     uint64
	stackStart, stackEnd uint64
	auxv                 []byte
	// names are the guest's names of mapped host objects, by host device and
	// inode: what the host's /proc/pid/maps shows is translated with them.
	names map[hostObject]string
	// attached are the segments of shared memory, by address (shm.go).
	attached map[uint64]*shmSegment
	// stores are the shared maps whose servers hear what is stored (stores.go).
	stores []storesMap
}

type hostObject struct{ dev, ino uint64 }

func newMemory(s *machine.Space) *Memory {
	return &Memory{space: s, users: 1, names: map[hostObject]string{}}
}

// share adds a user.
func (m *Memory) share() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.users++
	return m
}

// fork describes the copy that the host has made of the address space.
func (m *Memory) fork(s *machine.Space) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := newMemory(s)
	n.brkStart, n.brk = m.brkStart, m.brk
	n.argStart, n.argEnd, n.envStart, n.envEnd = m.argStart, m.argEnd, m.envStart, m.envEnd
	n.stackStart, n.stackEnd, n.auxv = m.stackStart, m.stackEnd, m.auxv
	for k, v := range m.names {
		n.names[k] = v
	}
	return n
}

// drop ends t's use of the memory, and with it t's host thread; the last user
// takes the host process along.
func (m *Memory) drop(t *Task) {
	t.k.mu.Lock()
	killed := t.proc.exit.status == int32(unix.SIGKILL)
	t.k.mu.Unlock()
	m.end(t.k, t.thread, killed)
}

func (m *Memory) release(k *Kernel, th *machine.Thread) { m.end(k, th, false) }

// over reports whether nobody uses the memory any more, so that its process ends.
func (m *Memory) over() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.users == 0
}

func (m *Memory) end(k *Kernel, th *machine.Thread, killed bool) {
	m.mu.Lock()
	m.users--
	last := m.users == 0
	m.leaving++
	m.mu.Unlock()
	if last {
		m.detachAll(k)
		m.space.Kill()
		m.leaveStores(killed)
	} else {
		th.Exit()
	}
	m.mu.Lock()
	m.leaving--
	left := m.users == 0 && m.leaving == 0 // the slots go with the space
	m.mu.Unlock()
	if left {
		k.alive.Add(1)
		m.space.FreeThen(k.alive.Done)
	}
}

func sysMmap(t *Task, a *Args) (uint64, error) {
	addr, length, prot, flags, off := a[0], a[1], a[2], a[3], a[5]
	if flags&unix.MAP_ANONYMOUS != 0 {
		return mapOver(t, a)
	}
	if off%4096 != 0 || length == 0 {
		return 0, syscall.EINVAL
	}
	d, err := t.fds.get(a.Int(4))
	if err != nil {
		return 0, err
	}
	defer d.release()
	shared := false
	switch flags & unix.MAP_TYPE {
	case unix.MAP_SHARED, unix.MAP_SHARED_VALIDATE:
		shared = true
	case unix.MAP_PRIVATE:
	default:
		return 0, syscall.EINVAL
	}
	access := d.accessMode()
	if access == unix.O_WRONLY || shared && prot&unix.PROT_WRITE != 0 && access != unix.O_RDWR {
		return 0, syscall.EACCES
	}
	return t.mapFile(d.file, d.path, mapRequest{
		addr: addr, length: length, prot: prot, flags: flags, off: off,
		shared: shared, writable: access == unix.O_RDWR, d: d,
	})
}

type mapRequest struct {
	addr, length, prot, flags, off uint64
	shared                         bool
	writable                       bool         // the descriptor could write: mprotect may ask later
	d                              *Description // what is mapped; nil for what has no descriptor
}

// mapFile maps a file into the task's memory.
func (t *Task) mapFile(f vfs.File, path Path, r mapRequest) (uint64, error) {
	mp, ok := f.(vfs.Mapper)
	if !ok {
		return t.mapCopy(f, r)
	}
	prot := int(r.prot)
	if r.shared && r.writable {
		prot |= unix.PROT_WRITE
	}
	m, err := mp.Map(t.context(), prot, r.shared)
	if err == syscall.ENODEV {
		return t.mapCopy(f, r)
	}
	if err != nil {
		return 0, err
	}
	if m.Release != nil {
		defer m.Release()
	}
	var st unix.Stat_t
	if err := unix.Fstat(m.FD, &st); err == nil {
		t.mem.setName(hostObject{st.Dev, st.Ino}, path.String())
	}
	if m.Stores != nil {
		if r.d == nil {
			m.Stores.Close()
			return 0, syscall.ENODEV
		}
		t.mem.watchStores()
	}
	c := []machine.Call{{NR: unix.SYS_MMAP, Args: [6]uint64{
		r.addr, r.length, r.prot, r.flags, machine.GuestFD, r.off + uint64(m.Offset)}}}
	err = t.thread.DoWithFDs(machine.WithFD{FD: m.FD, Calls: c})
	var at uint64
	if err == nil {
		at, err = hostResult(c[0].Ret)
	}
	if err == nil && r.flags&unix.MAP_FIXED != 0 {
		endStores(t.context(), t.mem.cutStores(at, at+pageUp(r.length)))
	}
	if m.Stores != nil {
		if err != nil {
			m.Stores.Close()
			return 0, err
		}
		t.mem.addStores(at, r.length, int64(r.off), m.Stores, r.d)
	}
	return at, err
}

// hostResult splits what a host call returned.
func hostResult(r int64) (uint64, error) {
	if r < 0 && r > -4096 {
		return 0, syscall.Errno(-r)
	}
	return uint64(r), nil
}

func (m *Memory) setName(o hostObject, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.names[o] = name
}

// mapCopy maps a file whose server has no host object: a private map is filled
// with the file's bytes. A shared one that can be written cannot be had.
func (t *Task) mapCopy(f vfs.File, r mapRequest) (uint64, error) {
	if r.shared && r.writable {
		t.k.miss(t, "writable shared mapping of a file whose server cannot map")
		return 0, syscall.ENODEV
	}
	if _, ok := f.(vfs.Reader); !ok || vfs.IsStream(f) {
		return 0, syscall.ENODEV
	}
	flags := r.flags&^uint64(unix.MAP_TYPE) | unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	at, err := t.thread.Do1(unix.SYS_MMAP, r.addr, r.length, unix.PROT_READ|unix.PROT_WRITE, flags, ^uint64(0), 0)
	if err != nil {
		return 0, err
	}
	buf := t.buffer(128 << 10)
	for done := uint64(0); done < r.length; {
		n, err := vfs.Read(t.context(), f, buf[:min(uint64(len(buf)), r.length-done)], int64(r.off+done))
		if err != nil {
			t.thread.Do1(unix.SYS_MUNMAP, at, r.length)
			return 0, err
		}
		if n == 0 {
			break
		}
		if err := t.copyOut(at+done, buf[:n]); err != nil {
			return 0, err
		}
		done += uint64(n)
	}
	if r.prot != unix.PROT_READ|unix.PROT_WRITE {
		if _, err := t.thread.Do1(unix.SYS_MPROTECT, at, r.length, r.prot); err != nil {
			return 0, err
		}
	}
	return at, nil
}

func sysBrk(t *Task, a *Args) (uint64, error) {
	m, want := t.mem, a[0]
	m.mu.Lock()
	defer m.mu.Unlock()
	if want < m.brkStart || want-m.brkStart > t.proc.limit(unix.RLIMIT_DATA) {
		return m.brk, nil
	}
	have, need := pageUp(m.brk), pageUp(want)
	var err error
	switch {
	case need > have:
		var at uint64
		at, err = t.thread.Do1(unix.SYS_MMAP, have, need-have, unix.PROT_READ|unix.PROT_WRITE,
			unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED_NOREPLACE, ^uint64(0), 0)
		if err == nil && at != have {
			// A host kernel that does not know the flag put it elsewhere.
			t.thread.Do1(unix.SYS_MUNMAP, at, need-have)
			err = syscall.ENOMEM
		}
	case need < have:
		_, err = t.thread.Do1(unix.SYS_MUNMAP, need, have-need)
	}
	if err == nil {
		m.brk = want
	}
	return m.brk, nil
}

func pageUp(x uint64) uint64   { return (x + 4095) &^ 4095 }
func pageDown(x uint64) uint64 { return x &^ 4095 }

// shared reports whether others use the memory, too.
func (m *Memory) shared() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.users > 1
}
