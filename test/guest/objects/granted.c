// Reads and writes of a file that go on for so long that a box lets the process do
// them by itself, mixed with everything that such a file's offset, flags and number
// can go through. Each line must be the same natively.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sys/mman.h>

enum { RECORDS = 4000, WARM = 64 };

static char dir[4000];
static int make(const char *name, int flags)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, flags, 0644);
	if (fd < 0) { printf("open %s: %s\n", name, strerror(errno)); exit(1); }
	return fd;
}

static void fill(const char *name)
{
	int fd = make(name, O_RDWR | O_CREAT | O_TRUNC);
	for (uint32_t i = 0; i < RECORDS; i++)
		if (write(fd, &i, 4) != 4) exit(2);
	close(fd);
}

// warm moves bytes through fd until the process surely does that by itself.
static void warm(int fd)
{
	char b[4];
	for (int i = 0; i < WARM; i++) pread(fd, b, 4, 0);
	off_t at = lseek(fd, 0, SEEK_CUR);
	for (int i = 0; i < WARM; i++) read(fd, b, 4);
	lseek(fd, at, SEEK_SET);
}

static uint32_t next(int fd)
{
	uint32_t v = ~0u;
	return read(fd, &v, 4) == 4 ? v : ~0u;
}

// Everybody takes records from one offset: each must be got once.
static unsigned char *seen;
static int shared;

