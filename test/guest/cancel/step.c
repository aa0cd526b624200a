// Signal 32 from the own process around system calls, in a program that looks at
// the trap flag or sets it itself: each signal arrives once, no flag is seen that
// the program has not set, and what it traces, it traces.
#include "../signals/check.h"

static volatile long handled, seen, traced;
static volatile int done, tid;

struct kernel_action { void (*handler)(int, siginfo_t *, void *); unsigned long flags; void (*restorer)(void); unsigned long mask; };
__asm__("restore: mov $15, %eax\n syscall\n");
extern void restore(void);

static void handler(int sig, siginfo_t *info, void *context) {
	handled++;
	seen += !!(((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] & 0x100);
}
static void handle(int flags) {
	struct kernel_action a = {handler, SA_SIGINFO | 0x04000000 | flags, restore, 0};
	syscall(SYS_rt_sigaction, 32, &a, 0, 8);
}

// A call, and at once a look at the flags.
static long call(long nr, long x, const void *y, long z, unsigned long *flags) {
	long r;
	__asm__ volatile("lea -512(%%rsp), %%rsp\n syscall\n pushfq\n pop %1\n lea 512(%%rsp), %%rsp"
		: "=a"(r), "=r"(*flags) : "0"(nr), "D"(x), "S"(y), "d"(z) : "rcx", "r11", "memory");
	return r;
}
// The same without anything that looks, so that steps follow.
static long plain(long nr, long x, const void *y, long z) {
	long r;
	__asm__ volatile("syscall\n mov $40, %%ecx\n 1: dec %%ecx\n jnz 1b"
		: "=a"(r) : "0"(nr), "D"(x), "S"(y), "d"(z) : "rcx", "r11", "memory");
	return r;
}

static int null, pipes[2];
static long calls;
static void *looker(void *x) {
	unsigned long flags;
	char c;
	tid = gettid();
	while (!done) {
		calls += call(SYS_write, null, "x", 1, &flags) != 1;
		seen += !!(flags & 0x100);
		calls += plain(SYS_write, null, "x", 1) != 1;
		calls += plain(SYS_getppid, 0, 0, 0) < 0;
		__asm__ volatile("pushfq\n pop %0" : "=r"(flags));
		seen += !!(flags & 0x100);
		calls += plain(SYS_write, pipes[1], "x", 1) != 1;
		calls += plain(SYS_read, pipes[0], &c, 1) != 1;
	}
	return 0;
}

static void trap(int sig, siginfo_t *info, void *context) { traced += info->si_code == TRAP_TRACE; }
static void *tracer(void *x) {
	tid = gettid();
	for (int i = 0; i < 100; i++) {
		// Ten instructions and a call under the own trap flag.
		long r;
		__asm__ volatile("pushfq\n orl $0x100, (%%rsp)\n popfq\n nop\n nop\n nop\n nop\n nop\n syscall\n nop\n nop\n"
			"pushfq\n andl $~0x100, (%%rsp)\n popfq\n"
			: "=a"(r) : "0"(SYS_write), "D"(null), "S"("x"), "d"(1) : "rcx", "r11", "memory");
		calls += r != 1;
		traced -= 10;
	}
	return 0;
}

static void storm(const char *what, void *(*body)(void *), int n) {
	pthread_t t;
	done = tid = handled = seen = calls = traced = 0;
	pthread_create(&t, 0, body, 0);
	while (!tid)
		sched_yield();
	for (long i = 0; i < n; i++) {
		syscall(SYS_tgkill, getpid(), tid, 32);
		while (handled <= i)
			sched_yield();
	}
	done = 1;
	pthread_join(t, 0);
	say("%s: %ld handled, %ld flags seen, %ld calls failed, %ld steps too many\n", what, handled, seen, calls, traced);
}

int main(void) {
	null = open("/dev/null", O_WRONLY);
	pipe(pipes);
	handle(SA_RESTART);
	storm("looks", looker, 1000);
	// The program's own steps, with no other signal.
	on3(SIGTRAP, trap, 0);
	storm("traces", tracer, 0);
	return 0;
}
