// What seldom happens to sockets: memory that is not there, ends while others wait,
// edges, queues of errors. Natively and in a box the output must be the same.
#include "../signals/check.h"
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

static int a, b, l;
static struct sockaddr_in at;
static socklen_t at_size = sizeof at;
static char big[1 << 16];

static void listening(void) {
	l = socket(AF_INET, SOCK_STREAM, 0);
	at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	bind(l, (void *)&at, sizeof at);
	getsockname(l, (void *)&at, &at_size);
	listen(l, 10);
}
static void pair(void) {
	int one = 1;
	listening();
	b = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(b, SOL_TCP, TCP_NODELAY, &one, sizeof one);
	connect(b, (void *)&at, at_size);
	a = accept(l, 0, 0);
	close(l);
}
static void datagrams(void) {
	a = socket(AF_INET, SOCK_DGRAM, 0);
	at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	bind(a, (void *)&at, sizeof at);
	getsockname(a, (void *)&at, &at_size);
	b = socket(AF_INET, SOCK_DGRAM, 0);
	connect(b, (void *)&at, at_size);
}
static void done(void) { close(a), close(b); }

static int wait_for(int fd, int events) {
	struct pollfd p = {fd, events};
	poll(&p, 1, 2000);
	return p.revents;
}

// A page, and none behind it.
static char *edge(void) {
	char *p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(p + 4096, 4096);
	return p + 4096;
}

static void faults(void) {
	char c[16] = "", *end = edge(), *bad = (char *)8;
	socklen_t n = sizeof at;
	pair();
	write(b, "abcdefgh", 8);
	wait_for(a, POLLIN);
	show(recv(a, bad, 8, 0));
	struct iovec v[2] = {{end - 3, 3}, {bad, 5}};
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
	ssize_t got = readv(a, v, 2); // what of it is there may come, or nothing
	int left = 0;
	ioctl(a, FIONREAD, &left);
	ssize_t rest = recv(a, c, sizeof c, MSG_DONTWAIT);
	say("bytes lost: %zd\n", 8 - (got > 0 ? got : 0) - rest);
	show(recv(a, c, 1, MSG_DONTWAIT));
	show(send(b, bad, 8, 0));
	show(sendto(b, bad, 0, 0, 0, 0));
	m.msg_iov = (void *)bad;
	show(sendmsg(b, &m, 0));
	show(recvmsg(a, &m, MSG_DONTWAIT));
	show(recvmsg(a, (void *)bad, 0));
	m.msg_iov = v, m.msg_iovlen = 1025;
	show(sendmsg(b, &m, 0));
	m.msg_iovlen = 1, m.msg_control = big, m.msg_controllen = 1 << 20;
	show(sendmsg(b, &m, 0));
	m.msg_controllen = 24;
	memset(big, 0, 24);
	show(sendmsg(b, &m, 0));
	struct cmsghdr *h = (void *)big;
	h->cmsg_level = SOL_SOCKET, h->cmsg_type = SCM_RIGHTS, h->cmsg_len = CMSG_LEN(sizeof(int));
	show(sendmsg(b, &m, 0));
	show(getsockopt(a, SOL_SOCKET, SO_ERROR, bad, &n));
	show(getsockopt(a, SOL_SOCKET, SO_ERROR, c, (void *)bad));
	n = -1;
	show(getsockopt(a, SOL_SOCKET, SO_ERROR, c, &n));
	n = 1 << 30;
	show(getsockopt(a, SOL_SOCKET, SO_ERROR, c, &n));
	say("length %d\n", n);
	show(setsockopt(a, SOL_SOCKET, SO_KEEPALIVE, bad, 4));
	show(setsockopt(a, SOL_SOCKET, SO_KEEPALIVE, c, -1));
	show(connect(b, (void *)bad, 16));
	show(connect(b, (void *)&at, 200));
	show(bind(b, (void *)bad, 16));
	done();

	datagrams();
	write(b, "one", 3), write(b, "two", 3);
	show(recv(a, bad, 3, 0)); // Linux loses it
	show(recvfrom(a, c, 3, 0, (void *)bad, &(socklen_t){16}));
	show(recv(a, c, 3, MSG_DONTWAIT));
	write(b, "seven..", 7);
	show(recv(a, c, 3, MSG_TRUNC));
	show(send(b, big, sizeof big, 0));
	done();

	listening();
	b = socket(AF_INET, SOCK_STREAM, 0);
	connect(b, (void *)&at, at_size);
	int before = dup(0);
	close(before);
	show(accept(l, (void *)bad, &(socklen_t){16})); // Linux loses it
	int after = dup(0);
	close(after);
	say("descriptors lost: %d\n", after - before);
	close(l), close(b);
}

