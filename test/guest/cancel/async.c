// How long a thread that computes lives on when it is cancelled asynchronously:
// the median and the longest of 40, in microseconds. It has made no call that can
// wait, or its last one was such, and then computes in a deeper function.
#include "../signals/check.h"

static volatile int ready;
static void compute(void) {
	for (;;)
		ready = 1;
}
static void __attribute__((noinline)) deeper(void) { volatile char x = 0; compute(); }
static void *body(void *read_first) {
	char c;
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, 0);
	if (read_first)
		syscall(SYS_read, *(int *)read_first, &c, 1);
	deeper();
	return 0;
}

static int longer(const void *a, const void *b) {
	double d = *(double *)a - *(double *)b;
	return d < 0 ? -1 : d > 0;
}

int main(void) {
	enum { N = 40 };
	int zero = open("/dev/zero", O_RDONLY);
	double t[N];
	for (int k = 0; k < 2; k++) {
		for (int i = 0; i < N; i++) {
			pthread_t th;
			ready = 0;
			pthread_create(&th, 0, body, k ? &zero : 0);
			while (!ready)
				;
			double from = now();
			pthread_cancel(th);
			pthread_join(th, 0);
			t[i] = (now() - from) * 1e6;
		}
		qsort(t, N, sizeof *t, longer);
		say("%.0f %.0f\n", t[N / 2], t[N - 1]);
	}
	return 0;
}
