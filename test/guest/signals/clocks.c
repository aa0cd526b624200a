// What of the clocks' keeping can be read, and that it cannot be changed.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

static void try(int clock, unsigned modes) {
	struct timex x;
	memset(&x, 0, sizeof x);
	x.modes = modes;
	int r = clock < 0 ? syscall(SYS_adjtimex, &x) : syscall(SYS_clock_adjtime, clock, &x);
	printf("%d %#x: %d %s", clock, modes, r < 0 ? r : 0, r < 0 ? strerror(errno) : "");
	if (r >= 0)
		printf(" tick %ld precision %ld tai %d", x.tick, x.precision, x.tai);
	printf("\n");
}

int main(void) {
	setresuid(1234, 1234, 1234); // who may not set clocks
	try(-1, 0);
	try(-1, 0xa001);
	try(-1, 0x8001);
	try(-1, 0x8000);
	try(-1, 1);
	try(-1, 0x4000);
	for (int c = 0; c < 14; c++)
		try(c, 0);
	return 0;
}
