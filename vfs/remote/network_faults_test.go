package remote_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"golang.org/x/sys/unix"
)

// netMortal is a network's server that is killed and started again, with a client.
type netMortal struct {
	*testing.T
	kind, path string
	p          *serverProcess
	c          *remote.NetworkClient
}

func newNetMortal(t *testing.T, way string) *netMortal {
	dir, err := os.MkdirTemp("", "remote")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &netMortal{T: t, kind: "net/host/" + way, path: filepath.Join(dir, "s")}
	m.start()
	if m.c, err = remote.RedialNetwork(ctx, remote.NetworkDialer(m.path)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.c.Close() })
	return m
}

func (m *netMortal) start() {
	m.p = startProcess(m.T, m.kind, filepath.Join(m.TempDir(), "none"), m.TempDir(), m.path)
}

func (m *netMortal) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *netMortal) socket(typ int) vfs.Socket {
	m.Helper()
	s, err := m.c.Socket(ctx, unix.AF_INET, typ, 0)
	m.must(err)
	return s
}

func loopbackAddr(port int) []byte {
	a := make([]byte, unix.SizeofSockaddrInet4)
	binary.NativeEndian.PutUint16(a, unix.AF_INET)
	binary.BigEndian.PutUint16(a[2:], uint16(port))
	copy(a[4:], []byte{127, 0, 0, 1})
	return a
}

// bound is a socket with an address; a stream listens there.
func (m *netMortal) bound(typ int) (vfs.Socket, []byte) {
	m.Helper()
	s := m.socket(typ)
	m.must(s.SetOption(ctx, unix.SOL_SOCKET, unix.SO_REUSEADDR, []byte{1, 0, 0, 0}))
	m.must(s.Bind(ctx, loopbackAddr(0)))
	if typ == unix.SOCK_STREAM {
		m.must(s.Listen(ctx, 100))
	}
	addr, err := s.Addr(ctx, false)
	m.must(err)
	return s, addr
}

// waitFor does op until it says something else than EAGAIN.
func waitFor(s vfs.Socket, events vfs.Events, op func() error) error {
	woken := make(chan struct{}, 1)
	w := vfs.Waiter{Mask: events, Wake: func(*vfs.Waiter, vfs.Events) {
		select {
		case woken <- struct{}{}:
		default:
		}
	}}
	s.Watch(&w)
	defer s.Unwatch(&w)
	for {
		if err := op(); !errors.Is(err, syscall.EAGAIN) {
			return err
		}
		<-woken
	}
}

func connectTo(ctx context.Context, s vfs.Socket, addr []byte) error {
	return waitFor(s, vfs.EventsOut, func() error {
		err := s.Connect(ctx, addr)
		if errors.Is(err, syscall.EINPROGRESS) || errors.Is(err, syscall.EALREADY) {
			return syscall.EAGAIN
		}
		return err
	})
}

func acceptFrom(ctx context.Context, l vfs.Socket) (c vfs.Socket, err error) {
	err = waitFor(l, vfs.EventsIn, func() (err error) {
		c, _, err = l.Accept(ctx)
		return err
	})
	return c, err
}

func receiveFrom(s vfs.Socket) (text string, err error) {
	p := make([]byte, 100)
	err = waitFor(s, vfs.EventsIn|vfs.EventRdHup, func() error {
		n, err := s.Receive(ctx, &vfs.Packet{Data: p})
		text = string(p[:n])
		return err
	})
	return text, err
}

// lost is true for what calls say whose server is gone.
func lost(err error) bool { return errors.Is(err, remote.ErrGone) || errors.Is(err, vfs.ErrInDoubt) }

