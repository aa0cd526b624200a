// Races of pthread_cancel with calls that complete at the same moment: what a
// call has taken was returned by it. The arguments are the numbers of races: of
// reads of a pipe, and of each other call.
#include "points.h"

static unsigned seed = 1;
static unsigned dice(unsigned n) { return (seed = seed * 1103515245 + 12345) / 65536 % n; }
static void pass(void) { for (volatile int i = dice(4000); i > 0; i--); }

static unsigned char next_in, next_out;
static long written, got, wrong;

static void *reader(void *x) {
	unsigned char c[8];
	for (;;) {
		ssize_t n = read(a, c, 1 + written % 5);
		for (int i = 0; i < n; i++)
			wrong += c[i] != next_out++;
		if (n > 0)
			got += n;
		else
			wrong++;
	}
}

static void feed(void) {
	unsigned char c[8];
	int n = 1 + dice(7);
	for (int i = 0; i < n; i++)
		c[i] = next_in++;
	written += write(b, c, n);
}

static long taken_fds, given;

static void *accepter(void *x) {
	for (;;) {
		int fd = accept(a, 0, 0);
		if (fd < 0) { wrong++; continue; }
		extra[extras++] = fd;
		taken_fds++;
	}
}

static void dial(void) {
#ifdef NET
	struct linger l = {1, 0}; // keeps no port
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	connect(fd, (void *)&at, at_size);
	if (room_soon(fd)) given++; // else the backlog was full
#else
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (connect(fd, (void *)&at, at_size) == 0) given++;
#endif
	close(fd);
}

static void *opener(void *x) {
	for (;;) {
		int fd = open(name, O_RDONLY);
		if (fd < 0) { wrong++; continue; }
		taken_fds++;
		extra[extras++] = fd;
		if (extras > 400)
			pause();
	}
}

static void hold_open(void) { int fd = open(name, O_RDWR | O_NONBLOCK); pass(); close(fd); }

// A close that was cancelled has not closed: the handler can.
static volatile int mine = -1;
static void shut(void *x) {
	if (mine >= 0 && syscall(SYS_close, mine) != 0)
		wrong++;
	mine = -1;
}
static void *closer(void *x) {
	pthread_cleanup_push(shut, 0);
	for (;;) {
		int fd = open("/dev/null", O_RDONLY);
		mine = fd;
		int copy = dup(fd);
		mine = copy;
		syscall(SYS_close, fd);
		close(copy);
		mine = -1;
	}
	pthread_cleanup_pop(1);
}

static void *receiver(void *x) {
	for (;;) {
		char c, space[64];
		struct iovec v = {&c, 1};
		struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
		if (recvmsg(a, &m, 0) != 1) { wrong++; continue; }
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		if (!h) { wrong++; continue; }
		taken_fds++;
		syscall(SYS_close, *(int *)CMSG_DATA(h));
	}
}

static void give(void) {
	char space[64] = {0};
	struct iovec v = {"x", 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = space, .msg_controllen = CMSG_SPACE(sizeof(int))};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET, h->cmsg_type = SCM_RIGHTS, h->cmsg_len = CMSG_LEN(sizeof(int));
	*(int *)CMSG_DATA(h) = 0;
	given += sendmsg(b, &m, 0) == 1;
}

static void *addressee(void *x) {
	for (;;) {
		if (msgrcv(mail, &letter, sizeof letter.text, 0, 0) == 1) taken_fds++;
		else wrong++;
	}
}
static void letters(void) { given++; bring(); }
static void *mailbox_reader(void *x) {
	for (char c;;) {
		if (mq_receive(mailbox, &c, 1, 0) == 1) taken_fds++;
		else wrong++;
	}
}
static void mailbox_letters(void) {
	struct mq_attr x;
	mq_getattr(mailbox, &x);
	if (x.mq_curmsgs < 2) given++, mailbox_in(); // nobody else sends
}

static void *acquirer(void *x) {
	for (;;) {
		if (sem_wait(&sem) == 0) taken_fds++;
		else wrong++;
	}
}

static void giving(void) { given++; sem_post(&sem); }

static void close_extra(void) {
	while (extras > 0)
		close(extra[--extras]);
}

// What no reader took.
static void rest(void) {
	char c;
	while (readable(a) == 1 && read(a, &c, 1) == 1)
		got++, wrong += (unsigned char)c != next_out++;
}
static void rest_given(void) {
	char c;
	while (readable(a) == 1 && read(a, &c, 1) == 1)
		taken_fds++;
}

// Handlers that run over the calls.
static int disturbed;
static void busy(int sig) { pass(); syscall(SYS_getppid); }
static void disturb(pthread_t th) {
	if (disturbed && dice(2))
		pthread_kill(th, SIGUSR1);
}

static void races(int n, void *(*body)(void *), void (*work)(void), void (*after)(void)) {
	written = got = wrong = taken_fds = given = 0;
	for (int i = 0; i < n; i++) {
		pthread_t th;
		pthread_create(&th, 0, body, 0);
		for (int k = dice(3); k > 0; k--)
			work();
		pass();
		disturb(th);
		if (dice(2)) {
			work();
			disturb(th);
			pthread_cancel(th);
		} else {
			pthread_cancel(th);
			work();
		}
		pthread_join(th, 0);
		close_extra();
		after();
	}
}

