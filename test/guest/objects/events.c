// eventfd, timerfd, signalfd, alone and in poll and epoll.
#include "check.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

static int events(int fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT};
	poll(&p, 1, 0);
	return p.revents;
}

static void counters(void)
{
	uint64_t v = 0;
	char b[4];
	SHOW(eventfd(0, 0x40));
	int e = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC);
	SHOW(fcntl(e, F_GETFD));
	SHOW(fcntl(e, F_GETFL));
	SHOW(read(e, b, 4));
	SHOW(write(e, b, 4));
	SHOW(events(e));
	SHOW(read(e, &v, 8));
	note("%ld", v);
	SHOW(read(e, &v, 8));
	SHOW(events(e));
	v = -1;
	SHOW(write(e, &v, 8));
	v = -2;
	SHOW(write(e, &v, 8));
	SHOW(events(e));
	v = 1;
	SHOW(write(e, &v, 8));
	SHOW(read(e, &v, 8));
	note("%lx", v);
	SHOW(lseek(e, 0, SEEK_SET));
	SHOW(pread(e, &v, 8, 0));
	char l[64] = "", p[64];
	sprintf(p, "/proc/self/fd/%d", e);
	SHOW(readlink(p, l, 63));
	note("%s", l);
	SHOW(syscall(SYS_eventfd, 2) >= 0);
	close(e);
	e = eventfd(2, EFD_SEMAPHORE);
	SHOW(read(e, &v, 8));
	note("%ld", v);
	SHOW(read(e, &v, 8));
	if (fork() == 0) {
		usleep(50000);
		v = 7;
		write(e, &v, 8);
		_exit(0);
	}
	SHOW(read(e, &v, 8));
	note("%ld", v);
	wait(0);
	close(e);
}

static void timers(void)
{
	uint64_t v = 0;
	struct itimerspec s = {0}, o;
	SHOW(timerfd_create(99, 0));
	SHOW(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
	SHOW(timerfd_create(CLOCK_MONOTONIC, 1));
	int t = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	SHOW(fcntl(t, F_GETFD));
	SHOW(fcntl(t, F_GETFL));
	SHOW(read(t, &v, 8));
	SHOW(events(t));
	s.it_value.tv_nsec = 2000000000;
	SHOW(timerfd_settime(t, 0, &s, 0));
	s.it_value.tv_nsec = 1;
	SHOW(timerfd_settime(t, 8, &s, 0));
	SHOW(timerfd_settime(t, 0, 0, 0));
	SHOW(timerfd_settime(0, 0, &s, 0));
	SHOW(timerfd_settime(999, 0, &s, 0));
	s.it_value.tv_sec = 100;
	s.it_interval.tv_sec = 7;
	SHOW(timerfd_settime(t, 0, &s, 0));
	SHOW(timerfd_gettime(t, &o));
	note("%ld %ld", o.it_value.tv_sec >= 99, o.it_interval.tv_sec);
	s = (struct itimerspec){{0, 20000000}, {0, 30000000}};
	double start = now();
	SHOW(timerfd_settime(t, 0, &s, &o));
	note("%ld %ld", o.it_value.tv_sec >= 99, o.it_interval.tv_sec);
	fcntl(t, F_SETFL, 0);
	SHOW(read(t, &v, 8));
	note("%d %d", v > 0, now() - start >= 0.03);
	usleep(100000);
	SHOW(events(t));
	SHOW(read(t, &v, 8));
	note("%d", v >= 3);
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	s = (struct itimerspec){{0, 0}, {ts.tv_sec - 1, 0}};
	SHOW(timerfd_settime(t, TFD_TIMER_ABSTIME, &s, 0));
	SHOW(read(t, &v, 8));
	note("%ld", v);
	s = (struct itimerspec){0};
	SHOW(timerfd_settime(t, 0, &s, 0));
	SHOW(timerfd_gettime(t, &o));
	note("%ld %ld", o.it_value.tv_sec, o.it_value.tv_nsec);
	int ep = epoll_create1(0);
	struct epoll_event e = {EPOLLIN, {.u32 = 5}};
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, t, &e));
	s.it_value.tv_nsec = 30000000;
	SHOW(timerfd_settime(t, 0, &s, 0));
	SHOW(epoll_wait(ep, &e, 1, 3000));
	note("%x %d", e.events, e.data.u32);
	close(t);
	SHOW(epoll_wait(ep, &e, 1, 0));
	close(ep);
}

