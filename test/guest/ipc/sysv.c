// System V semaphores and message queues: every operation, its errors, waits,
// undo, removal under waiters.
#include "../signals/check.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/stat.h>

union semun { int val; struct semid_ds *buf; unsigned short *array; };
static int id;
static char state(int pid) {
	char name[64], text[256], *p;
	snprintf(name, sizeof name, "/proc/%d/stat", pid);
	int fd = open(name, O_RDONLY);
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	p = strrchr(text, ')');
	return p ? p[2] : '?';
}
static void settle(pid_t pid) { do nap(0.001); while (state(pid) != 'S'); }
static int op(int num, int n, int flags) { struct sembuf b = {num, n, flags}; return semop(id, &b, 1); }
static void values(const char *when) {
	unsigned short v[3] = {0};
	semctl(id, 0, GETALL, (union semun){.array = v});
	say("%s: %d %d %d, waiting %d %d\n", when, v[0], v[1], v[2], semctl(id, 0, GETNCNT), semctl(id, 0, GETZCNT));
}

static void semaphores(void) {
	struct sembuf two[2] = {{0, 1, 0}, {1, -1, IPC_NOWAIT}}, many[600] = {{0}};
	struct semid_ds d;
	unsigned short all[3] = {5, 6, 7};
	show(semget(1234567, 1, 0600));
	show(semget(IPC_PRIVATE, 0, 0600));
	show(semget(IPC_PRIVATE, -1, 0600));
	show(semget(IPC_PRIVATE, 40000, 0600));
	id = semget(0x5eed + getpid(), 3, IPC_CREAT | IPC_EXCL | 0640);
	say("made %d\n", id >= 0);
	show(semget(0x5eed + getpid(), 3, IPC_CREAT | IPC_EXCL | 0640));
	show(semget(0x5eed + getpid(), 2, 0) == id);
	show(semget(0x5eed + getpid(), 4, 0));
	values("new");
	show(op(0, 2, 0));
	show(op(3, 1, 0));
	show(op(1, -1, IPC_NOWAIT));
	show(op(0, 0, IPC_NOWAIT));
	show(op(0, 32767, 0));
	show(semop(id, two, 2));
	show(semop(id, two, 0));
	show(semop(id, many, 600));
	show(semop(id, (void *)8, 1));
	show(semop(-1, two, 1));
	show(semop(id + 1000000, two, 1));
	values("after failures");
	two[1].sem_op = 1;
	show(semop(id, two, 2));
	values("after both");
	show(semctl(id, 0, GETVAL));
	show(semctl(id, 0, GETPID) == getpid());
	show(semctl(id, 3, GETVAL));
	show(semctl(id, 1, SETVAL, (union semun){.val = 40000}));
	show(semctl(id, 1, SETVAL, (union semun){.val = -1}));
	show(semctl(id, 1, SETVAL, (union semun){.val = 9}));
	show(semctl(id, 0, 99));
	values("set");
	show(semctl(id, 0, SETALL, (union semun){.array = all}));
	values("set all");
	show(semctl(id, 0, IPC_STAT, (union semun){.buf = &d}));
	say("mode %o, %ld semaphores, owner %d, used %d, changed %d\n", d.sem_perm.mode, (long)d.sem_nsems, d.sem_perm.uid == geteuid(), d.sem_otime != 0, d.sem_ctime != 0);
	d.sem_perm.mode = 0600;
	show(semctl(id, 0, IPC_SET, (union semun){.buf = &d}));
	semctl(id, 0, IPC_STAT, (union semun){.buf = &d});
	say("mode %o\n", d.sem_perm.mode);

	// Undo at the end of a process.
	pid_t pid = fork();
	if (pid == 0) {
		op(0, -3, SEM_UNDO);
		op(1, 4, SEM_UNDO);
		op(2, -1, SEM_UNDO);
		semctl(id, 2, SETVAL, (union semun){.val = 1});
		_exit(0);
	}
	waitpid(pid, 0, 0);
	values("undone");
	// An undo lets a waiter go on.
	all[0] = 1, all[1] = all[2] = 0;
	semctl(id, 0, SETALL, (union semun){.array = all});
	int p[2];
	pipe(p);
	if ((pid = fork()) == 0) {
		char c;
		close(p[1]);
		op(0, -1, SEM_UNDO);
		read(p[0], &c, 1);
		_exit(0);
	}
	settle(pid);
	pid_t other = fork();
	if (other == 0) {
		close(p[1]);
		_exit(op(0, -1, 0));
	}
	settle(other);
	values("held");
	close(p[0]), close(p[1]);
	int status;
	waitpid(pid, 0, 0);
	waitpid(other, &status, 0);
	say("waiter %d\n", status);
	values("passed on");

	// Waiting for zero, and for two at once: the first who can.
	semctl(id, 0, SETVAL, (union semun){.val = 1});
	if ((pid = fork()) == 0)
		_exit(op(0, 0, 0) ? errno : 0);
	settle(pid);
	if ((other = fork()) == 0) {
		struct sembuf b[2] = {{1, -2, 0}, {2, -1, 0}};
		_exit(semop(id, b, 2) ? errno : 0);
	}
	settle(other);
	values("two wait");
	op(1, 2, 0);
	op(2, 1, 0);
	waitpid(other, &status, 0);
	say("both taken %d\n", status);
	op(0, -1, 0);
	waitpid(pid, &status, 0);
	say("zero %d\n", status);
	values("quiet");

	// Timeouts.
	struct timespec t = {0, 50000000}, bad = {0, -1};
	struct sembuf take = {0, -1, 0};
	show(semtimedop(id, &take, 1, &t));
	show(semtimedop(id, &take, 1, &bad));
	t.tv_nsec = 0;
	show(semtimedop(id, &take, 1, &t));

	// Removal.
	if ((pid = fork()) == 0)
		_exit(op(0, -1, 0) == -1 && errno == EIDRM);
	settle(pid);
	show(semctl(id, 0, IPC_RMID));
	waitpid(pid, &status, 0);
	say("removed %d\n", WEXITSTATUS(status));
	show(semctl(id, 0, GETVAL));
}

