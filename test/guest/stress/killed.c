// A hundred processes that are killed as soon as they are about to wait, or do:
// nearly all are inside of the call then.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
	for (int i = 0; i < 100; i++) {
		int p[2], never[2];
		char b;
		pipe(p);
		pipe(never);
		pid_t c = fork();
		if (c == 0) {
			write(p[1], "x", 1);
			read(never[0], &b, 1);
		}
		read(p[0], &b, 1);
		kill(c, SIGKILL);
		waitpid(c, 0, 0);
		close(p[0]), close(p[1]), close(never[0]), close(never[1]);
	}
	return 0;
}
