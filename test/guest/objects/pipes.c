// Pipes through which so much goes that a box lets the processes use a pipe of the
// host by themselves, and everything that such a pipe can go through. Each line must
// be the same natively.
#include "check.h"
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { WARM = 64 };

// warm moves bytes through a pipe until the process surely does that by itself.
static void warm(int r, int w)
{
	char c = 'w';
	for (int i = 0; i < WARM; i++) {
		write(w, &c, 1);
		read(r, &c, 1);
	}
}

static void made(int p[2])
{
	if (pipe(p)) exit(9);
	warm(p[0], p[1]);
}

static volatile sig_atomic_t got;
static void handler(int s) { got = s; }

static void quietly(int sig, int flags)
{
	struct sigaction a = {.sa_handler = handler, .sa_flags = flags};
	sigaction(sig, &a, 0);
}

static void basics(void)
{
	int p[2];
	char b[70000];
	made(p);
	SHOW(write(p[1], "hello", 5));
	int n = 0;
	SHOW(ioctl(p[0], FIONREAD, &n));
	note("%d bytes", n);
	SHOW(read(p[0], b, 3));
	SHOW(read(p[0], b, 9));
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	SHOW(read(p[0], b, 9));
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	SHOW(write(p[1], b, sizeof b));
	SHOW(write(p[1], b, 5000));
	SHOW(write(p[1], b, 1));
	SHOW(read(p[0], b, 5000));
	SHOW(write(p[1], b, 4096));
	SHOW(write(p[1], b, 5000));
	while (read(p[0], b, sizeof b) > 0) {}
	SHOW(fcntl(p[0], F_GETPIPE_SZ));
	SHOW(fcntl(p[1], F_SETPIPE_SZ, 8192));
	SHOW(write(p[1], b, sizeof b));
	SHOW(fcntl(p[1], F_SETPIPE_SZ, 4096));
	SHOW(fcntl(p[1], F_SETPIPE_SZ, 65536));
	SHOW(write(p[1], b, 100));
	SHOW(read(p[0], b, sizeof b));
	struct iovec v[2] = {{"ab", 2}, {"cde", 3}};
	SHOW(writev(p[1], v, 2));
	SHOW(read(p[0], b, 9));
	SHOW(lseek(p[0], 0, SEEK_CUR));
	SHOW(pread(p[0], b, 1, 0));
	SHOW(write(p[0], b, 1));
	SHOW(read(p[1], b, 1));
	SHOW(read(p[0], (void *)8, 1));
	SHOW(write(p[1], "x", 1));
	SHOW(read(p[0], (void *)8, 1));
	SHOW(write(p[1], (void *)8, 1));
	struct stat st;
	fstat(p[0], &st);
	note("mode %o size %ld", st.st_mode, (long)st.st_size);
	quietly(SIGPIPE, 0);
	close(p[0]);
	got = 0;
	SHOW(write(p[1], b, 1));
	note("signal %d", got);
	close(p[1]);
}

static void ends(void)
{
	int p[2];
	char b[100];
	// The end of the file is there once the writer has been waited for.
	for (int how = 0; how < 4; how++) {
		made(p);
		pid_t pid = fork();
		if (pid == 0) {
			close(p[0]);
			for (int i = 0; i < WARM; i++) write(p[1], "0123456789", 1);
			if (how == 1) close(p[1]);
			if (how == 2) raise(SIGKILL);
			if (how == 3) execl("/bin/true", "true", NULL);
			_exit(0);
		}
		close(p[1]);
		int status;
		waitpid(pid, &status, 0);
		fcntl(p[0], F_SETFL, O_NONBLOCK);
		int total = 0, n;
		while ((n = read(p[0], b, sizeof b)) > 0) total += n;
		struct pollfd q = {p[0], POLLIN};
		int ready = poll(&q, 1, 0);
		note("way %d: %d bytes, then %d, poll %d %x", how, total, n, ready, q.revents);
		close(p[0]);
	}
	// Nobody else keeps the writing end: neither a child that closed it nor one that
	// was there before.
	made(p);
	int sync[2];
	pipe(sync);
	pid_t pid = fork();
	if (pid == 0) {
		close(p[1]);
		write(sync[1], "x", 1);
		pause();
	}
	read(sync[0], b, 1);
	for (int i = 0; i < WARM; i++) write(p[1], "y", 1);
	close(p[1]);
	int n, total = 0;
	while ((n = read(p[0], b, sizeof b)) > 0) total += n;
	note("%d bytes to the end", total);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(p[0]);
	// dup2 over the writing end closes it.
	made(p);
	dup2(sync[1], p[1]);
	SHOW(read(p[0], b, 1));
	close(p[0]);
	close(p[1]);
}

