#include "go_asm.h"
#include "textflag.h"

#define SYS_rt_sigaction 13
#define SYS_rt_sigreturn 15
#define SYS_getpid 39
#define SYS_gettid 186
#define SYS_futex 202
#define SYS_tgkill 234
#define FUTEX_WAIT_PRIVATE 128
#define SI_TKILL -6
#define SI_USER 0

// Offsets in the signal frame (struct ucontext, siginfo_t).
#define UC_STACK_SP 16
#define UC_STACK_SIZE 32
#define UC_R12 72
#define UC_RSP 160
#define UC_RIP 168
#define UC_SIGMASK 296
#define SI_CODE 8
#define SI_PID 16

// callRange is the range. R12 holds the op; the handler relies on it. The kernel keeps all registers but AX, CX, R11.
TEXT callRange<>(SB), NOSPLIT|NOFRAME, $0-0
	CMPL	op_flag(R12), $0
	JNE	cancelled
	SYSCALL
	// rangeEnd is here.
	RET
cancelled:
	JMP	callLeft<>(SB)

// callLeft is where the handler moves a thread that it finds in the range.
TEXT callLeft<>(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ	$const_left, AX
	XORL	DX, DX
	RET

// func invoke(o *op, c *call)
TEXT ·invoke(SB), NOSPLIT, $0-16
	CALL	runtime·entersyscall(SB)
	MOVQ	o+0(FP), R12
	MOVQ	c+8(FP), R13
	CALL	body<>(SB)
	CALL	runtime·exitsyscall(SB)
	RET

// body is all that a cancel's signal can interrupt, with callRange and callLeft, unless another handler runs on top.
// R12 holds the op throughout; the handler relies on it.
TEXT body<>(SB), NOSPLIT, $0-0
	MOVQ	·gToM(SB), AX
	TESTQ	AX, AX
	JEQ	ask
	MOVQ	(TLS), BX
	MOVQ	(BX)(AX*1), BX
	MOVQ	·mToTID(SB), AX
	MOVQ	(BX)(AX*1), AX
	JMP	publish
ask:
	MOVL	$SYS_gettid, AX
	SYSCALL
publish:
	// XCHG is a full barrier: the thread is seen by others before the word is tested below.
	XCHGL	AX, op_tid(R12)

	MOVQ	call_trap(R13), AX
	MOVQ	(call_a+0)(R13), DI
	ADDQ	(call_p+0)(R13), DI
	MOVQ	(call_a+8)(R13), SI
	ADDQ	(call_p+8)(R13), SI
	MOVQ	(call_a+16)(R13), DX
	ADDQ	(call_p+16)(R13), DX
	MOVQ	(call_a+24)(R13), R10
	ADDQ	(call_p+24)(R13), R10
	MOVQ	(call_a+32)(R13), R8
	ADDQ	(call_p+32)(R13), R8
	MOVQ	(call_a+40)(R13), R9
	ADDQ	(call_p+40)(R13), R9
	CALL	callRange<>(SB)
	MOVQ	AX, call_r1(R13)
	MOVQ	DX, call_r2(R13)

	// Settle.
	MOVL	$0, op_tid(R12)
	MOVL	$const_opRunning, AX
	MOVL	$const_opDone, CX
	LOCK
	CMPXCHGL	CX, op_state(R12)
	JEQ	settled
wait:
	CMPL	op_state(R12), $const_opStriking
	JNE	flush
	LEAQ	op_state(R12), DI
	MOVL	$FUTEX_WAIT_PRIVATE, SI
	MOVL	$const_opStriking, DX
	XORL	R10, R10
	MOVL	$SYS_futex, AX
	SYSCALL
	JMP	wait
flush:
	// A signal that was sent is taken at the latest on the way out of a system call: take it here, on this thread,
	// so that it cannot interrupt what the thread does next.
	MOVL	$SYS_getpid, AX
	SYSCALL
settled:
	RET

// WITHIN jumps to yes if AX is in the extent that is at lo and hi.
#define WITHIN(lo, hi, yes) \
	CMPQ	AX, ·extents+lo(SB) \
	JCS	3(PC) \
	CMPQ	AX, ·extents+hi(SB) \
	JCS	yes

// handler is the signal handler. The kernel enters it with the C calling convention on the thread's signal stack, all
// other signals masked; its return restores every register from the frame. It may run on any thread. Whether a signal
// is a cancel's it tells from where the thread stands and from the op, because what siginfo says of the sender does not
// do: the kernel drops it when the user has too many signals pending, and merges signals that come together.
TEXT ·handler(SB), NOSPLIT|NOFRAME|TOPFRAME, $0-0
	MOVQ	UC_RIP(DX), AX
	CMPQ	AX, ·rangeBegin(SB)
	JCS	outside
	CMPQ	AX, ·rangeEnd(SB)
	JCC	outside
	MOVQ	UC_R12(DX), BX
	CMPL	op_flag(BX), $0
	JEQ	foreign
	MOVQ	$callLeft<>(SB), AX
	MOVQ	AX, UC_RIP(DX)
	JMP	merged
outside:
	MOVQ	UC_RSP(DX), BX
	SUBQ	UC_STACK_SP(DX), BX
	CMPQ	BX, UC_STACK_SIZE(DX)
	JCS	above
	WITHIN(0, 8, inside)
	WITHIN(16, 24, inside)
	WITHIN(32, 40, inside)
	JMP	foreign
inside:
	MOVQ	UC_R12(DX), BX
	CMPL	op_state(BX), $const_opStriking
	JEQ	merged
	CMPL	op_state(BX), $const_opStruck
	JNE	foreign
merged:
	// A cancel's. If its siginfo is somebody else's, that one's signal has come with it, or just before it.
	CMPL	SI_CODE(SI), $SI_TKILL
	JEQ	sender
	CMPL	SI_CODE(SI), $SI_USER
	JNE	foreign
	CMPL	SI_PID(SI), $0 // dropped
	JEQ	done
	JMP	foreign
sender:
	MOVL	SI_PID(SI), AX
	CMPL	AX, ·ownPID(SB)
	JNE	foreign
done:
	RET
above:
	// It interrupted another handler, and the call may be below that one: mask the signal for the rest of that handler
	// and send it once more, so that it comes when that handler has returned.
	MOVL	DI, CX
	DECL	CX
	MOVL	$1, AX
	SHLQ	CX, AX
	ORQ	AX, UC_SIGMASK(DX)
	MOVL	DI, R12
again:
	MOVL	$SYS_gettid, AX
	SYSCALL
	MOVL	AX, SI
	MOVL	·ownPID(SB), DI
	MOVL	R12, DX
	MOVL	$SYS_tgkill, AX
	SYSCALL
	RET
foreign:
	MOVQ	·oldHandler(SB), AX
	CMPQ	AX, $1 // SIG_IGN
	JEQ	done
	JCS	default
	JMP	AX
default:
	// SIG_DFL, where a Go runtime is a library: the program ends, as each of the possible signals would have it.
	MOVL	DI, R12
	SUBQ	$40, SP
	MOVQ	$0, 0(SP)
	MOVQ	$0, 8(SP)
	MOVQ	$0, 16(SP)
	MOVQ	$0, 24(SP)
	MOVQ	SP, SI
	XORL	DX, DX
	MOVL	$8, R10
	MOVL	$SYS_rt_sigaction, AX
	SYSCALL
	ADDQ	$40, SP
	JMP	again

TEXT ·restorer(SB), NOSPLIT|NOFRAME|TOPFRAME, $0-0
	MOVQ	$SYS_rt_sigreturn, AX
	SYSCALL
	INT	$3

// func getg() uintptr
TEXT ·getg(SB), NOSPLIT, $0-8
	MOVQ	(TLS), AX
	MOVQ	AX, ret+0(FP)
	RET

// func codeAddrs() (begin, out, body, handler, restorer, entry uintptr)
TEXT ·codeAddrs(SB), NOSPLIT, $0-48
	MOVQ	$callRange<>(SB), AX
	MOVQ	AX, begin+0(FP)
	MOVQ	$callLeft<>(SB), AX
	MOVQ	AX, out+8(FP)
	MOVQ	$body<>(SB), AX
	MOVQ	AX, body+16(FP)
	MOVQ	$·handler(SB), AX
	MOVQ	AX, handler+24(FP)
	MOVQ	$·restorer(SB), AX
	MOVQ	AX, restorer+32(FP)
	MOVQ	$·invoke(SB), AX
	MOVQ	AX, entry+40(FP)
	RET
