// Calls that wait, one or more witnesses for each: how the wait is prepared, how
// it is ended, and the arguments. See blocking.c.
#include "points.h"
#include <linux/futex.h>
#include <pty.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <termios.h>
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif

static char buf[1 << 17];
static struct iovec one_byte = {buf, 1}, much = {buf, sizeof buf};
static struct msghdr message = {.msg_iov = &one_byte, .msg_iovlen = 1}, large = {.msg_iov = &much, .msg_iovlen = 1};
static struct mmsghdr messages[2];
static struct pollfd polled;
static fd_set set;
static struct epoll_event event;
static struct timespec left, span, until;
static struct timeval span_us;
static int word;
static int e; // an epoll descriptor, or a second pipe
static sigset_t mask;
static struct { const sigset_t *set; size_t size; } mask_arg = {&mask, 8};
static struct flock wanted;
static struct { uint64_t flags, mode, resolve; } how = {O_RDONLY};

static void messages_for(struct iovec *v) {
	memset(messages, 0, sizeof messages);
	for (int i = 0; i < 2; i++)
		messages[i].msg_hdr.msg_iov = v, messages[i].msg_hdr.msg_iovlen = 1;
}
static void pair_for_messages(void) { new_pair(); messages_for(&one_byte); }
static void full_for_messages(void) { full_pair(); messages_for(&one_byte); }
static void put_two(void) { write(b, "xy", 2); }
static void pair_half(void) { new_pair(); put(); }
static void pipe_nearly(void) {
	new_pipe();
	fill(b);
	read(a, buf, 4096 * 3);
	filled -= 4096 * 3;
}
// Until nothing comes any more: what the call had in hand, too.
static volatile int ending;
static void *drains(void *x) {
	while (!ending)
		if (readable(a) == 1)
			read(a, buf, 4096);
	return 0;
}
static pthread_t drainer;
static void drain_all(void) { ending = 0; pthread_create(&drainer, 0, drains, 0); }
static void drained_all(void) { if (drainer) { ending = 1; pthread_join(drainer, 0); drainer = 0; } }

static void for_poll(void) { new_pipe(); polled = (struct pollfd){a, POLLIN}; FD_ZERO(&set); FD_SET(a, &set); }
static double began;
static void for_time(void) {
	began = now();
	for_poll();
	span = (struct timespec){0, 300000000};
	span_us = (struct timeval){0, 300000};
	left = (struct timespec){9, 9};
	word = 0;
}
static void until_monotonic(void) { for_time(); until = after(CLOCK_MONOTONIC, 300); }
static void until_realtime(void) { for_time(); until = after(CLOCK_REALTIME, 300); }
static void for_epoll(void) {
	for_time();
	e = extra[extras++] = epoll_create1(0);
	struct epoll_event v = {.events = EPOLLIN};
	epoll_ctl(e, EPOLL_CTL_ADD, a, &v);
}
// The rest of the time, where the call tells it.
static const char *rest_of(struct timespec t) {
	return t.tv_sec == 9 ? "untouched" : t.tv_sec || t.tv_nsec > 300000000 ? "wrong" : t.tv_nsec == 300000000 ? "all" : t.tv_nsec ? "some" : "none";
}
static void tell_left(void) { say(" left %s", rest_of(left)); }
static void tell_span(void) { say(" left %s", rest_of(span)); }
static void tell_us(void) { say(" left %s", rest_of((struct timespec){span_us.tv_sec, span_us.tv_usec * 1000})); }

static void wake(void) { word = 1; syscall(SYS_futex, &word, FUTEX_WAKE, 1, 0, 0, 0); }
static void for_futex(void) { word = 0; }
static void wake_private(void) { word = 1; syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0); }
static void wake_bits(void) { word = 1; syscall(SYS_futex, &word, FUTEX_WAKE_BITSET, 1, 0, 0, 2); }
static void lock_pi(void) { word = 0; syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, 0, 0, 0); }
static void unlock_pi(void) { syscall(SYS_futex, &word, FUTEX_UNLOCK_PI, 0, 0, 0, 0); }

