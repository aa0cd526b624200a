// Each case runs in processes of its own, all at the same time.
// Which calls are restarted after a handler with and without SA_RESTART, and
// after a stop without a handler.
#include "check.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#define FUTEX_WAIT 0
#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAIT_BITSET 9

static int pp[2];
static volatile struct { int begun, handled, over; } *shared; // of the process that waits
static void nothing(int s) { shared->handled++; }
enum { TIME = 1500 }; // milliseconds that waits last: the signal must come within
static const struct timespec duration = {TIME / 1000, TIME % 1000 * 1000000};
static struct timespec end(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += duration.tv_sec, t.tv_nsec += duration.tv_nsec;
	if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
	return t;
}
static int word;
static char path[64] = "/dev/shm/restart.XXXXXX";

static long do_read(void) { char c; return read(pp[0], &c, 1); }
static long do_pause(void) { return pause(); }
static long do_sigsuspend(void) { sigset_t s; sigemptyset(&s); return sigsuspend(&s); }
static long do_nanosleep(void) {
	struct timespec t = duration, r = {9, 9};
	long x = nanosleep(&t, &r);
	long left = r.tv_sec * 1000000000 + r.tv_nsec;
	if (x == -1) say("[left %d] ", left > 0 && left < TIME * 1000000L), errno = EINTR;
	return x;
}
static long do_clock_abs(void) {
	struct timespec t = end();
	errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, 0);
	return errno ? -1 : 0;
}
static long do_poll(void) { struct pollfd p = {pp[0], POLLIN}; return poll(&p, 1, TIME); }
static long do_ppoll(void) {
	struct pollfd p = {pp[0], POLLIN};
	struct timespec t = duration;
	return ppoll(&p, 1, &t, 0);
}
static long do_select(void) {
	fd_set f;
	FD_ZERO(&f);
	FD_SET(pp[0], &f);
	struct timeval t = {TIME / 1000, TIME % 1000 * 1000};
	return select(pp[0] + 1, &f, 0, 0, &t);
}
static long do_epoll(void) {
	int e = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN}, out;
	epoll_ctl(e, EPOLL_CTL_ADD, pp[0], &ev);
	long r = epoll_wait(e, &out, 1, TIME);
	int x = errno;
	close(e);
	errno = x;
	return r;
}
static long do_wait(void) { return waitpid(-1, 0, 0) > 0 ? 1 : -1; }
static long do_waitid(void) { return waitid(P_ALL, 0, 0, WEXITED | WNOWAIT); }
static long do_futex(void) { return syscall(SYS_futex, &word, FUTEX_WAIT, 0, 0, 0, 0); }
static long do_futex_timed(void) {
	struct timespec t = duration;
	return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t, 0, 0);
}
static long do_futex_abs(void) {
	struct timespec t = end();
	return syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &t, 0, -1);
}
static long do_sigtimedwait(void) {
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR2);
	struct timespec t = duration;
	return sigtimedwait(&s, 0, &t);
}
static long do_flock(void) {
	int fd = open(path, O_RDWR);
	long r = flock(fd, LOCK_EX);
	int x = errno;
	close(fd);
	errno = x;
	return r;
}
static long do_fcntl(void) {
	int fd = open(path, O_RDWR);
	struct flock l = {.l_type = F_WRLCK};
	long r = fcntl(fd, F_SETLKW, &l);
	int x = errno;
	close(fd);
	errno = x;
	return r;
}
static long do_eventfd(void) {
	int fd = eventfd(0, 0);
	uint64_t v;
	alarm(0);
	struct itimerval it = {{0, 0}, {0, 0}};
	(void)it;
	struct pollfd p = {fd, POLLIN};
	(void)p;
	long r = -1;
	// A helper makes it readable later.
	if (fork() == 0) { nap(TIME / 1e3); uint64_t one = 1; write(fd, &one, 8); _exit(0); }
	do r = read(fd, &v, 8); while (0);
	int x = errno;
	close(fd);
	errno = x;
	return r;
}
static long do_write(void) {
	int q[2];
	pipe(q);
	char b[65536];
	memset(b, 0, sizeof b);
	write(q[1], b, sizeof b);
	if (fork() == 0) { nap(TIME / 1e3); read(q[0], b, sizeof b); nap(0.05); _exit(0); }
	long r = write(q[1], b, 100);
	int x = errno;
	close(q[0]), close(q[1]);
	errno = x;
	return r;
}

