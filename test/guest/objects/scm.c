// Control messages: open files, credentials, vectors of messages.
#include "check.h"
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#define SO_PEERPIDFD 77
#endif

static long sendfds(int s, const void *b, size_t n, int *fds, int count, int flags)
{
	union { char b[CMSG_SPACE(300 * sizeof(int))]; struct cmsghdr h; } c;
	struct iovec v = {(void *)b, n};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
	memset(&c, 0, sizeof c);
	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(&c.h), fds, count * sizeof(int));
	return sendmsg(s, &m, flags);
}

// receive shows a message; descriptors are stored in got.
static int got[300], ngot;
static long receive(int s, size_t n, size_t control, int flags)
{
	char b[1000], c[2000];
	struct sockaddr_un a;
	struct iovec v[2] = {{b, n / 2}, {b + n / 2, n - n / 2}};
	struct msghdr m = {.msg_name = &a, .msg_namelen = sizeof a, .msg_iov = v, .msg_iovlen = 2, .msg_control = control ? c : 0, .msg_controllen = control, .msg_flags = 0x1234};
	memset(c, 0, sizeof c);
	ngot = 0;
	errno = 0;
	long r = recvmsg(s, &m, flags);
	note("recvmsg = %ld %s namelen %d controllen %ld flags %x", r, err(r), m.msg_namelen, m.msg_controllen, m.msg_flags);
	if (r < 0)
		return r;
	if (r > 0)
		note("data '%.*s'", (int)r, b);
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		note("cmsg len %ld level %d type %d", h->cmsg_len, h->cmsg_level, h->cmsg_type);
		if (h->cmsg_type == SCM_RIGHTS) {
			ngot = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(got, CMSG_DATA(h), ngot * sizeof(int));
			for (int i = 0; i < ngot && i < 3; i++)
				note("fd %d flags %x", got[i] >= 0, fcntl(got[i], F_GETFD));
		} else if (h->cmsg_type == SCM_CREDENTIALS && h->cmsg_len >= CMSG_LEN(12)) {
			struct ucred *u = (void *)CMSG_DATA(h);
			note("pid %s uid %u gid %u", u->pid == getpid() ? "mine" : u->pid == getppid() ? "parent" : u->pid == 0 ? "0" : "other", u->uid, u->gid);
		} else if (h->cmsg_type == SCM_PIDFD) {
			int *p = (void *)CMSG_DATA(h);
			note("pidfd %d signal %ld", *p >= 0, syscall(SYS_pidfd_send_signal, *p, 0, 0, 0));
			close(*p);
		}
	}
	return r;
}

static void closegot(void)
{
	while (ngot > 0)
		close(got[--ngot]);
}

