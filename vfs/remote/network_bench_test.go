package remote_test

import (
	"testing"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"golang.org/x/sys/unix"
)

// BenchmarkNetwork is what a network's server in another process costs.
func BenchmarkNetwork(b *testing.B) {
	for _, way := range []string{"lent", "asked"} {
		c, err := remote.DialNetwork(ctx, netProcess(b, "host", way).path)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Close() })
		socket := func(typ int) vfs.Socket {
			s, err := c.Socket(ctx, unix.AF_INET, typ, 0)
			if err != nil {
				b.Fatal(err)
			}
			return s
		}
		l := socket(unix.SOCK_STREAM)
		if err := l.Bind(ctx, loopbackAddr(0)); err != nil {
			b.Fatal(err)
		}
		if err := l.Listen(ctx, 10); err != nil {
			b.Fatal(err)
		}
		addr, err := l.Addr(ctx, false)
		if err != nil {
			b.Fatal(err)
		}
		connection := func() (x, y vfs.Socket) {
			x = socket(unix.SOCK_STREAM)
			if err := connectTo(ctx, x, addr); err != nil {
				b.Fatal(err)
			}
			y, err := acceptFrom(ctx, l)
			if err != nil {
				b.Fatal(err)
			}
			return x, y
		}
		run := func(name string, f func()) {
			b.Run(way+"/"+name, func(b *testing.B) {
				for b.Loop() {
					f()
				}
			})
		}
		value := make([]byte, 4)
		run("option", func() { l.Option(ctx, unix.SOL_SOCKET, unix.SO_TYPE, value) })
		run("socket and close", func() { socket(unix.SOCK_STREAM).Close() })
		run("connection", func() {
			x, y := connection()
			x.Close()
			y.Close()
		})
		x, y := connection()
		p := make([]byte, 1)
		run("a byte", func() {
			if _, err := x.Send(ctx, &vfs.Packet{Data: p}); err != nil {
				b.Fatal(err)
			}
			if _, err := receiveFrom(y); err != nil {
				b.Fatal(err)
			}
		})
	}
}
