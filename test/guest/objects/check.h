// Helpers of the guest programs here: each prints what every call returned, so
// that the output on two systems can be compared line by line.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

// SHOW prints an expression with its result and errno.
#define SHOW(e)                                                                \
	({                                                                         \
		errno = 0;                                                             \
		long r_ = (long)(e);                                                   \
		printf("%s:%d %s = %ld %s\n", __func__, __LINE__, #e, r_, err(r_));    \
		fflush(stdout);                                                        \
		r_;                                                                    \
	})

// DO is SHOW for a descriptor or a count that may differ: only the sign counts.
#define DO(e)                                                                  \
	({                                                                         \
		errno = 0;                                                             \
		long r_ = (long)(e);                                                   \
		printf("%s:%d %s = %s\n", __func__, __LINE__, #e, err(r_));            \
		fflush(stdout);                                                        \
		r_;                                                                    \
	})

static inline double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static inline void note(const char *f, ...)
{
	va_list a;
	va_start(a, f);
	printf("  ");
	vprintf(f, a);
	printf("\n");
	fflush(stdout);
	va_end(a);
}

static inline void hex(const char *what, const void *p, size_t n)
{
	printf("  %s:", what);
	for (size_t i = 0; i < n; i++)
		printf(" %02x", ((const unsigned char *)p)[i]);
	printf("\n");
}

// about notes that the thread is about to make the call in which it will sleep, and
// asleep waits for a thread that has said so, until it sleeps.
static inline void about(volatile pid_t *tid)
{
	*tid = syscall(SYS_gettid);
}

static inline void asleep(volatile pid_t *tid)
{
	char path[64], text[256], *p;
	while (*tid == 0)
		sched_yield();
	snprintf(path, sizeof path, "/proc/self/task/%d/stat", *tid);
	do {
		usleep(1000);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = read(fd, text, sizeof text - 1);
		close(fd);
		text[n > 0 ? n : 0] = 0;
		p = strrchr(text, ')');
	} while (p && p[2] != 'S');
}

// enter makes an empty directory in base, "" for /tmp, and goes there; the
// result is its name.
static inline char *enter(const char *base)
{
	static char dir[200];
	snprintf(dir, sizeof dir, "%s/XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(dir) || chdir(dir)) {
		perror(dir);
		exit(1);
	}
	return realpath(".", 0);
}
