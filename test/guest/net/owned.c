// Connections that carry so much that a box lets the process send and receive by
// itself, mixed with everything that can happen to such a socket. Each line must be the
// same natively.
#include "../objects/check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { WARM = 64, NUMBERS = 20000 };

static struct sockaddr_in at;
static int listener;

// pair makes a connection, both ends of which have been used a lot.
static void pair(int fd[2])
{
	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd[0], (void *)&at, sizeof at)) { perror("connect"); exit(1); }
	fd[1] = accept(listener, NULL, NULL);
	int one = 1;
	char c;
	for (int i = 0; i < 2; i++) setsockopt(fd[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	for (int i = 0; i < WARM; i++)
		if (send(fd[i & 1], "x", 1, 0) != 1 || recv(fd[~i & 1], &c, 1, 0) != 1) exit(2);
	for (int i = 0; i < WARM; i++)
		if (write(fd[i & 1], "x", 1) != 1 || read(fd[~i & 1], &c, 1) != 1) exit(2);
}

static void done(int fd[2]) { close(fd[0]); close(fd[1]); }

static int alarms;
static void onAlarm(int s) { alarms++; }

static void timer(int us, int flags)
{
	struct sigaction a = { .sa_handler = onAlarm, .sa_flags = flags };
	sigaction(SIGALRM, &a, NULL);
	struct itimerval v = { { 0, us }, { 0, us } };
	setitimer(ITIMER_REAL, &v, NULL);
}

// all moves n bytes, going on after interruptions.
static int all(ssize_t (*f)(int, void *, size_t, int), int fd, void *p, size_t n)
{
	for (size_t k = 0; k < n;) {
		ssize_t m = f(fd, (char *)p + k, n - k, 0);
		if (m < 0 && errno == EINTR) continue;
		if (m <= 0) return -1;
		k += m;
	}
	return 0;
}

static ssize_t sendIt(int fd, void *p, size_t n, int fl) { return send(fd, p, n, fl); }
static ssize_t writeIt(int fd, void *p, size_t n, int fl) { return write(fd, p, n); }
static ssize_t readIt(int fd, void *p, size_t n, int fl) { return read(fd, p, n); }

static void numbers(const char *what, ssize_t (*out)(int, void *, size_t, int), ssize_t (*in)(int, void *, size_t, int), int flags)
{
	int fd[2], wrong = 0;
	pair(fd);
	fflush(stdout);
	if (fork() == 0) {
		close(fd[0]);
		timer(700, flags);
		for (uint32_t i = 0; i < NUMBERS; i++)
			if (all(out, fd[1], &i, 4)) _exit(1);
		_exit(0);
	}
	close(fd[1]);
	timer(500, flags);
	uint32_t v, i = 0;
	for (; all(in, fd[0], &v, 4) == 0; i++) wrong += v != i;
	timer(0, SA_RESTART);
	int status;
	while (wait(&status) < 0) ;
	note("%s: %u came, %d wrong, sender %d", what, i, wrong, status);
	close(fd[0]);
}

static void timeouts(void)
{
	int fd[2];
	char b[16];
	pair(fd);
	struct timeval t = { 0, 50000 };
	SHOW(setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
	double from = now();
	SHOW(recv(fd[0], b, 1, 0));
	SHOW(read(fd[0], b, 1));
	note("waited: %d", now() - from >= 0.1);
	t.tv_usec = 0;
	SHOW(setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
	int low = 3;
	SHOW(setsockopt(fd[0], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low));
	if (fork() == 0) {
		send(fd[1], "ab", 2, 0);
		usleep(30000);
		send(fd[1], "c", 1, 0);
		_exit(0);
	}
	struct pollfd p = { fd[0], POLLIN };
	SHOW(poll(&p, 1, 5000)); // at the mark; Linux's own recv might sleep on if it began between the two
	SHOW(recv(fd[0], b, sizeof b, 0));
	wait(NULL);
	low = 1;
	SHOW(setsockopt(fd[0], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low));
	if (fork() == 0) {
		for (int i = 0; i < 5; i++) {
			send(fd[1], "abc", 3, 0);
			usleep(5000);
		}
		_exit(0);
	}
	timer(1000, SA_RESTART);
	SHOW(recv(fd[0], b, 15, MSG_WAITALL));
	timer(0, SA_RESTART);
	wait(NULL);
	done(fd);
}

static void flags(void)
{
	int fd[2], n, one = 1, zero = 0;
	char b[16];
	pair(fd);
	SHOW(fcntl(fd[0], F_SETFL, O_NONBLOCK));
	SHOW(recv(fd[0], b, 1, 0));
	SHOW(read(fd[0], b, 1));
	SHOW(fcntl(fd[0], F_SETFL, 0));
	SHOW(recv(fd[0], b, 1, MSG_DONTWAIT));
	SHOW(ioctl(fd[0], FIONBIO, &one));
	SHOW(recv(fd[0], b, 1, 0));
	SHOW(ioctl(fd[0], FIONBIO, &zero));
	SHOW(send(fd[1], "hello", 5, 0));
	SHOW(recv(fd[0], b, 5, MSG_PEEK));
	SHOW(recv(fd[0], b, 3, MSG_PEEK));
	SHOW(ioctl(fd[0], FIONREAD, &n));
	note("%d bytes", n);
	SHOW(recv(fd[0], (void *)8, 5, 0));
	SHOW(recv(fd[0], b, 2, 0));
	SHOW(recv(fd[0], b, 2, MSG_TRUNC));
	SHOW(recv(fd[0], b, 2, 0));
	SHOW(send(fd[1], (void *)8, 5, 0));
	SHOW(send(fd[1], "", 0, 0));
	SHOW(sendto(fd[1], "to", 2, 0, (void *)&at, sizeof at));
	SHOW(recvfrom(fd[0], b, 2, 0, NULL, NULL));
	SHOW(send(fd[1], "!", 1, MSG_OOB));
	struct pollfd p = { fd[0], POLLPRI };
	SHOW(poll(&p, 1, 1000));
	SHOW(recv(fd[0], b, 1, MSG_OOB));
	SHOW(send(fd[1], "more", 4, MSG_MORE));
	SHOW(send(fd[1], "end", 3, 0));
	SHOW(recv(fd[0], b, 7, MSG_WAITALL));
	struct iovec v[2] = { { "ab", 2 }, { "cd", 2 } }, w = { b, 9 };
	SHOW(writev(fd[1], v, 2));
	SHOW(readv(fd[0], &w, 1));
	done(fd);
}

static void sharing(void)
{
	int fd[2], status;
	char b[16];
	pair(fd);
	int two = dup(fd[0]);
	SHOW(close(fd[0]));
	SHOW(send(two, "dup", 3, 0));
	SHOW(recv(fd[1], b, 3, 0));
	fflush(stdout);
	if (fork() == 0) {
		for (int i = 0; i < WARM; i++) send(two, "c", 1, 0);
		_exit(0);
	}
	for (int i = 0; i < WARM; i++) send(two, "p", 1, 0);
	wait(NULL);
	int p = 0, c = 0;
	for (int i = 0; i < 2 * WARM; i++) {
		recv(fd[1], b, 1, 0);
		if (*b == 'p') p++; else c++;
	}
	note("%d of the parent, %d of the child", p, c);
	if (fork() == 0) {
		close(two);
		for (int i = 0; i < WARM; i++) send(fd[1], "x", 1, 0);
		raise(SIGKILL);
	}
	close(fd[1]);
	for (int i = 0; i < WARM; i++) recv(two, b, 1, 0);
	SHOW(recv(two, b, 1, 0)); // the end: all who had the other side are gone
	wait(&status);
	SHOW(send(two, "", 1, MSG_NOSIGNAL));
	close(two);

	pair(fd);
	if (fork() == 0) {
		dup2(fd[0], 0);
		dup2(fd[0], 1);
		execlp("cat", "cat", NULL);
		_exit(1);
	}
	close(fd[0]);
	for (int i = 0; i < WARM; i++) {
		if (send(fd[1], "line\n", 5, 0) != 5 || recv(fd[1], b, 5, MSG_WAITALL) != 5) note("cat failed");
	}
	SHOW(shutdown(fd[1], SHUT_WR));
	SHOW(recv(fd[1], b, 1, 0));
	wait(NULL);
	close(fd[1]);
}

static void passing(void)
{
	int fd[2], u[2];
	pair(fd);
	socketpair(AF_UNIX, SOCK_STREAM, 0, u);
	fflush(stdout);
	if (fork() == 0) {
		done(fd);
		char c, space[CMSG_SPACE(4)];
		struct iovec v = { &c, 1 };
		struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space };
		recvmsg(u[1], &h, 0);
		int f = *(int *)CMSG_DATA(CMSG_FIRSTHDR(&h));
		for (int i = 0; i < WARM; i++) send(f, "y", 1, 0);
		_exit(0);
	}
	char b[16], space[CMSG_SPACE(4)] = { 0 };
	struct iovec v = { "x", 1 };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space };
	struct cmsghdr *m = CMSG_FIRSTHDR(&h);
	m->cmsg_level = SOL_SOCKET;
	m->cmsg_type = SCM_RIGHTS;
	m->cmsg_len = CMSG_LEN(4);
	*(int *)CMSG_DATA(m) = fd[0];
	SHOW(sendmsg(u[0], &h, 0));
	close(fd[0]);
	int n = 0;
	while (recv(fd[1], b, 1, 0) == 1) n++;
	note("%d through the other process", n);
	wait(NULL);
	close(fd[1]);
	done(u);
}

static int pipes;
static void onPipe(int s) { pipes++; }

static void ends(void)
{
	int fd[2];
	char b[16];
	signal(SIGPIPE, onPipe);
	pair(fd);
	SHOW(shutdown(fd[0], SHUT_WR));
	SHOW(recv(fd[1], b, 1, 0));
	SHOW(send(fd[0], "x", 1, MSG_NOSIGNAL));
	SHOW(send(fd[0], "x", 1, 0));
	SHOW(write(fd[0], "x", 1));
	note("%d SIGPIPE", pipes);
	SHOW(send(fd[1], "back", 4, 0));
	SHOW(recv(fd[0], b, 9, 0));
	done(fd);

	pair(fd);
	send(fd[0], "unread", 6, 0);
	recv(fd[1], b, 1, 0);
	close(fd[1]);
	struct pollfd p = { fd[0], POLLIN };
	poll(&p, 1, 1000);
	SHOW(recv(fd[0], b, 1, 0));
	SHOW(recv(fd[0], b, 1, 0));
	SHOW(send(fd[0], "x", 1, 0));
	note("%d SIGPIPE", pipes);
	struct sockaddr none = { AF_UNSPEC };
	SHOW(connect(fd[0], &none, sizeof none));
	SHOW(connect(fd[0], (void *)&at, sizeof at));
	fd[1] = accept(listener, NULL, NULL);
	for (int i = 0; i < WARM; i++) send(fd[0], "x", 1, 0), recv(fd[1], b, 1, 0);
	SHOW(connect(fd[0], (void *)&at, sizeof at));
	SHOW(send(fd[1], "again", 5, 0));
	SHOW(recv(fd[0], b, 9, 0));
	done(fd);
}

static int shutIt;
static void *later(void *p)
{
	usleep(30000);
	shutdown(shutIt, SHUT_RDWR);
	return NULL;
}

static void waking(void)
{
	int fd[2];
	char b[16];
	pair(fd);
	pthread_t t;
	shutIt = fd[0];
	pthread_create(&t, NULL, later, NULL);
	SHOW(recv(fd[0], b, 1, 0));
	pthread_join(t, NULL);
	done(fd);

	pair(fd); // a sender that waits for room
	fflush(stdout);
	if (fork() == 0) {
		close(fd[0]);
		usleep(30000);
		char big[65536];
		long n = 0, m;
		while ((m = recv(fd[1], big, sizeof big, 0)) > 0) n += m;
		note("%ld bytes", n);
		_exit(0);
	}
	close(fd[1]);
	static char big[8 << 20];
	timer(900, SA_RESTART);
	SHOW(all(sendIt, fd[0], big, sizeof big));
	timer(0, SA_RESTART);
	close(fd[0]);
	wait(NULL);
}

int main(void)
{
	listener = socket(AF_INET, SOCK_STREAM, 0);
	at.sin_family = AF_INET;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	socklen_t n = sizeof at;
	if (bind(listener, (void *)&at, n) || listen(listener, 8) || getsockname(listener, (void *)&at, &n)) { perror("listen"); return 1; }
	numbers("send, recv, restarted", sendIt, (void *)recv, SA_RESTART);
	numbers("send, recv", sendIt, (void *)recv, 0);
	numbers("write, read", writeIt, readIt, 0);
	timeouts();
	flags();
	sharing();
	passing();
	ends();
	waking();
	return 0;
}
