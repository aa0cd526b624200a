// What a signal does to each call that waits: with a handler with and without
// SA_RESTART, with none, and with a stop. For each the program says where the
// handler saw the counter, as seen from behind the instruction, and the
// register with number or result; and the result in the end. The argument "list"
// lists the calls.
#include "blocking.h"

#define W(id, call, prepare, release, check, ...) \
	static void id##_args(long *x) { long v[6] = {__VA_ARGS__}; memcpy(x, v, sizeof v); }
WITNESSES
#undef W
#define W(id, call, prepare, release, check, ...) {#call, #id, SYS_##call, prepare, release, check, id##_args},
static struct witness {
	const char *call, *id;
	long nr;
	void (*prepare)(void), (*release)(void), (*check)(void), (*args)(long *);
} witnesses[] = {WITNESSES};
#define COUNT (int)(sizeof witnesses / sizeof *witnesses)

enum { RESTART, PLAIN, IGNORED, STOPPED, MODES };
static const char *modes[] = {"SA_RESTART", "handled", "ignored", "stopped"};

__asm__(".text\n.globl make_call, behind_call\nmake_call:\n"
	"mov %rdi, %rax\n mov %rsi, %r11\n"
	"mov (%r11), %rdi\n mov 8(%r11), %rsi\n mov 16(%r11), %rdx\n mov 24(%r11), %r10\n mov 32(%r11), %r8\n mov 40(%r11), %r9\n"
	"syscall\nbehind_call: ret\n");
extern long make_call(long nr, long *args);
extern const char behind_call[];

static volatile long counter, ax, seen;
static void look(int sig, siginfo_t *i, void *u) {
	ucontext_t *c = u;
	counter = c->uc_mcontext.gregs[REG_RIP] - (long)behind_call;
	ax = c->uc_mcontext.gregs[REG_RAX];
	seen++;
}

static struct witness *w;
static long result;
static double took;
static void *body(void *x) {
	long v[6];
	block(SIGUSR2);
	unblock(SIGUSR1);
	w->args(v);
	waiter_tid = gettid();
	ready = 1;
	result = make_call(w->nr, v);
	took = now() - began;
	ready = 2;
	return 0;
}

// stop_and_go is a stop of this process by a child.
static void stop_and_go(void) {
	pid_t me = getpid(), pid = fork();
	if (pid == 0) {
		kill(me, SIGSTOP);
		while (state(me, me) != 'T')
			sched_yield();
		kill(me, SIGCONT);
		_exit(0);
	}
	waitpid(pid, 0, 0);
}

static void run(struct witness *this, int mode) {
	w = this;
	say("%s, %s, %s:", w->call, w->id, modes[mode]);
	on3(SIGUSR1, look, mode == RESTART ? SA_RESTART : 0);
	signal(SIGURG, SIG_DFL);
	ready = counter = ax = seen = 0;
	w->prepare();
	pthread_create(&waiter, 0, body, 0);
	settle();
	switch (mode) {
	case RESTART:
	case PLAIN:
		pthread_kill(waiter, SIGUSR1);
		while (!seen)
			sched_yield();
		say(" counter %+ld, AX %ld;", counter, ax);
		while (counter == 0 && ready != 2)
			sched_yield(); // it does not go on waiting
		break;
	case IGNORED:
		pthread_kill(waiter, SIGURG);
		break;
	case STOPPED:
		stop_and_go();
		nap(0.01); // until it has looked around
		break;
	}
	settle();
	int over = ready == 2;
	if (!over && w->release)
		w->release();
	pthread_join(waiter, 0);
	if (over && w->release && (w->check == reap_all || w->check == not_locked || w->check == drained_all))
		w->release(); // what is to be reaped waits for that
	if (w->nr == SYS_openat2 || w->nr == SYS_open || w->nr == SYS_openat || w->nr == SYS_creat || w->nr == SYS_accept || w->nr == SYS_accept4)
		result = taken(result);
	if (w->nr == SYS_wait4 && result == child)
		result = 1;
	say(" result %ld%s", result, over ? " at once" : "");
	if (!w->release)
		say(took > 0.29 ? " in time" : over ? "" : " early");
	w->check();
	say("\n");
	tidy();
}

int main(int argc, char **argv) {
	for (struct witness *x = witnesses; x < witnesses + COUNT; x++) {
		if (argc > 1 && strcmp(argv[1], "list") == 0) {
			say("%s\n", x->call);
			continue;
		}
		if (argc > 1 && strcmp(argv[1], x->id))
			continue;
		// Each in a process and a directory of its own: nobody disturbs another.
		pid_t pids[MODES];
		int out[MODES];
		fflush(stdout);
		for (int mode = 0; mode < MODES; mode++) {
			out[mode] = syscall(SYS_memfd_create, "out", 0);
			if ((pids[mode] = fork()) == 0) {
				char own[32];
				dup2(out[mode], 1);
				snprintf(own, sizeof own, "blocking.%d", getpid());
				mkdir(own, 0700);
				chdir(own);
				run(x, mode);
				chdir("..");
				rmdir(own);
				_exit(0);
			}
		}
		for (int mode = 0; mode < MODES; mode++) {
			char text[1024];
			waitpid(pids[mode], 0, 0);
			write(1, text, pread(out[mode], text, sizeof text, 0));
			close(out[mode]);
		}
	}
	return 0;
}
