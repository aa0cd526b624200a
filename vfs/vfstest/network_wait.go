package vfstest

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func (e *netEnv) poll() {
	all := vfs.EventsIn | vfs.EventsOut | vfs.EventPri | vfs.EventRdHup
	l, addr := e.listener(5)
	if got := l.Poll(all); got != 0 {
		e.Errorf("a listening socket has %#x", got)
	}
	a := e.socket(unix.SOCK_STREAM)
	if got := a.Poll(all); got&vfs.EventHup == 0 || got&vfs.EventOut == 0 {
		e.Errorf("a new socket has %#x", got)
	}
	e.must("connect", a.connect(addr))
	l.await(vfs.EventIn)
	b, _, err := l.accept()
	e.must("accept", err)
	if got := l.Poll(all); got != 0 {
		e.Errorf("after accept a listening socket has %#x", got)
	}
	if got := b.Poll(all); got != vfs.EventsOut {
		e.Errorf("a connection has %#x", got)
	}
	a.say("x")
	b.await(vfs.EventIn)
	if got := b.Poll(vfs.EventsOut); got != vfs.EventsOut {
		e.Errorf("asked for writing, a connection has %#x", got)
	}
	b.hears("x")
	if got := b.Poll(all); got != vfs.EventsOut {
		e.Errorf("a connection that was read has %#x", got)
	}
	d, _ := e.bound(unix.SOCK_DGRAM)
	if got := d.Poll(all); got != vfs.EventsOut {
		e.Errorf("a datagram socket has %#x", got)
	}
}

// pollEdges: each datagram is an event of its own, also when none was read.
func (e *netEnv) pollEdges() {
	for _, typ := range []int{unix.SOCK_DGRAM, unix.SOCK_STREAM} {
		var from, to netSock
		var addr []byte
		if typ == unix.SOCK_DGRAM {
			from, _ = e.bound(typ)
			to, addr = e.bound(typ)
		} else {
			from, to = e.pair()
		}
		came := make(chan struct{}, 1000)
		w := vfs.Waiter{Mask: vfs.EventsIn, Wake: func(*vfs.Waiter, vfs.Events) {
			select {
			case came <- struct{}{}:
			default:
			}
		}}
		to.Watch(&w)
		for range 5 {
			if _, err := from.send([]byte("x"), 0, addr); err != nil {
				e.Fatal(err)
			}
			<-came
		}
		to.Unwatch(&w)
		for len(came) > 0 {
			<-came
		}
		if _, err := from.send([]byte("x"), 0, addr); err != nil {
			e.Fatal(err)
		}
		to.await(vfs.EventIn)
		if len(came) > 0 {
			e.Error("a waiter heard of something after Unwatch")
		}
	}
}

func (e *netEnv) many() {
	l, addr := e.listener(e.o.Sockets)
	var work sync.WaitGroup
	work.Go(func() {
		for range e.o.Sockets {
			c, _, err := l.accept()
			if err != nil {
				e.Errorf("accept: %v", err)
				return
			}
			work.Go(func() {
				p := c.full(8)
				_, err := c.send(p, 0, nil)
				if err != nil {
					e.Errorf("echo: %v", err)
				}
			})
		}
	})
	for i := range e.o.Sockets {
		c := e.socket(unix.SOCK_STREAM)
		work.Go(func() {
			if err := c.connect(addr); err != nil {
				e.Errorf("connect: %v", err)
				return
			}
			p := binary.BigEndian.AppendUint64(nil, uint64(i))
			if _, err := c.send(p, 0, nil); err != nil {
				e.Errorf("send: %v", err)
				return
			}
			if got := c.full(8); !slices.Equal(got, p) {
				e.Errorf("echoed %x for %x", got, p)
			}
		})
	}
	work.Wait()
}

func (e *netEnv) closeWhileOthersWait() {
	a, b := e.pair()
	s, at := e.bound(unix.SOCK_DGRAM)
	var waiting sync.WaitGroup
	begun := make(chan struct{}, 20)
	for range 10 {
		waiting.Go(func() {
			begun <- struct{}{}
			if n, err := a.receive(&vfs.Packet{Data: make([]byte, 1)}); n != 0 || err != nil {
				e.Errorf("received %d, %v, when the peer closed", n, err)
			}
		})
		waiting.Go(func() {
			begun <- struct{}{}
			if n, err := s.receive(&vfs.Packet{Data: make([]byte, 1)}); n != 1 || err != nil {
				e.Errorf("received %d, %v", n, err)
			}
		})
	}
	for range 20 {
		<-begun
	}
	b.Close()
	from := e.socket(unix.SOCK_DGRAM)
	for range 10 {
		if _, err := from.send([]byte("x"), 0, at); err != nil {
			e.Fatal(err)
		}
	}
	waiting.Wait()
}

// leaver gives up calls at some moment, for good. The next one is given up later than
// one that was, and sooner than one that was done: however long calls take, some end
// in either way.
type leaver struct{ within time.Duration }

func newLeaver() leaver { return leaver{100 * time.Microsecond} }

// call returns a context for the next call, and what is told how the call went.
func (l *leaver) call() (context.Context, func(error)) {
	ctx, cancel := context.WithCancelCause(context.Background())
	after := rand.N(l.within)
	var over atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for begin := time.Now(); time.Since(begin) < after && !over.Load(); {
			runtime.Gosched()
		}
		cancel(vfs.ErrKilled)
	}()
	return ctx, func(err error) {
		over.Store(true)
		<-done
		if left(err) {
			l.within = min(2*l.within, time.Second)
		} else {
			l.within = max(l.within/2, 100*time.Microsecond)
		}
	}
}

// left is true for the outcomes of a call that was given up.
func left(err error) bool {
	return errors.Is(err, vfs.ErrKilled) || errors.Is(err, vfs.ErrInDoubt)
}

