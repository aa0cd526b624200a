#include "check.h"

static volatile int n, overruns, values;
static siginfo_t last;
static void count(int s) { n++; }
static void timed(int s, siginfo_t *i, void *u) {
	n++;
	overruns += i->si_overrun;
	last = *i;
}
static int about(double t, double want) { return t > want - 0.012 && t < want + 0.3; }

int main(int argc, char **argv) {
	if (argc > 1) for (;;) pause();
	on(SIGALRM, count, 0);
	on(SIGVTALRM, count, 0);
	on(SIGPROF, count, 0);
	show(alarm(10));
	nap(0.01);
	show(alarm(0));
	show(alarm(0));
	struct itimerval it = {{0, 20000}, {0, 50000}}, old;
	double t = now();
	show(setitimer(ITIMER_REAL, &it, 0));
	while (n < 4) pause();
	say("interval %d\n", about(now() - t, 0.11));
	getitimer(ITIMER_REAL, &old);
	say("rest %d %ld\n", old.it_value.tv_usec > 0 && old.it_value.tv_usec <= 20000, (long)old.it_interval.tv_usec);
	memset(&it, 0, sizeof it);
	show(setitimer(ITIMER_REAL, &it, &old));
	nap(0.05);
	int k = n;
	nap(0.05);
	say("stopped %d\n", n == k);
	it.it_value.tv_usec = 2000000;
	show(setitimer(ITIMER_REAL, &it, 0));
	show(setitimer(3, &it, 0));
	show(getitimer(-1, &old));

	// Processor time.
	it = (struct itimerval){{0, 10000}, {0, 10000}};
	n = 0;
	setitimer(ITIMER_PROF, &it, 0);
	clock_t c = clock();
	while (clock() - c < CLOCKS_PER_SEC / 5)
		;
	it = (struct itimerval){{0, 0}, {0, 0}};
	setitimer(ITIMER_PROF, &it, 0);
	say("prof %d\n", n >= 5 && n <= 60);
	n = 0;
	it = (struct itimerval){{0, 10000}, {0, 10000}};
	setitimer(ITIMER_VIRTUAL, &it, 0);
	nap(0.1);
	say("idle virtual %d\n", n <= 1);
	n = 0;
	c = clock();
	for (volatile long i = 0; clock() - c < CLOCKS_PER_SEC / 10;)
		for (int j = 0; j < 200000; j++) i++;
	say("virtual after idle %d\n", n >= 2 && n <= 40);
	it = (struct itimerval){{0, 0}, {0, 0}};
	setitimer(ITIMER_VIRTUAL, &it, 0);

	// timer_create
	timer_t id;
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
	ev.sigev_value.sival_int = 77;
	on3(SIGRTMIN + 1, timed, 0);
	show(timer_create(CLOCK_MONOTONIC, &ev, &id));
	struct itimerspec ts = {{0, 10000000}, {0, 30000000}}, o;
	n = 0;
	show(timer_settime(id, 0, &ts, 0));
	while (n < 2) pause();
	say("code %d value %d\n", last.si_code, last.si_value.sival_int);
	block(SIGRTMIN + 1);
	timer_gettime(id, &o); // a signal that is pending already has its count begun
	t = now();
	nap(0.105);
	n = overruns = 0;
	unblock(SIGRTMIN + 1);
	double due = (now() - t) / 0.01;
	int got = overruns;
	say("once %d overruns %d\n", n >= 1 && n <= 2, got >= due - 4 && got <= due + 2);
	say("getoverrun %d\n", timer_getoverrun(id) == last.si_overrun);
	timer_gettime(id, &o);
	say("gettime %d %ld\n", o.it_value.tv_nsec > 0 && o.it_value.tv_nsec <= 10000000, (long)o.it_interval.tv_nsec);
	show(timer_delete(id));
	show(timer_delete(id));
	show(timer_gettime(id, &o));
	n = 0;
	show(timer_create(CLOCK_REALTIME, 0, &id));
	struct timespec w;
	clock_gettime(CLOCK_REALTIME, &w);
	w.tv_nsec += 30000000;
	if (w.tv_nsec >= 1000000000) w.tv_nsec -= 1000000000, w.tv_sec++;
	ts = (struct itimerspec){{0, 0}, w};
	t = now();
	sigset_t none;
	sigemptyset(&none);
	block(SIGALRM); // it comes once, perhaps before the wait
	show(timer_settime(id, TIMER_ABSTIME, &ts, 0));
	while (!n) sigsuspend(&none);
	unblock(SIGALRM);
	say("absolute %d\n", about(now() - t, 0.03));
	show(timer_settime(id, 0, 0, 0));
	ts.it_value.tv_nsec = 1000000000;
	show(timer_settime(id, 0, &ts, 0));
	ev.sigev_notify = SIGEV_NONE;
	show(timer_create(CLOCK_MONOTONIC, &ev, &id));
	ts = (struct itimerspec){{0, 0}, {5, 0}};
	show(timer_settime(id, 0, &ts, 0));
	timer_gettime(id, &o);
	say("none %d\n", o.it_value.tv_sec == 4);
	ev.sigev_notify = 99;
	show(timer_create(CLOCK_MONOTONIC, &ev, &id));
	ev.sigev_notify = SIGEV_SIGNAL;
	ev.sigev_signo = 99;
	show(timer_create(CLOCK_MONOTONIC, &ev, &id));
	show(timer_create(55, 0, &id));
	ev.sigev_signo = SIGRTMIN + 1;
	n = 0;
	show(timer_create(CLOCK_PROCESS_CPUTIME_ID, &ev, &id));
	ts = (struct itimerspec){{0, 0}, {0, 50000000}};
	timer_settime(id, 0, &ts, 0);
	struct timespec a, b;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	while (!n)
		;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	say("cpu timer %d\n", about(b.tv_sec - a.tv_sec + (b.tv_nsec - a.tv_nsec) / 1e9, 0.05));

	// Timers and children.
	it = (struct itimerval){{0, 0}, {0, 30000}};
	setitimer(ITIMER_REAL, &it, 0);
	n = 0;
	if (fork() == 0) {
		nap(0.06);
		say("child got %d\n", n);
		_exit(0);
	}
	wait(0);
	nap(0.01);
	say("parent got %d\n", n);
	it = (struct itimerval){{0, 0}, {0, 50000}};
	on(SIGALRM, SIG_DFL, 0);
	pid_t p = fork();
	if (p == 0) {
		setitimer(ITIMER_REAL, &it, 0);
		execl("/proc/self/exe", "timers", "pause", (char *)0);
		for (;;) pause();
	}
	int st;
	waitpid(p, &st, 0);
	say("alarm survives exec %d\n", WTERMSIG(st));

	// RLIMIT_CPU.
	p = fork();
	if (p == 0) {
		struct rlimit l = {1, 2};
		setrlimit(RLIMIT_CPU, &l);
		on(SIGXCPU, count, 0);
		n = 0;
		while (!n)
			;
		_exit(7);
	}
	struct rusage ru;
	wait4(p, &st, 0, &ru);
	double used = ru.ru_utime.tv_sec + ru.ru_stime.tv_sec + (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
	say("cpu limit: exit %d time %d\n", WEXITSTATUS(st), used > 0.7 && used < 1.8);
	return 0;
}
