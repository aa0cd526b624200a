#include "go_asm.h"
#include "textflag.h"

#define SYS_rt_sigaction 134
#define SYS_rt_sigreturn 139
#define SYS_getpid 172
#define SYS_gettid 178
#define SYS_futex 98
#define SYS_tgkill 131
#define FUTEX_WAIT_PRIVATE 128

// Offsets in the signal frame (struct ucontext, siginfo_t).
#define UC_STACK_SP 16
#define UC_STACK_SIZE 32
#define UC_SIGMASK 40
#define UC_R19 336
#define UC_SP 432
#define UC_PC 440
#define SI_CODE 8
#define SI_PID 16

// callRange is the range. R19 holds the address of the op, whose first field is the cancel word; the handler relies
// on it. The kernel keeps all registers but R0.
TEXT callRange<>(SB), NOSPLIT|NOFRAME, $0-0
	LDARW	(R19), R9
	CBNZ	R9, cancelled
	SVC
	// rangeEnd is here.
	RET
cancelled:
	B	callLeft<>(SB)

// callLeft is where the handler moves a thread that it finds in the range.
TEXT callLeft<>(SB), NOSPLIT|NOFRAME, $0-0
	MOVD	$const_left, R0
	MOVD	ZR, R1
	RET

// func invoke(o *op, c *call)
TEXT ·invoke(SB), NOSPLIT, $0-16
	BL	runtime·entersyscall(SB)
	MOVD	o+0(FP), R19
	MOVD	c+8(FP), R20
	BL	body<>(SB)
	BL	runtime·exitsyscall(SB)
	RET

// body is all that a cancel's signal can interrupt, with callRange and callLeft, unless another handler runs on top.
// R19 holds the op throughout; the handler relies on it.
TEXT body<>(SB), NOSPLIT, $0-0
	MOVD	·gToM(SB), R9
	CBZ	R9, ask
	ADD	g, R9
	MOVD	(R9), R10
	MOVD	·mToTID(SB), R9
	ADD	R10, R9
	MOVD	(R9), R0
	B	publish
ask:
	MOVD	$SYS_gettid, R8
	SVC
publish:
	// A store-release and the load-acquire in the range keep their order: the thread is seen by others before the word
	// is tested.
	ADD	$op_tid, R19, R9
	STLRW	R0, (R9)

	MOVD	call_trap(R20), R8
	MOVD	(call_a+0)(R20), R0
	MOVD	(call_p+0)(R20), R9
	ADD	R9, R0
	MOVD	(call_a+8)(R20), R1
	MOVD	(call_p+8)(R20), R9
	ADD	R9, R1
	MOVD	(call_a+16)(R20), R2
	MOVD	(call_p+16)(R20), R9
	ADD	R9, R2
	MOVD	(call_a+24)(R20), R3
	MOVD	(call_p+24)(R20), R9
	ADD	R9, R3
	MOVD	(call_a+32)(R20), R4
	MOVD	(call_p+32)(R20), R9
	ADD	R9, R4
	MOVD	(call_a+40)(R20), R5
	MOVD	(call_p+40)(R20), R9
	ADD	R9, R5
	BL	callRange<>(SB)
	MOVD	R0, call_r1(R20)
	MOVD	R1, call_r2(R20)

	// Settle.
	ADD	$op_tid, R19, R9
	STLRW	ZR, (R9)
	ADD	$op_state, R19, R21
	MOVD	$const_opDone, R11
swap:
	LDAXRW	(R21), R10
	CMPW	$const_opRunning, R10
	BNE	wait
	STLXRW	R11, (R21), R12
	CBNZ	R12, swap
	B	settled
wait:
	LDARW	(R21), R10
	CMPW	$const_opStriking, R10
	BNE	flush
	MOVD	R21, R0
	MOVD	$FUTEX_WAIT_PRIVATE, R1
	MOVD	$const_opStriking, R2
	MOVD	ZR, R3
	MOVD	$SYS_futex, R8
	SVC
	B	wait
flush:
	// A signal that was sent is taken at the latest on the way out of a system call: take it here, on this thread,
	// so that it cannot interrupt what the thread does next.
	MOVD	$SYS_getpid, R8
	SVC
settled:
	RET

// WITHIN jumps to yes if R9 is in the extent that is at lo and hi.
#define WITHIN(lo, hi, yes) \
	MOVD	·extents+lo(SB), R10 \
	CMP	R10, R9 \
	BLO	4(PC) \
	MOVD	·extents+hi(SB), R10 \
	CMP	R10, R9 \
	BLO	yes

