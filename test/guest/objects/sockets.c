// AF_UNIX: addresses, connections, errors, options.
#include "check.h"
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <linux/sockios.h>

static socklen_t path(struct sockaddr_un *a, const char *p)
{
	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	strcpy(a->sun_path, p);
	return offsetof(struct sockaddr_un, sun_path) + strlen(p) + 1;
}

// abstract is a name that no other process has: on the host these are everybody's.
static socklen_t abstract(struct sockaddr_un *a)
{
	char p[32];
	snprintf(p, sizeof p, "hati-test-%07d", getpid());
	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	strcpy(a->sun_path + 1, p);
	return offsetof(struct sockaddr_un, sun_path) + strlen(p) + 1;
}

static int named(int type, const char *p)
{
	struct sockaddr_un a;
	int s = socket(AF_UNIX, type, 0);
	socklen_t n = path(&a, p);
	DO(bind(s, (void *)&a, n));
	return s;
}

static void names(int s)
{
	struct sockaddr_un a;
	socklen_t n = sizeof a;
	memset(&a, 0, sizeof a);
	SHOW(getsockname(s, (void *)&a, &n));
	note("len %d family %d path '%s'", n, a.sun_family, a.sun_path);
	n = 5;
	memset(&a, 'x', sizeof a);
	SHOW(getsockname(s, (void *)&a, &n));
	hex("short", &a, 6);
	note("len %d", n);
	n = sizeof a;
	memset(&a, 0, sizeof a);
	if (SHOW(getpeername(s, (void *)&a, &n)) == 0)
		note("len %d family %d path '%s'", n, a.sun_family, a.sun_path);
	n = -1;
	SHOW(getsockname(s, (void *)&a, &n));
	SHOW(getsockname(s, (void *)&a, 0));
}

static void creation(void)
{
	int sv[2];
	SHOW(socket(AF_UNIX, SOCK_STREAM, 1) >= 0);
	SHOW(socket(AF_UNIX, SOCK_STREAM, 2));
	SHOW(socket(AF_UNIX, 7, 0));
	SHOW(socket(AF_UNIX, SOCK_RDM, 0));
	SHOW(socket(AF_UNIX, 11, 0));
	SHOW(socket(AF_UNIX, SOCK_STREAM | 0x100, 0));
	SHOW(socket(-1, SOCK_STREAM, 0));
	SHOW(socket(99, SOCK_STREAM, 0));
	SHOW(socket(AF_X25, SOCK_STREAM, 0));
	SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, 0));
	SHOW(socketpair(AF_UNIX, SOCK_STREAM, 9, sv));
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	SHOW(fcntl(s, F_GETFL));
	SHOW(fcntl(s, F_GETFD));
	struct stat st;
	SHOW(fstat(s, &st));
	note("mode %o", st.st_mode);
	SHOW(lseek(s, 0, SEEK_CUR));
	SHOW(pread(s, sv, 1, 0));
	SHOW(ftruncate(s, 0));
	char l[64] = "", p[64];
	sprintf(p, "/proc/self/fd/%d", s);
	SHOW(readlink(p, l, 63) > 0);
	note("%.8s", l);
	SHOW(open(p, O_RDWR));
	close(s);
	SHOW(listen(0x7fff, 1));
	int f = open("/dev/null", O_RDWR);
	SHOW(listen(f, 1));
	SHOW(bind(f, 0, 0));
	SHOW(connect(f, 0, 0));
	SHOW(send(f, "x", 1, 0));
	SHOW(recv(f, p, 1, 0));
	SHOW(shutdown(f, 0));
	SHOW(accept4(f, 0, 0, 0x1000000));
	close(f);
}