// Threads that wait while another ends what they wait for.
static long (*waiting)(void);
static volatile int tid;
static long result;
static int failed;
static long do_recv(void) { char c; return recv(a, &c, 1, 0); }
static long do_accept(void) { return accept(l, 0, 0); }
static long do_poll(void) { struct pollfd p = {a, POLLIN}; return poll(&p, 1, 5000) > 0 ? p.revents : -1; }
static long do_send(void) { for (;;) if (send(b, big, sizeof big, MSG_NOSIGNAL) < 0) return -1; }
static void *body(void *x) {
	tid = syscall(SYS_gettid);
	errno = 0;
	result = waiting();
	failed = errno;
	return 0;
}
static void ended(const char *what, long (*call)(void), void (*end)(void)) {
	pthread_t th;
	char path[64], text[256];
	waiting = call, tid = 0;
	pthread_create(&th, 0, body, 0);
	for (text[0] = 0; !tid || !strstr(text, ") S");) {
		sched_yield();
		snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
		int fd = open(path, O_RDONLY);
		if (fd >= 0) text[read(fd, text, sizeof text - 1)] = 0, close(fd);
	}
	nap(0.02);
	end();
	pthread_join(th, 0);
	say("%s: %ld %s\n", what, result, result < 0 ? strerrorname(failed) : "");
}
static void shut_listener(void) { show(shutdown(l, SHUT_RD)); }
static void shut_read(void) { show(shutdown(a, SHUT_RD)); }
static void shut_both(void) { shutdown(a, SHUT_RDWR); }
static void shut_write(void) { show(shutdown(b, SHUT_WR)); }
static void reset_it(void) { struct linger x = {1, 0}; setsockopt(b, SOL_SOCKET, SO_LINGER, &x, sizeof x); close(b); }
static void ends(void) {
	listening(); ended("accept, shut down", do_accept, shut_listener); close(l);
	pair(); ended("recv, shut down", do_recv, shut_read); done();
	pair(); ended("recv, the other side shut down", do_recv, shut_write); done();
	pair(); ended("recv, reset", do_recv, reset_it); done();
	pair(); ended("poll, reset", do_poll, reset_it); done();
	pair(); ended("send, shut down", do_send, shut_write); done();
	datagrams(); ended("datagrams, shut down", do_recv, shut_both);
	show(recv(a, big, 1, 0));
	show(recv(a, big, 1, MSG_DONTWAIT));
	done();
	datagrams(); ended("poll of datagrams, shut down", do_poll, shut_both); done();

	// An error that comes behind bytes is told after them.
	pair();
	write(b, "abc", 3);
	wait_for(a, POLLIN);
	pid_t pid = fork();
	if (pid == 0) { nap(0.05); close(a); reset_it(); _exit(0); }
	close(b);
	show(recv(a, big, 10, MSG_WAITALL));
	show(recv(a, big, 10, 0));
	show(recv(a, big, 10, 0));
	waitpid(pid, 0, 0);
	close(a);

	// A close that lingers delivers what was written.
	pair();
	struct linger x = {1, 30};
	setsockopt(b, SOL_SOCKET, SO_LINGER, &x, sizeof x);
	for (int i = 0; i < 4; i++) write(b, big, 1000);
	show(close(b));
	long n = 0;
	for (ssize_t r; (r = read(a, big, sizeof big)) > 0;) n += r;
	say("came: %ld\n", n);
	close(a);
}

