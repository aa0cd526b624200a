package tty_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/tty"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

var ctx = context.Background()

// memArg is an ioctl argument that points to memory, numArg one that is a number.
type memArg []byte

func (m memArg) Value() uint64                   { return 0x1000 }
func (m memArg) ReadAt(p []byte, off int) error  { copy(p, m[off:]); return nil }
func (m memArg) WriteAt(p []byte, off int) error { copy(m[off:], p); return nil }

type numArg uint64

func (n numArg) Value() uint64           { return uint64(n) }
func (numArg) ReadAt([]byte, int) error  { return syscall.EFAULT }
func (numArg) WriteAt([]byte, int) error { return syscall.EFAULT }

// side is one end of a terminal, hati's or the host's, with calls that never
// wait.
type side interface {
	read(p []byte) (int, error)
	write(p []byte) (int, error)
	poll() vfs.Events
	ioctl(cmd uint32, arg vfs.IoctlArg) error
	close()
}

// pair is a terminal. A script that is run on two of them must leave the same
// trace.
type pair struct {
	master, slave side
	openSlave     func() (side, error)
	trace         []string
	// expect is the trace of the run that shows the way: the host works on input
	// in the background, and this tells what to wait for.
	expect []string
}

func (p *pair) log(format string, a ...any) { p.trace = append(p.trace, fmt.Sprintf(format, a...)) }

func errName(err error) string {
	if err == nil {
		return "ok"
	}
	if e, ok := err.(syscall.Errno); ok {
		return unix.ErrnoName(e)
	}
	return err.Error()
}

// typed writes to the master, all at once.
func (p *pair) typed(s string) {
	n, err := p.master.write([]byte(s))
	p.log("typed %q: %d %s", s, n, errName(err))
}

// wrote writes to the slave.
func (p *pair) wrote(s string) {
	n, err := p.slave.write([]byte(s))
	p.log("wrote %q: %d %s", s, n, errName(err))
}

// shown reads the master until there is no more.
func (p *pair) shown() {
	p.slave.poll() // has the host finish its work on the input, if there is no line yet
	want := -1
	if len(p.expect) > len(p.trace) {
		fmt.Sscanf(p.expect[len(p.trace)], "shown %d", &want)
	}
	var got []byte
	var err error
	buf := make([]byte, 8192)
	for {
		var n int
		if n, err = p.master.read(buf); err != nil {
			h, onHost := p.master.(hostSide)
			if err == syscall.EAGAIN && onHost && len(got) < want && h.wait(unix.POLLIN) {
				continue
			}
			break
		}
		got = append(got, buf[:n]...)
	}
	p.log("shown %d %q %s", len(got), got, errName(err))
}

// reads reads the slave by at most size bytes until there is no more.
func (p *pair) reads(size int) {
	buf := make([]byte, size)
	var all []byte
	for range 10000 {
		n, err := p.slave.read(buf)
		if p.lines() || err != nil || n == 0 {
			if len(all) > 0 {
				p.log("read in all %q", all)
				all = nil
			}
			p.log("read %q %s", buf[:max(n, 0)], errName(err))
		} else { // the host may give them in other portions
			all = append(all, buf[:n]...)
		}
		if err != nil || n == 0 && !p.lines() {
			return
		}
	}
	p.log("reads without end")
}

// settle makes sure that the host has processed all that was typed. Its echo
// tells so, and else only that there is no line any more.
func (p *pair) settle() {
	last := p.trace[len(p.trace)-1]
	if strings.HasPrefix(last, "shown 0") || strings.Contains(p.trace[len(p.trace)-2], `\x13`) {
		p.reads(100)
		p.shown()
	}
}

// readOnce reads the slave once.
func (p *pair) readOnce(size int) {
	buf := make([]byte, size)
	n, err := p.slave.read(buf)
	p.log("read once %q %s", buf[:max(n, 0)], errName(err))
}

func (p *pair) modes() (t unix.Termios, raw memArg) {
	raw = make(memArg, 44)
	if err := p.slave.ioctl(unix.TCGETS2, raw); err != nil {
		p.log("TCGETS2 %s", errName(err))
	}
	return decode(raw), raw
}

func (p *pair) lines() bool {
	t, _ := p.modes()
	return t.Lflag&unix.ICANON != 0 && t.Lflag&unix.EXTPROC == 0
}

// set changes the modes.
func (p *pair) set(cmd uint32, f func(t *unix.Termios)) {
	t, _ := p.modes()
	f(&t)
	err := p.slave.ioctl(cmd, memArg(encode(&t)))
	_, raw := p.modes()
	p.log("modes % x %s", []byte(raw), errName(err))
}

