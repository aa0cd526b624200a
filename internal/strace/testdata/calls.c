// Makes many system calls whose results are the same each time. What follows
// the first getppid is compared.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static char buf[65536];
static char page[8192] __attribute__((aligned(4096)));
#define call(n, ...) syscall(SYS_##n, ##__VA_ARGS__)

static void handler(int sig) { (void)sig; }

static void files(void) {
	struct stat st;
	struct statx stx;
	int fd = call(open, "a \"b\"\n\t\\\001x\0011\377", O_RDWR | O_CREAT | O_EXCL | O_TRUNC, 0640);
	call(write, fd, "hello, world: more than thirty-two bytes\n", 41);
	call(write, fd, "exactly thirty-two bytes, no more", 32);
	call(write, fd, "\0\1\2" "3\n\"q\"\\", 9);
	call(write, fd, NULL, 0);
	call(write, fd, (void *)8, 5);
	call(pwrite64, fd, "x", 1, 100L);
	call(lseek, fd, 0L, SEEK_SET);
	call(lseek, fd, -1L, SEEK_SET);
	call(lseek, fd, 0L, SEEK_DATA);
	call(lseek, fd, 0L, 77);
	call(read, fd, buf, 5L);
	call(read, fd, buf, 100L);
	call(read, fd, buf, 100L);
	call(read, 99, buf, 100L);
	call(pread64, fd, buf, 10L, 20L);
	struct iovec v[3] = {{"one", 3}, {"", 0}, {"two", 3}};
	call(writev, fd, v, 3L);
	struct iovec r[2] = {{buf, 4}, {buf + 100, 100}};
	call(preadv, fd, r, 2L, 0L, 0L);
	call(readv, 99, r, 2L);
	call(preadv2, fd, r, 1L, 0L, 0L, RWF_HIPRI);
	call(ftruncate, fd, 10L);
	call(fstat, fd, &st);
	call(fsync, fd);
	call(fdatasync, fd);
	call(fallocate, fd, FALLOC_FL_KEEP_SIZE, 0L, 100L);
	call(fadvise64, fd, 0L, 0L, POSIX_FADV_WILLNEED);
	call(flock, fd, LOCK_EX | LOCK_NB);
	call(fchmod, fd, 04755);
	call(fstat, fd, &st);
	call(fchown, fd, -1, -1);
	call(close, fd);
	call(close, -1);
	call(openat, AT_FDCWD, "missing", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECTORY);
	call(openat, 7, "x", O_WRONLY | O_APPEND | O_NOFOLLOW | O_SYNC | O_PATH);
	call(openat, AT_FDCWD, ".", O_TMPFILE | O_RDWR, 0600);
	call(openat, AT_FDCWD, NULL, 0);
	call(openat, AT_FDCWD, (void *)1, 0);
	struct open_how how = {O_RDONLY, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	call(openat2, AT_FDCWD, "missing", &how, sizeof how);
	call(stat, "/dev/null", &st);
	call(lstat, "/", &st);
	call(stat, "missing", &st);
	call(newfstatat, AT_FDCWD, "/dev/zero", &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT);
	call(statx, AT_FDCWD, "missing", AT_SYMLINK_NOFOLLOW, STATX_MODE | STATX_SIZE, &stx);
	call(access, "/", R_OK | X_OK);
	call(access, "missing", F_OK);
	call(faccessat2, AT_FDCWD, "/", W_OK, AT_EACCESS);
	call(mkdir, "dir", 0755);
	call(mkdirat, AT_FDCWD, "dir", 01777);
	call(mknod, "fifo", S_IFIFO | 0600, 0);
	call(mknodat, AT_FDCWD, "/", S_IFCHR | 0600, makedev(1, 3));
	call(symlink, "target", "link");
	call(symlinkat, "target", AT_FDCWD, "link");
	call(readlink, "link", buf, 100L);
	call(readlink, "dir", buf, 100L);
	call(readlinkat, AT_FDCWD, "link", buf, 3L);
	call(link, "missing", "x");
	call(linkat, AT_FDCWD, "missing", AT_FDCWD, "x", AT_SYMLINK_FOLLOW);
	call(rename, "link", "link2");
	call(renameat2, AT_FDCWD, "link2", AT_FDCWD, "dir", RENAME_NOREPLACE);
	call(unlink, "link2");
	call(unlinkat, AT_FDCWD, "dir", AT_REMOVEDIR);
	call(rmdir, "dir");
	call(chmod, "fifo", 0);
	call(fchmodat, AT_FDCWD, "missing", 7);
	call(chown, "missing", 1, -1);
	call(fchownat, AT_FDCWD, "missing", 1, 2, AT_SYMLINK_NOFOLLOW);
	call(truncate, "missing", 5L);
	struct timespec times[2] = {{1, 2}, {0, UTIME_OMIT}};
	call(utimensat, AT_FDCWD, "missing", times, 0);
	call(umask, 022);
	call(umask, 0);
	call(getxattr, "/", "user.none", buf, 100L);
	call(setxattr, "missing", "user.x", "value", 5L, XATTR_CREATE);
	call(listxattr, "missing", buf, 100L);
	call(getcwd, buf, 1L);
	call(chdir, "missing");
	call(mount, "none", "missing", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m");
	call(umount2, "missing", MNT_DETACH);
	fd = call(openat, AT_FDCWD, "fifo", O_RDWR);
	call(getdents64, fd, buf, 1000);
	call(memfd_create, "name", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

static void descriptors(void) {
	int p[2], in;
	call(pipe, p);
	call(pipe2, p, O_CLOEXEC | O_NONBLOCK);
	call(dup, p[0]);
	call(dup2, p[0], 50);
	call(dup3, p[0], 51, O_CLOEXEC);
	call(fcntl, p[0], F_GETFD);
	call(fcntl, 50, F_GETFD);
	call(fcntl, p[0], F_SETFD, FD_CLOEXEC);
	call(fcntl, p[0], F_SETFD, 0);
	call(fcntl, p[1], F_GETFL);
	call(fcntl, p[1], F_SETFL, O_RDONLY | O_NONBLOCK);
	call(fcntl, p[1], F_DUPFD, 60);
	call(fcntl, p[1], F_DUPFD_CLOEXEC, 61);
	call(fcntl, p[1], F_GETPIPE_SZ);
	struct flock l = {F_WRLCK, SEEK_SET, 0, 10, 0};
	call(fcntl, 0, F_GETLK, &l);
	call(fcntl, 99, F_SETLK, &l);
	call(fcntl, 99, F_OFD_SETLKW, &l);
	call(fcntl, p[0], 999, 1);
	call(ioctl, p[0], FIONREAD, &in);
	call(ioctl, p[0], FIONBIO, &in);
	call(ioctl, p[0], FIOCLEX);
	call(ioctl, p[0], TIOCGWINSZ, buf);
	call(ioctl, p[0], TCGETS, buf);
	call(ioctl, p[0], TIOCGPGRP, buf);
	call(ioctl, p[0], _IOW('z', 200, int), buf);
	call(ioctl, p[0], 0x12345, 7);
	call(close_range, 200, 300, CLOSE_RANGE_CLOEXEC);
	struct pollfd f[2] = {{p[0], POLLIN | POLLPRI, 0}, {-1, POLLOUT, 0}};
	call(poll, f, 2, 0);
	call(poll, NULL, 0, 0);
	f[1].fd = p[1];
	call(poll, f, 2, 100);
	f[0].fd = 99;
	call(poll, f, 1, -1);
	struct timespec ts = {0, 0};
	unsigned long mask = 1 << (SIGUSR1 - 1);
	call(ppoll, f + 1, 1, NULL, &mask, 8L);
	call(ppoll, f + 1, 0, &ts, NULL, 8L);
	fd_set rd, wr;
	FD_ZERO(&rd);
	FD_ZERO(&wr);
	FD_SET(p[0], &rd);
	FD_SET(p[1], &wr);
	call(select, p[1] + 1, &rd, &wr, NULL, NULL);
	FD_SET(p[0], &rd);
	struct timeval tv = {0, 0};
	call(select, p[1] + 1, &rd, NULL, NULL, &tv);
	struct { void *m; long n; } ps = {&mask, 8};
	call(pselect6, p[1] + 1, NULL, &wr, NULL, NULL, &ps);
	int e = call(epoll_create1, EPOLL_CLOEXEC);
	struct epoll_event ev = {EPOLLOUT | EPOLLET, {.u64 = 0x100000005}};
	call(epoll_ctl, e, EPOLL_CTL_ADD, p[1], &ev);
	struct epoll_event evs[4];
	call(epoll_wait, e, evs, 4, 0);
	call(epoll_wait, e, evs, 4, 0);
	call(epoll_pwait, e, evs, 4, 0, &mask, 8L);
	call(epoll_ctl, e, EPOLL_CTL_DEL, p[1], NULL);
	int ef = call(eventfd2, 3, EFD_NONBLOCK | EFD_SEMAPHORE);
	call(signalfd4, -1, &mask, 8L, SFD_CLOEXEC);
	call(inotify_init1, IN_CLOEXEC);
	call(inotify_add_watch, 99, "/", IN_CREATE | IN_DELETE | IN_ISDIR);
	long off = 5;
	call(sendfile, p[1], 99, &off, 10L);
	call(splice, p[0], NULL, p[1], NULL, 10L, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	call(tee, p[0], p[1], 10L, 0);
	call(copy_file_range, 99, NULL, 98, &off, 10L, 0);
	call(read, ef, buf, 8L);
}

static void memory(void) {
	char *m = (char *)call(mmap, NULL, 8192L, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
	call(mprotect, m, 4096L, PROT_NONE);
	call(mprotect, m, 4096L, PROT_READ | PROT_EXEC);
	call(mmap, m, 4096L, PROT_READ, MAP_SHARED | MAP_FIXED, 99, 4096L);
	call(mmap, NULL, 0L, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK | MAP_POPULATE, -1, 0L);
	m = (char *)call(mremap, m, 8192L, 16384L, MREMAP_MAYMOVE);
	call(mremap, m, 4096L, 4096L, MREMAP_MAYMOVE | MREMAP_FIXED, m + 1);
	call(madvise, m, 4096L, MADV_DONTNEED);
	call(madvise, m, 4096L, 999);
	call(msync, m, 4096L, MS_SYNC);
	call(munmap, m, 16384L);
	call(munmap, m + 1, 0L);
	call(brk, 0L);
	call(mlock, page, 0L);
	call(shmget, 0, 0L, 01000 | 0600);
}

static void processes(void) {
	call(getppid);
	int pid = call(fork);
	if (pid == 0)
		call(exit_group, 3);
	int status;
	call(wait4, pid, &status, 0, NULL);
	call(wait4, -1, &status, WNOHANG | WUNTRACED | WCONTINUED | __WALL, NULL);
	siginfo_t info;
	call(waitid, P_ALL, 0, &info, WEXITED | WNOHANG, NULL);
	call(getpid);
	call(setpgid, 99999999, 0);
	call(setresuid, -1, -1, -1);
	struct rlimit rl;
	call(prlimit64, 0, RLIMIT_NOFILE, NULL, &rl);
	rl.rlim_cur = 2048, rl.rlim_max = -1;
	call(prlimit64, 99999999, RLIMIT_CORE, &rl, NULL);
	call(getrlimit, 99, &rl);
	call(prctl, PR_SET_NAME, "new name");
	call(prctl, PR_GET_NAME, buf);
	call(prctl, PR_SET_PDEATHSIG, SIGTERM);
	call(prctl, PR_GET_DUMPABLE);
	call(prctl, PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L);
	call(prctl, PR_CAPBSET_READ, 1);
	call(arch_prctl, 0x1003, buf);
	call(arch_prctl, 0x9999, 1);
	call(futex, page, FUTEX_WAKE_PRIVATE, 1);
	call(futex, page, FUTEX_WAIT, 5, NULL);
	struct timespec ts = {1, 5};
	call(futex, page, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 5, &ts, NULL, FUTEX_BITSET_MATCH_ANY);
	call(futex, page, FUTEX_WAIT_BITSET, 5, &ts, NULL, 0xff);
	call(futex, page, FUTEX_CMP_REQUEUE_PRIVATE, 1, 2, page + 8, 7);
	call(futex, page, FUTEX_REQUEUE, 1, 2147483647, page + 8);
	call(futex, page, FUTEX_WAKE_OP, 1, 1, page + 8, 0x4000001);
	call(futex, page + 4, FUTEX_LOCK_PI, 0, (void *)8);
	call(futex, page + 8, FUTEX_UNLOCK_PI);
	call(getrandom, (void *)8, 8L, GRND_NONBLOCK);
	call(sched_yield);
	struct sched_param sp = {5};
	call(sched_setscheduler, 0, SCHED_OTHER, &sp);
	call(sched_getscheduler, 0);
	call(getpriority, PRIO_PROCESS, 0);
	char *argv[] = {"prog", "an argument that is longer than thirty-two", "", NULL}, *env[] = {"A=1", NULL};
	call(execve, "missing", argv, env);
	call(execveat, AT_FDCWD, "missing", argv, NULL, AT_EMPTY_PATH);
	call(execve, "missing", NULL, env + 1);
	call(unshare, 0x12);
	call(setns, 99, CLONE_NEWNET);
	call(pidfd_open, 99999999, 0);
	call(kcmp, 99999999, 99999999, 0, 1, 2);
	call(set_robust_list, page, 23L);
	call(rseq, page, 0x20, 0, 0x1234);
	call(personality, 0xffffffffL);
	call(sethostname, (void *)8, 100000L);
	call(getgroups, -1, NULL);
	syscall(499, 1, 2);
}

static void signals(void) {
	struct { void *h; unsigned long f; void *r; unsigned long m; } sa = {handler, SA_RESTART | SA_NODEFER, 0, 0x4001}, old;
	call(rt_sigaction, SIGUSR1, NULL, &old, 8L);
	call(rt_sigaction, SIGUSR2, &sa, NULL, 8L);
	sa.h = SIG_IGN, sa.m = -1, sa.f = SA_SIGINFO;
	call(rt_sigaction, SIGUSR2, &sa, &old, 8L);
	call(rt_sigaction, 70, &sa, NULL, 8L);
	unsigned long set = 1UL << 9 | 1UL << 33 | 1UL << 31, all = -1, none = 0, got;
	call(rt_sigprocmask, SIG_BLOCK, &set, &got, 8L);
	call(rt_sigprocmask, SIG_SETMASK, &all, &got, 8L);
	all &= ~(1UL << 4);
	call(rt_sigprocmask, SIG_SETMASK, &all, NULL, 8L);
	call(rt_sigprocmask, SIG_SETMASK, &none, NULL, 8L);
	call(rt_sigprocmask, 9, &none, NULL, 7L);
	call(rt_sigpending, &got, 8L);
	stack_t ss = {page, 0, 8192}, oss;
	call(sigaltstack, &ss, &oss);
	ss.ss_flags = SS_DISABLE;
	call(sigaltstack, &ss, NULL);
	call(kill, 99999999, SIGTERM);
	call(kill, 99999999, 0);
	call(tgkill, 99999999, 99999998, 34);
	call(tkill, -1, 64);
	struct timespec zero = {0, 0};
	siginfo_t info;
	call(rt_sigtimedwait, &set, &info, &zero, 8L);
	set = 1UL << (SIGUSR1 - 1);
	call(rt_sigprocmask, SIG_BLOCK, &set, NULL, 8L);
	memset(&info, 0, sizeof info);
	info.si_signo = SIGUSR1, info.si_code = SI_QUEUE, info.si_pid = 5, info.si_uid = 6, info.si_value.sival_int = 7;
	call(rt_sigqueueinfo, getpid(), SIGUSR1, &info);
	call(rt_sigtimedwait, &set, &info, NULL, 8L);
	call(rt_sigprocmask, SIG_SETMASK, &none, NULL, 8L);
	signal(SIGUSR2, handler);
	call(tgkill, getpid(), getpid(), SIGUSR2);
	call(alarm, 0);
}

static void timers(void) {
	struct timespec ts = {0, 1000}, left;
	struct itimerspec its = {{0, 0}, {100, 5}}, old;
	struct itimerval itv = {{0, 0}, {0, 0}};
	int timer;
	call(nanosleep, &ts, &left);
	call(clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	ts.tv_nsec = -1;
	call(nanosleep, &ts, &left);
	call(clock_getres, CLOCK_REALTIME_COARSE, &ts);
	call(clock_gettime, 77, &ts);
	call(setitimer, ITIMER_VIRTUAL, &itv, NULL);
	call(getitimer, ITIMER_VIRTUAL, &itv);
	struct sigevent se = {.sigev_signo = SIGUSR1, .sigev_notify = SIGEV_SIGNAL};
	call(timer_create, CLOCK_MONOTONIC, &se, &timer);
	call(timer_settime, timer, 0, &its, &old);
	call(timer_getoverrun, timer);
	call(timer_delete, timer);
	int fd = call(timerfd_create, CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	call(timerfd_settime, fd, TFD_TIMER_ABSTIME, &its, NULL);
	call(read, fd, buf, 8L);
}

static void sockets(void) {
	int p[2], one = 1;
	unsigned n = sizeof(struct sockaddr_un);
	struct sockaddr_un un = {AF_UNIX, "missing/socket"}, un2;
	struct sockaddr_in in = {AF_INET, htons(80), {htonl(0x7f000001)}};
	struct sockaddr_in6 in6 = {AF_INET6, htons(80), 0, IN6ADDR_LOOPBACK_INIT, 0};
	int s = call(socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	call(socket, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_TCP);
	call(socket, 99, SOCK_SEQPACKET, 0);
	call(connect, s, &un, n);
	call(connect, 99, &in, sizeof in);
	call(connect, 99, &in6, sizeof in6);
	call(bind, 99, &un, 2);
	memcpy(un.sun_path, "\0abstract", 9);
	call(bind, 99, &un, 11);
	call(listen, s, 5);
	call(accept4, s, &un2, &n, SOCK_CLOEXEC);
	call(accept, s, NULL, NULL);
	call(getsockname, s, &un2, &n);
	call(getpeername, s, &un2, &n);
	call(socketpair, AF_UNIX, SOCK_SEQPACKET, 0, p);
	call(sendto, p[0], "message", 7L, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
	call(recvfrom, p[1], buf, 100L, 0, NULL, NULL);
	struct iovec v = {"data", 4}, r = {buf, 50};
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct msghdr m = {NULL, 0, &v, 1, control, sizeof control, 0};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int));
	*(int *)CMSG_DATA(c) = p[0];
	call(sendmsg, p[0], &m, 0);
	m.msg_iov = &r, m.msg_name = &un2, m.msg_namelen = sizeof un2;
	call(recvmsg, p[1], &m, MSG_CMSG_CLOEXEC);
	call(recvmsg, p[1], &m, MSG_DONTWAIT);
	call(setsockopt, s, SOL_SOCKET, SO_KEEPALIVE, &one, 4);
	call(setsockopt, s, SOL_TCP, TCP_NODELAY, &one, 4);
	n = 4;
	call(getsockopt, s, SOL_SOCKET, SO_TYPE, &one, &n);
	call(getsockopt, s, SOL_SOCKET, SO_ERROR, &one, &n);
	call(shutdown, s, SHUT_WR);
}

int main(void) {
	call(close_range, 3, -1, 0);
	call(getppid);
	files();
	descriptors();
	memory();
	processes();
	signals();
	timers();
	sockets();
	call(exit_group, 0);
}
