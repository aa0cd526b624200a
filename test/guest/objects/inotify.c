// inotify: what is told of each operation.
#include "check.h"
#include <dirent.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/xattr.h>

static int in;
static unsigned cookies[10];

static int cookie(unsigned c)
{
	if (!c)
		return 0;
	for (int i = 0; i < 10; i++) {
		if (cookies[i] == 0)
			cookies[i] = c;
		if (cookies[i] == c)
			return i + 1;
	}
	return -1;
}

static void events(void)
{
	char b[8192];
	memset(cookies, 0, sizeof cookies);
	for (;;) {
		long n = read(in, b, sizeof b);
		if (n <= 0)
			break;
		for (char *p = b; p < b + n;) {
			struct inotify_event *e = (void *)p;
			note("wd %d mask %x cookie %d name '%s'", e->wd, e->mask, cookie(e->cookie), e->len ? e->name : "");
			p += sizeof *e + e->len;
		}
	}
}

#define EV(e) ({ long r__ = DO(e); events(); r__; })

int main(int argc, char **argv)
{
	char *dir = enter(argv[1]), b[100];
	SHOW(inotify_init1(1));
	in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	SHOW(fcntl(in, F_GETFL));
	SHOW(inotify_add_watch(in, ".", 0));
	SHOW(inotify_add_watch(in, ".", 1u << 20));
	SHOW(inotify_add_watch(0, ".", IN_ALL_EVENTS));
	SHOW(inotify_add_watch(999, ".", IN_ALL_EVENTS));
	SHOW(inotify_add_watch(in, "none", IN_ALL_EVENTS));
	SHOW(inotify_rm_watch(in, 5));
	SHOW(inotify_add_watch(in, ".", IN_ALL_EVENTS));
	SHOW(inotify_add_watch(in, ".", IN_ALL_EVENTS | IN_MASK_CREATE));
	int f = EV(open("f", O_CREAT | O_RDWR, 0644));
	SHOW(inotify_add_watch(in, "f", IN_ALL_EVENTS));
	SHOW(inotify_add_watch(in, "f", IN_ALL_EVENTS | IN_ONLYDIR));
	EV(write(f, "hello", 5));
	EV(pwrite(f, "j", 1, 0));
	EV(lseek(f, 0, SEEK_SET));
	EV(read(f, b, 3));
	EV(read(f, b, 3));
	EV(read(f, b, 3));
	EV(ftruncate(f, 2));
	EV(fchmod(f, 0600));
	EV(chmod("f", 0640));
	EV(fsync(f));
	EV(dup(f));
	EV(close(f + 1));
	EV(close(f));
	EV(truncate("f", 100));
	EV(open("f", O_RDONLY));
	EV(close(f));
	EV(open("f", O_WRONLY | O_TRUNC));
	EV(close(f));
	EV(open("f", O_PATH));
	EV(close(f));
	EV(utimes("f", 0));
	struct timespec t[2] = {{1, 0}, {0, UTIME_OMIT}};
	EV(utimensat(AT_FDCWD, "f", t, 0));
	t[0].tv_nsec = UTIME_OMIT;
	t[1].tv_nsec = 0;
	EV(utimensat(AT_FDCWD, "f", t, 0));
	EV(chown("f", -1, getgid()));
	EV(stat("f", (struct stat *)b + 0) * 0);
	EV(access("f", R_OK));
	EV(link("f", "g"));
	EV(symlink("f", "s"));
	EV(readlink("s", b, 10));
	EV(unlink("s"));
	EV(mknod("fifo", S_IFIFO | 0600, 0));
	int p = EV(open("fifo", O_RDWR));
	EV(write(p, "x", 1));
	EV(read(p, b, 1));
	EV(close(p));
	EV(mkdir("d", 0700));
	SHOW(inotify_add_watch(in, "d", IN_ALL_EVENTS));
	EV(rename("f", "d/f"));
	EV(rename("d/f", "d/h"));
	EV(rename("g", "d/h"));
	EV(link("d/h", "d/i"));
	EV(unlink("d/h"));
	EV(rename("d/i", "f"));
	EV(rename("fifo", "d/fifo"));
	EV(syscall(316, AT_FDCWD, "f", AT_FDCWD, "d/fifo", 2)); // exchange
	EV(rename("d", "e"));
	DIR *dd = opendir("e");
	events();
	while (readdir(dd))
		;
	events();
	closedir(dd);
	events();
	f = EV(open("e/fifo", O_RDWR));
	EV(unlink("e/fifo"));
	EV(write(f, "more", 4));
	EV(close(f));
	EV(rmdir("e"));
	EV(unlink("f"));
	EV(open("new", O_CREAT | O_WRONLY | O_EXCL, 0600));
	close(f);
	EV(open("over", O_CREAT | O_WRONLY | O_EXCL, 0600));
	close(f);
	events();
	SHOW(inotify_add_watch(in, "over", IN_DELETE_SELF | IN_ONESHOT));
	EV(rename("new", "over"));
	EV(chmod("over", 0600));
	// removed directory that is open
	mkdir("d2", 0700);
	int w = SHOW(inotify_add_watch(in, "d2", IN_ALL_EVENTS));
	f = open("d2", O_RDONLY);
	events();
	EV(rmdir("d2"));
	EV(close(f));
	SHOW(inotify_rm_watch(in, w));
	// a mask with flags
	mkdir("d3", 0700);
	events();
	w = SHOW(inotify_add_watch(in, "d3", IN_MODIFY | IN_EXCL_UNLINK));
	f = open("d3/x", O_CREAT | O_RDWR, 0600);
	EV(write(f, "a", 1));
	EV(unlink("d3/x"));
	EV(write(f, "a", 1));
	EV(close(f));
	SHOW(inotify_add_watch(in, "d3", IN_CREATE | IN_MASK_ADD));
	EV(close(open("d3/x", O_CREAT | O_RDWR, 0600)));
	EV(unlink("d3/x"));
	EV(inotify_rm_watch(in, w));
	EV(rmdir("d3"));
	// waiting
	fcntl(in, F_SETFL, 0);
	if (fork() == 0) {
		usleep(50000);
		close(open("late", O_CREAT | O_WRONLY, 0600));
		_exit(0);
	}
	int ep = epoll_create1(0);
	struct epoll_event e = {EPOLLIN};
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, in, &e));
	SHOW(epoll_wait(ep, &e, 1, 5000));
	wait(0);
	fcntl(in, F_SETFL, O_NONBLOCK);
	SHOW(read(in, b, 10));
	events();
	unlink("over");
	unlink("late");
	unlink("g");
	events();
	chdir("/");
	SHOW(rmdir(dir));
	events();
	close(in);
	return 0;
}