static void flocked(void) {
	snprintf(name, sizeof name, "cancel.lock.%d", getpid());
	a = open(name, O_RDWR | O_CREAT, 0600);
	b = open(name, O_RDWR);
	flock(a, LOCK_EX);
	wanted = (struct flock){.l_type = F_WRLCK};
	fcntl(a, F_OFD_SETLK, &wanted);
}
static void unflock(void) {
	struct flock l = {.l_type = F_UNLCK};
	flock(a, LOCK_UN);
	fcntl(a, F_OFD_SETLK, &l);
}
static void new_terminal(void) { openpty(&b, &a, 0, 0, 0); }
static void held_terminal(void) { openpty(&a, &b, 0, 0, 0); tcflow(b, TCOOFF); }
static void let_flow(void) { tcflow(b, TCOON); }
static void type(void) { write(b, "x\n", 2); }
static void new_inotify(void) { a = inotify_init(); b = open(".", O_RDONLY); inotify_add_watch(a, ".", IN_CREATE); }
static void create(void) { close(open("new", O_CREAT | O_WRONLY, 0600)); unlink("new"); }
static void new_signalfd(void) { sigset_t s; sigemptyset(&s); sigaddset(&s, SIGUSR2); a = signalfd(-1, &s, 0); }
static void new_timerfd(void) { a = timerfd_create(CLOCK_MONOTONIC, 0); }
static void arm(void) { struct itimerspec t = {.it_value = {0, 1}}; timerfd_settime(a, 0, &t, 0); }
static void new_eventfd(void) { a = eventfd(0, 0); }
static void count_up(void) { uint64_t v = 1; write(a, &v, 8); }
static void full_eventfd(void) { uint64_t v = ~0ull - 1; a = eventfd(0, 0); write(a, &v, 8); *(uint64_t *)buf = 1; }
static void count_down(void) { uint64_t v; read(a, &v, 8); }

static void two_pipes(void) { int p[2]; new_pipe(); pipe(p); extra[extras++] = p[0]; e = extra[extras++] = p[1]; }
static void file_and_full_pipe(void) {
	full_pipe();
	snprintf(name, sizeof name, "cancel.file.%d", getpid());
	e = extra[extras++] = open(name, O_RDWR | O_CREAT, 0600);
	write(e, "z", 1);
	lseek(e, 0, SEEK_SET);
	unlink(name);
}
static void two_full(void) { full_pipe(); int p[2]; pipe(p); e = extra[extras++] = p[0]; extra[extras++] = p[1]; write(p[1], "z", 1); }

static void empty_mask(void) { sigemptyset(&mask); }
static void usr2_mask(void) { for_time(); sigemptyset(&mask); sigaddset(&mask, SIGUSR2); }
static void new_fifo_to_write(void) { new_fifo(); how.flags = O_WRONLY; }
static void new_fifo_to_read(void) { new_fifo(); how.flags = O_RDONLY; }
static void take_fd(void) { unlink_it(); }

static struct sembuf take = {0, -1, 0}, give_one = {0, 1, 0};
static void new_semset(void) { for_time(); e = semget(IPC_PRIVATE, 1, 0600); }
static void sem_up(void) { semop(e, &give_one, 1); }
static void no_semset(void) { say(" value %d", semctl(e, 0, GETVAL)); semctl(e, 0, IPC_RMID); e = 0; }
static void new_queue(void) { e = msgget(IPC_PRIVATE, 0600); }
static void full_queue(void) { new_queue(); while (msgsnd(e, &letter, sizeof letter.text, IPC_NOWAIT) == 0); }
static void post_letter(void) { msgsnd(e, &letter, 1, 0); }
static void take_letter(void) { msgrcv(e, &letter, sizeof letter.text, 0, IPC_NOWAIT); }
static void no_queue(void) {
	struct msqid_ds d;
	msgctl(e, IPC_STAT, &d);
	say(" left %ld", (long)d.msg_qnum);
	msgctl(e, IPC_RMID, 0);
	e = 0;
}
static void new_mqueue(void) {
	struct mq_attr x = {0, 2, 1};
	until_realtime();
	snprintf(name, sizeof name, "/cancel-%d", getpid());
	e = extra[extras++] = mq_open(name, O_RDWR | O_CREAT, 0600, &x);
	mq_unlink(name);
}
static void full_mqueue(void) { new_mqueue(); mq_send(e, "x", 1, 0), mq_send(e, "x", 1, 0); }
static void mq_put(void) { mq_send(e, "x", 1, 0); }
static void mq_take(void) { char c; mq_receive(e, &c, 1, 0); }
static void mq_left(void) { struct mq_attr x; mq_getattr(e, &x); say(" left %ld", x.mq_curmsgs); }

