// POSIX message queues: opening, limits, priorities, waits, notification,
// polling.
#include "../signals/check.h"
#include <limits.h>
#include <mqueue.h>
#include <sys/stat.h>

static char name[32];
static mqd_t q;
static char text[9000];
static void put(const char *s, unsigned prio) { show(mq_send(q, s, strlen(s), prio)); }
static void get(void) {
	unsigned prio = 99;
	memset(text, 0, sizeof text);
	errno = 0;
	ssize_t n = mq_receive(q, text, 8192, &prio);
	int e = errno;
	say("receive %zd %s '%s' %u\n", n, n < 0 ? strerrorname(e) : "", text, prio);
}
static void attr(void) {
	struct mq_attr a = {9, 9, 9, 9};
	mq_getattr(q, &a);
	say("flags %lo, %ld of %ld, size %ld\n", a.mq_flags, a.mq_curmsgs, a.mq_maxmsg, a.mq_msgsize);
}
static void ready(void) {
	struct pollfd p = {q, POLLIN | POLLOUT};
	show(poll(&p, 1, 0));
	say("in %d out %d\n", !!(p.revents & POLLIN), !!(p.revents & POLLOUT));
}
// asleep waits until a child sleeps.
static void asleep(pid_t pid) {
	char path[64], line[256] = "", *p;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	do {
		nap(0.001);
		int fd = open(path, O_RDONLY);
		ssize_t n = read(fd, line, sizeof line - 1);
		close(fd);
		line[n > 0 ? n : 0] = 0;
		p = strrchr(line, ')');
	} while (!p || p[2] != 'S');
}
static volatile int code, value, notified;
static void heard(int sig, siginfo_t *i, void *u) { code = i->si_code, value = i->si_value.sival_int, notified++; }
static struct timespec soon(void) {
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += 50000000;
	if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
	return t;
}

int main(void) {
	struct mq_attr small = {0, 2, 8192}, bad = {0, 0, 8}, huge = {0, 1 << 30, 8};
	struct timespec t, wrong = {0, -1};
	struct stat st;
	int status;
	snprintf(name, sizeof name, "/hati-test-%d", getpid());
	umask(022);
	show(mq_open(name, O_RDWR));
	show(mq_open("/a/b", O_RDWR | O_CREAT, 0600, 0));
	show(mq_open(name, O_RDWR | O_CREAT, 0600, &bad));
	show(mq_open(name, O_RDWR | O_CREAT, 0600, &huge));
	q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0666, &small);
	say("made %d, cloexec %d, flags %o\n", q >= 0, fcntl(q, F_GETFD), fcntl(q, F_GETFL) & O_ACCMODE);
	show(mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, 0));
	fstat(q, &st);
	say("mode %o\n", st.st_mode);
	attr();
	ready();
	put("low", 1);
	put("high", 7);
	ready();
	attr();
	show(mq_send(q, text, 8193, 0));
	show(mq_send(q, text, 1, 32768));
	t = soon();
	show(mq_timedsend(q, "x", 1, 0, &t));
	show(mq_timedsend(q, "x", 1, 0, &wrong));
	show(mq_receive(q, text, 10, 0));
	get();
	put("low again", 1);
	get();
	get();
	show(mq_timedreceive(q, text, 8192, 0, &t));
	struct mq_attr nonblock = {O_NONBLOCK};
	show(mq_setattr(q, &nonblock, 0));
	attr();
	get();
	nonblock.mq_flags = O_APPEND;
	show(mq_setattr(q, &nonblock, 0));
	nonblock.mq_flags = 0;
	show(mq_setattr(q, &nonblock, 0));
	mqd_t r = mq_open(name, O_RDONLY), w = mq_open(name, O_WRONLY);
	show(mq_send(r, "x", 1, 0));
	show(mq_receive(w, text, 8192, 0));
	show(mq_send(0, "x", 1, 0));

	// Notification: once, only for an empty queue, not when somebody waits.
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42};
	on3(SIGUSR1, heard, 0);
	show(mq_notify(q, &e));
	show(mq_notify(q, &e));
	put("told", 0);
	say("notified %d, code %d, value %d\n", notified, code, value);
	put("not told", 0);
	say("notified %d\n", notified);
	get(), get();
	show(mq_notify(q, &e));
	show(mq_notify(q, 0));
	put("nobody", 0);
	say("notified %d\n", notified);
	get();
	show(mq_notify(q, &e));
	pid_t pid = fork();
	if (pid == 0)
		_exit(mq_receive(r, text, 8192, 0));
	asleep(pid);
	put("waited", 0);
	waitpid(pid, &status, 0);
	say("child %d, notified %d\n", WEXITSTATUS(status), notified);
	char line[100] = {0};
	ssize_t n = pread(r, line, sizeof line - 1, 0);
	line[50] = 0;
	say("%zd %s\n", n > 50 ? 51 : n, line);
	mq_close(r);
	show(mq_notify(w, &e)); // closing any descriptor of it has ended the other
	mq_notify(w, 0);

	// A sender that waits.
	put("1", 0), put("2", 0);
	if ((pid = fork()) == 0)
		_exit(mq_send(q, "3", 1, 5));
	asleep(pid);
	get();
	waitpid(pid, &status, 0);
	say("sender %d\n", status);
	get(), get();
	show(mq_unlink(name));
	show(mq_unlink(name));
	show(mq_open(name, O_RDWR));
	put("still there", 0);
	get();
	return 0;
}
