// pthread_cancel at every cancellation point: before it, during it, with what it
// waits for already there, while disabled, after it, and asynchronously.
#include "points.h"

enum { BEFORE, WITH, DURING, DISABLED, AFTER, ASYNCHRONOUS, MODES };
static const char *modes[] = {"before", "with", "during", "disabled", "after", "asynchronous"};

static struct point *point;
static int mode;
static long result;
static int failed;
static pthread_key_t key;

static void note(void *x) { say(" %s", (char *)x); }

static void *body(void *x) {
	waiter_tid = gettid();
	block(SIGUSR2);
	pthread_setspecific(key, "destructor");
	pthread_cleanup_push(note, "first");
	pthread_cleanup_push(note, "second");
	pthread_cleanup_push(note, "third");
	if (mode == ASYNCHRONOUS)
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, 0);
	if (mode == DISABLED)
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, 0);
	if (mode == BEFORE || mode == WITH || mode == DISABLED && point->instant)
		pthread_cancel(pthread_self());
	ready = 1;
	errno = 0;
	result = point->call();
	failed = errno;
	ready = 2;
	if (mode == AFTER)
		pthread_cancel(pthread_self());
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, 0);
	say(" returned");
	pthread_testcancel();
	say(" NOT CANCELLED");
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return 0;
}

int main(void) {
	on(SIGUSR1, nothing, 0);
	pthread_key_create(&key, note);
	int before = descriptors();
	for (point = points; point < points + POINTS; point++)
		for (mode = 0; mode < MODES; mode++) {
			void *end = 0;
			int there = mode == WITH || mode == AFTER;
			span_ms = mode == DISABLED ? 300 : 60000; // others are cancelled
			if (point->instant && (mode == DURING || mode == ASYNCHRONOUS))
				continue;
			// Only system calls may be cancelled asynchronously.
			if (mode == ASYNCHRONOUS && (point->call == do_system || point->call == do_cond || point->call == do_cond_timed ||
				point->call == do_join || point->call == do_sem || point->call == do_sem_timed))
				continue;
			if (there && !point->instant && (point->release == 0 || point->release == usr1 || point->release == usr2))
				continue;
			say("%s, %s:", point->name, modes[mode]);
			ready = result = failed = 0;
			point->prepare();
			// The full backlog is one longer than what one accept empties.
			if (there && point->release)
				point->release();
			if (there && point->prepare == new_third)
				while (third_tid == 0 || state(getpid(), third_tid) != '?')
					sched_yield();
			pthread_create(&waiter, 0, body, 0);
			if (mode == DURING || mode == ASYNCHRONOUS || mode == DISABLED && !point->instant) {
				settle();
				pthread_cancel(waiter);
			}
			if (mode == DISABLED && point->release) {
				settle();
				if (ready == 1)
					point->release();
			}
			pthread_join(waiter, &end);
			say(" cancelled=%d", end == PTHREAD_CANCELED);
			if (mode == DISABLED || mode == AFTER)
				say(" result=%ld %s", result, result == -1 ? strerrorname(failed) : "");
			else
				point->check();
			if (mode == DISABLED || mode == AFTER) {
				if (point->prepare == new_child || point->prepare == locked || point->prepare == new_third || point->check == no_mail)
					point->check();
				unlink_it();
			}
			tidy();
			say("\n");
		}
	say("descriptors lost: %d\n", descriptors() - before);
	return 0;
}
