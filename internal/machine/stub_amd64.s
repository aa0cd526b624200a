#include "textflag.h"
#include "stub_amd64.h"

// stubCode is never called. It is copied into a page of its own at TEXT_BASE in
// every guest process, where it is the only code that may make host system
// calls (the filter of filter.go looks at the program counter). It uses no
// stack: all it keeps is in registers and in its slot.
//
// R12 is the thread's slot throughout.
TEXT ·stubCode(SB), NOSPLIT|NOFRAME, $0-0
	// The first process begins here, before there is a filter: it maps its slots
	// (descriptor 1) and waits for what the server asks of it.
	LABEL(L_START)
	MOVL $9, AX                 // mmap
	MOVQ SLOTS_BASE, DI
	MOVQ SLOTS_SIZE, SI
	MOVL $3, DX
	MOVL $0x11, R10             // MAP_SHARED|MAP_FIXED
	MOVL $1, R8
	XORL R9, R9
	SYSCALL
	MOVQ SLOTS_BASE, R12
	LEAQ SLOT_SIZE(R12), SP
	JMP  trapped

	// Signals arrive here, with all signals masked, on the slot's own stack:
	// DI signal, SI siginfo, DX ucontext.
	LABEL(L_HANDLER)
	MOVQ SP, R12
	ANDQ SLOT_MASK, R12
	CMPL DI, SIGKICK
	JEQ  kick
trap:
	MOVQ DX, S_FRAME
	MOVL DI, S_SIG
	MOVQ SI, S_INFO
	MOVL CODE_TRAP, S_CODE
	CMPL DI, SIGSYS
	JNE  trapped
	CMPL 28(SI), $-1073741762    // si_arch: a 32-bit call has other numbers
	JNE  trapped

	// Calls that concern only the guest's own memory go to the host at once, if
	// the slot's bitmap has them.
	MOVQ UC_RAX(DX), AX
	CMPQ AX, $512
	JAE  trapped
	MOVQ AX, CX
	SHRQ $6, CX
	MOVQ S_LOCAL(R12)(CX*8), BX
	BTQ  AX, BX
	JCC  trapped
	MOVQ DX, R15
	CMPQ AX, $202
	JEQ  futex
	// The calls on a descriptor, and what each needs of it.
	CMPQ AX, $9                 // mmap: only anonymous memory is nobody's business
	JEQ  mmap
	CMPQ AX, $20
	JA   others
	MOVL $GRANT_READ, SI
	CMPQ AX, $0                 // read
	JEQ  granted
	CMPQ AX, $19                // readv
	JEQ  granted
	MOVL $GRANT_WRITE, SI
	CMPQ AX, $1                 // write
	JEQ  granted
	CMPQ AX, $20                // writev
	JEQ  granted
	MOVL $(GRANT_READ|GRANT_FILE), SI
	CMPQ AX, $17                // pread64
	JEQ  granted
	MOVL $(GRANT_WRITE|GRANT_FILE), SI
	CMPQ AX, $18                // pwrite64
	JEQ  granted
	MOVL $GRANT_FILE, SI
	CMPQ AX, $8                 // lseek
	JEQ  granted
	CMPQ AX, $3                 // close
	JNE  local
	JMP  closing
sendto:                             // without an address, as send is
	MOVL $(GRANT_WRITE|GRANT_SOCKET), SI
	CMPQ UC_R8(DX), $0
	JEQ  granted
	JMP  trapped
recvfrom:
	CMPQ UC_R8(DX), $0
	JNE  trapped
	MOVL $(GRANT_READ|GRANT_SOCKET), SI
	TESTL $0x100, UC_R10(DX)    // MSG_WAITALL: a kick would cut it short
	JZ   granted
	JMP  trapped
