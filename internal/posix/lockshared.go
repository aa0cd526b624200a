package posix

import (
	"cmp"
	"context"
	"math"
	"slices"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Locks that others beyond the box see, too (vfs.LockSharer). The table has what
// the box's own hold, for PIDs and for finding deadlocks, and the server has the
// same for everybody: what both allow is granted. A file's turn is held for each
// change of both, so that they agree after it, whoever else changes locks of the
// same owner. Nobody waits with the turn held.

// sharedLocks returns who keeps the locks of d's file for others as well: nil
// when there are no others.
func sharedLocks(d *Description) vfs.Locker {
	if s, ok := d.file.(vfs.LockSharer); ok {
		return s.SharedLocks()
	}
	return nil
}

// setShared is set for a file with shared locks. A wait for one of the box's own
// is a wait in the table; one for somebody else is left to the server.
func (l *lockTable) setShared(t *Task, n vfs.Node, s vfs.Locker, want vfs.Lock, wait bool) (err error) {
	f := l.use(n, want.Type != unix.F_UNLCK)
	if f == nil {
		return nil
	}
	w := &lockWaiter{t: t, file: f, lock: want}
	granted := false // by a wait at the server, of which the table does not know
	defer func() {
		l.mu.Lock()
		f.waiters = slices.DeleteFunc(f.waiters, func(x *lockWaiter) bool { return x == w })
		l.mu.Unlock()
		if err != nil && granted {
			l.agree(f, s, want)
		}
		l.unuse(n, f)
	}()
	for {
		here, err := l.tryShared(f, s, w, wait)
		if err != syscall.EAGAIN || !wait {
			return err
		}
		if here {
			err = t.sleep(noDeadline)
		} else {
			t.declared(interruptible)
			t.rest()
			err = s.SetLock(t.context(), want, true)
			t.op.asleep.Store(false)
			granted = granted || err == nil
		}
		if err != nil {
			return err
		}
	}
}

// tryShared sets w's lock if table and server allow it. Else w is among the
// waiters afterwards, if it is to wait; here tells whether it has to for one of
// the box's own.
func (l *lockTable) tryShared(f *fileLocks, s vfs.Locker, w *lockWaiter, wait bool) (here bool, err error) {
	want := w.lock
	record := !want.Flock && want.PID != ofdPID
	f.turn.Lock()
	defer f.turn.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if want.Flock && want.Type != unix.F_UNLCK && f.holdsOther(want) {
		// Another kind of lock is not exchanged: the old one goes first.
		f.unlock(want)
		l.mu.Unlock()
		tell(s, want, unix.F_UNLCK)
		l.mu.Lock()
	}
	c := f.conflict(want)
	switch {
	case c == nil:
		l.mu.Unlock()
		err = s.SetLock(context.Background(), want, false)
		l.mu.Lock()
		if err == nil {
			f.apply(want)
			if want.Type != unix.F_UNLCK {
				f.note(want)
				if record {
					l.count.Add(1)
				}
			}
			return false, nil
		}
	case wait && record && l.deadlock(want.Owner, c.Owner):
		return true, syscall.EDEADLK
	default:
		err = syscall.EAGAIN
	}
	if wait && err == syscall.EAGAIN && !slices.Contains(f.waiters, w) {
		f.waiters = append(f.waiters, w)
	}
	return c != nil, err
}

// agree makes the server's idea of the owner's locks in a range the table's.
func (l *lockTable) agree(f *fileLocks, s vfs.Locker, want vfs.Lock) {
	f.turn.Lock()
	defer f.turn.Unlock()
	l.mu.Lock()
	var own []vfs.Lock
	for _, c := range f.locks {
		if c.Flock == want.Flock && c.Owner == want.Owner {
			own = append(own, c)
		}
	}
	l.mu.Unlock()
	if len(own) == 0 {
		want.Start, want.End = 0, math.MaxInt64
	}
	slices.SortFunc(own, func(a, b vfs.Lock) int { return cmp.Compare(a.Start, b.Start) })
	for _, c := range own {
		if c.End < want.Start || c.Start > want.End {
			continue
		}
		if c.Start > want.Start {
			gap := want
			gap.End = c.Start - 1
			tell(s, gap, unix.F_UNLCK)
		}
		tell(s, c, c.Type)
		if c.End >= want.End {
			return
		}
		want.Start = c.End + 1
	}
	tell(s, want, unix.F_UNLCK)
}

// releaseShared removes all locks of an owner from a file.
func (l *lockTable) releaseShared(n vfs.Node, s vfs.Locker, owner uint64) {
	f := l.use(n, false)
	if f == nil {
		return
	}
	defer l.unuse(n, f)
	f.turn.Lock()
	defer f.turn.Unlock()
	l.mu.Lock()
	var known []vfs.Lock
	f.remote = slices.DeleteFunc(f.remote, func(r vfs.Lock) bool {
		if r.Owner == owner {
			r.Start, r.End = 0, math.MaxInt64
			known = append(known, r)
			f.unlock(r)
		}
		return r.Owner == owner
	})
	l.mu.Unlock()
	for _, r := range known {
		tell(s, r, unix.F_UNLCK)
	}
}

// tell sets a lock at the server that cannot be refused there, or removes it.
func tell(s vfs.Locker, lock vfs.Lock, kind int16) {
	lock.Type = kind
	_ = s.SetLock(context.Background(), lock, false)
}

// use returns the locks of n for setShared; nil if there are none, and none are
// to be added.
func (l *lockTable) use(n vfs.Node, add bool) *fileLocks {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.files[n]
	if f == nil {
		if !add {
			return nil
		}
		f = l.file(n)
	}
	f.users++
	return f
}

func (l *lockTable) unuse(n vfs.Node, f *fileLocks) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.users--
	l.tidy(n, f)
}

// holdsOther reports whether the owner has the other kind of flock.
func (f *fileLocks) holdsOther(want vfs.Lock) bool {
	return slices.ContainsFunc(f.locks, func(c vfs.Lock) bool {
		return c.Flock && c.Owner == want.Owner && c.Type != want.Type
	})
}

// notes reports whether the server may know locks like this one.
func (f *fileLocks) notes(lock vfs.Lock) bool {
	return slices.ContainsFunc(f.remote, func(r vfs.Lock) bool { return r.Owner == lock.Owner && r.Flock == lock.Flock })
}

// note remembers that the server knows such locks. mu is held.
func (f *fileLocks) note(lock vfs.Lock) {
	if !f.notes(lock) {
		f.remote = append(f.remote, lock)
	}
}
