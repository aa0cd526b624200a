// Single operations, measured from inside: micro ROW DIR MS runs one row for
// about MS milliseconds, with files in DIR, and prints nanoseconds per operation.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char present[PATH_MAX], missing[PATH_MAX], created[PATH_MAX], *self;
static char buffer[65536];

static void die(const char *what) {
	fprintf(stderr, "micro: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long check(long r, const char *what) {
	if (r < 0)
		die(what);
	return r;
}

static void getppid_row(long n) {
	while (n--)
		syscall(SYS_getppid);
}

static void zero(long n) {
	static int fd = -1;
	if (fd < 0)
		fd = check(open("/dev/zero", O_RDONLY), "/dev/zero");
	while (n--)
		check(read(fd, buffer, 1), "read");
}

static void openclose(long n) {
	while (n--)
		close(check(open(present, O_RDONLY), present));
}

static void stat_row(long n) {
	struct stat st;
	while (n--)
		check(stat(present, &st), present);
}

static void stat_missing(long n) {
	struct stat st;
	while (n--)
		if (stat(missing, &st) == 0)
			die(missing);
}

// A byte there and back. The pipes are made once; the other side ends with us.
static int to[2], from[2];

static void *echo(void *unused) {
	char c;
	while (read(to[0], &c, 1) == 1)
		check(write(from[1], &c, 1), "write");
	return unused;
}

static void pingpong(long n) {
	char c = 0;
	while (n--) {
		check(write(to[1], &c, 1), "write");
		check(read(from[0], &c, 1), "read");
	}
}

static void pipes(void) {
	check(pipe(to), "pipe");
	check(pipe(from), "pipe");
}

static void pipe_threads(long n) {
	static pthread_t t;
	if (!t) {
		pipes();
		pthread_create(&t, NULL, echo, NULL);
	}
	pingpong(n);
}

static void pipe_processes(long n) {
	static int started;
	if (!started++) {
		pipes();
		if (check(fork(), "fork") == 0) {
			close(to[1]);
			echo(NULL);
			_exit(0);
		}
	}
	pingpong(n);
}

// tcp is pingpong over a connection of two processes.
static void tcp(long n) {
	static int fd;
	char c = 0;
	if (!fd) {
		struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		socklen_t size = sizeof at;
		int one = 1, l = check(socket(AF_INET, SOCK_STREAM, 0), "socket");
		check(bind(l, (void *)&at, size), "bind");
		check(listen(l, 1), "listen");
		check(getsockname(l, (void *)&at, &size), "getsockname");
		int child = check(fork(), "fork");
		if (child == 0) {
			fd = check(socket(AF_INET, SOCK_STREAM, 0), "socket");
			check(connect(fd, (void *)&at, size), "connect");
		} else {
			fd = check(accept(l, NULL, NULL), "accept");
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (child == 0) {
			while (recv(fd, &c, 1, 0) == 1)
				check(send(fd, &c, 1, 0), "send");
			_exit(0);
		}
	}
	while (n--) {
		check(send(fd, &c, 1, 0), "send");
		check(recv(fd, &c, 1, 0), "recv");
	}
}

static void fork_wait(long n) {
	while (n--) {
		int status;
		pid_t p = check(fork(), "fork");
		if (p == 0)
			_exit(0);
		check(waitpid(p, &status, 0), "waitpid");
	}
}

static void fork_exec(long n) {
	while (n--) {
		int status;
		pid_t p = check(fork(), "fork");
		if (p == 0) {
			execl(self, self, "nothing", NULL);
			_exit(127);
		}
		check(waitpid(p, &status, 0), "waitpid");
		if (status != 0)
			die("exec");
	}
}

static _Atomic int turn;

static void await(int mine) {
	int other = !mine;
	while (atomic_load(&turn) != mine)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, other, NULL);
}

static void hand(int other) {
	atomic_store(&turn, other);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1);
}

static void *answer(void *unused) {
	for (;;) {
		await(1);
		hand(0);
	}
	return unused;
}

static void futex_row(long n) {
	static pthread_t t;
	if (!t)
		pthread_create(&t, NULL, answer, NULL);
	while (n--) {
		hand(1);
		await(0);
	}
}

static void *nothing(void *unused) { return unused; }

static void thread_row(long n) {
	while (n--) {
		pthread_t t;
		if (pthread_create(&t, NULL, nothing, NULL) != 0)
			die("pthread_create");
		pthread_join(t, NULL);
	}
}

