// How a process's parent, a zombie, and nobody are scheduled; what else names a
// process.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void look(const char *who, pid_t pid) {
	struct sched_param p = {.sched_priority = 7};
	cpu_set_t set;
	errno = 0;
	printf("%s: scheduler %d", who, sched_getscheduler(pid));
	int r = sched_getparam(pid, &p);
	printf(" param %d %d", r, p.sched_priority);
	printf(" priority %d", getpriority(PRIO_PROCESS, pid));
	printf(" affinity %d", sched_getaffinity(pid, sizeof set, &set));
	printf(" interval %d", sched_rr_get_interval(pid, &(struct timespec){0}));
	printf(" %s\n", strerror(errno));
}

static void state(pid_t pid) {
	char name[100], line[1000];
	snprintf(name, sizeof name, "/proc/%d/stat", pid);
	FILE *f = fopen(name, "r");
	printf("state %c\n", fgets(line, sizeof line, f) ? strrchr(line, ')')[2] : '?');
	fclose(f);
}

static void signals(const char *dir) {
	char name[100];
	snprintf(name, sizeof name, dir, getpid());
	int fd = open(name, O_RDONLY | O_DIRECTORY);
	long r = syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0);
	printf("a signal to %s: %ld %s\n", dir, r, r ? strerror(errno) : "");
	close(fd);
}

int main(void) {
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	siginfo_t i;
	waitid(P_PID, child, &i, WEXITED | WNOWAIT);
	look("self", 0);
	look("process 1", 1);
	look("a zombie", child);
	state(getpid());
	state(child);
	waitpid(child, 0, 0);
	look("nobody", 0x3ffffff);
	printf("nicer %d", setpriority(PRIO_PROCESS, 0, 5));
	printf(" %d\n", getpriority(PRIO_PROCESS, 0));
	signals("/proc/%d");
	signals("/proc/self");
	signals("/proc/self/fd");
	signals("/proc/self/task/%d");
	signals("/proc");
	signals("/");
	return 0;
}
