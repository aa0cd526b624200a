package posix

import (
	"maps"
	"runtime/debug"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
)

// blocking says what may end a call's waits.
type blocking uint8

const (
	never         blocking = iota // the call does not wait
	interruptible                 // a signal
	killable                      // only the task's end
)

// restartRule says what becomes of a call whose wait was interrupted before it
// had an effect, as signal(7) lists it.
type restartRule uint8

const (
	restartSys   restartRule = iota // restarted if the handler has SA_RESTART
	restartNoint                    // always restarted
	restartHand                     // restarted only if no handler runs
	restartNever                    // EINTR whenever a handler runs or not
)

func (r restartRule) code() error {
	switch r {
	case restartNoint:
		return abi.ERESTARTNOINTR
	case restartHand:
		return abi.ERESTARTNOHAND
	case restartNever:
		return syscall.EINTR
	}
	return abi.ERESTARTSYS
}

// call is a system call of the table. A handler that returns vfs.ErrInterrupted
// had no effect; the rule says what follows.
type call struct {
	fn      func(*Task, *Args) (uint64, error)
	blocks  blocking
	restart restartRule
}

// calls are the system calls of one concern, by number.
type calls map[uintptr]call

// table has every call that is implemented. The parts stand with their
// handlers.
var table [512]call

// init fills the table: handlers lead back to it.
func init() {
	t := &table
	for _, part := range []calls{
		memoryCalls, hostCalls, storesCalls, shmCalls, semCalls, msgCalls, mqCalls, execCalls, cloneCalls, futexCalls,
		exitCalls, signalCalls, timerCalls, timeCalls, jobCalls, limitCalls, robustCalls, pidfdCalls,
		identityCalls, systemCalls, schedCalls, priorityCalls, vmCalls,
		byPath(pathCalls), byPath(attrCalls), descriptorCalls, ioCalls, pollCalls, lockCalls, socketCalls, objectCalls,
		eventCalls, signalfdCalls, inotifyCalls,
	} {
		for nr, c := range maps.All(part) {
			if t[nr].fn != nil {
				panic("posix: system call defined twice: " + abi.SyscallName(uint64(nr)))
			}
			t[nr] = c
		}
	}
}

// Waits says of a system call that can wait what may end that, and what becomes
// of it then, in signal(7)'s terms.
type Waits struct {
	Name         string
	Killable     bool // only the end of the thread; else any signal
	Restarts     bool // after a handler with SA_RESTART
	RestartsIdle bool // when no handler ran
}

// Waiting returns all calls of the table that can wait, by number.
func Waiting() (list []Waits) {
	for nr := range table {
		c := &table[nr]
		if c.fn == nil || c.blocks == never {
			continue
		}
		list = append(list, Waits{
			Name: abi.SyscallName(uint64(nr)), Killable: c.blocks == killable,
			Restarts:     c.restart == restartSys || c.restart == restartNoint,
			RestartsIdle: c.restart != restartNever,
		})
	}
	return list
}

func (k *Kernel) lookupCall(nr uint64) *call {
	if nr < uint64(len(table)) {
		return &table[nr]
	}
	return &call{}
}

// miss records that a guest asked for what is not there.
func (k *Kernel) miss(t *Task, what string) {
	k.missing.Add(1)
	k.logf("process %d (%s): not implemented: %s", t.proc.pid, t.comm(), what)
}

func (k *Kernel) panicked(t *Task, p any) {
	k.logf("process %d (%s): %s failed inside the server: %v\n%s", t.proc.pid, t.comm(), abi.SyscallName(t.nr), p, debug.Stack())
}
