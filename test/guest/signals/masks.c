// Masks for the duration of a call, waiting for signals, signalfd, pidfd, and
// what execve and fork leave of signals.
#include "check.h"
#include <sys/epoll.h>
#include <sys/signalfd.h>

static volatile int n, inside, last;
static sigset_t seen;
static void note(int s) {
	n++;
	last = s;
	sigprocmask(SIG_BLOCK, 0, &seen);
}
static void info(int s, siginfo_t *i, void *u) {
	n++;
	ucontext_t *uc = u;
	say("handler %d, its frame blocks usr1 %d usr2 %d\n", s, sigismember(&uc->uc_sigmask, SIGUSR1), sigismember(&uc->uc_sigmask, SIGUSR2));
}
static void mask(const char *what) {
	sigset_t m;
	sigprocmask(SIG_BLOCK, 0, &m);
	say("%s: usr1 %d usr2 %d alrm %d\n", what, sigismember(&m, SIGUSR1), sigismember(&m, SIGUSR2), sigismember(&m, SIGALRM));
}
static sigset_t set(int a, int b) {
	sigset_t s;
	sigemptyset(&s);
	if (a) sigaddset(&s, a);
	if (b) sigaddset(&s, b);
	return s;
}

// alarm_once has a child send an alarm as soon as this process sleeps, having said
// that it is about to wait.
static volatile int *waits;
static pid_t alarm_once(void) {
	*waits = 0;
	pid_t me = getpid(), p = fork();
	if (p == 0) {
		char name[64], text[256] = "", *at;
		while (!*waits) sched_yield();
		snprintf(name, sizeof name, "/proc/%d/stat", me);
		do {
			nap(0.001);
			int fd = open(name, O_RDONLY);
			ssize_t k = read(fd, text, sizeof text - 1);
			close(fd);
			text[k > 0 ? k : 0] = 0;
			at = strrchr(text, ')');
		} while (!at || at[2] != 'S');
		kill(me, SIGALRM);
		_exit(0);
	}
	return p;
}

static int exec_child(void) {
	struct sigaction a;
	for (int s = 1; s < 32; s++)
		if (sigaction(s, 0, &a) == 0 && (a.sa_handler != SIG_DFL || a.sa_flags)) say("signal %d %s flags %x\n", s, a.sa_handler == SIG_IGN ? "ignored" : "handled", a.sa_flags);
	mask("after exec");
	sigset_t p;
	sigpending(&p);
	say("pending %d %d\n", sigismember(&p, SIGUSR1), sigismember(&p, SIGUSR2));
	stack_t st;
	sigaltstack(0, &st);
	say("stack %d\n", st.ss_flags);
	return 0;
}

