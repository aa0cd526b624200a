// What becomes of those who wait for a socket: readiness as it changes, signals,
// timeouts, other threads and processes with the same socket.
#include "net.h"
#include <sys/eventfd.h>
#include <sys/syscall.h>

static void nap(int ms) {
	struct timespec ts = {0, ms * 1000000L};
	nanosleep(&ts, 0);
}

// asleep waits until a thread sleeps in a system call.
static void asleep(pid_t tid) {
	char path[64], line[256];
	snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
	for (;;) {
		FILE *f = fopen(path, "r");
		char *p = f && fgets(line, sizeof line, f) ? strrchr(line, ')') : 0;
		if (f)
			fclose(f);
		if (!p || p[2] == 'S')
			break;
		sched_yield();
	}
	nap(3);
}

static struct job {
	void (*f)(int);
	int fd;
	volatile pid_t tid;
	volatile int over;
	pthread_t thread;
} job;

static void *work(void *p) {
	struct job *j = p;
	j->tid = syscall(SYS_gettid);
	j->f(j->fd);
	j->over = 1;
	return 0;
}

// beside has another thread wait in f.
static void beside(void (*f)(int), int fd) {
	job.f = f, job.fd = fd, job.tid = 0, job.over = 0;
	pthread_create(&job.thread, 0, work, &job);
	while (!job.tid)
		sched_yield();
	asleep(job.tid);
}
static void done(void) { pthread_join(job.thread, 0); }

static char buf[1 << 16];

static void w_recv(int fd) { T(recv(fd, buf, 8, 0)); }
static void w_recv_all(int fd) { T(recv(fd, buf, 8, MSG_WAITALL)); }
static void w_peek_all(int fd) { T(recv(fd, buf, 8, MSG_WAITALL | MSG_PEEK)); }
static void w_read(int fd) { T(read(fd, buf, 8)); }
static void w_accept(int fd) { F(accept(fd, 0, 0)); }
static void w_fill(int fd) {
	long all = 0, n;
	while ((n = send(fd, buf, sizeof buf, MSG_NOSIGNAL)) > 0)
		all += n;
	printf("%s: sending ends: %ld %s, something sent %d\n", section, n, strerrorname_np(errno), all > 0);
}
static void w_poll(int fd) {
	struct pollfd p = {fd, POLLIN | POLLRDHUP, 0};
	T(poll(&p, 1, 10000));
	printf("%s: %s\n", section, poll_names(p.revents));
}
static void w_poll_out(int fd) {
	struct pollfd p = {fd, POLLOUT, 0};
	T(poll(&p, 1, 10000));
	printf("%s: %s\n", section, poll_names(p.revents));
}
static void w_poll_pri(int fd) {
	struct pollfd p = {fd, POLLPRI, 0};
	T(poll(&p, 1, 10000));
	printf("%s: %s\n", section, poll_names(p.revents));
}
static void w_select(int fd) {
	fd_set r, e;
	FD_ZERO(&r);
	FD_ZERO(&e);
	FD_SET(fd, &r);
	FD_SET(fd, &e);
	T(select(fd + 1, &r, 0, &e, 0));
	T(!!FD_ISSET(fd, &r)), T(!!FD_ISSET(fd, &e));
}
static void w_mmsg(int fd) {
	struct iovec v[2] = {{buf, 8}, {buf + 8, 8}};
	struct mmsghdr m[2] = {{{0, 0, v, 1}}, {{0, 0, v + 1, 1}}};
	T(recvmmsg(fd, m, 2, MSG_WAITFORONE, 0));
	T(m[0].msg_len);
}

static void w_splice(int fd) {
	int p[2];
	MUST(pipe(p));
	T(splice(fd, 0, p[1], 0, 8, 0));
	close(p[0]), close(p[1]);
}

// had waits until the other thread has had what came, whatever comes next: most are
// done then, but for those who want more.
static void had(int urgent) {
	int more = job.f == w_recv_all || job.f == w_peek_all || urgent && job.f != w_select && job.f != w_poll_pri;
	do
		nap(2);
	while (!more && !job.over);
}

