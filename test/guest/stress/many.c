// As many short processes as the argument says, some at once.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ATONCE = 16 };

static struct {
	pid_t pid;
	int number;
} child[ATONCE];
static long count[3];

// reap waits for any child, checks how it ended, and frees its place.
static int reap(void) {
	int status, at = 0;
	pid_t p = wait(&status);
	while (at < ATONCE && (p <= 0 || child[at].pid != p))
		at++;
	if (at == ATONCE) {
		count[2]++;
		return 0;
	}
	int n = child[at].number;
	if (n % 10 == 9)
		count[WIFSIGNALED(status) && WTERMSIG(status) == 9 ? 1 : 2]++;
	else
		count[WIFEXITED(status) && WEXITSTATUS(status) == n % 256 ? 0 : 2]++;
	return at;
}

int main(int argc, char **argv) {
	int n = atoi(argv[1]);
	for (int i = 0; i < n; i++) {
		int at = i < ATONCE ? i : reap();
		pid_t p = fork();
		if (p == 0) {
			if (i % 10 == 9)
				kill(getpid(), 9);
			_exit(i % 256);
		}
		child[at].pid = p;
		child[at].number = i;
	}
	for (int i = 0; i < ATONCE; i++)
		reap();
	printf("%ld ended, %ld were killed, %ld went wrong; one is left: %d\n", count[0], count[1], count[2], wait(0) > 0);
	return 0;
}
