// Every call on a socket in every state that it can be in: what it returns, and what
// poll and SO_ERROR say afterwards.
#include "net.h"

static int other; // the peer, when there is one

// The states of a TCP socket.

static int t_fresh(void) { return make(SOCK_STREAM); }
static int t_bound(void) { return bound(SOCK_STREAM); }
static int t_listening(void) { return listening(); }

static int t_pending(void) {
	int l = listening();
	addr a = name_of(l);
	other = make(SOCK_STREAM);
	MUST(connect(other, &a.sa, addrlen()));
	ready(l, POLLIN);
	return l;
}

static int t_refused(void) { // and has not told it
	int fd = make(SOCK_STREAM);
	addr a = nowhere(SOCK_STREAM);
	MUST(fcntl(fd, F_SETFL, O_NONBLOCK));
	if (connect(fd, &a.sa, addrlen()) < 0 && errno != EINPROGRESS && errno != ECONNREFUSED)
		MUST(-1);
	ready(fd, POLLOUT);
	return fd;
}

static int t_refused_told(void) {
	int fd = make(SOCK_STREAM);
	addr a = nowhere(SOCK_STREAM);
	connect(fd, &a.sa, addrlen());
	return fd;
}

static int t_connected(void) {
	int fd[2];
	connected(fd);
	other = fd[1];
	return fd[0];
}

static int t_data(void) {
	int fd = t_connected();
	MUST(send(other, "abcdef", 6, 0));
	ready(fd, POLLIN);
	return fd;
}

static int t_urgent(void) {
	int fd = t_connected();
	MUST(send(other, "abcdef", 6, MSG_OOB));
	ready(fd, POLLPRI);
	return fd;
}

static int t_shut_rd(void) {
	int fd = t_data();
	MUST(shutdown(fd, SHUT_RD));
	return fd;
}

// acknowledged waits for the peer to have seen that there is no more.
static void acknowledged(int fd) {
	struct tcp_info i;
	socklen_t n;
	do {
		n = sizeof i;
		MUST(getsockopt(fd, SOL_TCP, TCP_INFO, &i, &n));
	} while (i.tcpi_state == 4); // FIN-WAIT-1
}

static int t_shut_wr(void) {
	int fd = t_data();
	MUST(shutdown(fd, SHUT_WR));
	acknowledged(fd);
	return fd;
}

static int t_shut_both(void) {
	int fd = t_data();
	MUST(shutdown(fd, SHUT_RDWR));
	acknowledged(fd);
	return fd;
}

static int t_peer_shut(void) {
	int fd = t_data();
	MUST(shutdown(other, SHUT_WR));
	ready(fd, POLLRDHUP);
	return fd;
}

static int t_peer_closed(void) {
	int fd = t_connected();
	close(other);
	other = -1;
	ready(fd, POLLRDHUP);
	return fd;
}

static int t_closing(void) { // both have shut their side
	int fd = t_connected();
	MUST(shutdown(other, SHUT_WR));
	ready(fd, POLLRDHUP);
	MUST(shutdown(fd, SHUT_WR));
	ready(fd, POLLHUP);
	return fd;
}

static int t_reset(void) {
	int fd = t_data();
	reset(other);
	other = -1;
	ready(fd, POLLHUP);
	return fd;
}

static int t_reset_told(void) {
	int fd = t_reset(), e;
	socklen_t n = sizeof e;
	MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n));
	return fd;
}

