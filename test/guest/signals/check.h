// Shared by the programs here: each prints what it sees; natively and in a box
// the output must be the same.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/types.h>
#include <sys/ucontext.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define say(...) (printf(__VA_ARGS__), fflush(stdout))
#define show(call) do { errno = 0; long r_ = (long)(call); say("%s = %ld %s\n", #call, r_, r_ == -1 ? strerrorname(errno) : ""); } while (0)

static inline const char *strerrorname(int e) {
	switch (e) {
	case EINTR: return "EINTR";
	case EAGAIN: return "EAGAIN";
	case EINVAL: return "EINVAL";
	case EPERM: return "EPERM";
	case ESRCH: return "ESRCH";
	case ECHILD: return "ECHILD";
	case EFAULT: return "EFAULT";
	case ENOMEM: return "ENOMEM";
	case EACCES: return "EACCES";
	case ETIMEDOUT: return "ETIMEDOUT";
	case ENOSYS: return "ENOSYS";
	}
	static char b[16];
	snprintf(b, sizeof b, "%d", e);
	return b;
}

static inline void on(int sig, void (*f)(int), int flags) {
	struct sigaction a = {0};
	a.sa_handler = f;
	a.sa_flags = flags;
	sigaction(sig, &a, 0);
}

static inline void on3(int sig, void (*f)(int, siginfo_t *, void *), int flags) {
	struct sigaction a = {0};
	a.sa_sigaction = f;
	a.sa_flags = flags | SA_SIGINFO;
	sigaction(sig, &a, 0);
}

// A session of its own, as in a box: stopped children must not concern others.
__attribute__((constructor)) static void own_session(void) { setsid(); }

static inline double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static inline void nap(double s) {
	struct timespec t = {(time_t)s, (long)((s - (time_t)s) * 1e9)};
	while (nanosleep(&t, &t) == -1 && errno == EINTR)
		;
}

static inline void block(int sig) {
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, sig);
	pthread_sigmask(SIG_BLOCK, &s, 0);
}

static inline void unblock(int sig) {
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, sig);
	pthread_sigmask(SIG_UNBLOCK, &s, 0);
}