// Ends of waiting.
static void e_data(int fd, int other) { MUST(send(other, "abc", 3, 0)); }
static void e_all(int fd, int other) { MUST(send(other, "abc", 3, 0)), had(0), MUST(send(other, "defghijk", 8, 0)); }
static void e_urgent(int fd, int other) { MUST(send(other, "u", 1, MSG_OOB)), had(1), MUST(send(other, "12345678", 8, 0)); }
static void e_shut(int fd, int other) { MUST(shutdown(other, SHUT_WR)); }
static void e_part_shut(int fd, int other) { MUST(send(other, "abc", 3, 0)), had(0), MUST(shutdown(other, SHUT_WR)); }
static void e_reset(int fd, int other) { reset(other); }
static void e_part_reset(int fd, int other) { MUST(send(other, "abc", 3, 0)), had(0), reset(other); }
static void e_own_rd(int fd, int other) { MUST(shutdown(fd, SHUT_RD)); }
static void e_own_wr(int fd, int other) { MUST(shutdown(fd, SHUT_WR)), nap(2), MUST(send(other, "12345678", 8, 0)); }
static void e_own_both(int fd, int other) { MUST(shutdown(fd, SHUT_RDWR)); }
static void e_closed(int fd, int other) { // does not end the wait
	int copy = dup(fd);
	close(fd);
	nap(2);
	MUST(send(other, "12345678", 8, 0));
	nap(2);
	dup2(copy, fd), close(copy);
}

typedef void waiting(int);
typedef void end(int, int);

static void streams(void) {
	static const struct { const char *name; waiting *f; } waits[] = {
#define W(f) {#f, f}
		W(w_recv), W(w_recv_all), W(w_peek_all), W(w_read), W(w_poll), W(w_poll_pri), W(w_select), W(w_splice)};
	static const struct { const char *name; end *f; } ends[] = {W(e_data), W(e_all), W(e_urgent), W(e_shut), W(e_part_shut), W(e_reset),
		W(e_part_reset), W(e_own_rd), W(e_own_wr), W(e_own_both), W(e_closed)};
	for (unsigned w = 0; w < sizeof waits / sizeof *waits; w++)
		for (unsigned e = 0; e < sizeof ends / sizeof *ends; e++) {
			if (waits[w].f == w_poll_pri && ends[e].f != e_urgent && ends[e].f != e_reset && ends[e].f != e_own_both ||
				(waits[w].f == w_recv_all || waits[w].f == w_peek_all) && ends[e].f == e_data)
				continue; // for ever
			if ((waits[w].f == w_poll || waits[w].f == w_select) && (ends[e].f == e_closed || ends[e].f == e_part_shut || ends[e].f == e_part_reset) ||
				waits[w].f == w_splice && ends[e].f == e_urgent)
				continue; // of chance, or not as documented
			static char name[100];
			snprintf(name, sizeof name, "tcp %s %s", waits[w].name, ends[e].name);
			section = name;
			int fd[2];
			connected(fd);
			beside(waits[w].f, fd[0]);
			ends[e].f(fd[0], fd[1]);
			done();
			EVENTS(fd[0]);
			T(recv(fd[0], buf, 20, MSG_DONTWAIT)), T(recv(fd[0], buf, 20, MSG_DONTWAIT)), T(recv(fd[0], buf, 20, MSG_DONTWAIT));
			close(fd[0]), close(fd[1]);
		}
	static const struct { const char *name; end *f; } full[] = {W(e_reset), W(e_own_wr), W(e_own_both), W(e_own_rd)};
	for (unsigned e = 0; e < 3; e++) {
		section = full[e].name;
		int fd[2];
		connected(fd);
		beside(w_fill, fd[0]);
		full[e].f(fd[0], fd[1]);
		done();
		int err = 0;
		socklen_t n = sizeof err;
		T(getsockopt(fd[0], SOL_SOCKET, SO_ERROR, &err, &n)), T(err);
		close(fd[0]), close(fd[1]);
	}
}

static void datagrams(void) {
	static const struct { const char *name; waiting *f; } waits[] = {W(w_recv), W(w_recv_all), W(w_read), W(w_poll), W(w_select), W(w_mmsg)};
	static const struct { const char *name; end *f; } ends[] = {W(e_data), W(e_own_rd), W(e_own_both), W(e_closed), W(e_own_wr)};
	for (unsigned w = 0; w < sizeof waits / sizeof *waits; w++)
		for (unsigned e = 0; e < sizeof ends / sizeof *ends; e++) {
			static char name[100];
			if ((waits[w].f == w_poll || waits[w].f == w_select) && ends[e].f == e_closed)
				continue; // poll looks the numbers up again
			snprintf(name, sizeof name, "udp %s %s", waits[w].name, ends[e].name);
			section = name;
			int fd[2];
			friends(fd);
			beside(waits[w].f, fd[0]);
			ends[e].f(fd[0], fd[1]);
			done();
			EVENTS(fd[0]);
			T(recv(fd[0], buf, 20, MSG_DONTWAIT));
			close(fd[0]), close(fd[1]);
		}
}

