// The sockets of points.h over a network: TCP and UDP on 127.0.0.1.
#include <netinet/in.h>
#include <netinet/tcp.h>

static struct sockaddr_in at;
static socklen_t at_size = sizeof at;

// As small as they get, so that what fits does not change with time.
static void bounded(int fd) {
	int size = 8192;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

static void here(int fd) {
	at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	bind(fd, (void *)&at, sizeof at);
	getsockname(fd, (void *)&at, &at_size);
}

static void listening(void) {
	a = socket(AF_INET, SOCK_STREAM, 0);
	bounded(a);
	here(a);
	listen(a, 0);
	b = socket(AF_INET, SOCK_STREAM, 0);
	bounded(b);
}
static void join_in(void) { connect(b, (void *)&at, at_size); }

// One connection fits; further requests are dropped, and made again after a second.
static void full_backlog(void) {
	listening();
	int fd = extra[extras++] = socket(AF_INET, SOCK_STREAM, 0);
	connect(fd, (void *)&at, at_size);
}

static void new_pair(void) {
	listening();
	join_in();
	int fd = accept(a, 0, 0), one = 1;
	close(a);
	a = fd;
	setsockopt(b, SOL_TCP, TCP_NODELAY, &one, sizeof one);
}

static void new_datagrams(void) {
	a = socket(AF_INET, SOCK_DGRAM, 0);
	here(a);
	b = socket(AF_INET, SOCK_DGRAM, 0);
	connect(b, (void *)&at, at_size);
}

// What was written may move on to the other side, and make room: when it confirms
// after some 40 ms.
static int room_soon(int fd) {
	struct pollfd p = {fd, POLLOUT};
	return poll(&p, 1, 120) == 1;
}