static void *map(size_t size) {
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void mmap_row(long n) {
	while (n--) {
		volatile char *p = map(65536);
		p[0] = 1;
		munmap((void *)p, 65536);
	}
}

static void fault(long n) {
	enum { pages = 4096 };
	static volatile char *area;
	if (!area) {
		area = map(pages * 4096);
		madvise((void *)area, pages * 4096, MADV_NOHUGEPAGE);
	}
	for (long i = 0; i < n; i++) {
		if (i % pages == 0)
			madvise((void *)area, pages * 4096, MADV_DONTNEED);
		area[i % pages * 4096] = 1;
	}
}

static volatile long handled;
static void handle(int sig) { handled++; }

static void signal_row(long n) {
	signal(SIGUSR1, handle);
	pid_t me = getpid();
	long before = handled;
	for (long i = 0; i < n; i++)
		kill(me, SIGUSR1);
	if (handled != before + n)
		die("signals were lost");
}

static sigjmp_buf back;
static void leave(int sig) { siglongjmp(back, 1); }

static void segv(long n) {
	static volatile char *area;
	if (!area) {
		struct sigaction a = {.sa_handler = leave, .sa_flags = SA_NODEFER};
		sigaction(SIGSEGV, &a, NULL);
		area = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	for (volatile long i = 0; i < n; i++)
		if (sigsetjmp(back, 0) == 0)
			area[0] = 1;
}

static void sleep_row(long n) {
	struct timespec ts = {0, 1};
	while (n--)
		nanosleep(&ts, NULL);
}

static void create(long n) {
	while (n--) {
		close(check(open(created, O_CREAT | O_EXCL | O_WRONLY, 0644), created));
		check(unlink(created), "unlink");
	}
}

static void write4k(long n) {
	static int fd = -1;
	if (fd < 0) {
		fd = check(open(created, O_CREAT | O_RDWR, 0644), created);
		unlink(created);
	}
	while (n--)
		check(pwrite(fd, buffer, 4096, 0), "pwrite");
}

static void read64k(long n) {
	static int fd = -1;
	if (fd < 0)
		fd = check(open(present, O_RDONLY), present);
	while (n--)
		if (pread(fd, buffer, sizeof buffer, 0) != sizeof buffer)
			die("pread");
}

static const struct {
	const char *name;
	void (*run)(long n);
} rows[] = {
	{"getppid", getppid_row}, {"zero", zero}, {"open", openclose}, {"stat", stat_row},
	{"missing", stat_missing}, {"pipe-threads", pipe_threads}, {"pipe-processes", pipe_processes}, {"tcp", tcp},
	{"fork", fork_wait}, {"exec", fork_exec}, {"futex", futex_row}, {"thread", thread_row},
	{"mmap", mmap_row}, {"fault", fault}, {"signal", signal_row}, {"segv", segv},
	{"nanosleep", sleep_row}, {"create", create}, {"pwrite", write4k}, {"pread", read64k},
};

static double seconds(void) {
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

// measure runs more and more operations until they take long enough. What came
// before has warmed everything up.
static double measure(void (*run)(long), double enough) {
	for (long n = 1;;) {
		double start = seconds();
		run(n);
		double took = seconds() - start;
		if (took >= enough)
			return took / n * 1e9;
		double times = took > 0 ? enough / took * 1.2 : 100;
		n = n * (times > 100 ? 100 : times) + 1;
	}
}

int main(int argc, char **argv) {
	if (argc == 2 && strcmp(argv[1], "nothing") == 0)
		return 0;
	if (argc == 2 && strcmp(argv[1], "wait") == 0) { // for looking at it from outside
		puts("here");
		fflush(stdout);
		return read(0, buffer, 1) < 0;
	}
	if (argc != 4) {
		fprintf(stderr, "usage: micro ROW DIR MS\n");
		return 2;
	}
	self = argv[0];
	snprintf(present, sizeof present, "%s/present", argv[2]);
	snprintf(missing, sizeof missing, "%s/missing", argv[2]);
	snprintf(created, sizeof created, "%s/created", argv[2]);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (strcmp(argv[1], rows[i].name) == 0) {
			printf("%.1f\n", measure(rows[i].run, atof(argv[3]) / 1e3));
			fflush(stdout);
			_exit(0); // threads of some rows wait for ever
		}
	fprintf(stderr, "micro: no row %s\n", argv[1]);
	return 2;
}