int main(int argc, char **argv) {
	if (argc > 1) return exec_child();
	int pp[2], st;
	pipe(pp);
	waits = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sigset_t none = set(0, 0), one = set(SIGUSR1, 0), both = set(SIGUSR1, SIGUSR2), two = set(SIGUSR2, 0), got;
	struct timespec zero = {0, 0}, soon = {0, 20000000}, later = {5, 0};
	struct pollfd pf = {pp[0], POLLIN};

	// A pending signal that only the call's mask lets in.
	sigprocmask(SIG_SETMASK, &both, 0);
	on3(SIGUSR1, info, 0);
	on3(SIGUSR2, info, 0);
	raise(SIGUSR1);
	show(ppoll(&pf, 1, &later, &two));
	mask("after ppoll");
	raise(SIGUSR1);
	fd_set f;
	FD_ZERO(&f);
	show(pselect(0, 0, 0, 0, &later, &two));
	mask("after pselect");
	int e = epoll_create1(0);
	struct epoll_event ev;
	raise(SIGUSR1);
	show(epoll_pwait(e, &ev, 1, 5000, &two));
	mask("after epoll_pwait");
	raise(SIGUSR1);
	show(sigsuspend(&two));
	mask("after sigsuspend");
	// Blocked in the call, too: it times out.
	raise(SIGUSR2);
	show(ppoll(&pf, 1, &soon, &two));
	n = 0;
	// Ready: no signal is handled.
	write(pp[1], "x", 1);
	show(ppoll(&pf, 1, &later, &none));
	say("handled %d\n", n);
	sigpending(&got);
	say("pending %d\n", sigismember(&got, SIGUSR2));
	sigprocmask(SIG_SETMASK, &none, 0);
	say("handled %d\n", n);

	// sigwait and its kin.
	sigprocmask(SIG_SETMASK, &both, 0);
	siginfo_t si;
	show(sigtimedwait(&both, &si, &zero));
	raise(SIGUSR2), raise(SIGUSR1);
	show(sigtimedwait(&both, &si, &zero));
	show(sigtimedwait(&both, &si, &later));
	say("signo %d code %d pid %d\n", si.si_signo, si.si_code, si.si_pid == getpid());
	show(sigtimedwait(&both, &si, &soon));
	soon.tv_nsec = -1;
	show(sigtimedwait(&both, &si, &soon));
	soon.tv_nsec = 20000000;
	on(SIGALRM, note, 0);
	pid_t p = alarm_once();
	*waits = 1;
	show(sigtimedwait(&both, &si, &later));
	waitpid(p, 0, 0);
	sigset_t al = set(SIGALRM, 0);
	p = alarm_once();
	*waits = 1;
	show(sigwaitinfo(&al, &si)); // not blocked: taken before the handler
	waitpid(p, 0, 0);
	say("handled %d code %d\n", n, si.si_code);
	// Awaited signals that would kill do not.
	sigprocmask(SIG_BLOCK, &al, 0);
	signal(SIGALRM, SIG_DFL);
	struct itimerval it = {{0, 0}, {0, 30000}};
	setitimer(ITIMER_REAL, &it, 0);
	show(sigwaitinfo(&al, &si));
	say("code %d\n", si.si_code);

	// signalfd
	int fd = signalfd(-1, &both, SFD_NONBLOCK);
	struct signalfd_siginfo sf[3];
	show(read(fd, sf, sizeof sf));
	struct pollfd sp = {fd, POLLIN};
	show(poll(&sp, 1, 0));
	raise(SIGUSR1);
	union sigval v = {.sival_int = 5};
	sigqueue(getpid(), SIGUSR2, v);
	show(poll(&sp, 1, 1000));
	show(read(fd, sf, sizeof sf) / sizeof sf[0]);
	say("%d %d, %d %d %d\n", sf[0].ssi_signo, sf[0].ssi_code, sf[1].ssi_signo, sf[1].ssi_code, sf[1].ssi_int);
	show(read(fd, sf, 5));
	if (fork() == 0) nap(0.03), kill(getppid(), SIGUSR1), _exit(0);
	show(poll(&sp, 1, 5000));
	show(read(fd, sf, sizeof sf[0]) == sizeof sf[0]);
	wait(0);
	fcntl(fd, F_SETFL, 0);
	if (fork() == 0) nap(0.03), kill(getppid(), SIGUSR2), _exit(0);
	show(read(fd, sf, sizeof sf) / sizeof sf[0]);
	wait(0);

	// pidfd
	p = fork();
	if (p == 0) for (;;) pause();
	int pd = syscall(SYS_pidfd_open, p, 0);
	struct pollfd dp = {pd, POLLIN};
	show(poll(&dp, 1, 0));
	show(syscall(SYS_pidfd_send_signal, pd, SIGTERM, 0, 0));
	show(poll(&dp, 1, 5000));
	show(waitid(P_PIDFD, pd, &si, WEXITED));
	say("code %d status %d\n", si.si_code, si.si_status);
	show(waitid(P_PIDFD, pd, &si, WEXITED));
	show(syscall(SYS_pidfd_send_signal, pd, 0, 0, 0));
	show(syscall(SYS_pidfd_open, 5000000, 0));
	show(syscall(SYS_pidfd_open, getpid(), 5));

	// fork: no pending signals, the same mask; exec: pending and mask stay.
	raise(SIGUSR1);
	if (fork() == 0) {
		sigpending(&got);
		mask("child");
		say("child pending %d\n", sigismember(&got, SIGUSR1));
		_exit(0);
	}
	wait(0);
	fflush(stdout);
	if (fork() == 0) {
		raise(SIGUSR2);
		signal(SIGHUP, SIG_IGN);
		on(SIGINT, note, SA_RESTART);
		static char stack[65536];
		stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack};
		sigaltstack(&ss, 0);
		execl("/proc/self/exe", "masks", "x", (char *)0);
		_exit(1);
	}
	wait(&st);

	// vfork: the parent waits, its handlers stay its own after exec.
	on(SIGINT, note, 0);
	volatile int shared = 0;
	p = vfork();
	if (p == 0) {
		nap(0.03);
		shared = 1;
		_exit(3);
	}
	say("vfork %d\n", shared);
	waitpid(p, &st, 0);
	say("%d\n", WEXITSTATUS(st));

	// SIGPIPE, SIGABRT, core-dumping signals.
	int q[2];
	pipe(q), close(q[0]);
	if ((p = fork()) == 0) {
		signal(SIGPIPE, SIG_DFL);
		write(q[1], "x", 1);
		_exit(0);
	}
	waitpid(p, &st, 0);
	say("pipe: %d\n", WTERMSIG(st));
	signal(SIGPIPE, SIG_IGN);
	show(write(q[1], "x", 1) == -1 && errno == EPIPE);
	if ((p = fork()) == 0) abort();
	waitpid(p, &st, 0);
	say("abort: %d\n", WTERMSIG(st));
	// Default ignored ones do not interrupt.
	if ((p = fork()) == 0) {
		pid_t parent = getppid();
		for (int i = 0; i < 10; i++) kill(parent, SIGURG), kill(parent, SIGWINCH), kill(parent, SIGCONT), nap(0.002);
		_exit(0);
	}
	struct timespec rest = {0, 60000000};
	show(nanosleep(&rest, &rest));
	waitpid(p, &st, 0);
	return 0;
}
