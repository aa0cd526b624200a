// poll, select and epoll of sockets: levels, edges, ends.
#include "check.h"
#include <pthread.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/un.h>

static int ep;

static void ready(const char *what)
{
	struct epoll_event e[8];
	int n = epoll_wait(ep, e, 8, 0);
	printf("  %s:", what);
	for (int i = 0; i < n; i++)
		for (int j = i + 1; j < n; j++)
			if (e[j].data.u32 < e[i].data.u32) {
				struct epoll_event t = e[i];
				e[i] = e[j];
				e[j] = t;
			}
	for (int i = 0; i < n; i++)
		printf(" %d:%x", e[i].data.u32, e[i].events);
	printf("\n");
}

static void add(int fd, int id, unsigned events)
{
	struct epoll_event e = {events, {.u32 = id}};
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
}

static void states(int type)
{
	int sv[2];
	char b[10];
	note("type %d", type);
	ep = epoll_create1(EPOLL_CLOEXEC);
	socketpair(AF_UNIX, type, 0, sv);
	unsigned all = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI;
	add(sv[0], 1, all);
	add(sv[1], 2, all | EPOLLET);
	add(sv[0], 1, all);
	ready("new");
	ready("again");
	write(sv[0], "x", 1);
	ready("written");
	ready("again");
	write(sv[0], "y", 1);
	ready("more");
	read(sv[1], b, 1);
	ready("read one");
	read(sv[1], b, 1);
	ready("read both");
	shutdown(sv[0], SHUT_WR);
	ready("shutdown");
	ready("again");
	struct epoll_event e = {EPOLLIN | EPOLLONESHOT, {.u32 = 3}};
	SHOW(epoll_ctl(ep, EPOLL_CTL_MOD, sv[1], &e));
	ready("once");
	ready("again");
	SHOW(epoll_ctl(ep, EPOLL_CTL_MOD, sv[1], &e));
	ready("armed");
	int d = dup(sv[0]);
	close(sv[0]);
	ready("closed, but for a copy");
	close(d);
	ready("closed");
	e.events = all;
	SHOW(epoll_ctl(ep, EPOLL_CTL_MOD, sv[1], &e));
	ready("peer gone");
	SHOW(epoll_ctl(ep, EPOLL_CTL_DEL, sv[1], 0));
	SHOW(epoll_ctl(ep, EPOLL_CTL_DEL, sv[1], 0));
	close(sv[1]);
	ready("none");
	close(ep);
}

static void full(void)
{
	int sv[2];
	char b[4096] = {0};
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv);
	ep = epoll_create1(0);
	add(sv[0], 1, EPOLLOUT | EPOLLET);
	ready("empty");
	while (write(sv[0], b, sizeof b) > 0)
		;
	ready("full");
	for (int i = 0; i < 5; i++) {
		read(sv[1], b, sizeof b);
		ready("some read");
	}
	while (read(sv[1], b, sizeof b) > 0)
		;
	ready("all read");
	close(ep);
	close(sv[0]);
	close(sv[1]);
}

static void listening(void)
{
	struct sockaddr_un a = {AF_UNIX};
	snprintf(a.sun_path + 1, 30, "hati-ready%07d", getpid()); // on the host these are everybody's
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c[3];
	ep = epoll_create1(0);
	add(l, 1, EPOLLIN | EPOLLOUT);
	ready("unconnected");
	SHOW(bind(l, (void *)&a, 20));
	ready("bound");
	SHOW(listen(l, 5));
	ready("listening");
	for (int i = 0; i < 3; i++) {
		c[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		add(c[i], i + 2, EPOLLIN | EPOLLOUT);
		SHOW(connect(c[i], (void *)&a, 20));
	}
	ready("connected");
	int s = accept(l, 0, 0);
	ready("accepted");
	close(s);
	ready("closed");
	close(l);
	ready("listener closed");
	struct pollfd p[4] = {{c[0], POLLIN | POLLRDHUP}, {c[1], POLLOUT}, {-1, POLLIN}, {999, POLLIN}};
	SHOW(poll(p, 4, 0));
	note("%x %x %x %x", p[0].revents, p[1].revents, p[2].revents, p[3].revents);
	fd_set r, w, x;
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&x);
	FD_SET(c[0], &r);
	FD_SET(c[1], &r);
	FD_SET(c[0], &w);
	FD_SET(c[0], &x);
	struct timeval tv = {0, 0};
	SHOW(select(c[2] + 1, &r, &w, &x, &tv));
	note("%d %d %d %d", !!FD_ISSET(c[0], &r), !!FD_ISSET(c[1], &r), !!FD_ISSET(c[0], &w), !!FD_ISSET(c[0], &x));
	for (int i = 0; i < 3; i++)
		close(c[i]);
	close(ep);
}