#ifdef NET
static void pair_for_poll(void) { new_pair(); polled = (struct pollfd){a, POLLIN}; FD_ZERO(&set); FD_SET(a, &set); }
static void datagrams_for_poll(void) { new_datagrams(); polled = (struct pollfd){a, POLLIN}; FD_ZERO(&set); FD_SET(a, &set); }
static void datagrams_for_messages(void) { new_datagrams(); messages_for(&one_byte); }
static void put_both(void) { put(), put(); }
static void epoll_of_pair(void) {
	new_epoll_pair();
	e = extra[0];
}
// With a time limit these are never restarted.
static void limit(int fd, int which) {
	struct timeval t = {0, 300000};
	began = now();
	setsockopt(fd, SOL_SOCKET, which, &t, sizeof t);
}
static void limited_pair(void) { new_pair(); messages_for(&one_byte); limit(a, SO_RCVTIMEO); }
static void limited_half(void) { limited_pair(); put(); }
static void limited_datagrams(void) { new_datagrams(); limit(a, SO_RCVTIMEO); }
static void limited_listener(void) { listening(); limit(a, SO_RCVTIMEO); }
static void limited_full(void) { full_pair(); messages_for(&one_byte); limit(b, SO_SNDTIMEO); }
static void limited_backlog(void) { full_backlog(); limit(b, SO_SNDTIMEO); }
static void from_socket(void) { int p[2]; new_pair(); pipe(p); extra[extras++] = p[0]; e = extra[extras++] = p[1]; }
static void to_socket(void) { int p[2]; full_pair(); pipe(p); e = extra[extras++] = p[0]; extra[extras++] = p[1]; write(p[1], "z", 1); }
static void file_to_socket(void) {
	full_pair();
	snprintf(name, sizeof name, "cancel.file.%d", getpid());
	e = extra[extras++] = open(name, O_RDWR | O_CREAT, 0600);
	write(e, "z", 1);
	lseek(e, 0, SEEK_SET);
	unlink(name);
}
#endif