others:
	CMPQ AX, $44
	JEQ  sendto
	CMPQ AX, $45
	JEQ  recvfrom
	MOVL $(GRANT_READ|GRANT_FILE), SI
	CMPQ AX, $295               // preadv
	JEQ  granted
	MOVL $(GRANT_WRITE|GRANT_FILE), SI
	CMPQ AX, $296               // pwritev
	JEQ  granted
	JMP  local
mmap:
	TESTL $0x20, UC_R10(DX)
	JZ   trapped
local:
	MOVQ UC_RDI(R15), DI
	MOVQ UC_RSI(R15), SI
	MOVQ UC_R10(R15), R10
	MOVQ UC_R8(R15), R8
	MOVQ UC_R9(R15), R9
	MOVQ UC_RDX(R15), DX
	SYSCALL
	MOVQ AX, UC_RAX(R15)
	MOVQ R15, SP
	MOVL $15, AX                // rt_sigreturn
	SYSCALL
	INT  $3

	// A descriptor that this process was given for use by itself. S_BUSY, set
	// before the table is looked at, tells who takes it back. What the host
	// refuses is the server's to answer.
granted:
	MOVQ S_GRANTS, BX
	TESTQ BX, BX
	JZ   trapped
	MOVL UC_RDI(R15), CX
	CMPQ CX, GRANTS_MAX
	JAE  trapped
	MOVL $1, DX
	XCHGL DX, S_BUSY
	MOVL (BX)(CX*4), DX
	MOVL DX, DI
	ANDL SI, DX
	CMPL DX, SI
	JNE  refused
	ADDL $GRANT_BASE, CX
	TESTL $GRANT_FILE, DI
	JZ   stream
	MOVQ CX, DI
	MOVQ UC_RSI(R15), SI
	MOVQ UC_RDX(R15), DX
	MOVQ UC_R10(R15), R10
	MOVQ UC_R8(R15), R8
	MOVQ UC_R9(R15), R9
	SYSCALL
	CMPQ AX, $-4096
	JHI  refused
	MOVQ AX, UC_RAX(R15)
	MOVQ UC_RSP(R15), CX
	MOVQ CX, S_LASTSP
	MOVL $0, S_BUSY
	MOVQ R15, SP
	MOVL $15, AX                // rt_sigreturn
	SYSCALL
	INT  $3
refused:
	MOVL $0, S_BUSY
	JMP  trapped

	// One that may wait.
stream:
	CMPQ AX, $20
	JEQ  refused
	ADDL $1, S_WAITS
	MOVQ AX, (S_CALLS+0)(R12)
	MOVQ CX, (S_CALLS+8)(R12)
	MOVQ UC_RSI(R15), AX
	MOVQ AX, (S_CALLS+16)(R12)
	MOVQ UC_RDX(R15), AX
	MOVQ AX, (S_CALLS+24)(R12)
	MOVQ UC_R10(R15), AX
	MOVQ AX, (S_CALLS+32)(R12)
	MOVQ $0, (S_CALLS+40)(R12)
	MOVQ $0, (S_CALLS+48)(R12)
	MOVL CODE_GRANT_INTERRUPTED, R14
	JMP  wait

	// The process's own descriptor goes before the server hears of the close.
closing:
	MOVQ S_GRANTS, BX
	TESTQ BX, BX
	JZ   trapped
	MOVL UC_RDI(R15), DI
	CMPQ DI, GRANTS_MAX
	JAE  trapped
	XORL DX, DX
	XCHGL DX, (BX)(DI*4)
	TESTL DX, DX
	JZ   trapped
	ADDL $GRANT_BASE, DI
	SYSCALL
	JMP  trapped

	// futex: waits without a relative timeout and all wakes are the host's. The
	// rest (relative timeouts, which a stop must carry over, and priority
	// inheritance, which needs the guest's thread ids) is the server's.
