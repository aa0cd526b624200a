// A client of the kv protocol (../internal/kv/kv.go) in C, one call at a time: what
// docs/lane-protocol.md says is all that it knows. cc -o kv kv.c; ./kv SOCKET
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 64, ARENA = 1 << 20, PAGE = 4096, INLINE = 1024 };
enum { FREE, POSTED, CLAIMED, DONE };

// Offsets in a half; this side made the memory and asks in half 0.
enum {
	RING = PAGE,
	SLOT = RING + (SLOTS * 8 + 127) / 128 * 128,
	DATA = (SLOT + SLOTS * 128 + PAGE - 1) / PAGE * PAGE,
	HALF = DATA + SLOTS * 4 * INLINE + ARENA,
	TOTAL = PAGE + 2 * HALF,
};

static int sock;
static unsigned char *half;
static uint64_t gen = 1, tail;

static void die(const char *what) { perror(what); exit(1); }

static _Atomic uint64_t *word(int off) { return (_Atomic uint64_t *)(half + off); }
static uint64_t get(int off) { return atomic_load(word(off)); }
static void set(int off, uint64_t v) { atomic_store(word(off), v); }

static void dial(const char *path, const char *protocol, uint32_t version)
{
	int mem = memfd_create("lane", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (mem < 0 || ftruncate(mem, TOTAL) || fcntl(mem, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
		die("memfd");
	unsigned char *m = mmap(0, TOTAL, PROT_READ | PROT_WRITE, MAP_SHARED, mem, 0);
	if (m == MAP_FAILED)
		die("mmap");
	half = m + PAGE;
	*(uint32_t *)(m + 8) = 1;
	*(uint32_t *)(m + 12) = SLOTS;
	*(uint64_t *)(m + 16) = ARENA;
	memcpy(m, "hatilane", 8);

	struct sockaddr_un a = {.sun_family = AF_UNIX};
	strncpy(a.sun_path, path, sizeof a.sun_path - 1);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (connect(sock, (struct sockaddr *)&a, sizeof a))
		die(path);
	unsigned char greeting[256];
	memcpy(greeting, "hatilane", 8);
	memcpy(greeting + 8, &(uint32_t){1}, 4);
	memcpy(greeting + 12, &version, 4);
	memcpy(greeting + 16, protocol, strlen(protocol));
	union { struct cmsghdr h; char room[CMSG_SPACE(sizeof mem)]; } c;
	c.h = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof mem), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&c.h), &mem, sizeof mem);
	struct iovec v = {greeting, 16 + strlen(protocol)};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
	if (sendmsg(sock, &h, 0) < 0)
		die("greeting");
	close(mem);
	unsigned char answer[513] = {0};
	if (recv(sock, answer, 512, 0) < 16 || memcmp(answer, "hatilane", 8))
		die("answer");
	if (*(uint32_t *)(answer + 8) != 1) {
		printf("refused: %s\n", answer + 16);
		exit(2);
	}
}

// call asks and waits. The parts lie in slot 0's own room; it returns the errno and
// leaves the reply's data in rep.
static uint32_t call(uint32_t op, const void *req, uint32_t n, unsigned char rep[INLINE], uint32_t *got)
{
	memcpy(half + DATA, req, n);
	set(SLOT + 16, 0);
	set(SLOT + 24, op);
	set(SLOT + 32, (uint64_t)n << 32);                      // data at 0
	set(SLOT + 40, INLINE);                                 // no bulk
	set(SLOT + 48, 2 * INLINE | (uint64_t)INLINE << 32);    // room for the reply's data
	set(SLOT + 56, 3 * INLINE);                             // none for bulk
	atomic_store((_Atomic uint32_t *)(half + SLOT + 96), 1); // woken by a futex
	set(SLOT, gen << 8 | POSTED);
	set(RING + tail % SLOTS * 8, gen << 16 | 0);
	set(0, ++tail);
	if (atomic_exchange(word(64), 0) && send(sock, "\1", 1, MSG_NOSIGNAL) < 0)
		die("the server is gone");
	for (;;) {
		uint64_t state = get(SLOT);
		if (state >> 8 != gen || (state & 255) > DONE || (state & 255) == FREE)
			die("the server broke the protocol");
		if ((state & 255) == DONE)
			break;
		// A futex does not tell of the server's death: look at the socket now and then.
		struct timespec soon = {1, 0};
		syscall(SYS_futex, half + SLOT, FUTEX_WAIT, (uint32_t)state, &soon, 0, 0);
		char c;
		while (recv(sock, &c, 1, MSG_DONTWAIT) == 1)
			; // bells for others
		if (errno != EAGAIN && (get(SLOT) & 255) != DONE)
			die("in doubt");
	}
	uint64_t status = get(SLOT + 64);
	*got = get(SLOT + 72);
	if (*got > INLINE)
		die("the server broke the protocol");
	memcpy(rep, half + DATA + 2 * INLINE, *got);
	set(SLOT, ++gen << 8 | FREE);
	return (uint32_t)status == 1 ? status >> 32 : EIO;
}

static uint32_t lv(unsigned char *p, const char *s) // a length and its bytes
{
	uint32_t n = strlen(s);
	memcpy(p, &n, 4);
	memcpy(p + 4, s, n);
	return 4 + n;
}

int main(int argc, char **argv)
{
	unsigned char req[INLINE], rep[INLINE];
	uint32_t got, n, err;
	dial(argv[argc - 1], "kv", argc > 2 ? atoi(argv[1]) : 1);
	for (uint64_t i = 1; i <= 50; i++) {
		n = lv(req, "k");
		n += lv(req + n, "from C");
		memset(req + n, 0, 1 + 1 + 16 + 4); // mode, hidden, times, no tags: all that version 1 has
		n += 22;
		err = call(1, req, n, rep, &got);
		uint64_t revision;
		memcpy(&revision, rep, 8);
		if (err || got != 8 || revision != i) {
			printf("put: %s, %u bytes, revision %llu\n", strerror(err), got, (unsigned long long)revision);
			return 1;
		}
	}
	err = call(2, req, lv(req, "k"), rep, &got);
	if (err || got < 18 || memcmp(rep + 8, "\6\0\0\0from C", 10))
		return printf("get: %s, %u bytes\n", strerror(err), got), 1;
	if ((err = call(2, req, lv(req, "none"), rep, &got)) != ENOENT)
		return printf("a key that is not there: %s\n", strerror(err)), 1;
	if ((err = call(99, req, 0, rep, &got)) != ENOSYS)
		return printf("an unknown operation: %s\n", strerror(err)), 1;
	if ((err = call(2, "\xff\xff\xff\xff", 4, rep, &got)) != EBADMSG)
		return printf("a length past the end: %s\n", strerror(err)), 1;
	if ((err = call(2, req, lv(req, "k") + 1, rep, &got)) != EBADMSG)
		return printf("a byte too many: %s\n", strerror(err)), 1;
	puts("ok");
	return 0;
}
