package hostio_test

import (
	"encoding/binary"
	"strconv"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/hostio"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

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

// A terminal given for reading only can be written through /dev/tty, but not
// through its own node.
func TestConsoleOpen(t *testing.T) {
	checkCensus(t)
	master, slave := hostPty(t)
	defer unix.Close(master)
	defer unix.Close(slave)
	in, err := unix.Open("/proc/self/fd/"+strconv.Itoa(slave), unix.O_RDONLY|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(in)
	f := open(t, in)[0]
	defer f.Close()
	if _, err := vfs.Write(ctx, f, []byte("x"), 0); err != syscall.EBADF {
		t.Errorf("write to a terminal for reading: %v", err)
	}
	if _, err := vfs.Open(ctx, f.Node(), unix.O_RDWR); err != syscall.EACCES {
		t.Errorf("opened with more rights: %v", err)
	}
	line := f.(vfs.Terminal).Line()
	again, err := line.(vfs.Opener).Open(ctx, unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.(vfs.Terminal).Line() != line || again.Node() != f.Node() {
		t.Error("another terminal")
	}
	writeAll(t, again, []byte("x\n"))
	buf := make([]byte, 10)
	if n, err := unix.Read(master, buf); string(buf[:n]) != "x\r\n" || err != nil {
		t.Errorf("read %q, %v", buf[:n], err)
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