static void rights(int type)
{
	int sv[2], fds[300], p[2];
	char b[10];
	note("type %d", type);
	socketpair(AF_UNIX, type, 0, sv);
	pipe(p);
	fds[0] = p[0];
	fds[1] = p[1];
	fds[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	SHOW(sendfds(sv[0], "abc", 3, fds, 2, 0));
	receive(sv[1], 10, 100, 0);
	SHOW(write(got[1], "through", 7));
	SHOW(read(p[0], b, 7));
	closegot();
	SHOW(sendfds(sv[0], "abc", 3, fds, 3, 0));
	receive(sv[1], 10, 100, MSG_CMSG_CLOEXEC);
	closegot();
	note("truncated control");
	for (size_t n = 0; n < 40; n += 4) {
		sendfds(sv[0], "abc", 3, fds, 3, 0);
		note("control %ld", n);
		receive(sv[1], 10, n, 0);
		closegot();
	}
	note("peek");
	sendfds(sv[0], "abc", 3, fds, 2, 0);
	receive(sv[1], 10, 100, MSG_PEEK);
	closegot();
	receive(sv[1], 2, 100, 0);
	closegot();
	receive(sv[1], 2, 100, MSG_DONTWAIT);
	note("read drops them");
	sendfds(sv[0], "abc", 3, fds, 2, 0);
	SHOW(read(sv[1], b, 10));
	note("boundaries");
	SHOW(write(sv[0], "1", 1));
	sendfds(sv[0], "2", 1, fds, 1, 0);
	SHOW(write(sv[0], "3", 1));
	for (int i = 0; i < 3; i++) {
		receive(sv[1], 10, 100, MSG_DONTWAIT);
		closegot();
	}
	note("errors");
	fds[4] = 12345;
	SHOW(sendfds(sv[0], "abc", 3, fds + 2, 3, 0));
	fds[4] = -1;
	SHOW(sendfds(sv[0], "abc", 3, fds + 2, 3, 0));
	SHOW(sendfds(sv[0], "", 0, fds, 1, 0));
	receive(sv[1], 10, 100, MSG_DONTWAIT);
	closegot();
	SHOW(sendfds(sv[0], "abc", 3, fds, 0, 0));
	receive(sv[1], 10, 100, MSG_DONTWAIT);
	for (int i = 3; i < 300; i++)
		fds[i] = fds[2];
	SHOW(sendfds(sv[0], "abc", 3, fds, 254, 0));
	SHOW(sendfds(sv[0], "abc", 3, fds, 253, 0));
	receive(sv[1], 10, 1500, MSG_DONTWAIT);
	note("%d", ngot);
	closegot();
	int path = open("/", O_PATH);
	SHOW(sendfds(sv[0], "p", 1, &path, 1, 0));
	receive(sv[1], 10, 100, MSG_DONTWAIT);
	SHOW(fcntl(got[0], F_GETFL) & O_PATH);
	closegot();
	close(path);
	note("the limit of descriptors");
	struct rlimit old, l;
	getrlimit(RLIMIT_NOFILE, &old);
	int top = dup(0);
	close(top);
	l = old;
	l.rlim_cur = top + 1;
	sendfds(sv[0], "abc", 3, fds, 2, 0);
	setrlimit(RLIMIT_NOFILE, &l);
	receive(sv[1], 10, 100, 0);
	closegot();
	setrlimit(RLIMIT_NOFILE, &old);
	note("in flight when closed");
	sendfds(sv[0], "abc", 3, fds + 1, 1, 0);
	close(p[1]);
	close(sv[1]);
	SHOW(read(p[0], b, 1));
	close(p[0]);
	close(sv[0]);
	close(fds[2]);
}

// Sockets in each other's queues, and nowhere else, are found and closed.
static void cycle(void)
{
	int sv[2], w[2], s2[2];
	char b;
	pipe(w);
	socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s2);
	int fds[2] = {s2[0], w[1]};
	SHOW(sendfds(sv[0], "x", 1, fds, 2, 0));
	fds[0] = sv[0];
	fds[1] = sv[1];
	SHOW(sendfds(s2[1], "x", 1, fds, 2, 0));
	close(sv[0]);
	close(sv[1]);
	close(s2[0]);
	close(s2[1]);
	close(w[1]);
	// Linux collects in the background; another close makes it start.
	socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
	sendfds(sv[0], "x", 1, sv, 1, 0);
	close(sv[0]);
	close(sv[1]);
	SHOW(read(w[0], &b, 1));
	close(w[0]);
}

static long sendcred(int s, int pid, int uid, int gid, size_t len)
{
	union { char b[CMSG_SPACE(sizeof(struct ucred))]; struct cmsghdr h; } c;
	struct ucred u = {pid, uid, gid};
	struct iovec v = {"cred", 4};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
	memset(&c, 0, sizeof c);
	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_CREDENTIALS;
	c.h.cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(&c.h), &u, sizeof u);
	return sendmsg(s, &m, 0);
}

