package machine

import "github.com/hati-os/hati/internal/abi"

// Regs are a thread's registers.
type Regs = abi.Regs

const (
	ucStack       = 16  // stack_t
	ucRegs        = 40  // sigcontext
	ucFPState     = 224 // pointer to the extended registers
	ucSigmask     = 296
	regWords      = 23
	frameHeadSize = 304 // through the signal mask
	siginfoSize   = 128
)

// TrapKind says why a thread came back.
type TrapKind int

const (
	// TrapSyscall: a system call; Regs.RAX is its number.
	TrapSyscall TrapKind = iota
	// TrapFault: a synchronous host signal; Trap.Signal and Trap.Info tell it.
	TrapFault
	// TrapKick: somebody called Kick, or nothing at all; just look around.
	TrapKick
	// TrapInterrupted: a host call that the stub made for the guest was ended by
	// a kick and had no effect. Regs are as at the system call.
	TrapInterrupted
	// TrapShort: a write or sendto to a granted descriptor that can be waited for wrote less
	// than was asked for. The registers are those of the call's end.
	TrapShort
	// TrapDead: the thread is gone, on its own or with its host process.
	TrapDead
)

// Trap is why a thread stopped.
type Trap struct {
	Kind   TrapKind
	Signal int
	// NR is the number of the call of a TrapShort, as the guest has it.
	NR uint64
	// Local: the interrupted host call was the stub's own idea, not ResumeWait's.
	Local bool
	// Info is the host's siginfo of a fault, Arch the audit architecture of a
	// system call (a 32-bit call says so here).
	Info [siginfoSize]byte
	Arch uint32
}