// acceptCancelled: callers that leave lose no connection.
func (e *netEnv) acceptCancelled() {
	const n = 200
	l, addr := e.listener(n)
	from := map[uint16]bool{}
	for range n {
		c := e.socket(unix.SOCK_STREAM)
		e.must("connect", c.connect(addr))
		own, err := c.Addr(context.Background(), false)
		e.must("getsockname", err)
		from[portOf(own)] = true
	}
	gaveUp, leaves := 0, newLeaver()
	for len(from) > 0 {
		ctx, wait := leaves.call()
		c, peer, err := l.Accept(ctx)
		wait(err)
		switch {
		case err == nil:
			if !from[portOf(peer)] {
				e.Errorf("%x was accepted twice", peer)
			}
			delete(from, portOf(peer))
			c.Close()
		case left(err):
			gaveUp++
		case errorIs(err, syscall.EAGAIN):
			l.await(vfs.EventIn)
		default:
			e.Fatal(err)
		}
	}
	e.Logf("%d calls were given up", gaveUp)
	l.end("accept", func() error {
		_, _, err := l.Accept(context.Background())
		return err
	})
}

// end checks that there is nothing more. Word of what was there may come late, so that
// the socket looks ready until somebody has tried.
func (s netSock) end(what string, op func() error) {
	s.e.Helper()
	var got vfs.Events
	for range 10 {
		s.e.wants(what+" of more", op(), syscall.EAGAIN)
		if got = s.Poll(vfs.EventsIn); got == 0 {
			return
		}
	}
	s.e.Errorf("with nothing there, %#x is ready", got)
}

// datagramsCancelled: likewise no datagram, and their order stays.
func (e *netEnv) datagramsCancelled() {
	s, at := e.bound(unix.SOCK_DGRAM)
	from, _ := e.bound(unix.SOCK_DGRAM)
	gaveUp, leaves := 0, newLeaver()
	for round := range 20 {
		for i := range 20 {
			p := make([]byte, 40)
			p[0], p[39] = byte(round), byte(i)
			if _, err := from.send(p, 0, at); err != nil {
				e.Fatal(err)
			}
		}
		for i := 0; i < 20; {
			m := vfs.Packet{Data: make([]byte, 40), Control: make([]byte, 0, 64)}
			if gaveUp%2 == 1 {
				m.Data = m.Data[:10] // who leaves may have had less room
			}
			ctx, wait := leaves.call()
			n, err := s.Receive(ctx, &m)
			wait(err)
			switch {
			case err == nil:
				if n != len(m.Data) || m.Data[0] != byte(round) || n == 40 && m.Data[39] != byte(i) {
					e.Fatalf("datagram %d.%d is %x", round, i, m.Data[:n])
				}
				i++
			case left(err):
				gaveUp++
			case errorIs(err, syscall.EAGAIN):
				s.await(vfs.EventIn)
			default:
				e.Fatal(err)
			}
		}
	}
	e.Logf("%d calls were given up", gaveUp)
	s.end("receive", func() error {
		_, err := s.Receive(context.Background(), &vfs.Packet{Data: make([]byte, 1)})
		return err
	})
}

// streamCancelled: likewise no byte.
func (e *netEnv) streamCancelled() {
	a, b := e.pair()
	var sent []byte
	for i := range 3000 {
		sent = append(sent, byte(i), byte(i>>8))
	}
	if _, err := a.send(sent, 0, nil); err != nil {
		e.Fatal(err)
	}
	gaveUp, leaves := 0, newLeaver()
	for at := 0; at < len(sent); {
		p := make([]byte, 1+rand.IntN(40))
		ctx, wait := leaves.call()
		n, err := b.Receive(ctx, &vfs.Packet{Data: p})
		wait(err)
		switch {
		case err == nil:
			if n == 0 || !slices.Equal(p[:n], sent[at:at+n]) {
				e.Fatalf("at %d: %x", at, p[:n])
			}
			at += n
		case left(err):
			gaveUp++
		case errorIs(err, syscall.EAGAIN):
			b.await(vfs.EventIn)
		default:
			e.Fatal(err)
		}
	}
	e.Logf("%d calls were given up", gaveUp)
	b.end("receive", func() error {
		_, err := b.Receive(context.Background(), &vfs.Packet{Data: make([]byte, 1)})
		return err
	})
}

// socketCancelled: all other calls end, too.
func (e *netEnv) socketCancelled() {
	_, addr := e.listener(500)
	leaves := newLeaver()
	for range 100 {
		ctx, wait := leaves.call()
		s, err := e.net.Socket(ctx, unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			wait(err)
			if !left(err) {
				e.Fatal(err)
			}
			continue
		}
		v := make([]byte, 4)
		for _, err := range []error{
			s.SetOption(ctx, unix.SOL_SOCKET, unix.SO_REUSEADDR, []byte{1, 0, 0, 0}),
			second(s.Option(ctx, unix.SOL_SOCKET, unix.SO_TYPE, v)),
			s.Bind(ctx, loopback(0)),
			second(s.Addr(ctx, false)),
			s.Connect(ctx, addr),
			second(s.Send(ctx, &vfs.Packet{Data: []byte("x")})),
			s.Shutdown(ctx, unix.SHUT_RDWR),
		} {
			ok := err == nil || left(err)
			for _, e := range []syscall.Errno{syscall.EINPROGRESS, syscall.EAGAIN, syscall.ENOTCONN, syscall.EPIPE} {
				ok = ok || errorIs(err, e) // of what was not done before
			}
			if !ok {
				e.Error(err)
			}
		}
		wait(nil)
		e.must("close", s.Close())
	}
}

func second[T any](_ T, err error) error { return err }
