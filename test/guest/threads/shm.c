// System V shared memory: keys, attaching, forks, removal.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#define P(x) do { long r = (long)(x); printf("%s = %ld %s\n", #x, r < 0 ? r : r > 0, r < 0 ? strerror(errno) : ""); } while (0)

int main(void)
{
	key_t k = 0x68617469 + getpid();
	struct shmid_ds d;
	P(shmget(k, 100, 0));
	int id = shmget(k, 100, IPC_CREAT | IPC_EXCL | 0600);
	P(shmget(k, 100, IPC_CREAT | IPC_EXCL | 0600));
	P(shmget(k, 50, 0) == id);
	P(shmget(k, 5000, 0));
	P(shmget(IPC_PRIVATE, 0, 0600));
	char *a = shmat(id, 0, 0), *b = shmat(id, 0, SHM_RDONLY);
	strcpy(a, "hello");
	printf("%s\n", b);
	shmctl(id, IPC_STAT, &d);
	printf("size %zu nattch %ld mode %o\n", d.shm_segsz, (long)d.shm_nattch, d.shm_perm.mode);
	fflush(stdout);
	if (!fork()) {
		shmctl(id, IPC_STAT, &d);
		printf("child nattch %ld\n", (long)d.shm_nattch);
		strcpy(a, "from the child");
		fflush(stdout);
		_exit(0);
	}
	wait(0);
	printf("%s\n", b);
	P(shmdt(b));
	P(shmdt(b));
	P(shmctl(id, IPC_RMID, 0));
	shmctl(id, IPC_STAT, &d);
	printf("removed: nattch %ld mode %o key %d\n", (long)d.shm_nattch, d.shm_perm.mode, d.shm_perm.__key);
	printf("%s\n", a);
	P(shmget(k, 100, 0));
	P(shmdt(a));
	P(shmctl(id, IPC_STAT, &d));
	P((long)shmat(id, 0, 0));
	P((long)shmat(id, (void *)1, 0));
	return 0;
}
