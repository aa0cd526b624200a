// What leak checkers and stack dumpers do to other processes: they stop their
// threads, look, and let them go on.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile long *shared; // counts while a child spins
static volatile long own = 1234;

static void check(const char *what, long r) {
	printf("%s: %ld %s\n", what, r < 0 ? -1 : r, r < 0 ? strerror(errno) : "");
}

static long trace(int request, pid_t pid, unsigned long addr, void *data) {
	return syscall(SYS_ptrace, request, pid, addr, data);
}

static void moves(const char *when, volatile long *counter) {
	long before = *counter;
	while (*counter == before)
		sched_yield();
	printf("%s: moves\n", when);
}

static void stands(const char *when, volatile long *counter) {
	long before = *counter;
	for (int i = 0; i < 1000; i++)
		sched_yield();
	printf("%s: stands %d\n", when, *counter == before);
}

static void spinning(void) {
	pid_t c = fork();
	if (c == 0)
		for (;;) {
			++*shared;
			if (own != 1234)
				_exit(own);
		}
	moves("a child", shared);
	int status;
	struct user_regs_struct r;
	check("look before", trace(PTRACE_GETREGS, c, 0, &r));
	check("attach", trace(PTRACE_ATTACH, c, 0, 0));
	check("wait", waitpid(c, &status, __WALL) == c);
	printf("status %#x\n", status);
	stands("stopped", shared);
	check("attach twice", trace(PTRACE_ATTACH, c, 0, 0));
	check("registers", trace(PTRACE_GETREGS, c, 0, &r));
	printf("in user code %d, no call %d, stack %d, thread %d\n", r.rip != 0, (long)r.orig_rax == -1, r.rsp != 0, r.fs_base != 0);
	struct user_regs_struct set;
	struct iovec v = {&set, sizeof set};
	check("set", trace(PTRACE_GETREGSET, c, 1, &v));
	printf("as many %d, the same %d\n", v.iov_len == sizeof r, !memcmp(&set, &r, sizeof r));
	long word = 0;
	check("peek", trace(PTRACE_PEEKDATA, c, (unsigned long)&own, &word));
	printf("%ld\n", word);
	check("peek nowhere", trace(PTRACE_PEEKDATA, c, 8, &word));
	check("poke", trace(PTRACE_POKEDATA, c, (unsigned long)&own, (void *)77));
	check("detach", trace(PTRACE_DETACH, c, 0, 0));
	check("wait", waitpid(c, &status, 0) == c);
	printf("status %#x\n", status);
}

static void waiting(void) {
	int p[2], ready[2], status;
	char b;
	pipe(p);
	pipe(ready);
	pid_t c = fork();
	if (c == 0) {
		write(ready[1], "x", 1);
		_exit(read(p[0], &b, 1) == 1 ? b : 99);
	}
	read(ready[0], &b, 1);
	check("attach to one that waits", trace(PTRACE_ATTACH, c, 0, 0));
	check("wait", waitpid(-1, &status, __WALL) == c);
	printf("status %#x\n", status);
	check("go on", trace(PTRACE_CONT, c, 0, 0));
	write(p[1], "\x2a", 1);
	check("wait", waitpid(c, &status, 0) == c);
	printf("status %#x\n", status);
}

static void abandoned(void) {
	*shared = 0;
	pid_t c = fork();
	if (c == 0)
		for (;;)
			++*shared;
	moves("another", shared);
	pid_t tracer = fork();
	if (tracer == 0) {
		int status;
		long r = trace(PTRACE_ATTACH, c, 0, 0);
		waitpid(c, &status, __WALL);
		stands("its tracer", shared);
		fflush(stdout);
		_exit(r);
	}
	int status;
	waitpid(tracer, &status, 0);
	moves("without its tracer", shared);
	kill(c, SIGKILL);
	waitpid(c, &status, 0);
	printf("status %#x\n", status);
}

static void killed(void) {
	pid_t c = fork();
	int status;
	if (c == 0)
		for (;;)
			pause();
	check("attach", trace(PTRACE_ATTACH, c, 0, 0));
	waitpid(c, &status, __WALL);
	kill(c, SIGKILL);
	check("wait", waitpid(c, &status, 0) == c);
	printf("status %#x\n", status);
	check("attach to nobody", trace(PTRACE_ATTACH, c, 0, 0));
}

static void *other(void *arg) {
	*(pid_t *)arg = syscall(SYS_gettid);
	pause();
	return 0;
}

int main(void) {
	setvbuf(stdout, 0, _IONBF, 0);
	shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	spinning();
	waiting();
	abandoned();
	killed();
	pthread_t t;
	volatile pid_t tid = 0;
	pthread_create(&t, 0, other, (void *)&tid);
	while (!tid)
		sched_yield();
	check("attach to a thread of one's own", trace(PTRACE_ATTACH, tid, 0, 0));
	return 0;
}
