package cancel_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

// stubborn is a call that no cancel ends: a plain read.
func stubborn(fd int) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { return unix.Read(fd, make([]byte, 1)) }
}

func TestC12_BoundedAbandonment(t *testing.T) {
	cause := errors.New("the cause")
	for _, grace := range []time.Duration{0, 10 * time.Millisecond} {
		r, w := pipe(t)
		ctx, stop := context.WithCancelCause(t.Context())
		stop(cause)
		start := time.Now()
		_, err := cancel.Abandonable(ctx, grace, stubborn(r), nil)
		if took := time.Since(start); took < grace || took > grace+5*time.Second {
			t.Errorf("grace %v: took %v", grace, took)
		}
		var a *cancel.Abandoned[int]
		if !errors.Is(err, cancel.ErrAbandoned) || !errors.Is(err, cause) || !errors.As(err, &a) {
			t.Fatalf("grace %v: %v", grace, err)
		}
		must(unix.Write(w, []byte{1}))
		<-a.Ended()
	}
}

// A call that ends within the grace time is not abandoned, whatever it returns.
func TestC12_WithinTheGrace(t *testing.T) {
	r, _ := pipe(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for name, call := range map[string]func(context.Context) (int, error){
		"cancelled": func(ctx context.Context) (int, error) { return cancel.Read(ctx, r, make([]byte, 1)) },
		"done":      func(ctx context.Context) (int, error) { return 7, nil },
	} {
		n, err := cancel.Abandonable(ctx, time.Hour, call, func(int) { t.Error("reclaimed") })
		if name == "done" && (n != 7 || err != nil) || name == "cancelled" && err != context.Canceled {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	if _, err := cancel.Abandonable(ctx, time.Hour, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }, nil); err != cancel.ErrExited {
		t.Errorf("Goexit: %v", err)
	}
}

// A late descriptor is closed if nobody waits for it, and handed over if somebody does (clause 15).
func TestC15_LateResult(t *testing.T) {
	for _, waited := range []bool{false, true} {
		gate, reclaimed := make(chan struct{}), make(chan int, 1)
		ctx, stop := context.WithCancel(t.Context())
		stop()
		_, err := cancel.Abandonable(ctx, 0, func(context.Context) (int, error) {
			<-gate
			return unix.Dup(0)
		}, func(fd int) { reclaimed <- fd })
		var a *cancel.Abandoned[int]
		if !errors.As(err, &a) {
			t.Fatal(err)
		}
		if !waited {
			close(gate)
			fd := <-reclaimed
			check(unix.Close(fd))
			if _, err := a.Wait(t.Context()); err != cancel.ErrReclaimed {
				t.Errorf("Wait after the reclaim: %v", err)
			}
			continue
		}
		// One gives up, one gets it.
		if _, err := a.Wait(ctx); err != context.Canceled {
			t.Errorf("Wait under an ended context: %v", err)
		}
		done := make(chan int)
		go func() {
			time.AfterFunc(10*time.Millisecond, func() { close(gate) })
			fd, err := a.Wait(t.Context())
			check(err)
			done <- fd
		}()
		check(unix.Close(<-done))
		if len(reclaimed) > 0 {
			t.Error("reclaimed what somebody waited for")
		}
	}
}

// A thousand abandoned calls, all stuck at the same time, leave no thread, goroutine or descriptor (clause 22).
func TestC22_NothingLeaks(t *testing.T) {
	calls := 200
	if hammer {
		calls = 1000
	}
	r, w := pipe(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	fds, goroutines, watchers := descriptors(t), runtime.NumGoroutine(), cancel.Watchers()
	threads := entries("/proc/self/task")
	var all []*cancel.Abandoned[int]
	for range calls {
		_, err := cancel.Abandonable(ctx, 0, func(ctx context.Context) (int, error) {
			if _, err := unix.Read(r, make([]byte, 1)); err != nil {
				return -1, err
			}
			return unix.Dup(0)
		}, func(fd int) { check(unix.Close(fd)) })
		var a *cancel.Abandoned[int]
		if !errors.As(err, &a) {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	for range calls {
		must(unix.Write(w, []byte{1}))
	}
	for _, a := range all {
		<-a.Ended()
	}
	// They end just behind that. The kernel says when a thread has gone, by its entry.
	eventually(t, "descriptors", fds, func() int { return descriptors(t) })
	eventually(t, "goroutines", goroutines, runtime.NumGoroutine)
	eventually(t, "watchers", watchers, func() int { runtime.GC(); return cancel.Watchers() })
	eventually(t, "threads", threads+4, func() int { return entries("/proc/self/task") })
}

func entries(dir string) int {
	names, err := os.ReadDir(dir)
	check(err)
	return len(names)
}

// eventually waits until what count counts is at most want.
func eventually(t *testing.T, what string, want int, count func() int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(10 * time.Second)
	for {
		n := count()
		if n <= want {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Errorf("%d %s, want at most %d", n, what, want)
			return
		}
	}
}

// A real wait that no signal ends: opening a file of a FUSE mount whose server has not begun to answer.
func TestC13_UninterruptibleOpen(t *testing.T) {
	dev, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no FUSE: ", err)
	}
	dir := t.TempDir()
	if err := mountFUSE(dev, dir); err != nil {
		_ = unix.Close(dev)
		t.Skip("cannot mount: ", err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	_, err = cancel.Abandonable(ctx, 20*time.Millisecond, func(ctx context.Context) (int, error) {
		return cancel.Open(ctx, dir+"/file", unix.O_RDONLY, 0)
	}, func(fd int) { t.Error("opened") })
	var a *cancel.Abandoned[int]
	if !errors.As(err, &a) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("open: %v", err)
	}
	check(unix.Unmount(dir, unix.MNT_DETACH))
	check(unix.Close(dev)) // ends the server, and with it the call
	if a != nil {
		<-a.Ended()
	}
}
