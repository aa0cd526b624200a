// What the guests of this directory share: they print what each call returned, with
// nothing in it that is of chance (numbers of descriptors, ports).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *section = "";

// tell prints a result.
static long tell(const char *what, long r) {
	if (r < 0)
		printf("%s: %s = %ld %s\n", section, what, r, strerrorname_np(errno));
	else
		printf("%s: %s = %ld\n", section, what, r);
	fflush(stdout);
	return r;
}

// T tells what an expression is; F, of one that makes a descriptor, whether it could.
#define T(e) ({ errno = 0; long r_ = (long)(e); tell(#e, r_); })
#define F(e) ({ errno = 0; int r_ = (int)(e); int e_ = errno; tell(#e, r_ < 0 ? r_ : 0); errno = e_; r_; })

static void check(int ok, const char *what) {
	if (!ok) {
		printf("%s: %s: %s\n", section, what, strerror(errno));
		fflush(stdout);
		exit(9);
	}
}
#define MUST(e) ({ errno = 0; long r_ = (long)(e); check(r_ >= 0, #e); r_; })

typedef union {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage ss;
} addr;

static int family = AF_INET;

static socklen_t addrlen(void) { return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6); }

// loopback is the family's loopback address with a port in host order.
static addr loopback(int port) {
	addr a;
	memset(&a, 0, sizeof a);
	a.sa.sa_family = family;
	if (family == AF_INET) {
		a.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		a.in.sin_port = htons(port);
	} else {
		a.in6.sin6_addr = in6addr_loopback;
		a.in6.sin6_port = htons(port);
	}
	return a;
}

static addr name_of(int fd) {
	addr a;
	socklen_t n = sizeof a;
	MUST(getsockname(fd, &a.sa, &n));
	return a;
}

static int make(int type) { return MUST(socket(family, type, 0)); }

static int bound(int type) {
	addr a = loopback(0);
	int fd = make(type);
	MUST(bind(fd, &a.sa, addrlen()));
	return fd;
}

static int listening(void) {
	int fd = bound(SOCK_STREAM);
	MUST(listen(fd, 8));
	return fd;
}

static int ready(int fd, int events) {
	struct pollfd p = {fd, events, 0};
	int n;
	do
		n = poll(&p, 1, 10000);
	while (n < 0 && errno == EINTR);
	check(n == 1, "waiting for a socket to become ready");
	return p.revents;
}

// connected makes both ends of a TCP connection.
static void connected(int fd[2]) {
	int l = listening();
	addr a = name_of(l);
	fd[0] = make(SOCK_STREAM);
	MUST(connect(fd[0], &a.sa, addrlen()));
	fd[1] = MUST(accept(l, 0, 0));
	close(l);
}

// friends makes two UDP sockets that are connected to each other.
static void friends(int fd[2]) {
	fd[0] = bound(SOCK_DGRAM), fd[1] = bound(SOCK_DGRAM);
	addr a = name_of(fd[0]), b = name_of(fd[1]);
	MUST(connect(fd[0], &b.sa, addrlen()));
	MUST(connect(fd[1], &a.sa, addrlen()));
}

// nowhere is an address where nobody listens: that of a socket that is bound only.
static addr nowhere(int type) {
	static int fd[2][2];
	int *p = &fd[family == AF_INET][type == SOCK_STREAM];
	if (!*p) {
		*p = bound(type);
		if (type == SOCK_DGRAM) { // it takes nothing but from itself
			addr a = name_of(*p);
			MUST(connect(*p, &a.sa, addrlen()));
		}
	}
	return name_of(*p);
}

static void reset(int fd) {
	struct linger l = {1, 0};
	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l));
	close(fd);
}

static const char *poll_names(int v) {
	static char out[2][120];
	static int turn;
	static const struct { int bit; const char *name; } bits[] = {{POLLIN, "IN"}, {POLLPRI, "PRI"}, {POLLOUT, "OUT"},
		{POLLERR, "ERR"}, {POLLHUP, "HUP"}, {POLLNVAL, "NVAL"}, {POLLRDNORM, "RDNORM"}, {POLLRDBAND, "RDBAND"},
		{POLLWRNORM, "WRNORM"}, {POLLWRBAND, "WRBAND"}, {POLLMSG, "MSG"}, {POLLRDHUP, "RDHUP"}};
	char *to = out[turn ^= 1];
	*to = 0;
	for (unsigned i = 0; i < sizeof bits / sizeof *bits; i++)
		if (v & bits[i].bit)
			strcat(strcat(to, "+"), bits[i].name);
	return to;
}

// events is what poll says of fd at once.
static const char *events(int fd) {
	struct pollfd p = {fd, POLLIN | POLLPRI | POLLOUT | POLLRDNORM | POLLRDBAND | POLLWRNORM | POLLWRBAND | POLLRDHUP, 0};
	MUST(poll(&p, 1, 0));
	return poll_names(p.revents);
}
#define EVENTS(fd) (printf("%s: events of " #fd " %s\n", section, events(fd)), fflush(stdout))
