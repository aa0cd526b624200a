package unixsock_test

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	unixsock "github.com/hati-os/hati/internal/servers/unix"
)

func BenchmarkSendRecv(b *testing.B) {
	for _, typ := range types {
		for _, size := range []int{1, 4096, 65536} {
			b.Run(fmt.Sprintf("type%d/%d", typ, size), func(b *testing.B) {
				_, x, y := mustPair(b, typ)
				p := make([]byte, size)
				m := unixsock.Message{Data: p}
				var r unixsock.Received
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if n, err := x.Send(&m); n != size || err != nil {
						b.Fatal(n, err)
					}
					if n, err := y.Recv(p, 0, &r); n != size || err != nil {
						b.Fatal(n, err)
					}
				}
			})
		}
	}
}

func BenchmarkPingPong(b *testing.B) {
	_, x, y := mustPair(b, unix.SOCK_STREAM)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p := make([]byte, 1)
		for {
			if n, _ := recv(y, p); n == 0 {
				return
			}
			y.Write(ctx, p, 0)
		}
	}()
	p := make([]byte, 1)
	b.ReportAllocs()
	for b.Loop() {
		x.Write(ctx, p, 0)
		recv(x, p)
	}
	x.Close()
	<-done
}

func BenchmarkConnectAccept(b *testing.B) {
	g := newGuest()
	l, _ := g.ns.New(unix.SOCK_STREAM, 0, g.cred)
	l.BindAbstract("l")
	l.Listen(5, g.cred)
	b.ReportAllocs()
	for b.Loop() {
		s, _ := g.ns.New(unix.SOCK_STREAM, 0, g.cred)
		if err := s.Connect(l, g.cred); err != nil {
			b.Fatal(err)
		}
		c, err := l.Accept(false)
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
		c.Close()
	}
}
