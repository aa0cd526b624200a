package remote_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/anon"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"golang.org/x/sys/unix"
)

func init() {
	// In a protocol of their own: TestNetworkCrossing.
	for _, name := range []string{"Network", "Socket", "NetDescriber", "NetSettings"} {
		crossings[name] = nil
	}
}

// goNet is a network without any descriptor, which notes what it is asked.
type goNet struct {
	mu    sync.Mutex
	calls []string
}

func (n *goNet) did(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls = append(n.calls, fmt.Sprintf(format, args...))
}

func (n *goNet) Socket(ctx context.Context, family, typ, protocol int) (vfs.Socket, error) {
	c, _ := vfs.CallerOf(ctx)
	n.did("socket %d %d %d of %d", family, typ, protocol, c.PID)
	return &goSocket{n: n, node: anon.New(1, syscall.S_IFSOCK, 0, 0)}, nil
}

func (n *goNet) Describe(_ context.Context, q vfs.NetQuery) ([]byte, error) {
	if q.Type == 1 {
		return nil, syscall.ENETUNREACH
	}
	return []byte(strings.Repeat(fmt.Sprintf("%d %d %v;", q.Type, q.Family, q.To), int(q.Type))), nil
}

func (n *goNet) Setting(_ context.Context, name string) (string, error) {
	if name == "none" {
		return "", syscall.ENOENT
	}
	return "it is " + name, nil
}

type goSocket struct {
	vfs.Queue
	n      *goNet
	node   vfs.Node
	mu     sync.Mutex
	events vfs.Events
}

func (s *goSocket) Node() vfs.Node { return s.node }
func (s *goSocket) Close() error   { s.n.did("close"); return nil }
func (s *goSocket) Poll(mask vfs.Events) vfs.Events {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events & mask
}
func (s *goSocket) becomes(e vfs.Events) {
	s.mu.Lock()
	s.events = e
	s.mu.Unlock()
	s.Notify(e)
}
func (s *goSocket) Bind(_ context.Context, addr []byte) error { s.n.did("bind %x", addr); return nil }
func (s *goSocket) Connect(_ context.Context, addr []byte) error {
	s.n.did("connect %x", addr)
	return syscall.EINPROGRESS
}
func (s *goSocket) Listen(_ context.Context, backlog int) error {
	s.n.did("listen %d", backlog)
	return nil
}
func (s *goSocket) Accept(context.Context) (vfs.Socket, []byte, error) {
	s.n.did("accept")
	return &goSocket{n: s.n, node: s.node}, []byte("whoever"), nil
}
func (s *goSocket) Addr(_ context.Context, peer bool) ([]byte, error) {
	return []byte(fmt.Sprint("peer ", peer)), nil
}
func (s *goSocket) Shutdown(_ context.Context, how int) error {
	s.n.did("shutdown %d", how)
	return nil
}
func (s *goSocket) Send(_ context.Context, m *vfs.Packet) (int, error) {
	s.n.did("send %s %#x %s %s", m.Data, m.Flags, m.Addr, m.Control)
	return len(m.Data), nil
}
func (s *goSocket) Receive(_ context.Context, m *vfs.Packet) (int, error) {
	s.n.did("receive %#x, control %d", m.Flags, cap(m.Control))
	if m.Flags&unix.MSG_OOB != 0 {
		return 0, syscall.EINVAL
	}
	m.Addr, m.Flags = append(m.Addr[:0], "sender"...), unix.MSG_CTRUNC
	m.Control = append(m.Control[:0], "beside"[:min(6, cap(m.Control))]...)
	return copy(m.Data, "text"), nil
}
func (s *goSocket) Option(_ context.Context, level, name int, value []byte) (int, error) {
	s.n.did("option %d %d %s", level, name, value)
	return 10 * copy(value, "value"), nil
}
func (s *goSocket) SetOption(_ context.Context, level, name int, value []byte) error {
	s.n.did("set %d %d %s", level, name, value)
	return nil
}
func (s *goSocket) Ioctl(_ context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	p := make([]byte, 4)
	if err := arg.ReadAt(p, 2); err != nil {
		return 0, err
	}
	s.n.did("ioctl %d %d %s", cmd, arg.Value(), p)
	if err := arg.WriteAt([]byte("A"), 1); err != nil {
		return 0, err
	}
	return 7, arg.WriteAt([]byte("B"), 5)
}

