#include "check.h"
#include <grp.h>
#include <sys/utsname.h>
#include <sys/sysinfo.h>
#include <sys/fsuid.h>

static void ids(const char *what) {
	uid_t r, e, s;
	gid_t x, y, z;
	getresuid(&r, &e, &s);
	getresgid(&x, &y, &z);
	say("%s: %d %d %d  %d %d %d fs %d %d\n", what, r, e, s, x, y, z, setfsuid(-1), setfsgid(-1));
}

static void caps(const char *what) {
	struct { unsigned version; int pid; } h = {0x20080522, 0};
	struct { unsigned effective, permitted, inheritable; } d[2];
	syscall(SYS_capget, &h, d);
	say("%s: %d %d\n", what, d[0].effective != 0, d[0].permitted != 0);
}

int main(void) {
	say("pid %d\n", getpid() > 1 && getpid() == syscall(SYS_gettid));
	ids("start");
	caps("start");
	if (geteuid() == 0) {
		if (fork() == 0) {
			gid_t g[3] = {30, 10, 20};
			show(setgroups(3, g));
			gid_t b[10];
			int n = getgroups(10, b);
			say("%d: %d %d %d\n", n, b[0], b[1], b[2]);
			show(getgroups(2, b));
			show(setresgid(100, 101, 102));
			show(setresuid(1000, 1001, 0));
			ids("changed");
			caps("changed");
			show(setuid(0));
			ids("back");
			caps("back");
			show(setuid(1234));
			ids("for good");
			caps("for good");
			show(setuid(0));
			show(setgroups(0, 0));
			show(setresuid(5, 5, 5));
			show(setreuid(-1, 1234));
			show(kill(getppid(), 0));
			show(sethostname("x", 1));
			show(prctl(PR_CAPBSET_DROP, 3));
			_exit(0);
		}
		wait(0);
		if (fork() == 0) {
			show(prctl(PR_SET_KEEPCAPS, 1));
			show(setuid(1000));
			caps("kept");
			_exit(0);
		}
		wait(0);
		if (fork() == 0) {
			show(setreuid(1000, 2000));
			ids("setreuid");
			show(setreuid(2000, 1000));
			ids("swapped");
			show(setfsuid(2000));
			ids("fsuid");
			_exit(0);
		}
		wait(0);
		show(prctl(PR_CAPBSET_READ, 3));
	}
	show(prctl(PR_CAPBSET_READ, 99));
	char name[17] = {0};
	show(prctl(PR_SET_NAME, "a-very-long-name-indeed"));
	show(prctl(PR_GET_NAME, name));
	say("%s\n", name);
	show(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	show(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	show(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	show(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	show(prctl(PR_GET_DUMPABLE));
	show(prctl(PR_SET_DUMPABLE, 0));
	show(prctl(PR_GET_DUMPABLE));
	show(prctl(PR_SET_DUMPABLE, 5));
	int v = 9;
	show(prctl(PR_GET_PDEATHSIG, &v));
	say("%d\n", v);
	show(prctl(PR_SET_PDEATHSIG, 70));
	show(prctl(PR_GET_CHILD_SUBREAPER, &v));
	say("%d\n", v);
	show(prctl(PR_GET_TIMERSLACK));
	show(prctl(12345));
	show(prctl(PR_GET_SECCOMP));

	struct rlimit l;
	show(getrlimit(RLIMIT_STACK, &l));
	show(getrlimit(77, &l));
	l = (struct rlimit){100, 50};
	show(setrlimit(RLIMIT_NOFILE, &l));
	l = (struct rlimit){50, 60};
	show(setrlimit(RLIMIT_NOFILE, &l));
	show(getrlimit(RLIMIT_NOFILE, &l));
	say("%ld %ld\n", (long)l.rlim_cur, (long)l.rlim_max);
	struct rlimit l2;
	show(prlimit(0, RLIMIT_NOFILE, 0, &l2));
	show(prlimit(5000000, RLIMIT_NOFILE, 0, &l2));
	say("%ld\n", (long)l2.rlim_cur);

	struct utsname u;
	show(uname(&u));
	say("%s %s\n", u.sysname, u.machine);
	struct sysinfo si;
	show(sysinfo(&si));
	say("%d %d\n", si.totalram > 0, si.mem_unit);
	char r[300] = {0};
	show(syscall(SYS_getrandom, r, sizeof r, 0));
	show(syscall(SYS_getrandom, r, 10, 8));
	show(syscall(SYS_getrandom, 1, 10, 0));

	cpu_set_t set, one;
	show(sched_getaffinity(0, sizeof set, &set) >= 0);
	CPU_ZERO(&one);
	for (int i = 0; i < 64; i++)
		if (CPU_ISSET(i, &set)) { CPU_SET(i, &one); break; }
	show(sched_setaffinity(0, sizeof one, &one));
	show(sched_getaffinity(0, sizeof set, &set));
	say("cpus %d equal %d\n", CPU_COUNT(&set), CPU_EQUAL(&set, &one));
	CPU_ZERO(&one);
	show(sched_setaffinity(0, sizeof one, &one));
	show(sched_getaffinity(5000000, sizeof set, &set));
	show(sched_getscheduler(0));
	struct sched_param sp = {0};
	show(sched_getparam(0, &sp));
	show(sched_setscheduler(0, SCHED_BATCH, &sp));
	show(sched_getscheduler(0));
	sp.sched_priority = 5;
	show(sched_setscheduler(0, SCHED_OTHER, &sp));
	show(sched_get_priority_max(SCHED_FIFO));
	show(sched_get_priority_min(SCHED_RR));
	show(sched_get_priority_max(SCHED_OTHER));
	show(sched_get_priority_max(77));
	show(getpriority(PRIO_PROCESS, 0));
	show(nice(5));
	show(getpriority(PRIO_PROCESS, 0));
	show(getpriority(PRIO_PGRP, 5000000));
	show(getpriority(7, 0));
	show(syscall(SYS_ioprio_get, 1, 0));
	show(syscall(SYS_ioprio_set, 1, 0, (2 << 13) | 3));
	show(syscall(SYS_ioprio_get, 1, 0));

	// In a child: what this program was executed by counts as its own.
	struct rusage ru;
	if (fork() == 0) {
		memset(malloc(20 << 20), 1, 20 << 20);
		show(getrusage(RUSAGE_SELF, &ru));
		say("%d\n", ru.ru_maxrss > 10000 && ru.ru_maxrss < 60000);
		_exit(0);
	}
	wait(0);
	show(getrusage(RUSAGE_THREAD, &ru));
	show(getrusage(9, &ru));
	struct timespec ts;
	show(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts));
	show(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts));
	clockid_t c;
	show(clock_getcpuclockid(getpid(), &c));
	show(clock_gettime(c, &ts));
	show(pthread_getcpuclockid(pthread_self(), &c));
	show(clock_gettime(c, &ts));
	show(clock_getres(c, &ts));
	show(clock_gettime(-1, &ts));
	show(clock_gettime(44, &ts));
	ts.tv_nsec = 1000000000;
	show(nanosleep(&ts, 0));
	show(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ts, 0));
	show(syscall(SYS_clock_nanosleep, 99, 0, &ts, 0));

	// Reading another process.
	static char secret[64] = "parent's";
	int pp[2];
	pipe(pp);
	pid_t p = fork();
	if (p == 0) {
		strcpy(secret, "child's");
		write(pp[1], "x", 1);
		pause();
	}
	char x, buf[64];
	read(pp[0], &x, 1);
	struct { void *p; size_t n; } lv = {buf, 64}, rv = {secret, 64};
	show(syscall(SYS_process_vm_readv, p, &lv, 1, &rv, 1, 0));
	kill(p, SIGKILL);
	wait(0);
	show(syscall(SYS_process_vm_readv, p, &lv, 1, &rv, 1, 0));
	return 0;
}
