// What the C library tells of the interfaces, and of localhost.
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <netpacket/packet.h>

static void show(const char *what, const struct sockaddr *a)
{
	char text[64] = "";

	if (!a)
		return;
	switch (a->sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &((struct sockaddr_in *)a)->sin_addr, text, sizeof text);
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)a)->sin6_addr, text, sizeof text);
		printf(" scope %u", ((struct sockaddr_in6 *)a)->sin6_scope_id);
		break;
	case AF_PACKET:
		for (int i = 0; i < ((struct sockaddr_ll *)a)->sll_halen; i++)
			printf("%02x:", ((struct sockaddr_ll *)a)->sll_addr[i]);
		printf("%d,%d", ((struct sockaddr_ll *)a)->sll_ifindex, ((struct sockaddr_ll *)a)->sll_hatype);
		break;
	}
	printf(" %s %s", what, text);
}

int main(void)
{
	struct ifaddrs *all;
	struct if_nameindex *names;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found;
	int err;

	if (getifaddrs(&all) < 0) {
		perror("getifaddrs");
		return 1;
	}
	for (struct ifaddrs *p = all; p; p = p->ifa_next) {
		printf("%s %#x", p->ifa_name, p->ifa_flags);
		show("address", p->ifa_addr);
		show("mask", p->ifa_netmask);
		show("other", p->ifa_broadaddr);
		puts(p->ifa_addr && p->ifa_addr->sa_family == AF_PACKET && p->ifa_data ? " data" : "");
	}
	freeifaddrs(all);
	names = if_nameindex();
	for (struct if_nameindex *p = names; p && p->if_index; p++)
		printf("%u %s %u\n", p->if_index, p->if_name, if_nametoindex(p->if_name));
	if_freenameindex(names);
	err = getaddrinfo("localhost", "80", &hints, &found);
	printf("localhost: %d\n", err);
	for (struct addrinfo *p = err ? NULL : found; p; p = p->ai_next) {
		show("is", p->ai_addr);
		puts("");
	}
	return 0;
}
