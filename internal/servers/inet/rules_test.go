package inet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// sockaddr is an address in Linux's layout; of any family, for the wrong ones.
func sockaddr(family int, addr string) []byte {
	a := netip.MustParseAddrPort(addr)
	size := unix.SizeofSockaddrInet4
	if a.Addr().Is6() {
		size = unix.SizeofSockaddrInet6
	}
	b := make([]byte, size)
	binary.NativeEndian.PutUint16(b, uint16(family))
	binary.BigEndian.PutUint16(b[2:], a.Port())
	if a.Addr().Is6() {
		ip := a.Addr().As16()
		copy(b[8:], ip[:])
	} else {
		ip := a.Addr().As4()
		copy(b[4:], ip[:])
	}
	return b
}

// target is a TCP and a UDP socket of the host with one port, at an address.
type target struct {
	tcp  *net.TCPListener
	udp  *net.UDPConn
	port int
}

func newTarget(t *testing.T, ip string) *target {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
		if err != nil {
			t.Skipf("the host has no %s: %v", ip, err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(ip), Port: port})
		if err != nil {
			l.Close()
			continue
		}
		t.Cleanup(func() { l.Close(); u.Close() })
		return &target{l.(*net.TCPListener), u, port}
	}
	t.Fatal("no port that TCP and UDP have free")
	return nil
}

// heard reports, and forgets, whether anything has reached the target. Over the
// loopback it is there when the sender's call has returned.
func (x *target) heard(t *testing.T) (any bool) {
	t.Helper()
	tcp, err := x.tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = tcp.Control(func(fd uintptr) {
		for {
			c, _, err := unix.Accept4(int(fd), unix.SOCK_NONBLOCK)
			if err != nil {
				return
			}
			any = true
			unix.Close(c)
		}
	})
	udp, err := x.udp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = udp.Control(func(fd uintptr) {
		for {
			if _, _, err := unix.Recvfrom(int(fd), make([]byte, 10), unix.MSG_DONTWAIT); err != nil {
				return
			}
			any = true
		}
	})
	return any
}

func open(t *testing.T, n vfs.Network, family, typ int) *Socket {
	t.Helper()
	s, err := n.Socket(context.Background(), family, typ, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*Socket)
}

// connects connects, and waits for the end of it.
func connects(s *Socket, addr []byte) error {
	err := s.Connect(context.Background(), addr)
	if err != syscall.EINPROGRESS {
		return err
	}
	awaits(s, unix.POLLOUT)
	return s.Connect(context.Background(), addr)
}

func sends(s *Socket, addr []byte) error {
	_, err := s.Send(context.Background(), &vfs.Packet{Data: []byte("x"), Addr: addr})
	return err
}

