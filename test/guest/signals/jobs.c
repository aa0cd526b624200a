#include "check.h"

static volatile int got[65];
static siginfo_t last;
static void note(int s, siginfo_t *i, void *u) { got[s]++; last = *i; }

static void status(const char *what, int st) {
	say("%s: ", what);
	if (WIFEXITED(st)) say("exit %d\n", WEXITSTATUS(st));
	else if (WIFSIGNALED(st)) say("signal %d\n", WTERMSIG(st));
	else if (WIFSTOPPED(st)) say("stopped %d\n", WSTOPSIG(st));
	else if (WIFCONTINUED(st)) say("continued\n");
}

static void child_sleep(void) { for (;;) pause(); }

int main(void) {
	int st;
	siginfo_t si;
	on3(SIGCHLD, note, SA_RESTART);

	pid_t p = fork();
	if (p == 0) child_sleep();
	setpgid(p, p); // a group that is not orphaned, whoever started this program
	kill(p, SIGSTOP);
	say("%d\n", waitpid(p, &st, WUNTRACED) == p);
	status("stop", st);
	say("sigchld %d code %d status %d\n", got[SIGCHLD], last.si_code, last.si_status);
	show(waitpid(p, &st, WUNTRACED | WNOHANG));
	kill(p, SIGCONT);
	say("%d\n", waitpid(p, &st, WCONTINUED) == p);
	status("cont", st);
	while (got[SIGCHLD] < 2) nap(0.001); // the child itself tells, when it runs
	say("sigchld %d code %d status %d\n", got[SIGCHLD], last.si_code, last.si_status);
	kill(p, SIGTSTP);
	memset(&si, 0, sizeof si);
	say("waitid %d\n", waitid(P_PID, p, &si, WSTOPPED | WNOWAIT));
	say("%d code %d status %d\n", si.si_pid == p, si.si_code, si.si_status);
	say("waitid %d\n", waitid(P_PGID, p, &si, WSTOPPED));
	kill(p, SIGTERM); // waits for the continuation
	nap(0.03);
	show(waitpid(p, &st, WNOHANG));
	kill(p, SIGCONT);
	say("%d\n", waitpid(p, &st, 0) == p);
	status("term", st);
	show(waitpid(p, &st, 0));

	// SIGKILL ends a stopped process.
	p = fork();
	if (p == 0) child_sleep();
	kill(p, SIGSTOP);
	waitpid(p, &st, WUNTRACED);
	kill(p, SIGKILL);
	waitpid(p, &st, 0);
	status("kill", st);
	say("code %d status %d\n", last.si_code, last.si_status);

	// WNOWAIT, WNOHANG, ECHILD.
	p = fork();
	if (p == 0) _exit(300);
	say("waitid %d\n", waitid(P_ALL, 0, &si, WEXITED | WNOWAIT));
	say("code %d status %d uid %d signo %d\n", si.si_code, si.si_status, si.si_uid == getuid(), si.si_signo);
	say("%d\n", wait4(-1, &st, 0, 0) == p);
	status("exit", st);
	show(wait(0));
	show(waitid(P_ALL, 0, &si, 0));
	show(waitid(P_ALL, 0, &si, WEXITED | 0x10000));
	show(waitpid(-1, &st, 0x1000));
	show(waitid(9, 0, &si, WEXITED));

	// SIG_IGN and SA_NOCLDWAIT: no zombies.
	signal(SIGCHLD, SIG_IGN);
	if (fork() == 0) _exit(1);
	show(wait(0));
	on3(SIGCHLD, note, SA_NOCLDWAIT);
	got[SIGCHLD] = 0;
	if (fork() == 0) _exit(1);
	show(wait(0));
	say("sigchld %d\n", got[SIGCHLD]);
	on3(SIGCHLD, note, SA_NOCLDSTOP | SA_RESTART);
	got[SIGCHLD] = 0;
	p = fork();
	if (p == 0) child_sleep();
	kill(p, SIGSTOP);
	waitpid(p, &st, WUNTRACED);
	say("sigchld for a stop %d\n", got[SIGCHLD]);
	kill(p, SIGKILL);
	waitpid(p, &st, 0);
	say("sigchld %d\n", got[SIGCHLD]);

	// Groups.
	int pp[2];
	pipe(pp);
	pid_t kids[3];
	for (int i = 0; i < 3; i++)
		if ((kids[i] = fork()) == 0) {
			setpgid(0, 0);
			if (i) setpgid(0, getppid());
			write(pp[1], "x", 1);
			child_sleep();
		}
	char c;
	for (int i = 0; i < 3; i++) read(pp[0], &c, 1);
	show(setpgid(5000000, 0));
	show(setpgid(0, 5000000));
	show(getpgid(5000000));
	show(kill(-5000000, 0));
	say("own group %d\n", getpgid(0) == getpgrp());
	signal(SIGTERM, SIG_IGN);
	for (int i = 0; i < 3; i++) kill(kids[i], SIGTERM);
	int n = 0;
	while (waitpid(-1, &st, 0) > 0) n++, WTERMSIG(st) == SIGTERM || say("?\n");
	say("reaped %d\n", n);
	signal(SIGTERM, SIG_DFL);

	// A session of its own, an orphaned stopped group. The pipe's end tells when
	// all are gone.
	close(pp[0]), close(pp[1]);
	pipe(pp);
	p = fork();
	if (p == 0) {
		show(setsid() == getpid());
		show(setsid());
		say("%d %d\n", getsid(0) == getpid(), getpgrp() == getpid());
		show(setpgid(0, 0));
		pid_t q = fork();
		if (q == 0) {
			setpgid(0, 0);
			on3(SIGHUP, note, 0);
			kill(getpid(), SIGSTOP);
			nap(0.02);
			say("orphan got hup %d\n", got[SIGHUP]);
			_exit(0);
		}
		waitpid(q, &st, WUNTRACED);
		status("grandchild", st);
		_exit(0);
	}
	waitpid(p, &st, 0);
	close(pp[1]);
	read(pp[0], &c, 1);

	// A tty stop in an orphaned group is ignored.
	p = fork();
	if (p == 0) {
		setsid();
		kill(getpid(), SIGTSTP);
		say("not stopped\n");
		_exit(7);
	}
	waitpid(p, &st, WUNTRACED);
	status("tstp", st);

	// Subreaper and death signal.
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	p = fork();
	if (p == 0) {
		if (fork() == 0) { nap(0.05); _exit(getppid() == 1 ? 1 : 9); }
		_exit(0);
	}
	waitpid(p, &st, 0);
	pid_t q = wait(&st);
	say("adopted %d\n", q != p && q > 0);
	status("orphan", st);
	pipe(pp);
	p = fork();
	if (p == 0) {
		if (fork() == 0) {
			sigset_t none;
			sigemptyset(&none);
			on3(SIGUSR2, note, 0);
			block(SIGUSR2); // till it waits
			prctl(PR_SET_PDEATHSIG, SIGUSR2);
			write(pp[1], "x", 1);
			sigsuspend(&none);
			say("parent died %d code %d\n", got[SIGUSR2], last.si_code);
			_exit(0);
		}
		read(pp[0], &c, 1);
		_exit(0);
	}
	waitpid(p, &st, 0);
	wait(&st);
	status("told", st);

	// clone children without SIGCHLD.
	p = syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (p == 0) _exit(5);
	show(waitpid(p, &st, 0));
	show(waitpid(p, &st, __WCLONE) - p);
	on3(SIGUSR1, note, 0);
	p = syscall(SYS_clone, SIGUSR1, 0, 0, 0, 0);
	if (p == 0) _exit(5);
	show(waitpid(p, &st, __WALL) - p);
	status("clone", st);
	return 0;
}
