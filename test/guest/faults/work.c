// Works on the files and services that it is told, for ever, whatever becomes of
// them; with "once" in front, once, and says what failed.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed(const char *what, const char *path) {
	printf("%s %s: %s\n", what, path, strerror(errno));
	return 1;
}

static int files(const char *dir, int k) {
	char path[256], other[256], buf[64];
	snprintf(path, sizeof path, "%s/f%d", dir, k);
	snprintf(other, sizeof other, "%s/g%d", dir, k);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return failed("open", path);
	int bad = 0;
	struct stat st;
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 8};
	if (fcntl(fd, k % 2 ? F_SETLKW : F_SETLK, &l) < 0 && errno != EAGAIN)
		bad = failed("lock", path);
	if (pwrite(fd, "contents", 8, 0) != 8)
		bad = failed("write", path);
	if (pread(fd, buf, sizeof buf, 0) != 8)
		bad = failed("read", path);
	if (fstat(fd, &st) < 0)
		bad = failed("fstat", path);
	if (fsync(fd) < 0)
		bad = failed("fsync", path);
	if (k % 5 == 0 && rename(path, other) < 0 && errno != ENOENT)
		bad = failed("rename", path);
	close(fd);
	DIR *d = opendir(dir);
	if (!d)
		return failed("opendir", dir);
	while (readdir(d))
		;
	closedir(d);
	return bad;
}

static int talk(const char *path) {
	char buf[64];
	int fd = open(path, O_RDWR);
	if (fd < 0)
		return failed("open", path);
	int bad = 0;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (write(fd, "hello", 5) != 5)
		bad = failed("write", path);
	else if (poll(&p, 1, -1) != 1 || read(fd, buf, sizeof buf) != 5)
		bad = failed("read", path);
	close(fd);
	return bad;
}

int main(int argc, char **argv) {
	int once = argc > 1 && !strcmp(argv[1], "once");
	if (!once)
		freopen("/dev/null", "w", stdout);
	srand(getpid());
	if (!once && getpid() % 4 == 0)
		fork();
	for (;;) {
		int bad = 0;
		for (int i = 1 + once; i < argc; i++)
			bad |= strncmp(argv[i], "/srv/", 5) ? files(argv[i], rand() % 20) : talk(argv[i]);
		if (once)
			return bad;
	}
}