#define P(x) ((long)(x))
// id, call, prepare, release (0: time ends it), check, arguments
#ifdef NET
#define WITNESSES \
	W(read_stream, read, new_pair, put, none, a, P(buf), 1) \
	W(read_datagram, read, new_datagrams, put, none, a, P(buf), 1) \
	W(readv_stream, readv, new_pair, put, none, a, P(&one_byte), 1) \
	W(preadv2_stream, preadv2, new_pair, put, none, a, P(&one_byte), 1, -1, -1, 0) \
	W(recvfrom_stream, recvfrom, new_pair, put, none, a, P(buf), 1, 0, 0, 0) \
	W(recvfrom_datagram, recvfrom, new_datagrams, put, none, a, P(buf), 1, 0, 0, 0) \
	W(recvfrom_peek, recvfrom, new_pair, put, has, a, P(buf), 1, MSG_PEEK, 0, 0) \
	W(recvfrom_all, recvfrom, pair_half, put, none, a, P(buf), 2, MSG_WAITALL, 0, 0) \
	W(recvmsg_stream, recvmsg, new_pair, put, none, a, P(&message), 0) \
	W(recvmsg_datagram, recvmsg, new_datagrams, put, none, a, P(&message), 0) \
	W(recvmmsg_stream, recvmmsg, pair_for_messages, put_two, none, a, P(messages), 2, 0, 0) \
	W(recvmmsg_datagram, recvmmsg, datagrams_for_messages, put_both, none, a, P(messages), 2, 0, 0) \
	W(write_stream, write, full_pair, drain, none, b, P(buf), 1) \
	W(writev_stream, writev, full_pair, drain, none, b, P(&one_byte), 1) \
	W(pwritev2_stream, pwritev2, full_pair, drain, none, b, P(&one_byte), 1, -1, -1, 0) \
	W(sendto_stream, sendto, full_pair, drain, none, b, P(buf), 1, 0, 0, 0) \
	W(sendmsg_stream, sendmsg, full_pair, drain, none, b, P(&message), 0) \
	W(sendmmsg_stream, sendmmsg, full_for_messages, drain_all, drained_all, b, P(messages), 2, 0) \
	W(accept_stream, accept, listening, join_in, none, a, 0, 0) \
	W(accept4_stream, accept4, listening, join_in, none, a, 0, 0, 0) \
	W(connect_stream, connect, full_backlog, accept_one, none, b, P(&at), at_size) \
	W(poll_stream, poll, pair_for_poll, put, none, P(&polled), 1, -1) \
	W(poll_datagram, poll, datagrams_for_poll, put, none, P(&polled), 1, -1) \
	W(ppoll_stream, ppoll, pair_for_poll, put, none, P(&polled), 1, 0, 0, 8) \
	W(select_datagram, select, datagrams_for_poll, put, none, a + 1, P(&set), 0, 0, 0) \
	W(pselect6_stream, pselect6, pair_for_poll, put, none, a + 1, P(&set), 0, 0, 0, 0) \
	W(epoll_wait_stream, epoll_wait, epoll_of_pair, put, none, e, P(&event), 1, -1) \
	W(epoll_pwait_stream, epoll_pwait, epoll_of_pair, put, none, e, P(&event), 1, -1, 0, 8) \
	W(epoll_pwait2_stream, epoll_pwait2, epoll_of_pair, put, none, e, P(&event), 1, 0, 0, 8) \
	W(splice_from, splice, from_socket, put, none, a, 0, e, 0, 1, 0) \
	W(splice_to, splice, to_socket, drain, none, e, 0, b, 0, 1, 0) \
	W(sendfile_to, sendfile, file_to_socket, drain, none, b, e, 0, 1) \
	W(read_limited, read, limited_pair, 0, none, a, P(buf), 1) \
	W(recvfrom_limited, recvfrom, limited_datagrams, 0, none, a, P(buf), 1, 0, 0, 0) \
	W(recvfrom_all_limited, recvfrom, limited_half, 0, none, a, P(buf), 2, MSG_WAITALL, 0, 0) \
	W(recvmsg_limited, recvmsg, limited_pair, 0, none, a, P(&message), 0) \
	W(recvmmsg_limited, recvmmsg, limited_pair, 0, none, a, P(messages), 2, 0, 0) \
	W(accept_limited, accept, limited_listener, 0, none, a, 0, 0) \
	W(write_limited, write, limited_full, 0, none, b, P(buf), 1) \
	W(sendto_limited, sendto, limited_full, 0, none, b, P(buf), 1, 0, 0, 0) \
	W(sendmsg_limited, sendmsg, limited_full, 0, none, b, P(&message), 0) \
	W(sendmmsg_limited, sendmmsg, limited_full, 0, none, b, P(messages), 2, 0) \
	W(connect_limited, connect, limited_backlog, 0, none, b, P(&at), at_size)
