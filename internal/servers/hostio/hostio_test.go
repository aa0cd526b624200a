package hostio_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strconv"
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

func TestDisk(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags int
		after string // content at the end
	}{
		{"plain", unix.O_RDWR, "he==o guest shell"},
		{"append", unix.O_RDWR | unix.O_APPEND, "hello guest shell=="},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkCensus(t)
			name := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(name, []byte("hello"), 0o600); err != nil {
				t.Fatal(err)
			}
			fd, err := unix.Open(name, c.flags|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			f := open(t, fd)[0]
			defer f.Close()
			if f.Flags() != c.flags {
				t.Errorf("flags %#o, want %#o", f.Flags(), c.flags)
			}
			if vfs.IsStream(f) {
				t.Error("a stream")
			}
			k := f.(vfs.OffsetKeeper)
			p := make([]byte, 100)
			if n, err := k.ReadNext(ctx, p); string(p[:n]) != "hello" || err != nil {
				t.Fatalf("read %q, %v", p[:n], err)
			}
			if n, err := k.WriteNext(ctx, []byte(" guest")); n != 6 || err != nil {
				t.Fatalf("write %d, %v", n, err)
			}
			if _, err := unix.Write(fd, []byte(" shell")); err != nil { // goes on where the guest stopped
				t.Fatal(err)
			}
			if off, err := k.Lseek(ctx, 0, unix.SEEK_CUR); off != 17 || err != nil {
				t.Errorf("offset %d, %v", off, err)
			}
			if off, err := k.Lseek(ctx, 3, unix.SEEK_SET); off != 3 || err != nil {
				t.Errorf("offset %d, %v", off, err)
			}
			if off, _ := unix.Seek(fd, 0, unix.SEEK_CUR); off != 3 {
				t.Errorf("the shell's offset is %d", off)
			}
			if n, err := vfs.Write(ctx, f, []byte("=="), 2); n != 2 || err != nil {
				t.Errorf("pwrite %d, %v", n, err)
			}
			if n, err := vfs.Read(ctx, f, p, 1); string(p[:n]) != c.after[1:] || err != nil {
				t.Errorf("pread %q, %v", p[:n], err)
			}
			if off, _ := unix.Seek(fd, 0, unix.SEEK_CUR); off != 3 {
				t.Errorf("pread or pwrite moved the offset to %d", off)
			}
			if n, end, err := f.(vfs.Appender).Append(ctx, []byte("!")); n != 1 || end != int64(len(c.after)+1) || err != nil {
				t.Errorf("append %d, %d, %v", n, end, err)
			}
			if got, _ := os.ReadFile(name); string(got) != c.after+"!" {
				t.Errorf("file has %q", got)
			}
		})
	}
}

