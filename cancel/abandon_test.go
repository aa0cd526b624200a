package cancel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
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

// A real wait that no signal ends: opening a file of a FUSE mount whose server has not begun to answer. Who is not root
// is in a user namespace.
func TestC13_UninterruptibleOpen(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "HATI_CANCEL_HELPER=fuse", "TMPDIR="+t.TempDir())
	if os.Geteuid() != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		}
	}
	judge(t, cmd)
}

// judge runs a helper, which says why if it cannot do its work. Where all is to be tested that is a failure.
func judge(t *testing.T, cmd *exec.Cmd) {
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil && len(out) == 0 || bytes.HasPrefix(out, []byte("cannot")):
		if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
			t.Fatalf("%v %s", err, out)
		}
		t.Skipf("%v %s", err, out)
	case err != nil:
		t.Errorf("%v: %.1000s", err, out)
	}
}

// stuck counts the threads that no signal reaches.
func stuck() (n int) {
	tasks, err := filepath.Glob("/proc/self/task/*/stat")
	check(err)
	for _, task := range tasks {
		if stat, err := os.ReadFile(task); err == nil && bytes.Contains(stat, []byte(") D ")) {
			n++
		}
	}
	return n
}

// untilStuck ends when there is such a thread, and not only for a moment, as when one
// reads a page of the program.
func untilStuck() context.Context {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		for times := 0; times < 50; runtime.Gosched() {
			if times++; stuck() == 0 {
				times = 0
			}
		}
	}()
	return ctx
}

func fuseHelper() {
	dev, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		fmt.Println("cannot open /dev/fuse: ", err)
		return
	}
	dir, err := os.MkdirTemp("", "fuse")
	check(err)
	if err := mountFUSE(dev, dir); err != nil {
		fmt.Println("cannot mount: ", err)
		return
	}
	ctx := untilStuck()
	_, err = cancel.Abandonable(ctx, 20*time.Millisecond, func(ctx context.Context) (int, error) {
		return cancel.Open(ctx, dir+"/file", unix.O_RDONLY, 0)
	}, func(fd int) { panic("opened") })
	var a *cancel.Abandoned[int]
	if !errors.As(err, &a) || !errors.Is(err, context.Canceled) {
		panic(fmt.Sprint("open: ", err))
	}
	check(unix.Unmount(dir, unix.MNT_DETACH))
	check(unix.Close(dev)) // ends the server, and with it the call
	if _, err := a.Wait(context.Background()); err == nil {
		panic("opened")
	}
}

// A real wait that no signal ends and that needs no rights: for a child that is to execute a file that somebody has a
// lease on, as the parent of vfork. What is made too late is the child.
func TestC15_LateChild(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	// Go's fork holds up its processor, and the garbage collector.
	cmd.Env = append(os.Environ(), "HATI_CANCEL_HELPER=fork", "TMPDIR="+t.TempDir(), "GOMAXPROCS=4", "GOGC=off")
	judge(t, cmd)
}

func forkHelper() {
	program, err := os.ReadFile("/bin/true")
	check(err)
	name := os.TempDir() + "/true"
	check(os.WriteFile(name, program, 0o700))
	lease := must(unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0))
	if _, err := unix.FcntlInt(uintptr(lease), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		fmt.Println("cannot take a lease: ", err)
		return
	}
	ended := make(chan *os.ProcessState, 1)
	_, err = cancel.Abandonable(untilStuck(), 20*time.Millisecond, func(context.Context) (*os.Process, error) {
		return os.StartProcess(name, []string{name}, &os.ProcAttr{})
	}, func(p *os.Process) {
		state, err := p.Wait()
		check(err)
		ended <- state
	})
	if !errors.Is(err, cancel.ErrAbandoned) {
		panic(fmt.Sprint("start: ", err))
	}
	if n := stuck(); n != 1 {
		panic(fmt.Sprint(n, " threads that no signal reaches"))
	}
	must(unix.FcntlInt(uintptr(lease), unix.F_SETLEASE, unix.F_UNLCK))
	if state := <-ended; !state.Success() {
		panic(state.String())
	}
}
