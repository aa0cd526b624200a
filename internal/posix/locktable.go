package posix

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// lockTable has the advisory locks of a box by node: record locks of processes
// (a descriptor table is their owner, as closing is what ends them), those of
// open file descriptions, and flock(2)'s, which the others do not know of.
type lockTable struct {
	count atomic.Int64 // files with record locks of descriptor tables, now or before

	mu    sync.Mutex // a leaf
	files map[vfs.Node]*fileLocks
}

// fileLocks are a file's. It is in the table as long as there is one.
type fileLocks struct {
	locks   []vfs.Lock
	waiters []*lockWaiter
	remote  []vfs.Lock // owners of which the file's server knows locks

	turn  sync.Mutex // see setShared; before mu
	users int        // of turn
}

// lockWaiter is a task that waits for a lock.
type lockWaiter struct {
	t    *Task
	file *fileLocks
	lock vfs.Lock
}

func (l *lockTable) init() { l.files = map[vfs.Node]*fileLocks{} }

// file returns the locks of n, to add one. mu is held.
func (l *lockTable) file(n vfs.Node) *fileLocks {
	f := l.files[n]
	if f == nil {
		f = &fileLocks{}
		l.files[n] = f
	}
	return f
}

// tidy forgets a file without locks. mu is held.
func (l *lockTable) tidy(n vfs.Node, f *fileLocks) {
	if len(f.locks)+len(f.waiters)+len(f.remote)+f.users == 0 && l.files[n] == f {
		delete(l.files, n)
	}
}

// get returns the lock that keeps want from being set, or want with F_UNLCK.
func (l *lockTable) get(n vfs.Node, want vfs.Lock) vfs.Lock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.files[n]; f != nil {
		if c := f.conflict(want); c != nil {
			return *c
		}
	}
	want.Type = unix.F_UNLCK
	return want
}

// set sets a lock or, with F_UNLCK, removes it. EAGAIN when there is another and
// wait is not set; EDEADLK when the other's owner waits for this one.
func (l *lockTable) set(t *Task, n vfs.Node, want vfs.Lock, wait bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if want.Type == unix.F_UNLCK && l.files[n] == nil {
		return nil
	}
	f := l.file(n)
	defer func() { l.tidy(n, f) }()
	if want.Flock && !f.holds(want) {
		// As on Linux, another kind of lock is not exchanged: the old one goes.
		f.unlock(want)
	}
	var w *lockWaiter
	defer func() {
		if w != nil {
			f.waiters = slices.DeleteFunc(f.waiters, func(x *lockWaiter) bool { return x == w })
		}
	}()
	for {
		c := f.conflict(want)
		if c == nil {
			if !want.Flock && want.PID != ofdPID && want.Type != unix.F_UNLCK {
				l.count.Add(1)
			}
			f.apply(want)
			return nil
		}
		if !wait {
			return syscall.EAGAIN
		}
		if !want.Flock && want.PID != ofdPID && l.deadlock(want.Owner, c.Owner) {
			return syscall.EDEADLK
		}
		if w == nil {
			w = &lockWaiter{t: t, file: f, lock: want}
			f.waiters = append(f.waiters, w)
		}
		l.mu.Unlock()
		err := t.sleep(noDeadline)
		l.mu.Lock()
		if err != nil {
			return err
		}
	}
}

// ofdPID is what stands for the process in a lock of an open file description.
const ofdPID = -1

// deadlock reports whether blocker waits, perhaps by way of others, for owner.
// mu is held.
func (l *lockTable) deadlock(owner, blocker uint64) bool {
	for range 100 {
		next, found := l.waitsFor(blocker)
		if !found {
			return false
		}
		if next == owner {
			return true
		}
		blocker = next
	}
	return false
}

func (l *lockTable) waitsFor(owner uint64) (uint64, bool) {
	for _, f := range l.files {
		for _, w := range f.waiters {
			if w.lock.Owner == owner && !w.lock.Flock && w.lock.PID != ofdPID {
				if c := f.conflict(w.lock); c != nil {
					return c.Owner, true
				}
			}
		}
	}
	return 0, false
}

