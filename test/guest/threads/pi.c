// Mutexes with priority inheritance, robust ones, of threads and processes.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t *m;
static int *count;

static void *add(void *x)
{
	for (int i = 0; i < 2000; i++) {
		pthread_mutex_lock(m);
		++*count;
		pthread_mutex_unlock(m);
	}
	return x;
}

static void *die(void *x)
{
	pthread_mutex_lock(m);
	return x;
}

static void setup(int robust)
{
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
	if (robust)
		pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	printf("init %d\n", pthread_mutex_init(m, &a));
	*count = 0;
}

int main(void)
{
	m = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	count = (int *)((char *)m + 4096);
	pthread_t t[4];
	setup(0);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], 0, add, 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], 0);
	printf("threads %d\n", *count);
	for (int i = 0; i < 3; i++)
		if (!fork()) {
			add(0);
			_exit(0);
		}
	while (wait(0) > 0)
		;
	printf("processes %d\n", *count);
	pthread_mutex_lock(m);
	struct timespec end;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec += 20000000;
	if (end.tv_nsec >= 1000000000)
		end.tv_sec++, end.tv_nsec -= 1000000000;
	if (!fork()) {
		printf("timed %d\n", pthread_mutex_timedlock(m, &end));
		printf("try %d\n", pthread_mutex_trylock(m));
		fflush(stdout);
		_exit(0);
	}
	wait(0);
	printf("unlock %d\n", pthread_mutex_unlock(m));
	setup(1);
	pthread_create(&t[0], 0, die, 0);
	pthread_join(t[0], 0);
	int r = pthread_mutex_lock(m);
	printf("dead thread %s\n", r == EOWNERDEAD ? "EOWNERDEAD" : "?");
	printf("consistent %d\n", pthread_mutex_consistent(m));
	pthread_mutex_unlock(m);
	if (!fork()) {
		die(0);
		_exit(0);
	}
	wait(0);
	r = pthread_mutex_lock(m);
	printf("dead process %s\n", r == EOWNERDEAD ? "EOWNERDEAD" : "?");
	return 0;
}