#else
#define WITNESSES \
	W(read_pipe, read, new_pipe, put, none, a, P(buf), 1) \
	W(read_socket, read, new_pair, put, none, a, P(buf), 1) \
	W(read_terminal, read, new_terminal, type, none, a, P(buf), 9) \
	W(read_inotify, read, new_inotify, create, none, a, P(buf), 4096) \
	W(read_signalfd, read, new_signalfd, usr2, none, a, P(buf), 128) \
	W(read_timerfd, read, new_timerfd, arm, none, a, P(buf), 8) \
	W(read_eventfd, read, new_eventfd, count_up, none, a, P(buf), 8) \
	W(readv_pipe, readv, new_pipe, put, none, a, P(&one_byte), 1) \
	W(preadv2_pipe, preadv2, new_pipe, put, none, a, P(&one_byte), 1, -1, -1, 0) \
	W(write_pipe, write, full_pipe, drain, none, b, P(buf), 1) \
	W(write_pipe_partly, write, pipe_nearly, drain_all, drained_all, b, P(buf), sizeof buf) \
	W(write_socket, write, full_pair, drain, none, b, P(buf), 1) \
	W(write_terminal, write, held_terminal, let_flow, none, b, P(buf), 1) \
	W(write_eventfd, write, full_eventfd, count_down, none, a, P(buf), 8) \
	W(writev_pipe, writev, full_pipe, drain, none, b, P(&one_byte), 1) \
	W(pwritev2_pipe, pwritev2, full_pipe, drain, none, b, P(&one_byte), 1, -1, -1, 0) \
	W(sendto_socket, sendto, full_pair, drain, none, b, P(buf), 1, 0, 0, 0) \
	W(sendmsg_socket, sendmsg, full_pair, drain, none, b, P(&message), 0) \
	W(sendmmsg_socket, sendmmsg, full_for_messages, drain_all, drained_all, b, P(messages), 2, 0) \
	W(recvfrom_socket, recvfrom, new_pair, put, none, a, P(buf), 1, 0, 0, 0) \
	W(recvfrom_all, recvfrom, pair_half, put, none, a, P(buf), 2, MSG_WAITALL, 0, 0) \
	W(recvmsg_socket, recvmsg, new_pair, put, none, a, P(&message), 0) \
	W(recvmmsg_socket, recvmmsg, pair_for_messages, put_two, none, a, P(messages), 2, 0, 0) \
	W(open_fifo, open, new_fifo, open_other, take_fd, P(name), O_RDONLY) \
	W(open_fifo_write, open, new_fifo, open_other, take_fd, P(name), O_WRONLY) \
	W(openat_fifo, openat, new_fifo, open_other, take_fd, AT_FDCWD, P(name), O_RDONLY) \
	W(openat2_fifo, openat2, new_fifo_to_read, open_other, take_fd, AT_FDCWD, P(name), P(&how), sizeof how) \
	W(creat_fifo, creat, new_fifo, open_other, take_fd, P(name), 0600) \
	W(accept_socket, accept, listening, join_in, none, a, 0, 0) \
	W(accept4_socket, accept4, listening, join_in, none, a, 0, 0, 0) \
	W(connect_socket, connect, full_backlog, accept_one, none, b, P(&at), at_size) \
	W(poll_pipe, poll, for_poll, put, none, P(&polled), 1, -1) \
	W(poll_timed, poll, for_time, 0, none, P(&polled), 1, 300) \
	W(ppoll_pipe, ppoll, for_poll, put, none, P(&polled), 1, 0, 0, 8) \
	W(ppoll_timed, ppoll, for_time, 0, tell_span, P(&polled), 1, P(&span), 0, 8) \
	W(select_pipe, select, for_poll, put, none, a + 1, P(&set), 0, 0, 0) \
	W(select_timed, select, for_time, 0, tell_us, a + 1, P(&set), 0, 0, P(&span_us)) \
	W(pselect6_pipe, pselect6, for_poll, put, none, a + 1, P(&set), 0, 0, 0, 0) \
	W(pselect6_timed, pselect6, for_time, 0, tell_span, a + 1, P(&set), 0, 0, P(&span), 0) \
	W(epoll_wait_pipe, epoll_wait, for_epoll, put, none, e, P(&event), 1, -1) \
	W(epoll_wait_timed, epoll_wait, for_epoll, 0, none, e, P(&event), 1, 300) \
	W(epoll_pwait_pipe, epoll_pwait, for_epoll, put, none, e, P(&event), 1, -1, 0, 8) \
	W(epoll_pwait2_pipe, epoll_pwait2, for_epoll, put, none, e, P(&event), 1, 0, 0, 8) \
	W(epoll_pwait2_timed, epoll_pwait2, for_epoll, 0, tell_span, e, P(&event), 1, P(&span), 0, 8) \
	W(wait4_child, wait4, new_child, put, reap_all, child, 0, 0, 0) \
	W(waitid_child, waitid, new_child, put, reap_all, P_PID, child, 0, WEXITED, 0) \
	W(futex_wait, futex, for_futex, wake, none, P(&word), FUTEX_WAIT, 0, 0) \
	W(futex_private, futex, for_futex, wake_private, none, P(&word), FUTEX_WAIT_PRIVATE, 0, 0) \
	W(futex_timed, futex, for_time, 0, tell_span, P(&word), FUTEX_WAIT_PRIVATE, 0, P(&span)) \
	W(futex_bitset, futex, for_futex, wake_bits, none, P(&word), FUTEX_WAIT_BITSET, 0, 0, 0, 2) \
	W(futex_until, futex, until_monotonic, 0, none, P(&word), FUTEX_WAIT_BITSET_PRIVATE, 0, P(&until), 0, -1) \
	W(futex_until_realtime, futex, until_realtime, 0, none, P(&word), FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, P(&until), 0, -1) \
	W(futex_lock_pi, futex, lock_pi, unlock_pi, none, P(&word), FUTEX_LOCK_PI, 0, 0) \
	W(flock_file, flock, flocked, unflock, take_fd, b, LOCK_EX) \
	W(fcntl_lock, fcntl, locked, put, not_locked, extra[0], F_SETLKW, P(&whole)) \
	W(fcntl_ofd_lock, fcntl, flocked, unflock, take_fd, b, F_OFD_SETLKW, P(&wanted)) \
	W(nanosleep_time, nanosleep, for_time, 0, tell_left, P(&span), P(&left)) \
	W(clock_nanosleep_monotonic, clock_nanosleep, for_time, 0, tell_left, CLOCK_MONOTONIC, 0, P(&span), P(&left)) \
	W(clock_nanosleep_realtime, clock_nanosleep, for_time, 0, tell_left, CLOCK_REALTIME, 0, P(&span), P(&left)) \
	W(clock_nanosleep_until, clock_nanosleep, until_monotonic, 0, tell_left, CLOCK_MONOTONIC, TIMER_ABSTIME, P(&until), P(&left)) \
	W(clock_nanosleep_until_realtime, clock_nanosleep, until_realtime, 0, tell_left, CLOCK_REALTIME, TIMER_ABSTIME, P(&until), P(&left)) \
	W(pause_, pause, none, usr1, none, 0) \
	W(sigsuspend_, rt_sigsuspend, empty_mask, usr1, none, P(&mask), 8) \
	W(sigtimedwait_, rt_sigtimedwait, usr2_mask, usr2, none, P(&mask), 0, 0, 8) \
	W(sigtimedwait_timed, rt_sigtimedwait, usr2_mask, 0, none, P(&mask), 0, P(&span), 8) \
	W(splice_empty, splice, two_pipes, put, none, a, 0, e, 0, 1, 0) \
	W(splice_full, splice, two_full, drain, none, e, 0, b, 0, 1, 0) \
	W(tee_empty, tee, two_pipes, put, none, a, e, 1, 0) \
	W(tee_full, tee, two_full, drain, none, e, b, 1, 0) \
	W(vmsplice_full, vmsplice, full_pipe, drain, none, b, P(&one_byte), 1, 0) \
	W(sendfile_full, sendfile, file_and_full_pipe, drain, none, b, e, 0, 1) \
	W(semop_take, semop, new_semset, sem_up, no_semset, e, P(&take), 1) \
	W(semtimedop_take, semtimedop, new_semset, sem_up, no_semset, e, P(&take), 1, 0) \
	W(semtimedop_timed, semtimedop, new_semset, 0, no_semset, e, P(&take), 1, P(&span)) \
	W(msgsnd_full, msgsnd, full_queue, take_letter, no_queue, e, P(&letter), 1, 0) \
	W(msgrcv_none, msgrcv, new_queue, post_letter, no_queue, e, P(&letter), 1, 0, 0) \
	W(mq_send_full, mq_timedsend, full_mqueue, mq_take, mq_left, e, P(buf), 1, 0, 0) \
	W(mq_send_timed, mq_timedsend, full_mqueue, 0, mq_left, e, P(buf), 1, 0, P(&until)) \
	W(mq_receive_none, mq_timedreceive, new_mqueue, mq_put, mq_left, e, P(buf), 1, 0, 0) \
	W(mq_receive_timed, mq_timedreceive, new_mqueue, 0, mq_left, e, P(buf), 1, 0, P(&until))
#endif