futex:
	MOVL UC_RSI(DX), CX
	ANDL $0x7f, CX
	CMPL CX, $9                 // FUTEX_WAIT_BITSET
	JEQ  futexwait
	CMPL CX, $0                 // FUTEX_WAIT
	JEQ  futexwait0
	CMPL CX, $1                 // FUTEX_WAKE
	JEQ  local
	CMPL CX, $3                 // FUTEX_REQUEUE
	JEQ  local
	CMPL CX, $4                 // FUTEX_CMP_REQUEUE
	JEQ  local
	CMPL CX, $5                 // FUTEX_WAKE_OP
	JEQ  local
	CMPL CX, $10                // FUTEX_WAKE_BITSET
	JEQ  local
	JMP  trapped
futexwait0:
	CMPQ UC_R10(DX), $0
	JNE  trapped
futexwait:
	MOVQ $202, AX
	MOVQ AX, (S_CALLS+0)(R12)
	MOVQ UC_RDI(R15), AX
	MOVQ AX, (S_CALLS+8)(R12)
	MOVQ UC_RSI(R15), AX
	MOVQ AX, (S_CALLS+16)(R12)
	MOVQ UC_RDX(R15), AX
	MOVQ AX, (S_CALLS+24)(R12)
	MOVQ UC_R10(R15), AX
	MOVQ AX, (S_CALLS+32)(R12)
	MOVQ UC_R8(R15), AX
	MOVQ AX, (S_CALLS+40)(R12)
	MOVQ UC_R9(R15), AX
	MOVQ AX, (S_CALLS+48)(R12)
	MOVL CODE_LOCAL_INTERRUPTED, R14

	// A host call that may wait (the first of the calls, for the frame R15). The
	// kick signal is let through around it; in [L_BEGIN, L_END) its handler
	// knows that nothing has happened yet and goes to L_CANCEL. R14 is the code for
	// the server when nothing has.
wait:
	MOVL $14, AX                // rt_sigprocmask
	MOVL $1, DI                 // SIG_UNBLOCK
	LEAQ S_KICKSET(R12), SI
	XORL DX, DX
	MOVL $8, R10
	SYSCALL
	MOVL $1, S_HOSTCALL
	LABEL(L_BEGIN)
	CMPL S_KICK, $0
	JNE  cancel
	MOVQ (S_CALLS+0)(R12), AX
	MOVQ (S_CALLS+8)(R12), DI
	MOVQ (S_CALLS+16)(R12), SI
	MOVQ (S_CALLS+24)(R12), DX
	MOVQ (S_CALLS+32)(R12), R10
	MOVQ (S_CALLS+40)(R12), R8
	MOVQ (S_CALLS+48)(R12), R9
	SYSCALL
	LABEL(L_END)
	MOVQ AX, R13
	JMP  waited
cancel:
	LABEL(L_CANCEL)
	MOVQ $-4, R13               // EINTR
waited:
	MOVL $0, S_HOSTCALL
	MOVL $14, AX
	MOVL $0, DI                 // SIG_BLOCK
	LEAQ S_KICKSET(R12), SI
	XORL DX, DX
	MOVL $8, R10
	SYSCALL
	MOVQ R13, (S_CALLS+56)(R12)
	CMPQ R13, $-4
	JEQ  interrupted
	CMPL R14, CODE_GRANT_INTERRUPTED
	JEQ  streamed
done:
	MOVQ R13, UC_RAX(R15)
	CMPL S_KICK, $0
	JEQ  resume
	MOVL CODE_COMPLETED, S_CODE
	JMP  trapped
interrupted:
	MOVL $0, S_BUSY
	MOVL R14, S_CODE
	JMP  trapped
streamed:
	MOVL $0, S_BUSY
	CMPQ R13, $-11              // EAGAIN: the flag is the guest's own
	JEQ  done
	CMPQ R13, $-4096
	JLS  moved
	CMPQ R13, $-100             // ENETDOWN and on: what a socket tells only once
	JLS  done
	JMP  trapped
moved:
	MOVQ UC_RSP(R15), CX
	MOVQ CX, S_LASTSP
	MOVQ (S_CALLS+0)(R12), AX
	CMPQ AX, $1
	JEQ  written
	CMPQ AX, $44
	JNE  done
