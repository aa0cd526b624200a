// Signals, of which no handler restarts calls, end nothing that concerns files on a disk
// or in memory: there is no EINTR of stat, open, rename, write or fsync.
#include "check.h"
#include <dirent.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/uio.h>

enum { TIMES = 400 };
static char block[4096], large[3 << 20];

static void caught(int s) {}

#define EACH(what, call)                                                       \
	do {                                                                       \
		int ended = 0;                                                         \
		for (int i = 0; i < TIMES; i++)                                        \
			while ((call) < 0 && errno == EINTR)                               \
				ended++;                                                       \
		printf("%s: ended %d times\n", what, ended);                           \
	} while (0)

static int opens(const char *name, int flags)
{
	int fd = open(name, flags, 0644);
	return fd < 0 ? -1 : close(fd);
}

static int lists(const char *name)
{
	DIR *d = opendir(name);
	if (!d)
		return -1;
	errno = 0;
	while (readdir(d))
		;
	int result = errno;
	closedir(d);
	errno = result;
	return result ? -1 : 0;
}

static int maps(int fd)
{
	void *p = mmap(NULL, sizeof block, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? -1 : munmap(p, sizeof block);
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = caught};
	struct itimerval often = {{0, 200}, {0, 200}}, never = {};
	struct iovec v = {block, sizeof block};
	struct stat st;
	struct statfs fs;
	char dir[] = "undisturbedXXXXXX", text[64];
	if (chdir(argc > 1 ? argv[1] : "/tmp") || !mkdtemp(dir) || chdir(dir))
		return 1;
	int f = open("f", O_RDWR | O_CREAT, 0644), g = open("g", O_RDWR | O_CREAT, 0644);
	write(f, block, sizeof block);
	symlink("f", "l");
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	EACH("stat", stat("f", &st));
	EACH("fstat", fstat(f, &st));
	EACH("access", access("f", R_OK));
	EACH("open", opens("f", O_RDONLY));
	EACH("create", opens("n", O_RDWR | O_CREAT));
	EACH("read", pread(f, block, sizeof block, 0));
	EACH("write", pwrite(f, block, sizeof block, 0));
	EACH("writev", pwritev(f, &v, 1, 0));
	EACH("write on", (lseek(g, 0, SEEK_SET), write(g, block, 100)));
	int shorter = 0;
	for (int i = 0; i < 40; i++) {
		int fd = open("g", O_RDWR); // which is seldom used
		shorter += write(fd, large, sizeof large) != sizeof large;
		shorter += pread(fd, large, sizeof large, 0) != sizeof large;
		close(fd);
	}
	printf("shorter: %d\n", shorter);
	EACH("fsync", fsync(f));
	EACH("ftruncate", ftruncate(g, i));
	EACH("fallocate", fallocate(g, 0, 0, 4096));
	EACH("rename", i & 1 ? rename("m", "n") : rename("n", "m"));
	EACH("link", i & 1 ? unlink("k") : link("f", "k"));
	EACH("symlink", i & 1 ? unlink("s") : symlink("f", "s"));
	EACH("readlink", readlink("l", text, sizeof text));
	EACH("mkdir", i & 1 ? rmdir("d") : mkdir("d", 0755));
	EACH("chmod", chmod("f", i & 1 ? 0600 : 0644));
	EACH("utimensat", utimensat(AT_FDCWD, "f", NULL, 0));
	EACH("statfs", statfs(".", &fs));
	EACH("readdir", lists("."));
	EACH("mmap", maps(f));
	EACH("getcwd", getcwd(text, 1) ? 0 : -1);
	setitimer(ITIMER_REAL, &never, NULL);
	const char *names[] = {"f", "g", "l", "m", "n", "k", "s"};
	for (int i = 0; i < 7; i++)
		unlink(names[i]);
	chdir("..");
	printf("%d\n", rmdir(dir));
	return 0;
}
