#include "check.h"

static volatile int n;
static int order[100];
static void count(int s) { order[n++] = s; }
static void info(int s, siginfo_t *i, void *u) {
	say("signal %d code %d pid %d uid %d value %d\n", s, i->si_code, i->si_pid == getpid(), i->si_uid == getuid(), i->si_value.sival_int);
}
static void nested(int s) {
	say("enter %d\n", s);
	if (s == SIGUSR1) raise(SIGUSR2);
	say("leave %d\n", s);
}
static void again(int s) {
	n++;
	if (n < 3) raise(s);
	say("again %d\n", n);
}

int main(void) {
	on(SIGUSR1, count, 0);
	raise(SIGUSR1);
	kill(getpid(), SIGUSR1);
	say("count %d\n", n);

	// Standard signals merge, real-time ones queue in order.
	block(SIGUSR1);
	for (int i = 0; i < 5; i++) raise(SIGUSR1);
	for (int s = SIGRTMIN + 2; s >= SIGRTMIN; s--) {
		on(s, count, 0);
		block(s);
		raise(s), raise(s);
	}
	sigset_t p;
	sigpending(&p);
	say("pending %d %d %d\n", sigismember(&p, SIGUSR1), sigismember(&p, SIGRTMIN), sigismember(&p, SIGUSR2));
	n = 0;
	sigset_t all, old;
	sigfillset(&all);
	sigprocmask(SIG_UNBLOCK, &all, &old);
	say("delivered %d:", n);
	for (int i = 0; i < n; i++) say(" %d", order[i]);
	say("\n");

	on3(SIGRTMIN, info, 0);
	on3(SIGUSR1, info, 0);
	union sigval v = {.sival_int = 42};
	block(SIGRTMIN);
	for (int i = 0; i < 3; i++) v.sival_int = 40 + i, sigqueue(getpid(), SIGRTMIN, v);
	unblock(SIGRTMIN);
	raise(SIGUSR1);
	kill(getpid(), SIGUSR1);
	sigqueue(getpid(), SIGUSR1, v);

	// Masks, SA_NODEFER, SA_RESETHAND.
	struct sigaction a = {0};
	a.sa_handler = nested;
	sigaction(SIGUSR1, &a, 0);
	sigaction(SIGUSR2, &a, 0);
	raise(SIGUSR1);
	sigaddset(&a.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &a, 0);
	raise(SIGUSR1);
	n = 0;
	on(SIGUSR1, again, 0);
	raise(SIGUSR1);
	n = 0;
	on(SIGUSR1, again, SA_NODEFER);
	raise(SIGUSR1);
	on(SIGUSR1, count, SA_RESETHAND);
	raise(SIGUSR1);
	struct sigaction b;
	sigaction(SIGUSR1, 0, &b);
	say("reset %d flags %x\n", b.sa_handler == SIG_DFL, b.sa_flags);

	// Ignoring drops what is pending.
	on(SIGUSR2, count, 0);
	block(SIGUSR2);
	raise(SIGUSR2);
	signal(SIGUSR2, SIG_IGN);
	on(SIGUSR2, count, 0);
	n = 0;
	unblock(SIGUSR2);
	say("after ignore %d\n", n);

	show(sigaction(SIGKILL, &a, 0));
	show(sigaction(SIGSTOP, &a, 0));
	show(sigaction(65, &a, 0));
	show(sigaction(SIGKILL, 0, &b));
	show(kill(getpid(), 65));
	show(kill(5000000, 0));
	show(kill(getpid(), 0));
	show(syscall(SYS_tgkill, getpid(), getpid() + 77777, 0));
	show(syscall(SYS_tkill, -1, 0));
	show(syscall(SYS_rt_sigaction, SIGUSR1, 0, 0, 4));
	show(syscall(SYS_rt_sigprocmask, 9, &all, 0, 8));
	show(syscall(SYS_rt_sigprocmask, 9, 0, 0, 8));
	show(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 8, 0, 8));
	return 0;
}
