package posix

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// maxFDs bounds every table, whatever RLIMIT_NOFILE says (fs.nr_open).
const maxFDs = 1 << 20

// FDTable is what CLONE_FILES shares: descriptors by number. Looking one up
// takes no lock.
type FDTable struct {
	k  *Kernel
	id uint64 // owner of record locks

	slots  atomic.Pointer[[]atomic.Pointer[Description]]
	grants atomic.Pointer[grants] // what its users' process does by itself, or nil

	mu      sync.Mutex // guards the rest, and changes of slots
	users   int
	used    []uint64 // bit i: i is taken, though perhaps not installed yet
	cloexec []uint64
	low     int // no number below is free
}

// NewFDTable returns an empty table with one user.
func (k *Kernel) NewFDTable() *FDTable {
	t := &FDTable{k: k, id: lastOwner.Add(1), users: 1}
	t.slots.Store(new([]atomic.Pointer[Description]))
	return t
}

// Set makes fd an open file description of f with open(2)'s flags, O_CLOEXEC
// among them. name is what /proc shows for it, "" for what that kind of file
// usually has. It is for tables that no task has yet. The file is closed when it
// fails.
func (t *FDTable) Set(fd int, f vfs.File, flags int, name string) error {
	if name == "" {
		name = nameless(f)
	}
	d := newDescription(f, anonymous(f.Node(), name), flags)
	old, err := t.replace(fd, d, flags&unix.O_CLOEXEC != 0, maxFDs)
	if err != nil {
		d.release()
		return err
	}
	if old != nil {
		old.release()
	}
	return nil
}

// get returns the description behind fd, with a reference, or EBADF; also for a
// descriptor made with O_PATH, which is good for names only.
func (t *FDTable) get(fd int) (*Description, error) {
	d, err := t.getAny(fd)
	if err == nil && d.isPath {
		d.release()
		return nil, syscall.EBADF
	}
	return d, err
}

// getAny is get for the calls that take a descriptor made with O_PATH.
func (t *FDTable) getAny(fd int) (*Description, error) {
	for {
		s := *t.slots.Load()
		if uint(fd) >= uint(len(s)) {
			return nil, syscall.EBADF
		}
		d := s[fd].Load()
		if d == nil {
			return nil, syscall.EBADF
		}
		if d.tryRef() {
			return d, nil
		}
		// It was closed since the load; the slot tells.
	}
}

// reserve takes the lowest free number from min on and below limit. It is
// EMFILE when there is none. install or unreserve follows.
func (t *FDTable) reserve(min int, limit uint64, cloexec bool) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reserveLocked(min, limit, cloexec)
}

func (t *FDTable) reserveLocked(min int, limit uint64, cloexec bool) (int, error) {
	fd := max(min, t.low)
	for fd/64 < len(t.used) {
		free := ^t.used[fd/64] >> (fd % 64)
		if free != 0 {
			fd += bits.TrailingZeros64(free)
			break
		}
		fd = (fd/64 + 1) * 64
	}
	if uint64(fd) >= limit || fd >= maxFDs {
		return -1, syscall.EMFILE
	}
	t.take(fd, cloexec)
	if min <= t.low {
		t.low = fd + 1
	}
	return fd, nil
}

// take marks fd as used, growing the table to it. t.mu is held.
func (t *FDTable) take(fd int, cloexec bool) {
	for fd/64 >= len(t.used) {
		t.used = append(t.used, 0)
		t.cloexec = append(t.cloexec, 0)
	}
	if s := *t.slots.Load(); fd >= len(s) {
		n := make([]atomic.Pointer[Description], max(2*len(s), fd+1, 16))
		for i := range s {
			n[i].Store(s[i].Load())
		}
		t.slots.Store(&n)
	}
	t.used[fd/64] |= 1 << (fd % 64)
	t.setCloexec(fd, cloexec)
}

func (t *FDTable) setCloexec(fd int, on bool) {
	if on {
		t.cloexec[fd/64] |= 1 << (fd % 64)
	} else {
		t.cloexec[fd/64] &^= 1 << (fd % 64)
	}
}

// install puts d, whose reference becomes the table's, at a reserved number.
func (t *FDTable) install(fd int, d *Description) {
	t.mu.Lock()
	defer t.mu.Unlock()
	(*t.slots.Load())[fd].Store(d)
}

// unreserve gives a reserved number back.
func (t *FDTable) unreserve(fd int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free(fd)
}

// free makes fd available. t.mu is held.
func (t *FDTable) free(fd int) {
	t.used[fd/64] &^= 1 << (fd % 64)
	t.cloexec[fd/64] &^= 1 << (fd % 64)
	t.low = min(t.low, fd)
}