static void creds(int type)
{
	int sv[2], on = 1;
	note("type %d", type);
	socketpair(AF_UNIX, type, 0, sv);
	write(sv[0], "before", 6);
	SHOW(setsockopt(sv[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
	receive(sv[1], 10, 100, 0);
	write(sv[0], "after", 5);
	receive(sv[1], 10, 100, 0);
	write(sv[0], "none", 4);
	receive(sv[1], 10, 0, 0);
	write(sv[0], "short", 5);
	receive(sv[1], 10, 20, 0);
	write(sv[0], "1", 1);
	if (fork() == 0) {
		write(sv[0], "2", 1);
		_exit(0);
	}
	wait(0);
	write(sv[0], "3", 1);
	for (int i = 0; i < 3; i++)
		receive(sv[1], 10, 100, MSG_DONTWAIT);
	SHOW(sendcred(sv[0], getpid(), getuid(), getgid(), sizeof(struct ucred)));
	receive(sv[1], 10, 100, 0);
	SHOW(sendcred(sv[0], getpid(), getuid(), getgid(), 8));
	SHOW(sendcred(sv[0], 0x3fffff, getuid(), getgid(), sizeof(struct ucred)));
	int fd = 0;
	SHOW(sendfds(sv[0], "both", 4, &fd, 1, 0));
	receive(sv[1], 10, 100, 0);
	closegot();
	SHOW(setsockopt(sv[1], SOL_SOCKET, SO_PASSPIDFD, &on, sizeof on));
	SHOW(sendfds(sv[0], "three", 5, &fd, 1, 0));
	receive(sv[1], 10, 100, 0);
	closegot();
	socklen_t n = sizeof fd;
	SHOW(getsockopt(sv[1], SOL_SOCKET, SO_PEERPIDFD, &fd, &n));
	note("len %d flags %d", n, fcntl(fd, F_GETFD));
	close(fd);
	close(sv[0]);
	receive(sv[1], 10, 100, MSG_DONTWAIT);
	close(sv[1]);
}

static void several(void)
{
	int sv[2];
	char b[4][8];
	struct iovec v[4];
	struct mmsghdr m[4];
	socketpair(AF_UNIX, SOCK_DGRAM, 0, sv);
	memset(m, 0, sizeof m);
	for (int i = 0; i < 4; i++) {
		sprintf(b[i], "msg%d", i);
		v[i] = (struct iovec){b[i], i + 1};
		m[i].msg_hdr.msg_iov = &v[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	SHOW(sendmmsg(sv[0], m, 4, 0));
	for (int i = 0; i < 4; i++)
		note("%d", m[i].msg_len);
	m[2].msg_hdr.msg_iovlen = 2000;
	SHOW(sendmmsg(sv[0], m, 4, 0));
	SHOW(sendmmsg(sv[0], m + 2, 1, 0));
	m[2].msg_hdr.msg_iovlen = 1;
	memset(b, 0, sizeof b);
	for (int i = 0; i < 4; i++)
		v[i].iov_len = 3;
	SHOW(recvmmsg(sv[1], m, 3, 0, 0));
	for (int i = 0; i < 3; i++)
		note("%d %x '%s'", m[i].msg_len, m[i].msg_hdr.msg_flags, b[i]);
	struct timespec t = {50, 0}; // more than a busy machine needs for the first message
	SHOW(recvmmsg(sv[1], m, 4, MSG_WAITFORONE, &t));
	for (int i = 0; i < 3; i++)
		note("%d %x '%s'", m[i].msg_len, m[i].msg_hdr.msg_flags, b[i]);
	SHOW(recvmmsg(sv[1], m, 4, MSG_DONTWAIT, 0));
	t.tv_nsec = 2000000000;
	SHOW(recvmmsg(sv[1], m, 4, MSG_DONTWAIT, &t));
	struct msghdr h = {.msg_namelen = -1, .msg_name = b};
	SHOW(sendmsg(sv[0], &h, 0));
	SHOW(recvmsg(sv[0], &h, 0));
	SHOW(sendmsg(sv[0], (void *)8, 0));
	h = (struct msghdr){.msg_iov = (void *)8, .msg_iovlen = 1};
	SHOW(sendmsg(sv[0], &h, 0));
	char c[64] = {3};
	v[0].iov_len = 1;
	h = (struct msghdr){.msg_iov = v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = 40};
	SHOW(sendmsg(sv[0], &h, 0));
	h.msg_control = (void *)8;
	SHOW(sendmsg(sv[0], &h, 0));
	h.msg_controllen = 1 << 20;
	SHOW(sendmsg(sv[0], &h, 0));
	struct cmsghdr *g = (void *)c;
	*g = (struct cmsghdr){CMSG_LEN(4), SOL_SOCKET, 99};
	h.msg_control = c;
	h.msg_controllen = 24;
	SHOW(sendmsg(sv[0], &h, 0));
	g->cmsg_level = 77;
	SHOW(sendmsg(sv[0], &h, 0));
	receive(sv[1], 10, 100, MSG_DONTWAIT);
}

int main(void)
{
	rights(SOCK_STREAM);
	rights(SOCK_DGRAM);
	rights(SOCK_SEQPACKET);
	cycle();
	creds(SOCK_STREAM);
	creds(SOCK_DGRAM);
	creds(SOCK_SEQPACKET);
	several();
	return 0;
}