static unsigned char *mmap_shared(void)
{
	return mmap(NULL, RECORDS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void take(int others)
{
	uint32_t v;
	int n = 0;
	while (read(shared, &v, 4) == 4) {
		__atomic_add_fetch(&seen[v], 1, __ATOMIC_RELAXED);
		if (others && ++n % 100 == 0) {
			// What asks the server, and moves the offset there.
			off_t at = lseek(shared, 0, SEEK_CUR);
			if (at % 4) printf("odd offset %ld\n", (long)at);
			int p[2];
			pipe(p);
			if (sendfile(p[1], shared, NULL, 4) == 4 && read(p[0], &v, 4) == 4)
				__atomic_add_fetch(&seen[v], 1, __ATOMIC_RELAXED);
			close(p[0]);
			close(p[1]);
		}
	}
}

static void *taker(void *others) { take(others != NULL); return NULL; }

static void exactlyOnce(const char *what)
{
	int bad = 0;
	for (int i = 0; i < RECORDS; i++) bad += seen[i] != 1;
	if (what) // Linux itself does not order sendfile with reads
		printf("%s: %d records wrong\n", what, bad);
	memset(seen, 0, RECORDS);
}

static void offsets(void)
{
	fill("records");
	int fd = make("records", O_RDWR);
	warm(fd);
	printf("first %u\n", next(fd));
	lseek(fd, 400, SEEK_SET);
	int two = dup(fd), again = make("records", O_RDONLY);
	printf("dup %u %u %u, opened again %u\n", next(two), next(fd), next(two), next(again));
	warm(two);
	if (fork() == 0) {
		printf("child %u", next(fd));
		warm(fd);
		printf(" %u\n", next(two));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	printf("parent %u, at %ld, end %ld\n", next(fd), (long)lseek(fd, 0, SEEK_CUR), (long)lseek(fd, 0, SEEK_END));
	printf("at the end %u\n", next(fd));
	printf("lseek -1: %ld %s\n", (long)lseek(fd, -1, SEEK_SET), strerror(errno));
	printf("hole at %ld, data at %ld\n", (long)lseek(fd, 0, SEEK_HOLE), (long)lseek(fd, 8, SEEK_DATA));
	lseek(fd, 40, SEEK_SET);
	uint32_t v[4] = {0};
	struct iovec io[2] = {{v, 8}, {v + 2, 8}};
	printf("readv %zd %u %u", readv(fd, io, 2), v[0], v[3]);
	printf(" preadv %zd %u %u", preadv(fd, io, 2, 80), v[0], v[3]);
	printf(" at %ld\n", (long)lseek(fd, 0, SEEK_CUR));
	printf("preadv2 %zd %u at %ld\n", preadv2(fd, io, 2, -1, 0), v[0], (long)lseek(fd, 0, SEEK_CUR));
	printf("bad memory %zd", read(fd, (void *)8, 4));
	printf(" %s\n", strerror(errno));
	printf("pread at -1: %zd", pread(fd, v, 4, -1));
	printf(" %s\n", strerror(errno));
	char path[64], line[256];
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	FILE *f = fopen(path, "r");
	if (fgets(line, sizeof line, f)) printf("%s", line);
	fclose(f);

	// So do FIONREAD and locks.
	lseek(fd, 400, SEEK_SET);
	warm(fd);
	int left = 0;
	ioctl(fd, FIONREAD, &left);
	struct flock lock = {F_WRLCK, SEEK_CUR, 0, 10};
	fcntl(fd, F_SETLK, &lock);
	if (fork() == 0) {
		struct flock other = {F_WRLCK, SEEK_SET, 0, 0};
		fcntl(fd, F_GETLK, &other);
		printf("%d left, locked from %ld\n", left, (long)other.l_start);
		_exit(0);
	}
	wait(NULL);

	// copy_file_range and sendfile begin and end at the offset.
	int out = make("out", O_RDWR | O_CREAT | O_TRUNC);
	for (int i = 0; i < WARM; i++) write(out, "abcd", 4);
	lseek(fd, 100, SEEK_SET);
	printf("sendfile %zd", sendfile(out, fd, NULL, 400));
	printf(" at %ld %ld", (long)lseek(fd, 0, SEEK_CUR), (long)lseek(out, 0, SEEK_CUR));
	warm(fd);
	printf(" copy_file_range %zd", copy_file_range(fd, NULL, out, NULL, 200, 0));
	printf(" at %ld %ld\n", (long)lseek(fd, 0, SEEK_CUR), (long)lseek(out, 0, SEEK_CUR));
	warm(fd);
	struct stat st;
	fstat(out, &st);
	printf("size %ld\n", (long)st.st_size);

	// Close and the same number again.
	int number = fd;
	close(fd);
	close(two);
	printf("closed: %zd", read(number, v, 4));
	printf(" %s\n", strerror(errno));
	fd = make("out", O_RDONLY);
	if (fd != number) printf("another number\n");
	printf("the other file: %x, write %zd", next(fd), write(fd, "x", 1));
	printf(" %s\n", strerror(errno));
	warm(fd);
	dup2(again, fd);
	printf("dup2 over it: %u\n", next(fd));
	warm(fd);
	syscall(SYS_close_range, fd, fd, 0);
	printf("close_range: %zd", read(fd, v, 4));
	printf(" %s\n", strerror(errno));
	close(again);
	close(out);
}

static void appending(void)
{
	int fd = make("log", O_RDWR | O_CREAT | O_TRUNC | O_APPEND);
	pid_t child[3];
	for (int c = 0; c < 3; c++)
		if ((child[c] = fork()) == 0) {
			int mine = c ? fd : make("log", O_WRONLY | O_APPEND);
			for (int i = 0; i < 300; i++) {
				char line[16];
				write(mine, line, sprintf(line, "%d %03d\n", c, i));
			}
			_exit(0);
		}
	for (int c = 0; c < 3; c++) waitpid(child[c], NULL, 0);
	struct stat st;
	fstat(fd, &st);
	printf("appended %ld\n", (long)st.st_size);
	// Turned off and on while the process writes by itself.
	for (int i = 0; i < WARM; i++) write(fd, "0123456\n", 8);
	fcntl(fd, F_SETFL, 0);
	lseek(fd, 0, SEEK_SET);
	write(fd, "in front", 8);
	printf("at %ld", (long)lseek(fd, 0, SEEK_CUR));
	fcntl(fd, F_SETFL, O_APPEND);
	write(fd, "behind\n", 7);
	fstat(fd, &st);
	printf(" %ld of %ld\n", (long)lseek(fd, 0, SEEK_CUR), (long)st.st_size);
	lseek(fd, 0, SEEK_SET);
	struct iovec io = {"rwf\n", 4};
	printf("pwritev2 append %zd", pwritev2(fd, &io, 1, -1, RWF_APPEND));
	printf(" at %ld\n", (long)lseek(fd, 0, SEEK_CUR));
	for (int i = 0; i < WARM; i++) write(fd, "x", 1);
	ftruncate(fd, 100);
	write(fd, "after the cut\n", 14);
	fstat(fd, &st);
	printf("size %ld\n", (long)st.st_size);
	close(fd);
	unlink("log");
}

static void threads(void)
{
	fill("shared");
	for (int round = 0; round < 4; round++) {
		shared = make("shared", O_RDWR);
		pthread_t t[4];
		for (long i = 0; i < 4; i++) pthread_create(&t[i], NULL, taker, (void *)(round & 1 && i == 0 ? 1L : 0L));
		for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
		close(shared);
		exactlyOnce(round & 1 ? NULL : "threads");
	}
	for (int round = 0; round < 4; round++) {
		shared = make("shared", O_RDWR);
		warm(shared);
		for (int i = 0; i < 4; i++)
			if (fork() == 0) {
				take(round & 1 && i == 0);
				_exit(0);
			}
		for (int i = 0; i < 4; i++) wait(NULL);
		close(shared);
		exactlyOnce(round & 1 ? NULL : "processes");
	}
}

static void watched(void)
{
	fill("watched");
	int fd = make("watched", O_RDWR);
	warm(fd);
	for (int i = 0; i < WARM; i++) pwrite(fd, "abcd", 4, 0);
	int in = inotify_init1(IN_NONBLOCK);
	char path[4096];
	snprintf(path, sizeof path, "%s/watched", dir);
	inotify_add_watch(in, path, IN_MODIFY | IN_ACCESS);
	for (int i = 0; i < 3; i++) {
		if (i) warm(fd);
		char events[65536];
		while (read(in, events, sizeof events) > 0) {}
		char c = 'x';
		pwrite(fd, &c, 1, i);
		pread(fd, &c, 1, i);
		ssize_t n = read(in, events, sizeof events);
		int modified = 0, accessed = 0;
		for (ssize_t at = 0; at < n; at += sizeof(struct inotify_event) + ((struct inotify_event *)(events + at))->len) {
			modified += !!(((struct inotify_event *)(events + at))->mask & IN_MODIFY);
			accessed += !!(((struct inotify_event *)(events + at))->mask & IN_ACCESS);
		}
		printf("watched: %d %d\n", modified, accessed);
	}
	close(in);
	warm(fd);
	close(fd);
}

static volatile sig_atomic_t got;
static void handler(int sig) { got = sig; }

static void limited(void)
{
	signal(SIGXFSZ, handler);
	int fd = make("limited", O_RDWR | O_CREAT | O_TRUNC);
	for (int i = 0; i < WARM; i++) write(fd, "0123456789", 10);
	struct rlimit l = {1000, RLIM_INFINITY};
	setrlimit(RLIMIT_FSIZE, &l);
	ssize_t n, total = 0;
	while ((n = write(fd, "0123456789", 7)) > 0) total += n;
	printf("limited after %zd: %s, signal %d\n", total, strerror(errno), got);
	l.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &l);
	for (int i = 0; i < WARM; i++) write(fd, "0123456789", 10);
	printf("at %ld\n", (long)lseek(fd, 0, SEEK_CUR));
	close(fd);
}

// A limit counts at once, also while the process is about to write by itself.
static int raced;
static volatile int over;
static void *touches(void *p)
{
	while (!over) pwrite(raced, "x", 1, 0);
	return NULL;
}

static void limitedRace(void)
{
	struct rlimit l = {RLIM_INFINITY, RLIM_INFINITY};
	int beyond = 0;
	pthread_t t;
	raced = make("raced", O_RDWR | O_CREAT | O_TRUNC);
	pthread_create(&t, NULL, touches, NULL);
	for (int i = 0; i < 2000; i++) {
		l.rlim_cur = 1000;
		setrlimit(RLIMIT_FSIZE, &l);
		beyond += pwrite(raced, "x", 1, 5000) >= 0;
		l.rlim_cur = RLIM_INFINITY;
		setrlimit(RLIMIT_FSIZE, &l);
	}
	over = 1;
	pthread_join(t, NULL);
	printf("%d writes beyond a limit\n", beyond);
	close(raced);
	unlink("raced");
}

static void access_modes(void)
{
	fill("modes");
	int fd = make("modes", O_RDONLY);
	warm(fd);
	printf("write: %zd", write(fd, "x", 1));
	printf(" %s\n", strerror(errno));
	close(fd);
	fd = make("modes", O_WRONLY);
	for (int i = 0; i < WARM; i++) pwrite(fd, "x", 1, i);
	char c;
	printf("read: %zd", read(fd, &c, 1));
	printf(" %s\n", strerror(errno));
	close(fd);
	// Times move.
	fd = make("modes", O_RDWR);
	for (int i = 0; i < WARM; i++) pwrite(fd, "x", 1, i);
	struct timespec past[2] = {{1000, 5}, {2000, 7}};
	futimens(fd, past);
	struct stat st;
	fstat(fd, &st);
	printf("set to %ld %ld", (long)st.st_mtim.tv_sec, (long)st.st_mtim.tv_nsec);
	pwrite(fd, "yy", 2, 4 * RECORDS);
	fstat(fd, &st);
	printf(", written: %s, size %ld\n", st.st_mtim.tv_sec > 1000000 ? "now" : "still", (long)st.st_size);
	struct timespec future[2] = {{4000000000, 0}, {4000000000, 0}};
	futimens(fd, future);
	pwrite(fd, "zz", 2, 0);
	fstat(fd, &st);
	printf("set to later, written: %s\n", st.st_mtim.tv_sec < 4000000000 ? "now" : "still");
	// An unlinked file lives on.
	unlink("modes");
	for (int i = 0; i < WARM; i++) write(fd, "z", 1);
	fstat(fd, &st);
	printf("unlinked: %d links, size %ld\n", (int)st.st_nlink, (long)st.st_size);
	close(fd);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	seen = mmap_shared();
	if (argc > 1) strcpy(dir, argv[1]);
	else {
		strcpy(dir, "/tmp/granted-XXXXXX");
		if (!mkdtemp(dir)) return 1;
	}
	chdir(dir);
	strcpy(dir, ".");
	offsets();
	appending();
	threads();
	watched();
	limited();
	limitedRace();
	access_modes();
	if (argc < 2) {
		char here[4096];
		getcwd(here, sizeof here);
		if (system("rm -rf ./*") == 0) rmdir(here);
	}
	return 0;
}
