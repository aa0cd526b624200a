package posix

import (
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// Priority-inheritance futexes: mutual exclusion, handing over in order and
// owners that die are as futex(2) says. Priorities themselves are the host's
// scheduler's and are not inherited.
//
// The words hold the guest's thread ids, so the host kernel cannot serve them.
// Once its FUTEX_WAITERS bit is set, a word is changed by nobody but the server:
// programs' own compare-and-exchange expects it clear. The bit is set by the
// host, atomically, in the guest's process (FUTEX_WAKE_OP).

// piLocks are the contended locks of a box. mu is taken before Kernel.mu.
type piLocks struct {
	mu   sync.Mutex
	held map[piKey]*piLock
}

// piKey is a word: in one address space, or in an object that several share.
type piKey struct {
	mem    *Memory
	object hostObject
	at     uint64
}

type piLock struct{ waiters []*piWaiter }

type piWaiter struct {
	task *Task
	addr uint64
	has  bool // the lock was handed over
}

func (t *Task) futexPI(op uint64, a *Args) (uint64, error) {
	switch op {
	case futexCmdLockPI, futexCmdLockPI2:
		end, err := t.piDeadline(op, a)
		if err != nil {
			return 0, err
		}
		return 0, t.lockPI(a[0], t.piKey(a), end, false)
	case futexCmdTryPI:
		return 0, t.lockPI(a[0], t.piKey(a), time.Time{}, true)
	case futexCmdUnlockPI:
		return 0, t.unlockPI(a[0], t.piKey(a))
	}
	t.k.miss(t, "futex requeueing to a lock with priority inheritance")
	return 0, syscall.ENOSYS
}

// piDeadline reads the absolute timeout: of the real-time clock, or with
// FUTEX_LOCK_PI2 of the one that the flag says.
func (t *Task) piDeadline(op uint64, a *Args) (time.Time, error) {
	if a[3] == 0 {
		return time.Time{}, nil
	}
	var b [16]byte
	if err := t.copyIn(a[3], b[:]); err != nil {
		return time.Time{}, err
	}
	var ts abi.Timespec
	ts.Decode(b[:])
	if !ts.Valid() {
		return time.Time{}, syscall.EINVAL
	}
	clock := int32(unix.CLOCK_REALTIME)
	if op == futexCmdLockPI2 && a[1]&futexClockReal == 0 {
		clock = unix.CLOCK_MONOTONIC
	}
	var now unix.Timespec
	if err := unix.ClockGettime(clock, &now); err != nil {
		return time.Time{}, err
	}
	return time.Now().Add(ts.Duration() - time.Duration(now.Nano())), nil
}

// piKey finds out whose word it is.
func (t *Task) piKey(a *Args) piKey {
	if a[1]&futexPrivate == 0 {
		if o, at, ok := t.mem.sharedObject(a[0]); ok {
			return piKey{object: o, at: at}
		}
	}
	return piKey{mem: t.mem, at: a[0]}
}

// sharedObject returns the object, and the place in it, of an address in a
// shared mapping.
func (m *Memory) sharedObject(addr uint64) (hostObject, uint64, bool) {
	text, err := m.hostFile("maps")
	if err != nil {
		return hostObject{}, 0, false
	}
	for line := range linesOf(text) {
		start, end, f, ok := parseMapLine(line)
		if !ok || addr < start || addr >= end {
			continue
		}
		inode, _ := strconv.ParseUint(f[4], 10, 64)
		if f[1][3] != 's' || inode == 0 {
			return hostObject{}, 0, false
		}
		off, _ := strconv.ParseUint(f[2], 16, 64)
		return hostObject{parseDevice(f[3]), inode}, addr - start + off, true
	}
	return hostObject{}, 0, false
}

// setWaiters makes the word the server's and returns what it holds.
func (t *Task) setWaiters(addr uint64) (uint32, error) {
	const opOr, cmpEQ = 2, 0
	const argShift = 8
	// FUTEX_OP_OR with 1<<31; the comparison and the wakes do not matter.
	op := uint64(opOr|argShift)<<28 | uint64(cmpEQ)<<24 | uint64(31)<<12
	mem, at := t.thread.Scratch()
	clear(mem[:4]) // a word that nobody waits on
	if _, err := t.thread.Do1(unix.SYS_FUTEX, at, abi.FUTEX_WAKE_OP, 0, 0, addr, op); err != nil {
		return 0, err
	}
	return t.copyInUint32(addr)
}

// lockPI takes the lock, or waits for it.
func (t *Task) lockPI(addr uint64, key piKey, end time.Time, try bool) error {
	if addr%4 != 0 {
		return syscall.EINVAL
	}
	l := &t.k.pi
	l.mu.Lock()
	v, err := t.setWaiters(addr)
	if err != nil {
		l.mu.Unlock()
		return err
	}
	lock := l.held[key]
	waiting := lock != nil && len(lock.waiters) > 0
	owner := v & abi.FUTEX_TID_MASK
	switch {
	case owner == 0:
		err = t.writeOwner(addr, t, v&abi.FUTEX_OWNER_DIED, waiting)
		l.mu.Unlock()
		return err
	case owner == uint32(t.tid):
		l.mu.Unlock()
		return syscall.EDEADLK
	case try:
		l.mu.Unlock()
		return syscall.EAGAIN
	case !t.k.isThread(int(owner)):
		l.mu.Unlock()
		return syscall.ESRCH
	}
	if lock == nil {
		lock = &piLock{}
		if l.held == nil {
			l.held = map[piKey]*piLock{}
		}
		l.held[key] = lock
	}
	w := &piWaiter{task: t, addr: addr}
	lock.waiters = append(lock.waiters, w)
	l.mu.Unlock()
	for {
		err = t.sleep(end)
		l.mu.Lock()
		if w.has {
			l.mu.Unlock()
			return nil // an effect beats whatever ended the wait
		}
		if err != nil {
			lock.remove(w)
			l.mu.Unlock()
			if err == errTimeout {
				return syscall.ETIMEDOUT
			}
			return abi.ERESTARTNOINTR
		}
		l.mu.Unlock()
	}
}

func (l *piLock) remove(w *piWaiter) {
	for i, x := range l.waiters {
		if x == w {
			l.waiters = append(l.waiters[:i:i], l.waiters[i+1:]...)
			return
		}
	}
}

// writeOwner makes o the owner in the word, which t writes.
func (t *Task) writeOwner(addr uint64, o *Task, died uint32, waiting bool) error {
	v := uint32(o.tid) | died
	if waiting {
		v |= abi.FUTEX_WAITERS
	}
	return t.copyOutUint32(addr, v)
}

// unlockPI gives the lock up, to the first who waits.
func (t *Task) unlockPI(addr uint64, key piKey) error {
	if addr%4 != 0 {
		return syscall.EINVAL
	}
	l := &t.k.pi
	l.mu.Lock()
	defer l.mu.Unlock()
	v, err := t.setWaiters(addr)
	if err != nil {
		return err
	}
	if v&abi.FUTEX_TID_MASK != uint32(t.tid) {
		return syscall.EPERM
	}
	return t.handOver(l, addr, key, 0)
}

// handOver gives a lock that t holds to the next. l.mu is held.
func (t *Task) handOver(l *piLocks, addr uint64, key piKey, died uint32) error {
	lock := l.held[key]
	if lock == nil || len(lock.waiters) == 0 {
		delete(l.held, key)
		return t.copyOutUint32(addr, died)
	}
	w := lock.waiters[0]
	if err := t.writeOwner(addr, w.task, died, len(lock.waiters) > 1); err != nil {
		return err
	}
	lock.waiters = lock.waiters[1:]
	w.has = true
	w.task.wakeUp()
	return nil
}

// leavePI gives up a lock of which the ending thread is the owner.
func (t *Task) leavePI(addr uint64) {
	l := &t.k.pi
	l.mu.Lock()
	defer l.mu.Unlock()
	key := t.piKey(&Args{addr, 0})
	if l.held[key] == nil {
		key = piKey{mem: t.mem, at: addr}
	}
	_ = t.handOver(l, addr, key, abi.FUTEX_OWNER_DIED) // the memory may be gone
}

// isThread reports whether there is such a thread.
func (k *Kernel) isThread(tid int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tasks[tid] != nil
}