static int inRead;
static volatile pid_t reading;
static void *reads(void *p)
{
	char b[10];
	about(&reading);
	return (void *)read(inRead, b, sizeof b);
}

static int unshared[2];
static pthread_barrier_t apart;
static void *staysAlone(void *p)
{
	unshare(CLONE_FILES);
	close(unshared[0]);
	close(unshared[1]);
	pthread_barrier_wait(&apart);
	for (;;) pause();
}

// Descriptors that end while something goes on with them, or without them.
static void leaving(void)
{
	int p[2];
	pthread_t t;
	// A read goes on though its descriptor was closed.
	made(p);
	inRead = p[0];
	pthread_create(&t, NULL, reads, NULL);
	asleep(&reading);
	close(p[0]);
	struct iovec v = {"on", 2};
	quietly(SIGPIPE, 0);
	SHOW(writev(p[1], &v, 1));
	void *n;
	pthread_join(t, &n);
	note("read %ld by who began before the close", (long)n);
	got = 0;
	SHOW(writev(p[1], &v, 1));
	note("signal %d", got);
	close(p[1]);
	// A table of descriptors ends while its process goes on with another one.
	made(unshared);
	int warmed[2];
	char c;
	pipe(warmed);
	pid_t pid = fork();
	if (pid == 0) {
		pthread_barrier_init(&apart, NULL, 2);
		warm(unshared[0], unshared[1]);
		write(warmed[1], "x", 1); // poll must not see those bytes
		pthread_create(&t, NULL, staysAlone, NULL);
		pthread_barrier_wait(&apart);
		syscall(SYS_exit, 0);
	}
	read(warmed[0], &c, 1);
	close(warmed[0]);
	close(warmed[1]);
	close(unshared[1]);
	struct pollfd q = {unshared[0], POLLIN};
	int ready = poll(&q, 1, 5000);
	note("table gone: %d %x", ready, q.revents);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(unshared[0]);
}

static void odd(void)
{
	int p[2], q[2];
	char b[100] = {0};
	made(p);
	made(q);
	SHOW(write(p[1], "spliced", 7));
	SHOW(tee(p[0], q[1], 4, 0));
	SHOW(splice(p[0], NULL, q[1], NULL, 100, 0));
	SHOW(read(q[0], b, sizeof b));
	note("%s", b);
	warm(p[0], p[1]);
	warm(q[0], q[1]);
	struct iovec v = {"vm", 2};
	SHOW(vmsplice(p[1], &v, 1, 0));
	SHOW(read(p[0], b, 9));
	close(p[0]); close(p[1]); close(q[0]); close(q[1]);
	made(p);
	SHOW(fcntl(p[1], F_SETFL, O_DIRECT));
	write(p[1], "one", 3);
	write(p[1], "three", 5);
	SHOW(read(p[0], b, 9));
	SHOW(read(p[0], b, 2));
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	SHOW(read(p[0], b, 9));
	close(p[0]); close(p[1]);
	pipe2(p, O_DIRECT);
	warm(p[0], p[1]);
	write(p[1], "one", 3);
	write(p[1], "three", 5);
	SHOW(read(p[0], b, 9));
	SHOW(read(p[0], b, 9));
	close(p[0]); close(p[1]);
	// A splice while another process reads by itself.
	made(p);
	pipe(q);
	pid_t pid = fork();
	if (pid == 0) {
		int n, total = 0;
		close(p[1]);
		while ((n = read(p[0], b, 1)) > 0) total += n;
		_exit(total >= WARM && total <= 2 * WARM ? 0 : total);
	}
	for (int i = 0; i < WARM; i++) write(p[1], "a", 1);
	while (ioctl(p[0], FIONREAD, b) == 0 && *(int *)b > 0) sched_yield();
	write(q[1], "0123456789", 10);
	SHOW(splice(q[0], NULL, p[1], NULL, 10, 0));
	close(p[1]);
	close(p[0]);
	int status;
	waitpid(pid, &status, 0);
	note("child %x", status);
	close(q[0]); close(q[1]);
}

