package cancel_test

import (
	"context"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

func cancellable(tb testing.TB) context.Context {
	ctx, stop := context.WithCancel(context.Background())
	tb.Cleanup(stop)
	return ctx
}

func zero(tb testing.TB) int {
	fd, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { unix.Close(fd) })
	return fd
}

// BenchmarkRead reads a byte that is there, in the ways there are.
func BenchmarkRead(b *testing.B) {
	fd, p := zero(b), make([]byte, 1)
	ctx, bg := cancellable(b), context.Background()
	for _, bb := range []struct {
		name string
		read func() (int, error)
	}{
		{"syscall", func() (int, error) { return syscall.Read(fd, p) }},
		{"unix", func() (int, error) { return unix.Read(fd, p) }},
		{"background", func() (int, error) { return cancel.Read(bg, fd, p) }},
		{"cancellable", func() (int, error) { return cancel.Read(ctx, fd, p) }},
		{"poll+read", func() (int, error) {
			fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if _, err := unix.Poll(fds[:], -1); err != nil {
				return 0, err
			}
			return unix.Read(fd, p)
		}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if n, err := bb.read(); n != 1 || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
	b.Run("cancelreader", func(b *testing.B) { benchCancelReader(b, fd, p) })
	b.Run("file", func(b *testing.B) {
		osf, err := os.Open("/dev/zero")
		if err != nil {
			b.Fatal(err)
		}
		f, err := cancel.NewFile(osf)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		b.ReportAllocs()
		for b.Loop() {
			if n, err := f.Read(ctx, p); n != 1 || err != nil {
				b.Fatal(n, err)
			}
		}
	})
}

// benchCancelReader reads the way that needs no signals: a pipe that a cancel writes to, waited for together with the
// file.
func benchCancelReader(b *testing.B, fd int, p []byte) {
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(epfd)
	var data [2]int
	if err := unix.Pipe2(data[:], unix.O_CLOEXEC); err != nil {
		b.Fatal(err)
	}
	defer unix.Close(data[0])
	defer unix.Close(data[1])
	if _, err := unix.Write(data[1], p); err != nil {
		b.Fatal(err)
	}
	for _, f := range []int{int(r.Fd()), data[0]} {
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(f)}
		if err := unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, f, &ev); err != nil {
			b.Fatal(err)
		}
	}
	events := make([]unix.EpollEvent, 2)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := unix.EpollWait(epfd, events, -1); n != 1 || err != nil {
			b.Fatal(n, err)
		}
		if n, err := unix.Read(fd, p); n != 1 || err != nil {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkParallel has all processors read under one context.
func BenchmarkParallel(b *testing.B) {
	fd, ctx := zero(b), cancellable(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		p := make([]byte, 1)
		for pb.Next() {
			if _, err := cancel.Read(ctx, fd, p); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkCancel blocks in a read and cancels it: what one cancel costs from end to end.
func BenchmarkCancel(b *testing.B) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	p := make([]byte, 1)
	b.ReportAllocs()
	for b.Loop() {
		ctx, stop := context.WithCancel(context.Background())
		go stop()
		if _, err := cancel.Read(ctx, fds[0], p); err != context.Canceled {
			b.Fatal(err)
		}
	}
}