// Edges: each call of epoll_wait, what it tells.
static int e;
static void look(const char *what) {
	struct epoll_event v[4];
	int n = epoll_wait(e, v, 4, 0);
	say("%s:", what);
	for (int i = 0; i < n; i++) say(" %d:%x", v[i].data.u32, v[i].events);
	say("\n");
}
static void watch(int fd, unsigned events, int op, int data) {
	struct epoll_event v = {.events = events, .data.u32 = data};
	epoll_ctl(e, op, fd, &v);
}
static void edges(void) {
	e = epoll_create1(0);
	int s = socket(AF_INET, SOCK_STREAM, 0);
	watch(s, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD, 1);
	look("unconnected");
	watch(s, EPOLLIN | EPOLLOUT | EPOLLET, EPOLL_CTL_MOD, 2);
	look("edge, unconnected"), look("again");
	close(s);
	pair();
	watch(a, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, EPOLL_CTL_ADD, 3);
	look("connected"), look("again");
	write(b, "abc", 3), wait_for(a, POLLIN);
	look("came"), look("again");
	read(a, big, 1);
	look("read one");
	write(b, "d", 1);
	look("came more"), look("again");
	watch(a, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, EPOLL_CTL_MOD, 4);
	look("changed"), look("again");
	watch(a, EPOLLOUT | EPOLLET, EPOLL_CTL_MOD, 5);
	look("out only"), look("again");
	write(b, "e", 1);
	look("came, out only");
	recv(a, big, 1, MSG_DONTWAIT), recv(a, big, 100, MSG_DONTWAIT);
	watch(a, EPOLLIN | EPOLLRDHUP | EPOLLET, EPOLL_CTL_MOD, 6);
	look("nothing");
	int copy = dup(a);
	watch(copy, EPOLLIN, EPOLL_CTL_ADD, 7);
	close(a);
	write(b, "f", 1);
	wait_for(copy, POLLIN);
	say("of both numbers: %d\n", epoll_wait(e, (struct epoll_event[4]){}, 4, 0));
	look("level");
	read(copy, big, 1);
	shutdown(b, SHUT_WR);
	wait_for(copy, POLLIN);
	look("shut down"), look("again");
	a = copy;
	watch(a, EPOLLIN | EPOLLET | EPOLLONESHOT, EPOLL_CTL_MOD, 8);
	look("once"), look("again");
	done();
	look("closed");
	listening();
	watch(l, EPOLLIN | EPOLLET, EPOLL_CTL_ADD, 9);
	look("listener");
	b = socket(AF_INET, SOCK_STREAM, 0);
	connect(b, (void *)&at, at_size);
	look("connection"), look("again");
	a = accept(l, 0, 0);
	look("accepted");
	close(l), done(), close(e);
}

// The queue of errors makes a socket look ready; nobody spins, and all ends.
static void queues(void) {
	int one = 1;
	datagrams();
	setsockopt(b, SOL_IP, IP_RECVERR, &one, sizeof one);
	close(a);
	show(send(b, "x", 1, 0));
	say("events %x\n", wait_for(b, POLLIN));
	show(recv(b, big, 1, 0));
	char control[256];
	struct iovec v = {big, 100};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	show(recvmsg(b, &m, MSG_ERRQUEUE));
	struct sock_extended_err *x = (void *)CMSG_DATA(CMSG_FIRSTHDR(&m));
	say("flags %x, error %d, origin %d\n", m.msg_flags, x->ee_errno, x->ee_origin);
	show(recvmsg(b, &m, MSG_ERRQUEUE));
	close(b);

	for (int call = 0; call < 3; call++) {
		int flags = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID, size = 8192, status, p[2];
		pair();
		setsockopt(b, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
		setsockopt(b, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags);
		write(b, "x", 1);
		wait_for(b, 0);
		for (int i = 0; i < 4; i++, nap(0.06)) // what moves on makes room, and may later
			while (send(b, big, sizeof big, MSG_DONTWAIT) > 0)
				;
		say("in the queue of errors: %d\n", !!(wait_for(b, 0) & POLLERR));
		pid_t pid = fork();
		if (pid == 0) {
			int fd = syscall(SYS_memfd_create, "x", 0);
			write(fd, big, sizeof big);
			pipe(p);
			write(p[1], big, sizeof big);
			switch (call) { // until there is no room: TCP may still have moved some on
			case 0: while (sendfile(b, fd, &(off_t){0}, sizeof big) > 0); break;
			case 1: while (splice(p[0], 0, b, 0, sizeof big, 0) > 0); break;
			case 2: while (send(b, big, sizeof big, 0) > 0); break;
			}
			_exit(0);
		}
		struct rusage u;
		nap(0.1);
		kill(pid, SIGKILL);
		wait4(pid, &status, 0, &u);
		say("killed %d, spun %d\n", WIFSIGNALED(status), u.ru_utime.tv_usec + u.ru_stime.tv_usec > 50000);
		done();
	}
}

int main(void) {
	signal(SIGPIPE, SIG_IGN);
	faults();
	ends();
	edges();
	queues();
	return 0;
}
