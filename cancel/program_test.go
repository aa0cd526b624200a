package cancel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"runtime/trace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

// repeat calls f again and again until the returned function is called.
func repeat(f func()) (stop func()) {
	var ended atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !ended.Load() {
			f()
		}
	}()
	return func() {
		ended.Store(true)
		<-done
	}
}

// A program does everything else at the same time: it collects garbage, is profiled and traced, starts processes, runs
// a system call on all its threads, and is sent signals.
func TestC09_BusyProgram(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	profiled := pprof.StartCPUProfile(io.Discard) == nil // the tests may be profiled themselves
	traced := trace.Start(io.Discard) == nil
	for _, stop := range []func(){
		repeat(func() {
			runtime.GC()
			spin(100_000)
		}),
		repeat(func() {
			check(exec.Command("/bin/true").Run())
			spin(100_000)
		}),
		repeat(func() {
			_, _, _ = syscall.AllThreadsSyscall(unix.SYS_GETPID, 0, 0, 0) // ENOTSUP in programs with cgo
			check(unix.Kill(os.Getpid(), unix.SIGURG))
			spin(100_000)
		}),
	} {
		defer stop()
	}
	for _, c := range contests {
		if c.name == "futex" || c.share > 1 {
			continue // as in TestC09_SignalsDoNotCancel
		}
		t.Run(c.name, func(t *testing.T) {
			races := 100
			if hammer {
				races = 10_000
			}
			if done, cancelled := run(t, c.start(t), races, 1024, 1<<14); done+cancelled != races {
				t.Errorf("%d done, %d cancelled", done, cancelled)
			}
		})
	}
	if traced {
		trace.Stop()
	}
	if profiled {
		pprof.StopCPUProfile()
	}
}

// What a blocked call points to is alive, though nobody else knows of it.
func TestC03_BuffersStayAlive(t *testing.T) {
	for kind, ctx := range map[string]context.Context{"cancellable": cancellable(t), "background": context.Background()} {
		for name, read := range map[string]func(fd int, collected *atomic.Bool) error{
			"read": func(fd int, collected *atomic.Bool) error {
				_, err := cancel.Read(ctx, fd, watched(collected))
				return err
			},
			"readv": func(fd int, collected *atomic.Bool) error {
				_, err := cancel.Readv(ctx, fd, [][]byte{watched(collected)})
				return err
			},
			"recvmsg": func(fd int, collected *atomic.Bool) error {
				_, _, _, _, err := cancel.Recvmsg(ctx, fd, watched(collected), nil, 0)
				return err
			},
			"syscall": func(fd int, collected *atomic.Bool) error {
				return readHidden(ctx, fd, watched(collected))
			},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				a, b := pair(t, unix.SOCK_STREAM)
				var collected atomic.Bool
				tids, done := make(chan int), make(chan error)
				go func() {
					runtime.LockOSThread()
					defer runtime.UnlockOSThread()
					tids <- unix.Gettid()
					done <- read(a, &collected)
				}()
				waitAsleep(t, <-tids)
				for range 3 {
					runtime.GC()
				}
				if collected.Load() {
					t.Error("the buffer was collected during the call")
				}
				must(unix.Write(b, []byte("x")))
				check(<-done)
				eventually(t, "buffers that are kept", 0, func() int {
					runtime.GC()
					if collected.Load() {
						return 0
					}
					return 1
				})
			})
		}
	}
}

// watched returns a buffer whose collection is noted.
func watched(collected *atomic.Bool) []byte {
	p := new([512]byte)
	runtime.AddCleanup(p, func(c *atomic.Bool) { c.Store(true) }, collected)
	return p[:]
}

// waitAsleep waits until the thread sleeps in a system call.
func waitAsleep(t *testing.T, tid int) {
	eventually(t, "threads that run", 0, func() int {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", tid))
		check(err)
		if bytes.Contains(stat, []byte(") S ")) {
			return 0
		}
		return 1
	})
}

// Buffers on stacks are filled, though the stacks are moved between calls and scanned during them.
func TestC03_BuffersOnMovingStacks(t *testing.T) {
	defer repeat(runtime.GC)()
	var all sync.WaitGroup
	for range 8 {
		r, w := pipe(t)
		all.Go(func() {
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			for i := range 200 {
				go func() { must(unix.Write(w, bytes.Repeat([]byte{byte(i)}, 64))) }()
				if !deep(ctx, r, i%60, byte(i)) {
					t.Error("not what was written")
				}
			}
		})
	}
	all.Wait()
}

// deep reads into its frame, on a stack that n frames have made larger, and compares.
//
//go:noinline
func deep(ctx context.Context, fd, n int, want byte) bool {
	var frame [512]byte
	if n > 0 {
		return deep(ctx, fd, n-1, want) && frame[n] == 0
	}
	p := frame[100:164]
	got := must(cancel.Read(ctx, fd, p))
	return got == 64 && bytes.Count(p, []byte{want}) == 64 && frame[99] == 0 && frame[164] == 0
}

// Threads that end with their goroutine, just after a call that a cancel has raced for.
func TestC06_ThreadsThatEnd(t *testing.T) {
	r, _ := pipe(t)
	before := takeCensus(t)
	for range 300 {
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error)
		go func() {
			runtime.LockOSThread() // and never unlocked
			_, err := cancel.Read(ctx, r, make([]byte, 1))
			done <- err
		}()
		go stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	before.compare(t)
}

// Programs that are started while calls are cancelled have the signal mask and dispositions that they would have had.
func TestChildrenAreUndisturbed(t *testing.T) {
	if out, err := helper(t, "children"); err != nil {
		t.Errorf("%v: %.500s", err, out)
	}
}

func childrenHelper() {
	signals := func() string {
		out, err := exec.Command("/bin/cat", "/proc/self/status").Output()
		check(err)
		var r []string
		for _, line := range strings.Split(string(out), "\n") {
			if strings.HasPrefix(line, "Sig") && !strings.HasPrefix(line, "SigQ") || strings.HasPrefix(line, "ShdPnd") {
				r = append(r, line)
			}
		}
		return strings.Join(r, "\n")
	}
	before := signals() // before the handler was installed
	cancelOne()
	for range 4 {
		defer repeat(cancelOne)()
	}
	for range 60 {
		if now := signals(); now != before {
			panic(fmt.Sprintf("before:\n%s\nnow:\n%s", before, now))
		}
	}
}