written:
	CMPQ R13, UC_RDX(R15)
	JCC  done
	MOVQ R13, UC_RAX(R15)       // broken off, perhaps for nothing
	MOVL CODE_SHORT, S_CODE
	JMP  trapped

	// The kick: the server wants this thread. In the guest's code it is a trap.
kick:
	MOVQ UC_RIP(DX), AX
	MOVQ AX, CX
	MOVQ TEXT_BASE, BX
	SUBQ BX, CX
	CMPQ CX, TEXT_SIZE
	JAE  trap
	CMPQ AX, S_RANGE_BEGIN
	JB   kicked
	CMPQ AX, S_RANGE_END
	JAE  kicked
	MOVQ S_RANGE_CANCEL, AX
	MOVQ AX, UC_RIP(DX)
kicked:
	MOVQ DX, SP
	MOVL $15, AX
	SYSCALL
	INT  $3

	// It is the server's turn. Wake it if it sleeps, spin as long as it said,
	// then sleep.
trapped:
	MOVL STATE_TRAP, AX
	XCHGL AX, S_STATE
	CMPL S_SERVER_SLEEPS, $0
	JEQ  spin
	MOVQ R12, DI
	MOVL $1, SI                 // FUTEX_WAKE, not private: two processes
	MOVL $1, DX
	XORL R10, R10
	MOVL $202, AX
	SYSCALL
spin:
	MOVL S_SPIN, CX
spinning:
	CMPL S_STATE, STATE_TRAP
	JNE  command
	SUBL $1, CX
	JLE  sleep
	CMPL S_SPIN, $0             // the answer will take long
	JEQ  sleep
	PAUSE
	JMP  spinning
sleep:
	MOVL $1, AX
	XCHGL AX, S_STUB_SLEEPS
sleeping:
	CMPL S_STATE, STATE_TRAP
	JNE  awake
	MOVQ R12, DI
	XORL SI, SI                 // FUTEX_WAIT
	MOVL STATE_TRAP, DX
	XORL R10, R10
	MOVL $202, AX
	SYSCALL
	JMP  sleeping
awake:
	MOVL $0, S_STUB_SLEEPS

command:
	MOVL S_OP, AX
	CMPL AX, $OP_RESUME
	JEQ  resume
	CMPL AX, $OP_CALLS
	JEQ  calls
	CMPL AX, $OP_CALLS_RESUME
	JEQ  calls
	CMPL AX, $OP_FORK
	JEQ  clone
	CMPL AX, $OP_THREAD
	JEQ  clone
	CMPL AX, $OP_WAIT
	JEQ  waitcall
	CMPL AX, $OP_PROBE
	JEQ  probe
	MOVL $60, AX                // exit; the kernel then clears the state
	XORL DI, DI
	SYSCALL
	INT  $3

waitcall:
	MOVQ S_FRAME, R15
	MOVL CODE_INTERRUPTED, R14
	JMP  wait

resume:
	MOVQ S_FRAME, SP
	MOVL $15, AX
	SYSCALL
	INT  $3

	// A call that the filter does not let through makes the first frame.
probe:
	MOVL $39, AX                // getpid
	SYSCALL
	INT  $3

calls:
	MOVL S_COUNT, R13
	LEAQ S_CALLS(R12), R14
nextcall:
	CMPL R13, $0
	JLE  called
	MOVQ 0(R14), AX
	MOVQ 8(R14), DI
	MOVQ 16(R14), SI
	MOVQ 24(R14), DX
	MOVQ 32(R14), R10
	MOVQ 40(R14), R8
	MOVQ 48(R14), R9
	SYSCALL
	MOVQ AX, 56(R14)
	ADDQ $64, R14
	SUBL $1, R13
	JMP  nextcall
