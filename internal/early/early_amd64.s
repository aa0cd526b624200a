#include "textflag.h"

// func getrlimit(resource int, l *Limit) int
TEXT ·getrlimit(SB), NOSPLIT, $0-24
	MOVQ resource+0(FP), DI
	MOVQ l+8(FP), SI
	MOVL $97, AX
	SYSCALL
	MOVQ AX, ret+16(FP)
	RET