static int t_full(void) {
	int fd = t_connected(), size = 1 << 14; // which stays, so that no room comes by itself
	static char b[1 << 16];
	MUST(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
	MUST(setsockopt(other, SOL_SOCKET, SO_RCVBUF, &size, sizeof size));
	while (send(fd, b, sizeof b, MSG_DONTWAIT) > 0) {
	}
	return fd;
}

static int t_disconnected(void) {
	int fd = t_data();
	struct sockaddr a = {AF_UNSPEC};
	MUST(connect(fd, &a, sizeof a));
	return fd;
}

static int t_stopped(void) { // listening no more
	int fd = t_pending();
	MUST(shutdown(fd, SHUT_RD));
	return fd;
}

// Those of a UDP socket.

static int u_fresh(void) { return make(SOCK_DGRAM); }
static int u_bound(void) { return bound(SOCK_DGRAM); }

static int u_connected(void) {
	int fd[2];
	friends(fd);
	other = fd[1];
	return fd[0];
}

static int u_data(void) {
	int fd = u_connected();
	MUST(send(other, "", 0, 0));
	MUST(send(other, "abcdef", 6, 0));
	return fd;
}

static int u_refused(void) {
	int fd = make(SOCK_DGRAM);
	addr a = nowhere(SOCK_DGRAM);
	MUST(connect(fd, &a.sa, addrlen()));
	MUST(send(fd, "abc", 3, 0));
	ready(fd, POLLERR);
	return fd;
}

static int u_refused_queued(void) {
	int fd = make(SOCK_DGRAM), on = 1;
	addr a = nowhere(SOCK_DGRAM);
	if (family == AF_INET)
		MUST(setsockopt(fd, SOL_IP, IP_RECVERR, &on, sizeof on));
	else
		MUST(setsockopt(fd, SOL_IPV6, IPV6_RECVERR, &on, sizeof on));
	MUST(sendto(fd, "abc", 3, 0, &a.sa, addrlen()));
	ready(fd, POLLERR);
	return fd;
}

static int u_shut(void) {
	int fd = u_data();
	MUST(shutdown(fd, SHUT_RDWR));
	return fd;
}

static int u_disconnected(void) {
	int fd = u_data();
	struct sockaddr a = {AF_UNSPEC};
	MUST(connect(fd, &a, sizeof a));
	return fd;
}

static const struct state {
	const char *name;
	int type;
	int (*make)(void);
} states[] = {
#define S(f, type) {#f, type, f}
	S(t_fresh, 1), S(t_bound, 1), S(t_listening, 1), S(t_pending, 1), S(t_refused, 1), S(t_refused_told, 1), S(t_connected, 1),
	S(t_data, 1), S(t_urgent, 1), S(t_shut_rd, 1), S(t_shut_wr, 1), S(t_shut_both, 1), S(t_peer_shut, 1), S(t_peer_closed, 1),
	S(t_closing, 1), S(t_reset, 1), S(t_reset_told, 1), S(t_full, 1), S(t_disconnected, 1), S(t_stopped, 1),
	S(u_fresh, 2), S(u_bound, 2), S(u_connected, 2), S(u_data, 2), S(u_refused, 2), S(u_refused_queued, 2), S(u_shut, 2),
	S(u_disconnected, 2),
};

// The calls.

static char buf[64];

static void c_nothing(int fd) {
}
static void c_bind(int fd) {
	addr a = loopback(0);
	T(bind(fd, &a.sa, addrlen()));
}
static void c_bind_taken(int fd) {
	addr a = nowhere(SOCK_STREAM);
	T(bind(fd, &a.sa, addrlen()));
}
static void c_listen(int fd) { T(listen(fd, 3)); }
static void c_accept(int fd) {
	addr a;
	socklen_t n = sizeof a;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (F(accept4(fd, &a.sa, &n, SOCK_NONBLOCK)) >= 0)
		printf("%s: of family %d, %d bytes\n", section, a.sa.sa_family, n);
}
static void to_listener(int fd, int type) {
	int l = type == SOCK_STREAM ? listening() : bound(type);
	addr a = name_of(l);
	T(connect(fd, &a.sa, addrlen()));
	T(connect(fd, &a.sa, addrlen()));
	close(l);
}
static void c_connect(int fd) {
	int type;
	socklen_t n = sizeof type;
	MUST(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n));
	to_listener(fd, type);
}
static void c_connect_nowhere(int fd) {
	int type;
	socklen_t n = sizeof type;
	MUST(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n));
	addr a = nowhere(type);
	T(connect(fd, &a.sa, addrlen()));
	if (type == SOCK_STREAM)
		T(connect(fd, &a.sa, addrlen()));
}
static void c_connect_bad(int fd) {
	addr a = loopback(1);
	T(connect(fd, &a.sa, 1));
	T(connect(fd, &a.sa, 8));
	a.sa.sa_family = AF_UNIX;
	T(connect(fd, &a.sa, addrlen()));
	a.sa.sa_family = family == AF_INET ? AF_INET6 : AF_INET;
	T(connect(fd, &a.sa, sizeof a.in6));
}
static void c_disconnect(int fd) {
	struct sockaddr a = {AF_UNSPEC};
	T(connect(fd, &a, sizeof a));
	T(connect(fd, &a, 2));
}
static void c_names(int fd) {
	addr a;
	socklen_t n = sizeof a;
	memset(&a, 0, sizeof a);
	if (T(getsockname(fd, &a.sa, &n)) == 0)
		printf("%s: name: family %d, %d bytes, port %d, address %x %d\n", section, a.sa.sa_family, n, a.in.sin_port != 0,
			family == AF_INET ? ntohl(a.in.sin_addr.s_addr) : 0, family == AF_INET6 ? a.in6.sin6_addr.s6_addr[15] : 0);
	n = 3;
	if (T(getpeername(fd, &a.sa, &n)) == 0)
		printf("%s: peer: %d bytes\n", section, n);
}
static void c_send(int fd) {
	T(send(fd, "xyz", 3, MSG_DONTWAIT | MSG_NOSIGNAL));
	T(send(fd, "xyz", 3, MSG_DONTWAIT | MSG_NOSIGNAL));
}
static void c_send_none(int fd) {
	T(send(fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL));
	T(write(fd, "", 0));
}
static void c_send_urgent(int fd) { T(send(fd, "xyz", 3, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_OOB)); }
static void c_send_more(int fd) { T(send(fd, "xyz", 3, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE)); }
static void c_send_flags(int fd) {
	T(send(fd, "xyz", 3, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_CONFIRM | MSG_DONTROUTE | MSG_EOR));
	T(send(fd, "xyz", 3, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_ERRQUEUE));
	T(send(fd, "xyz", 3, MSG_DONTWAIT | MSG_NOSIGNAL | 0x00800000));
}
static void c_send_fault(int fd) {
	T(send(fd, (void *)8, 3, MSG_DONTWAIT | MSG_NOSIGNAL));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	T(write(fd, (void *)8, 3));
}
static void c_sendto(int fd) {
	int u = bound(SOCK_DGRAM);
	addr a = name_of(u);
	T(sendto(fd, "xyz", 3, MSG_DONTWAIT | MSG_NOSIGNAL, &a.sa, addrlen()));
	T(sendto(fd, "xyz", 3, MSG_DONTWAIT | MSG_NOSIGNAL, &a.sa, 3));
	T(sendto(fd, "xyz", 3, MSG_DONTWAIT | MSG_NOSIGNAL, (void *)8, addrlen()));
	T(sendto(fd, "xyz", 3, MSG_DONTWAIT | MSG_NOSIGNAL, &a.sa, 1000));
	T(sendto(fd, "xyz", 3, MSG_DONTWAIT | MSG_NOSIGNAL, &a.sa, -1));
	a.sa.sa_family = AF_UNIX;
	T(sendto(fd, "xyz", 3, MSG_DONTWAIT | MSG_NOSIGNAL, &a.sa, addrlen()));
	a.sa.sa_family = AF_UNSPEC;
	T(sendto(fd, "xyz", 3, MSG_DONTWAIT | MSG_NOSIGNAL, &a.sa, addrlen()));
	close(u);
}
static volatile int pipes;
static void on_pipe(int sig) { pipes++; }
static void c_write(int fd) {
	pipes = 0;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	T(write(fd, "xyz", 3));
	struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cd", 2}};
	T(writev(fd, v, 3));
	T(pwritev2(fd, v, 3, -1, 0));
	T(pwritev2(fd, v, 3, -1, RWF_NOWAIT));
	T(pwrite(fd, "x", 1, 0));
	printf("%s: %d SIGPIPE\n", section, pipes);
}
static void got(int fd, int flags, const char *name) {
	memset(buf, '-', sizeof buf);
	struct iovec v[2] = {{buf, 2}, {buf + 2, 2}};
	char control[512];
	addr a;
	struct msghdr m = {&a, sizeof a, v, 2, control, sizeof control, 0x5a5a};
	errno = 0;
	long n = recvmsg(fd, &m, flags | MSG_DONTWAIT);
	printf("%s: recvmsg(%s) = %ld", section, name, n);
	if (n < 0)
		printf(" %s\n", strerrorname_np(errno));
	else {
		printf(" '%.6s', name %d, control %d, flags %x\n", buf, m.msg_namelen, (int)m.msg_controllen, m.msg_flags);
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
			printf("%s: control %d %d, %d bytes", section, c->cmsg_level, c->cmsg_type, (int)c->cmsg_len);
			if (c->cmsg_type == IP_RECVERR || c->cmsg_type == IPV6_RECVERR) {
				struct sock_extended_err *e = (void *)CMSG_DATA(c);
				printf(": %s origin %d type %d code %d", strerrorname_np(e->ee_errno), e->ee_origin, e->ee_type, e->ee_code);
			}
			printf("\n");
		}
	}
	fflush(stdout);
}
#define GOT(flags) got(fd, flags, #flags)
static void c_recv(int fd) { GOT(0), GOT(0), GOT(0), GOT(0); }
static void c_peek(int fd) { GOT(MSG_PEEK), GOT(MSG_PEEK | MSG_TRUNC), GOT(MSG_PEEK | MSG_WAITALL), GOT(MSG_TRUNC), GOT(0); }
static void c_recv_urgent(int fd) { GOT(MSG_OOB | MSG_PEEK), GOT(MSG_OOB), GOT(MSG_OOB), GOT(MSG_PEEK | MSG_OOB); }
static void c_recv_error(int fd) { GOT(MSG_ERRQUEUE | MSG_PEEK), GOT(MSG_ERRQUEUE), GOT(MSG_ERRQUEUE); }
static void c_recv_flags(int fd) { GOT(MSG_WAITALL), GOT(MSG_CMSG_CLOEXEC), GOT(MSG_NOSIGNAL | MSG_EOR), GOT(0x40000); }
static void c_recv_none(int fd) {
	T(recv(fd, buf, 0, MSG_DONTWAIT));
	T(recv(fd, buf, 0, MSG_DONTWAIT | MSG_PEEK));
	T(recv(fd, buf, 0, MSG_DONTWAIT | MSG_TRUNC));
	T(read(fd, buf, 0));
}
static void c_recv_fault(int fd) {
	T(recv(fd, (void *)8, 3, MSG_DONTWAIT));
	T(recv(fd, (void *)8, 3, MSG_DONTWAIT));
	T(recvfrom(fd, buf, 3, MSG_DONTWAIT, (void *)8, (void *)16));
	T(recv(fd, buf, -1, MSG_DONTWAIT));
}
static void c_read(int fd) {
	fcntl(fd, F_SETFL, O_NONBLOCK);
	T(read(fd, buf, 2));
	struct iovec v[2] = {{buf, 1}, {buf + 2, 2}};
	T(readv(fd, v, 2));
	T(preadv(fd, v, 2, 0));
	T(preadv2(fd, v, 2, -1, RWF_NOWAIT));
	T(pread(fd, buf, 2, 0));
}
static void c_timeout(int fd) { // those who wait, for a millisecond
	struct timeval tv = {0, 1000};
	T(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
	T(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv));
	T(recv(fd, buf, 4, 0));
	T(recv(fd, buf, 4, MSG_WAITALL));
	T(recv(fd, buf, 4, MSG_OOB));
	T(recv(fd, buf, 4, MSG_ERRQUEUE));
	T(send(fd, "x", 1, MSG_NOSIGNAL));
	F(accept(fd, 0, 0));
}
static void c_shutdown_rd(int fd) { T(shutdown(fd, SHUT_RD)), T(shutdown(fd, SHUT_RD)), GOT(0), GOT(0), GOT(0), GOT(0); }
static void c_shutdown_wr(int fd) { T(shutdown(fd, SHUT_WR)), T(shutdown(fd, SHUT_WR)); T(send(fd, "x", 1, MSG_NOSIGNAL)); }
static void c_shutdown_both(int fd) { T(shutdown(fd, 2)), T(shutdown(fd, 3)), T(shutdown(fd, -1)), GOT(0); }
static void c_ioctl(int fd) {
	int v = -1;
	T(ioctl(fd, FIONREAD, &v)), T(v);
	T(ioctl(fd, SIOCOUTQ, &v));
	T(ioctl(fd, SIOCOUTQNSD, &v));
	v = -1;
	T(ioctl(fd, SIOCATMARK, &v)), T(v);
	T(ioctl(fd, FIONREAD, 8)), T(ioctl(fd, FIONBIO, 8)), T(ioctl(fd, TIOCGWINSZ, &v)), T(ioctl(fd, 0x12345678, &v));
	T(sockatmark(fd));
}
static void c_info(int fd) {
	struct tcp_info i;
	socklen_t n = sizeof i.tcpi_state;
	memset(&i, 0, sizeof i);
	T(getsockopt(fd, SOL_TCP, TCP_INFO, &i, &n));
	T(n), T(i.tcpi_state);
	int v = 0;
	n = sizeof v;
	T(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &v, &n)), T(v);
}
static void c_file(int fd) {
	T(lseek(fd, 0, SEEK_CUR)), T(fsync(fd)), T(fdatasync(fd)), T(ftruncate(fd, 0)), T(fallocate(fd, 0, 0, 1)), T(posix_fadvise(fd, 0, 1, 0));
	T(readahead(fd, 0, 1)), T(fchdir(fd)), T(sync_file_range(fd, 0, 1, 0)), T(syncfs(fd));
}
static void c_splice(int fd) {
	int p[2];
	MUST(pipe(p));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	T(splice(fd, 0, p[1], 0, 4, SPLICE_F_NONBLOCK));
	MUST(write(p[1], "1234", 4));
	T(splice(p[0], 0, fd, 0, 4, SPLICE_F_NONBLOCK));
	int file = MUST(open("/proc/self/exe", O_RDONLY));
	off_t at = 1;
	T(sendfile(fd, file, &at, 3)), T(at);
	T(sendfile(p[1], fd, 0, 3));
	T(tee(fd, p[1], 1, 0));
	T(copy_file_range(file, 0, fd, 0, 1, 0));
	T(vmsplice(fd, 0, 0, 0));
	close(p[0]), close(p[1]), close(file);
}
static void c_mmsg(int fd) {
	struct iovec v[2] = {{"ab", 2}, {"cde", 3}};
	struct mmsghdr m[2] = {{{0, 0, v, 1}}, {{0, 0, v + 1, 1}}};
	T(sendmmsg(fd, m, 2, MSG_DONTWAIT | MSG_NOSIGNAL)), T(m[0].msg_len), T(m[1].msg_len);
	T(sendmmsg(fd, m, 0, MSG_DONTWAIT));
	char b[2][8];
	struct iovec w[2] = {{b[0], 3}, {b[1], 3}};
	struct mmsghdr r[2] = {{{0, 0, w, 1}}, {{0, 0, w + 1, 1}}};
	T(recvmmsg(fd, r, 2, MSG_DONTWAIT, 0)), T(r[0].msg_len), T(r[1].msg_len);
	struct timespec ts = {0, 0};
	T(recvmmsg(fd, r, 2, MSG_DONTWAIT, &ts));
	T(recvmmsg(fd, r, 0, MSG_DONTWAIT, 0));
}
static void c_epoll(int fd) {
	int ep = MUST(epoll_create1(0));
	struct epoll_event e = {EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET, {.u32 = 7}};
	T(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
	for (int i = 0; i < 2; i++) {
		memset(&e, 0, sizeof e);
		T(epoll_wait(ep, &e, 1, 0));
		printf("%s: %s\n", section, poll_names(e.events));
	}
	close(ep);
}

static const struct call {
	const char *name;
	void (*call)(int);
} list[] = {
#define C(f) {#f, f}
	C(c_nothing), C(c_bind), C(c_bind_taken), C(c_listen), C(c_accept), C(c_connect), C(c_connect_nowhere), C(c_connect_bad),
	C(c_disconnect), C(c_names), C(c_send), C(c_send_none), C(c_send_urgent), C(c_send_more), C(c_send_flags), C(c_send_fault),
	C(c_sendto), C(c_write), C(c_recv), C(c_peek), C(c_recv_urgent), C(c_recv_error), C(c_recv_flags), C(c_recv_none),
	C(c_recv_fault), C(c_read), C(c_timeout), C(c_shutdown_rd), C(c_shutdown_wr), C(c_shutdown_both), C(c_ioctl), C(c_info),
	C(c_file), C(c_splice), C(c_mmsg), C(c_epoll),
};

int main(int argc, char **argv) {
	family = argc > 1 && !strcmp(argv[1], "6") ? AF_INET6 : AF_INET;
	signal(SIGPIPE, on_pipe);
	nowhere(SOCK_STREAM), nowhere(SOCK_DGRAM);
	for (unsigned s = 0; s < sizeof states / sizeof *states; s++)
		for (unsigned c = 0; c < sizeof list / sizeof *list; c++) {
			if (argc > 3 && (strcmp(argv[2], states[s].name) || strcmp(argv[3], list[c].name)))
				continue;
			if (list[c].call == c_send_fault && (states[s].type == SOCK_DGRAM || states[s].make == t_full))
				continue; // hati reads a message, and what there is no room for, first
			static char name[100];
			snprintf(name, sizeof name, "%s %s", states[s].name, list[c].name);
			section = name;
			other = -1;
			int fd = states[s].make(), e = -1;
			socklen_t n = sizeof e;
			list[c].call(fd);
			EVENTS(fd);
			T(getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n));
			printf("%s: error %s\n", section, strerrorname_np(e) ?: "none");
			EVENTS(fd);
			if (other >= 0)
				close(other);
			close(fd);
		}
	return 0;
}
