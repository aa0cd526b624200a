// A process that is killed, whatever it waits for, ends at once; so does one
// whose threads wait everywhere when one of them exits or executes a program.
#include "points.h"

static struct point *point;

static void await_sleep(int pid, int tid) {
	for (char s; (s = state(pid, tid)) != 'S' && s != 'Z';)
		sched_yield();
}

// forget removes the files of a process.
static void forget(pid_t pid) {
	snprintf(name, sizeof name, "cancel.fifo.%d", pid);
	unlink(name);
	snprintf(name, sizeof name, "cancel.lock.%d", pid);
	unlink(name);
}

static void *body(void *x) {
	struct point *p = x;
	block(SIGUSR2);
	waiter_tid = gettid();
	ready = 1;
	p->call();
	return 0;
}

// A process of its own, so that each case has its own descriptors.
static void one(struct point *p) {
	int go[2], status;
	char c;
	pipe(go);
	pid_t pid = fork();
	if (pid == 0) {
		p->prepare();
		write(go[1], "x", 1);
		p->call();
		_exit(0);
	}
	read(go[0], &c, 1);
	close(go[0]);
	close(go[1]);
	await_sleep(pid, pid);
	double t = now();
	kill(pid, SIGKILL);
	pid_t r = waitpid(pid, &status, 0);
	double took = now() - t;
	forget(pid);
	say("%s: %d killed=%d at once=%d\n", p->name, r == pid, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, took < 1);
}

// All of those that wait for ever, one thread each; then how.
static void siblings(const char *what, void (*how)(void)) {
#ifdef NET
	static const char *all[] = {"read", "recvmsg", "recvmmsg", "recv a datagram", "send", "writev", "accept", "connect", "poll", "select", "epoll_wait"};
#else
	static const char *all[] = {"read pipe", "write pipe", "recvmsg", "accept", "connect", "poll", "select", "epoll_wait", "pause", "sigsuspend",
		"sigwaitinfo", "waitpid", "open fifo to read", "fcntl lock", "sem_wait", "pthread_join"};
#endif
	int status;
	double t = now();
	int go[2];
	pipe(go);
	pid_t pid = fork();
	if (pid == 0) {
		for (int i = 0; i < sizeof all / sizeof *all; i++)
			for (point = points; point < points + POINTS; point++)
				if (!strcmp(point->name, all[i])) {
					pthread_t th;
					ready = 0;
					extras = 0; // its descriptors stay
					memset(extra, 0, sizeof extra);
					point->prepare();
					pthread_create(&th, 0, body, point);
					settle();
				}
		write(go[1], "x", 1);
		how();
		_exit(9);
	}
	close(go[1]);
	char c;
	read(go[0], &c, 1);
	close(go[0]);
	t = now();
	waitpid(pid, &status, 0);
	double took = now() - t;
	forget(pid);
	say("%s: %s %d at once=%d\n", what, WIFEXITED(status) ? "exited" : "killed", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), took < 1);
}

static const char *self;
static void leave(void) { exit(5); }
static void *exec_body(void *x) {
	execl(self, self, "6", (char *)0);
	return 0;
}
static void exec_elsewhere(void) {
	pthread_t th;
	pthread_create(&th, 0, exec_body, 0);
	pthread_join(th, 0);
}
static void exec_here(void) { exec_body(0); }
static void fault(void) { raise(SIGKILL); }

int main(int argc, char **argv) {
	if (argc > 1)
		_exit(atoi(argv[1]));
	span_ms = 60000; // nothing waits to the end
	self = argv[0];
	on(SIGUSR1, nothing, 0);
	block(SIGUSR2);
	for (struct point *p = points; p < points + POINTS; p++) {
		if (p->call == do_system)
			continue; // its shell outlives it
		if (p->instant || p->check == no_mail) // the queue would stay
			continue;
		if (p->prepare == new_third)
			continue; // below, with threads
		one(p);
	}
	siblings("exit_group", leave);
	siblings("exec by the first thread", exec_here);
	siblings("exec by another thread", exec_elsewhere);
	siblings("SIGKILL", fault);
	return 0;
}
