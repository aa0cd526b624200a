// Handlers that return through frames they have damaged. Each child may end as
// it likes, but must end; nobody else may notice.
#include "check.h"

static uint64_t state;
static uint64_t rnd(void) { return state = state * 6364136223846793005ull + 1442695040888963407ull, state >> 17; }

static const uint64_t nasty[] = {0, 1, 8, 0x23, 0x33, 0x2b, 0xffff, 0x1000, 1ull << 63, 0x800000000000, 0x7fffffffffff, 0xffffffffffffffff, 0x7e9000000000, 0x7e9000000100, 0x7e9010000000, 0xffff800000000000};

static void damage(int s, siginfo_t *i, void *u) {
	ucontext_t *uc = u;
	uint64_t value = rnd() % 2 ? nasty[rnd() % (sizeof nasty / sizeof *nasty)] : rnd() << 20 ^ rnd();
	unsigned char *fp = (void *)uc->uc_mcontext.fpregs;
	switch (rnd() % 9) {
	case 0: uc->uc_mcontext.gregs[rnd() % 23] = value; break;
	case 1: uc->uc_mcontext.fpregs = (void *)value; break;
	case 2: uc->uc_flags = value; break;
	case 3: memset(fp + 464 + rnd() % 40, value, 4); break;         // the sizes and magic
	case 4: memcpy(fp + 512 + rnd() % 8 * 8, &value, 8); break;     // the XSAVE header
	case 5: memcpy(fp + 24, &value, 4); break;                      // MXCSR
	case 6: uc->uc_stack.ss_sp = (void *)value, uc->uc_stack.ss_size = rnd(), uc->uc_stack.ss_flags = rnd(); break;
	case 7: memcpy(&uc->uc_sigmask, &value, 8); break;
	case 8:
		for (int k = 0; k < 40; k++) fp[rnd() % 832] = rnd();
		break;
	}
	if (rnd() % 4 == 0) uc->uc_mcontext.fpregs = (void *)((char *)uc->uc_mcontext.fpregs + rnd() % 16 * 8);
}

int main(void) {
	for (int i = 0; i < 400; i++) {
		pid_t p = fork();
		if (p == 0) {
			state = i * 7919 + 1;
			for (int s = 1; s < 32; s++)
				if (s != SIGUSR1 && s != SIGALRM) signal(s, SIG_DFL);
			on3(SIGUSR1, damage, 0);
			alarm(2); // it may spin, but not for ever
			raise(SIGUSR1);
			raise(SIGUSR1);
			_exit(0);
		}
		int st;
		if (waitpid(p, &st, 0) != p) say("lost %d\n", i);
		if (WIFSTOPPED(st)) say("stopped %d\n", i);
	}
	int r = 0;
	double x = 1;
	for (int i = 0; i < 10; i++) x *= 1.5;
	say("whole %g\n", x);
	return 0;
}
