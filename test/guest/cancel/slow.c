// Calls that wait for a file's server alone, one of which answers the first call
// after a look at /slow/arm only when it is interrupted. The argument "list" lists
// the calls.
#include "points.h"
#include <linux/falloc.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#define F "/slow/file"
#define D "/slow/dir"
#define L "/slow/link"
#define N "/slow/new"
#define P(x) ((long)(x))
static int fd, dirfd_, here, null;
static char buf[4096], value[16] = "v";
static struct iovec one_byte = {buf, 1};
static struct timespec stamps[2];
static struct sockaddr_un bound = {AF_UNIX, "/slow/socket"};
static int sock;

#define CALLS \
	C(stat, P(F), P(buf)) C(lstat, P(F), P(buf)) C(newfstatat, AT_FDCWD, P(F), P(buf), 0) C(statx, AT_FDCWD, P(F), 0, 0x7ff, P(buf)) \
	C(fstat, fd, P(buf)) C(statfs, P(F), P(buf)) C(fstatfs, fd, P(buf)) C(access, P(F), 0) C(faccessat, AT_FDCWD, P(F), 0) \
	C(faccessat2, AT_FDCWD, P(F), 0, 0) C(chmod, P(F), 0600) C(fchmod, fd, 0600) C(fchmodat, AT_FDCWD, P(F), 0600) \
	C(fchmodat2, AT_FDCWD, P(F), 0600, 0) C(chown, P(F), 0, 0) C(lchown, P(F), 0, 0) C(fchown, fd, 0, 0) \
	C(fchownat, AT_FDCWD, P(F), 0, 0, 0) C(utime, P(F), 0) C(utimes, P(F), 0) C(futimesat, AT_FDCWD, P(F), 0) \
	C(utimensat, AT_FDCWD, P(F), P(stamps), 0) C(readlink, P(L), P(buf), 10) C(readlinkat, AT_FDCWD, P(L), P(buf), 10) \
	C(chdir, P(D)) C(fchdir, dirfd_) C(chroot, P(D)) C(mkdir, P(N), 0700) C(mkdirat, AT_FDCWD, P(N), 0700) C(rmdir, P(D)) \
	C(mknod, P(N), 0100600, 0) C(mknodat, AT_FDCWD, P(N), 0100600, 0) C(symlink, P("x"), P(N)) C(symlinkat, P("x"), AT_FDCWD, P(N)) \
	C(link, P(F), P(N)) C(linkat, AT_FDCWD, P(F), AT_FDCWD, P(N), 0) C(unlink, P(F)) C(unlinkat, AT_FDCWD, P(F), 0) \
	C(rename, P(F), P(N)) C(renameat, AT_FDCWD, P(F), AT_FDCWD, P(N)) C(renameat2, AT_FDCWD, P(F), AT_FDCWD, P(N), 0) \
	C(getdents, dirfd_, P(buf), sizeof buf) C(getdents64, dirfd_, P(buf), sizeof buf) C(bind, sock, P(&bound), sizeof bound) \
	C(inotify_add_watch, here, P(F), IN_MODIFY) C(umount2, P(D), 0) C(mount, P("none"), P(D), P("tmpfs"), 0, 0) \
	C(pread64, fd, P(buf), 1, 0) C(preadv, fd, P(&one_byte), 1, 0) C(pwrite64, fd, P(buf), 1, 0) C(pwritev, fd, P(&one_byte), 1, 0) \
	C(fsync, fd) C(fdatasync, fd) C(sync, 0) C(syncfs, fd) C(sync_file_range, fd, 0, 1, 7) C(truncate, P(F), 1) C(ftruncate, fd, 1) \
	C(fallocate, fd, 0, 0, 1) C(copy_file_range, fd, 0, null, 0, 1, 0) C(ioctl, fd, 0x1234, 0) \
	C(setxattr, P(F), P("user.a"), P(value), 1, 0) C(lsetxattr, P(F), P("user.a"), P(value), 1, 0) C(fsetxattr, fd, P("user.a"), P(value), 1, 0) \
	C(getxattr, P(F), P("user.a"), P(buf), 9) C(lgetxattr, P(F), P("user.a"), P(buf), 9) C(fgetxattr, fd, P("user.a"), P(buf), 9) \
	C(listxattr, P(F), P(buf), 9) C(llistxattr, P(F), P(buf), 9) C(flistxattr, fd, P(buf), 9) \
	C(removexattr, P(F), P("user.a")) C(lremovexattr, P(F), P("user.a")) C(fremovexattr, fd, P("user.a"))

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#define C(call, ...) static void call##_args(long *x) { long v[6] = {__VA_ARGS__}; memcpy(x, v, sizeof v); }
CALLS
#undef C
#define C(call, ...) {#call, SYS_##call, call##_args},
static struct { const char *name; long nr; void (*args)(long *); } calls[] = {CALLS};
#define COUNT (int)(sizeof calls / sizeof *calls)

__asm__(".text\n.globl make_call, behind_call\nmake_call:\n"
	"mov %rdi, %rax\n mov %rsi, %r11\n"
	"mov (%r11), %rdi\n mov 8(%r11), %rsi\n mov 16(%r11), %rdx\n mov 24(%r11), %r10\n mov 32(%r11), %r8\n mov 40(%r11), %r9\n"
	"syscall\nbehind_call: ret\n");
extern long make_call(long nr, long *args);
extern const char behind_call[];

static volatile long counter, ax, seen;
static void look(int sig, siginfo_t *i, void *u) {
	ucontext_t *c = u;
	counter = c->uc_mcontext.gregs[REG_RIP] - (long)behind_call;
	ax = c->uc_mcontext.gregs[REG_RAX];
	seen++;
}

static int at_call;
static long result;
static void *body(void *x) {
	long v[6];
	calls[at_call].args(v);
	waiter_tid = gettid();
	ready = 1;
	result = make_call(calls[at_call].nr, v);
	ready = 2;
	return 0;
}

int main(int argc, char **argv) {
	if (argc > 1 && strcmp(argv[1], "list") == 0) {
		for (at_call = 0; at_call < COUNT; at_call++)
			say("%s\n", calls[at_call].name);
		return 0;
	}
	if ((fd = open(F, O_RDWR)) < 0)
		say("open: %s\n", strerrorname(errno));
	dirfd_ = open(D, O_RDONLY);
	here = inotify_init();
	null = open("/tmp/to", O_RDWR | O_CREAT, 0600);
	sock = socket(AF_UNIX, SOCK_DGRAM, 0);
	for (at_call = 0; at_call < COUNT; at_call++)
		for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
			fflush(stdout);
			if (fork() == 0) {
				on3(SIGUSR1, look, flags);
				access("/slow/arm", 0);
				pthread_create(&waiter, 0, body, 0);
				settle();
				pthread_kill(waiter, SIGUSR1);
				while (!seen && ready != 2)
					sched_yield();
				pthread_join(waiter, 0);
				if (!seen) {
					say("%s: did not wait, %ld\n", calls[at_call].name, result);
					_exit(0);
				}
				say("%s%s: counter %+ld, %s\n", calls[at_call].name, flags ? ", SA_RESTART" : "", counter,
					ax == calls[at_call].nr && result != -EINTR ? "number" : ax == -EINTR && result == -EINTR ? "EINTR" : "something else");
				_exit(0);
			}
			wait(0);
		}
	return 0;
}
