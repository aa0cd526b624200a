package cancel_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

// Every call, when nothing cancels it, does what its namesake does, under both kinds of contexts.
func TestCalls_DoTheirWork(t *testing.T) {
	for name, ctx := range map[string]context.Context{"cancellable": cancellable(t), "background": context.Background()} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			fd := must(cancel.Open(ctx, path, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600))
			closeAtEnd(t, fd)
			equal(t, "write", must(cancel.Write(ctx, fd, []byte("abcdef"))), 6)
			equal(t, "pwrite", must(cancel.Pwrite(ctx, fd, []byte("C"), 2)), 1)
			p, q := make([]byte, 2), make([]byte, 3)
			equal(t, "pread", must(cancel.Pread(ctx, fd, p, 1)), 2)
			equal(t, "pread", string(p), "bC")
			equal(t, "writev", must(cancel.Writev(ctx, fd, [][]byte{[]byte("gh"), nil, []byte("i")})), 3)
			must64(unix.Seek(fd, 5, 0))
			equal(t, "readv", must(cancel.Readv(ctx, fd, [][]byte{p, nil, q})), 4)
			equal(t, "readv", string(p)+string(q[:2]), "fghi")
			check(cancel.Fsync(ctx, fd))
			check(cancel.Flock(ctx, fd, unix.LOCK_EX))
			check(cancel.FcntlFlock(ctx, uintptr(fd), unix.F_SETLKW, &unix.Flock_t{Type: unix.F_WRLCK}))
			equal(t, "getrandom", must(cancel.Getrandom(ctx, q, 0)), 3)

			fd2, err := cancel.Openat2(ctx, unix.AT_FDCWD, path, &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC})
			if err != unix.ENOSYS { // before Linux 5.6
				check(err)
				check(unix.Close(fd2))
				_, err = cancel.Openat2(ctx, unix.AT_FDCWD, path+"/x", &unix.OpenHow{Flags: unix.O_RDONLY})
				equal(t, "openat2", err, error(unix.ENOTDIR))
			}
			_, err = cancel.Open(ctx, "a\x00b", unix.O_RDONLY, 0)
			equal(t, "open", err, error(unix.EINVAL))

			r, w := pipe(t)
			r2, w2 := pipe(t)
			must(unix.Write(w, []byte("xyz")))
			var off int64 = 9
			n, err := cancel.Splice(ctx, r, nil, w2, nil, 2, 0)
			check(err)
			equal(t, "splice", n, 2)
			n, err = cancel.Splice(ctx, r, nil, fd, &off, 1, 0)
			check(err)
			equal(t, "splice", off, 10)
			equal(t, "splice", queued(r2), 2)
			waiting := 0
			if _, err := cancel.Ioctl(ctx, r2, unix.TIOCINQ, pointer(&waiting)); err != nil || waiting != 2 {
				t.Errorf("ioctl: %d, %v", waiting, err)
			}
			equal(t, "ioctl FIOCLEX", must(cancel.IoctlInt(ctx, r2, 0x5451, 0)), 0)

			fds := []unix.PollFd{{Fd: int32(r2), Events: unix.POLLIN}}
			equal(t, "poll", must(cancel.Poll(ctx, fds, -1)), 1)
			equal(t, "poll", fds[0].Revents, unix.POLLIN)
			equal(t, "ppoll", must(cancel.Ppoll(ctx, fds[:0], &unix.Timespec{Nsec: 1}, nil)), 0)
			_, err = cancel.Ppoll(ctx, fds, &unix.Timespec{Nsec: 1e9}, nil)
			equal(t, "ppoll", err, error(unix.EINVAL))
			equal(t, "nanosleep", cancel.Nanosleep(ctx, &unix.Timespec{Nsec: -1}, nil), error(unix.EINVAL))
			check(cancel.ClockNanosleep(ctx, unix.CLOCK_REALTIME, 0, &unix.Timespec{Nsec: 1000}, nil))
			check(cancel.ClockNanosleep(ctx, unix.CLOCK_REALTIME, unix.TIMER_ABSTIME, &unix.Timespec{Sec: 1}, nil))
		})
	}
}

