// Waits with an end, under signals and stops that go on as long as the wait does, and
// handlers within handlers. Begun anew by each signal, a wait would never end.
#include "storm.h"

static volatile int handled;
static void count(int sig) { handled++; }

static double from;
static void within(const char *what, double least) {
	double t = now() - from;
	say("%s: %s\n", what, t < least - 0.002 ? "early" : "not early");
}

// Handled signals have the program carry the wait on, the others the system.
static void timed(const char *kind, int sig) {
	struct timespec t = {0, 250000000}, end = after(CLOCK_MONOTONIC, 250);
	int word = 0;
	long r;
	pid_t storm = stormy(sig, 0);
	say("%s\n", kind);
	from = now();
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
	within("nanosleep", 0.25);
	kill(storm, SIGKILL);
	waitpid(storm, 0, 0);

	storm = stormy(sig, 0);
	from = now(), end = after(CLOCK_MONOTONIC, 250);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, 0) == EINTR)
		;
	within("clock_nanosleep", 0.25);
	kill(storm, SIGKILL);
	waitpid(storm, 0, 0);

	storm = stormy(sig, 0);
	from = now(), end = after(CLOCK_MONOTONIC, 250);
	while ((r = syscall(SYS_futex, &word, 9 | 128, 0, &end, 0, -1)) < 0 && errno == EINTR)
		;
	within("futex", 0.25);
	kill(storm, SIGKILL);
	waitpid(storm, 0, 0);
}

// What the system carries on by itself, with no handler.
static void carried(const char *kind, int sig, void (*stop)(pid_t)) {
	static const char *calls[] = {"nanosleep", "clock_nanosleep", "poll", "select", "futex", "futex absolute"};
	for (int i = 0; i < 6; i++) {
		int report[2];
		new_pipe();
		pipe(report);
		pid_t pid = fork();
		if (pid == 0) {
			from = now();
			struct timespec t = {0, 250000000}, end = after(CLOCK_MONOTONIC, 250);
			struct timeval v = {0, 250000};
			struct pollfd p = {a, POLLIN};
			int word = 0;
			long r = 0;
			fd_set f;
			FD_ZERO(&f);
			FD_SET(a, &f);
			write(report[1], "x", 1);
			errno = 0;
			switch (i) {
			case 0: r = nanosleep(&t, 0); break;
			case 1: r = clock_nanosleep(CLOCK_MONOTONIC, 0, &t, 0); break;
			case 2: r = poll(&p, 1, 250); break;
			case 3: r = select(a + 1, &f, 0, 0, &v); break;
			case 4: r = syscall(SYS_futex, &word, 128, 0, &t, 0, 0); break;
			case 5: r = syscall(SYS_futex, &word, 9 | 128, 0, &end, 0, -1); break;
			}
			say("%s, %s: %ld %s, ", calls[i], kind, r, r == -1 ? strerrorname(errno) : "");
			within("", 0.25);
			_exit(0);
		}
		char c;
		read(report[0], &c, 1);
		while (waitpid(pid, 0, WNOHANG) == 0)
			stop(pid), nap(0.001);
		close(report[0]);
		close(report[1]);
		tidy();
	}
}
static void urge(pid_t pid) { kill(pid, SIGURG); }
static void stop_and_go(pid_t pid) {
	siginfo_t i;
	kill(pid, SIGSTOP);
	waitid(P_PID, pid, &i, WSTOPPED | WEXITED | WNOWAIT);
	kill(pid, SIGCONT);
}

// Handlers within handlers, each with a read of its own.
static int inner[2], order[8], ordered;
static volatile int *stage; // where the handlers are, for the child
static void deepest(int sig) { order[ordered++] = *stage = 3; }
static void middle(int sig) {
	char c;
	order[ordered++] = *stage = 2;
	ssize_t n = read(inner[0], &c, 1);
	order[ordered++] = n == 1 ? c : errno;
	*stage = 4;
}
// till waits until the handlers have come so far, and their process sleeps.
static void till(int where, pid_t pid) {
	while (*stage < where) nap(0.001);
	do nap(0.001);
	while (state(pid, pid) != 'S');
}
static void nested(const char *kind, int outer_flags, int inner_flags) {
	char c;
	int e;
	ordered = *stage = 0;
	new_pipe();
	pipe(inner);
	on(SIGUSR1, middle, outer_flags);
	on(SIGUSR2, deepest, inner_flags);
	pid_t to = getpid(), pid = fork();
	if (pid == 0) {
		till(1, to);
		kill(to, SIGUSR1);
		till(2, to);
		kill(to, SIGUSR2);
		till(3, to);
		write(inner[1], "i", 1);
		till(4, to);
		write(b, "o", 1);
		_exit(0);
	}
	errno = 0;
	*stage = 1;
	ssize_t n = read(a, &c, 1);
	e = errno;
	say("nested, %s: %zd %s;", kind, n, n == 1 ? "" : strerrorname(e));
	for (int i = 0; i < ordered; i++)
		say(" %d", order[i]);
	say("\n");
	waitpid(pid, 0, 0);
	close(inner[0]);
	close(inner[1]);
	tidy();
}

int main(void) {
	stage = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	signal(SIGURG, SIG_DFL);
	timed("not handled", SIGURG);
	on(SIGURG, count, SA_RESTART);
	timed("SA_RESTART", SIGURG);
	on(SIGURG, count, 0);
	timed("no SA_RESTART", SIGURG);
	signal(SIGURG, SIG_DFL);
	carried("not handled", SIGURG, urge);
	carried("stopped", SIGSTOP, stop_and_go);
	nested("both restart", SA_RESTART, SA_RESTART);
	nested("outer restarts", SA_RESTART, 0);
	nested("inner restarts", 0, SA_RESTART);
	nested("none restarts", 0, 0);
	return 0;
}