called:
	CMPL S_OP, $OP_CALLS_RESUME
	JNE  trapped
	MOVQ S_FRAME, SP
	MOVQ AX, UC_RAX(SP)
	MOVL $15, AX
	SYSCALL
	INT  $3

	// A new process or thread. The child dies with the server first of all: this
	// is the only place from which the filter lets clone through, so no child
	// can skip it.
clone:
	MOVL S_OP, R13
	LEAQ S_CALLS(R12), R14
	CMPL R13, $OP_FORK
	JNE  cloning
	MOVQ 0(R14), AX             // a new process's descriptors come first
	MOVQ 8(R14), DI
	MOVQ 16(R14), SI
	MOVQ 24(R14), DX
	SYSCALL
	MOVQ AX, 56(R14)
	ADDQ $64, R14
	CMPQ AX, $0
	JLT  trapped
cloning:
	MOVL S_PPID, BX
	MOVQ 8(R14), DI
	MOVQ 16(R14), SI
	MOVQ 24(R14), DX
	MOVQ 32(R14), R10
	MOVQ 40(R14), R8
	MOVL $56, AX
	SYSCALL
	LABEL(L_CLONE)
	CMPQ AX, $0
	JEQ  child
	MOVQ AX, 56(R14)
	CMPL R13, $OP_FORK
	JNE  trapped
	MOVL $3, AX                 // close(1), close(2): they are the child's
	MOVL $1, DI
	SYSCALL
	MOVL $3, AX
	MOVL $2, DI
	SYSCALL
	JMP  trapped
child:
	MOVL $157, AX               // prctl
	MOVL $1, DI                 // PR_SET_PDEATHSIG
	MOVL $9, SI
	XORL DX, DX
	XORL R10, R10
	XORL R8, R8
	SYSCALL
	MOVL $110, AX               // getppid: did the server die before that?
	SYSCALL
	CMPL AX, BX
	JNE  orphan
	CMPL R13, $OP_FORK
	JNE  newthread
	MOVL $9, AX                 // the child's own slots over the parent's
	MOVQ SLOTS_BASE, DI
	MOVQ SLOTS_SIZE, SI
	MOVL $3, DX
	MOVL $0x11, R10
	MOVL $1, R8
	XORL R9, R9
	SYSCALL
	CMPQ AX, DI
	JNE  orphan
	MOVL $3, AX                 // close(1)
	MOVL $1, DI
	SYSCALL
	MOVL $33, AX                // dup2(2, 0)
	MOVL $2, DI
	XORL SI, SI
	SYSCALL
	MOVL $436, AX               // close_range: 2, and what the parent was granted
	MOVL $1, DI
	MOVL $-1, SI
	XORL DX, DX
	SYSCALL
	CMPQ AX, $0
	JNE  orphan
	JMP  trapped
newthread:
	LEAQ -1(SP), R12
	ANDQ SLOT_MASK, R12
	MOVL $131, AX               // sigaltstack
	LEAQ S_ALTSTACK(R12), DI
	XORL SI, SI
	SYSCALL
	JMP  trapped
orphan:
	MOVL $231, AX               // exit_group
	MOVL $1, DI
	SYSCALL
	LABEL(L_LAST)
	INT  $3
	RET

// func spinWhile(addr *uint32, v uint32, n uint32) uint32
// reads *addr up to n times, until it is not v, and returns what it read last.
TEXT ·spinWhile(SB), NOSPLIT, $0-20
	MOVQ addr+0(FP), DI
	MOVL v+8(FP), SI
	MOVL n+12(FP), CX
again:
	MOVL (DI), AX
	CMPL AX, SI
	JNE  out
	SUBL $1, CX
	JLE  out
	PAUSE
	JMP  again
out:
	MOVL AX, ret+16(FP)
	RET

// func stubAddr() unsafe.Pointer
TEXT ·stubAddr(SB), NOSPLIT, $0-8
	LEAQ ·stubCode(SB), AX
	MOVQ AX, ret+0(FP)
	RET