// Numbers go from one process to another while timers interrupt both.
static void exact(void)
{
	enum { N = 20000 };
	for (int flags = 0; flags < 2; flags++) {
		int p[2];
		pipe(p);
		pid_t pid = fork();
		struct itimerval it = {{0, 700}, {0, 700}};
		quietly(SIGALRM, flags ? SA_RESTART : 0);
		if (pid == 0) {
			close(p[0]);
			setitimer(ITIMER_REAL, &it, 0);
			// In pieces of all sizes, some larger than what is atomic.
			static uint32_t v[10000];
			uint32_t next = 0;
			for (int round = 1; next < N; round++) {
				int n = round * 37 % 9000 + 1;
				if (n > N - next) n = N - next;
				for (int i = 0; i < n; i++) v[i] = next + i;
				for (size_t at = 0; at < n * 4u;) {
					ssize_t m = write(p[1], (char *)v + at, n * 4u - at);
					if (m < 0 && errno != EINTR) _exit(3);
					if (m > 0) at += m;
				}
				next += n;
			}
			_exit(0);
		}
		close(p[1]);
		setitimer(ITIMER_REAL, &it, 0);
		uint32_t want = 0, v;
		size_t have = 0;
		for (;;) {
			ssize_t n = read(p[0], (char *)&v + have, 4 - have);
			if (n < 0 && errno == EINTR) continue;
			if (n <= 0) break;
			have += n;
			if (have < 4) continue;
			have = 0;
			if (v != want) { note("got %u, want %u", v, want); break; }
			want++;
		}
		struct itimerval off = {{0, 0}, {0, 0}};
		setitimer(ITIMER_REAL, &off, 0);
		int status;
		while (waitpid(pid, &status, 0) < 0) {}
		note("%u numbers, child %x", want, status);
		close(p[0]);
	}
}

