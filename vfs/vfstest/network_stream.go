package vfstest

import (
	"bytes"
	"context"
	"encoding/binary"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func (e *netEnv) stream() {
	l, addr := e.listener(5)
	if _, _, err := l.Accept(context.Background()); !errorIs(err, syscall.EAGAIN) {
		e.Fatalf("accept of nobody: %v", err)
	}
	a := e.socket(unix.SOCK_STREAM)
	e.must("connect", a.connect(addr))
	b, peer, err := l.accept()
	e.must("accept", err)
	own, err := a.Addr(context.Background(), false)
	e.must("getsockname", err)
	theirs, err := a.Addr(context.Background(), true)
	e.must("getpeername", err)
	if !sameAddr(peer, own) || !sameAddr(theirs, addr) {
		e.Errorf("accepted from %x, connected from %x; connected to %x, listening at %x", peer, own, theirs, addr)
	}
	if got, err := b.Addr(context.Background(), false); err != nil || !sameAddr(got, addr) {
		e.Errorf("the accepted end's own address is %x, %v", got, err)
	}
	a.say("ping")
	b.hears("ping")
	b.say("pong")
	a.hears("pong")
	if _, err := a.Receive(context.Background(), &vfs.Packet{Data: make([]byte, 1)}); !errorIs(err, syscall.EAGAIN) {
		e.Errorf("receive of nothing: %v", err)
	}
}

func (e *netEnv) streamShutdown() {
	a, b := e.pair()
	a.say("last")
	e.must("shutdown", a.Shutdown(context.Background(), unix.SHUT_WR))
	b.hears("last")
	if got := b.text(10); got != "" {
		e.Errorf("after the end: %q", got)
	}
	b.await(vfs.EventRdHup)
	_, err := a.Send(context.Background(), &vfs.Packet{Data: []byte("x")})
	e.wants("send after shutdown", err, syscall.EPIPE)
	b.say("still")
	a.hears("still")
	e.must("close", b.Close())
	if got := a.text(1); got != "" {
		e.Errorf("after both ends: %q", got)
	}
	a.await(vfs.EventHup)
	e.wants("shutdown of what is not connected", e.socket(unix.SOCK_STREAM).Shutdown(context.Background(), unix.SHUT_RD), syscall.ENOTCONN)
}

func (e *netEnv) streamReset() {
	a, b := e.pair()
	linger := binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, 1), 0)
	e.must("SO_LINGER", a.SetOption(context.Background(), unix.SOL_SOCKET, unix.SO_LINGER, linger))
	e.must("close", a.Close())
	b.await(vfs.EventErr)
	_, err := b.receive(&vfs.Packet{Data: make([]byte, 1)})
	e.wants("receive after a reset", err, syscall.ECONNRESET)
	_, err = b.Send(context.Background(), &vfs.Packet{Data: []byte("x")})
	e.wants("send after a reset", err, syscall.EPIPE)
}

func (e *netEnv) streamPeek() {
	a, b := e.pair()
	a.say("abcdef")
	m := vfs.Packet{Data: make([]byte, 3), Flags: unix.MSG_PEEK}
	n, err := b.receive(&m)
	e.must("peek", err)
	if string(m.Data[:n]) != "abc" {
		e.Errorf("peeked %q", m.Data[:n])
	}
	n, err = b.receive(&vfs.Packet{Data: make([]byte, 4), Flags: unix.MSG_TRUNC})
	if n != 4 || err != nil {
		e.Errorf("threw away %d, %v", n, err)
	}
	b.hears("ef")
}

func (e *netEnv) streamLarge() {
	a, b := e.pair()
	p := make([]byte, 3<<20)
	for i := range p {
		p[i] = byte(i * 7 >> 3)
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		if n, err := a.send(p, 0, nil); n != len(p) || err != nil {
			e.Errorf("sent %d: %v", n, err)
		}
	})
	if !bytes.Equal(b.full(len(p)), p) {
		e.Error("other bytes arrived than were sent")
	}
	sending.Wait()
}

func (e *netEnv) streamUrgent() {
	a, b := e.pair()
	if _, err := b.Receive(context.Background(), &vfs.Packet{Data: make([]byte, 1), Flags: unix.MSG_OOB}); err == nil {
		e.Error("urgent data of nobody")
	}
	a.say("ab")
	if n, err := a.send([]byte("!"), unix.MSG_OOB, nil); n != 1 || err != nil {
		e.Fatalf("sent %d urgent bytes: %v", n, err)
	}
	b.await(vfs.EventPri)
	p := make([]byte, 2)
	if n, err := b.receive(&vfs.Packet{Data: p, Flags: unix.MSG_OOB}); n != 1 || err != nil || p[0] != '!' {
		e.Errorf("urgent: %d, %v, %q", n, err, p[:1])
	}
	b.hears("ab")
}