static struct { const char *name; long (*f)(void); int ends; } tests[] = {
	{"read", do_read, 1}, {"write", do_write, 0}, {"pause", do_pause, 2}, {"sigsuspend", do_sigsuspend, 2}, {"nanosleep", do_nanosleep, 0},
	{"clock_nanosleep absolute", do_clock_abs, 0}, {"poll", do_poll, 0}, {"ppoll", do_ppoll, 0},
	{"select", do_select, 0}, {"epoll_wait", do_epoll, 0}, {"wait4", do_wait, 3}, {"waitid", do_waitid, 3},
	{"futex", do_futex, 4}, {"futex timed", do_futex_timed, 0}, {"futex absolute", do_futex_abs, 0},
	{"sigtimedwait", do_sigtimedwait, 0}, {"flock", do_flock, 5}, {"fcntl", do_fcntl, 5}, {"eventfd", do_eventfd, 0},
};

// state is the letter of /proc/PID/stat.
static char state(int pid) {
	char name[64], text[256] = "", *p;
	snprintf(name, sizeof name, "/proc/%d/stat", pid);
	int fd = open(name, O_RDONLY);
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	p = strrchr(text, ')');
	return p ? p[2] : '?';
}

// settle waits until the process has returned from its call or sleeps in it.
static void settle(pid_t p) {
	while (!shared->begun) nap(0.005);
	do nap(0.005);
	while (!shared->over && state(p) != 'S');
}

static void run(int i, int mode) {
	fflush(stdout);
	int release[2];
	pipe(release);
	pipe(pp);
	pid_t holder = 0;
	if (tests[i].ends == 5) {
		int ready[2];
		pipe(ready);
		holder = fork();
		if (holder == 0) {
			char c;
			int fd = open(path, O_RDWR);
			struct flock l = {.l_type = F_WRLCK};
			flock(fd, LOCK_EX), fcntl(fd, F_SETLK, &l);
			write(ready[1], "x", 1);
			read(release[0], &c, 1);
			_exit(0);
		}
		char c;
		read(ready[0], &c, 1);
		close(ready[0]), close(ready[1]);
	}
	shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t p = fork();
	if (p == 0) {
		on(SIGUSR1, nothing, mode == 1 ? SA_RESTART : 0);
		double t = now();
		if (tests[i].ends == 3 && fork() == 0) { nap(TIME / 1e3); _exit(0); }
		if (tests[i].ends == 4 && fork() == 0) { _exit(0); }
		errno = 0;
		shared->begun = 1;
		long r = tests[i].f();
		int e = errno;
		t = now() - t;
		shared->over = 1;
		// How long it took matters where nobody else has ended it.
		const char *when = r < 0 && e == EINTR || tests[i].ends && tests[i].ends != 3 ? "" : t > TIME / 1e3 - 0.005 ? " in time" : " early";
		say("%s mode %d: %ld %s handled %d%s\n", tests[i].name, mode, r < 0 ? r : r > 0, r < 0 ? strerrorname(e) : "", shared->handled, when);
		_exit(0);
	}
	settle(p);
	if (mode < 2) {
		kill(p, SIGUSR1);
		while (!shared->handled) nap(0.001);
	} else
		kill(p, SIGSTOP), waitpid(p, 0, WUNTRACED), nap(0.02), kill(p, SIGCONT);
	settle(p);
	if (!shared->over) {
		if (tests[i].ends == 1) write(pp[1], "x", 1);
		if (tests[i].ends == 2) kill(p, SIGUSR1);
		if (tests[i].ends == 4) kill(p, SIGTERM);
	}
	write(release[1], "x", 1);
	int st;
	waitpid(p, &st, 0);
	if (WIFSIGNALED(st)) say("%s mode %d: killed by %d\n", tests[i].name, mode, WTERMSIG(st));
	if (holder) waitpid(holder, 0, 0);
	close(pp[0]), close(pp[1]), close(release[0]), close(release[1]);
}

int main(int argc, char **argv) {
	close(mkstemp(path));
	int cases = sizeof tests / sizeof *tests * 3;
	int out[cases];
	pid_t pids[cases];
	for (int i = 0; i < cases; i++) {
		if (argc > 1 && atoi(argv[1]) != i / 3) continue;
		out[i] = memfd_create("out", 0);
		if ((pids[i] = fork()) == 0) {
			dup2(out[i], 1);
			if (tests[i / 3].ends == 5) strcpy(path, "/dev/shm/restart.XXXXXX"), close(mkstemp(path));
			run(i / 3, i % 3);
			if (tests[i / 3].ends == 5) unlink(path);
			_exit(0);
		}
	}
	for (int i = 0; i < cases; i++) {
		if (argc > 1 && atoi(argv[1]) != i / 3) continue;
		waitpid(pids[i], 0, 0);
		char b[4096];
		ssize_t n = pread(out[i], b, sizeof b, 0);
		write(1, b, n);
	}
	unlink(path);
	return 0;
}
