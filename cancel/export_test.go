package cancel

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// ThreadIDIsFound says that calls need not ask the kernel for their thread.
func ThreadIDIsFound() bool { return gToM != 0 }

// UnmaskedHandler installs a handler as C code could; see unmaskedHandler.
func UnmaskedHandler(sig unix.Signal) error { return unmaskedHandler(sig) }

// Pause has f called at each step of every cancel until the returned function is called.
func Pause(f func(step string)) (undo func()) {
	g := func(_ *op, step string) { f(step) }
	pause.Store(&g)
	return func() { pause.Store(nil) }
}

// Watchers counts the contexts that are known.
func Watchers() (n int) {
	registry.m.Range(func(any, any) bool { n++; return true })
	return n
}

// StepHelper is the process that the single-step test watches. It obeys commands from descriptor 3 and answers on 4.
// Its one victim, a locked thread, makes the calls; another goroutine cancels them.
func StepHelper() {
	in, out := bufio.NewScanner(os.NewFile(3, "commands")), os.NewFile(4, "answers")
	fail := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	fail(ready())
	fail(unmaskedHandler(unix.SIGUSR1))
	type result struct {
		n   int
		err error
	}
	var fds [2]int
	fail(unix.Pipe2(fds[:], unix.O_CLOEXEC))
	calls, results, tids := make(chan context.Context), make(chan result, 1), make(chan int)
	go func() {
		runtime.LockOSThread()
		tids <- unix.Gettid()
		p := make([]byte, 1)
		for ctx := range calls {
			n, err := Read(ctx, fds[0], p)
			results <- result{n, err}
			_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGUSR2) // tells the tracer
		}
	}()
	tid := <-tids
	fired := make(chan struct{}, 1)
	hook := func(_ *op, step string) {
		if step == "fired" {
			fired <- struct{}{}
		}
	}
	pause.Store(&hook)
	_, _, _, _, _, entry := codeAddrs()
	fmt.Fprintln(out, tid, entry, rangeBegin, rangeEnd)

	var stop func()
	for in.Scan() {
		switch in.Text() {
		case "ready":
			_, err := unix.Write(fds[1], []byte{1})
			fail(err)
			fallthrough
		case "empty":
			ctx, cancel := context.WithCancel(context.Background())
			stop = cancel
			calls <- ctx
		case "handler":
			fail(unix.Tgkill(unix.Getpid(), tid, unix.SIGUSR1))
			fmt.Fprintln(out, "sent")
		case "cancel":
			stop()
			<-fired
			stop = nil
			fmt.Fprintln(out, "cancelled")
		case "result":
			r := <-results
			fds := []unix.PollFd{{Fd: int32(fds[0]), Events: unix.POLLIN}}
			left, err := unix.Poll(fds, 0)
			fail(err)
			if left > 0 {
				_, err := unix.Read(int(fds[0].Fd), make([]byte, 1))
				fail(err)
			}
			if stop != nil {
				stop()
				<-fired
			}
			fmt.Fprintln(out, r.n, errors.Is(r.err, context.Canceled), left)
		}
	}
}
