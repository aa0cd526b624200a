// A child that sends its parent a signal a thousand times a second: times often,
// 0 for ever.
#include "points.h"

static pid_t stormy(int sig, int times) {
	pid_t to = getpid(), pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0; times == 0 || i < times; i++) {
			nap(0.001);
			if (kill(to, sig) < 0)
				break;
		}
		if (times)
			for (;;)
				pause();
		_exit(0);
	}
	return pid;
}