// Each case tries to reach the forbidden port: it does, where Linux lets it, when the
// rules let it, and never when they do not.
func TestRulesHostile(t *testing.T) {
	ctx := context.Background()
	good, bad := newTarget(t, "127.0.0.1"), newTarget(t, "127.0.0.1")
	at := func(ip string, x *target) string { return net.JoinHostPort(ip, fmt.Sprint(x.port)) }
	v4 := func(ip string) []byte { return sockaddr(unix.AF_INET, at(ip, bad)) }
	v6 := func(ip string) []byte { return sockaddr(unix.AF_INET6, at(ip, bad)) }
	allowed, allowed6 := sockaddr(unix.AF_INET, at("127.0.0.1", good)), sockaddr(unix.AF_INET6, at("::ffff:127.0.0.1", good))
	const stream, dgram = unix.SOCK_STREAM, unix.SOCK_DGRAM
	for _, c := range []struct {
		name        string
		family, typ int
		reaches     bool  // with nothing forbidden
		want        error // with it
		do          func(s *Socket) error
	}{
		{"connect", unix.AF_INET, stream, true, syscall.EACCES, func(s *Socket) error { return connects(s, v4("127.0.0.1")) }},
		{"connect to nowhere", unix.AF_INET, stream, true, syscall.EACCES, func(s *Socket) error { return connects(s, v4("0.0.0.0")) }},
		{"connect to nowhere from an address", unix.AF_INET, stream, true, syscall.EACCES, func(s *Socket) error {
			return errors.Join(s.Bind(ctx, sockaddr(unix.AF_INET, "127.0.0.1:0")), connects(s, v4("0.0.0.0")))
		}},
		{"connect mapped", unix.AF_INET6, stream, true, syscall.EACCES, func(s *Socket) error { return connects(s, v6("::ffff:127.0.0.1")) }},
		{"connect mapped to nowhere", unix.AF_INET6, stream, true, syscall.EACCES, func(s *Socket) error { return connects(s, v6("::ffff:0.0.0.0")) }},
		{"connect to :: from a mapped address", unix.AF_INET6, stream, true, syscall.EACCES, func(s *Socket) error {
			return errors.Join(s.Bind(ctx, sockaddr(unix.AF_INET6, "[::ffff:127.0.0.1]:0")), connects(s, v6("::")))
		}},
		{"connect mapped with a scope", unix.AF_INET6, stream, true, syscall.EACCES, func(s *Socket) error {
			a := v6("::ffff:127.0.0.1")
			a[24] = 1
			return connects(s, a)
		}},
		{"connect mapped, the shortest address", unix.AF_INET6, stream, true, syscall.EACCES, func(s *Socket) error {
			return connects(s, v6("::ffff:127.0.0.1")[:abi.SizeSockaddrInet6Min])
		}},
		{"connect, a long address", unix.AF_INET, stream, true, syscall.EACCES, func(s *Socket) error {
			return connects(s, append(v4("127.0.0.1"), make([]byte, 100)...))
		}},
		{"connect, a short address", unix.AF_INET, stream, false, syscall.EINVAL, func(s *Socket) error { return connects(s, v4("127.0.0.1")[:15]) }},
		{"connect to another family", unix.AF_INET, stream, false, syscall.EAFNOSUPPORT, func(s *Socket) error { return connects(s, v6("::ffff:127.0.0.1")) }},
		{"connect again after the end of a connection", unix.AF_INET, stream, true, syscall.EACCES, func(s *Socket) error {
			return errors.Join(connects(s, allowed), s.Connect(ctx, sockaddr(unix.AF_UNSPEC, "0.0.0.0:0")), connects(s, v4("127.0.0.1")))
		}},
		{"connect elsewhere while connecting", unix.AF_INET, stream, true, syscall.EACCES, func(s *Socket) error {
			if err := s.Connect(ctx, allowed); err != syscall.EINPROGRESS {
				return err
			}
			return errors.Join(s.Connect(ctx, sockaddr(unix.AF_UNSPEC, "0.0.0.0:0")), connects(s, v4("127.0.0.1")))
		}},
		{"UDP connect", unix.AF_INET, dgram, true, syscall.EACCES, func(s *Socket) error {
			return errors.Join(connects(s, v4("127.0.0.1")), sends(s, nil))
		}},
		{"UDP connect, AF_INET on AF_INET6", unix.AF_INET6, dgram, true, syscall.EACCES, func(s *Socket) error {
			return errors.Join(connects(s, v4("127.0.0.1")), sends(s, nil))
		}},
		{"sendto", unix.AF_INET, dgram, true, syscall.EACCES, func(s *Socket) error { return sends(s, v4("127.0.0.1")) }},
		{"sendto nowhere", unix.AF_INET, dgram, true, syscall.EACCES, func(s *Socket) error { return sends(s, v4("0.0.0.0")) }},
		{"sendto elsewhere than connected", unix.AF_INET, dgram, true, syscall.EACCES, func(s *Socket) error {
			return errors.Join(connects(s, allowed), sends(s, v4("127.0.0.1")))
		}},
		{"sendto AF_UNSPEC, which is AF_INET", unix.AF_INET, dgram, true, syscall.EACCES, func(s *Socket) error {
			return sends(s, sockaddr(unix.AF_UNSPEC, at("127.0.0.1", bad)))
		}},
		{"sendto AF_UNSPEC on AF_INET6, which is none", unix.AF_INET6, dgram, false, nil, func(s *Socket) error {
			return errors.Join(connects(s, allowed6), sends(s, sockaddr(unix.AF_UNSPEC, at("127.0.0.1", bad))))
		}},
		{"sendto AF_INET on AF_INET6", unix.AF_INET6, dgram, true, syscall.EACCES, func(s *Socket) error { return sends(s, v4("127.0.0.1")) }},
		{"sendto mapped", unix.AF_INET6, dgram, true, syscall.EACCES, func(s *Socket) error { return sends(s, v6("::ffff:127.0.0.1")) }},
		{"sendto mapped from there", unix.AF_INET6, dgram, true, syscall.EACCES, func(s *Socket) error {
			return errors.Join(s.Bind(ctx, sockaddr(unix.AF_INET6, "[::ffff:127.0.0.1]:0")), sends(s, v6("::ffff:0.0.0.0")))
		}},
		{"sendto, another family", unix.AF_INET, dgram, false, syscall.EAFNOSUPPORT, func(s *Socket) error {
			return sends(s, sockaddr(unix.AF_X25, at("127.0.0.1", bad)))
		}},
		{"UDP reconnect", unix.AF_INET, dgram, true, syscall.EACCES, func(s *Socket) error {
			return errors.Join(connects(s, allowed), connects(s, v4("127.0.0.1")), sends(s, nil))
		}},
		{"fast open", unix.AF_INET, stream, false, syscall.EOPNOTSUPP, func(s *Socket) error {
			_, err := s.Send(ctx, &vfs.Packet{Data: []byte("x"), Addr: v4("127.0.0.1"), Flags: unix.MSG_FASTOPEN})
			return err
		}},
		{"a route through it", unix.AF_INET, dgram, false, syscall.ENOPROTOOPT, func(s *Socket) error {
			return s.SetOption(ctx, unix.SOL_IP, unix.IP_OPTIONS, []byte{131, 7, 4, 127, 0, 0, 1, 0})
		}},
		{"a route through it, of one packet", unix.AF_INET, dgram, false, syscall.EINVAL, func(s *Socket) error {
			c := make([]byte, unix.CmsgSpace(8))
			binary.NativeEndian.PutUint64(c, uint64(unix.CmsgLen(8)))
			binary.NativeEndian.PutUint32(c[8:], unix.SOL_IP)
			binary.NativeEndian.PutUint32(c[12:], unix.IP_RETOPTS)
			copy(c[16:], []byte{131, 7, 4, 127, 0, 0, 1, 0})
			_, err := s.Send(ctx, &vfs.Packet{Data: []byte("x"), Addr: allowed, Control: c})
			return err
		}},
		{"an interface", unix.AF_INET, dgram, false, syscall.ENOPROTOOPT, func(s *Socket) error {
			return s.SetOption(ctx, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, []byte("lo\x00"))
		}},
		{"a group", unix.AF_INET, dgram, false, syscall.ENOPROTOOPT, func(s *Socket) error {
			return s.SetOption(ctx, unix.SOL_IP, unix.IP_ADD_MEMBERSHIP, []byte{224, 0, 0, 251, 127, 0, 0, 1})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, HostRules(func(context.Context, string, string, netip.AddrPort) error { return nil }), c.family, c.typ)
			err := c.do(s)
			if bad.heard(t) != c.reaches || c.reaches && err != nil {
				t.Errorf("without rules: %v, reached: %v", err, !c.reaches)
			}
			s = open(t, HostRules(func(_ context.Context, op, _ string, a netip.AddrPort) error {
				if op == "bind" || a == netip.MustParseAddrPort(at("127.0.0.1", good)) {
					return nil
				}
				return errors.New("not there")
			}), c.family, c.typ)
			if err := c.do(s); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if bad.heard(t) {
				t.Error("reached")
			}
			good.heard(t)
		})
	}
}

