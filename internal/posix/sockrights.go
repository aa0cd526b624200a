package posix

import (
	"encoding/binary"
	"sync"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	unixsock "github.com/hati-os/hati/internal/servers/unix"
	"golang.org/x/sys/unix"
)

// Open files and credentials that messages take along, as unix(7) has them.

// flyingRefs counts the open files in messages that nobody has received, by the
// user who sent them: a process could hide any number of them there.
type flyingRefs struct {
	mu       sync.Mutex // a leaf
	byUser   map[uint32]int
	dropped  []*Description // sockets whose references are to be given up
	dropping bool           // somebody is at it
}

// add counts n more; false when the user has more than limit already.
func (f *flyingRefs) add(uid uint32, n int, limit uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if uint64(f.byUser[uid]) > limit {
		return false
	}
	if f.byUser == nil {
		f.byUser = map[uint32]int{}
	}
	f.byUser[uid] += n
	return true
}

func (f *flyingRefs) remove(uid uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byUser[uid]--; f.byUser[uid] == 0 {
		delete(f.byUser, uid)
	}
}

// drop gives up the reference to a socket. Closing it may drop those in its own
// messages: they are done one after the other, however deep they are nested.
func (f *flyingRefs) drop(d *Description) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dropped = append(f.dropped, d)
	if f.dropping {
		return
	}
	f.dropping = true
	for n := len(f.dropped); n > 0; n = len(f.dropped) {
		d := f.dropped[n-1]
		f.dropped = f.dropped[:n-1]
		f.mu.Unlock()
		d.release()
		f.mu.Lock()
	}
	f.dropped, f.dropping = nil, false
}

// right is a reference to a description in a message.
type right struct {
	d       *Description
	in      *flyingRefs
	uid     uint32
	counted bool
}

// socketRight is that to a socket's.
type socketRight struct{ right }

// newRight takes over a reference to r.d.
func newRight(r right) unixsock.Ref {
	if r.d.sock != nil {
		return socketRight{r}
	}
	return r
}

func (r right) Dup() unixsock.Ref { return newRight(right{d: r.d.ref(), in: r.in}) }
func (r right) Release()          { r.take().release() }

// take ends the flight: the reference is the caller's.
func (r right) take() *Description {
	if r.counted {
		r.in.remove(r.uid)
	}
	return r.d
}

func (r socketRight) Release() { r.in.drop(r.take()) }

func (r socketRight) Socket() *unixsock.Socket { return r.d.sock.Socket }
func (r socketRight) Refs() int                { return int(r.d.refs.Load()) }

// takeRight returns the description behind a reference that was received.
func takeRight(r unixsock.Ref) *Description {
	if s, ok := r.(socketRight); ok {
		return s.take()
	}
	return r.(right).take()
}

func releaseRights(refs []unixsock.Ref) {
	for _, r := range refs {
		r.Release()
	}
}

// control is what a message's control data says.
type control struct {
	refs []unixsock.Ref
	cred *unixsock.Cred
}

// copyInControl reads n bytes of control data. The references are the caller's,
// who lets them go if they are not sent.
func (t *Task) copyInControl(at, n uint64) (c control, err error) {
	if n < abi.SizeCmsghdr {
		return c, nil
	}
	if n > controlMax {
		return c, syscall.ENOBUFS
	}
	b := make([]byte, n)
	if err := t.copyIn(at, b); err != nil {
		return c, err
	}
	defer func() {
		if err != nil {
			releaseRights(c.refs)
			c.refs = nil
		}
	}()
	for {
		h, data, rest, more, valid := abi.NextCmsg(b)
		if !more {
			break
		}
		if !valid {
			return c, syscall.EINVAL
		}
		b = rest
		if h.Level != unix.SOL_SOCKET {
			continue
		}
		switch h.Type {
		case unix.SCM_RIGHTS:
			err = t.gatherRights(&c, data)
		case unix.SCM_CREDENTIALS:
			err = t.statedCred(&c, data)
		default:
			err = syscall.EINVAL
		}
		if err != nil {
			return c, err
		}
	}
	uid := t.creds.Load().UID
	if len(c.refs) > 0 && !t.k.flying.add(uid, len(c.refs), t.flightLimit()) {
		return c, syscall.ETOOMANYREFS
	}
	for i, r := range c.refs {
		c.refs[i] = newRight(right{d: takeRight(r), in: &t.k.flying, uid: uid, counted: true})
	}
	return c, nil
}

func (t *Task) flightLimit() uint64 {
	if t.capable(unix.CAP_SYS_RESOURCE) || t.capable(unix.CAP_SYS_ADMIN) {
		return 1 << 30
	}
	return t.proc.limit(unix.RLIMIT_NOFILE)
}