// TestNetworkCrossing: each method reaches the server as it was called, and its answer
// the caller.
func TestNetworkCrossing(t *testing.T) {
	bothLanes(t, func(t *testing.T, shared bool) {
		n := &goNet{}
		c := overNet(t, n, shared, remote.NetworkOptions{})
		ctx := callerContext{ctx}
		s, err := c.Socket(ctx, 99, unix.SOCK_DGRAM, -3)
		if err != nil {
			t.Fatal(err)
		}
		is := func(what string, got, want any) {
			t.Helper()
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
		is("bind", s.Bind(ctx, []byte{1, 2}), nil)
		is("connect", s.Connect(ctx, []byte{3}), syscall.EINPROGRESS)
		is("listen", s.Listen(ctx, -5), nil)
		accepted, peer, err := s.Accept(ctx)
		is("accept", err, nil)
		is("accept", string(peer), "whoever")
		addr, _ := s.Addr(ctx, true)
		is("getpeername", string(addr), "peer true")
		addr, _ = s.Addr(ctx, false)
		is("getsockname", string(addr), "peer false")
		is("shutdown", s.Shutdown(ctx, 2), nil)
		sent, err := s.Send(ctx, &vfs.Packet{Data: []byte("data"), Flags: -1, Addr: []byte("to"), Control: []byte("with")})
		is("send", fmt.Sprint(sent, err), "4 <nil>")
		m := vfs.Packet{Data: make([]byte, 3), Flags: unix.MSG_TRUNC | unix.MSG_PEEK, Control: make([]byte, 0, 9)}
		got, err := s.Receive(ctx, &m)
		is("receive", fmt.Sprintf("%d %v %s %s %s %#x", got, err, m.Data, m.Addr, m.Control, m.Flags),
			fmt.Sprintf("4 <nil> tex sender beside %#x", unix.MSG_CTRUNC|unix.MSG_TRUNC))
		_, err = s.Receive(ctx, &vfs.Packet{Flags: unix.MSG_OOB})
		is("receive", err, syscall.EINVAL)
		value := []byte("1234567")
		size, err := s.Option(ctx, -1, 5, value)
		is("getsockopt", fmt.Sprintf("%d %v %s", size, err, value), "50 <nil> value67")
		is("setsockopt", s.SetOption(ctx, 5, -1, []byte("new")), nil)
		arg := memoryArg("abcdefgh" + strings.Repeat(".", 300))
		r, err := s.(vfs.Ioctler).Ioctl(ctx, 1<<31, arg)
		is("ioctl", fmt.Sprintf("%d %v %s", r, err, arg[:8]), "7 <nil> aAcdeBgh")
		a := s.(interface {
			vfs.Pollable
			vfs.Streamer
		})
		is("poll", a.Poll(vfs.EventsIn), vfs.Events(0))
		accepted.Close()
		s.Close()
		want := []string{
			"socket 99 2 -3 of 22", "bind 0102", "connect 03", "listen -5", "accept", "shutdown 2", "send data -0x1 to with",
			"receive 0x22, control 9", "receive 0x1, control 0", "option -1 5 1234567", "set 5 -1 new", "ioctl 2147483648 9 cdef", "close", "close",
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		for i := range max(len(n.calls), len(want)) {
			if i >= len(n.calls) || i >= len(want) || n.calls[i] != want[i] {
				t.Errorf("asked %q, want %q", n.calls[min(i, len(n.calls)):], want[min(i, len(want)):])
				break
			}
		}
	})
}

// TestNetworkDescribed: what a network tells of itself crosses, however long.
func TestNetworkDescribed(t *testing.T) {
	bothLanes(t, func(t *testing.T, shared bool) {
		n := &goNet{}
		c := overNet(t, n, shared, remote.NetworkOptions{})
		for _, q := range []vfs.NetQuery{{Type: 2, Family: 3}, {Type: 20_000}, {Type: 5, To: []byte{1, 2, 3, 4}}} {
			want, _ := n.Describe(ctx, q)
			got, err := c.Describe(ctx, q)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%+v: %d bytes, %v", q, len(got), err)
			}
		}
		if _, err := c.Describe(ctx, vfs.NetQuery{Type: 1}); err != syscall.ENETUNREACH {
			t.Error(err)
		}
		if _, err := c.Describe(ctx, vfs.NetQuery{Type: 65535}); err != syscall.EMSGSIZE && err != nil {
			t.Error(err)
		}
		if text, err := c.Setting(ctx, "a/b"); text != "it is a/b" || err != nil {
			t.Errorf("%q, %v", text, err)
		}
		if _, err := c.Setting(ctx, "none"); err != syscall.ENOENT {
			t.Error(err)
		}
		mute := overNet(t, onlyNet{n}, shared, remote.NetworkOptions{})
		if _, err := mute.Describe(ctx, vfs.NetQuery{Type: 2}); err != syscall.EOPNOTSUPP {
			t.Error(err)
		}
		if _, err := mute.Setting(ctx, "a"); err != syscall.ENOENT {
			t.Error(err)
		}
	})
}

// onlyNet tells nothing of itself.
type onlyNet struct{ vfs.Network }

// TestNetworkReadiness: events of a socket without a descriptor.
func TestNetworkReadiness(t *testing.T) {
	bothLanes(t, func(t *testing.T, shared bool) {
		made := make(chan *goSocket, 1)
		n := &goNet{}
		c := overNet(t, watchedNet{n, made}, shared, remote.NetworkOptions{})
		s, err := c.Socket(ctx, 1, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		at := <-made
		came := make(chan vfs.Events, 100)
		w := vfs.Waiter{Mask: vfs.EventsIn | vfs.EventPri, Wake: func(_ *vfs.Waiter, e vfs.Events) { came <- e }}
		s.Watch(&w)
		for i := range 20 {
			e := []vfs.Events{vfs.EventIn, vfs.EventPri, vfs.EventHup}[i%3]
			at.becomes(e)
			for got := vfs.Events(0); got&e == 0; {
				got = <-came
			}
			if got := s.Poll(e); got != e {
				t.Errorf("%#x holds, want %#x", got, e)
			}
		}
		s.Unwatch(&w)
	})
}

type watchedNet struct {
	*goNet
	made chan *goSocket
}

func (n watchedNet) Socket(ctx context.Context, family, typ, protocol int) (vfs.Socket, error) {
	s, err := n.goNet.Socket(ctx, family, typ, protocol)
	n.made <- s.(*goSocket)
	return s, err
}
