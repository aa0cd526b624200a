package cancel_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Somebody holds the lock and does not let go. Waiting for it ends with the context, and the lock is not taken later
// behind our back.
func ExampleLock() {
	dir := must1(os.MkdirTemp("", "cancel"))
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "lock")
	stuck := must1(cancel.Lock(context.Background(), name))

	ctx, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer stop()
	_, err := cancel.Lock(ctx, name)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))

	_ = stuck.Unlock()
	mine := must1(cancel.TryLock(name))
	fmt.Println("free again:", mine.Unlock() == nil)
	// Output:
	// true
	// free again: true
}

// Opening a FIFO waits until somebody opens its other side.
func ExampleOpenFile() {
	dir := must1(os.MkdirTemp("", "cancel"))
	defer os.RemoveAll(dir)
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		panic(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer stop()
	_, err := cancel.OpenFile(ctx, fifo, os.O_RDONLY, 0)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output: true
}

// Reading standard input ends with the context, and what is typed later is still there for the next reader. Here a pipe
// stands in for the terminal.
func ExampleFile_Read() {
	stdin, keyboard := must2(os.Pipe())
	in := must1(cancel.NewFile(stdin)) // os.Stdin

	ctx, stop := context.WithCancelCause(context.Background())
	go stop(errors.New("the user has pressed a button instead"))
	p := make([]byte, 80)
	_, err := in.Read(ctx, p)
	fmt.Println(err)

	fmt.Fprint(keyboard, "hello")
	n := must1(in.Read(context.Background(), p))
	fmt.Printf("%s\n", p[:n])
	// Output:
	// read |0: the user has pressed a button instead
	// hello
}

func must2[T, U any](v T, w U, err error) (T, U) {
	if err != nil {
		panic(err)
	}
	return v, w
}

// Waiting for a child ends with the context; the child has not been reaped and can be waited for again.
func ExampleWait4() {
	child := exec.Command("sleep", "1000")
	if err := child.Start(); err != nil {
		panic(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer stop()
	_, err := cancel.Wait4(ctx, child.Process.Pid, nil, 0, nil)
	fmt.Println(err)

	_ = child.Process.Kill()
	fmt.Println(child.Wait())
	// Output:
	// context deadline exceeded
	// signal: killed
}

// The call may hang in a way that no signal ends. It is left behind, and the descriptor that it makes too late is
// closed.
func ExampleAbandonable() {
	hang, closed := make(chan struct{}), make(chan struct{})
	open := func(context.Context) (int, error) {
		<-hang // a file system whose server is gone
		return unix.Dup(0)
	}
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer stop()
	_, err := cancel.Abandonable(ctx, 10*time.Millisecond, open, func(fd int) {
		_ = unix.Close(fd)
		close(closed)
	})
	fmt.Println(errors.Is(err, cancel.ErrAbandoned), errors.Is(err, context.DeadlineExceeded))

	close(hang)
	<-closed
	// Output: true true
}

// Any system call can be cancelled.
func ExampleSyscall() {
	efd := must1(unix.Eventfd(0, unix.EFD_CLOEXEC))
	defer unix.Close(efd)
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer stop()
	fmt.Println(eventfdRead(ctx, efd)) // cancel.Syscall(ctx, unix.SYS_READ, uintptr(efd), ...)
	// Output: context deadline exceeded
}
