// A timer on the process's time tells the thread that uses it.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int mine, other;
static __thread int works;

static void handler(int sig) {
	if (works)
		mine++;
	else
		other++;
}

static void *work(void *arg) {
	struct timespec t;
	works = 1;
	do
		for (volatile int i = 0; i < 100000; i++)
			;
	while (mine + other < 20 && clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0 && t.tv_sec < 5);
	return 0;
}

static void run(const char *name) {
	pthread_t t;
	mine = other = 0;
	pthread_create(&t, 0, work, 0);
	pthread_join(t, 0);
	printf("%s: the one at work is told: %d\n", name, mine > 3 * other);
}

int main(void) {
	struct sigaction a = {.sa_handler = handler, .sa_flags = SA_RESTART};
	sigaction(SIGPROF, &a, 0);
	sigaction(SIGVTALRM, &a, 0);
	struct itimerval v = {{0, 10000}, {0, 10000}}, off = {{0}};

	setitimer(ITIMER_PROF, &v, 0);
	run("ITIMER_PROF");
	setitimer(ITIMER_PROF, &off, 0);

	setitimer(ITIMER_VIRTUAL, &v, 0);
	run("ITIMER_VIRTUAL");
	setitimer(ITIMER_VIRTUAL, &off, 0);
	return 0;
}
