package inet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// where is what a socket of the tables below is bound to.
type where struct {
	family, ip string
	only       bool
}

var wheres = []where{
	{"4", "0.0.0.0", false}, {"4", "127.0.0.1", false}, {"4", "127.0.0.5", false}, {"6", "::", false}, {"6", "::", true},
	{"6", "::1", false}, {"6", "::ffff:127.0.0.1", false}, {"6", "::ffff:0.0.0.0", false},
}

func (w *world) bound(at where, typ int, reuse string, port int) (*Socket, error) {
	s := w.socket(at.family, typ)
	if strings.Contains(reuse, "a") {
		_ = w.set(s, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if strings.Contains(reuse, "p") {
		_ = w.set(s, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if at.only {
		_ = w.set(s, unix.SOL_IPV6, unix.IPV6_V6ONLY, 1)
	}
	return s, s.Bind(context.Background(), w.addr(at.ip, port))
}

// Who may have a port at the same time, of all pairs.
func TestLoopbackSharing(t *testing.T) {
	for _, how := range []string{"udp", "tcp", "tcp listening"} {
		t.Run(how, func(t *testing.T) {
			both(t, func(w *world) {
				typ := unix.SOCK_STREAM
				if how == "udp" {
					typ = unix.SOCK_DGRAM
				}
				for _, a := range wheres {
					for _, b := range wheres {
						for _, ra := range []string{"", "a", "p"} {
							for _, rb := range []string{"", "a", "p"} {
								x, err := w.bound(a, typ, ra, 0)
								if err == nil && how == "tcp listening" {
									err = x.Listen(context.Background(), 1)
								}
								y, err2 := w.bound(b, typ, rb, 0)
								var err3 error
								if how != "udp" && err2 == nil {
									err3 = y.Listen(context.Background(), 1)
								}
								w.say("%v %q, %v %q: %v, %v, %v: %s", a, ra, b, rb, err, err2, err3, w.name(y, false))
								w.end()
							}
						}
					}
				}
			})
		})
	}
}

// Of those who share a port, who hears what is sent to an address.
func TestLoopbackPreference(t *testing.T) {
	both(t, func(w *world) {
		ctx := context.Background()
		for _, typ := range []int{unix.SOCK_DGRAM, unix.SOCK_STREAM} {
			for _, a := range wheres {
				for _, b := range wheres {
					for _, to := range []where{{"4", "127.0.0.1", false}, {"6", "::1", false}} {
						if a.ip == b.ip {
							continue // the host deals what comes out among those
						}
						x, errx := w.bound(a, typ, "p", 0)
						y, erry := w.bound(b, typ, "p", 0)
						c := w.socket(to.family, typ)
						var err error
						if typ == unix.SOCK_DGRAM {
							err = sends(c, w.addr(to.ip, 0))
						} else {
							err = errors.Join(x.Listen(ctx, 1), y.Listen(ctx, 1), connects(c, w.addr(to.ip, 0)))
						}
						w.say("%d %v %v %v: %v %v %v: %v %v", typ, a, b, to, errx, erry, err, x.Poll(vfs.EventsIn) != 0, y.Poll(vfs.EventsIn) != 0)
						_ = w.set(c, unix.SOL_SOCKET, unix.SO_LINGER, 0)
						w.end()
					}
				}
			}
		}
	})
}

var callers = []where{
	{"4", "127.0.0.1", false}, {"4", "127.0.0.5", false}, {"4", "0.0.0.0", false}, {"6", "::1", false},
	{"6", "::ffff:127.0.0.1", false}, {"6", "::ffff:127.0.0.5", false}, {"6", "::", false}, {"6", "::ffff:0.0.0.0", false},
}

// Connections from all kinds of sockets to all kinds, bound and not.
func TestLoopbackConnections(t *testing.T) {
	both(t, func(w *world) {
		ctx := context.Background()
		for _, at := range wheres {
			for _, to := range callers {
				for _, from := range []string{"", "127.0.0.1", "127.0.0.7", "::", "::1", "::ffff:127.0.0.1"} {
					if from != "" && netip.MustParseAddr(from).Is6() != (to.family == "6") || from == "::1" && strings.Contains(to.ip, ".") {
						continue // the host has such from 127.0.0.6
					}
					l, err := w.bound(at, unix.SOCK_STREAM, "", 0)
					err = errors.Join(err, l.Listen(ctx, 5))
					c := w.socket(to.family, unix.SOCK_STREAM)
					if from != "" {
						_ = w.set(c, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
						err = errors.Join(err, c.Bind(ctx, w.addr(from, 1)))
					}
					cerr := connects(c, w.addr(to.ip, 0))
					w.say("listen at %v, connect to %v from %q: %v %v", at, to, from, err, cerr)
					if cerr == nil {
						w.say("  %s, %s", w.name(c, false), w.name(c, true))
						awaits(l, unix.POLLIN)
						a, peer, aerr := l.Accept(ctx)
						w.say("  accepted %s", w.show(peer, aerr))
						if aerr == nil {
							a := a.(*Socket)
							w.say("  %s, %s; equal %v", w.name(a, false), w.name(a, true), w.name(a, true) != "")
							// The one who closes first keeps the port for a while: not the listener.
							_ = w.set(c, unix.SOL_SOCKET, unix.SO_LINGER, 0)
							b := make([]byte, 8)
							b[0] = 1
							_ = c.SetOption(ctx, unix.SOL_SOCKET, unix.SO_LINGER, b)
							c.Close()
							w.open = append(w.open[:len(w.open)-1], a)
						}
					}
					w.end()
				}
			}
		}
	})
}

// Datagrams from all kinds of sockets to all kinds, and back.
func TestLoopbackDatagrams(t *testing.T) {
	both(t, func(w *world) {
		ctx := context.Background()
		receive := func(s *Socket) (string, []byte) {
			awaits(s, unix.POLLIN)
			m := &vfs.Packet{Data: make([]byte, 8), Control: make([]byte, 0, 200)}
			n, err := s.Receive(ctx, m)
			info := ""
			_ = eachControl(m.Control, func(level, typ int, data []byte) error {
				switch {
				case level == unix.SOL_IP && typ == unix.IP_PKTINFO:
					info += fmt.Sprint(" ", data[4:12])
				case isPktinfo6(level, typ):
					info += fmt.Sprint(" ", netip.AddrFrom16([16]byte(data)))
				}
				return nil
			})
			return fmt.Sprintf("%d %s %s%s", n, w.show(m.Addr, err), m.Data[:n], info), m.Addr
		}
		for _, at := range wheres {
			for _, to := range callers {
				for _, how := range []string{"unbound", "bound", "connected"} {
					if strings.HasSuffix(to.ip, ".5") && netip.MustParseAddr(at.ip).Unmap().IsUnspecified() {
						continue // sockets bound to all addresses are told 127.0.0.1
					}
					s, err := w.bound(at, unix.SOCK_DGRAM, "", 0)
					_ = w.set(s, unix.SOL_IP, unix.IP_PKTINFO, 1)
					if at.family == "6" {
						_ = w.set(s, unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1)
					}
					c := w.socket(to.family, unix.SOCK_DGRAM)
					if how == "bound" {
						any := map[string]string{"4": "0.0.0.0", "6": "::"}[to.family]
						err = errors.Join(err, c.Bind(ctx, w.addr(any, 1)))
					}
					var serr error
					if how == "connected" {
						if serr = c.Connect(ctx, w.addr(to.ip, 0)); serr == nil {
							serr = sends(c, nil)
						}
					} else {
						serr = sends(c, w.addr(to.ip, 0))
					}
					w.say("bound to %v, %s to %v: %v %v", at, how, to, err, serr)
					w.say("  %s, %s", w.name(c, false), w.name(c, true))
					if n := s.Poll(vfs.EventsIn); n != 0 {
						got, from := receive(s)
						w.say("  came %s", got)
						w.say("  back: %v", sends(s, from))
						if c.Poll(vfs.EventsIn) != 0 {
							got, _ = receive(c)
							w.say("  came back %s", got)
						}
					} else if how == "connected" {
						w.say("  nobody there: %v", sends(c, nil))
					}
					w.end()
				}
			}
		}
	})
}

// What there is not.
func TestLoopbackElsewhere(t *testing.T) {
	w := &world{t: t, n: loopbackNet(t), ports: []int{22, 0}}
	defer w.end()
	ctx := context.Background()
	for _, c := range []struct {
		family, ip          string
		bind, connect, send error
	}{
		{"4", "8.8.8.8", syscall.EADDRNOTAVAIL, syscall.ENETUNREACH, syscall.ENETUNREACH},
		{"4", "224.0.0.1", syscall.EADDRNOTAVAIL, syscall.ENETUNREACH, syscall.ENETUNREACH},
		{"4", "255.255.255.255", syscall.EADDRNOTAVAIL, syscall.ENETUNREACH, syscall.ENETUNREACH},
		{"4", "127.255.255.255", syscall.EADDRNOTAVAIL, syscall.ENETUNREACH, syscall.EACCES},
		{"6", "2001:db8::1", syscall.EADDRNOTAVAIL, syscall.ENETUNREACH, syscall.ENETUNREACH},
		{"6", "::ffff:8.8.8.8", syscall.EADDRNOTAVAIL, syscall.ENETUNREACH, syscall.ENETUNREACH},
		{"6", "ff02::1", syscall.EADDRNOTAVAIL, syscall.ENETUNREACH, syscall.ENETUNREACH},
		{"6", "::127.0.0.1", syscall.EADDRNOTAVAIL, syscall.ENETUNREACH, syscall.ENETUNREACH},
	} {
		addr := w.addr(c.ip, 0)
		if err := w.socket(c.family, unix.SOCK_DGRAM).Bind(ctx, addr); err != c.bind {
			t.Errorf("bind %s: %v", c.ip, err)
		}
		if err := connects(w.socket(c.family, unix.SOCK_STREAM), addr); err != c.connect {
			t.Errorf("connect %s: %v", c.ip, err)
		}
		if err := sends(w.socket(c.family, unix.SOCK_DGRAM), addr); err != c.send {
			t.Errorf("sendto %s: %v", c.ip, err)
		}
		if err := w.socket(c.family, unix.SOCK_DGRAM).Connect(ctx, addr); err != c.send {
			t.Errorf("connect a UDP socket to %s: %v", c.ip, err)
		}
	}
	s := w.socket("4", unix.SOCK_DGRAM)
	for _, o := range []struct {
		level, name int
		value       []byte
		want        error
	}{
		{unix.SOL_SOCKET, unix.SO_BINDTODEVICE, []byte("eth0"), syscall.ENODEV},
		{unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, []byte{2, 0, 0, 0}, syscall.ENODEV},
		{unix.SOL_IP, unix.IP_ADD_MEMBERSHIP, []byte{224, 0, 0, 251, 0, 0, 0, 0}, syscall.ENODEV},
		{unix.SOL_IP, unix.IP_OPTIONS, []byte{131, 7, 4, 8, 8, 8, 8, 0}, syscall.ENOPROTOOPT}, // a source route
		{unix.SOL_IP, unix.IP_TRANSPARENT, []byte{1, 0, 0, 0}, syscall.ENOPROTOOPT},
	} {
		if err := s.SetOption(ctx, o.level, o.name, o.value); err != o.want {
			t.Errorf("option %d of level %d: %v", o.name, o.level, err)
		}
	}
}

// Listeners of the host at all addresses, and another loopback, are not reached, nor do
// they reach in; and ports of all of them may be the same.
func TestLoopbackApart(t *testing.T) {
	ctx := context.Background()
	host := newTarget(t, "0.0.0.0")
	a, b := &world{t: t, n: loopbackNet(t)}, &world{t: t, n: loopbackNet(t)}
	defer a.end()
	defer b.end()
	for _, w := range []*world{a, b} {
		w.ports = []int{host.port, 0}
		for _, ip := range []string{"127.0.0.1", "127.0.0.5", "0.0.0.0"} {
			if err := connects(w.socket("4", unix.SOCK_STREAM), w.addr(ip, 0)); err != syscall.ECONNREFUSED {
				t.Errorf("connect to %s: %v", ip, err)
			}
			_ = sends(w.socket("4", unix.SOCK_DGRAM), w.addr(ip, 0))
		}
	}
	if host.heard(t) {
		t.Error("the host heard a loopback")
	}
	la, err := a.bound(wheres[0], unix.SOCK_STREAM, "", 0)
	if err := errors.Join(err, la.Listen(ctx, 5)); err != nil {
		t.Fatal(err)
	}
	if err := connects(b.socket("4", unix.SOCK_STREAM), b.addr("127.0.0.1", 0)); err != syscall.ECONNREFUSED {
		t.Error("one loopback reached another:", err)
	}
	lb, err := b.bound(wheres[0], unix.SOCK_STREAM, "", 0)
	if err := errors.Join(err, lb.Listen(ctx, 5)); err != nil {
		t.Fatal("the same port in another loopback:", err)
	}
	// The host, even from an address of the network.
	own, err := nameOf(la.fd, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, last := range []byte{0, atOne, 77} {
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(c)
		if last != 0 {
			if err := bind(c, a.n.realm.(*loopback).host(unix.AF_INET, last, 0)); err != nil {
				t.Fatal(err)
			}
		}
		if err := connect(c, own); err != nil {
			t.Fatal(err)
		}
		awaits(la, unix.POLLIN)
		if _, _, err := la.Accept(ctx); err != syscall.EAGAIN {
			t.Errorf("a connection of the host was accepted: %v", err)
		}
		if n, err := unix.Read(c, make([]byte, 1)); n > 0 {
			t.Errorf("the host's connection is open: %d %v", n, err)
		}
	}
	ua, err := a.bound(wheres[1], unix.SOCK_DGRAM, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if own, err = nameOf(ua.fd, false); err != nil {
		t.Fatal(err)
	}
	for _, last := range []byte{0, atOne} {
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(c)
		if last != 0 {
			if err := bind(c, a.n.realm.(*loopback).host(unix.AF_INET, last, 0)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := sendmsg(c, []byte("x"), own, nil, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := ua.Receive(ctx, &vfs.Packet{Data: make([]byte, 1)}); err != syscall.EAGAIN {
			t.Errorf("a datagram of the host came in: %v", err)
		}
	}
}

// UDP sockets that are connected to each other before the other one is there, and to
// one that comes again.
func TestLoopbackLatePeers(t *testing.T) {
	both(t, func(w *world) {
		ctx := context.Background()
		a, err := w.bound(wheres[1], unix.SOCK_DGRAM, "", 0)
		w.say("%v %v", err, a.Connect(ctx, w.addr("127.0.0.1", 1)))
		w.say("nobody: %v %v", sends(a, nil), sends(a, nil))
		for range 2 {
			b, err := w.bound(wheres[0], unix.SOCK_DGRAM, "", 1)
			w.say("%v %v", err, b.Connect(ctx, w.addr("127.0.0.1", 0)))
			m := &vfs.Packet{Data: make([]byte, 9)}
			e1 := sends(b, nil)
			n, e2 := a.Receive(ctx, m)
			w.say("%v %d %s", e1, n, w.show(m.Addr, e2))
			e1 = sends(a, nil)
			n, e2 = b.Receive(ctx, m)
			w.say("%v %d %s", e1, n, w.show(m.Addr, e2))
			w.say("%v, %s", b.Connect(ctx, sockaddr(unix.AF_UNSPEC, "0.0.0.0:0")), w.name(b, false))
			b.Close()
			w.open = w.open[:1]
			w.say("gone: %v %v", sends(a, nil), sends(a, nil))
		}
		c := w.socket("4", unix.SOCK_DGRAM)
		w.say("%v %s", c.Connect(ctx, w.addr("127.0.0.1", 0)), w.name(c, false))
		w.say("%v %s", c.Connect(ctx, sockaddr(unix.AF_UNSPEC, "0.0.0.0:0")), w.name(c, false))
		w.say("%v %s", c.Bind(ctx, w.addr("127.0.0.5", 1)), w.name(c, false))
	})
}

// Everything at once, for the race detector: what comes is from where it says.
func TestLoopbackCrowd(t *testing.T) {
	n := loopbackNet(t)
	ctx := context.Background()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			w := &world{t: t, n: n, ports: []int{1000 + i, 0}}
			for range 30 {
				l, err := w.bound(wheres[i%len(wheres)], unix.SOCK_STREAM, "", 0)
				to := "127.0.0.1"
				if l.family == unix.AF_INET6 && wheres[i%len(wheres)].ip != "::ffff:127.0.0.1" && wheres[i%len(wheres)].ip != "::ffff:0.0.0.0" {
					to = "::1"
				}
				if wheres[i%len(wheres)].ip == "127.0.0.5" {
					to = "127.0.0.5"
				}
				family := map[bool]string{true: "6", false: "4"}[to == "::1"]
				if err = errors.Join(err, l.Listen(ctx, 5)); err != nil {
					t.Error(err)
					return
				}
				c := w.socket(family, unix.SOCK_STREAM)
				if err := connects(c, w.addr(to, 0)); err != nil {
					t.Error(err)
					return
				}
				awaits(l, unix.POLLIN)
				a, _, err := l.Accept(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				a.Close()
				u, err := w.bound(wheres[i%len(wheres)], unix.SOCK_DGRAM, "", 0)
				v := w.socket(family, unix.SOCK_DGRAM)
				if err := errors.Join(err, v.Connect(ctx, w.addr(to, 0)), sends(v, nil)); err != nil {
					t.Error(err)
					return
				}
				if _, err := u.Receive(ctx, &vfs.Packet{Data: make([]byte, 1)}); err != nil {
					t.Error(err)
					return
				}
				w.end()
			}
		})
	}
	wg.Wait()
}

// Echo requests are answered by the loopback's addresses, and lead nowhere else.
func TestLoopbackEcho(t *testing.T) {
	n := loopbackNet(t)
	ctx := context.Background()
	for _, c := range []struct {
		family, protocol int
		to, from         string
		request          byte
	}{
		{unix.AF_INET, unix.IPPROTO_ICMP, "127.0.0.1:7", "127.0.0.1", 8},
		{unix.AF_INET6, unix.IPPROTO_ICMPV6, "[::1]:7", "::1", 128},
	} {
		s, err := n.Socket(ctx, c.family, unix.SOCK_DGRAM, c.protocol)
		if err != nil {
			t.Skipf("the host has no echo sockets for this user: %v", err)
		}
		w := &world{t: t, n: n, ports: []int{0, 0}, open: []*Socket{s.(*Socket)}}
		packet := []byte{c.request, 0, 0, 0, 0, 0, 0, 1, 'x'}
		to := sockaddr(c.family, c.to)
		if _, err := s.Send(ctx, &vfs.Packet{Data: packet, Addr: to}); err != nil {
			t.Error(err)
		}
		awaits(s.(*Socket), unix.POLLIN)
		m := &vfs.Packet{Data: make([]byte, 20)}
		if n, err := s.Receive(ctx, m); n != 9 || err != nil || !strings.HasPrefix(w.show(m.Addr, nil), c.from+" ") {
			t.Errorf("%d %v %s", n, err, w.show(m.Addr, nil))
		}
		if err := s.Connect(ctx, to); err != nil {
			t.Error(err)
		}
		if peer := w.name(s.(*Socket), true); !strings.HasPrefix(peer, c.from+" ") {
			t.Error(peer)
		}
		for _, elsewhere := range []string{"8.8.8.8:0", "[2001:db8::1]:0"} {
			if netip.MustParseAddrPort(elsewhere).Addr().Is6() == (c.family == unix.AF_INET6) {
				if _, err := s.Send(ctx, &vfs.Packet{Data: packet, Addr: sockaddr(c.family, elsewhere)}); err != syscall.ENETUNREACH {
					t.Error(elsewhere, err)
				}
			}
		}
		w.end()
	}
}

// What guests write into addresses and ancillary data ends no network.
func FuzzLoopback(f *testing.F) {
	n, err := Loopback()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { n.Close() })
	v4, v6 := sockaddr(unix.AF_INET, "127.0.0.1:80"), sockaddr(unix.AF_INET6, "[::1]:80")
	info := appendControl(make([]byte, 0, 64), unix.SOL_IP, unix.IP_PKTINFO, []byte{1, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0})
	info6 := appendControl(make([]byte, 0, 64), unix.SOL_IPV6, unix.IPV6_PKTINFO, make([]byte, sizePktinfo6))
	f.Add(false, v4, v4, info)
	f.Add(true, v6, v6, info6)
	f.Add(true, sockaddr(unix.AF_INET6, "[::]:0"), v4, append(info6, info...))
	f.Add(false, sockaddr(unix.AF_UNSPEC, "0.0.0.0:0"), v4[:3], info[:17])
	f.Fuzz(func(t *testing.T, six bool, own, to, control []byte) {
		ctx := context.Background()
		family := unix.AF_INET
		if six {
			family = unix.AF_INET6
		}
		for _, typ := range []int{unix.SOCK_DGRAM, unix.SOCK_STREAM} {
			s, err := n.Socket(ctx, family, typ, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			_ = s.Bind(ctx, own)
			_, _ = s.Send(ctx, &vfs.Packet{Data: []byte("x"), Addr: to, Control: control, Flags: unix.MSG_DONTWAIT})
			_ = s.Connect(ctx, to)
			if name, err := s.Addr(ctx, false); err != nil || len(name) == 0 {
				t.Error(name, err)
			}
			if peer, err := s.Addr(ctx, true); err == nil {
				if a, err := abi.ParseSockaddr(peer); err != nil || !a.Addr().IsLoopback() {
					t.Error("connected to", a, err)
				}
			}
			l := n.realm.(*loopback)
			l.controlFrom(s.(*Socket).place.(*place), append([]byte(nil), control...), one6, netip.AddrPortFrom(one6, 1))
		}
	})
}