static void binding(void)
{
	struct sockaddr_un a;
	struct stat st;
	socklen_t n;
	umask(027);
	int s = named(SOCK_STREAM, "one");
	SHOW(stat("one", &st));
	note("mode %o", st.st_mode);
	names(s);
	n = path(&a, "two");
	SHOW(bind(s, (void *)&a, n));
	SHOW(access("two", F_OK));
	n = path(&a, "one");
	int s2 = socket(AF_UNIX, SOCK_STREAM, 0);
	SHOW(bind(s2, (void *)&a, n));
	SHOW(bind(s2, (void *)&a, 0));
	SHOW(bind(s2, (void *)&a, -1));
	SHOW(bind(s2, (void *)&a, 500));
	SHOW(bind(s2, (void *)&a, 111));
	SHOW(bind(s2, (void *)8, 10));
	SHOW(bind(s2, (void *)&a, 1));
	n = path(&a, "no/such");
	SHOW(bind(s2, (void *)&a, n));
	n = path(&a, "one/such");
	SHOW(bind(s2, (void *)&a, n));
	n = path(&a, "dir/");
	SHOW(bind(s2, (void *)&a, n));
	n = path(&a, ".");
	SHOW(bind(s2, (void *)&a, n));
	a.sun_family = AF_INET;
	SHOW(bind(s2, (void *)&a, n));
	SHOW(fchmod(s2, 0600));
	memset(&a, 'n', sizeof a);
	a.sun_family = AF_UNIX;
	SHOW(bind(s2, (void *)&a, sizeof a));
	names(s2);
	close(s2);
	char full[110] = {0};
	memset(full, 'n', 108);
	SHOW(stat(full, &st));
	note("mode %o", st.st_mode);
	SHOW(unlink(full));
	SHOW(open("one", O_RDWR));
	int p = SHOW(open("one", O_PATH)) ;
	close(p);
	s2 = socket(AF_UNIX, SOCK_STREAM, 0);
	n = abstract(&a);
	SHOW(bind(s2, (void *)&a, n));
	struct sockaddr_un b;
	n = sizeof b;
	SHOW(getsockname(s2, (void *)&b, &n));
	note("len %d", n);
	int s3 = socket(AF_UNIX, SOCK_STREAM, 0);
	n = abstract(&a);
	SHOW(bind(s3, (void *)&a, n));
	close(s2);
	SHOW(bind(s3, (void *)&a, n));
	close(s3);
	s3 = socket(AF_UNIX, SOCK_DGRAM, 0);
	SHOW(bind(s3, (void *)&a, 2));
	n = sizeof b;
	SHOW(getsockname(s3, (void *)&b, &n));
	note("len %d", n);
	SHOW(bind(s3, (void *)&a, 2));
	close(s3);
	close(s);
	SHOW(unlink("one"));
}

static void connecting(int type)
{
	struct sockaddr_un a;
	socklen_t n;
	char b[64];
	note("type %d", type);
	int l = named(type, "srv");
	SHOW(listen(l, 1));
	names(l);
	int c = socket(AF_UNIX, type, 0);
	SHOW(send(c, "x", 1, MSG_NOSIGNAL));
	SHOW(recv(c, b, 1, MSG_DONTWAIT));
	n = path(&a, "none");
	SHOW(connect(c, (void *)&a, n));
	n = path(&a, ".");
	SHOW(connect(c, (void *)&a, n));
	close(open("file", O_CREAT | O_RDWR, 0600));
	n = path(&a, "file");
	SHOW(connect(c, (void *)&a, n));
	n = path(&a, "file/x");
	SHOW(connect(c, (void *)&a, n));
	SHOW(unlink("file"));
	SHOW(symlink("srv", "link"));
	n = path(&a, "link");
	SHOW(connect(c, (void *)&a, 2));
	int other = socket(AF_UNIX, type == SOCK_DGRAM ? SOCK_STREAM : SOCK_DGRAM, 0);
	SHOW(connect(other, (void *)&a, n));
	close(other);
	SHOW(connect(c, (void *)&a, n));
	names(c);
	SHOW(connect(c, (void *)&a, n));
	SHOW(unlink("link"));
	n = path(&a, "srv");
	if (type != SOCK_DGRAM) {
		int c2 = socket(AF_UNIX, type | SOCK_NONBLOCK, 0), c3 = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);
		SHOW(connect(c2, (void *)&a, n));
		SHOW(connect(c3, (void *)&a, n));
		struct timeval tv = {0, 100000};
		SHOW(setsockopt(c3, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv));
		fcntl(c3, F_SETFL, 0);
		double t = now();
		SHOW(connect(c3, (void *)&a, n));
		note("waited %d", now() - t > 0.09);
		close(c2);
		close(c3);
	}
	struct sockaddr_un peer;
	n = sizeof peer;
	int s = l;
	if (type != SOCK_DGRAM) {
		s = accept4(l, (void *)&peer, &n, SOCK_CLOEXEC);
		DO(s);
		note("peer len %d", n);
		names(s);
		SHOW(fcntl(s, F_GETFD));
		SHOW(fcntl(s, F_GETFL));
	} else {
		SHOW(accept(l, 0, 0));
	}
	struct ucred u;
	n = sizeof u;
	SHOW(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &u, &n));
	note("pid mine %d uid %d gid %d len %d", u.pid == getpid(), u.uid, u.gid, n);
	n = sizeof u;
	SHOW(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &u, &n));
	note("pid mine %d uid %d gid %d len %d", u.pid == getpid(), u.uid, u.gid, n);
	SHOW(send(c, "hello", 5, 0));
	SHOW(write(c, "world", 5));
	int q = 0;
	SHOW(ioctl(s, FIONREAD, &q));
	note("%d", q);
	SHOW(ioctl(c, SIOCOUTQ, &q));
	note("%d", q);
	SHOW(recv(s, b, 3, MSG_PEEK));
	SHOW(recv(s, b, 3, MSG_PEEK | MSG_TRUNC));
	SHOW(recv(s, b, 3, 0));
	note("%.3s", b);
	SHOW(recv(s, b, 60, MSG_TRUNC));
	SHOW(recv(s, b, 60, MSG_DONTWAIT));
	n = sizeof peer;
	SHOW(recvfrom(s, b, 60, MSG_DONTWAIT, (void *)&peer, &n));
	SHOW(sendto(c, "y", 1, 0, (void *)&a, 6));
	SHOW(shutdown(c, 3));
	SHOW(shutdown(c, SHUT_WR));
	SHOW(send(c, "x", 1, MSG_NOSIGNAL));
	SHOW(recv(s, b, 60, MSG_DONTWAIT));
	SHOW(recv(s, b, 60, MSG_DONTWAIT));
	struct pollfd p = {s, POLLIN | POLLOUT | POLLRDHUP};
	SHOW(poll(&p, 1, 0));
	note("revents %x", p.revents);
	SHOW(send(s, "z", 1, MSG_NOSIGNAL));
	close(s);
	SHOW(recv(c, b, 60, MSG_DONTWAIT));
	SHOW(recv(c, b, 60, MSG_DONTWAIT));
	close(c);
	close(l);
	c = socket(AF_UNIX, type, 0);
	n = path(&a, "srv");
	SHOW(connect(c, (void *)&a, n));
	close(c);
	SHOW(unlink("srv"));
}