static struct { long kind; char text[9000]; } m;
static long send_(long kind, const char *text, int flags) { m.kind = kind; strcpy(m.text, text); return msgsnd(id, &m, strlen(text), flags); }
static void receive(long kind, size_t size, int flags) {
	memset(&m, 0, sizeof m);
	errno = 0;
	ssize_t n = msgrcv(id, &m, size, kind, flags);
	int e = errno;
	say("receive %ld %zu %o: %zd %s kind %ld '%s'\n", kind, size, flags, n, n < 0 ? strerrorname(e) : "", m.kind, m.text);
}
static void queue(void) {
	struct msqid_ds d;
	msgctl(id, IPC_STAT, &d);
	say("%ld messages, %lu bytes of %lu, mode %o, sent by %d, received by %d\n", (long)d.msg_qnum, d.__msg_cbytes, (long)d.msg_qbytes, d.msg_perm.mode,
		d.msg_lspid == getpid(), d.msg_lrpid == getpid());
}

static void messages(void) {
	struct msqid_ds d;
	int status;
	show(msgget(7654321, 0600));
	id = msgget(0x3e5 + getpid(), IPC_CREAT | IPC_EXCL | 0600);
	say("made %d\n", id >= 0);
	show(msgget(0x3e5 + getpid(), IPC_CREAT | IPC_EXCL | 0600));
	show(msgget(0x3e5 + getpid(), 0) == id);
	queue();
	show(send_(0, "none", 0));
	show(send_(-1, "none", 0));
	show(msgsnd(id, &m, 8193, 0));
	show(msgsnd(id + 100000, &m, 1, 0));
	show(msgsnd(id, (void *)8, 1, 0));
	show(send_(3, "three", 0));
	show(send_(1, "one", 0));
	show(send_(2, "two", 0));
	show(send_(3, "three again", 0));
	queue();
	receive(9, 100, IPC_NOWAIT);
	receive(3, 2, 0);
	receive(3, 2, MSG_NOERROR);
	receive(-2, 100, 0);
	receive(1, 100, MSG_EXCEPT);
	receive(0, 100, 0);
	receive(0, 100, IPC_NOWAIT);
	show(send_(4, "", 0));
	receive(0, 0, 0);
	queue();
	// Full.
	memset(m.text, 'x', sizeof m.text);
	m.kind = 1;
	show(msgsnd(id, &m, 8192, 0));
	show(msgsnd(id, &m, 8192, 0));
	show(msgsnd(id, &m, 1, IPC_NOWAIT));
	pid_t pid = fork();
	if (pid == 0)
		_exit(send_(2, "waited", 0) ? errno : 0);
	settle(pid);
	show(msgrcv(id, &m, 8192, 0, 0));
	waitpid(pid, &status, 0);
	say("sender %d\n", status);
	receive(2, 100, 0);
	show(msgrcv(id, &m, 8192, 0, 0));
	queue();
	// Who waits gets what he wants.
	pid_t a = fork();
	if (a == 0)
		_exit(msgrcv(id, &m, 100, 5, 0));
	settle(a);
	pid_t b = fork();
	if (b == 0)
		_exit(msgrcv(id, &m, 2, -4, 0) == -1 && errno == E2BIG ? 77 : 0);
	settle(b);
	send_(5, "fivefive", 0);
	send_(4, "long", 0);
	waitpid(a, &status, 0);
	say("five %d\n", WEXITSTATUS(status));
	waitpid(b, &status, 0);
	say("too long %d\n", WEXITSTATUS(status));
	receive(0, 100, IPC_NOWAIT);
	// Limits.
	msgctl(id, IPC_STAT, &d);
	d.msg_qbytes = 4;
	show(msgctl(id, IPC_SET, &d));
	show(send_(1, "four", IPC_NOWAIT));
	show(send_(1, "1", IPC_NOWAIT));
	queue();
	show(msgctl(id, 99, &d));
	if ((pid = fork()) == 0)
		_exit(send_(1, "1", 0) == -1 && errno == EIDRM);
	settle(pid);
	show(msgctl(id, IPC_RMID, 0));
	waitpid(pid, &status, 0);
	say("removed %d\n", WEXITSTATUS(status));
	show(msgctl(id, IPC_STAT, &d));
}

int main(void) {
	semaphores();
	messages();
	return 0;
}
