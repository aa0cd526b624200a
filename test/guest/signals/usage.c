// Whose use of the processor and of memory counts for the parent.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <unistd.h>

static void child(const char *how, int waits) {
	struct rusage before, after;
	getrusage(RUSAGE_CHILDREN, &before);
	int p[2];
	char b;
	pipe(p);
	pid_t c = fork();
	if (c == 0) {
		char *m = malloc(60 << 20);
		memset(m, 1, 60 << 20);
		_exit(m[12345] - 1);
	}
	close(p[1]);
	read(p[0], &b, 1); // until it has ended
	close(p[0]);
	siginfo_t i;
	if (waits)
		waitid(P_PID, c, &i, WEXITED | WNOWAIT);
	else
		while (kill(c, 0) == 0)
			;
	getrusage(RUSAGE_CHILDREN, &after);
	printf("%s: before a wait %d", how, after.ru_maxrss - before.ru_maxrss > 30 << 10);
	if (waits) {
		waitpid(c, 0, 0);
		getrusage(RUSAGE_CHILDREN, &after);
		printf(" after it %d", after.ru_maxrss - before.ru_maxrss > 30 << 10);
	}
	printf("\n");
}

int main(void) {
	signal(SIGCHLD, SIG_IGN);
	child("ignored", 0);
	signal(SIGCHLD, SIG_DFL);
	child("waited for", 1);
	return 0;
}
