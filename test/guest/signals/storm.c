// Signals from everywhere while threads and processes come and go: nothing may
// be lost, and nothing may hang.
#include "check.h"

enum { PROCS = 6, ROUNDS = 400 };
static volatile int counts[65];
static volatile int *shared;

static void count(int s) { __sync_fetch_and_add(&counts[s], 1); }
static void child(int s) { int e = errno; while (waitpid(-1, 0, WNOHANG) > 0) __sync_fetch_and_add(&counts[0], 1); errno = e; }

static void *busy(void *p) {
	volatile unsigned long x = 0;
	while (!shared[0]) x++;
	return 0;
}
static void *sleeper(void *p) {
	while (!shared[0]) {
		struct timespec t = {0, 1000000};
		nanosleep(&t, 0);
	}
	return 0;
}
static void *forker(void *p) {
	for (int i = 0; i < 30; i++) {
		pid_t q = fork();
		if (q == 0) _exit(0);
	}
	return 0;
}

int main(void) {
	shared = (void *)mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	// Every real-time signal arrives, whatever the receiver does meanwhile.
	int ready[2];
	pipe(ready);
	pid_t p = fork();
	if (p == 0) {
		on(SIGRTMIN, count, SA_RESTART);
		on(SIGUSR1, count, 0);
		pthread_t t[4];
		for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, i & 1 ? busy : sleeper, 0);
		write(ready[1], "x", 1);
		for (int i = 0; i < 4; i++) pthread_join(t[i], 0);
		say("received %d\n", counts[SIGRTMIN]);
		_exit(0);
	}
	char c;
	read(ready[0], &c, 1);
	union sigval v = {0};
	for (int i = 0; i < ROUNDS; i++) {
		while (sigqueue(p, SIGRTMIN, v) == -1 && errno == EAGAIN) nap(0.001);
		if (i % 7 == 0) kill(p, SIGUSR1);
		if (i % 50 == 0) kill(p, SIGSTOP), nap(0.001), kill(p, SIGCONT);
	}
	shared[0] = 1;
	waitpid(p, 0, 0);
	shared[0] = 0;

	// Forks from several threads, with a handler that reaps.
	p = fork();
	if (p == 0) {
		on(SIGCHLD, child, SA_RESTART);
		pthread_t t[4];
		for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, forker, 0);
		for (int i = 0; i < 4; i++) pthread_join(t[i], 0);
		while (waitpid(-1, 0, 0) > 0) counts[0]++;
		say("reaped %d\n", counts[0]);
		_exit(0);
	}
	waitpid(p, 0, 0);

	// Threads that are killed at any moment of their lives.
	for (int i = 0; i < 40; i++) {
		p = fork();
		if (p == 0) {
			pthread_t t;
			for (;;) {
				pthread_create(&t, 0, i & 1 ? forker : sleeper, 0);
				pthread_detach(t);
				if (i % 3 == 0) nap(0.0001);
				while (waitpid(-1, 0, WNOHANG) > 0)
					;
				shared[0] = i % 5 == 0;
			}
		}
		nap(0.0005 * (i % 10));
		kill(p, i % 4 == 0 ? SIGTERM : SIGKILL);
		int st;
		waitpid(p, &st, 0);
		if (!WIFSIGNALED(st)) say("not killed: %x\n", st);
	}
	say("killed\n");

	// exec while threads run and signals come.
	for (int i = 0; i < 20; i++) {
		p = fork();
		if (p == 0) {
			shared[0] = 0;
			pthread_t t;
			for (int k = 0; k < 4; k++) pthread_create(&t, 0, k & 1 ? busy : sleeper, 0);
			execl("/bin/true", "true", (char *)0);
			_exit(9);
		}
		for (int k = 0; k < 5; k++) kill(p, SIGCONT), kill(p, SIGWINCH);
		int st;
		waitpid(p, &st, 0);
		if (st) say("exec: %x\n", st);
	}
	say("execed\n");

	// A ring of processes that signal each other.
	pid_t ring[PROCS];
	int turns[2];
	pipe(turns);
	block(SIGUSR2);
	for (int i = 0; i < PROCS; i++) {
		ring[i] = fork();
		if (ring[i] == 0) {
			sigset_t s;
			sigemptyset(&s), sigaddset(&s, SIGUSR2);
			pid_t next = 0;
			for (int k = 0; k < 50; k++) {
				int sig;
				sigwait(&s, &sig);
				if (!next) read(turns[0], &next, sizeof next);
				kill(next, SIGUSR2);
			}
			_exit(0);
		}
	}
	// The last one starts it and hands out who is next.
	for (int i = 0; i < PROCS; i++) {
		pid_t next = i + 1 < PROCS ? ring[i + 1] : getpid();
		kill(ring[i], SIGUSR2);
		nap(0.003);
		write(turns[1], &next, sizeof next);
		nap(0.003);
	}
	nap(0.02);
	for (int i = 0; i < PROCS; i++) kill(ring[i], SIGKILL), waitpid(ring[i], 0, 0);
	say("ring\n");
	return 0;
}
