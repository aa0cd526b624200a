// Every option of sockets, read and set with good and bad lengths and addresses, on
// sockets of several kinds.
#include "net.h"

static unsigned char value[4096];

// chance says that an option's value says something else each time.
static int chance(int level, int name) {
	switch (level) {
	case SOL_SOCKET:
		return name == SO_COOKIE || name == SO_INCOMING_CPU || name == SO_INCOMING_NAPI_ID || name == SO_MEMINFO || name == 75 /* SO_NETNS_COOKIE */ ||
			name == SO_RCVBUF || name == SO_SNDBUF || name == SO_TXREHASH;
	case SOL_TCP:
		return name == TCP_INFO || name == TCP_TIMESTAMP || name == TCP_WINDOW_CLAMP || name == TCP_CC_INFO || name == 13 /* TCP_CONGESTION */;
	}
	return 0;
}

static void get(int fd, int level, int name, int len) {
	socklen_t n = len;
	memset(value, 0xa5, sizeof value);
	errno = 0;
	int r = getsockopt(fd, level, name, value, &n);
	printf("%s: get %d/%d of %d = %d", section, level, name, len, r);
	if (r < 0) {
		printf(" %s\n", strerrorname_np(errno));
		return;
	}
	printf(" %d:", n);
	if (!chance(level, name))
		for (int i = 0; i < 20; i++)
			printf(" %02x", value[i]);
	printf("\n");
}

static void set(int fd, int level, int name, const void *v, int len) {
	errno = 0;
	int r = setsockopt(fd, level, name, v, len), e = errno;
	printf("%s: set %d/%d to %d of %d = %d %s\n", section, level, name, v > (void *)64 ? *(int *)v : -99, len, r, r < 0 ? strerrorname_np(e) : "");
	fflush(stdout);
}

// Options of a level, to the first 0. Those that the host keeps for root, and those that
// a network server keeps from its guests, are not here.
static const struct { int level, names[40]; } options[] = {
	{SOL_SOCKET, {SO_ACCEPTCONN, SO_BROADCAST, SO_COOKIE, SO_DOMAIN, SO_ERROR, SO_INCOMING_CPU, SO_KEEPALIVE, SO_LINGER,
		SO_MEMINFO, SO_NO_CHECK, SO_OOBINLINE, SO_PEEK_OFF, SO_PRIORITY, SO_PROTOCOL, SO_RCVBUF, SO_RCVLOWAT, SO_REUSEADDR,
		SO_REUSEPORT, SO_RXQ_OVFL, SO_SELECT_ERR_QUEUE, SO_SNDBUF, SO_SNDLOWAT, SO_TIMESTAMP, SO_TIMESTAMPNS, SO_TYPE, SO_RCVTIMEO,
		SO_SNDTIMEO, SO_PEERCRED}},
	{SOL_IP, {IP_TOS, IP_TTL, IP_RECVOPTS, IP_RETOPTS, IP_PKTINFO, IP_MTU_DISCOVER, IP_RECVERR, IP_RECVTTL, IP_RECVTOS, IP_MTU, IP_FREEBIND,
		IP_RECVORIGDSTADDR, IP_MINTTL, IP_BIND_ADDRESS_NO_PORT, IP_MULTICAST_TTL, IP_MULTICAST_LOOP, IP_MULTICAST_ALL}},
	{SOL_IPV6, {IPV6_UNICAST_HOPS, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP, IPV6_MTU_DISCOVER, IPV6_MTU, IPV6_RECVERR, IPV6_V6ONLY,
		IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVPATHMTU, IPV6_DONTFRAG, IPV6_RECVTCLASS, IPV6_TCLASS}},
	{SOL_TCP, {TCP_NODELAY, TCP_MAXSEG, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_SYNCNT, TCP_LINGER2, TCP_DEFER_ACCEPT,
		TCP_WINDOW_CLAMP, TCP_INFO, TCP_QUICKACK, TCP_CONGESTION, TCP_USER_TIMEOUT, TCP_FASTOPEN, TCP_NOTSENT_LOWAT, TCP_INQ}},
	{SOL_UDP, {UDP_CORK, UDP_SEGMENT, UDP_GRO}},
	{SOL_SOCKET, {4242}},
};

// has says that a socket of this family and type knows a level.
static int has(int level, int type) {
	return level == SOL_SOCKET || level == (family == AF_INET ? SOL_IP : SOL_IPV6) || level == (type == SOCK_STREAM ? SOL_TCP : SOL_UDP);
}

static void all(int fd, int type) {
	for (unsigned l = 0; l < sizeof options / sizeof *options; l++)
		for (const int *p = options[l].names; *p; p++) {
			int level = options[l].level, name = *p;
			if (!has(level, type))
				continue;
			static const int sizes[] = {0, 1, 3, 4, 7, 8, 16, 256}, vs[] = {1, 0, -1, 2, 5, 1 << 20};
			for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
				get(fd, level, name, sizes[i]);
			socklen_t n = 4;
			T(getsockopt(fd, level, name, value, (void *)8));
			for (unsigned i = 0; i < sizeof vs / sizeof *vs; i++) {
				if (name == SO_PRIORITY && level == SOL_SOCKET && (unsigned)vs[i] > 6)
					continue; // root's
				int v[64] = {vs[i]};
				set(fd, level, name, v, 4);
				get(fd, level, name, 4);
			}
			int v[64] = {1, 2};
			set(fd, level, name, v, 0), set(fd, level, name, v, 1), set(fd, level, name, v, 3), set(fd, level, name, v, 8);
			set(fd, level, name, v, 16), set(fd, level, name, v, 136), set(fd, level, name, v, -1);
			get(fd, level, name, 16);
			v[0] = v[1] = 0;
			setsockopt(fd, level, name, v, 8);
		}
}

int main(int argc, char **argv) {
	int fd[2], ms = 0;
	for (family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0) {
#define ON(name, e, type) (section = name, ms = (e), all(ms, type), close(ms))
		ON(family == AF_INET ? "tcp" : "tcp6", make(SOCK_STREAM), SOCK_STREAM);
		ON(family == AF_INET ? "listening" : "listening6", listening(), SOCK_STREAM);
		ON(family == AF_INET ? "connected" : "connected6", (connected(fd), fd[0]), SOCK_STREAM);
		ON(family == AF_INET ? "udp" : "udp6", make(SOCK_DGRAM), SOCK_DGRAM);
		ON(family == AF_INET ? "friend" : "friend6", (friends(fd), fd[0]), SOCK_DGRAM);
	}
	return 0;
}
