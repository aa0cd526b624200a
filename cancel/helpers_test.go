package cancel_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must(n int, err error) int {
	check(err)
	return n
}

// ends are what tests have opened; a test may close it early to count.
var ends struct {
	sync.Mutex
	m map[*testing.T][]func()
}

func onEnd(t *testing.T, f func()) {
	ends.Lock()
	defer ends.Unlock()
	if ends.m == nil {
		ends.m = map[*testing.T][]func(){}
	}
	if ends.m[t] == nil {
		t.Cleanup(func() {
			for _, f := range cleanups(t) {
				f()
			}
		})
	}
	ends.m[t] = append(ends.m[t], f)
}

// cleanups returns what onEnd has been told since the last call.
func cleanups(t *testing.T) []func() {
	ends.Lock()
	defer ends.Unlock()
	f := ends.m[t]
	delete(ends.m, t)
	return f
}

func closeAtEnd(t *testing.T, fds ...int) {
	onEnd(t, func() {
		for _, fd := range fds {
			check(unix.Close(fd))
		}
	})
}

func pipe(t *testing.T) (r, w int) {
	var fds [2]int
	check(unix.Pipe2(fds[:], unix.O_CLOEXEC))
	closeAtEnd(t, fds[:]...)
	return fds[0], fds[1]
}

func pair(t *testing.T, kind int) (a, b int) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	check(err)
	closeAtEnd(t, fds[:]...)
	return fds[0], fds[1]
}

func file(t *testing.T, name string) int {
	fd := must(unix.Open(name, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600))
	closeAtEnd(t, fd)
	return fd
}

func socket(kind int) int { return must(unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)) }

// listener returns a listening socket and its address, which has no name in any file system.
func listener(t *testing.T, backlog int) (int, unix.Sockaddr) {
	fd := socket(unix.SOCK_STREAM)
	closeAtEnd(t, fd)
	check(unix.Bind(fd, &unix.SockaddrUnix{})) // the kernel chooses a name
	check(unix.Listen(fd, backlog))
	addr, err := unix.Getsockname(fd)
	check(err)
	return fd, addr
}

// queued returns how many bytes can be read.
func queued(fd int) int { return must(unix.IoctlGetInt(fd, unix.TIOCINQ)) }

func ready(fd int) bool {
	// Not unix.Poll: the scheduler's signals end it.
	return must(cancel.Poll(context.Background(), []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)) == 1
}

// descriptors counts those of the process.
func descriptors(t *testing.T) int {
	names, err := os.ReadDir("/proc/self/fd")
	check(err)
	return len(names)
}

// census counts what a process has that a call can leave behind.
type census struct{ descriptors, locks, threads, goroutines, children int }

func takeCensus(t *testing.T) (c census) {
	locks, err := os.ReadFile("/proc/locks")
	check(err)
	children, err := os.ReadFile("/proc/thread-self/children")
	if err != nil {
		children = nil // a kernel without CONFIG_PROC_CHILDREN
	}
	return census{
		descriptors: descriptors(t),
		locks:       bytes.Count(locks, fmt.Appendf(nil, " %d ", os.Getpid())),
		threads:     entries("/proc/self/task"),
		goroutines:  runtime.NumGoroutine(),
		children:    len(bytes.Fields(children)),
	}
}

// compare waits until there is no more than before. Threads that wait in a call are replaced by the runtime, which
// keeps them: some more is right, one for each call is not.
func (before census) compare(t *testing.T) {
	t.Helper()
	const spare = 40 // many calls wait at the same time
	eventually(t, "descriptors", before.descriptors, func() int { return descriptors(t) })
	eventually(t, "locks", before.locks, func() int { return takeCensus(t).locks })
	eventually(t, "threads", before.threads+spare, func() int { return entries("/proc/self/task") })
	eventually(t, "goroutines", before.goroutines, runtime.NumGoroutine)
	eventually(t, "children", before.children, func() int { return takeCensus(t).children })
}

// sleeper starts a child that waits until it is killed.
func sleeper(t *testing.T) (pid int) {
	p, err := os.StartProcess("/bin/sleep", []string{"sleep", "1000"}, &os.ProcAttr{})
	check(err)
	pid = p.Pid
	check(p.Release())
	return pid
}