// What the check is asked, in the order of the calls.
func TestRulesAsk(t *testing.T) {
	ctx := context.Background()
	good := newTarget(t, "127.0.0.1")
	var mu sync.Mutex
	var asked []string
	n := HostRules(func(_ context.Context, op, network string, a netip.AddrPort) error {
		mu.Lock()
		defer mu.Unlock()
		if port := int(a.Port()); port == good.port {
			a = netip.AddrPortFrom(a.Addr(), 1)
		} else if port != 0 {
			a = netip.AddrPortFrom(a.Addr(), 2)
		}
		asked = append(asked, op+" "+network+" "+a.String())
		return nil
	})
	to := sockaddr(unix.AF_INET6, fmt.Sprintf("[::ffff:127.0.0.1]:%d", good.port))
	for _, c := range []struct {
		name        string
		family, typ int
		do          func(s *Socket) error
		want        []string
	}{
		{"a connection is asked about once", unix.AF_INET6, unix.SOCK_STREAM, func(s *Socket) error { return connects(s, to) },
			[]string{"connect tcp 127.0.0.1:1"}},
		{"each one is", unix.AF_INET6, unix.SOCK_STREAM, func(s *Socket) error {
			return errors.Join(connects(s, to), s.Connect(ctx, sockaddr(unix.AF_UNSPEC, "0.0.0.0:0")), connects(s, to))
		}, []string{"connect tcp 127.0.0.1:1", "connect tcp 127.0.0.1:1"}},
		{"no address is an address", unix.AF_INET6, unix.SOCK_STREAM, func(s *Socket) error {
			_ = connects(s, sockaddr(unix.AF_INET6, "[::]:1"))
			return nil
		}, []string{"connect tcp [::1]:2"}},
		{"each datagram with an address is", unix.AF_INET6, unix.SOCK_DGRAM, func(s *Socket) error {
			return errors.Join(connects(s, to), sends(s, nil), sends(s, nil), sends(s, to))
		}, []string{"connect udp 127.0.0.1:1", "send udp 127.0.0.1:1"}},
		{"bind and listen", unix.AF_INET, unix.SOCK_STREAM, func(s *Socket) error {
			return errors.Join(s.Bind(ctx, sockaddr(unix.AF_INET, "127.0.0.1:0")), s.Listen(ctx, 1))
		}, []string{"bind tcp 127.0.0.1:0", "listen tcp 127.0.0.1:2"}},
		{"bind with no family", unix.AF_INET, unix.SOCK_STREAM, func(s *Socket) error {
			return s.Bind(ctx, sockaddr(unix.AF_UNSPEC, "0.0.0.0:0"))
		}, []string{"bind tcp 0.0.0.0:0"}},
		{"listen without bind", unix.AF_INET, unix.SOCK_STREAM, func(s *Socket) error { return s.Listen(ctx, 1) },
			[]string{"listen tcp 0.0.0.0:0"}},
		{"all of IPv6 is all of IPv4", unix.AF_INET6, unix.SOCK_STREAM, func(s *Socket) error {
			return errors.Join(s.Bind(ctx, sockaddr(unix.AF_INET6, "[::]:0")), s.Listen(ctx, 1))
		}, []string{"bind tcp [::]:0", "bind tcp 0.0.0.0:0", "listen tcp [::]:2", "listen tcp 0.0.0.0:2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked = nil
			if err := c.do(open(t, n, c.family, c.typ)); err != nil {
				t.Error(err)
			}
			if !slices.Equal(asked, c.want) {
				t.Errorf("asked %q, want %q", asked, c.want)
			}
		})
	}
	if r := n.realm.(*ruled); len(r.asked) != 0 {
		t.Errorf("%d connections are not over", len(r.asked))
	}
}

// A refusal has the errno that the check gives.
func TestRulesErrno(t *testing.T) {
	for _, c := range []struct{ err, want error }{
		{syscall.ENETUNREACH, syscall.ENETUNREACH},
		{fmt.Errorf("wrapped: %w", syscall.EHOSTUNREACH), syscall.EHOSTUNREACH},
		{errors.New("no"), syscall.EACCES},
		{syscall.Errno(0), syscall.EACCES},
	} {
		s := open(t, HostRules(func(context.Context, string, string, netip.AddrPort) error { return c.err }), unix.AF_INET, unix.SOCK_STREAM)
		if err := s.Connect(context.Background(), sockaddr(unix.AF_INET, "127.0.0.1:1")); err != c.want {
			t.Errorf("%v: %v, want %v", c.err, err, c.want)
		}
		if err := s.Listen(context.Background(), 1); err != c.want {
			t.Errorf("%v: listen: %v, want %v", c.err, err, c.want)
		}
	}
}