func must64(n int64, err error) int64 {
	check(err)
	return n
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestCalls_Sockets(t *testing.T) {
	dir := t.TempDir()
	for name, addr := range map[string]unix.Sockaddr{
		"inet4":    &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}},
		"inet6":    &unix.SockaddrInet6{Addr: [16]byte{15: 1}},
		"unix":     &unix.SockaddrUnix{Name: dir + "/socket"},
		"abstract": &unix.SockaddrUnix{Name: "@" + filepath.Base(dir) + "/cancel"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := cancellable(t)
			domain := map[string]int{"inet4": unix.AF_INET, "inet6": unix.AF_INET6}[name]
			if domain == 0 {
				domain = unix.AF_UNIX
			}
			l, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Skip(err)
			}
			closeAtEnd(t, l)
			if err := unix.Bind(l, addr); err != nil {
				t.Skip(err)
			}
			check(unix.Listen(l, 1))
			addr, err := unix.Getsockname(l)
			check(err)
			c := must(unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
			closeAtEnd(t, c)
			if domain == unix.AF_UNIX {
				check(unix.Bind(c, &unix.SockaddrUnix{Name: "@" + filepath.Base(dir) + "/client/" + name}))
			}
			check(cancel.Connect(ctx, c, addr))
			s, from, err := cancel.Accept4(ctx, l, unix.SOCK_CLOEXEC)
			check(err)
			closeAtEnd(t, s)
			want, err := unix.Getsockname(c)
			check(err)
			if show(from) != show(want) {
				t.Errorf("accepted from %v, want %v", show(from), show(want))
			}
			check(cancel.Sendmsg(ctx, c, []byte("hello"), nil, nil, 0))
			p := make([]byte, 8)
			n, _, _, _, err := cancel.Recvmsg(ctx, s, p, nil, 0)
			if string(p[:n]) != "hello" || err != nil {
				t.Errorf("received %q, %v", p[:n], err)
			}
		})
	}
	// Datagrams have addresses too.
	ctx := cancellable(t)
	a, b := must(unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)), must(unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0))
	closeAtEnd(t, a, b)
	check(unix.Bind(a, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	check(unix.Bind(b, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	to, err := unix.Getsockname(a)
	check(err)
	want, err := unix.Getsockname(b)
	check(err)
	equal(t, "sendmsg", must(cancel.SendmsgN(ctx, b, []byte("x"), nil, to, 0)), 1)
	_, _, _, from, err := cancel.Recvmsg(ctx, a, make([]byte, 1), nil, 0)
	check(err)
	equal(t, "recvmsg", show(from), show(want))
	equal(t, "connect", cancel.Connect(ctx, b, &unix.SockaddrALG{}), error(unix.EAFNOSUPPORT))
}

// The addresses of packet sockets.
func TestCalls_PacketSockets(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip(err)
	}
	const protocol = 0xb588 // of local experiments, in network order
	s, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		t.Skip("packet sockets: ", err)
	}
	closeAtEnd(t, s)
	to := &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: lo.Index, Halen: 6}
	ctx, p := cancellable(t), make([]byte, 8)
	check(cancel.Sendmsg(ctx, s, []byte("packet"), nil, to, 0))
	n, _, _, from, err := cancel.Recvmsg(ctx, s, p, nil, 0)
	check(err)
	if ll, ok := from.(*unix.SockaddrLinklayer); string(p[:n]) != "packet" || !ok || ll.Protocol != protocol || ll.Ifindex != lo.Index {
		t.Errorf("received %q from %+v", p[:n], from)
	}
}

func show(sa unix.Sockaddr) string {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return string(sa.Addr[:]) + string(rune(sa.Port))
	case *unix.SockaddrInet6:
		return string(sa.Addr[:]) + string(rune(sa.Port))
	case *unix.SockaddrUnix:
		return sa.Name
	}
	return "?"
}