static void a_connect(int fd) {
	addr a = name_of(fd);
	int c = make(SOCK_STREAM);
	MUST(connect(c, &a.sa, addrlen()));
}
static void a_shut(int fd) { MUST(shutdown(fd, SHUT_RD)); }

static void listeners(void) {
	static const struct { const char *name; waiting *f; } waits[] = {W(w_accept), W(w_poll), W(w_select)};
	static const struct { const char *name; waiting *f; } ends[] = {W(a_connect), W(a_shut)};
	for (unsigned w = 0; w < 3; w++)
		for (unsigned e = 0; e < 2; e++) {
			static char name[100];
			snprintf(name, sizeof name, "listener %s %s", waits[w].name, ends[e].name);
			section = name;
			int l = listening();
			beside(waits[w].f, l);
			ends[e].f(l);
			done();
			EVENTS(l);
			close(l);
		}
}

// Signals.

static volatile int signals, last_fd, last_band;
static int the_fd;
static void on_signal(int sig) { signals++; }
static void on_io(int sig, siginfo_t *i, void *c) {
	if (i->si_code == POLL_OUT)
		return; // of room, of which there always was some
	signals++;
	last_fd = i->si_fd == the_fd;
	last_band = i->si_band;
}

static void interrupted(int restart) {
	static const struct { const char *name; waiting *f; int stream; } waits[] = {{"recv", w_recv, 1}, {"recv_all", w_recv_all, 1}, {"read", w_read, 1},
		{"poll", w_poll, 1}, {"select", w_select, 1}, {"udp recv", w_recv, 0}, {"udp mmsg", w_mmsg, 0}, {"splice", w_splice, 1}};
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = restart ? SA_RESTART : 0};
	sigaction(SIGUSR1, &sa, 0);
	for (int timeout = 0; timeout < 2; timeout++)
		for (unsigned w = 0; w < 8; w++) {
			static char name[100];
			snprintf(name, sizeof name, "%s %s %s", waits[w].name, restart ? "SA_RESTART" : "handler", timeout ? "with a timeout" : "");
			section = name;
			int fd[2];
			if (waits[w].stream)
				connected(fd);
			else
				friends(fd);
			if (timeout) {
				struct timeval tv = {20, 0};
				MUST(setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
			}
			signals = 0;
			beside(waits[w].f, fd[0]);
			if (waits[w].f == w_recv_all)
				MUST(send(fd[1], "ab", 2, 0)), nap(2);
			MUST(pthread_kill(job.thread, SIGUSR1));
			while (!signals)
				sched_yield();
			nap(5);
			MUST(send(fd[1], "cdefghijk", 9, 0));
			done();
			T(recv(fd[0], buf, 20, MSG_DONTWAIT));
			close(fd[0]), close(fd[1]);
		}
}