func (p *pair) ready() {
	e := p.slave.poll() // first, as in shown
	p.log("master ready %#x, slave %#x", p.master.poll(), e)
}

// asks does an ioctl that fills 44 bytes on either end.
func (p *pair) asks(end side, cmd uint32) {
	arg := make(memArg, 64)
	err := end.ioctl(cmd, arg)
	p.log("ioctl %#x: % x %s", cmd, []byte(arg), errName(err))
}

func (p *pair) does(end side, cmd uint32, arg vfs.IoctlArg) {
	p.log("ioctl %#x %v: %s", cmd, arg, errName(end.ioctl(cmd, arg)))
}

// hatiSide is an end of hati's.
type hatiSide struct{ f vfs.File }

func (s hatiSide) read(p []byte) (int, error)  { return vfs.Read(ctx, s.f, p, 0) }
func (s hatiSide) write(p []byte) (int, error) { return vfs.Write(ctx, s.f, p, 0) }
func (s hatiSide) poll() vfs.Events            { return vfs.Ready(s.f, allEvents) }
func (s hatiSide) close()                      { s.f.Close() }
func (s hatiSide) ioctl(cmd uint32, arg vfs.IoctlArg) error {
	_, err := s.f.(vfs.Ioctler).Ioctl(ctx, cmd, arg)
	return err
}

const allEvents = vfs.EventsIn | vfs.EventsOut | vfs.EventPri

// hatiPair makes a terminal of this package.
func hatiPair(t testing.TB, job tty.Job) *pair {
	p := tty.New(tty.Options{Job: job, Rdev: unix.Mkdev(136, 0)})
	p.Unlock()
	open := func() (side, error) {
		s, err := p.OpenSlave(ctx, nil)
		return hatiSide{s}, err
	}
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	return &pair{master: hatiSide{p.Master(nil)}, slave: s, openSlave: open}
}

// hostSide is an end of the host's.
type hostSide struct{ fd int }

func (s hostSide) read(p []byte) (int, error) {
	n, err := unix.Read(s.fd, p)
	return max(n, 0), err
}

func (s hostSide) write(p []byte) (int, error) {
	n, err := unix.Write(s.fd, p)
	return max(n, 0), err
}

func (s hostSide) poll() vfs.Events {
	pfd := []unix.PollFd{{Fd: int32(s.fd), Events: int16(allEvents)}}
	unix.Poll(pfd, 0)
	return vfs.Events(pfd[0].Revents)
}

// wait waits for events that are expected; false when they don't come in a time
// that only a failure takes.
func (s hostSide) wait(events int16) bool {
	pfd := []unix.PollFd{{Fd: int32(s.fd), Events: events}}
	for {
		n, err := unix.Poll(pfd, 20_000)
		if err != unix.EINTR {
			return n > 0
		}
	}
}

func (s hostSide) close() { unix.Close(s.fd) }

func (s hostSide) ioctl(cmd uint32, arg vfs.IoctlArg) error {
	if m, ok := arg.(memArg); ok {
		return ioctlMem(s.fd, cmd, m)
	}
	return ioctlNum(s.fd, cmd, arg.Value())
}

// hostPair makes a terminal of the host; the test is skipped where there is none.
func hostPair(t testing.TB) *pair {
	const flags = unix.O_RDWR | unix.O_NOCTTY | unix.O_CLOEXEC | unix.O_NONBLOCK
	m, err := unix.Open("/dev/ptmx", flags, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(m, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	open := func() (side, error) {
		fd, err := unix.Open("/dev/pts/"+strconv.Itoa(n), flags, 0)
		return hostSide{fd}, err
	}
	s, err := open()
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	return &pair{master: hostSide{m}, slave: s, openSlave: open}
}

// compare runs the script on a terminal of hati's and one of the host's.
func compare(t testing.TB, script func(p *pair)) {
	t.Helper()
	ours := hatiPair(t, nil)
	script(ours)
	host := hostPair(t)
	host.expect = ours.trace
	script(host)
	for _, p := range []*pair{ours, host} {
		if p.slave != nil {
			p.slave.close()
		}
		if p.master != nil {
			p.master.close()
		}
	}
	for i := range max(len(ours.trace), len(host.trace)) {
		a, b := "nothing", "nothing"
		if i < len(ours.trace) {
			a = ours.trace[i]
		}
		if i < len(host.trace) {
			b = host.trace[i]
		}
		if a != b {
			t.Errorf("step %d:\nhati %s\nhost %s\nafter\n%s", i, a, b, strings.Join(ours.trace[max(0, i-20):i], "\n"))
			return
		}
	}
}
