package vfstest

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// NetworkOptions say what a network lacks. The zero NetworkOptions expect TCP and UDP
// on 127.0.0.1, as Linux has them.
type NetworkOptions struct {
	NoUrgent bool // MSG_OOB
	NoReset  bool // a reset by SO_LINGER
	NoIoctl  bool // SIOCINQ
	// Sockets is the number in the test with many; 0 means 200.
	Sockets int
}

// RunNetwork runs the contract of [vfs.Network]: mk makes a network, or a way to one,
// and cleans up with t.Cleanup.
func RunNetwork(t *testing.T, mk func(t *testing.T) vfs.Network, o NetworkOptions) {
	if o.Sockets == 0 {
		o.Sockets = 200
	}
	for _, tc := range []struct {
		name string
		run  func(*netEnv)
		skip bool
	}{
		{"Stream", (*netEnv).stream, false},
		{"StreamShutdown", (*netEnv).streamShutdown, false},
		{"StreamReset", (*netEnv).streamReset, o.NoReset},
		{"StreamPeek", (*netEnv).streamPeek, false},
		{"StreamLarge", (*netEnv).streamLarge, false},
		{"StreamUrgent", (*netEnv).streamUrgent, o.NoUrgent},
		{"Backlog", (*netEnv).backlog, false},
		{"Refused", (*netEnv).refused, false},
		{"Errors", (*netEnv).errors, false},
		{"AddressInUse", (*netEnv).addressInUse, false},
		{"Datagrams", (*netEnv).datagrams, false},
		{"DatagramPeekAndTrunc", (*netEnv).datagramCut, false},
		{"DatagramConnected", (*netEnv).datagramConnected, false},
		{"DatagramControl", (*netEnv).datagramControl, false},
		{"Options", (*netEnv).options, false},
		{"Ioctl", (*netEnv).ioctl, o.NoIoctl},
		{"Poll", (*netEnv).poll, false},
		{"PollEdges", (*netEnv).pollEdges, false},
		{"Many", (*netEnv).many, false},
		{"CloseWhileOthersWait", (*netEnv).closeWhileOthersWait, false},
		{"AcceptCancelled", (*netEnv).acceptCancelled, false},
		{"DatagramsCancelled", (*netEnv).datagramsCancelled, false},
		{"StreamCancelled", (*netEnv).streamCancelled, false},
		{"SocketCancelled", (*netEnv).socketCancelled, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.skip {
				t.Skip("the network has no such thing")
			}
			tc.run(&netEnv{T: t, net: mk(t), o: o})
		})
	}
}

// netEnv is a test's network. Its methods end the test where they fail.
type netEnv struct {
	*testing.T
	net vfs.Network
	o   NetworkOptions
}

// netSock is a socket of the test's, whose calls wait.
type netSock struct {
	vfs.Socket
	e *netEnv
}

// loopback is 127.0.0.1 with a port.
func loopback(port uint16) []byte {
	a := make([]byte, unix.SizeofSockaddrInet4)
	binary.NativeEndian.PutUint16(a, unix.AF_INET)
	binary.BigEndian.PutUint16(a[2:], port)
	copy(a[4:], []byte{127, 0, 0, 1})
	return a
}

func portOf(addr []byte) uint16 {
	if len(addr) < 4 {
		return 0
	}
	return binary.BigEndian.Uint16(addr[2:])
}

func (e *netEnv) must(what string, err error) {
	e.Helper()
	if err != nil {
		e.Fatalf("%s: %v", what, err)
	}
}

// wants is an error that must have come.
func (e *netEnv) wants(what string, err error, want ...syscall.Errno) {
	e.Helper()
	for _, w := range want {
		if errorIs(err, w) {
			return
		}
	}
	e.Errorf("%s: %v, want %v", what, err, want)
}

func errorIs(err error, want syscall.Errno) bool {
	got, ok := errnoOf(err)
	return ok && got == want
}

func errnoOf(err error) (syscall.Errno, bool) {
	for err != nil {
		if e, ok := err.(syscall.Errno); ok {
			return e, true
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return 0, false
		}
		err = u.Unwrap()
	}
	return 0, false
}

func (e *netEnv) wrap(s vfs.Socket) netSock {
	e.Cleanup(func() { s.Close() })
	return netSock{s, e}
}

func (e *netEnv) socket(typ int) netSock {
	e.Helper()
	s, err := e.net.Socket(context.Background(), unix.AF_INET, typ, 0)
	e.must("socket", err)
	return e.wrap(s)
}