static void owner_signals(void) {
	section = "signals of owners";
	struct sigaction sa = {.sa_sigaction = on_io, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigaction(SIGIO, &sa, 0), sigaction(SIGURG, &sa, 0), sigaction(SIGRTMIN, &sa, 0);
	int fd[2];
	connected(fd);
	the_fd = fd[0];
	T(fcntl(fd[0], F_GETOWN));
	T(fcntl(fd[0], F_SETOWN, getpid()));
	signals = 0;
	MUST(send(fd[1], "u", 1, MSG_OOB));
	for (int i = 0; i < 1000 && !signals; i++)
		nap(1);
	printf("%s: SIGURG %d\n", section, signals);
	T(recv(fd[0], buf, 1, MSG_OOB));
	T(fcntl(fd[0], F_SETSIG, SIGRTMIN));
	T(fcntl(fd[0], F_SETFL, O_ASYNC | O_NONBLOCK));
	signals = 0;
	MUST(send(fd[1], "abc", 3, 0));
	for (int i = 0; i < 1000 && !signals; i++)
		nap(1);
	printf("%s: a signal %d of the socket %d with %s\n", section, signals > 0, last_fd, poll_names(last_band));
	T(recv(fd[0], buf, 20, 0));
	signals = 0;
	MUST(shutdown(fd[1], SHUT_WR));
	for (int i = 0; i < 1000 && !signals; i++)
		nap(1);
	printf("%s: a signal %d of the socket %d with %s\n", section, signals > 0, last_fd, poll_names(last_band));
	close(fd[0]), close(fd[1]);
	int l = listening(), on = 1;
	the_fd = l;
	T(ioctl(l, FIOASYNC, &on)), T(ioctl(l, FIONBIO, &on)), T(fcntl(l, F_GETFL) & (O_ASYNC | O_NONBLOCK));
	int pid = getpid();
	T(ioctl(l, FIOSETOWN, &pid)), T(ioctl(l, SIOCSPGRP, &pid)), T(ioctl(l, FIOGETOWN, &on)), T(on == pid), T(ioctl(l, SIOCGPGRP, &on));
	T(fcntl(l, F_SETSIG, SIGRTMIN));
	signals = 0;
	a_connect(l);
	for (int i = 0; i < 1000 && !signals; i++)
		nap(1);
	printf("%s: a connection: a signal %d of the socket %d with %s\n", section, signals > 0, last_fd, poll_names(last_band));
}

// Readiness by epoll, as it changes.

static void happened(int ep, const char *what) {
	struct epoll_event e[4];
	int n = epoll_wait(ep, e, 4, 0);
	printf("%s: after %s: %d", section, what, n);
	for (int i = 0; i < n; i++)
		printf(" %d%s", e[i].data.u32, poll_names(e[i].events));
	printf("\n");
	fflush(stdout);
}

static void by_epoll(int flags, const char *name) {
	section = name;
	int fd[2], ep = MUST(epoll_create1(0));
	connected(fd);
	struct epoll_event e = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | flags, {.u32 = 1}};
	T(epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &e));
	T(epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &e));
#define AFTER(x) (x, happened(ep, #x))
#define AFTER_IN(x, ev) (x, ready(fd[0], ev), happened(ep, #x))
	AFTER(0);
	AFTER(0);
	AFTER_IN(MUST(send(fd[1], "abcd", 4, 0)), POLLIN);
	AFTER(0);
	AFTER(MUST(recv(fd[0], buf, 1, 0)));
	AFTER_IN(MUST(send(fd[1], "efgh", 4, 0)), POLLIN);
	AFTER(MUST(recv(fd[0], buf, 20, 0)));
	AFTER_IN(MUST(send(fd[1], "u", 1, MSG_OOB)), POLLPRI);
	AFTER(MUST(recv(fd[0], buf, 20, MSG_OOB)));
	e.events = EPOLLIN | flags, e.data.u32 = 2;
	if (!(flags & EPOLLEXCLUSIVE))
		AFTER(T(epoll_ctl(ep, EPOLL_CTL_MOD, fd[0], &e)));
	else
		T(epoll_ctl(ep, EPOLL_CTL_MOD, fd[0], &e));
	AFTER_IN(MUST(send(fd[1], "ijkl", 4, 0)), POLLIN);
	if (flags & EPOLLONESHOT)
		AFTER(T(epoll_ctl(ep, EPOLL_CTL_MOD, fd[0], &e)));
	AFTER_IN(MUST(shutdown(fd[1], SHUT_WR)), POLLRDHUP);
	AFTER(0);
	AFTER(MUST(shutdown(fd[0], SHUT_WR)));
	AFTER(0);
	if (flags & EPOLLONESHOT)
		AFTER(T(epoll_ctl(ep, EPOLL_CTL_MOD, fd[0], &e)));
	int copy = dup(fd[0]);
	AFTER(close(fd[0]));
	T(epoll_ctl(ep, EPOLL_CTL_DEL, fd[0], &e));
	AFTER(close(copy));
	close(fd[1]), close(ep);
}

int main(int argc, char **argv) {
	signal(SIGPIPE, SIG_IGN);
	alarm(100);
#define PART(name, x) if (argc < 2 || !strcmp(argv[1], name)) x
	PART("streams", streams());
	PART("datagrams", datagrams());
	PART("listeners", listeners());
	PART("interrupted", (interrupted(0), interrupted(1)));
	PART("owners", owner_signals());
	PART("epoll", (by_epoll(0, "level"), by_epoll(EPOLLET, "edge"), by_epoll(EPOLLONESHOT, "once"), by_epoll(EPOLLONESHOT | EPOLLET, "edge once")));
	return 0;
}
