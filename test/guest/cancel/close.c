// close frees the number always, without EINTR, under signals and when it is
// cancelled; who waits on the file waits on.
#include "points.h"

static void count(int sig) {}
static volatile int stormed;
static pthread_t closer;

static void *storm(void *x) {
	while (!stormed) {
		nap(0.0005);
		pthread_kill(closer, SIGURG);
	}
	return 0;
}

// Closing pipes, sockets and files while signals come.
static void under_signals(void) {
	pthread_t th;
	int failures = 0, open_still = 0;
	on(SIGURG, count, 0);
	closer = pthread_self();
	pthread_create(&th, 0, storm, 0);
	for (int i = 0; i < 3000; i++) {
		int p[2];
		switch (i % 3) {
		case 0: pipe(p); break;
#ifdef NET
		case 1: new_pair(), p[0] = a, p[1] = b; break;
#else
		case 1: socketpair(AF_UNIX, SOCK_STREAM, 0, p); break;
#endif
		case 2: p[0] = open("/dev/null", O_RDWR), p[1] = dup(p[0]); break;
		}
		for (int k = 0; k < 2; k++) {
			failures += syscall(SYS_close, p[k]) != 0;
			open_still += fcntl(p[k], F_GETFD) != -1;
		}
	}
	stormed = 1;
	pthread_join(th, 0);
	say("under signals: failures %d, open still %d\n", failures, open_still);
}

// Lingering sockets: close may wait, but not fail.
static void lingering(void) {
	struct linger l = {1, 5};
	new_pair();
	int r = setsockopt(b, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	say("lingering: %d", r);
	write(b, "x", 1);
	say(" %d", close(b));
	say(" open still %d\n", fcntl(b, F_GETFD) != -1);
	b = 0;
	tidy();
}

static long result;
static int failed;
static long (*waiting)(void);
static void *body(void *x) {
	waiter_tid = gettid();
	ready = 1;
	errno = 0;
	result = waiting();
	failed = errno;
	ready = 2;
	return 0;
}

// The number is free at once; the call under way keeps the file.
static void while_waiting(const char *what, void (*prepare)(void), long (*call)(void), void (*release)(void), int *which) {
	prepare();
	ready = 0;
	waiting = call;
	pthread_create(&waiter, 0, body, 0);
	settle();
	int number = *which;
	say("%s: close %d", what, close(number));
	say(" free %d", fcntl(number, F_GETFD) == -1);
	int other = open("/dev/null", O_RDWR);
	say(" used again %d", other == number);
	settle();
	say(" waits still %d", ready == 1);
	release();
	pthread_join(waiter, 0);
	say(" result %ld %s\n", result, result == -1 ? strerrorname(failed) : "");
	close(other);
	*which = 0;
	tidy();
}

// Cancelled before it begins, close may have left the descriptor: then it is
// still usable; cancelled later, the number is free.
static volatile int number;
static void look(void *x) {
	errno = 0;
	int was = fcntl(number, F_GETFD) != -1;
	say(" open still %d, close %d", was, close(number));
}
static void *cancelled(void *x) {
	pthread_cleanup_push(look, 0);
	number = open("/dev/null", O_RDWR);
	pthread_cancel(pthread_self());
	close(number);
	pthread_testcancel();
	pthread_cleanup_pop(0);
	return 0;
}

int main(void) {
	void *end;
	pthread_t th;
	int before = descriptors();
	under_signals();
	lingering();
#ifdef NET
	while_waiting("recv", new_pair, do_recv, put, &a);
	while_waiting("recv a datagram", new_datagrams, do_recv, put, &a);
	while_waiting("poll", new_pair, do_poll, put, &a);
	while_waiting("write", full_pair, do_write, drain, &b);
	while_waiting("accept", listening, do_accept, join_in, &a);
	while_waiting("connect", full_backlog, do_connect, accept_one, &b);
#else
	while_waiting("read pipe", new_pipe, do_read, put, &a);
	while_waiting("recv", new_pair, do_recv, put, &a);
	while_waiting("poll", new_pipe, do_poll, put, &a);
	while_waiting("select", new_pipe, do_select, put, &a);
	while_waiting("write pipe", full_pipe, do_write, drain, &b);
	while_waiting("accept", listening, do_accept, join_in, &a);
	while_waiting("fcntl lock", locked, do_lock, put, &extra[0]);
	waitpid(child, 0, 0);
	unlink(name);
#endif
	say("cancelled:");
	pthread_create(&th, 0, cancelled, 0);
	pthread_join(th, &end);
	say(" cancelled=%d\n", end == PTHREAD_CANCELED);
	say("descriptors lost: %d\n", descriptors() - before);
	return 0;
}
