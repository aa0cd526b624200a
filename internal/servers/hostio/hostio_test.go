package hostio_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/hostio"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

var ctx = context.Background()

// memArg is an ioctl argument that points to memory.
type memArg []byte

func (m memArg) Value() uint64                   { return 0x1000 }
func (m memArg) ReadAt(p []byte, off int) error  { copy(p, m[off:]); return nil }
func (m memArg) WriteAt(p []byte, off int) error { copy(m[off:], p); return nil }

// numArg is one that is a number.
type numArg uint64

func (n numArg) Value() uint64           { return uint64(n) }
func (numArg) ReadAt([]byte, int) error  { return syscall.EFAULT }
func (numArg) WriteAt([]byte, int) error { return syscall.EFAULT }

func open(t *testing.T, fds ...int) []hostio.File {
	t.Helper()
	files, err := hostio.Open(fds...)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// census returns the number of open descriptors, less the one it needs.
func census(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// checkCensus fails the test if it leaves more descriptors than it found.
func checkCensus(t *testing.T) {
	t.Helper()
	before := census(t)
	t.Cleanup(func() {
		if after := census(t); after > before {
			t.Errorf("%d descriptors, were %d", after, before)
		}
	})
}

func pipe(t *testing.T) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return p[0], p[1]
}

func fcntlFlags(t *testing.T, fd int) int {
	t.Helper()
	fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fl
}

// await waits for one of events.
func await(f vfs.File, events vfs.Events, attempt func() bool) {
	woken := make(chan struct{}, 1)
	w := &vfs.Waiter{Mask: events, Wake: func(*vfs.Waiter, vfs.Events) {
		select {
		case woken <- struct{}{}:
		default:
		}
	}}
	p := f.(vfs.Pollable)
	p.Watch(w)
	defer p.Unwatch(w)
	for !attempt() {
		<-woken
	}
}

func readAll(t *testing.T, f vfs.File, want int) string {
	t.Helper()
	var got []byte
	buf := make([]byte, 64<<10)
	await(f, vfs.EventsIn|vfs.EventRdHup, func() bool {
		for len(got) < want {
			n, err := vfs.Read(ctx, f, buf[:min(len(buf), want-len(got))], 0)
			if err == syscall.EAGAIN {
				return false
			}
			if err != nil {
				t.Error(err)
				return true
			}
			if n == 0 {
				return true
			}
			got = append(got, buf[:n]...)
		}
		return true
	})
	return string(got)
}

func writeAll(t *testing.T, f vfs.File, p []byte) {
	t.Helper()
	await(f, vfs.EventsOut, func() bool {
		for len(p) > 0 {
			n, err := vfs.Write(ctx, f, p, 0)
			if err == syscall.EAGAIN {
				return false
			}
			if err != nil {
				t.Error(err)
				return true
			}
			p = p[n:]
		}
		return true
	})
}

// streams are the ways to have a stream: each returns the two ends to be given
// to hostio.
var streams = map[string]func(t *testing.T) (r, w int){
	"pipe": pipe,
	"fifo": func(t *testing.T) (r, w int) {
		name := filepath.Join(t.TempDir(), "fifo")
		if err := unix.Mkfifo(name, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if w, err = unix.Open(name, unix.O_WRONLY|unix.O_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
		if err := unix.SetNonblock(r, false); err != nil {
			t.Fatal(err)
		}
		return r, w
	},
	"socket": func(t *testing.T) (r, w int) {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return p[0], p[1]
	},
}

func TestStreams(t *testing.T) {
	for name, make := range streams {
		t.Run(name, func(t *testing.T) {
			checkCensus(t)
			r, w := make(t)
			files := open(t, r, w)
			if fcntlFlags(t, r)&unix.O_NONBLOCK != 0 || fcntlFlags(t, w)&unix.O_NONBLOCK != 0 {
				t.Error("the shared description became non-blocking")
			}
			unix.Close(r)
			unix.Close(w)
			fr, fw := files[0], files[1]
			if !vfs.IsStream(fr) {
				t.Error("no stream")
			}
			if _, err := vfs.Read(ctx, fr, []byte{0}, 0); err != syscall.EAGAIN {
				t.Errorf("read of nothing: %v", err)
			}
			if e := vfs.Ready(fr, vfs.EventIn); e != 0 {
				t.Errorf("ready for %#x before a write", e)
			}
			data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // far more than fits
			done := chanOf(func() string { return readAll(t, fr, len(data)) })
			writeAll(t, fw, data)
			if got := <-done; got != string(data) {
				t.Errorf("read %d bytes, other ones than the %d written", len(got), len(data))
			}

			writeAll(t, fw, []byte("tail"))
			if e := vfs.Ready(fr, vfs.EventIn); e != vfs.EventIn {
				t.Errorf("ready for %#x after a write", e)
			}
			var n [4]byte
			if _, err := fr.(vfs.Ioctler).Ioctl(ctx, unix.TIOCINQ, memArg(n[:])); err != nil || n[0] != 4 {
				t.Errorf("FIONREAD %v, %v", n, err)
			}
			fw.Close()
			if got := readAll(t, fr, 100); got != "tail" {
				t.Errorf("read %q at the end", got)
			}
			if e := vfs.Ready(fr, vfs.EventIn); e&vfs.EventHup == 0 {
				t.Errorf("ready for %#x after the end", e)
			}
			fr.Close()
		})
	}
}

func chanOf[T any](f func() T) <-chan T {
	c := make(chan T, 1)
	go func() { c <- f() }()
	return c
}

func TestBrokenPipe(t *testing.T) {
	for name, make := range streams {
		t.Run(name, func(t *testing.T) {
			checkCensus(t)
			r, w := make(t)
			f := open(t, w)[0]
			unix.Close(w)
			unix.Close(r)
			if _, err := vfs.Write(ctx, f, []byte("x"), 0); err != syscall.EPIPE {
				t.Errorf("write: %v", err)
			}
			f.Close()
		})
	}
	t.Run("from the start", func(t *testing.T) {
		checkCensus(t)
		r, w := pipe(t)
		unix.Close(r)
		f := open(t, w)[0]
		unix.Close(w)
		if _, err := vfs.Write(ctx, f, []byte("x"), 0); err != syscall.EPIPE {
			t.Errorf("write: %v", err)
		}
		f.Close()
	})
}

// An atomic write of a shared description that cannot be opened anew never
// waits, and a reader elsewhere keeps its own blocking description.
func TestSharedWithoutReaders(t *testing.T) {
	checkCensus(t)
	r, w := pipe(t)
	keep := open(t, r)[0] // the reader comes after the writer's file was made
	defer keep.Close()
	f := open(t, w)[0]
	defer f.Close()
	unix.Close(r)
	unix.Close(w)
	p := make([]byte, 3000)
	total := 0
	for {
		n, err := vfs.Write(ctx, f, p, 0)
		if err == syscall.EAGAIN {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	if got := len(readAll(t, keep, total)); got != total {
		t.Errorf("read %d of %d", got, total)
	}
}

func TestUnwatchEndsWaiting(t *testing.T) {
	checkCensus(t)
	r, w := pipe(t)
	defer unix.Close(w)
	f := open(t, r)[0]
	unix.Close(r)
	calls := 0
	wt := &vfs.Waiter{Mask: vfs.EventIn, Wake: func(*vfs.Waiter, vfs.Events) { calls++ }}
	for range 100 {
		f.(vfs.Pollable).Watch(wt)
		f.(vfs.Pollable).Watch(wt)
		f.(vfs.Pollable).Unwatch(wt)
		f.(vfs.Pollable).Unwatch(wt)
	}
	if _, err := unix.Write(w, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if calls != 0 {
		t.Errorf("woken %d times", calls)
	}
	f.(vfs.Pollable).Watch(wt) // closed while watched: the goroutine still ends
	f.Close()
	f.(vfs.Pollable).Unwatch(wt)
}

func TestNode(t *testing.T) {
	checkCensus(t)
	name := filepath.Join(t.TempDir(), "f")
	in, err := unix.Open(name, unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, in)[0]
	if _, err := vfs.Open(ctx, f.Node(), unix.O_WRONLY); err != syscall.EACCES {
		t.Errorf("opened for writing what hati may read: %v", err)
	}
	if err := vfs.SetAttributes(ctx, f.Node(), f, vfs.SetAttr{Valid: vfs.SetSize}); err != syscall.EPERM {
		t.Errorf("truncated what hati may read: %v", err)
	}
	f.Close()

	w, err := unix.Open(name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	files := open(t, in, w)
	unix.Close(in)
	unix.Close(w)
	if files[0].Node() != files[1].Node() {
		t.Error("two nodes of one file")
	}
	again, err := vfs.Open(ctx, files[0].Node(), unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := again.(vfs.OffsetKeeper).WriteNext(ctx, []byte("abc")); n != 3 || err != nil {
		t.Errorf("write %d, %v", n, err)
	}
	if off, _ := files[0].(vfs.OffsetKeeper).Lseek(ctx, 0, unix.SEEK_CUR); off != 0 {
		t.Errorf("a file opened anew shares its offset: %d", off)
	}
	s := vfs.SetAttr{Valid: vfs.SetSize | vfs.SetMtime, Size: 2, Mtime: syscall.Timespec{Sec: 12345}}
	if err := vfs.SetAttributes(ctx, again.Node(), again, s); err != nil {
		t.Error(err)
	}
	if err := vfs.SetAttributes(ctx, again.Node(), again, vfs.SetAttr{Valid: vfs.SetMode}); err != syscall.EPERM {
		t.Errorf("chmod: %v", err)
	}
	for _, f := range append(files, again.(hostio.File)) {
		f.Close()
	}
	a, err := files[0].Node().Stat(ctx) // still known after the end
	if err != nil || a.Size != 2 || a.Mtime.Sec != 12345 || !a.IsRegular() {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestBadDescriptor(t *testing.T) {
	checkCensus(t)
	r, w := pipe(t)
	defer unix.Close(r)
	defer unix.Close(w)
	if _, err := hostio.Open(r, w, 1<<20); !errors.Is(err, syscall.EBADF) {
		t.Errorf("opened a closed descriptor: %v", err)
	}
}

func BenchmarkPipeRead(b *testing.B) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		b.Fatal(err)
	}
	files, err := hostio.Open(p[0], p[1])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	buf := make([]byte, 64)
	for b.Loop() {
		vfs.Write(ctx, files[1], buf, 0)
		vfs.Read(ctx, files[0], buf, 0)
	}
	for i, f := range files {
		f.Close()
		unix.Close(p[i])
	}
}