// TestNetworkServerKilled: who waits hears of it, connections that were lent go on, and
// the next server is found.
func TestNetworkServerKilled(t *testing.T) {
	for _, way := range []string{"lent", "asked"} {
		t.Run(way, func(t *testing.T) {
			m := newNetMortal(t, way)
			m.killed(way == "lent")
			before := faulttest.Now()
			for range 2 {
				m.killed(way == "lent")
			}
			faulttest.Eventually(t, "descriptors and goroutines are back", func() bool {
				now := faulttest.Now()
				return now.FDs <= before.FDs+2 && now.Goroutines <= before.Goroutines+4 // the process's pipes, until the test's end
			})
		})
	}
}

func (m *netMortal) killed(lent bool) {
	m.Helper()
	l, addr := m.bound(unix.SOCK_STREAM)
	u, _ := m.bound(unix.SOCK_DGRAM)
	a := m.socket(unix.SOCK_STREAM)
	m.must(connectTo(ctx, a, addr))
	b, err := acceptFrom(ctx, l)
	m.must(err)
	var waiting sync.WaitGroup
	begun := make(chan struct{}, 3)
	waits := func(what string, op func() error) {
		waiting.Go(func() {
			begun <- struct{}{}
			if err := op(); !lost(err) {
				m.Errorf("%s: %v", what, err)
			}
		})
	}
	waits("accept", func() error { _, err := acceptFrom(ctx, l); return err })
	waits("a datagram", func() error { _, err := receiveFrom(u); return err })
	heard := make(chan string, 1)
	waiting.Go(func() {
		begun <- struct{}{}
		text, err := receiveFrom(b)
		if lent != (err == nil) || !lent && !lost(err) {
			m.Errorf("a connection: %v", err)
		}
		heard <- text
	})
	for range 3 {
		<-begun
	}
	m.p.End()
	if lent {
		faulttest.Eventually(m.T, "the client knows", func() bool { return m.c.Err() != nil })
		if _, err := a.Send(ctx, &vfs.Packet{Data: []byte("goes on")}); err != nil {
			m.Errorf("send over a connection that was lent: %v", err)
		}
		if text := <-heard; text != "goes on" {
			m.Errorf("heard %q", text)
		}
		m.must(a.Shutdown(ctx, unix.SHUT_WR))
		if text, err := receiveFrom(b); text != "" || err != nil {
			m.Errorf("after the end: %q, %v", text, err)
		}
	}
	waiting.Wait()
	for what, err := range map[string]error{
		"option": a.SetOption(ctx, unix.SOL_SOCKET, unix.SO_KEEPALIVE, []byte{1, 0, 0, 0}),
		"listen": l.Listen(ctx, 1),
		"bind":   u.Bind(ctx, loopbackAddr(0)),
	} {
		if !errors.Is(err, syscall.ENOTCONN) {
			m.Errorf("%s: %v", what, err)
		}
	}
	if u.Poll(vfs.EventsIn)&vfs.EventErr == 0 {
		m.Error("a socket that is gone is not ready")
	}
	if _, err := m.c.Socket(ctx, unix.AF_INET, unix.SOCK_STREAM, 0); !errors.Is(err, remote.ErrGone) {
		m.Errorf("a socket of nobody: %v", err)
	}
	m.start()
	again := m.socket(unix.SOCK_STREAM)
	m.must(again.SetOption(ctx, unix.SOL_SOCKET, unix.SO_REUSEADDR, []byte{1, 0, 0, 0}))
	m.must(again.Bind(ctx, addr)) // which nobody holds on to
	for _, s := range []vfs.Socket{l, u, a, b, again} {
		s.Close()
	}
}

// TestNetworkServerKilledUnderLoad: no caller is stuck.
func TestNetworkServerKilledUnderLoad(t *testing.T) {
	for _, way := range []string{"lent", "asked"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			m := newNetMortal(t, way)
			var stop atomic.Bool
			var done atomic.Int64
			var work sync.WaitGroup
			for range 30 {
				work.Go(func() {
					for !stop.Load() {
						if err := m.echo(); err == nil {
							done.Add(1)
						} else if !lost(err) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNREFUSED) {
							t.Error(err)
						}
					}
				})
			}
			for range 4 {
				at := done.Load()
				faulttest.Eventually(t, "work is done", func() bool { runtime.Gosched(); return done.Load() > at+20 })
				m.p.End()
				m.start()
			}
			stop.Store(true)
			work.Wait()
			t.Log(done.Load(), "connections")
		})
	}
}

