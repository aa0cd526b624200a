// A signal a thousand times a second over calls that wait: one that is ignored
// disturbs none, one with SA_RESTART those alone that Linux never restarts.
#include "storm.h"

static volatile int handled, expected, calling, returned;
static void count(int sig) { handled++; }

static void *later(void *x) {
	nap(0.06);
	// On a machine with much to do the call, or the storm, may not have begun.
	while ((!calling || handled < expected) && !returned)
		nap(0.001);
	((struct point *)x)->release();
	return 0;
}

// A storm over a point of the table, whose wait ends after a while.
static void over(struct point *p, const char *kind) {
	pthread_t th;
	long r;
	int e;
	sigset_t old, all;
	handled = calling = returned = 0;
	expected = strcmp(kind, "not handled") ? 5 : 0;
	waiter = pthread_self();
	p->prepare();
	pid_t storm = stormy(SIGURG, 0);
	double t = now(); // before the other thread's: on a busy machine it may be done before we call
	if (p->release) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &old);
		pthread_create(&th, 0, later, p);
		pthread_sigmask(SIG_SETMASK, &old, 0);
	}
	errno = handled = 0;
	calling = 1;
	r = p->call();
	e = errno;
	t = now() - t;
	returned = 1;
	kill(storm, SIGKILL);
	while (waitpid(storm, 0, 0) < 0 && errno == EINTR)
		;
	say("%s, %s: %ld %s%s", p->name, kind, r, r == -1 ? strerrorname(e) : "", !p->instant && r >= 0 && (p->release || r == 0) && t < 0.04 ? " early" : "");
	if (p->release)
		pthread_join(th, 0);
	if (p->prepare == new_child || p->prepare == locked || p->prepare == new_third)
		p->check();
	unlink_it();
	tidy();
	say("\n");
}

int main(int argc, char **argv) {
	unblock(SIGUSR2);
	on(SIGUSR1, nothing, SA_RESTART);
	block(SIGUSR2);
	for (struct point *p = points; p < points + POINTS; p++) {
		if (argc > 1 && strcmp(argv[1], p->name))
			continue;
		if (p->call == do_system || p->call == do_sleep || p->call == do_usleep || p->call == do_sigtimedwait)
			continue; // the library begins these anew, or they take long
		signal(SIGURG, SIG_DFL);
		over(p, "not handled");
		on(SIGURG, count, SA_RESTART);
		over(p, "SA_RESTART");
		on(SIGURG, count, 0);
		over(p, "no SA_RESTART");
	}
	return 0;
}