func TestDiskMap(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flags, prot int
		shared      bool
		want        error
	}{
		{unix.O_RDONLY, unix.PROT_READ, true, nil},
		{unix.O_RDONLY, unix.PROT_READ | unix.PROT_WRITE, false, nil},
		{unix.O_RDONLY, unix.PROT_READ | unix.PROT_WRITE, true, syscall.EACCES},
		{unix.O_RDWR, unix.PROT_READ | unix.PROT_WRITE, true, nil},
		{unix.O_WRONLY, unix.PROT_READ, false, syscall.EACCES},
	} {
		fd, err := unix.Open(name, c.flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := open(t, fd)[0]
		unix.Close(fd)
		m, err := f.(vfs.Mapper).Map(ctx, c.prot, c.shared)
		if err != c.want {
			t.Errorf("%+v: %v", c, err)
		}
		if err == nil {
			flags := unix.MAP_PRIVATE
			if c.shared {
				flags = unix.MAP_SHARED
			}
			b, err := unix.Mmap(m.FD, m.Offset, 4096, c.prot, flags)
			if err != nil {
				t.Errorf("%+v: mmap %v", c, err)
			} else {
				unix.Munmap(b)
			}
			m.Release()
		}
		f.Close()
	}
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

func TestNullIsDisk(t *testing.T) {
	checkCensus(t)
	fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, fd)[0]
	unix.Close(fd)
	defer f.Close()
	if n, err := f.(vfs.OffsetKeeper).ReadNext(ctx, make([]byte, 5)); n != 0 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	if n, err := f.(vfs.OffsetKeeper).WriteNext(ctx, make([]byte, 5)); n != 5 || err != nil {
		t.Errorf("write %d, %v", n, err)
	}
	if off, err := f.(vfs.OffsetKeeper).Lseek(ctx, 9, 0); off != 0 || err != nil {
		t.Errorf("lseek %d, %v", off, err)
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

// hostPty opens a terminal of the host; the test is skipped where there is none.
func hostPty(t *testing.T) (master, slave int) {
	t.Helper()
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = unix.Open("/dev/pts/"+strconv.Itoa(n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

func TestConsole(t *testing.T) {
	checkCensus(t)
	master, slave := hostPty(t)
	defer unix.Close(master)
	defer unix.Close(slave)
	found, err := unix.IoctlGetTermios(slave, unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	files := open(t, slave, slave, slave)
	if fcntlFlags(t, slave)&unix.O_NONBLOCK != 0 {
		t.Error("the shared description became non-blocking")
	}
	c, ok := files[0].(*hostio.Console)
	if !ok {
		t.Fatalf("a %T", files[0])
	}
	if files[1].(vfs.Terminal).Line() != c.Line() || c.IsMaster() {
		t.Error("the files do not share their terminal")
	}
	c.Line().SetForeground(7)
	c.Line().SetSession(5)
	if l := files[1].(vfs.Terminal).Line(); l.Foreground() != 7 || l.Session() != 5 {
		t.Error("job control state is not shared")
	}
	if r := c.ReadRule(); r != (vfs.ReadRule{Min: 1}) {
		t.Errorf("rule %+v in canonical mode", r)
	}

	// Typed and read.
	if _, err := vfs.Read(ctx, c, make([]byte, 9), 0); err != syscall.EAGAIN {
		t.Errorf("read of nothing: %v", err)
	}
	got := chanOf(func() string { return readAll(t, c, 6) })
	if _, err := unix.Write(master, []byte("typed\r")); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s != "typed\n" {
		t.Errorf("read %q", s)
	}
	// Written and shown, after the echo.
	writeAll(t, files[1], []byte("out\n"))
	buf := make([]byte, 100)
	want := "typed\r\nout\r\n"
	for have := ""; have != want; {
		n, err := unix.Read(master, buf)
		if err != nil {
			t.Fatal(err)
		}
		have += string(buf[:n])
		if len(have) > len(want) {
			t.Fatalf("shown %q", have)
		}
	}

	// Modes.
	raw := make([]byte, 36)
	if _, err := c.Ioctl(ctx, unix.TCGETS, memArg(raw)); err != nil {
		t.Fatal(err)
	}
	if l := binary.LittleEndian.Uint32(raw[12:]); l != found.Lflag {
		t.Errorf("local modes %#x, want %#x", l, found.Lflag)
	}
	binary.LittleEndian.PutUint32(raw[12:], found.Lflag&^(unix.ICANON|unix.ECHO)|unix.TOSTOP)
	raw[17+unix.VMIN], raw[17+unix.VTIME] = 4, 2
	if _, err := c.Ioctl(ctx, unix.TCSETSF, memArg(raw)); err != nil {
		t.Fatal(err)
	}
	now, _ := unix.IoctlGetTermios(slave, unix.TCGETS)
	if now.Lflag&(unix.ICANON|unix.ECHO) != 0 {
		t.Error("modes did not reach the host")
	}
	if r := c.ReadRule(); r != (vfs.ReadRule{Min: 4, Timeout: 200e6, PerByte: true}) {
		t.Errorf("rule %+v in raw mode", r)
	}
	if !c.Line().StopsOutput() {
		t.Error("TOSTOP not told")
	}

	// Size.
	if _, err := c.Ioctl(ctx, unix.TIOCSWINSZ, memArg{24, 0, 80, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if ws, _ := unix.IoctlGetWinsize(master, unix.TIOCGWINSZ); ws.Row != 24 || ws.Col != 80 {
		t.Errorf("size %+v", ws)
	}
	for _, r := range []struct {
		cmd  uint32
		arg  vfs.IoctlArg
		want error
	}{
		{unix.TIOCSTI, memArg{'x'}, syscall.EIO},
		{unix.TCFLSH, numArg(unix.TCIOFLUSH), nil},
		{unix.TCFLSH, numArg(99), syscall.EINVAL},
		{unix.TCSBRK, numArg(1), nil},
		{unix.TIOCSETD, memArg{0, 0, 0, 0}, nil},
		{unix.TIOCSETD, memArg{3, 0, 0, 0}, syscall.EINVAL},
		{unix.TIOCLINUX, memArg{0}, syscall.ENOTTY},
		{unix.TIOCCONS, numArg(0), syscall.ENOTTY},
	} {
		if _, err := c.Ioctl(ctx, r.cmd, r.arg); err != r.want {
			t.Errorf("ioctl %#x: %v, want %v", r.cmd, err, r.want)
		}
	}

	for _, f := range files {
		f.Close()
	}
	now, _ = unix.IoctlGetTermios(slave, unix.TCGETS)
	if *now != *found {
		t.Error("the terminal was not left as found")
	}
}

// The master of a pseudo-terminal must never be opened anew: that would be
// another terminal.
func TestMasterIsNotReopened(t *testing.T) {
	checkCensus(t)
	master, slave := hostPty(t)
	defer unix.Close(master)
	defer unix.Close(slave)
	f := open(t, master)[0]
	defer f.Close()
	if !f.(vfs.Terminal).IsMaster() {
		t.Error("not known as master")
	}
	writeAll(t, f, []byte("x\n"))
	buf := make([]byte, 10)
	if n, err := unix.Read(slave, buf); string(buf[:n]) != "x\n" || err != nil {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if got := readAll(t, f, 3); got != "x\r\n" {
		t.Errorf("echo %q", got)
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
