#include "check.h"

static volatile sig_atomic_t where, count;
static pthread_t workers[8];
static __thread int me;
static void note(int s) { where = me, __sync_fetch_and_add(&count, 1); }

static int stop, started;
static void begin(void *p) {
	me = (long)p;
	__atomic_fetch_add(&started, 1, __ATOMIC_SEQ_CST);
}
static void await(int n) {
	while (__atomic_load_n(&started, __ATOMIC_SEQ_CST) < n) nap(0.001);
	started = 0;
}
static void *spin(void *p) {
	begin(p);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		;
	return 0;
}
static void *wait_in_pause(void *p) {
	me = (long)p;
	pause();
	return 0;
}
static void *taker(void *p) {
	begin(p);
	while (!count) nap(0.002);
	return 0;
}
static void *blocked(void *p) {
	sigset_t s;
	sigfillset(&s);
	pthread_sigmask(SIG_BLOCK, &s, 0);
	begin(p);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) nap(0.01);
	return 0;
}
static void *waiter(void *p) {
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGTERM);
	siginfo_t i;
	int r = sigwaitinfo(&s, &i);
	say("sigwaitinfo %d code %d\n", r, i.si_code);
	return 0;
}
static void *exiter(void *p) {
	nap(0.03);
	syscall(SYS_exit_group, 44);
	return 0;
}
static pthread_mutex_t robust;
static void *holder(void *p) {
	pthread_mutex_lock(&robust);
	return 0;
}
static void *late(void *p) {
	nap(0.05);
	exit(12);
}
static volatile int live;
static void *self_signal(void *p) {
	for (int i = 0; i < 1000; i++) pthread_kill(pthread_self(), SIGUSR1);
	return 0;
}

int main(int argc, char **argv) {
	if (argc > 1) return say("%s %d\n", argv[1], getpid() == syscall(SYS_gettid)), 0;
	on(SIGUSR1, note, 0);
	// Directed to a thread that computes.
	for (long i = 0; i < 4; i++) pthread_create(&workers[i], 0, spin, (void *)(i + 1));
	await(4);
	for (int i = 0; i < 4; i++) {
		where = count = 0;
		pthread_kill(workers[i], SIGUSR1);
		while (!count) sched_yield();
		say("in thread %d\n", where);
	}
	stop = 1;
	for (int i = 0; i < 4; i++) pthread_join(workers[i], 0);
	stop = 0;

	// The process's signal goes to a thread that does not block it.
	pthread_create(&workers[0], 0, blocked, (void *)1);
	count = 0;
	pthread_create(&workers[1], 0, taker, (void *)2);
	block(SIGUSR1);
	await(2);
	kill(getpid(), SIGUSR1);
	pthread_join(workers[1], 0);
	say("taken by %d count %d\n", where, count);
	kill(getpid(), SIGUSR1);
	sigset_t p;
	sigpending(&p);
	say("pending %d\n", sigismember(&p, SIGUSR1));
	count = 0;
	unblock(SIGUSR1);
	say("count %d by %d\n", count, where);
	stop = 1;
	pthread_join(workers[0], 0);

	block(SIGTERM);
	pthread_create(&workers[0], 0, waiter, 0);
	nap(0.02);
	kill(getpid(), SIGTERM);
	pthread_join(workers[0], 0);
	unblock(SIGTERM);

	count = 0;
	started = 0;
	for (int i = 0; i < 8; i++) pthread_create(&workers[i], 0, self_signal, 0);
	for (int i = 0; i < 8; i++) pthread_join(workers[i], 0);
	say("self %d\n", count);

	int st;
	pid_t q = fork();
	if (q == 0) {
		pthread_create(&workers[0], 0, exiter, 0);
		for (int i = 1; i < 8; i++) pthread_create(&workers[i], 0, wait_in_pause, 0);
		for (;;) pause();
	}
	waitpid(q, &st, 0);
	say("exit_group %d\n", WEXITSTATUS(st));
	q = fork();
	if (q == 0) {
		for (int i = 0; i < 8; i++) pthread_create(&workers[i], 0, i & 1 ? wait_in_pause : blocked, 0);
		nap(0.02);
		kill(getpid(), SIGKILL);
	}
	waitpid(q, &st, 0);
	say("killed %d\n", WTERMSIG(st));
	q = fork();
	if (q == 0) {
		pthread_create(&workers[0], 0, late, 0);
		syscall(SYS_exit, 3);
	}
	waitpid(q, &st, 0);
	say("leader first %d\n", WEXITSTATUS(st));
	q = fork();
	if (q == 0) {
		for (int i = 0; i < 4; i++) pthread_create(&workers[i], 0, wait_in_pause, 0);
		execl("/proc/self/exe", "x", "execed", NULL);
		_exit(1);
	}
	waitpid(q, &st, 0);

	// Stop and continue all threads.
	q = fork();
	if (q == 0) {
		stop = 0;
		for (long i = 0; i < 4; i++) pthread_create(&workers[i], 0, spin, 0);
		nap(10);
	}
	nap(0.05);
	kill(q, SIGSTOP);
	waitpid(q, &st, WUNTRACED);
	say("stopped %d\n", WIFSTOPPED(st));
	kill(q, SIGCONT);
	waitpid(q, &st, WCONTINUED);
	say("continued %d\n", WIFCONTINUED(st));
	kill(q, SIGINT);
	waitpid(q, &st, 0);
	say("ended %d\n", WTERMSIG(st));

	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &a);
	pthread_create(&workers[0], 0, holder, 0);
	pthread_join(workers[0], 0);
	int r = pthread_mutex_lock(&robust);
	say("robust %d\n", r == EOWNERDEAD);
	// Between processes.
	pthread_mutex_t *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(m, &a);
	int locked[2];
	pipe(locked);
	q = fork();
	if (q == 0) {
		pthread_mutex_lock(m);
		write(locked[1], "", 1);
		nap(0.05);
		kill(getpid(), SIGKILL);
	}
	char go;
	read(locked[0], &go, 1);
	say("shared robust %d\n", pthread_mutex_lock(m) == EOWNERDEAD);
	waitpid(q, &st, 0);
	return 0;
}
