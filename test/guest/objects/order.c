// Which of several events and locks come first.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

// fair keeps 13 descriptors ready and takes 3 events at a time: all have their
// turn.
static void fair(void) {
	enum { N = 13, ROUNDS = 4 };
	int ep = epoll_create1(0), count[N] = {0}, sum = 0;
	for (int i = 0; i < N; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
		epoll_ctl(ep, EPOLL_CTL_ADD, eventfd(1, 0), &e);
	}
	while (sum < N * ROUNDS) {
		struct epoll_event e[3];
		int n = epoll_wait(ep, e, 3, 0);
		for (int i = 0; i < n && sum < N * ROUNDS; i++, sum++)
			count[e[i].data.u32]++;
	}
	for (int i = 0; i < N; i++)
		printf("%d ", count[i]);
	printf("\n");
}

// nested puts epolls into epolls.
static void nested(void) {
	int inner = eventfd(1, 0);
	for (int depth = 1; depth <= 7; depth++) {
		int ep = epoll_create1(0);
		struct epoll_event e = {.events = EPOLLIN};
		int r = epoll_ctl(ep, EPOLL_CTL_ADD, inner, &e);
		printf("depth %d: %d %s\n", depth, r, r ? strerror(errno) : "");
		inner = ep;
	}
}

// locks asks for locks that stand in the way of several.
static void locks(void) {
	char name[] = "/tmp/locksXXXXXX";
	int fd = mkstemp(name), p[2];
	char b;
	pipe(p);
	unlink(name);
	static const struct { int type, start, len; } all[] = {{F_WRLCK, 10, 5}, {F_RDLCK, 1, 5}, {F_WRLCK, 30, 0}, {F_RDLCK, 20, 2}, {F_WRLCK, 3, 1}};
	for (int i = 0; i < 5; i++) {
		struct flock f = {.l_type = all[i].type, .l_start = all[i].start, .l_len = all[i].len};
		fcntl(fd, F_SETLK, &f);
	}
	if (fork() == 0) {
		for (int type = F_RDLCK; type <= F_WRLCK; type++)
			for (int start = 0; start < 40; start += 4) {
				struct flock f = {.l_type = type, .l_start = start};
				fcntl(fd, F_GETLK, &f);
				printf("%d from %d: %d %d %d\n", type, start, f.l_type, (int)f.l_start, (int)f.l_len);
			}
		fflush(stdout);
		_exit(0);
	}
	wait(0);
}

int main(void) {
	setvbuf(stdout, 0, _IONBF, 0);
	fair();
	nested();
	locks();
	return 0;
}
