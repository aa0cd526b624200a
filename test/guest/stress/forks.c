// 64 threads that fork at once, while they allocate and take locks.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 64, FORKS = 8 };

static pthread_barrier_t here;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int good, bad;

static void *work(void *arg) {
	long id = (long)arg;
	pthread_barrier_wait(&here);
	for (int i = 0; i < FORKS; i++) {
		int p[2], status, answer = -1;
		if (pipe(p) < 0)
			return 0;
		pid_t child = fork();
		if (child == 0) {
			char *block = malloc(100000);
			memset(block, 1, 100000);
			int told = id * FORKS + i;
			write(p[1], &told, sizeof told);
			free(block);
			_exit((id + i) & 127);
		}
		close(p[1]);
		int ok = child > 0 && read(p[0], &answer, sizeof answer) == sizeof answer && answer == id * FORKS + i &&
			waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == ((id + i) & 127);
		close(p[0]);
		pthread_mutex_lock(&lock);
		ok ? good++ : bad++;
		pthread_mutex_unlock(&lock);
	}
	return 0;
}

int main(void) {
	pthread_t t[THREADS];
	pthread_barrier_init(&here, 0, THREADS);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&t[i], 0, work, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], 0);
	printf("%d good, %d bad, a child is left: %d\n", good, bad, wait(0) > 0);
	return 0;
}