// echo makes a connection and sends over it.
func (m *netMortal) echo() error {
	var open []vfs.Socket
	defer func() {
		for _, s := range open {
			s.Close()
		}
	}()
	l, err := m.c.Socket(ctx, unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	open = append(open, l)
	if err := l.Bind(ctx, loopbackAddr(0)); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := l.Listen(ctx, 1); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	addr, err := l.Addr(ctx, false)
	if err != nil {
		return fmt.Errorf("getsockname: %w", err)
	}
	a, err := m.c.Socket(ctx, unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	open = append(open, a)
	if err := connectTo(ctx, a, addr); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	b, err := acceptFrom(ctx, l)
	if err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	open = append(open, b)
	if _, err := a.Send(ctx, &vfs.Packet{Data: []byte("x")}); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if text, err := receiveFrom(b); err != nil || text != "x" {
		return fmt.Errorf("received %q: %w", text, err)
	}
	return nil
}

// TestNetworkServerStopped: who leaves a server that is stopped is let go, and has had
// nothing when it goes on.
func TestNetworkServerStopped(t *testing.T) {
	m := newNetMortal(t, "lent")
	const n = 50
	l, addr := m.bound(unix.SOCK_STREAM)
	u, to := m.bound(unix.SOCK_DGRAM)
	from, unused := m.socket(unix.SOCK_DGRAM), m.socket(unix.SOCK_DGRAM)
	for range n {
		s := m.socket(unix.SOCK_STREAM)
		defer s.Close()
		m.must(connectTo(ctx, s, addr))
		_, err := from.Send(ctx, &vfs.Packet{Data: []byte("x"), Addr: to})
		m.must(err)
	}
	before := m.p.sockets()
	m.p.Signal(syscall.SIGSTOP)
	faulttest.Eventually(t, "the server has stopped", func() bool {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.p.cmd.Process.Pid))
		_, state, _ := strings.Cut(string(stat), ") ")
		return strings.HasPrefix(state, "T")
	})
	kill, cancel := context.WithCancelCause(ctx)
	var callers sync.WaitGroup
	for range n {
		for _, call := range []func() error{
			func() error { _, _, err := l.Accept(kill); return err },
			func() error { _, err := u.Receive(kill, &vfs.Packet{Data: make([]byte, 1)}); return err },
			func() error { _, err := m.c.Socket(kill, unix.AF_INET, unix.SOCK_DGRAM, 0); return err },
			func() error { _, err := l.Addr(kill, false); return err },
		} {
			callers.Go(func() {
				if err := call(); !errors.Is(err, vfs.ErrKilled) && !errors.Is(err, vfs.ErrInDoubt) {
					t.Error(err)
				}
			})
		}
	}
	faulttest.Eventually(t, "all have asked", func() bool { return len(m.c.Pending()) >= 4*n })
	cancel(vfs.ErrKilled)
	callers.Wait()
	unused.Close() // waits a second, not for ever
	m.p.Signal(syscall.SIGCONT)
	accepted := []vfs.Socket{}
	for range n {
		c, err := acceptFrom(ctx, l)
		m.must(err)
		accepted = append(accepted, c)
		text, err := receiveFrom(u)
		if err != nil || text != "x" {
			t.Errorf("received %q, %v", text, err)
		}
	}
	if _, _, err := l.Accept(ctx); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("one more: %v", err)
	}
	for _, c := range accepted {
		c.Close()
	}
	faulttest.Eventually(t, "the server has what it had", func() bool { return m.p.sockets() <= before })
}
