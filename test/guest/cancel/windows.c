// A cancellation that is asked for while a handler runs over a call that waits:
// the handler ends undisturbed, and what it waits for itself is a cancellation
// point.
#include "points.h"

static volatile int inside, leave_it, mode, got;
static volatile uintptr_t flags_seen;
static int inner[2];
static jmp_buf away;
enum { COMPUTES, CALLS, READS, JUMPS, MODES };

static void note(void *x) { say(" %s", (char *)x); }

static void over(int sig, siginfo_t *info, void *context) {
	char c;
	flags_seen |= ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];
	inside = 1;
	switch (mode) {
	case COMPUTES:
	case JUMPS:
		while (!leave_it)
			;
		if (mode == JUMPS)
			longjmp(away, 1);
		break;
	case CALLS:
		while (!leave_it)
			syscall(SYS_getppid), syscall(SYS_sched_yield), syscall(SYS_fcntl, inner[0], F_GETFD);
		break;
	case READS:
		pthread_cleanup_push(note, "in handler");
		read(inner[0], &c, 1);
		pthread_cleanup_pop(0);
		break;
	}
	inside = 2;
}

static void count(void *x) { say(" handler=%d got=%d", inside, got); }

static void *reader(void *x) {
	char c;
	pthread_cleanup_push(count, 0);
	waiter_tid = gettid();
	ready = 1;
	if (setjmp(away) == 0)
		got = read(a, &c, 1);
	for (;;)
		pthread_testcancel(), syscall(SYS_getppid);
	pthread_cleanup_pop(0);
}

static void one(const char *what, int flags) {
	static const char *modes[] = {"computes", "calls", "reads", "jumps"};
	for (mode = 0; mode < MODES; mode++) {
		void *end;
		say("%s, the handler %s:", what, modes[mode]);
		new_pair();
		pipe(inner);
		on3(SIGUSR1, over, flags);
		inside = leave_it = ready = got = 0;
		pthread_create(&waiter, 0, reader, 0);
		settle();
		pthread_kill(waiter, SIGUSR1);
		while (!inside)
			;
		if (mode == READS)
			while (state(getpid(), waiter_tid) != 'S')
				sched_yield();
		pthread_cancel(waiter);
		leave_it = 1;
		pthread_join(waiter, &end);
		say(" cancelled=%d", end == PTHREAD_CANCELED);
		say("\n");
		close(inner[0]);
		close(inner[1]);
		tidy();
	}
}

int main(void) {
	one("waits", 0);
	one("waits, restarts", SA_RESTART);
	say("trap flag seen: %d\n", !!(flags_seen & 0x100));
	return 0;
}