static int shared[2];

static volatile pid_t blockedIn;

static void *blocked(void *arg)
{
	char b[10];
	about(&blockedIn);
	return (void *)(long)recv(shared[0], b, 10, 0);
}

static volatile pid_t waitsIn[3];
static int woken;

static void *waiter(void *arg)
{
	struct epoll_event e;
	about(arg);
	long n = epoll_wait(ep, &e, 1, 60000);
	__atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
	return (void *)n;
}

// What ends a wait: data, the peer's end, shutdown; not close by another thread.
static void waiting(void)
{
	pthread_t t[4];
	void *r;
	socketpair(AF_UNIX, SOCK_STREAM, 0, shared);
	pthread_create(t, 0, blocked, 0);
	asleep(&blockedIn);
	shutdown(shared[0], SHUT_RD);
	pthread_join(t[0], &r);
	note("shutdown: %ld", (long)r);
	close(shared[0]);
	close(shared[1]);
	socketpair(AF_UNIX, SOCK_STREAM, 0, shared);
	blockedIn = 0;
	pthread_create(t, 0, blocked, 0);
	asleep(&blockedIn);
	close(shared[0]);
	usleep(30000);
	SHOW(write(shared[1], "still", 5));
	pthread_join(t[0], &r);
	note("closed: %ld", (long)r);
	close(shared[1]);
	// One event wakes one of the exclusive waiters; an edge, one of all.
	ep = epoll_create1(0);
	int e = eventfd(0, EFD_NONBLOCK);
	add(e, 1, EPOLLIN | EPOLLET);
	for (int i = 0; i < 3; i++)
		pthread_create(t + i, 0, waiter, (void *)&waitsIn[i]);
	for (int i = 0; i < 3; i++)
		asleep(&waitsIn[i]);
	uint64_t v = 1;
	for (int i = 0; i < 3; i++) {
		SHOW(write(e, &v, 8));
		while (__atomic_load_n(&woken, __ATOMIC_SEQ_CST) <= i)
			usleep(1000);
	}
	long sum = 0;
	for (int i = 0; i < 3; i++) {
		pthread_join(t[i], &r);
		sum += (long)r;
	}
	note("woken %ld", sum);
	close(e);
	close(ep);
	// epoll in epoll
	ep = epoll_create1(0);
	int inner = epoll_create1(0);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, shared);
	struct epoll_event ev = {EPOLLIN, {.u32 = 7}};
	SHOW(epoll_ctl(inner, EPOLL_CTL_ADD, shared[0], &ev));
	add(inner, 8, EPOLLIN);
	ready("nothing");
	write(shared[1], "x", 1);
	ready("inner");
	char b;
	read(shared[0], &b, 1);
	ready("read");
	SHOW(epoll_ctl(inner, EPOLL_CTL_ADD, ep, &ev));
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &ev));
	close(inner);
	close(ep);
}

static void moving(void)
{
	int sv[2], p[2];
	char b[100] = {0};
	loff_t off = 0;
	socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
	pipe(p);
	int f = open("/proc/self/exe", O_RDONLY);
	SHOW(sendfile(sv[0], f, &off, 50));
	SHOW(recv(sv[1], b, 100, 0));
	note("%.3s", b + 1);
	write(p[1], "through a pipe", 14);
	SHOW(splice(p[0], 0, sv[0], 0, 100, 0));
	SHOW(recv(sv[1], b, 100, 0));
	note("%.14s", b);
	write(sv[0], "and back", 8);
	SHOW(splice(sv[1], 0, p[1], 0, 100, 0));
	SHOW(read(p[0], b, 100));
	note("%.8s", b);
	SHOW(splice(sv[1], 0, p[1], 0, 100, SPLICE_F_NONBLOCK));
	signal(SIGPIPE, SIG_IGN);
	close(sv[1]);
	off = 0;
	SHOW(sendfile(sv[0], f, &off, 50));
	struct iovec v[3] = {{"ab", 2}, {0, 0}, {"cde", 3}};
	socketpair(AF_UNIX, SOCK_DGRAM, 0, sv);
	SHOW(writev(sv[0], v, 3));
	struct iovec w[2] = {{b, 1}, {b + 50, 40}};
	SHOW(readv(sv[1], w, 2));
	note("%c %.4s", b[0], b + 50);
	SHOW(preadv(sv[1], w, 2, 0));
}

int main(void)
{
	states(SOCK_STREAM);
	states(SOCK_DGRAM);
	states(SOCK_SEQPACKET);
	full();
	listening();
	waiting();
	moving();
	return 0;
}