// conflict returns a lock of someone else that want cannot stand beside: of all
// that one has, the first in the file.
func (f *fileLocks) conflict(want vfs.Lock) (first *vfs.Lock) {
	if want.Type == unix.F_UNLCK {
		return nil
	}
	for i := range f.locks {
		c := &f.locks[i]
		if c.Flock == want.Flock && c.Owner != want.Owner && c.Start <= want.End && want.Start <= c.End &&
			(c.Type == unix.F_WRLCK || want.Type == unix.F_WRLCK) &&
			(first == nil || c.Owner == first.Owner && c.Start < first.Start) {
			first = c
		}
	}
	return first
}

// holds reports whether the owner has that very kind of flock.
func (f *fileLocks) holds(want vfs.Lock) bool {
	return slices.ContainsFunc(f.locks, func(c vfs.Lock) bool {
		return c.Flock && c.Owner == want.Owner && c.Type == want.Type
	})
}

// unlock removes what the owner has in the range, and wakes who may go on.
func (f *fileLocks) unlock(want vfs.Lock) {
	want.Type = unix.F_UNLCK
	f.apply(want)
}

// apply makes want the owner's lock on its range, whatever it had there.
func (f *fileLocks) apply(want vfs.Lock) {
	var out []vfs.Lock
	freed := false
	for _, c := range f.locks {
		if c.Flock != want.Flock || c.Owner != want.Owner {
			out = append(out, c)
			continue
		}
		// Neighbours of the same kind become one.
		if c.Type == want.Type && (want.Start == 0 || c.End >= want.Start-1) && (want.End == math.MaxInt64 || c.Start <= want.End+1) {
			want.Start, want.End = min(want.Start, c.Start), max(want.End, c.End)
			continue
		}
		if c.End < want.Start || c.Start > want.End {
			out = append(out, c)
			continue
		}
		freed = true
		if c.Start < want.Start {
			left := c
			left.End = want.Start - 1
			out = append(out, left)
		}
		if c.End > want.End {
			right := c
			right.Start = want.End + 1
			out = append(out, right)
		}
	}
	if want.Type != unix.F_UNLCK {
		out = append(out, want)
	}
	f.locks = out
	if freed {
		for _, w := range f.waiters {
			w.t.wakeUp()
		}
	}
}

// noteRemote remembers that a server keeps locks for an owner.
func (l *lockTable) noteRemote(n vfs.Node, lock vfs.Lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file(n).note(lock)
	if !lock.Flock && lock.PID != ofdPID {
		l.count.Add(1)
	}
}

// closed is called when a descriptor of d was closed: the record locks that the
// table has on the file go, by whichever descriptor they were set.
func (l *lockTable) closed(owner uint64, d *Description) {
	if l.count.Load() != 0 {
		l.release(d, owner)
	}
}

// release removes all locks of an owner from the file of d, which is still open.
func (l *lockTable) release(d *Description, owner uint64) {
	n := d.file.Node()
	if s := sharedLocks(d); s != nil {
		l.releaseShared(n, s, owner)
		return
	}
	l.mu.Lock()
	f := l.files[n]
	if f == nil {
		l.mu.Unlock()
		return
	}
	for _, flock := range []bool{false, true} {
		f.unlock(vfs.Lock{Flock: flock, Owner: owner, End: math.MaxInt64})
	}
	var remote []vfs.Lock
	f.remote = slices.DeleteFunc(f.remote, func(r vfs.Lock) bool {
		if r.Owner == owner {
			remote = append(remote, r)
		}
		return r.Owner == owner
	})
	l.tidy(n, f)
	l.mu.Unlock()
	if len(remote) == 0 {
		return
	}
	keeper := lockerOf(d)
	if s, ok := d.file.(stuck); ok && s.Stuck() {
		go releaseRemote(keeper, remote)
		return
	}
	releaseRemote(keeper, remote)
}

// releaseRemote removes an owner's locks at the file's server.
func releaseRemote(keeper vfs.Locker, owned []vfs.Lock) {
	for _, r := range owned {
		r.Type, r.Start, r.End = unix.F_UNLCK, 0, math.MaxInt64
		// Nobody can be told if that fails; the server ends a dead client's locks.
		ctx, cancel := closeContext(nil)
		_ = keeper.SetLock(ctx, r, false)
		cancel()
	}
}