static volatile int signals;
static void handler(int s) { signals++; }

static void option(int s, int o)
{
	int v = -7;
	socklen_t n = sizeof v;
	long r = getsockopt(s, SOL_SOCKET, o, &v, &n);
	note("option %d: %s %d len %d", o, err(r), r ? 0 : v, n);
}

static void options(void)
{
	int sv[2], v;
	socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
	int all[] = {SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN, SO_ERROR, SO_SNDBUF, SO_RCVBUF, SO_REUSEADDR,
		SO_KEEPALIVE, SO_BROADCAST, SO_DONTROUTE, SO_OOBINLINE, SO_PRIORITY, SO_RCVLOWAT, SO_SNDLOWAT, SO_PASSCRED, SO_REUSEPORT, 1000};
	for (int i = 0; i < sizeof all / sizeof *all; i++)
		option(sv[0], all[i]);
	v = 5;
	SHOW(setsockopt(sv[0], SOL_SOCKET, SO_KEEPALIVE, &v, 4));
	option(sv[0], SO_KEEPALIVE);
	SHOW(setsockopt(sv[0], SOL_SOCKET, SO_KEEPALIVE, &v, 3));
	SHOW(setsockopt(sv[0], SOL_SOCKET, SO_KEEPALIVE, &v, -1));
	SHOW(setsockopt(sv[0], SOL_SOCKET, SO_KEEPALIVE, (void *)8, 4));
	SHOW(setsockopt(sv[0], SOL_SOCKET, SO_TYPE, &v, 4));
	SHOW(setsockopt(sv[0], SOL_SOCKET, 1000, &v, 4));
	SHOW(setsockopt(sv[0], 6, 1, &v, 4));
	socklen_t n = 4;
	SHOW(getsockopt(sv[0], 6, 1, &v, &n));
	n = -1;
	SHOW(getsockopt(sv[0], SOL_SOCKET, SO_TYPE, &v, &n));
	SHOW(getsockopt(sv[0], SOL_SOCKET, SO_TYPE, &v, 0));
	n = 2;
	v = -1;
	SHOW(getsockopt(sv[0], SOL_SOCKET, SO_TYPE, &v, &n));
	note("%x len %d", v, n);
	v = 8192;
	SHOW(setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &v, 4));
	option(sv[0], SO_SNDBUF);
	struct linger lg = {1, 30};
	SHOW(setsockopt(sv[0], SOL_SOCKET, SO_LINGER, &lg, sizeof lg));
	memset(&lg, 0, sizeof lg);
	n = sizeof lg;
	SHOW(getsockopt(sv[0], SOL_SOCKET, SO_LINGER, &lg, &n));
	note("%d %d len %d", lg.l_onoff, lg.l_linger, n);
	struct timeval tv = {1, 1000000};
	SHOW(setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
	tv.tv_usec = 0;
	SHOW(setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, 8));
	tv = (struct timeval){0, 200000};
	SHOW(setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
	memset(&tv, 0, sizeof tv);
	n = sizeof tv;
	SHOW(getsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, &n));
	note("%ld %ld len %d", tv.tv_sec, tv.tv_usec, n);
	char b[10];
	double t = now();
	SHOW(recv(sv[0], b, 1, 0));
	note("waited %d", now() - t > 0.19);
	t = now();
	SHOW(read(sv[0], b, 1));
	note("waited %d", now() - t > 0.19);
	// Interrupted: EINTR in spite of SA_RESTART when there is a timeout.
	struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART};
	sigaction(SIGALRM, &sa, 0);
	// Again and again: the first alarm may come before the call begins.
	tv = (struct timeval){50, 0};
	setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	ualarm(100000, 100000);
	SHOW(recv(sv[0], b, 1, 0));
	ualarm(0, 0);
	note("signals %d", signals > 0);
	signals = 0;
	tv = (struct timeval){0, 0};
	setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	if (fork() == 0) {
		usleep(300000);
		write(sv[1], "late", 4);
		_exit(0);
	}
	ualarm(100000, 0);
	SHOW(recv(sv[0], b, 10, 0));
	note("signals %d", signals);
	wait(0);
	sa.sa_flags = 0;
	sigaction(SIGALRM, &sa, 0);
	ualarm(100000, 100000);
	SHOW(recv(sv[0], b, 10, 0));
	ualarm(0, 0);
	tv = (struct timeval){-1, 0};
	SHOW(setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
	SHOW(recv(sv[0], b, 10, 0));
	n = sizeof tv;
	SHOW(getsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, &n));
	note("%ld %ld", tv.tv_sec, tv.tv_usec);
	close(sv[0]);
	close(sv[1]);
}

