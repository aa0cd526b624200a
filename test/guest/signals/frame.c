#include "check.h"
#include <immintrin.h>

static void *altlow, *althigh;
static volatile int bad;
static uint64_t before[8], after[8];

static void onalt(int s, siginfo_t *i, void *u) {
	int x;
	ucontext_t *uc = u;
	stack_t st;
	sigaltstack(0, &st);
	say("on alternate stack %d flags %d saved flags %d\n", (void *)&x > altlow && (void *)&x < althigh, st.ss_flags, uc->uc_stack.ss_flags);
	say("frame aligned %d, frame flags %lx\n", (int)(((uintptr_t)__builtin_frame_address(0)) % 16), (long)uc->uc_flags);
}

static void clobber(int s, siginfo_t *i, void *u) {
	ucontext_t *uc = u;
	// Handlers may use every register.
	__asm__ volatile("vpxor %%ymm0,%%ymm0,%%ymm0; vpxor %%ymm15,%%ymm15,%%ymm15; fninit; std; cld" ::: "xmm0", "xmm15");
	uc->uc_mcontext.gregs[REG_R12] = 0x1234;
}

__attribute__((noinline, target("avx"))) static uint64_t keep(void) {
	uint64_t r12;
	uint64_t v[4] = {1, 2, 3, 0xfeedfacecafebeef}, w[4] = {0};
	__asm__ volatile(
	    "vmovdqu %2, %%ymm15\n mov $0x55, %%r12\n"
	    "mov $39, %%eax\n"
	    "mov %3, %%rdi\n mov %4, %%rsi\n mov %5, %%rdx\n mov $234, %%eax\n"
	    "subq $256, %%rsp\n movq $77, 120(%%rsp)\n syscall\n cmpq $77, 120(%%rsp)\n je 1f\n movl $1, %6\n1: addq $256, %%rsp\n"
	    "vmovdqu %%ymm15, %0\n mov %%r12, %1\n"
	    : "=m"(w), "=r"(r12)
	    : "m"(v), "r"((long)getpid()), "r"((long)syscall(SYS_gettid)), "r"((long)SIGUSR1), "m"(bad)
	    : "rax", "rcx", "rdx", "rdi", "rsi", "r11", "r12", "xmm15", "memory");
	say("ymm kept %d\n", memcmp(v, w, sizeof v) == 0);
	return r12;
}

static sigjmp_buf env;
static void jump(int s) { siglongjmp(env, 1); }

static void modify(int s, siginfo_t *i, void *u) {
	ucontext_t *uc = u;
	float *x = (float *)&uc->uc_mcontext.fpregs->_xmm[3];
	*x = 2.5;
}

static void nothing(int s) {}

static void disarm(int s, siginfo_t *i, void *u) {
	stack_t st;
	sigaltstack(0, &st);
	int x;
	say("disarmed %d saved %x on it %d\n", st.ss_flags, ((ucontext_t *)u)->uc_stack.ss_flags, (void *)&x > altlow && (void *)&x < althigh);
}

int main(void) {
	size_t size = 256 << 10;
	altlow = malloc(size);
	althigh = (char *)altlow + size;
	stack_t st = {.ss_sp = altlow, .ss_size = size};
	show(sigaltstack(&st, 0));
	on3(SIGUSR1, onalt, SA_ONSTACK);
	raise(SIGUSR1);
	sigaltstack(0, &st);
	say("outside flags %d\n", st.ss_flags);
	on3(SIGUSR1, onalt, 0);
	raise(SIGUSR1);
	if (__builtin_cpu_supports("avx")) {
		on3(SIGUSR1, clobber, 0);
		say("r12 %lx bad %d\n", (long)keep(), bad);
	}
	on3(SIGUSR1, modify, 0);
	float f;
	__asm__ volatile("pxor %%xmm3, %%xmm3\n mov $234, %%eax\n syscall\n movss %%xmm3, %0"
	                 : "=m"(f) : "D"((long)getpid()), "S"((long)getpid()), "d"((long)SIGUSR1) : "rax", "rcx", "r11", "xmm3", "memory");
	say("xmm3 %g\n", f);

	on(SIGSEGV, jump, SA_ONSTACK);
	for (int i = 0; i < 3; i++)
		if (sigsetjmp(env, 1) == 0) *(volatile int *)8 = 1;
		else say("jumped\n");
	on(SIGSEGV, nothing, 0);

	st = (stack_t){.ss_sp = altlow, .ss_size = size, .ss_flags = 1 << 31};
	show(sigaltstack(&st, 0));
	on3(SIGUSR1, disarm, SA_ONSTACK);
	raise(SIGUSR1);
	sigaltstack(0, &st);
	say("armed again %x\n", st.ss_flags);
	st.ss_size = 100;
	st.ss_flags = 0;
	show(sigaltstack(&st, 0));
	st.ss_flags = 7;
	show(sigaltstack(&st, 0));
	st.ss_flags = SS_DISABLE;
	show(sigaltstack(&st, 0));

	// A bad stack pointer kills.
	for (int mode = 0; mode < 4; mode++) {
		pid_t p = fork();
		if (p == 0) {
			on(SIGUSR1, nothing, 0);
			if (mode == 0)
				__asm__ volatile("mov $0x1000, %%rsp\n mov $234, %%eax\n syscall\n hlt" ::"D"((long)getpid()), "S"((long)getpid()), "d"((long)SIGUSR1));
			if (mode == 1) // rt_sigreturn without a frame
				__asm__ volatile("mov $0x1000, %%rsp\n mov $15, %%eax\n syscall\n" ::);
			if (mode == 2) { // garbage frame
				static char junk[8192] __attribute__((aligned(64)));
				memset(junk, 0xff, sizeof junk);
				__asm__ volatile("mov %0, %%rsp\n mov $15, %%eax\n syscall\n" ::"r"(junk + 1024));
			}
			if (mode == 3) {
				signal(SIGSEGV, SIG_IGN);
				*(volatile int *)8 = 1;
			}
			_exit(1);
		}
		int status;
		waitpid(p, &status, 0);
		say("mode %d signal %d\n", mode, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	}
	return 0;
}