// handler is the signal handler. The kernel enters it with the C calling convention on the thread's signal stack, all
// other signals masked; its return restores every register from the frame. It may run on any thread. Whether a signal
// is a cancel's it tells from where the thread stands and from the op, because what siginfo says of the sender does not
// do: the kernel drops it when the user has too many signals pending, and merges signals that come together.
TEXT ·handler(SB), NOSPLIT|NOFRAME|TOPFRAME, $0-0
	MOVD	UC_PC(R2), R9
	MOVD	·rangeBegin(SB), R10
	CMP	R10, R9
	BLO	outside
	MOVD	·rangeEnd(SB), R10
	CMP	R10, R9
	BHS	outside
	MOVD	UC_R19(R2), R9
	MOVWU	op_flag(R9), R9
	CBZ	R9, foreign
	MOVD	$callLeft<>(SB), R9
	MOVD	R9, UC_PC(R2)
	B	merged
outside:
	MOVD	UC_SP(R2), R11
	MOVD	UC_STACK_SP(R2), R10
	SUB	R10, R11
	MOVD	UC_STACK_SIZE(R2), R10
	CMP	R10, R11
	BLO	above
	WITHIN(0, 8, inside)
	WITHIN(16, 24, inside)
	WITHIN(32, 40, inside)
	B	foreign
inside:
	MOVD	UC_R19(R2), R9
	MOVWU	op_state(R9), R9
	CMPW	$const_opStriking, R9
	BEQ	merged
	CMPW	$const_opStruck, R9
	BNE	foreign
merged:
	// A cancel's. If its siginfo is somebody else's, that one's signal has come with it, or just before it.
	MOVW	SI_CODE(R1), R9
	CMNW	$6, R9 // SI_TKILL
	BEQ	sender
	CBNZW	R9, foreign // SI_USER
	MOVWU	SI_PID(R1), R9
	CBZW	R9, done // dropped
	B	foreign
sender:
	MOVWU	SI_PID(R1), R9
	MOVWU	·ownPID(SB), R10
	CMPW	R10, R9
	BNE	foreign
done:
	RET
above:
	// It interrupted another handler, and the call may be below that one: mask the signal for the rest of that handler
	// and send it once more, so that it comes when that handler has returned.
	SUB	$1, R0, R10
	MOVD	$1, R9
	LSL	R10, R9, R9
	MOVD	UC_SIGMASK(R2), R10
	ORR	R9, R10
	MOVD	R10, UC_SIGMASK(R2)
	MOVD	R0, R12
again:
	MOVD	$SYS_gettid, R8
	SVC
	MOVD	R0, R1
	MOVWU	·ownPID(SB), R0
	MOVD	R12, R2
	MOVD	$SYS_tgkill, R8
	SVC
	RET
foreign:
	MOVD	·oldHandler(SB), R9
	CMP	$1, R9 // SIG_IGN
	BEQ	done
	BLO	default
	B	(R9)
default:
	// SIG_DFL, where a Go runtime is a library: the program ends, as each of the possible signals would have it.
	MOVD	R0, R12
	SUB	$48, RSP
	MOVD	ZR, 8(RSP)
	MOVD	ZR, 16(RSP)
	MOVD	ZR, 24(RSP)
	MOVD	ZR, 32(RSP)
	ADD	$8, RSP, R1
	MOVD	ZR, R2
	MOVD	$8, R3
	MOVD	$SYS_rt_sigaction, R8
	SVC
	ADD	$48, RSP
	B	again

TEXT ·restorer(SB), NOSPLIT|NOFRAME|TOPFRAME, $0-0
	MOVD	$SYS_rt_sigreturn, R8
	SVC
	BRK

// func getg() uintptr
TEXT ·getg(SB), NOSPLIT, $0-8
	MOVD	g, ret+0(FP)
	RET

// func codeAddrs() (begin, out, body, handler, restorer, entry uintptr)
TEXT ·codeAddrs(SB), NOSPLIT, $0-48
	MOVD	$callRange<>(SB), R0
	MOVD	R0, begin+0(FP)
	MOVD	$callLeft<>(SB), R0
	MOVD	R0, out+8(FP)
	MOVD	$body<>(SB), R0
	MOVD	R0, body+16(FP)
	MOVD	$·handler(SB), R0
	MOVD	R0, handler+24(FP)
	MOVD	$·restorer(SB), R0
	MOVD	R0, restorer+32(FP)
	MOVD	$·invoke(SB), R0
	MOVD	R0, entry+40(FP)
	RET
