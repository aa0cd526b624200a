// A process of every kind that might outlive its server. It prints how many
// there are at least, once all do what they are for, and goes on until it is
// killed.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int ready[2];

static void arrived(void) {
	if (write(ready[1], "x", 1) != 1)
		_exit(1);
}

static void spin(void) {
	arrived();
	for (volatile unsigned long n = 0;; n++)
		;
}

static void sleeping(void) {
	arrived();
	for (;;)
		sleep(1000);
}

static void piped(void) {
	int p[2];
	char c;
	pipe(p);
	arrived();
	read(p[0], &c, 1);
}

static void filling(void) {
	int p[2];
	static char b[1 << 20];
	pipe(p);
	arrived();
	for (;;)
		write(p[1], b, sizeof b);
}

static void futex(void) {
	static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&m);
	arrived();
	pthread_mutex_lock(&m);
}

static void stopped(void) {
	arrived();
	raise(SIGSTOP);
}

static void deaf(void) {
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, 0);
	for (int i = 1; i < 65; i++)
		signal(i, SIG_IGN);
	sleeping();
}

// forks makes children that end at once, from a parent that stays.
static void forks(void) {
	arrived();
	for (;;) {
		pid_t p = fork();
		if (p == 0)
			_exit(0);
		if (p > 0)
			waitpid(p, 0, 0);
	}
}

// flees makes a child that goes on, from a parent that ends.
static void flees(void) {
	arrived();
	signal(SIGCHLD, SIG_IGN);
	for (;;)
		if (fork() > 0)
			_exit(0);
}

static void vforks(void) {
	if (vfork() == 0) {
		arrived();
		for (;;)
			pause();
	}
}

static void vforkloop(void) {
	arrived();
	for (;;) {
		pid_t p = vfork();
		if (p == 0)
			_exit(0);
		waitpid(p, 0, 0);
	}
}

static char *self;

static void execs(void) {
	arrived();
	execl(self, self, "again", NULL);
}

static void session(void) {
	setsid();
	signal(SIGHUP, SIG_IGN);
	if (fork() == 0)
		sleeping();
	_exit(0);
}

static pthread_barrier_t here;

static void *thread(void *arg) {
	pthread_barrier_wait(&here);
	switch ((long)arg % 3) {
	case 0:
		spin();
	case 1:
		pause();
	}
	for (;;)
		getppid();
}

static void threads(void) {
	pthread_barrier_init(&here, 0, 65);
	for (long i = 0; i < 64; i++) {
		pthread_t t;
		pthread_create(&t, 0, thread, (void *)i);
	}
	pthread_barrier_wait(&here);
	sleeping();
}

// remaps tears down what it can reach of its own memory, while it goes on.
static void remaps(void) {
	arrived();
	for (;;) {
		char *p = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(p, 1, 1 << 20);
		munmap(p, 1 << 20);
	}
}

int main(int argc, char **argv) {
	self = argv[0];
	if (argc > 1)
		execl(self, self, argv[1], NULL);
	void (*kinds[])(void) = {spin, sleeping, piped, filling, futex, stopped, deaf, forks, flees,
		vforks, vforkloop, execs, session, threads, remaps};
	int n = sizeof kinds / sizeof *kinds;
	pipe2(ready, O_CLOEXEC);
	for (int i = 0; i < n; i++)
		if (fork() == 0) {
			kinds[i]();
			_exit(1);
		}
	// Those threads that spin have arrived, too.
	char c;
	for (int i = 0; i < n + 22; i++)
		read(ready[0], &c, 1);
	printf("%d\n", n);
	fflush(stdout);
	for (;;)
		pause();
}