// bound is a socket with an address of its own.
func (e *netEnv) bound(typ int) (netSock, []byte) {
	e.Helper()
	s := e.socket(typ)
	e.must("bind", s.Bind(context.Background(), loopback(0)))
	addr, err := s.Addr(context.Background(), false)
	e.must("getsockname", err)
	if portOf(addr) == 0 {
		e.Fatalf("bound to %x", addr)
	}
	return s, addr
}

func (e *netEnv) listener(backlog int) (netSock, []byte) {
	e.Helper()
	s, addr := e.bound(unix.SOCK_STREAM)
	e.must("listen", s.Listen(context.Background(), backlog))
	return s, addr
}

// pair is a connection's two ends: who connected, who accepted.
func (e *netEnv) pair() (a, b netSock) {
	e.Helper()
	l, addr := e.listener(1)
	a = e.socket(unix.SOCK_STREAM)
	e.must("connect", a.connect(addr))
	b, _, err := l.accept()
	e.must("accept", err)
	l.Close()
	return a, b
}

// retry does op until it does not say EAGAIN any more, as POSIX does.
func (s netSock) retry(events vfs.Events, op func() error) error {
	err := op()
	if !errorIs(err, syscall.EAGAIN) {
		return err
	}
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
		if err := op(); !errorIs(err, syscall.EAGAIN) {
			return err
		}
		<-woken
	}
}

func (s netSock) connect(addr []byte) error {
	return s.retry(vfs.EventsOut, func() error {
		err := s.Connect(context.Background(), addr)
		if errorIs(err, syscall.EINPROGRESS) || errorIs(err, syscall.EALREADY) {
			return syscall.EAGAIN
		}
		return err
	})
}

func (s netSock) accept() (c netSock, peer []byte, err error) {
	err = s.retry(vfs.EventsIn, func() error {
		x, addr, err := s.Accept(context.Background())
		if err == nil {
			c, peer = s.e.wrap(x), addr
		}
		return err
	})
	return c, peer, err
}

// receive waits for one message, or some bytes.
func (s netSock) receive(m *vfs.Packet) (n int, err error) {
	flags, events := m.Flags, vfs.EventsIn|vfs.EventRdHup
	if flags&unix.MSG_OOB != 0 {
		events = vfs.EventPri
	}
	err = s.retry(events, func() (err error) {
		m.Flags = flags
		n, err = s.Receive(context.Background(), m)
		return err
	})
	return n, err
}

// send sends all of p.
func (s netSock) send(p []byte, flags int, to []byte) (n int, err error) {
	for {
		err := s.retry(vfs.EventsOut, func() error {
			done, err := s.Send(context.Background(), &vfs.Packet{Data: p[n:], Flags: flags, Addr: to})
			n += done
			return err
		})
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// text receives up to size bytes.
func (s netSock) text(size int) string {
	s.e.Helper()
	m := vfs.Packet{Data: make([]byte, size)}
	n, err := s.receive(&m)
	s.e.must("receive", err)
	return string(m.Data[:min(n, size)])
}

// full receives exactly size bytes of a stream.
func (s netSock) full(size int) []byte {
	s.e.Helper()
	p := make([]byte, size)
	for at := 0; at < size; {
		n, err := s.receive(&vfs.Packet{Data: p[at:]})
		s.e.must("receive", err)
		if n == 0 {
			s.e.Fatalf("the end after %d of %d bytes", at, size)
		}
		at += n
	}
	return p
}

func (s netSock) say(text string) {
	s.e.Helper()
	n, err := s.send([]byte(text), 0, nil)
	s.e.must("send", err)
	if n != len(text) {
		s.e.Fatalf("sent %d of %d bytes", n, len(text))
	}
}

func (s netSock) hears(want string) {
	s.e.Helper()
	if got := string(s.full(len(want))); got != want {
		s.e.Fatalf("received %q, want %q", got, want)
	}
}

func (s netSock) option(level, name int) int {
	s.e.Helper()
	v := make([]byte, 4)
	n, err := s.Option(context.Background(), level, name, v)
	s.e.must(fmt.Sprintf("getsockopt %d %d", level, name), err)
	if n != 4 {
		s.e.Fatalf("option %d %d of %d bytes", level, name, n)
	}
	return int(int32(binary.NativeEndian.Uint32(v)))
}

func (s netSock) setOption(level, name, value int) error {
	return s.SetOption(context.Background(), level, name, binary.NativeEndian.AppendUint32(nil, uint32(value)))
}

// await waits until all of events hold.
func (s netSock) await(events vfs.Events) {
	_ = s.retry(events, func() error {
		if s.Poll(events)&events != events {
			return syscall.EAGAIN
		}
		return nil
	})
}

func sameAddr(a, b []byte) bool { return len(a) >= 8 && len(b) >= 8 && slices.Equal(a[:8], b[:8]) }
