package posix

import (
	"encoding/binary"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// Waits and wakes are the host kernel's, on the guest's own memory; most never
// reach the server. What comes here are waits with a relative timeout, whose
// deadline must survive stops and restarts, and priority inheritance, whose
// words hold the guest's thread ids, which the host does not know.
var futexCalls = calls{
	unix.SYS_FUTEX: {fn: sysFutex, blocks: interruptible, restart: restartSys},
}

const (
	futexWait        = 0
	futexWake        = 1
	futexWaitBitset  = 9
	futexPrivate     = 128
	futexClockReal   = 256
	futexMatchAny    = 0xffffffff
	futexOpMask      = 127
	futexCmdLockPI   = 6
	futexCmdUnlockPI = 7
	futexCmdTryPI    = 8
	futexWaitRequeue = 11
	futexCmpRequeue  = 12
	futexCmdLockPI2  = 13
)

func sysFutex(t *Task, a *Args) (uint64, error) {
	op := a[1] & futexOpMask
	switch op {
	case futexWait:
		if a[3] == 0 {
			return t.onHostWaiting(unix.SYS_FUTEX, a[:]...)
		}
		return t.futexWaitFor(a)
	case futexCmdLockPI, futexCmdLockPI2, futexCmdTryPI, futexCmdUnlockPI, futexWaitRequeue, futexCmpRequeue:
		return t.futexPI(op, a)
	case futexWaitBitset:
		return t.onHostWaiting(unix.SYS_FUTEX, a[:]...)
	}
	return t.onHost(unix.SYS_FUTEX, a[:]...)
}

// futexWaitFor turns a relative timeout into a deadline, which restarts keep.
func (t *Task) futexWaitFor(a *Args) (uint64, error) {
	var b [16]byte
	if err := t.copyIn(a[3], b[:]); err != nil {
		return 0, err
	}
	var ts abi.Timespec
	ts.Decode(b[:])
	if !ts.Valid() {
		return 0, syscall.EINVAL
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, err
	}
	const forever = int64(1) << 40
	end := time.Duration(now.Nsec) + time.Duration(ts.Nsec)
	sec := now.Sec + min(ts.Sec, forever) + int64(end/time.Second)
	return t.futexWaitUntil(a[0], a[1]&futexPrivate, a[2], sec, int64(end%time.Second))
}

func (t *Task) futexWaitUntil(addr, private, val uint64, sec, nsec int64) (uint64, error) {
	mem, at := t.thread.Scratch()
	binary.LittleEndian.PutUint64(mem[0:], uint64(sec))
	binary.LittleEndian.PutUint64(mem[8:], uint64(nsec))
	t.restart.next = func(t *Task) (uint64, error) { return t.futexWaitUntil(addr, private, val, sec, nsec) }
	return t.onHostWaiting(unix.SYS_FUTEX, addr, futexWaitBitset|private, val, at, 0, futexMatchAny)
}
