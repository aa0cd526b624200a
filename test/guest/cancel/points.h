// The calls that wait, each with what makes it wait and what ends the wait.
// Shared by the programs here, which print what they see; natively and in a box
// the output must be the same.
#include "../signals/check.h"
#include <dirent.h>
#include <mqueue.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

struct point {
	const char *name;
	void (*prepare)(void); // what it waits for is not there
	long (*call)(void);
	void (*release)(void); // now it is; 0 if time is all it waits for
	void (*check)(void);   // what was not taken is still there
	int instant;           // does not wait at all
};

static int a, b, extra[512], extras; // descriptors of the case
static pid_t child;
static pthread_t waiter, third;
static volatile int ready; // the waiter is about to make the call
static volatile int waiter_tid;
static sem_t sem;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static volatile int go;
// How long it takes until time ends a call that nothing else ends: short where it is to.
static int span_ms = 300;
static struct timespec spanned(void) { return (struct timespec){span_ms / 1000, span_ms % 1000 * 1000000}; }
static struct timespec after(int clock, int ms) {
	struct timespec t;
	clock_gettime(clock, &t);
	t.tv_sec += ms / 1000, t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
	return t;
}
static struct timespec much_later(void) { return after(CLOCK_REALTIME, 60000); }

// state is the letter of /proc/PID/task/TID/stat, '?' when the thread is gone.
static char state(int pid, int tid) {
	char name[64], text[256], *p;
	snprintf(name, sizeof name, "/proc/%d/task/%d/stat", pid, tid);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return '?';
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return '?';
	text[n] = 0;
	p = strrchr(text, ')');
	return p ? p[2] : '?';
}

// pending reports whether a signal waits for the thread.
static int pending(int tid) {
	char name[64], text[4096], *p;
	snprintf(name, sizeof name, "/proc/self/task/%d/status", tid);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = 0;
	p = strstr(text, "SigPnd:");
	return p && strtoull(p + 7, 0, 16) != 0;
}

// settle waits until the waiter sleeps in its call with no signal left, or has
// returned from it.
static void settle(void) {
	char s;
	while (ready == 0)
		sched_yield();
	do
		nap(0.0002);
	while (ready == 1 && (((s = state(getpid(), waiter_tid)) != 'S' && s != '?') || pending(waiter_tid)));
}

static int descriptors(void) {
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int readable(int fd) {
	struct pollfd p = {fd, POLLIN};
	return poll(&p, 1, 0);
}

static void nothing(int sig) {}
static void none(void) {}
static void new_pipe(void) { int p[2]; pipe(p); a = p[0], b = p[1]; }
#ifndef NET
static void new_pair(void) { int p[2]; socketpair(AF_UNIX, SOCK_STREAM, 0, p); a = p[0], b = p[1]; }
#else
#include "net.h"
#endif
static void put(void) { write(b, "x", 1); }
static void has(void) { say(" left=%d", readable(a)); }
static char big[1 << 16];
static long filled, drained;
#ifndef NET
static int room_soon(int fd) { return 0; }
#endif
static void fill(int fd) {
	fcntl(fd, F_SETFL, O_NONBLOCK);
	long n;
	filled = 0;
	do
		while ((n = write(fd, big, sizeof big)) > 0)
			filled += n;
	while (room_soon(fd));
	fcntl(fd, F_SETFL, 0);
	drained = 0;
}
static void full_pipe(void) { new_pipe(); fill(b); }
static void full_pair(void) { new_pair(); fill(b); }
// Once, and no more than was there: what the waiter adds stays.
static void drain(void) {
	long n;
	for (drained = 0; drained < filled && (n = read(a, big, filled - drained < sizeof big ? filled - drained : sizeof big)) > 0;)
		drained += n;
}
static void nothing_added(void) {
	if (drained != filled)
		drain();
	say(" added=%d", readable(a));
}

#ifndef NET
static struct sockaddr_un at;
static socklen_t at_size;
static void listening(void) {
	static int serial;
	a = socket(AF_UNIX, SOCK_STREAM, 0);
	at.sun_family = AF_UNIX;
	at_size = sizeof(short) + 1 + snprintf(at.sun_path + 1, 90, "cancel-%d-%d", getpid(), serial++);
	bind(a, (void *)&at, at_size);
	listen(a, 0);
	b = socket(AF_UNIX, SOCK_STREAM, 0);
}
static void join_in(void) { connect(b, (void *)&at, at_size); }
static void full_backlog(void) {
	listening();
	for (;;) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		extra[extras++] = fd;
		if (connect(fd, (void *)&at, at_size) < 0)
			break;
	}
}
#endif
static void accept_one(void) { extra[extras++] = accept(a, 0, 0); }