// A cancelled connect leaves a socket that can be used again.
func TestC02_ConnectIsDissolved(t *testing.T) {
	l := must(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	closeAtEnd(t, l)
	check(unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	check(unix.Listen(l, 0))
	addr, err := unix.Getsockname(l)
	check(err)
	tcp := func() int {
		fd := must(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
		closeAtEnd(t, fd)
		return fd
	}
	// The kernel drops what it has no room for; the third waits for an answer that does not come.
	check(unix.Connect(tcp(), addr))
	fd := tcp()
	for cancelled := false; !cancelled; fd = tcp() {
		ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := cancel.Connect(ctx, fd, addr)
		cancelled = err == context.DeadlineExceeded
		stop()
		if err != nil && !cancelled {
			t.Fatal(err)
		}
		if cancelled {
			// It is as it was: connecting begins anew, not EALREADY, and reaches another listener.
			l2 := tcp()
			check(unix.Bind(l2, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
			check(unix.Listen(l2, 1))
			addr2, err := unix.Getsockname(l2)
			check(err)
			if err := cancel.Connect(cancellable(t), fd, addr2); err != nil {
				t.Errorf("connecting again: %v", err)
			}
		}
	}
}

func TestCalls_Children(t *testing.T) {
	ctx := cancellable(t)
	pid := sleeper(t)
	check(unix.Kill(pid, unix.SIGKILL))
	check(cancel.Waitid(ctx, unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil))
	var status unix.WaitStatus
	var usage unix.Rusage
	equal(t, "wait4", must(cancel.Wait4(ctx, pid, &status, 0, &usage)), pid)
	if !status.Signaled() || status.Signal() != unix.SIGKILL {
		t.Errorf("status %#x", status)
	}
	_, err := cancel.Wait4(ctx, pid, nil, 0, nil)
	equal(t, "wait4", err, error(unix.ECHILD))
}

// No call allocates in its steady state.
func TestCalls_DoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx, fd := cancellable(t), zero(t)
	valued := context.WithValue(ctx, t, t)
	p := make([]byte, 8)
	r, w := pipe(t)
	a, b := pair(t, unix.SOCK_STREAM)
	osf, err := os.Open("/dev/zero")
	check(err)
	f, err := cancel.NewFile(osf)
	check(err)
	defer f.Close()
	for name, call := range map[string]func(){
		"read":         func() { must(cancel.Read(ctx, fd, p)) },
		"read (value)": func() { must(cancel.Read(valued, fd, p)) },
		"pipe":         func() { must(cancel.Write(ctx, w, p)); must(cancel.Read(ctx, r, p)) },
		"readv":        func() { bufs := [2][]byte{p, p}; must(cancel.Readv(ctx, fd, bufs[:])) },
		"socket": func() {
			check(cancel.Sendmsg(ctx, a, p, nil, nil, 0))
			_, _, _, _, err := cancel.Recvmsg(ctx, b, p, nil, 0)
			check(err)
		},
		"poll":      func() { fds := [1]unix.PollFd{{Fd: int32(fd), Events: 1}}; must(cancel.Poll(ctx, fds[:], 100)) },
		"nanosleep": func() { ts := unix.Timespec{Nsec: 1}; check(cancel.Nanosleep(ctx, &ts, nil)) },
		"flock":     func() { check(cancel.Flock(ctx, fd, unix.LOCK_SH)) },
		"file":      func() { must(f.Read(ctx, p)) },
		"error":     func() { _, _ = cancel.Read(ctx, -1, p) },
	} {
		if n := testing.AllocsPerRun(100, call); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// A context that is dropped without being cancelled is not kept alive by the calls made under it; one of a kind that
// the standard library does not know leaves no goroutine.
func TestC22_ContextsAreNotKept(t *testing.T) {
	fd := zero(t)
	runtime.GC()
	watchers, goroutines := cancel.Watchers(), runtime.NumGoroutine()
	collected := make(chan struct{}, 2)
	func() {
		type key struct{}
		value := new([64]byte)
		runtime.AddCleanup(value, func(int) { collected <- struct{}{} }, 0)
		ctx := context.WithValue(context.Background(), key{}, value)
		ctx, forgotten := context.WithCancel(ctx)
		_ = forgotten
		must(cancel.Read(ctx, fd, make([]byte, 1)))
		foreign := foreignContext{context.WithValue(context.Background(), key{}, value), make(chan struct{})}
		must(cancel.Read(foreign, fd, make([]byte, 1)))
	}()
	eventually(t, "goroutines", goroutines, runtime.NumGoroutine)
	eventually(t, "uncollected contexts", 0, func() int { runtime.GC(); return 1 - len(collected) })
	eventually(t, "watchers", watchers, func() int { runtime.GC(); return cancel.Watchers() })
}

// The values of a context are not kept as long as the one that can be cancelled above it.
func TestC22_ValuesAreNotKept(t *testing.T) {
	type key struct{}
	ctx, fd := cancellable(t), zero(t)
	collected := make(chan struct{}, 1)
	func() {
		value := new([64]byte)
		runtime.AddCleanup(value, func(int) { collected <- struct{}{} }, 0)
		must(cancel.Read(context.WithValue(ctx, key{}, value), fd, make([]byte, 1)))
	}()
	eventually(t, "values kept", 0, func() int { runtime.GC(); return 1 - len(collected) })
	must(cancel.Read(ctx, fd, make([]byte, 1)))
}

// foreignContext is not the standard library's.
type foreignContext struct {
	context.Context
	done chan struct{}
}

func (c foreignContext) Done() <-chan struct{} { return c.done }
func (c foreignContext) Err() error {
	select {
	case <-c.done:
		return errForeign
	default:
		return nil
	}
}

var errForeign = errors.New("foreign")

func TestForeignContextCancels(t *testing.T) {
	r, _ := pipe(t)
	for range 100 {
		ctx := foreignContext{context.Background(), make(chan struct{})}
		go close(ctx.done)
		if _, err := cancel.Read(ctx, r, make([]byte, 1)); err != errForeign {
			t.Fatal(err)
		}
	}
}

func TestThreadIDNeedsNoSystemCall(t *testing.T) {
	check(cancel.Flock(cancellable(t), file(t, t.TempDir()+"/f"), unix.LOCK_SH))
	if !cancel.ThreadIDIsFound() {
		t.Skip("each call asks the kernel for its thread: it works, but costs 100 ns more")
	}
}
