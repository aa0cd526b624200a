package inet

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/servers/hostwait"
	"golang.org/x/sys/unix"
)

func loopbackNet(t *testing.T) *Network {
	t.Helper()
	n, err := Loopback()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l := n.realm.(*loopback)
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.ports) != 0 || len(l.arrivals) != 0 || len(l.knocking) != 0 {
			t.Errorf("left: ports %v, arrivals %v, knocking %v", l.ports, l.arrivals, l.knocking)
		}
	})
	t.Cleanup(func() { n.Close() })
	return n
}

// both runs f on the host's network and on a loopback: what it prints must be the same.
func both(t *testing.T, f func(w *world)) {
	t.Helper()
	run := func(n *Network) string {
		w := &world{t: t, n: n}
		defer w.end()
		w.freePorts()
		f(w)
		return w.out.String()
	}
	want := run(Host())
	got := run(loopbackNet(t))
	t.Logf("%d lines", strings.Count(want, "\n"))
	if got != want {
		a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				t.Fatalf("line %d\nhost:     %s\nloopback: %s\nall:\n%s", i, a[i], strings.Join(b[i:min(i+1, len(b))], ""), got)
			}
		}
	}
}

// world is a network under test, and what happened in it.
type world struct {
	t     *testing.T
	n     *Network
	ports []int        // that are called 0 and 1
	given map[int]bool // ports that were, too
	open  []*Socket
	out   strings.Builder
}

// freePorts gives the world two other ports: that nobody has, in TCP and UDP, that the
// host gives to nobody who does not ask for them, and that it had not before.
func (w *world) freePorts() {
	w.t.Helper()
	// With SO_REUSEADDR a port where a connection ended a while ago would pass for free.
	strict := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		_ = c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 0) })
		return err
	}}
	if w.given == nil {
		w.given = map[int]bool{}
	}
	w.ports = nil
	for range 1000 {
		port := 10000 + rand.IntN(20000)
		if w.given[port] {
			continue
		}
		l, err := strict.Listen(w.t.Context(), "tcp", fmt.Sprint(":", port))
		if err != nil {
			continue
		}
		u, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
		l.Close()
		if err != nil {
			continue
		}
		u.Close()
		w.given[port] = true
		if w.ports = append(w.ports, port); len(w.ports) == 2 {
			return
		}
	}
	w.t.Fatal("no port is free")
}

func (w *world) end() {
	for _, s := range w.open {
		s.Close()
	}
	w.open = nil
}

func (w *world) say(format string, args ...any) { fmt.Fprintf(&w.out, format+"\n", args...) }

// socket makes one of "4" or "6", SOCK_STREAM or SOCK_DGRAM.
func (w *world) socket(family string, typ int) *Socket {
	w.t.Helper()
	s, err := w.n.Socket(context.Background(), map[string]int{"4": unix.AF_INET, "6": unix.AF_INET6}[family], typ, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	w.open = append(w.open, s.(*Socket))
	return s.(*Socket)
}

// addr is an address with one of the ports.
func (w *world) addr(ip string, port int) []byte {
	a := netip.MustParseAddr(ip)
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	return sockaddr(family, netip.AddrPortFrom(a, uint16(w.ports[port])).String())
}

// show is an address with the ports by their names, or one of all.
func (w *world) show(addr []byte, err error) string {
	if err != nil {
		return err.Error()
	}
	if len(addr) == 0 {
		return "none"
	}
	family := abi.SockaddrFamily(addr)
	port := int(binary.BigEndian.Uint16(addr[2:]))
	name := "*"
	for i, p := range w.ports {
		if p == port {
			name = fmt.Sprint("P", i)
		}
	}
	if port == 0 {
		name = "0"
	}
	if family == unix.AF_INET {
		return fmt.Sprint(netip.AddrFrom4([4]byte(addr[4:])), " ", name, " ", len(addr))
	}
	return fmt.Sprint(netip.AddrFrom16([16]byte(addr[8:])), " ", name, " ", len(addr))
}

func (w *world) name(s *Socket, peer bool) string {
	return w.show(s.Addr(context.Background(), peer))
}

func (w *world) set(s *Socket, level, name, value int) error {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(value))
	return s.SetOption(context.Background(), level, name, b[:])
}

// awaits waits until s is ready for events.
func awaits(s *Socket, events int16) {
	_, _ = hostwait.Retry(func() (int, error) { return unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: events}}, -1) })
}