// replace puts d at fd and returns what was there, whose reference is then the
// caller's. EBADF beyond limit; EBUSY while an open is about to use the number.
func (t *FDTable) replace(fd int, d *Description, cloexec bool, limit uint64) (*Description, error) {
	if fd < 0 || uint64(fd) >= limit || fd >= maxFDs {
		return nil, syscall.EBADF
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var old *Description
	if t.isUsed(fd) {
		if old = (*t.slots.Load())[fd].Load(); old == nil {
			return nil, syscall.EBUSY
		}
	}
	t.take(fd, cloexec)
	(*t.slots.Load())[fd].Store(d)
	t.ungrant(fd)
	return old, nil
}

func (t *FDTable) isUsed(fd int) bool {
	return fd >= 0 && fd/64 < len(t.used) && t.used[fd/64]&(1<<(fd%64)) != 0
}

// remove frees fd and returns what was there, with the table's reference.
func (t *FDTable) remove(fd int) (*Description, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.isUsed(fd) {
		return nil, syscall.EBADF
	}
	d := (*t.slots.Load())[fd].Swap(nil)
	if d == nil { // reserved
		return nil, syscall.EBADF
	}
	t.free(fd)
	t.ungrant(fd)
	return d, nil
}

// ungrant takes fd, which is another's from now on, from the process that used its
// file by itself. t.mu is held.
func (t *FDTable) ungrant(fd int) {
	if g := t.grants.Load(); g != nil {
		g.forget(fd)
	}
}

// closeOnExec returns fd's FD_CLOEXEC.
func (t *FDTable) closeOnExec(fd int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.isUsed(fd) && t.cloexec[fd/64]&(1<<(fd%64)) != 0
}

// setCloseOnExec sets FD_CLOEXEC of the numbers from first to last that are used.
func (t *FDTable) setCloseOnExec(first, last int, on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for fd := first; fd <= last && fd/64 < len(t.used); fd++ {
		if t.isUsed(fd) {
			t.setCloexec(fd, on)
		}
	}
}

// size is one more than the largest number that can be installed now.
func (t *FDTable) size() int { return len(*t.slots.Load()) }

// next returns the lowest installed number from fd on, or -1.
func (t *FDTable) next(fd int) int {
	s := *t.slots.Load()
	for ; fd < len(s); fd++ {
		if s[fd].Load() != nil {
			return fd
		}
	}
	return -1
}

// fork returns a copy for a child that does not share it.
func (t *FDTable) fork() *FDTable { return t.forkBut(maxFDs, maxFDs) }

// forkBut is fork without the numbers from first to last.
func (t *FDTable) forkBut(first, last int) *FDTable {
	c := t.k.NewFDTable()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := *t.slots.Load()
	n := make([]atomic.Pointer[Description], len(s))
	c.used = make([]uint64, len(t.used))
	c.cloexec = make([]uint64, len(t.used))
	c.slots.Store(&n)
	for fd := range s {
		d := s[fd].Load()
		if d == nil || fd >= first && fd <= last {
			continue
		}
		d.ref()
		n[fd].Store(d)
		c.used[fd/64] |= 1 << (fd % 64)
		c.cloexec[fd/64] |= t.cloexec[fd/64] & (1 << (fd % 64))
	}
	return c
}

// share returns t itself with one more user; drop takes one away and with the
// last one closes everything. leave is drop for a task: see [Task.leaveFDs].
func (t *FDTable) share() *FDTable {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.users++
	return t
}

func (t *FDTable) drop() {
	if t.leave() {
		t.closeAll()
	}
}

// leave takes a user away and reports whether it was the last: then closeAll follows.
func (t *FDTable) leave() (last bool) {
	t.mu.Lock()
	t.users--
	last = t.users == 0
	t.mu.Unlock()
	if last {
		if g := t.grants.Load(); g != nil {
			g.end()
		}
	}
	return last
}

func (t *FDTable) closeAll() {
	for fd := t.next(0); fd >= 0; fd = t.next(fd + 1) {
		if d, err := t.remove(fd); err == nil {
			t.closed(nil, d)
		}
	}
}

// shared reports whether the table has another user.
func (t *FDTable) shared() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.users > 1
}

// unshareForExec returns the table that a program starts with: no other user,
// no descriptor that is close-on-exec.
func (t *FDTable) unshareForExec() *FDTable {
	c := t
	if t.shared() {
		c = t.fork()
		t.drop()
	}
	for fd := c.next(0); fd >= 0; fd = c.next(fd + 1) {
		if c.closeOnExec(fd) {
			if d, err := c.remove(fd); err == nil {
				c.closed(nil, d)
			}
		}
	}
	return c
}

// closed does what every close of a descriptor brings, after the number was
// freed: record locks go, the server may flush, the reference is given back.
// The error is what close(2) reports. t is nil when nobody waits for that.
func (f *FDTable) closed(t *Task, d *Description) error {
	if d.isPath {
		d.release()
		return nil
	}
	f.k.mounts.locks.closed(f.id, d)
	if s, ok := d.file.(stuck); ok && t == nil && s.Stuck() {
		// The process ends, and nobody will wait for this server.
		go closeFile(nil, d)
		return nil
	}
	return closeFile(t, d)
}

// stuck is a file of a server that may not answer.
type stuck interface{ Stuck() bool }

func closeFile(t *Task, d *Description) error {
	var err error
	if fl, ok := d.file.(vfs.Flusher); ok {
		ctx, cancel := closeContext(t)
		err = fl.Flush(ctx)
		cancel()
	}
	if e := d.releaseErr(); err == nil {
		err = e
	}
	return err
}

// fileOfKind returns the file behind fd, with a reference to its description;
// wrong when it is another kind of file.
func fileOfKind[F vfs.File](t *Task, fd int, wrong syscall.Errno) (d *Description, f F, err error) {
	if d, err = t.fds.get(fd); err != nil {
		return nil, f, err
	}
	f, ok := d.file.(F)
	if !ok {
		d.release()
		return nil, f, wrong
	}
	return d, f, nil
}