static long do_read(void) { char c; return read(a, &c, 1); }
static long do_readv(void) { char c; struct iovec v = {&c, 1}; return readv(a, &v, 1); }
static long do_recv(void) { char c; return recv(a, &c, 1, 0); }
static long do_recvmsg(void) {
	char c;
	struct iovec v = {&c, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	return recvmsg(a, &m, 0);
}
static long do_write(void) { return write(b, "y", 1); }
static long do_writev(void) { struct iovec v = {"y", 1}; return writev(b, &v, 1); }
static long do_send(void) { return send(b, "y", 1, 0); }
static long do_sendmsg(void) {
	struct iovec v = {"y", 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	return sendmsg(b, &m, 0);
}
static long taken(long fd) { if (fd >= 0) extra[extras++] = fd; return fd < 0 ? fd : 0; }
static long do_accept(void) { return taken(accept(a, 0, 0)); }
static long do_accept4(void) { return taken(accept4(a, 0, 0, SOCK_CLOEXEC)); }
static long do_connect(void) { return connect(b, (void *)&at, at_size); }
static long do_poll(void) { struct pollfd p = {a, POLLIN}; return poll(&p, 1, -1); }
static long do_ppoll(void) { struct pollfd p = {a, POLLIN}; return ppoll(&p, 1, 0, 0); }
static long do_select(void) { fd_set f; FD_ZERO(&f); FD_SET(a, &f); return select(a + 1, &f, 0, 0, 0); }
static long do_pselect(void) { fd_set f; FD_ZERO(&f); FD_SET(a, &f); return pselect(a + 1, &f, 0, 0, 0, 0); }
static void new_epoll(void) {
	new_pipe();
	int e = extra[extras++] = epoll_create1(0);
	struct epoll_event v = {.events = EPOLLIN};
	epoll_ctl(e, EPOLL_CTL_ADD, a, &v);
}
static long do_epoll(void) { struct epoll_event v; return epoll_wait(extra[0], &v, 1, -1); }
#ifdef NET
static void new_epoll_pair(void) {
	new_pair();
	int e = extra[extras++] = epoll_create1(0);
	struct epoll_event v = {.events = EPOLLIN | EPOLLET};
	epoll_ctl(e, EPOLL_CTL_ADD, a, &v);
}
static long do_recvmmsg(void) {
	char c;
	struct iovec v = {&c, 1};
	struct mmsghdr m = {{.msg_iov = &v, .msg_iovlen = 1}};
	return recvmmsg(a, &m, 1, 0, 0);
}
#endif
static void usr1(void) { pthread_kill(waiter, SIGUSR1); }
static void usr2(void) { pthread_kill(waiter, SIGUSR2); }
static long do_pause(void) { return pause(); }
static long do_sigsuspend(void) { sigset_t s; sigemptyset(&s); return sigsuspend(&s); }
static long do_sigwaitinfo(void) { sigset_t s; sigemptyset(&s); sigaddset(&s, SIGUSR2); return sigwaitinfo(&s, 0); }
static long do_sigtimedwait(void) {
	struct timespec t = spanned();
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR2);
	return sigtimedwait(&s, 0, &t);
}
static long do_nanosleep(void) { struct timespec t = spanned(); return nanosleep(&t, 0); }
static long do_clock_nanosleep(void) { struct timespec t = spanned(); return clock_nanosleep(CLOCK_MONOTONIC, 0, &t, 0); }
static long do_clock_absolute(void) {
	struct timespec t = after(CLOCK_REALTIME, span_ms);
	return clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, 0);
}
static long do_usleep(void) { return usleep(span_ms * 1000); }
static long do_sleep(void) { return sleep(span_ms < 1000 ? 1 : span_ms / 1000); }
// A child that lives until something is put into the pipe.
static void new_child(void) {
	new_pipe();
	if ((child = fork()) == 0) {
		char c;
		close(b);
		read(a, &c, 1);
		_exit(7);
	}
}
static void no_child(void) { int s; put(); say(" child=%d", waitpid(child, &s, 0) == child && WEXITSTATUS(s) == 7); }
static long do_waitpid(void) { int s; return waitpid(child, &s, 0) == child ? WEXITSTATUS(s) : -1; }
static long do_waitid(void) { siginfo_t i; return waitid(P_PID, child, &i, WEXITED); }
static char name[64];
static void new_fifo(void) { snprintf(name, sizeof name, "cancel.fifo.%d", getpid()); mkfifo(name, 0600); }
static long do_open(void) { return taken(open(name, O_RDONLY)); }
static long do_open_write(void) { return taken(open(name, O_WRONLY)); }
static void open_other(void) { extra[extras++] = open(name, O_RDWR | O_NONBLOCK); }
static void unlink_it(void) { unlink(name); }
static struct flock whole = {.l_type = F_WRLCK};
// The child holds the lock until something is put into the pipe.
static void locked(void) {
	int p[2];
	char c;
	snprintf(name, sizeof name, "cancel.lock.%d", getpid());
	new_pipe();
	pipe(p);
	extra[extras++] = open(name, O_RDWR | O_CREAT, 0600);
	if ((child = fork()) == 0) {
		close(b);
		fcntl(extra[0], F_SETLK, &whole);
		write(p[1], "x", 1);
		read(a, &c, 1);
		_exit(7);
	}
	read(p[0], &c, 1);
	close(p[0]);
	close(p[1]);
}
static long do_lock(void) { return fcntl(extra[0], F_SETLKW, &whole); }
// Whether this process has the lock, another can tell.
static void not_locked(void) {
	int s;
	put();
	waitpid(child, &s, 0);
	if ((child = fork()) == 0) {
		struct flock l = whole;
		fcntl(extra[0], F_GETLK, &l);
		_exit(l.l_type != F_UNLCK);
	}
	waitpid(child, &s, 0);
	say(" held=%d", WEXITSTATUS(s));
	unlink(name);
}
static void new_sem(void) { sem_init(&sem, 0, 0); }
static long do_sem(void) { return sem_wait(&sem); }
static void post(void) { sem_post(&sem); }
static void sem_left(void) { int v; sem_getvalue(&sem, &v); say(" value=%d", v); }
// Saying it is a cancellation point: not with the mutex held.
static void unlock_it(void *x) {
	int held = pthread_mutex_trylock(&mutex) == EBUSY;
	pthread_mutex_unlock(&mutex);
	say(" held=%d", held);
}
static void no_news(void) { go = 0; }
static long do_cond(void) {
	long r = 0;
	pthread_mutex_lock(&mutex);
	pthread_cleanup_push(unlock_it, 0);
	while (!go && !r)
		r = pthread_cond_wait(&cond, &mutex);
	pthread_cleanup_pop(1);
	return r;
}
static long do_cond_timed(void) {
	struct timespec t = much_later();
	long r = 0;
	pthread_mutex_lock(&mutex);
	pthread_cleanup_push(unlock_it, 0);
	while (!go && !r)
		r = pthread_cond_timedwait(&cond, &mutex, &t);
	pthread_cleanup_pop(1);
	return r;
}
static long do_sem_timed(void) { struct timespec t = much_later(); return sem_timedwait(&sem, &t); }
static long do_sigwait(void) { sigset_t s; int sig; sigemptyset(&s); sigaddset(&s, SIGUSR2); return sigwait(&s, &sig); }
static long do_recvfrom(void) { char c; return recvfrom(a, &c, 1, 0, 0, 0); }
static long do_sendto(void) { return sendto(b, "y", 1, 0, 0, 0); }
static long do_openat(void) { return taken(openat(AT_FDCWD, name, O_RDONLY)); }
static long do_wait(void) { int s; return wait(&s) == child ? WEXITSTATUS(s) : -1; }
static long do_lockf(void) { return lockf(extra[0], F_LOCK, 0); }
// What does not wait, and is a cancellation point all the same.
static void new_file(void) {
	snprintf(name, sizeof name, "cancel.file.%d", getpid());
	a = open(name, O_RDWR | O_CREAT, 0600);
	write(a, "x", 1);
}
static void file_left(void) {
	struct stat s = {0};
	say(" open=%d size=%ld", fcntl(a, F_GETFD) != -1, stat(name, &s) ? -1 : (long)s.st_size);
	unlink_it();
}
static long do_close(void) { long r = close(a); return r; }
static long do_creat(void) { return taken(creat(name, 0600)); }
static long do_fsync(void) { return fsync(a); }
static long do_fdatasync(void) { return fdatasync(a); }
static long do_pread(void) { char c; return pread(a, &c, 1, 0); }
static long do_pwrite(void) { return pwrite(a, "yy", 2, 1); }
static long do_msync(void) {
	static char page[4096] __attribute__((aligned(4096)));
	return msync(page, sizeof page, MS_SYNC);
}
static int mail; // a queue of System V
static mqd_t mailbox;
static struct { long kind; char text[4096]; } letter = {1};
static void new_mail(void) { mail = msgget(IPC_PRIVATE, 0600); }
static void full_mail(void) { new_mail(); while (msgsnd(mail, &letter, sizeof letter.text, IPC_NOWAIT) == 0); }
static void bring(void) { msgsnd(mail, &letter, 1, IPC_NOWAIT); }
static void take_away(void) { msgrcv(mail, &letter, sizeof letter.text, 0, IPC_NOWAIT); }
static void no_mail(void) {
	struct msqid_ds d;
	if (msgctl(mail, IPC_STAT, &d) == 0)
		say(" left=%ld", (long)d.msg_qnum);
	msgctl(mail, IPC_RMID, 0);
}
static long do_msgrcv(void) { return msgrcv(mail, &letter, sizeof letter.text, 0, 0); }
static long do_msgsnd(void) { return msgsnd(mail, &letter, 1, 0); }
static void new_mailbox(void) {
	struct mq_attr x = {0, 2, 1};
	snprintf(name, sizeof name, "/cancel-%d", getpid());
	mailbox = extra[extras++] = mq_open(name, O_RDWR | O_CREAT, 0600, &x);
	mq_unlink(name);
}
static void mailbox_in(void) { mq_send(mailbox, "x", 1, 0); }
static void mailbox_out(void) { char c; mq_receive(mailbox, &c, 1, 0); }
static void full_mailbox(void) { new_mailbox(), mailbox_in(), mailbox_in(); }
static void mailbox_left(void) { struct mq_attr x; mq_getattr(mailbox, &x); say(" left=%ld", x.mq_curmsgs); }
static long do_mq_receive(void) { char c; return mq_receive(mailbox, &c, 1, 0); }
static long do_mq_send(void) { return mq_send(mailbox, "y", 1, 0); }
static long do_mq_timedreceive(void) { char c; struct timespec t = much_later(); return mq_timedreceive(mailbox, &c, 1, 0, &t); }
static long do_mq_timedsend(void) { struct timespec t = much_later(); return mq_timedsend(mailbox, "y", 1, 0, &t); }
static long do_testcancel(void) { pthread_testcancel(); return 0; }
static void tell(void) { pthread_mutex_lock(&mutex); go = 1; pthread_cond_signal(&cond); pthread_mutex_unlock(&mutex); }
static volatile int third_tid;
static void *third_body(void *x) { third_tid = gettid(); sem_wait(&sem); return 0; }
static void new_third(void) { new_sem(); third_tid = 0; pthread_create(&third, 0, third_body, 0); }
static int joined;
static long do_join(void) { long r = pthread_join(third, 0); joined = 1; return r; }
static void join_third(void) { post(); if (!joined) say(" join=%d", pthread_join(third, 0)); joined = 0; }
static long do_system(void) { return system(span_ms < 1000 ? "sleep 0.3" : "sleep 2"); } // its shell may outlive it
static void reap_all(void) { while (waitpid(-1, 0, 0) > 0); }

