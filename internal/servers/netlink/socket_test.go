package netlink_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/netlink"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/netinfo"
	"golang.org/x/sys/unix"
)

// wide is a network with so many interfaces that a dump needs several datagrams.
func wide() *netinfo.Static {
	s := netinfo.Loopback()
	for i := range 30 {
		l := s.Links[0]
		l.Index, l.Name = int32(i+2), fmt.Sprint("dummy", i)
		s.Links = append(s.Links, l)
	}
	return s
}

// two are a socket that listens and one that does not.
type two struct{}

func (two) InetSockets(_ context.Context, family, protocol uint8) ([]netlink.SocketState, bool) {
	local := []byte{family, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	return []netlink.SocketState{{Local: local, State: 10, Receive: 1, Send: 7, Ino: 5}, {Local: local, Peer: local, State: 1}}, protocol == unix.IPPROTO_TCP
}

func open(t testing.TB, from vfs.NetDescriber) vfs.Socket {
	t.Helper()
	s, err := netlink.New(from, two{}).Socket(t.Context(), unix.SOCK_RAW, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// message makes a request whose body has size bytes, the family first.
func message(typ, flags uint16, seq uint32, family byte, size int, attrs ...[]byte) []byte {
	body := make([]byte, size)
	body[0] = family
	for _, a := range attrs {
		body = append(body, a...)
	}
	return netinfo.Message{Type: typ, Flags: flags | unix.NLM_F_REQUEST, Seq: seq, Body: body}.Append(nil)
}

func send(t testing.TB, s vfs.Socket, b []byte) {
	t.Helper()
	if n, err := s.Send(t.Context(), &vfs.Packet{Data: b}); err != nil || n != len(b) {
		t.Fatalf("sent %d of %d: %v", n, len(b), err)
	}
}

// receive takes one datagram as iproute2 does: it looks for the length first.
func receive(t testing.TB, s vfs.Socket) []netinfo.Message {
	t.Helper()
	n, err := s.Receive(t.Context(), &vfs.Packet{Flags: unix.MSG_PEEK | unix.MSG_TRUNC})
	if err != nil {
		t.Fatal(err)
	}
	m := vfs.Packet{Data: make([]byte, n)}
	if got, err := s.Receive(t.Context(), &m); err != nil || got != n || m.Flags != 0 {
		t.Fatalf("%d bytes of %d, flags %#x: %v", got, n, m.Flags, err)
	}
	if want := []byte{unix.AF_NETLINK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}; !slices.Equal(m.Addr, want) {
		t.Fatalf("from %v", m.Addr)
	}
	return slices.Collect(netinfo.Messages(m.Data))
}

func TestDump(t *testing.T) {
	s := open(t, wide())
	send(t, s, message(unix.RTM_GETLINK, unix.NLM_F_DUMP, 77, 0, 1))
	if _, err := s.Send(t.Context(), &vfs.Packet{Data: message(unix.RTM_GETADDR, unix.NLM_F_DUMP, 78, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	var names []string
	busy, datagrams := false, 0
	for done := false; !done; datagrams++ {
		size := 0
		for _, m := range receive(t, s) {
			size += unix.SizeofNlMsghdr + len(m.Body)
			switch {
			case m.Type == unix.NLMSG_ERROR && m.Seq == 78:
				busy = int32(binary.NativeEndian.Uint32(m.Body)) == -int32(unix.EBUSY)
				continue
			case m.Seq != 77 || m.Flags != unix.NLM_F_MULTI || m.PID == 0:
				t.Fatalf("header %+v", m)
			case m.Type == unix.NLMSG_DONE:
				done = true
				continue
			}
			l, ok := netinfo.ParseLink(m.Body)
			if !ok {
				t.Fatalf("no link in %+v", m)
			}
			names = append(names, l.Name)
		}
		if size > 4096 {
			t.Errorf("a datagram of %d bytes", size)
		}
	}
	if len(names) != 31 || names[0] != "lo" || names[30] != "dummy29" || datagrams < 3 || !busy {
		t.Errorf("%d datagrams, busy %v, names %v", datagrams, busy, names)
	}
	if _, err := s.Receive(t.Context(), &vfs.Packet{}); err != syscall.EAGAIN {
		t.Errorf("at the end: %v", err)
	}
	if s.Poll(vfs.EventIn) != 0 {
		t.Error("ready without answers")
	}
}

func attr(typ uint16, value ...byte) []byte { return netinfo.AppendAttr(nil, typ, value) }

// TestRequests looks at the first answer to one request each.
func TestRequests(t *testing.T) {
	const ack, dump = unix.NLM_F_ACK, unix.NLM_F_DUMP
	index := func(b []byte, n uint32) []byte { binary.NativeEndian.PutUint32(b[unix.SizeofNlMsghdr+4:], n); return b }
	for _, c := range []struct {
		name string
		b    []byte
		typ  uint16
		err  syscall.Errno
	}{
		{"link by name", message(unix.RTM_GETLINK, 0, 1, 0, 16, attr(unix.IFLA_IFNAME, []byte("dummy3\x00")...)), unix.RTM_NEWLINK, 0},
		{"link by index", index(message(unix.RTM_GETLINK, ack, 1, 0, 16), 5), unix.RTM_NEWLINK, 0},
		{"no such link", message(unix.RTM_GETLINK, 0, 1, 0, 16, attr(unix.IFLA_IFNAME, 'x', 0)), unix.NLMSG_ERROR, unix.ENODEV},
		{"no link said", message(unix.RTM_GETLINK, 0, 1, 0, 16), unix.NLMSG_ERROR, unix.EINVAL},
		{"route", message(unix.RTM_GETROUTE, 0, 1, unix.AF_INET, 12, attr(unix.RTA_DST, 127, 0, 0, 9)), unix.RTM_NEWROUTE, 0},
		{"no route", message(unix.RTM_GETROUTE, 0, 1, unix.AF_INET, 12, attr(unix.RTA_DST, 192, 0, 2, 1)), unix.NLMSG_ERROR, unix.ENETUNREACH},
		{"address of IPv4", message(unix.RTM_GETADDR, 0, 1, unix.AF_INET, 8), unix.NLMSG_ERROR, unix.EOPNOTSUPP},
		{"addresses", message(unix.RTM_GETADDR, dump, 1, unix.AF_INET6, 8), unix.RTM_NEWADDR, 0},
		{"no neighbours", message(unix.RTM_GETNEIGH, dump, 1, 0, 12), unix.NLMSG_DONE, 0},
		{"new link", message(unix.RTM_NEWLINK, unix.NLM_F_CREATE, 1, 0, 16), unix.NLMSG_ERROR, unix.EPERM},
		{"set link", message(unix.RTM_SETLINK, 0, 1, 0, 16), unix.NLMSG_ERROR, unix.EPERM},
		{"del route", message(unix.RTM_DELROUTE, ack, 1, 2, 12), unix.NLMSG_ERROR, unix.EPERM},
		{"unknown get", message(unix.RTM_GETQDISC, dump, 1, 0, 20), unix.NLMSG_ERROR, unix.EOPNOTSUPP},
		{"unknown type", message(5000, 0, 1, 0, 20), unix.NLMSG_ERROR, unix.EOPNOTSUPP},
		{"control message", message(unix.NLMSG_NOOP, ack, 1, 0, 4), unix.NLMSG_ERROR, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, wide())
			send(t, s, c.b)
			all := receive(t, s)
			if all[0].Type != c.typ || all[0].Seq != 1 {
				t.Fatalf("got %+v", all[0])
			}
			if c.typ != unix.NLMSG_ERROR {
				return
			}
			if e := int32(binary.NativeEndian.Uint32(all[0].Body)); e != -int32(c.err) {
				t.Errorf("error %d, want %d", e, c.err)
			}
			if got := all[0].Body[4:]; c.err != 0 && !slices.Equal(got, c.b) || c.err == 0 && len(got) != unix.SizeofNlMsghdr {
				t.Errorf("%d bytes of the request come back", len(got))
			}
		})
	}
}

func TestPorts(t *testing.T) {
	v := netlink.New(netinfo.Loopback(), two{})
	make := func() vfs.Socket {
		s, err := v.Socket(t.Context(), unix.SOCK_DGRAM, unix.NETLINK_ROUTE)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	addr := func(port uint32) []byte {
		b := binary.NativeEndian.AppendUint16(nil, unix.AF_NETLINK)
		return append(binary.NativeEndian.AppendUint32(append(b, 0, 0), port), 1, 0, 0, 0)
	}
	a, b := make(), make()
	if err := a.Bind(t.Context(), addr(42)); err != nil {
		t.Fatal(err)
	}
	if err := a.Bind(t.Context(), addr(43)); err != syscall.EINVAL {
		t.Errorf("bound twice: %v", err)
	}
	if err := b.Bind(t.Context(), addr(42)); err != syscall.EADDRINUSE {
		t.Errorf("the same port: %v", err)
	}
	if got, _ := a.Addr(t.Context(), false); !slices.Equal(got, addr(42)) {
		t.Errorf("address %v", got)
	}
	a.Close()
	if err := b.Bind(t.Context(), addr(42)); err != nil {
		t.Errorf("a port that is free again: %v", err)
	}
	if err := b.Bind(t.Context(), []byte{unix.AF_NETLINK, 0, 0, 0}); err != syscall.EINVAL {
		t.Errorf("a short address: %v", err)
	}
	c, d := make(), make()
	send(t, c, message(unix.RTM_GETLINK, unix.NLM_F_DUMP, 1, 0, 1))
	send(t, d, message(unix.RTM_GETLINK, unix.NLM_F_DUMP, 1, 0, 1))
	if p, q := receive(t, c)[0].PID, receive(t, d)[0].PID; p == q || int32(p) >= 0 {
		t.Errorf("ports %#x and %#x", p, q)
	}
	if err := c.Connect(t.Context(), addr(9)); err != syscall.EPERM {
		t.Errorf("another peer than the kernel: %v", err)
	}
	for _, wrong := range []struct {
		typ, protocol int
		err           error
	}{{unix.SOCK_STREAM, 0, syscall.ESOCKTNOSUPPORT}, {unix.SOCK_RAW, unix.NETLINK_AUDIT, syscall.EPROTONOSUPPORT}} {
		if _, err := v.Socket(t.Context(), wrong.typ, wrong.protocol); err != wrong.err {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}

// TestFull has more errors than there is room for.
func TestFull(t *testing.T) {
	s := open(t, netinfo.Loopback())
	if err := s.SetOption(t.Context(), unix.SOL_SOCKET, unix.SO_RCVBUF, []byte{0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		send(t, s, message(unix.RTM_NEWLINK, 0, 1, 0, 16))
	}
	if s.Poll(0)&vfs.EventErr == 0 {
		t.Error("no error")
	}
	if _, err := s.Receive(t.Context(), &vfs.Packet{}); err != syscall.ENOBUFS {
		t.Errorf("got %v", err)
	}
	receive(t, s)
}

// given is a network whose server gives up while the request that cancels is there.
type given struct{ cancel context.CancelCauseFunc }

func (g given) Describe(ctx context.Context, _ vfs.NetQuery) ([]byte, error) {
	g.cancel(errors.New("given up"))
	return nil, context.Cause(ctx)
}

// TestGivenUp: a cancelled request has had no effect, whatever stood before it in the
// same datagram.
func TestGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	s := open(t, given{cancel})
	b := append(message(unix.RTM_NEWLINK, 0, 1, 0, 16), message(unix.RTM_GETLINK, unix.NLM_F_DUMP, 2, 0, 1)...)
	if _, err := s.Send(ctx, &vfs.Packet{Data: b}); err != context.Cause(ctx) {
		t.Fatalf("sent: %v", err)
	}
	if _, err := s.Receive(t.Context(), &vfs.Packet{}); err != syscall.EAGAIN {
		t.Errorf("there is an answer: %v", err)
	}
	send(t, s, message(unix.RTM_GETLINK, unix.NLM_F_DUMP, 3, 0, 1))
	if m := receive(t, s); m[0].Type != unix.NLMSG_DONE {
		t.Errorf("still busy: %+v", m)
	}
}

func TestStrict(t *testing.T) {
	s := open(t, wide())
	q := message(unix.RTM_GETADDR, unix.NLM_F_DUMP, 1, 0, 8)
	binary.NativeEndian.PutUint32(q[unix.SizeofNlMsghdr+4:], 9) // no addresses there
	for _, strict := range []byte{0, 1} {
		if err := s.SetOption(t.Context(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, []byte{strict, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
		send(t, s, q)
		n := 0
		for m := receive(t, s); m[0].Type != unix.NLMSG_DONE; m = receive(t, s) {
			n += len(m)
		}
		if want := 2 * int(1-strict); n != want {
			t.Errorf("strict %d: %d addresses, want %d", strict, n, want)
		}
	}
}

func TestDiag(t *testing.T) {
	s, err := netlink.New(netinfo.Loopback(), two{}).Socket(t.Context(), unix.SOCK_RAW, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ask := func(family, protocol byte, states uint32) netinfo.Message {
		b := message(20, unix.NLM_F_DUMP, 1, family, 56)
		b[unix.SizeofNlMsghdr+1] = protocol
		binary.NativeEndian.PutUint32(b[unix.SizeofNlMsghdr+4:], states)
		send(t, s, b)
		return receive(t, s)[0]
	}
	m := ask(unix.AF_INET, unix.IPPROTO_TCP, 1<<10)
	want := []byte{unix.AF_INET, 10, 0, 0, 0, 80, 0, 0, 127, 0, 0, 1}
	if m.Type != 20 || !slices.Equal(m.Body[:12], want) || m.Body[56] != 1 || m.Body[60] != 7 || m.Body[68] != 5 {
		t.Errorf("got %+v", m)
	}
	if m := receive(t, s); m[0].Type != unix.NLMSG_DONE {
		t.Errorf("more than one listens: %+v", m)
	}
	for _, c := range [][2]byte{{unix.AF_INET, unix.IPPROTO_SCTP}, {unix.AF_UNIX, 0}} {
		if m := ask(c[0], c[1], 1<<32-1); m.Type != unix.NLMSG_ERROR || int32(binary.NativeEndian.Uint32(m.Body)) != -int32(unix.ENOENT) {
			t.Errorf("%v: %+v", c, m)
		}
	}
}

func FuzzSend(f *testing.F) {
	f.Add(message(unix.RTM_GETLINK, unix.NLM_F_DUMP, 1, 0, 1), byte(0))
	f.Add(message(unix.RTM_GETROUTE, unix.NLM_F_ACK, 1, unix.AF_INET, 12, attr(unix.RTA_DST, 127, 0, 0, 1)), byte(1))
	f.Add(append(message(unix.RTM_GETADDR, unix.NLM_F_DUMP, 1, 10, 8), message(unix.RTM_GETNEIGH, 0, 2, 2, 12, attr(unix.NDA_DST, 1, 2, 3, 4))...), byte(1))
	f.Add(message(unix.RTM_GETLINK, 0, 1, 0, 16, attr(unix.IFLA_IFNAME, 'l', 'o', 0)), byte(1))
	f.Add(message(20, unix.NLM_F_DUMP, 1, unix.AF_INET, 56), byte(2))
	f.Fuzz(func(t *testing.T, b []byte, strict byte) {
		protocol := unix.NETLINK_ROUTE
		if strict > 1 {
			protocol = unix.NETLINK_SOCK_DIAG
		}
		s, err := netlink.New(netinfo.Loopback(), two{}).Socket(t.Context(), unix.SOCK_RAW, protocol)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		_ = s.SetOption(t.Context(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, []byte{strict, 0, 0, 0})
		_, _ = s.Send(t.Context(), &vfs.Packet{Data: b})
		for s.Poll(vfs.EventIn) != 0 {
			m := vfs.Packet{Data: make([]byte, 64<<10), Control: make([]byte, 0, 64)}
			n, err := s.Receive(t.Context(), &m)
			if err != nil {
				continue
			}
			left := n
			for m := range netinfo.Messages(m.Data[:n]) {
				left -= unix.SizeofNlMsghdr + (len(m.Body)+3)&^3
			}
			if left != 0 {
				t.Fatalf("%d bytes are no message", left)
			}
		}
	})
}