// A signal ends no read or write that need not wait, whenever it comes.
static void undisturbed(void)
{
	int p[2], broken = 0;
	char c;
	made(p);
	quietly(SIGALRM, 0);
	struct itimerval it = {{0, 150}, {0, 150}}, off = {{0, 0}, {0, 0}};
	setitimer(ITIMER_REAL, &it, NULL);
	for (int i = 0; i < 50000; i++) {
		while (write(p[1], "x", 1) != 1) broken++;
		while (read(p[0], &c, 1) != 1) broken++;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	note("%d broken off", broken);
	close(p[0]);
	close(p[1]);
}

static void waiting(void)
{
	int p[2];
	char b[10];
	made(p);
	quietly(SIGALRM, 0);
	got = 0;
	ualarm(20000, 20000); // the first may come before the read begins
	SHOW(read(p[0], b, 1));
	ualarm(0, 0);
	note("signal %d", got);
	quietly(SIGALRM, SA_RESTART);
	pid_t pid = fork();
	if (pid == 0) {
		usleep(50000);
		write(p[1], "late", 4);
		_exit(0);
	}
	ualarm(20000, 0);
	SHOW(read(p[0], b, 10));
	waitpid(pid, NULL, 0);
	// Stopped and continued while it waits.
	int warmed[2];
	pipe(warmed);
	pid = fork();
	if (pid == 0) {
		char c;
		warm(p[0], p[1]);
		write(warmed[1], "x", 1);
		write(p[1], "r", 1);
		while (read(p[0], &c, 1) == 1 && c != 'g') {
			if (c == 'r') { write(p[1], "r", 1); sched_yield(); }
		}
		_exit(c == 'g' ? 0 : 1);
	}
	read(warmed[0], b, 1);
	close(warmed[0]);
	close(warmed[1]);
	usleep(20000);
	kill(pid, SIGSTOP);
	int status;
	waitpid(pid, &status, WUNTRACED);
	note("stopped %x", status);
	kill(pid, SIGCONT);
	write(p[1], "g", 1);
	waitpid(pid, &status, 0);
	note("ended %x", status);
	// epoll sees what comes, edge by edge.
	while (fcntl(p[0], F_SETFL, O_NONBLOCK), read(p[0], b, 10) > 0) {}
	int e = epoll_create1(0);
	struct epoll_event ev = {EPOLLIN | EPOLLET};
	epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev);
	SHOW(epoll_wait(e, &ev, 1, 0));
	write(p[1], "1", 1);
	SHOW(epoll_wait(e, &ev, 1, 1000));
	SHOW(epoll_wait(e, &ev, 1, 0));
	write(p[1], "2", 1);
	SHOW(epoll_wait(e, &ev, 1, 1000));
	SHOW(read(p[0], b, 10));
	SHOW(epoll_wait(e, &ev, 1, 0));
	close(p[1]);
	SHOW(epoll_wait(e, &ev, 1, 1000));
	note("%x", ev.events);
	close(p[0]);
	close(e);
	// It sees at once what the process itself has done, and nothing that is no news.
	made(p);
	e = epoll_create1(0);
	ev.events = EPOLLIN;
	epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev);
	int seen = 0;
	for (int i = 0; i < 1000; i++) {
		write(p[1], "x", 1);
		seen += epoll_wait(e, &ev, 1, 0);
		read(p[0], b, 1);
		seen += epoll_wait(e, &ev, 1, 0);
	}
	note("seen %d", seen);
	ev.events = EPOLLOUT | EPOLLET;
	epoll_ctl(e, EPOLL_CTL_ADD, p[1], &ev);
	SHOW(epoll_wait(e, &ev, 1, 0));
	usleep(5000);
	SHOW(epoll_wait(e, &ev, 1, 0));
	struct pollfd q = {p[0], POLLIN};
	SHOW(poll(&q, 1, 5));
	SHOW(epoll_wait(e, &ev, 1, 0));
	quietly(SIGIO, SA_RESTART);
	got = 0;
	fcntl(p[0], F_SETOWN, getpid());
	fcntl(p[0], F_SETFL, O_ASYNC);
	usleep(5000);
	note("signal %d", got);
	fcntl(p[0], F_SETFL, 0);
	close(p[0]);
	close(p[1]);
	close(e);
}

static void fifo(void)
{
	char b[10];
	SHOW(mkfifo("fifo", 0600));
	int rw = open("fifo", O_RDWR);
	warm(rw, rw);
	int r = open("fifo", O_RDONLY | O_NONBLOCK), w = open("fifo", O_WRONLY);
	warm(r, w);
	write(w, "fifo", 4);
	close(rw);
	SHOW(read(r, b, 10));
	SHOW(read(r, b, 10));
	close(w);
	SHOW(read(r, b, 10));
	struct pollfd q = {r, POLLIN};
	SHOW(poll(&q, 1, 0));
	note("%x", q.revents);
	w = open("fifo", O_WRONLY);
	SHOW(read(r, b, 10));
	write(w, "again", 5);
	close(r);
	quietly(SIGPIPE, 0);
	SHOW(write(w, "x", 1));
	r = open("fifo", O_RDONLY | O_NONBLOCK);
	SHOW(read(r, b, 10));
	warm(r, w);
	close(r);
	close(w);
	char path[64];
	int p[2];
	made(p);
	snprintf(path, sizeof path, "/proc/self/fd/%d", p[1]);
	w = open(path, O_WRONLY);
	warm(p[0], w);
	close(p[1]);
	SHOW(write(w, "other", 5));
	SHOW(read(p[0], b, 10));
	close(w);
	SHOW(read(p[0], b, 10));
	close(p[0]);
	unlink("fifo");
}

int main(int argc, char **argv)
{
	char *dir = enter(argc > 1 ? argv[1] : NULL);
	basics();
	ends();
	leaving();
	odd();
	exact();
	undisturbed();
	waiting();
	fifo();
	rmdir(dir);
	return 0;
}
