package cancel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

// helper runs a part of this test binary as its own process, because a signal's handler belongs to a process.
func helper(t *testing.T, name string) (output []byte, err error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "HATI_CANCEL_HELPER="+name)
	output, err = cmd.CombinedOutput()
	if errors.Is(err, unix.ENOEXEC) {
		t.Skip("under an emulator: ", err)
	}
	return output, err
}

var helpers = map[string]func(){
	"signal":   signalHelper,
	"foreign":  foreignHelper,
	"step":     cancel.StepHelper,
	"default":  func() { dispositionHelper(0) },
	"ignored":  func() { dispositionHelper(1) },
	"nameless": namelessHelper,
	"fuse":     fuseHelper,
	"fork":     forkHelper,
	"children": childrenHelper,
}

func cancelOne() {
	var fds [2]int
	check(unix.Pipe2(fds[:], unix.O_CLOEXEC))
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	for range 20 {
		ctx, stop := context.WithCancel(context.Background())
		go stop()
		if _, err := cancel.Read(ctx, fds[0], make([]byte, 1)); err != context.Canceled {
			panic(fmt.Sprint("read: ", err))
		}
	}
}

// Another signal can be chosen, and shared with os/signal.
func TestSetSignal(t *testing.T) {
	if out, err := helper(t, "signal"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	for _, sig := range []unix.Signal{unix.SIGKILL, unix.SIGSEGV, unix.SIGURG, unix.SIGCHLD, 0, 40, 65} {
		if err := cancel.SetSignal(sig); !errors.Is(err, cancel.ErrSignal) || !errors.Is(err, unix.EINVAL) {
			t.Errorf("%v: %v", sig, err)
		}
	}
}

func signalHelper() {
	mine := make(chan os.Signal, 1)
	signal.Notify(mine, unix.SIGUSR1)
	notified := func() {
		check(unix.Kill(os.Getpid(), unix.SIGUSR1))
		<-mine
		// As raise and pthread_kill do, and the cancels themselves.
		check(unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGUSR1))
		<-mine
	}
	check(cancel.SetSignal(unix.SIGUSR1))
	notified()
	cancelOne()
	notified()
	foreignOnWaiting(mine)
	signal.Ignore(unix.SIGUSR1) // takes our handler away
	cancelOne()
	signal.Ignore(unix.SIGUSR1)
	signal.Notify(mine, unix.SIGUSR1) // puts the runtime's back
	cancelOne()
	notified()
	if len(mine) > 0 {
		panic("the signals of cancels reach os/signal")
	}
	if err := cancel.SetSignal(unix.SIGUSR2); !errors.Is(err, unix.EBUSY) {
		panic(fmt.Sprint("too late: ", err))
	}
	check(cancel.SetSignal(unix.SIGUSR1))
}

// foreignOnWaiting sends a thread in a cancellable call signals that are not the cancel's. They are restarted, each is
// passed on, and then the cancel still comes through.
func foreignOnWaiting(mine <-chan os.Signal) {
	var fds [2]int
	check(unix.Pipe2(fds[:], unix.O_CLOEXEC))
	for range 200 {
		ctx, stop := context.WithCancel(context.Background())
		tids, errs := make(chan int), make(chan error)
		go func() {
			runtime.LockOSThread()
			tids <- unix.Gettid()
			_, err := cancel.Read(ctx, fds[0], make([]byte, 1))
			errs <- err
		}()
		tid := <-tids
		for range 3 {
			check(unix.Tgkill(os.Getpid(), tid, unix.SIGUSR1))
			<-mine
		}
		stop()
		if err := <-errs; err != context.Canceled {
			panic(fmt.Sprint("read: ", err))
		}
	}
}

// A user who has as many signals pending as allowed gets signals without their sender's name; even those cancel.
func TestC07_SignalsWithoutASender(t *testing.T) {
	if out, err := helper(t, "nameless"); err != nil {
		t.Errorf("%v: %.500s", err, out)
	}
}

func namelessHelper() {
	check(unix.Setrlimit(unix.RLIMIT_SIGPENDING, &unix.Rlimit{}))
	for range 50 {
		cancelOne()
	}
	if err := cancel.UnmaskedHandler(unix.SIGUSR1); err != nil {
		panic(err)
	}
	runtime.LockOSThread()
	self, stop := unix.Gettid(), make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				check(unix.Tgkill(os.Getpid(), self, unix.SIGUSR1))
			}
		}
	}()
	for range 20 {
		cancelOne()
	}
	close(stop)
}

// A SIGSTKFLT that this package did not send does what it always does in a Go program: it reaches signal.Notify, or
// ends the program. And signal.Notify of all signals does not take it away from this package.
func TestForeignSignal(t *testing.T) {
	out, err := helper(t, "foreign")
	if err == nil || !bytes.Contains(out, []byte("SIGSTKFLT")) || !bytes.Contains(out, []byte("cancels work")) {
		t.Errorf("%v: %.300s", err, out)
	}
}

func foreignHelper() {
	all := make(chan os.Signal, 100)
	signal.Notify(all)
	cancelOne()
	signal.Notify(all)
	cancelOne()
	check(unix.Kill(os.Getpid(), unix.SIGSTKFLT))
	for sig := range all {
		if sig == unix.SIGSTKFLT {
			break
		}
	}
	signal.Reset()
	fmt.Println("cancels work")
	check(unix.Kill(os.Getpid(), unix.SIGSTKFLT))
	select {}
}

// Where there was no handler before, as in C programs that have a Go library, a signal that is not a cancel's ends the
// program, or is ignored, as before.
func TestForeignSignalWithoutAHandler(t *testing.T) {
	out, err := helper(t, "default")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !bytes.Equal(out, []byte("cancels work\n")) {
		t.Fatalf("default: %v: %.300s", err, out)
	}
	if status := exit.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != unix.SIGSTKFLT {
		t.Errorf("default: %v", exit)
	}
	if out, err := helper(t, "ignored"); err != nil {
		t.Errorf("ignored: %v: %.300s", err, out)
	}
}

func dispositionHelper(handler uintptr) {
	check(cancel.Disposition(unix.SIGSTKFLT, handler))
	cancelOne()
	fmt.Println("cancels work")
	check(unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGSTKFLT))
	cancelOne()
}

// The package needs no cgo, but works in programs that use it.
func TestCgoProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip(err)
	}
	program := t.TempDir() + "/cgo"
	build := exec.Command("go", "build", "-o", program, "./testdata/cgo")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("cannot build: %v: %s", err, out)
	}
	if out, err := exec.Command(program).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