static void show(struct signalfd_siginfo *s)
{
	note("signo %d code %d errno %d pid %d uid %d int %d ptr %lx status %d fd %d", s->ssi_signo, s->ssi_code, s->ssi_errno,
		s->ssi_pid == getpid(), s->ssi_uid, s->ssi_int, s->ssi_ptr, s->ssi_status, s->ssi_fd);
}

static void *killer(void *a)
{
	usleep(50000);
	kill(getpid(), SIGUSR2);
	return 0;
}

static void signals(void)
{
	sigset_t set;
	struct signalfd_siginfo s[4];
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, 0);
	SHOW(signalfd(-1, &set, 0x40));
	SHOW(signalfd(0, &set, 0));
	SHOW(signalfd(999, &set, 0));
	SHOW(syscall(SYS_signalfd4, -1, &set, 4, 0));
	int f = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	SHOW(fcntl(f, F_GETFL));
	SHOW(read(f, s, 100));
	SHOW(read(f, s, sizeof s));
	SHOW(events(f));
	SHOW(write(f, s, 8));
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	union sigval v = {.sival_int = 42};
	sigqueue(getpid(), SIGRTMIN, v);
	v.sival_int = 43;
	sigqueue(getpid(), SIGRTMIN, v);
	SHOW(events(f));
	long n = SHOW(read(f, s, sizeof s));
	for (int i = 0; i < n / (long)sizeof *s; i++)
		show(s + i);
	SHOW(events(f));
	if (fork() == 0)
		_exit(7);
	fcntl(f, F_SETFL, 0);
	SHOW(read(f, s, sizeof *s));
	note("%d %d %d", s->ssi_signo, s->ssi_code, s->ssi_status);
	wait(0);
	raise(SIGUSR1);
	int ep = epoll_create1(0);
	struct epoll_event e = {EPOLLIN, {.u32 = 9}};
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, f, &e));
	SHOW(epoll_wait(ep, &e, 1, 0));
	SHOW(read(f, s, sizeof *s));
	show(s);
	SHOW(epoll_wait(ep, &e, 1, 0));
	if (fork() == 0) {
		// The child has none of its parent's signals.
		struct pollfd p = {f, POLLIN};
		sigqueue(getppid(), SIGRTMIN, v);
		SHOW(poll(&p, 1, 50));
		raise(SIGUSR1);
		SHOW(poll(&p, 1, 50));
		SHOW(read(f, s, sizeof *s));
		show(s);
		_exit(0);
	}
	int st;
	waitpid(-1, &st, 0);
	SHOW(epoll_wait(ep, &e, 1, 1000));
	SHOW(read(f, s, sizeof *s));
	note("%d", s->ssi_signo);
	SHOW(read(f, s, sizeof *s));
	note("%d", s->ssi_signo);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, 0);
	SHOW(signalfd(f, &set, 0) == f);
	pthread_t th;
	pthread_create(&th, 0, killer, 0);
	SHOW(read(f, s, sizeof *s));
	show(s);
	pthread_join(th, 0);
	pthread_create(&th, 0, killer, 0);
	SHOW(epoll_wait(ep, &e, 1, 5000));
	pthread_join(th, 0);
	SHOW(read(f, s, sizeof *s));
	close(f);
	close(ep);
}

int main(void)
{
	counters();
	timers();
	signals();
	SHOW(syscall(SYS_fanotify_init, 0, 0) < 0 || geteuid() == 0);
	return 0;
}
