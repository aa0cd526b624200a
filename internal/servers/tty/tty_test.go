package tty_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/internal/servers/tty"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// jobs notes what the terminal tells.
type jobs struct {
	mu         sync.Mutex
	told       []string
	privileged bool
}

func (j *jobs) Signal(pgrp int, sig syscall.Signal) { j.note("%d: %s", pgrp, unix.SignalName(sig)) }

func (j *jobs) Hangup(l vfs.Line, session, foreground int) {
	j.note("hangup of %d %d, has %d %d", session, foreground, l.Session(), l.Foreground())
}

func (j *jobs) Privileged(context.Context) bool { return j.privileged }

func (j *jobs) note(format string, a ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.told = append(j.told, fmt.Sprintf(format, a...))
}

// check compares what was told since the last check.
func (j *jobs) check(t *testing.T, want ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if !slices.Equal(j.told, want) {
		t.Errorf("told %q, want %q", j.told, want)
	}
	j.told = nil
}

type terminal struct {
	*tty.PTY
	m *tty.Master
	s *tty.Slave
}

func newTerminal(t testing.TB, o tty.Options) terminal {
	t.Helper()
	p := tty.New(o)
	p.Unlock()
	s, err := p.OpenSlave(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	return terminal{p, p.Master(nil), s}
}

func (x terminal) typed(t testing.TB, s string) {
	t.Helper()
	if n, err := x.m.Write(ctx, []byte(s), 0); n != len(s) || err != nil {
		t.Fatalf("typed %d of %q: %v", n, s, err)
	}
}

// set changes the slave's modes.
func (x terminal) set(t testing.TB, f func(*unix.Termios)) {
	t.Helper()
	b := make(memArg, 44)
	if _, err := x.s.Ioctl(ctx, unix.TCGETS2, b); err != nil {
		t.Fatal(err)
	}
	m := decode(b)
	f(&m)
	if _, err := x.s.Ioctl(ctx, unix.TCSETS2, memArg(encode(&m))); err != nil {
		t.Fatal(err)
	}
}

func TestSignals(t *testing.T) {
	j := &jobs{}
	x := newTerminal(t, tty.Options{Job: j})
	x.typed(t, "\x03")
	j.check(t) // there is no foreground group
	x.SetForeground(42)
	x.typed(t, "\x03")
	x.typed(t, "a\x1cb\x1a\n")
	j.check(t, "42: SIGINT", "42: SIGQUIT", "42: SIGTSTP")
	x.typed(t, "\x16\x03\n") // quoted
	j.check(t)
	x.set(t, local(0, unix.ISIG))
	x.typed(t, "\x03")
	j.check(t)

	x.Resize(24, 80)
	x.Resize(24, 80) // no change
	if _, err := x.m.Ioctl(ctx, unix.TIOCSWINSZ, memArg{25, 0, 80, 0, 0, 0, 0, 0}); err != nil {
		t.Error(err)
	}
	j.check(t, "42: SIGWINCH", "42: SIGWINCH")

	const tiocsig = 0x40045436
	for _, c := range []struct {
		sig  uint64
		want error
	}{{uint64(unix.SIGTERM), nil}, {0, syscall.EINVAL}, {65, syscall.EINVAL}} {
		if _, err := x.m.Ioctl(ctx, tiocsig, numArg(c.sig)); err != c.want {
			t.Errorf("TIOCSIG %d: %v", c.sig, err)
		}
	}
	if _, err := x.s.Ioctl(ctx, tiocsig, numArg(1)); err != syscall.ENOTTY {
		t.Errorf("TIOCSIG on the slave: %v", err)
	}
	j.check(t, "42: SIGTERM")
}

func TestLine(t *testing.T) {
	x := newTerminal(t, tty.Options{})
	if x.m.Line() != x.s.Line() || !x.m.IsMaster() || x.s.IsMaster() {
		t.Error("the two sides do not share their terminal")
	}
	x.s.Line().SetSession(7)
	x.s.Line().SetForeground(8)
	if l := x.m.Line(); l.Session() != 7 || l.Foreground() != 8 {
		t.Errorf("session %d, foreground %d", l.Session(), l.Foreground())
	}
	if x.StopsOutput() {
		t.Error("TOSTOP from the start")
	}
	x.set(t, local(unix.TOSTOP, 0))
	if !x.StopsOutput() {
		t.Error("TOSTOP not told")
	}
}

func TestReadRule(t *testing.T) {
	x := newTerminal(t, tty.Options{})
	for _, c := range []struct {
		lflag       uint32
		vmin, vtime byte
		want        vfs.ReadRule
	}{
		{unix.ICANON, 0, 0, vfs.ReadRule{Min: 1}},
		{unix.ICANON, 5, 5, vfs.ReadRule{Min: 1}},
		{0, 1, 0, vfs.ReadRule{Min: 1, PerByte: true}},
		{0, 0, 0, vfs.ReadRule{Min: 1}},
		{0, 0, 3, vfs.ReadRule{Min: 1, Timeout: 300 * time.Millisecond}},
		{0, 4, 3, vfs.ReadRule{Min: 4, Timeout: 300 * time.Millisecond, PerByte: true}},
		{0, 255, 255, vfs.ReadRule{Min: 255, Timeout: 25500 * time.Millisecond, PerByte: true}},
	} {
		x.set(t, func(m *unix.Termios) {
			m.Lflag, m.Cc[unix.VMIN], m.Cc[unix.VTIME] = c.lflag, c.vmin, c.vtime
		})
		if got := x.s.ReadRule(); got != c.want {
			t.Errorf("%+v: %+v", c, got)
		}
	}
	if got := x.m.ReadRule(); got != (vfs.ReadRule{Min: 1}) {
		t.Errorf("master: %+v", got)
	}
}

func TestLockAndExclusive(t *testing.T) {
	j := &jobs{}
	p := tty.New(tty.Options{Job: j, Index: 5, Rdev: unix.Mkdev(136, 5)})
	m := p.Master(nil)
	if _, err := p.OpenSlave(ctx, nil); err != syscall.EIO {
		t.Errorf("open while locked: %v", err)
	}
	if _, err := m.Ioctl(ctx, unix.TIOCSPTLCK, memArg{0, 0, 0, 0}); err != nil {
		t.Error(err)
	}
	s, err := p.OpenSlave(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	number := func(f vfs.Ioctler, cmd uint32) uint32 {
		b := make(memArg, 4)
		if _, err := f.Ioctl(ctx, cmd, b); err != nil {
			t.Errorf("ioctl %#x: %v", cmd, err)
		}
		return binary.LittleEndian.Uint32(b)
	}
	if n := number(m, unix.TIOCGPTN); n != 5 {
		t.Errorf("TIOCGPTN %d", n)
	}
	if n := number(s, unix.TIOCGDEV); n != 136<<8|5 {
		t.Errorf("TIOCGDEV %#x", n)
	}
	if _, err := s.Ioctl(ctx, unix.TIOCEXCL, numArg(0)); err != nil {
		t.Error(err)
	}
	if _, err := p.OpenSlave(ctx, nil); err != syscall.EBUSY {
		t.Errorf("open in exclusive mode: %v", err)
	}
	j.privileged = true
	if s2, err := p.OpenSlave(ctx, nil); err != nil {
		t.Errorf("privileged open in exclusive mode: %v", err)
	} else {
		s2.Close()
	}
	j.privileged = false
	s.Close() // the mode ends with the last file
	if _, err := p.OpenSlave(ctx, nil); err != nil {
		t.Errorf("open after exclusive mode: %v", err)
	}
}

func TestOpenPeer(t *testing.T) {
	x := newTerminal(t, tty.Options{})
	if _, err := x.m.OpenPeer(ctx, 0); err != syscall.EIO {
		t.Errorf("without a way: %v", err)
	}
	y := newTerminal(t, tty.Options{OpenPeer: func(_ context.Context, flags int) (vfs.File, error) {
		return nil, syscall.Errno(flags)
	}})
	if _, err := y.m.OpenPeer(ctx, 12); err != syscall.Errno(12) {
		t.Errorf("with one: %v", err)
	}
	if _, err := y.m.Line().(vfs.Opener).Open(ctx, 13); err != syscall.Errno(13) {
		t.Errorf("/dev/tty with one: %v", err)
	}
	f, err := x.s.Line().(vfs.Opener).Open(ctx, 0)
	if err != nil || f.(vfs.Terminal).Line() != x.s.Line() {
		t.Errorf("/dev/tty without: %v", err)
	}
}

func TestHangup(t *testing.T) {
	t.Run("master closes", func(t *testing.T) {
		j := &jobs{}
		closed, released := 0, 0
		x := newTerminal(t, tty.Options{Job: j, Closed: func() { closed++ }, Released: func() { released++ }})
		x.SetSession(3)
		x.SetForeground(4)
		x.m.Close()
		j.check(t, "hangup of 3 4, has 0 0")
		if closed != 1 || released != 0 {
			t.Errorf("told %d times that it is closed, %d that it is free", closed, released)
		}
		x.s.Close()
		if closed != 1 || released != 1 {
			t.Errorf("told %d times that it is closed, %d that it is free", closed, released)
		}
	})
	t.Run("by the session's leader", func(t *testing.T) {
		j := &jobs{}
		x := newTerminal(t, tty.Options{Job: j})
		x.SetSession(3)
		x.SetForeground(4)
		x.typed(t, "unread\n")
		x.set(t, local(0, unix.ECHO))
		if sid, pgrp := x.Hangup(); sid != 3 || pgrp != 4 {
			t.Errorf("hangup of %d %d", sid, pgrp)
		}
		j.check(t)
		if n, err := x.s.Read(ctx, make([]byte, 10), 0); n != 0 || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
		if _, err := x.s.Write(ctx, []byte("x"), 0); err != syscall.EIO {
			t.Errorf("write: %v", err)
		}
		if e := x.s.Poll(vfs.EventIn); e != vfs.EventIn|vfs.EventErr|vfs.EventHup {
			t.Errorf("ready %#x", e)
		}
		drain(x.m)
		if _, err := x.m.Read(ctx, make([]byte, 10), 0); err != syscall.EIO {
			t.Errorf("master read: %v", err)
		}
		again, err := x.OpenSlave(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		x.s.Close()
		if _, err := again.Read(ctx, make([]byte, 10), 0); err != syscall.EAGAIN {
			t.Errorf("the next session found: %v", err)
		}
		x.typed(t, "a\n") // and echoes, by the first modes
		if got := drain(x.m); got != "a\r\n" {
			t.Errorf("echo %q", got)
		}
	})
	t.Run("TIOCVHANGUP", func(t *testing.T) {
		j := &jobs{}
		x := newTerminal(t, tty.Options{Job: j})
		x.SetSession(3)
		if _, err := x.s.Ioctl(ctx, unix.TIOCVHANGUP, numArg(0)); err != syscall.EPERM {
			t.Errorf("unprivileged: %v", err)
		}
		j.privileged = true
		if _, err := x.s.Ioctl(ctx, unix.TIOCVHANGUP, numArg(0)); err != nil {
			t.Error(err)
		}
		j.check(t, "hangup of 3 0, has 0 0")
		if _, err := x.s.Ioctl(ctx, unix.TCGETS, make(memArg, 36)); err != syscall.EIO {
			t.Errorf("ioctl afterwards: %v", err)
		}
	})
}

func drain(m *tty.Master) string {
	var all []byte
	buf := make([]byte, 100)
	for {
		n, err := m.Read(ctx, buf, 0)
		if err != nil {
			return string(all)
		}
		all = append(all, buf[:n]...)
	}
}

// await calls attempt whenever f may be ready, until that is true.
func await(f vfs.File, mask vfs.Events, attempt func() bool) {
	woken := make(chan struct{}, 1)
	w := &vfs.Waiter{Mask: mask, Wake: func(*vfs.Waiter, vfs.Events) {
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

func readUntil(t *testing.T, f vfs.File, want int) []byte {
	var all []byte
	buf := make([]byte, 700)
	await(f, vfs.EventsIn, func() bool {
		for len(all) < want {
			n, err := vfs.Read(ctx, f, buf, 0)
			if err == syscall.EAGAIN {
				return false
			}
			if err != nil || n == 0 {
				t.Errorf("read %d, %v after %d bytes", n, err, len(all))
				return true
			}
			all = append(all, buf[:n]...)
		}
		return true
	})
	return all
}

func writeAll(t *testing.T, f vfs.File, p []byte) {
	await(f, vfs.EventsOut, func() bool {
		for len(p) > 0 {
			n, err := vfs.Write(ctx, f, p[:min(len(p), 3000)], 0)
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

// TestBothWays moves far more than fits through a terminal, in both directions
// at once, by lines and raw: nothing is lost, doubled or stuck.
func TestBothWays(t *testing.T) {
	line := strings.Repeat("0123456789", 7) + "\n"
	data := []byte(strings.Repeat(line, 5000))
	for _, canonical := range []bool{true, false} {
		x := newTerminal(t, tty.Options{})
		x.set(t, func(m *unix.Termios) {
			m.Lflag, m.Oflag = 0, 0
			if canonical {
				m.Lflag = unix.ICANON
			}
		})
		var g sync.WaitGroup
		for _, d := range []struct{ from, to vfs.File }{{x.m, x.s}, {x.s, x.m}} {
			g.Go(func() { writeAll(t, d.from, data) })
			g.Go(func() {
				if got := readUntil(t, d.to, len(data)); !bytes.Equal(got, data) {
					t.Errorf("canonical %v: read %d bytes, not what was written", canonical, len(got))
				}
			})
		}
		g.Wait()
	}
}

// TestWakeups waits for what ends a wait.
func TestWakeups(t *testing.T) {
	for _, c := range []struct {
		name   string
		ready  func(x terminal) bool
		file   func(x terminal) vfs.File
		mask   vfs.Events
		before func(x terminal)
		event  func(x terminal)
	}{
		{name: "a line ends", mask: vfs.EventsIn,
			file:   func(x terminal) vfs.File { return x.s },
			before: func(x terminal) { x.typed(t, "abc") },
			event:  func(x terminal) { x.typed(t, "\n") }},
		{name: "canonical mode ends", mask: vfs.EventsIn,
			file:   func(x terminal) vfs.File { return x.s },
			before: func(x terminal) { x.typed(t, "abc") },
			event:  func(x terminal) { x.set(t, local(0, unix.ICANON)) }},
		{name: "the master closes", mask: vfs.EventsIn,
			file:  func(x terminal) vfs.File { return x.s },
			event: func(x terminal) { x.m.Close() }},
		{name: "the slave closes", mask: vfs.EventIn,
			file:  func(x terminal) vfs.File { return x.m },
			ready: func(x terminal) bool { return x.m.Poll(0) == vfs.EventHup },
			event: func(x terminal) { x.s.Close() }},
		{name: "output", mask: vfs.EventIn,
			file:  func(x terminal) vfs.File { return x.m },
			event: func(x terminal) { x.s.Write(ctx, []byte("x"), 0) }},
		{name: "output goes on", mask: vfs.EventsOut,
			file:   func(x terminal) vfs.File { return x.s },
			before: func(x terminal) { x.typed(t, "\x13") },
			event:  func(x terminal) { x.typed(t, "\x11") }},
		{name: "the master reads", mask: vfs.EventOut,
			file:   func(x terminal) vfs.File { return x.s },
			before: func(x terminal) { x.s.Write(ctx, make([]byte, 1<<20), 0) },
			event:  func(x terminal) { x.m.Read(ctx, make([]byte, 100), 0) }},
		{name: "the slave reads", mask: vfs.EventOut,
			file: func(x terminal) vfs.File { return x.m },
			before: func(x terminal) {
				x.set(t, local(0, unix.ICANON|unix.ECHO|unix.ISIG))
				x.m.Write(ctx, make([]byte, 1<<20), 0)
			},
			event: func(x terminal) { x.s.Read(ctx, make([]byte, 5000), 0) }},
		{name: "packet status", mask: vfs.EventPri,
			file: func(x terminal) vfs.File { return x.m },
			before: func(x terminal) {
				x.m.Ioctl(ctx, unix.TIOCPKT, memArg{1, 0, 0, 0})
			},
			event: func(x terminal) { x.typed(t, "\x13") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newTerminal(t, tty.Options{})
			if c.before != nil {
				c.before(x)
			}
			f := c.file(x).(vfs.Pollable)
			ready := func() bool { return f.Poll(c.mask)&c.mask != 0 }
			if c.ready != nil {
				ready = func() bool { return c.ready(x) }
			}
			if ready() {
				t.Fatal("ready before the event")
			}
			woken := 0
			w := &vfs.Waiter{Mask: c.mask, Wake: func(*vfs.Waiter, vfs.Events) { woken++ }}
			f.Watch(w)
			c.event(x)
			if woken == 0 || !ready() {
				t.Errorf("woken %d times, ready %v", woken, ready())
			}
			f.Unwatch(w)
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	x := newTerminal(b, tty.Options{})
	line := []byte(strings.Repeat("0123456789", 8) + "\n")
	buf := make([]byte, 4096)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		x.s.Write(ctx, line, 0)
		x.m.Read(ctx, buf, 0)
	}
}

func BenchmarkType(b *testing.B) {
	x := newTerminal(b, tty.Options{})
	key := []byte("a\x7f")
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		x.m.Write(ctx, key, 0)
		x.m.Read(ctx, buf, 0)
	}
}