#ifdef NET
static struct point points[] = {
	{"read", new_pair, do_read, put, has},
	{"readv", new_pair, do_readv, put, has},
	{"recv", new_pair, do_recv, put, has},
	{"recvfrom", new_pair, do_recvfrom, put, has},
	{"recvmsg", new_pair, do_recvmsg, put, has},
	{"recvmmsg", new_pair, do_recvmmsg, put, has},
	{"recv a datagram", new_datagrams, do_recv, put, has},
	{"recvmsg a datagram", new_datagrams, do_recvmsg, put, has},
	{"write", full_pair, do_write, drain, nothing_added},
	{"writev", full_pair, do_writev, drain, nothing_added},
	{"send", full_pair, do_send, drain, nothing_added},
	{"sendto", full_pair, do_sendto, drain, nothing_added},
	{"sendmsg", full_pair, do_sendmsg, drain, nothing_added},
	{"accept", listening, do_accept, join_in, has},
	{"accept4", listening, do_accept4, join_in, has},
	{"connect", full_backlog, do_connect, accept_one, none},
	{"poll", new_pair, do_poll, put, has},
	{"poll a listener", listening, do_poll, join_in, has},
	{"ppoll", new_pair, do_ppoll, put, has},
	{"select", new_datagrams, do_select, put, has},
	{"pselect", new_pair, do_pselect, put, has},
	{"epoll_wait", new_epoll_pair, do_epoll, put, has},
};
#else
static struct point points[] = {
	{"read pipe", new_pipe, do_read, put, has},
	{"readv pipe", new_pipe, do_readv, put, has},
	{"read socket", new_pair, do_read, put, has},
	{"recv", new_pair, do_recv, put, has},
	{"recvmsg", new_pair, do_recvmsg, put, has},
	{"write pipe", full_pipe, do_write, drain, nothing_added},
	{"writev pipe", full_pipe, do_writev, drain, nothing_added},
	{"send", full_pair, do_send, drain, nothing_added},
	{"sendmsg", full_pair, do_sendmsg, drain, nothing_added},
	{"accept", listening, do_accept, join_in, has},
	{"accept4", listening, do_accept4, join_in, has},
	{"connect", full_backlog, do_connect, accept_one, none},
	{"poll", new_pipe, do_poll, put, has},
	{"ppoll", new_pipe, do_ppoll, put, has},
	{"select", new_pipe, do_select, put, has},
	{"pselect", new_pipe, do_pselect, put, has},
	{"epoll_wait", new_epoll, do_epoll, put, has},
	{"pause", none, do_pause, usr1, none},
	{"sigsuspend", none, do_sigsuspend, usr1, none},
	{"sigwaitinfo", none, do_sigwaitinfo, usr2, none},
	{"sigtimedwait", none, do_sigtimedwait, 0, none},
	{"nanosleep", none, do_nanosleep, 0, none},
	{"clock_nanosleep", none, do_clock_nanosleep, 0, none},
	{"clock_nanosleep absolute", none, do_clock_absolute, 0, none},
	{"usleep", none, do_usleep, 0, none},
	{"sleep", none, do_sleep, 0, none},
	{"waitpid", new_child, do_waitpid, put, no_child},
	{"waitid", new_child, do_waitid, put, no_child},
	{"open fifo to read", new_fifo, do_open, open_other, unlink_it},
	{"open fifo to write", new_fifo, do_open_write, open_other, unlink_it},
	{"fcntl lock", locked, do_lock, put, not_locked},
	{"sem_wait", new_sem, do_sem, post, sem_left},
	{"pthread_cond_wait", no_news, do_cond, tell, none},
	{"pthread_join", new_third, do_join, post, join_third},
	{"system", none, do_system, 0, reap_all},
	{"pthread_cond_timedwait", no_news, do_cond_timed, tell, none},
	{"sem_timedwait", new_sem, do_sem_timed, post, sem_left},
	{"sigwait", none, do_sigwait, usr2, none},
	{"recvfrom", new_pair, do_recvfrom, put, has},
	{"sendto", full_pair, do_sendto, drain, nothing_added},
	{"openat fifo", new_fifo, do_openat, open_other, unlink_it},
	{"wait", new_child, do_wait, put, no_child},
	{"lockf", locked, do_lockf, put, not_locked},
	{"msgrcv", new_mail, do_msgrcv, bring, no_mail},
	{"msgsnd", full_mail, do_msgsnd, take_away, no_mail},
	{"mq_receive", new_mailbox, do_mq_receive, mailbox_in, mailbox_left},
	{"mq_send", full_mailbox, do_mq_send, mailbox_out, mailbox_left},
	{"mq_timedreceive", new_mailbox, do_mq_timedreceive, mailbox_in, mailbox_left},
	{"mq_timedsend", full_mailbox, do_mq_timedsend, mailbox_out, mailbox_left},
	{"close", new_file, do_close, 0, file_left, 1},
	{"creat", new_file, do_creat, 0, file_left, 1},
	{"fsync", new_file, do_fsync, 0, file_left, 1},
	{"fdatasync", new_file, do_fdatasync, 0, file_left, 1},
	{"pread", new_file, do_pread, 0, file_left, 1},
	{"pwrite", new_file, do_pwrite, 0, file_left, 1},
	{"msync", none, do_msync, 0, none, 1},
	{"pthread_testcancel", none, do_testcancel, 0, none, 1},
};
#endif
#define POINTS (sizeof points / sizeof *points)

static void tidy(void) {
	if (a > 0) close(a);
	if (b > 0) close(b);
	while (extras > 0)
		if (extra[--extras] > 0)
			close(extra[extras]);
	a = b = 0;
}
