// Command cgo is a program with C threads and a C signal handler that masks nothing. It makes cancellable calls on
// threads of Go and of C while its threads are sent signals all the time, and exits with 0 if all went well.
package main

/*
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

extern void onThread(int);

static atomic_int handled;
static void handler(int sig, siginfo_t *info, void *uc) { (void)sig; (void)info; (void)uc; handled++; }
static int seen(void) { return handled; }

static void install(void) {
	struct sigaction sa = {0};
	sa.sa_sigaction = handler;
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
	sigaction(SIGUSR1, &sa, 0);
}

static void *run(void *arg) { onThread((int)(long)arg); return 0; }

// runThread runs onThread on a new thread of C, and waits for it.
static void runThread(int fd) {
	pthread_t t;
	pthread_create(&t, 0, run, (void *)(long)fd);
	pthread_join(t, 0);
}

static timer_t timer;
static void flood(int tid) {
	struct sigevent ev = {0};
	ev.sigev_notify = SIGEV_THREAD_ID;
	ev.sigev_signo = SIGUSR1;
	ev._sigev_un._tid = tid;
	timer_create(CLOCK_MONOTONIC, &ev, &timer);
	struct itimerspec its = {{0, 50000}, {0, 50000}};
	timer_settime(timer, 0, &its, 0);
}
static void dry(void) { timer_delete(timer); }
*/
import "C"

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

const races = 300

func main() {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		panic(err)
	}
	C.install()
	runtime.LockOSThread()
	onThread(C.int(fds[0]))
	for range 20 {
		C.runThread(C.int(fds[0]))
	}
	if C.seen() == 0 {
		fmt.Println("no signals")
		os.Exit(1)
	}
}

//export onThread
func onThread(fd C.int) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	C.flood(C.int(unix.Gettid()))
	defer C.dry()
	for range races {
		ctx, stop = context.WithCancel(context.Background())
		go stop()
		if _, err := cancel.Read(ctx, int(fd), make([]byte, 1)); err != context.Canceled {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}
