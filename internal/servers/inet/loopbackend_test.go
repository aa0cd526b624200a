package inet

import (
	"context"
	"testing"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// What a stream's socket is, and what becomes of its port, when its connection or its
// listener has ended: of all ways to have a port, and all ways to end.
func TestLoopbackEnds(t *testing.T) {
	ctx := context.Background()
	unspec := make([]byte, 16)
	ends := []struct {
		name string
		end  func(s, peer *Socket)
	}{
		{"reset", func(s, peer *Socket) { resets(peer); awaits(s, unix.POLLHUP) }},
		{"dissolved", func(s, _ *Socket) { _ = s.Connect(ctx, unspec) }},
		{"reset, dissolved", func(s, peer *Socket) { resets(peer); awaits(s, unix.POLLHUP); _ = s.Connect(ctx, unspec) }},
		{"closed by both", func(s, peer *Socket) {
			_ = peer.Shutdown(ctx, unix.SHUT_WR)
			awaits(s, unix.POLLRDHUP)
			_ = s.Shutdown(ctx, unix.SHUT_WR)
			awaits(s, unix.POLLHUP)
		}},
		{"shut", func(s, _ *Socket) { _ = s.Shutdown(ctx, unix.SHUT_RDWR) }},
	}
	hows := []string{"caller", "bound caller", "caller bound to any port", "caller bound to all", "accepted", "accepted at all", "listener", "listener without port", "refused"}
	afters := []struct {
		name string
		f    func(w *world, s *Socket)
	}{
		{"bind", func(w *world, s *Socket) {
			w.say("  bind: %v, %v", s.Bind(ctx, w.addr("127.0.0.3", 1)), s.Bind(ctx, w.addr("127.0.0.3", 1)))
		}},
		{"bind nowhere", func(w *world, s *Socket) { w.say("  bind: %v", s.Bind(ctx, w.addr("8.8.8.8", 1))) }},
		{"listen", func(w *world, s *Socket) { w.say("  listen: %v", s.Listen(ctx, 1)) }},
		{"connect", func(w *world, s *Socket) {
			l, err := w.bound(where{"4", "127.0.0.9", false}, unix.SOCK_STREAM, "", 0)
			w.say("  %v %v, connect: %v", err, l.Listen(ctx, 1), connects(s, w.addr("127.0.0.9", 0)))
			w.say("  again: %v", connects(s, w.addr("127.0.0.9", 0)))
		}},
		{"others", func(w *world, s *Socket) { // at all its ports
			for i := range w.ports {
				_, err := w.bound(where{"4", "0.0.0.0", false}, unix.SOCK_STREAM, "", i)
				w.say("  another at P%d: %v", i, err)
			}
		}},
		{"option", func(w *world, s *Socket) { w.say("  dissolve: %v", s.Connect(ctx, unspec)) }},
	}
	both(t, func(w *world) {
		for _, how := range hows {
			for _, end := range ends {
				for _, after := range afters {
					if end.name == "closed by both" && after.name == "others" {
						continue // the host has such a port wait
					}
					w.freePorts() // of none that has ended here
					s, peer := ended(w, how)
					if peer != nil || how[0] == 'l' && end.name != "reset" && end.name != "closed by both" && end.name != "reset, dissolved" || how == "refused" && end.name == "dissolved" {
						w.say("%s, %s, then %s", how, end.name, after.name)
						end.end(s, peer)
						w.say("  is %s", w.name(s, false))
						after.f(w, s)
						w.say("  is %s with %s, %d", w.name(s, false), w.name(s, true), s.Poll(vfs.EventsIn|vfs.EventsOut))
					}
					w.end()
				}
			}
		}
	})
}

func resets(s *Socket) {
	_ = s.SetOption(context.Background(), unix.SOL_SOCKET, unix.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	_ = s.Connect(context.Background(), make([]byte, 16))
}

// ended makes a socket to end, and its peer if it has one.
func ended(w *world, how string) (s, peer *Socket) {
	ctx := context.Background()
	at := where{"4", "127.0.0.1", false}
	if how == "accepted at all" || how == "caller bound to all" {
		at.ip = "0.0.0.0"
	}
	switch how {
	case "listener", "listener without port":
		s = w.socket("4", unix.SOCK_STREAM)
		if how == "listener" {
			_ = s.Bind(ctx, w.addr(at.ip, 1))
		}
		_ = s.Listen(ctx, 1)
		return s, nil
	case "refused":
		s = w.socket("4", unix.SOCK_STREAM)
		_ = s.Connect(ctx, w.addr("127.0.0.1", 0))
		awaits(s, unix.POLLHUP)
		return s, nil
	}
	lat := at
	if how == "caller bound to all" {
		lat.ip = "127.0.0.1"
	}
	l, _ := w.bound(lat, unix.SOCK_STREAM, "", 0)
	_ = l.Listen(ctx, 1)
	c := w.socket("4", unix.SOCK_STREAM)
	switch how {
	case "bound caller":
		_ = c.Bind(ctx, w.addr("127.0.0.1", 1))
	case "caller bound to any port":
		_ = c.Bind(ctx, sockaddr(unix.AF_INET, "127.0.0.1:0"))
	case "caller bound to all":
		_ = c.Bind(ctx, sockaddr(unix.AF_INET, "0.0.0.0:0"))
	}
	if err := connects(c, w.addr("127.0.0.1", 0)); err != nil {
		w.t.Fatal(err)
	}
	awaits(l, unix.POLLIN)
	a, _, err := l.Accept(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	l.Close()
	w.open = []*Socket{c, a.(*Socket)}
	if how[0] == 'a' {
		return a.(*Socket), c
	}
	return c, a.(*Socket)
}

// What bind(2) to an address of IPv6 does to IPV6_V6ONLY.
func TestLoopbackOnly6(t *testing.T) {
	both(t, func(w *world) {
		for _, typ := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
			for _, ip := range []string{"::1", "::", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "2001:db8::1", "8::8"} {
				s, err := w.bound(where{"6", ip, false}, typ, "", 0)
				w.say("%d %s: %v, %v", typ, ip, err, s.only6())
				_, err = w.bound(where{"6", "::1", false}, typ, "", 0)
				w.say("  again: %v, %v", err, w.open[1].only6())
				_ = s.Connect(context.Background(), make([]byte, 28))
				w.say("  dissolved: %v", s.only6())
				w.end()
			}
		}
	})
}