func (e *netEnv) backlog() {
	const n = 20
	l, addr := e.listener(n)
	from := map[uint16]bool{}
	for range n {
		c := e.socket(unix.SOCK_STREAM)
		e.must("connect", c.connect(addr))
		own, err := c.Addr(context.Background(), false)
		e.must("getsockname", err)
		from[portOf(own)] = true
	}
	for range n {
		_, peer, err := l.accept()
		e.must("accept", err)
		if !from[portOf(peer)] {
			e.Errorf("accepted %x, which is nobody, or was accepted", peer)
		}
		delete(from, portOf(peer))
	}
	_, _, err := l.Accept(context.Background())
	e.wants("accept of more", err, syscall.EAGAIN)
}

func (e *netEnv) refused() {
	s, addr := e.listener(1)
	s.Close()
	c := e.socket(unix.SOCK_STREAM)
	err := c.Connect(context.Background(), addr)
	if errorIs(err, syscall.EINPROGRESS) {
		c.await(vfs.EventErr)
		if got := c.option(unix.SOL_SOCKET, unix.SO_ERROR); got != int(syscall.ECONNREFUSED) {
			e.Errorf("SO_ERROR is %d", got)
		}
		if got := c.option(unix.SOL_SOCKET, unix.SO_ERROR); got != 0 {
			e.Errorf("SO_ERROR is %d, twice", got)
		}
	} else {
		e.wants("connect to nobody", err, syscall.ECONNREFUSED)
	}
	e.wants("connect to nobody", e.socket(unix.SOCK_STREAM).connect(addr), syscall.ECONNREFUSED)
}

func (e *netEnv) errors() {
	ctx := context.Background()
	for _, tc := range []struct {
		family, typ, protocol int
		want                  syscall.Errno
	}{
		{45, unix.SOCK_STREAM, 0, syscall.EAFNOSUPPORT},
		{unix.AF_INET, unix.SOCK_SEQPACKET, 0, syscall.ESOCKTNOSUPPORT},
		{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_UDP, syscall.EPROTONOSUPPORT},
	} {
		s, err := e.net.Socket(ctx, tc.family, tc.typ, tc.protocol)
		if err == nil {
			s.Close()
		}
		e.wants("socket", err, tc.want)
	}
	s := e.socket(unix.SOCK_STREAM)
	_, err := s.Addr(ctx, true)
	e.wants("getpeername", err, syscall.ENOTCONN)
	_, _, err = s.Accept(ctx)
	e.wants("accept without listen", err, syscall.EINVAL)
	_, err = s.Receive(ctx, &vfs.Packet{Data: make([]byte, 1)})
	e.wants("receive without connection", err, syscall.ENOTCONN)
	_, err = s.Send(ctx, &vfs.Packet{Data: make([]byte, 1)})
	e.wants("send without connection", err, syscall.EPIPE)
	e.wants("bind to half an address", s.Bind(ctx, loopback(0)[:8]), syscall.EINVAL)
	d := e.socket(unix.SOCK_DGRAM)
	e.wants("listen", d.Listen(ctx, 1), syscall.EOPNOTSUPP)
	_, err = d.Send(ctx, &vfs.Packet{Data: make([]byte, 1)})
	e.wants("send to nobody", err, syscall.EDESTADDRREQ)
	_, err = d.Send(ctx, &vfs.Packet{Data: make([]byte, 70_000), Addr: loopback(9)})
	e.wants("send too much", err, syscall.EMSGSIZE)
	a, _ := e.pair()
	e.wants("connect twice", a.Connect(ctx, loopback(1)), syscall.EISCONN)
}

func (e *netEnv) addressInUse() {
	l, addr := e.listener(1)
	s := e.socket(unix.SOCK_STREAM)
	e.wants("bind", s.Bind(context.Background(), addr), syscall.EADDRINUSE)
	for range 20 { // a port is free as soon as it is closed
		l.Close()
		l = e.socket(unix.SOCK_STREAM)
		e.must("bind after close", l.Bind(context.Background(), addr))
		e.must("listen", l.Listen(context.Background(), 1))
	}
}