// gatherRights adds the descriptors of an SCM_RIGHTS.
func (t *Task) gatherRights(c *control, data []byte) error {
	if len(data)/4+len(c.refs) > unixsock.MaxRefs {
		return syscall.EINVAL
	}
	for ; len(data) >= 4; data = data[4:] {
		d, err := t.fds.getAny(int(int32(binary.LittleEndian.Uint32(data))))
		if err != nil {
			return err
		}
		c.refs = append(c.refs, newRight(right{d: d, in: &t.k.flying}))
	}
	return nil
}

// statedCred checks an SCM_CREDENTIALS: ids of one's own, or the privilege to
// say others.
func (t *Task) statedCred(c *control, data []byte) error {
	if len(data) != abi.SizeUcred {
		return syscall.EINVAL
	}
	var u abi.Ucred
	u.Decode(data)
	me := t.creds.Load()
	switch {
	case int(u.PID) != t.proc.pid && !me.capable(unix.CAP_SYS_ADMIN),
		u.UID != me.UID && u.UID != me.EUID && u.UID != me.SUID && !me.capable(unix.CAP_SETUID),
		u.GID != me.GID && u.GID != me.EGID && u.GID != me.SGID && !me.capable(unix.CAP_SETGID):
		return syscall.EPERM
	}
	if int(u.PID) != t.proc.pid {
		t.k.mu.Lock()
		found := t.k.pidInUse(int(u.PID))
		t.k.mu.Unlock()
		if !found {
			return syscall.ESRCH
		}
	}
	c.cred = &unixsock.Cred{PID: u.PID, UID: u.UID, GID: u.GID}
	return nil
}

// copyOutControl stores what came with a message at at, at most limit bytes,
// and returns how many that were and MSG_CTRUNC if it did not fit. The
// references are given descriptors, or up.
func (t *Task) copyOutControl(got *unixsock.Received, at, limit uint64, cloexec bool) (n int, flags int, err error) {
	if at == 0 {
		limit = 0
	}
	room := int(min(limit, 1<<20))
	var b []byte
	add := func(typ int32, data []byte) {
		var ok bool
		if b, ok = abi.AppendCmsg(b, room, unix.SOL_SOCKET, typ, data); !ok {
			flags |= unix.MSG_CTRUNC
		}
	}
	if got.HasCred {
		var u [abi.SizeUcred]byte
		abi.Ucred{PID: got.Cred.PID, UID: got.Cred.UID, GID: got.Cred.GID}.Encode(u[:])
		add(unix.SCM_CREDENTIALS, u[:])
	}
	var fds []int
	if len(got.Refs) > 0 {
		fds = t.reserveForRights(len(got.Refs), (room-len(b)-abi.SizeCmsghdr)/4, cloexec)
		if len(fds) < len(got.Refs) {
			flags |= unix.MSG_CTRUNC
		}
		if len(fds) > 0 {
			data := make([]byte, 4*len(fds))
			for i, fd := range fds {
				binary.LittleEndian.PutUint32(data[4*i:], uint32(fd))
			}
			add(unix.SCM_RIGHTS, data)
		}
	}
	pidfd := -1
	if got.HasPIDFD && got.Cred.PID != 0 {
		if room-len(b) < abi.CmsgLen(4) {
			flags |= unix.MSG_CTRUNC
		} else {
			var v [4]byte
			pidfd, err = t.senderPidfd(got.Cred.PID)
			binary.LittleEndian.PutUint32(v[:], uint32(pidfd))
			if err != nil {
				binary.LittleEndian.PutUint32(v[:], -uint32(errnoOf(err)))
			}
			add(unix.SCM_PIDFD, v[:])
		}
	}
	if err = nil; len(b) > 0 {
		err = t.copyOut(at, b)
	}
	for i, r := range got.Refs {
		switch {
		case i >= len(fds):
			r.Release()
		case err != nil:
			t.fds.unreserve(fds[i])
			r.Release()
		default:
			t.fds.install(fds[i], takeRight(r))
		}
	}
	got.Refs = nil
	if err != nil && pidfd >= 0 {
		t.closeFD(pidfd)
	}
	return len(b), flags, err
}

// reserveForRights takes numbers for n descriptors, or as many as there is room
// for and the limit allows.
func (t *Task) reserveForRights(n, room int, cloexec bool) []int {
	fds := make([]int, 0, n)
	for range min(n, room) {
		fd, err := t.reserveFD(cloexec)
		if err != nil {
			break
		}
		fds = append(fds, fd)
	}
	return fds
}

// senderPidfd opens a descriptor for the process that sent a message.
func (t *Task) senderPidfd(pid int32) (int, error) {
	t.k.mu.Lock()
	p := t.k.processes[int(pid)]
	t.k.mu.Unlock()
	if p == nil {
		return -1, syscall.ESRCH
	}
	return t.installPidfd(p, unix.O_CLOEXEC)
}
