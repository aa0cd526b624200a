// Cancellation and handlers: requested inside one, while one runs over a call
// that waits, and of a thread that computes.
#include "points.h"

static volatile int inside, leave_it, mode;
static int inner[2];
static void note(void *x) { say(" %s", (char *)x); }

static void handler(int sig) {
	char c;
	switch (mode) {
	case 0: // asks for the cancellation itself; the call below is to be cancelled
		pthread_cancel(pthread_self());
		break;
	case 1: // computes while another asks
		inside = 1;
		while (!leave_it)
			;
		break;
	case 2: // its own read is the one that waits
		inside = 1;
		pthread_cleanup_push(note, "in handler");
		read(inner[0], &c, 1);
		pthread_cleanup_pop(0);
		break;
	case 3: // its own read completes before anyone asks
		read(inner[0], &c, 1);
		inside = 1;
		while (!leave_it)
			;
		break;
	case 4: // calls that are no cancellation points
		inside = 1;
		while (!leave_it)
			getppid(), sched_yield(), fcntl(inner[0], F_GETFD);
		say(" handled");
		break;
	}
}

static long (*waiting)(void);
static void *body(void *x) {
	waiter_tid = gettid();
	pthread_cleanup_push(note, "cleanup");
	ready = 1;
	long r = waiting();
	ready = 2;
	say(" returned %ld %s", r, r == -1 ? strerrorname(errno) : "");
	pthread_testcancel();
	say(" NOT CANCELLED");
	pthread_cleanup_pop(0);
	return 0;
}

static void one(const char *what, void (*prepare)(void), long (*call)(void), int flags, int full) {
	static const char *modes[] = {"asked by the handler", "asked while the handler computes", "the handler reads", "the handler has read", "other calls in the handler"};
	// musl sends no signal to the thread itself: a call that is begun again waits on.
	for (mode = flags & SA_RESTART ? 1 : 0; mode < 5; mode++) {
		void *end;
		on(SIGUSR1, handler, flags);
		prepare();
		pipe(inner);
		ready = inside = leave_it = 0;
		waiting = call;
		say("%s, %s%s:", what, modes[mode], flags & SA_RESTART ? ", restarts" : "");
		pthread_create(&waiter, 0, body, 0);
		settle();
		if (mode == 3)
			write(inner[1], "i", 1);
		pthread_kill(waiter, SIGUSR1);
		if (mode) {
			while (!inside)
				sched_yield();
			if (mode == 2)
				settle();
			if (full && mode != 2)
				put(); // ready now: a call that is begun again must still not take it
			pthread_cancel(waiter);
			leave_it = 1;
		}
		pthread_join(waiter, &end);
		say(" cancelled=%d", end == PTHREAD_CANCELED);
		if (full)
			has();
		say("\n");
		close(inner[0]);
		close(inner[1]);
		tidy();
	}
}

// Some musl leave the stack misaligned here: no printf.
static volatile int cleaned;
static void clean(void *x) { cleaned++; }
static void *compute(void *x) {
	pthread_cleanup_push(clean, 0);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, 0);
	ready = 1;
	for (;;)
		;
	pthread_cleanup_pop(0);
	return 0;
}

// The signal's frame over a call: where the counter stands, and what AX holds.
extern const char __cp_begin[], __cp_end[], __syscall[];
static volatile long counter, ax;
static void look(int sig, siginfo_t *i, void *u) {
	ucontext_t *c = u;
	counter = c->uc_mcontext.gregs[REG_RIP] - (long)__cp_end;
	ax = c->uc_mcontext.gregs[REG_RAX];
}
static long result;
static void *framed(void *x) {
	waiter_tid = gettid();
	block(SIGUSR2);
	ready = 1;
	result = waiting();
	ready = 2;
	return 0;
}
static void frame(struct point *p, int flags) {
	void *end = 0;
	on3(SIGUSR1, look, flags);
	p->prepare();
	ready = 0;
	waiting = p->call;
	counter = ax = -1;
	pthread_create(&waiter, 0, framed, 0);
	settle();
	pthread_kill(waiter, SIGUSR1);
	while (ax == -1)
		sched_yield();
	p->release();
	pthread_join(waiter, 0);
	say("%s%s: counter end%+ld, AX %ld; result %ld", p->name, flags & SA_RESTART ? ", restarts" : "", counter, ax, result);
	if (p->prepare == new_child || p->prepare == locked || p->prepare == new_third || p->check == no_mail)
		p->check();
	unlink_it();
	tidy();
	say("\n");
}

int main(void) {
	void *end;
	one("read pipe", new_pipe, do_read, 0, 1);
	one("read pipe", new_pipe, do_read, SA_RESTART, 1);
	one("accept", listening, do_accept, SA_RESTART, 0);
	one("poll", new_pipe, do_poll, SA_RESTART, 1);
	one("pause", none, do_pause, SA_RESTART, 0);
	one("sem_wait", new_sem, do_sem, SA_RESTART, 0);
	for (int i = 0; i < 20; i++) {
		ready = 0;
		pthread_create(&waiter, 0, compute, 0);
		while (!ready)
			sched_yield();
		pthread_cancel(waiter);
		pthread_join(waiter, &end);
		say("computing: cancelled=%d cleaned up %d\n", end == PTHREAD_CANCELED, cleaned);
	}
	for (struct point *p = points; p < points + POINTS; p++)
		if (p->release && p->call != do_cond && p->call != do_sigsuspend && p->call != do_pause) {
			frame(p, 0);
			frame(p, SA_RESTART);
		}
	return 0;
}
