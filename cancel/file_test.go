package cancel_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

// pipeFiles returns a pipe as Files, in blocking mode or not.
func pipeFiles(t *testing.T, flags int) (r, w *cancel.File) {
	var fds [2]int
	check(unix.Pipe2(fds[:], unix.O_CLOEXEC|flags))
	r, err := cancel.NewFile(os.NewFile(uintptr(fds[0]), "r"))
	check(err)
	w, err = cancel.NewFile(os.NewFile(uintptr(fds[1]), "w"))
	check(err)
	onEnd(t, func() { _ = r.Close(); _ = w.Close() })
	return r, w
}

func TestFile_ReadAndWrite(t *testing.T) {
	for name, flags := range map[string]int{"blocking": 0, "non-blocking": unix.O_NONBLOCK} {
		for kind, ctx := range map[string]context.Context{"cancellable": cancellable(t), "background": context.Background()} {
			t.Run(name+" "+kind, func(t *testing.T) {
				r, w := pipeFiles(t, flags)
				sent := bytes.Repeat([]byte("0123456789"), 30_000)
				go func() {
					n, err := w.Writer(ctx).Write(sent)
					if n != len(sent) || err != nil {
						t.Error(n, err)
					}
					check(w.Close())
				}()
				got, err := io.ReadAll(r.Reader(ctx))
				if !bytes.Equal(got, sent) || err != nil {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		}
	}
}

func TestFile_At(t *testing.T) {
	ctx := cancellable(t)
	f, err := cancel.OpenFile(ctx, filepath.Join(t.TempDir(), "f"), os.O_RDWR|os.O_CREATE, 0o640)
	check(err)
	defer f.Close()
	if n, err := f.WriteAt(ctx, []byte("world"), 6); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := f.WriteAt(ctx, []byte("hello "), 0); n != 6 || err != nil {
		t.Fatal(n, err)
	}
	p := make([]byte, 20)
	if n, err := f.ReadAt(ctx, p, 3); string(p[:n]) != "lo world" || err != io.EOF {
		t.Errorf("%q, %v", p[:n], err)
	}
	check(f.Sync(ctx))
	if info, err := f.File().Stat(); err != nil || info.Size() != 11 || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := cancel.OpenFile(ctx, f.Name()+"/x", os.O_RDONLY, 0); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("open: %v", err)
	}
}

// A partial write that is cancelled says how much it has written.
func TestC03_PartialWrite(t *testing.T) {
	for name, flags := range map[string]int{"blocking": 0, "non-blocking": unix.O_NONBLOCK} {
		t.Run(name, func(t *testing.T) {
			r, w := pipeFiles(t, flags)
			ctx, stop := context.WithCancel(t.Context())
			const size = 1 << 20
			done := make(chan int)
			go func() {
				n, err := w.Write(ctx, make([]byte, size))
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				check(w.Close())
				done <- n
			}()
			got := 0
			p := make([]byte, 4096)
			for got < size/4 {
				n, err := r.Read(t.Context(), p)
				check(err)
				got += n
			}
			stop()
			n := <-done // it waits for room, and nobody makes any
			rest, err := io.ReadAll(r.Reader(t.Context()))
			check(err)
			if n != got+len(rest) {
				t.Errorf("written %d, read %d", n, got+len(rest))
			}
		})
	}
}

// Closing a file ends what waits at it, frees the number, and does so once (clause 18).
func TestC18_Close(t *testing.T) {
	for i := range 60 { // closed before, while, and after they begin to wait
		name, flags := "blocking", 0
		if i%2 == 1 {
			name, flags = "non-blocking", unix.O_NONBLOCK
		}
		t.Run(name, func(t *testing.T) {
			r, _ := pipeFiles(t, flags)
			fd := r.Fd()
			var calls sync.WaitGroup
			for i := range 20 {
				ctx := context.Background()
				if i%2 == 0 {
					ctx = cancellable(t)
				}
				calls.Go(func() {
					if _, err := r.Read(ctx, make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
						t.Errorf("read: %v", err)
					}
				})
			}
			spin(i * 5000)
			check(r.Close())
			calls.Wait()
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
				t.Errorf("the descriptor is open: %v", err)
			}
			if err := r.Close(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("second close: %v", err)
			}
			if _, err := r.Read(cancellable(t), nil); !errors.Is(err, os.ErrClosed) {
				t.Errorf("read after close: %v", err)
			}
		})
	}
	// close(2) under a context that has ended.
	ctx, stop := context.WithCancel(t.Context())
	stop()
	fd := must(unix.Dup(0))
	if _, _, err := cancel.Syscall(ctx, unix.SYS_CLOSE, uintptr(fd), 0, 0, 0, 0, 0); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := unix.Close(fd); err != unix.EBADF {
		t.Errorf("close did not free the number: %v", err)
	}
}

// Closing and reading race; a number that is free again is never read by the late one.
func TestC06_CloseRacesRead(t *testing.T) {
	for range 500 {
		var fds [2]int
		check(unix.Pipe2(fds[:], unix.O_CLOEXEC))
		r, err := cancel.NewFile(os.NewFile(uintptr(fds[0]), "r"))
		check(err)
		var calls sync.WaitGroup
		for _, ctx := range []context.Context{cancellable(t), context.Background()} {
			calls.Go(func() {
				if _, err := r.Read(ctx, make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
					t.Error(err)
				}
			})
		}
		check(r.Close())
		calls.Wait()
		// The pipe has no reader any more.
		if _, err := unix.Write(fds[1], []byte{1}); err != unix.EPIPE {
			t.Fatalf("write: %v", err)
		}
		check(unix.Close(fds[1]))
	}
}

func TestLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	a, err := cancel.RLock(t.Context(), name)
	check(err)
	b, err := cancel.RLock(t.Context(), name)
	check(err)
	if _, err := cancel.TryLock(name); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("TryLock of a locked file: %v", err)
	}
	check(a.Unlock())
	ctx, stop := context.WithCancel(t.Context())
	go stop()
	if _, err := cancel.Lock(ctx, name); !errors.Is(err, context.Canceled) {
		t.Errorf("Lock: %v", err)
	}
	check(b.Unlock())
	c, err := cancel.TryLock(name)
	check(err)
	check(c.Unlock())
	if err := c.Unlock(); err == nil {
		t.Error("Unlock twice")
	}
}