#ifdef NET
// Each message has the next number, whatever call received it.
static unsigned in_number, out_number;
static void number(void) {
	in_number++;
	write(b, &in_number, sizeof in_number);
}
static void took(ssize_t n, unsigned *v) {
	wrong += n != sizeof *v || *v != out_number + 1;
	if (n == sizeof *v)
		out_number = *v;
}
static void *numbers(void *x) {
	for (unsigned v, w, i = 0;; i++) {
		struct iovec p = {&v, sizeof v}, q = {&w, sizeof w};
		struct mmsghdr m[2] = {{{.msg_iov = &p, .msg_iovlen = 1}}, {{.msg_iov = &q, .msg_iovlen = 1}}};
		int n;
		switch (i % 5) {
		case 0: took(recv(a, &v, sizeof v, 0), &v); break;
		case 1: took(read(a, &v, sizeof v), &v); break;
		case 2: took(readv(a, &p, 1), &v); break;
		case 3: took(recvmsg(a, &m[0].msg_hdr, 0), &v); break;
		case 4: // waits for the first only: Linux keeps the interrupt of the second as the socket's error
			n = recvmmsg(a, m, 2, MSG_WAITFORONE, 0);
			if (n > 0) took(m[0].msg_len, &v);
			if (n > 1) took(m[1].msg_len, &w);
			wrong += n < 1;
		}
	}
}
static void rest_numbers(void) {
	unsigned v;
	while (readable(a) == 1)
		took(recv(a, &v, sizeof v, 0), &v);
}

// What a sender was told to have sent has come.
static void *sender(void *x) {
	static char c[3000];
	for (unsigned i = 0;; i++) {
		size_t size = 1 + i * 977 % sizeof c;
		struct iovec v = {c, size};
		struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
		ssize_t n;
		switch (i % 4) {
		case 0: n = send(b, c, size, 0); break;
		case 1: n = write(b, c, size); break;
		case 2: n = writev(b, &v, 1); break;
		case 3: n = sendmsg(b, &m, 0); break;
		}
		if (n > 0) written += n;
		else wrong++;
	}
}
static void swallow(void) {
	static char c[8000];
	if (readable(a) == 1)
		got += read(a, c, 1 + dice(sizeof c - 1));
}
static void none_after(void) {}

static void net_races(int n, int few) {
	new_pair();
	races(n, reader, feed, rest);
	say("read: wrong %ld, lost %ld\n", wrong, written - got);
	tidy();

	new_pair();
	next_in = next_out = 0;
	on(SIGUSR1, busy, SA_RESTART);
	disturbed = 1;
	races(few, reader, feed, rest);
	disturbed = 0;
	say("read under handlers: wrong %ld, lost %ld\n", wrong, written - got);
	tidy();

	new_datagrams();
	races(n, numbers, number, rest_numbers);
	say("datagrams: wrong %ld, lost %u\n", wrong, in_number - out_number);
	tidy();

	new_pair();
	races(n, sender, swallow, none_after);
	shutdown(b, SHUT_WR);
	for (ssize_t r; (r = read(a, big, sizeof big)) > 0;)
		got += r;
	say("send: wrong %ld, lost %ld\n", wrong, written - got);
	tidy();

	listening();
	listen(a, 100);
	races(few, accepter, dial, none);
	fcntl(a, F_SETFL, O_NONBLOCK);
	for (int fd; (fd = accept(a, 0, 0)) >= 0; close(fd))
		taken_fds++;
	say("accept: wrong %ld, lost %ld\n", wrong, given - taken_fds);
	tidy();
}
#endif

int main(int argc, char **argv) {
	int n = argc > 1 ? atoi(argv[1]) : 5000, few = argc > 2 ? atoi(argv[2]) : n / 10;
	int before = descriptors();

#ifdef NET
	net_races(n, few);
#else
	new_pipe();
	races(n, reader, feed, rest);
	say("read: wrong %ld, lost %ld\n", wrong, written - got);
	tidy();

	new_pipe();
	next_in = next_out = 0;
	on(SIGUSR1, busy, SA_RESTART);
	disturbed = 1;
	races(few, reader, feed, rest);
	disturbed = 0;
	say("read under handlers: wrong %ld, lost %ld\n", wrong, written - got);
	tidy();

	new_pair();
	next_in = next_out = 0;
	races(few, reader, feed, rest);
	say("read of a socket: wrong %ld, lost %ld\n", wrong, written - got);
	tidy();

	listening();
	listen(a, 100);
	races(few, accepter, dial, none);
	fcntl(a, F_SETFL, O_NONBLOCK);
	for (int fd; (fd = accept(a, 0, 0)) >= 0; close(fd))
		taken_fds++;
	say("accept: wrong %ld, lost %ld\n", wrong, given - taken_fds);
	tidy();

	new_fifo();
	races(few, opener, hold_open, none);
	say("open: wrong %ld\n", wrong);
	unlink_it();

	races(few, closer, none, none);
	say("open, dup, close: wrong %ld\n", wrong);

	new_pair();
	races(few, receiver, give, rest_given);
	say("recvmsg: wrong %ld, lost %ld\n", wrong, given - taken_fds);
	tidy();

	new_sem();
	races(few, acquirer, giving, none);
	while (sem_trywait(&sem) == 0)
		taken_fds++;
	say("sem_wait: wrong %ld, lost %ld\n", wrong, given - taken_fds);

	new_mail();
	races(few, addressee, letters, none);
	while (msgrcv(mail, &letter, sizeof letter.text, 0, IPC_NOWAIT) > 0)
		taken_fds++;
	say("msgrcv: wrong %ld, lost %ld\n", wrong, given - taken_fds);
	msgctl(mail, IPC_RMID, 0);

	new_mailbox();
	extras = 0; // it stays
	races(few, mailbox_reader, mailbox_letters, none);
	fcntl(mailbox, F_SETFL, O_NONBLOCK);
	for (char c; mq_receive(mailbox, &c, 1, 0) > 0;)
		taken_fds++;
	say("mq_receive: wrong %ld, lost %ld\n", wrong, given - taken_fds);
	close(mailbox);
#endif

	say("descriptors lost: %d\n", descriptors() - before);
	return 0;
}
