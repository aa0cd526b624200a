package inet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// Nobody of the host gets the port of a listener that has gone while the host still
// tries to connect to it, and everybody does afterwards.
func TestLoopbackPortKept(t *testing.T) {
	for _, how := range []string{"closed", "shut and closed"} {
		t.Run(how, func(t *testing.T) {
			ctx := context.Background()
			n := loopbackNet(t)
			w := &world{t: t, n: n, ports: []int{80}}
			defer w.end()
			l, err := w.bound(where{"4", "127.0.0.1", false}, unix.SOCK_STREAM, "a", 0)
			if err != nil || l.Listen(ctx, 0) != nil {
				t.Fatal(err)
			}
			realm := n.realm.(*loopback)
			port := placeOf(l).hostPort
			var knocking []*Socket
			for range 8 { // more than Linux takes with such a backlog
				c := w.socket("4", unix.SOCK_STREAM)
				_ = c.Connect(ctx, w.addr("127.0.0.1", 0))
				if state, err := tcpState(c.fd); err != nil {
					t.Fatal(err)
				} else if state == tcpSynSent {
					knocking = append(knocking, c)
				}
			}
			if len(knocking) == 0 {
				t.Fatal("the backlog is never full")
			}
			if how == "shut and closed" {
				if err := l.Shutdown(ctx, unix.SHUT_RDWR); err != nil {
					t.Fatal(err)
				}
			}
			at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, realm.ip[0], realm.ip[1], atOne}), port).String()
			listens := func(address string) error {
				x, err := net.Listen("tcp4", address) // with SO_REUSEADDR
				if err == nil {
					x.Close()
				}
				return err
			}
			l.Close()
			w.open = w.open[1:]
			for _, address := range []string{at, fmt.Sprint("0.0.0.0:", port)} {
				if listens(address) == nil {
					t.Errorf("another program can listen at %s", address)
				}
			}
			awaits(knocking[0], unix.POLLOUT)
			if err := knocking[0].Connect(ctx, w.addr("127.0.0.1", 0)); err != unix.ECONNREFUSED && err != unix.ECONNRESET {
				t.Errorf("a connection to a listener that has gone: %v", err)
			}
			for _, c := range knocking {
				_ = c.Connect(ctx, make([]byte, 16))
			}
			if err := listens(at); err != nil {
				t.Errorf("the port stays taken: %v", err)
			}
		})
	}
}