static void pipes(void)
{
	int sv[2], got = 0;
	struct sigaction sa = {.sa_handler = handler};
	sigaction(SIGPIPE, &sa, 0);
	int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	for (int i = 0; i < 3; i++) {
		socketpair(AF_UNIX, types[i], 0, sv);
		close(sv[1]);
		signals = 0;
		SHOW(send(sv[0], "x", 1, MSG_NOSIGNAL));
		note("signals %d", signals);
		SHOW(send(sv[0], "x", 1, 0));
		note("signals %d", signals);
		SHOW(write(sv[0], "x", 1));
		note("signals %d", signals);
		SHOW(recv(sv[0], &got, 1, MSG_DONTWAIT));
		close(sv[0]);
	}
	socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
	char big[100000];
	memset(big, 'b', sizeof big);
	long total = 0;
	for (;;) {
		long r = send(sv[0], big, sizeof big, MSG_DONTWAIT);
		if (r < 0)
			break;
		total += r;
	}
	SHOW(send(sv[0], big, sizeof big, MSG_DONTWAIT));
	note("total %ld", total);
	struct timeval tv = {0, 100000};
	setsockopt(sv[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	SHOW(send(sv[0], big, sizeof big, 0));
	struct pollfd p = {sv[0], POLLOUT};
	SHOW(poll(&p, 1, 0));
	if (fork() == 0) {
		char b[200];
		close(sv[0]);
		long sum = 0, r;
		while ((r = recv(sv[1], b, sizeof b, MSG_WAITALL)) > 0)
			sum += r;
		note("child got %ld last %ld", sum, r);
		_exit(0);
	}
	tv.tv_sec = 10;
	setsockopt(sv[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	for (int i = 0; i < 20; i++)
		SHOW(send(sv[0], big, sizeof big, 0));
	SHOW(send(sv[0], big, 33, 0));
	shutdown(sv[0], SHUT_WR);
	wait(0);
	close(sv[0]);
	close(sv[1]);
	// SO_RCVLOWAT and MSG_WAITALL wait for more.
	int go[2];
	pipe(go);
	socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
	if (fork() == 0) {
		for (int i = 0; i < 6; i++) {
			char c;
			if (i == 2)
				read(go[0], &c, 1); // what is first is not to be more than the mark
			usleep(20000);
			write(sv[1], "ab", 2);
		}
		_exit(0);
	}
	int low = 4;
	SHOW(setsockopt(sv[0], SOL_SOCKET, SO_RCVLOWAT, &low, 4));
	SHOW(recv(sv[0], big, 100, 0));
	write(go[1], "x", 1);
	SHOW(recv(sv[0], big, 8, MSG_WAITALL));
	close(go[0]);
	close(go[1]);
	wait(0);
	while (recv(sv[0], big, 100, MSG_DONTWAIT) > 0)
		;
	SHOW(recv(sv[0], big, 100, MSG_DONTWAIT));
	write(sv[1], "abc", 3);
	close(sv[1]);
	SHOW(recv(sv[0], big, 100, MSG_WAITALL));
	SHOW(recv(sv[0], big, 100, MSG_WAITALL));
	SHOW(recv(sv[0], big, 0, 0));
}

static void datagrams(void)
{
	struct sockaddr_un a, from;
	char b[100];
	int r = named(SOCK_DGRAM, "r"), s = named(SOCK_DGRAM, "s");
	socklen_t n = path(&a, "r"), m = sizeof from;
	SHOW(sendto(s, "one", 3, 0, (void *)&a, n));
	SHOW(sendto(s, "", 0, 0, (void *)&a, n));
	SHOW(recvfrom(r, b, 100, 0, (void *)&from, &m));
	note("from '%s' len %d", from.sun_path, m);
	m = 4;
	memset(&from, 'x', sizeof from);
	SHOW(recvfrom(r, b, 100, 0, (void *)&from, &m));
	hex("from", &from, 6);
	note("len %d", m);
	int un = socket(AF_UNIX, SOCK_DGRAM, 0);
	SHOW(sendto(un, "two", 3, 0, (void *)&a, n));
	m = sizeof from;
	SHOW(recvfrom(r, b, 2, MSG_TRUNC, (void *)&from, &m));
	note("len %d", m);
	SHOW(sendto(s, b, 3, 0, (void *)&a, 2));
	SHOW(sendto(s, b, 3, 0, (void *)8, 20));
	SHOW(sendto(s, (void *)8, 3, 0, (void *)&a, n));
	SHOW(sendto(s, b, 300000, 0, (void *)&a, n));
	n = path(&a, "none");
	SHOW(sendto(s, b, 3, 0, (void *)&a, n));
	SHOW(send(s, b, 3, 0));
	n = path(&a, "r");
	int i;
	for (i = 0; i < 100; i++)
		if (sendto(s, b, 3, MSG_DONTWAIT, (void *)&a, n) < 0)
			break;
	note("queued %d %s", i, err(-1));
	struct timeval tv = {0, 50000};
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	SHOW(sendto(s, b, 3, 0, (void *)&a, n));
	tv.tv_sec = 5;
	setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	if (fork() == 0) {
		usleep(50000);
		recv(r, b, 10, 0);
		_exit(0);
	}
	SHOW(sendto(s, b, 3, 0, (void *)&a, n));
	wait(0);
	close(r);
	SHOW(sendto(s, b, 3, 0, (void *)&a, n));
	unlink("r");
	unlink("s");
}

// permissions are those of the socket's file and of the way to it.
static void permissions(void)
{
	struct sockaddr_un a, in;
	umask(022);
	chmod(".", 0755);
	mkdir("closed", 0700);
	mkdir("open", 0777);
	chmod("open", 0777);
	int l = named(SOCK_STREAM, "srv"), l2 = named(SOCK_STREAM, "closed/srv");
	listen(l, 5);
	listen(l2, 5);
	fcntl(l, F_SETFL, O_NONBLOCK);
	socklen_t n = path(&a, "srv"), m = path(&in, "closed/srv");
	for (int mode = 0600; mode <= 0666; mode += 022) {
		chmod("srv", mode);
		if (fork() == 0) {
			if (geteuid() == 0 && setresuid(1000, 1000, 1000))
				_exit(1);
			int c = socket(AF_UNIX, SOCK_STREAM, 0);
			note("mode %o", mode);
			SHOW(connect(c, (void *)&a, n));
			SHOW(connect(c, (void *)&in, m));
			c = socket(AF_UNIX, SOCK_STREAM, 0);
			SHOW(bind(c, (void *)&in, m));
			m = path(&in, "mine");
			SHOW(bind(c, (void *)&in, m));
			struct ucred u;
			m = sizeof u;
			c = accept(l, 0, 0);
			note("%d", c >= 0);
			SHOW(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &u, &m));
			note("%d %d", u.pid == getpid(), u.uid);
			_exit(0);
		}
		wait(0);
	}
	unlink("srv");
	unlink("mine");
	unlink("closed/srv");
	rmdir("closed");
	rmdir("open");
}

int main(int argc, char **argv)
{
	char *dir = enter(argv[1]);
	creation();
	binding();
	connecting(SOCK_STREAM);
	connecting(SOCK_SEQPACKET);
	connecting(SOCK_DGRAM);
	options();
	pipes();
	datagrams();
	permissions();
	chdir("/");
	SHOW(rmdir(dir));
	return 0;
}
