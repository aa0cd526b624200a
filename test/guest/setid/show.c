// Tells who it runs as. With "share" it runs the rest of its arguments in a
// process with which it shares its working directory.
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "share")) {
		pid_t pid = syscall(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0);
		if (pid == 0) {
			execv(argv[2], argv + 2);
			_exit(9);
		}
		return waitpid(pid, NULL, 0) == pid ? 0 : 1;
	}
	uid_t r, e, s;
	gid_t rg, eg, sg;
	getresuid(&r, &e, &s);
	getresgid(&rg, &eg, &sg);
	int signal = 0;
	prctl(PR_GET_PDEATHSIG, &signal);
	printf("uid %d %d %d gid %d %d %d secure %lu dumpable %d nnp %d deathsig %d LD_DEBUG_OUTPUT %s personality %x\n",
		r, e, s, rg, eg, sg, getauxval(AT_SECURE), prctl(PR_GET_DUMPABLE) == 1, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), signal,
		getenv("LD_DEBUG_OUTPUT") ? "kept" : "gone", personality(0xffffffff));
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, "CapPrm", 6) || !strncmp(line, "CapEff", 6) || !strncmp(line, "CapAmb", 6))
			printf(" %.6s=%s", line, strtoull(strchr(line, '\t'), NULL, 16) ? "some" : "none");
	puts("");
	return 0;
}
