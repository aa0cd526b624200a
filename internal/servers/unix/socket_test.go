package unixsock_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	unixsock "github.com/hati-os/hati/internal/servers/unix"
	"github.com/hati-os/hati/vfs"
)

var ctx = context.Background()

// wait returns when one of events holds on f.
func wait(f vfs.Pollable, events vfs.Events) {
	came := make(chan struct{}, 1)
	w := &vfs.Waiter{Mask: events, Wake: func(*vfs.Waiter, vfs.Events) {
		select {
		case came <- struct{}{}:
		default:
		}
	}}
	f.Watch(w)
	defer f.Unwatch(w)
	for f.Poll(events) == 0 {
		<-came
	}
}

func sendAll(s, to *unixsock.Socket, b []byte) error {
	for {
		n, err := s.Send(&unixsock.Message{Data: b, To: to})
		if errors.Is(err, syscall.EAGAIN) {
			wait(s.SendRoom(to), vfs.EventOut)
			continue
		}
		if b = b[n:]; err != nil || len(b) == 0 {
			return err
		}
	}
}

func recv(s *unixsock.Socket, b []byte) (int, error) {
	for {
		n, err := s.Read(ctx, b, 0)
		if !errors.Is(err, syscall.EAGAIN) {
			return n, err
		}
		wait(s, vfs.EventIn)
	}
}

func mustPair(t testing.TB, typ int) (ns *unixsock.Namespace, a, b *unixsock.Socket) {
	ns = new(unixsock.Namespace)
	a, b, err := ns.Pair(typ, 0, unixsock.Cred{})
	if err != nil {
		t.Fatal(err)
	}
	return ns, a, b
}

// TestBackpressure sends more than a socket takes, with waiting on both sides.
func TestBackpressure(t *testing.T) {
	for _, typ := range types {
		_, a, b := mustPair(t, typ)
		a.SetOption(unix.SO_SNDBUF, 1, false)
		const total, size = 1 << 20, 1024
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range total / size {
				if err := sendAll(a, nil, bytes.Repeat([]byte{byte(i)}, size)); err != nil {
					t.Error(err)
				}
			}
		})
		buf := make([]byte, size)
		for got := 0; got < total; {
			n, err := recv(b, buf[:size-got%size])
			if err != nil || n == 0 {
				t.Fatal(n, err)
			}
			if want := byte(got / size); buf[0] != want || buf[n-1] != want {
				t.Fatalf("type %d: wrong bytes at %d", typ, got)
			}
			got += n
		}
		wg.Wait()
		if n := a.Unreceived(); n != 0 {
			t.Errorf("type %d: %d bytes still counted", typ, n)
		}
		a.Close()
		b.Close()
	}
}

// TestDgramQueue: strangers fill a receiver's queue and wait for room, connected
// or not.
func TestDgramQueue(t *testing.T) {
	g := newGuest()
	r, _ := g.ns.New(unix.SOCK_DGRAM, 0, g.cred)
	r.BindAbstract("r")
	var wg sync.WaitGroup
	const senders, each = 4, 200
	for i := range senders {
		s, _ := g.ns.New(unix.SOCK_DGRAM, 0, g.cred)
		to := r
		if i%2 == 0 {
			if err := s.Connect(r, g.cred); err != nil {
				t.Fatal(err)
			}
			to = nil
		}
		wg.Go(func() {
			for range each {
				if err := sendAll(s, to, []byte("hello")); err != nil {
					t.Error(err)
				}
			}
			s.Close()
		})
	}
	buf := make([]byte, 10)
	for range senders * each {
		if n, err := recv(r, buf); n != 5 || err != nil {
			t.Fatal(n, err)
		}
	}
	wg.Wait()
	r.Close()
}

// TestConnectWaits: a full backlog is EAGAIN until somebody accepts or the
// listener is gone.
func TestConnectWaits(t *testing.T) {
	g := newGuest()
	l, _ := g.ns.New(unix.SOCK_STREAM, 0, g.cred)
	l.BindAbstract("l")
	l.Listen(0, g.cred)
	connect := func() error {
		s, _ := g.ns.New(unix.SOCK_STREAM, 0, g.cred)
		for {
			err := s.Connect(l, g.cred)
			if !errors.Is(err, syscall.EAGAIN) {
				return err
			}
			wait(l.Room(), vfs.EventOut)
		}
	}
	if err := connect(); err != nil {
		t.Fatal(err)
	}
	if l.Room().Poll(vfs.EventOut) != 0 {
		t.Fatal("room in a full backlog")
	}
	const n = 20
	results := make(chan error)
	for range n {
		go func() { results <- connect() }()
	}
	for range n / 2 {
		wait(l, vfs.EventIn)
		c, err := l.Accept(true)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	for range n / 2 {
		if err := <-results; err != syscall.ECONNREFUSED {
			t.Errorf("connect to a closed listener: %v", err)
		}
	}
}

func TestUnreceivedRefsAreReleased(t *testing.T) {
	for _, typ := range types {
		_, a, b := mustPair(t, typ)
		refs := [4]ref{newRef(), newRef(), newRef(), newRef()}
		for _, r := range refs {
			if _, err := a.Send(&unixsock.Message{Data: []byte("x"), Refs: []unixsock.Ref{r}}); err != nil {
				t.Fatal(err)
			}
		}
		var r unixsock.Received
		if n, err := b.Recv(make([]byte, 9), unix.MSG_PEEK, &r); n != 1 || err != nil || len(r.Refs) != 1 || refs[0].refs.Load() != 2 {
			t.Fatalf("type %d: peek: %d, %v, %d refs", typ, n, err, len(r.Refs))
		}
		r.Refs[0].Release()
		if n, err := b.Recv(make([]byte, 9), 0, &r); n != 1 || err != nil || len(r.Refs) != 1 || refs[0].refs.Load() != 1 {
			t.Fatalf("type %d: recv: %d, %v, %d refs", typ, n, err, len(r.Refs))
		}
		if n, err := b.Read(ctx, make([]byte, 9), 0); n != 1 || err != nil || refs[1].refs.Load() != 0 {
			t.Errorf("type %d: read: %d, %v, %d references", typ, n, err, refs[1].refs.Load())
		}
		b.Close()
		if refs[2].refs.Load() != 0 || refs[3].refs.Load() != 0 {
			t.Errorf("type %d: not released when the receiver closed", typ)
		}
		if _, err := a.Send(&unixsock.Message{Data: []byte("x"), Refs: []unixsock.Ref{refs[0]}}); err == nil || refs[0].refs.Load() != 1 {
			t.Errorf("type %d: send to a closed socket: %v, %d references", typ, err, refs[0].refs.Load())
		}
		a.Close()
	}
}

func send(t *testing.T, s *unixsock.Socket, refs ...unixsock.Ref) {
	t.Helper()
	for _, r := range refs {
		r.Dup()
	}
	if _, err := s.Send(&unixsock.Message{Data: []byte("x"), Refs: refs}); err != nil {
		t.Fatal(err)
	}
}

// TestCollect puts sockets in flight in each other's queues and drops all other
// references: they and the files with them go; what can be reached stays.
func TestCollect(t *testing.T) {
	ns, a, b := mustPair(t, unix.SOCK_STREAM)
	ra, rb, file := newSockRef(a), newSockRef(b), newRef()
	send(t, a, ra, rb, file)
	send(t, b, ra, rb)
	file.Release()
	ra.Release()
	ns.Collect()
	if rb.Refs() != 3 || file.refs.Load() != 1 {
		t.Fatal("collected what can still be received")
	}
	rb.Release()
	ns.Collect()
	if ra.Refs() != 0 || rb.Refs() != 0 || file.refs.Load() != 0 {
		t.Errorf("left: %d, %d, %d references", ra.Refs(), rb.Refs(), file.refs.Load())
	}

	// A chain from a socket that is held keeps all; closing that one, which is in
	// flight nowhere, frees the cycle at its end.
	c, d, _ := ns.Pair(unix.SOCK_DGRAM, 0, unixsock.Cred{})
	e, f, _ := ns.Pair(unix.SOCK_SEQPACKET, 0, unixsock.Cred{})
	re, rf := newSockRef(e), newSockRef(f)
	send(t, e, re, rf)
	send(t, c, rf)
	re.Release()
	rf.Release()
	c.Close()
	if re.Refs() != 1 || rf.Refs() != 2 {
		t.Fatalf("collected behind a held socket: %d, %d references", re.Refs(), rf.Refs())
	}
	d.Close()
	ns.Collect()
	if re.Refs() != 0 || rf.Refs() != 0 {
		t.Errorf("left: %d, %d references", re.Refs(), rf.Refs())
	}

	// A listener in flight over a connection to it that nobody accepted.
	l, _ := ns.New(unix.SOCK_STREAM, 0, unixsock.Cred{})
	l.BindAbstract("l")
	l.Listen(5, unixsock.Cred{})
	s, _ := ns.New(unix.SOCK_STREAM, 0, unixsock.Cred{})
	if err := s.Connect(l, unixsock.Cred{}); err != nil {
		t.Fatal(err)
	}
	rl := newSockRef(l)
	send(t, s, rl)
	rl.Release()
	s.Close()
	if rl.Refs() != 0 {
		t.Errorf("the listener has %d references", rl.Refs())
	}
}

func TestPassCredOnWrite(t *testing.T) {
	ns := new(unixsock.Namespace)
	owner := unixsock.Cred{PID: 7, UID: 8, GID: 9}
	a, b, _ := ns.Pair(unix.SOCK_STREAM, 0, owner)
	b.SetOption(unix.SO_PASSCRED, 1, false)
	a.Write(ctx, []byte("1"), 0)
	other := unixsock.Cred{PID: 1, UID: 2, GID: 3}
	a.Send(&unixsock.Message{Data: []byte("2"), Sender: owner, Cred: &other})
	var r unixsock.Received
	for _, want := range []unixsock.Cred{owner, other} {
		if n, err := b.Recv(make([]byte, 9), 0, &r); n != 1 || err != nil || !r.HasCred || r.Cred != want {
			t.Errorf("%d, %v, %+v", n, err, r)
		}
	}
	a.Close()
	b.Close()
}

// TestStorm lets goroutines do everything at once to a few sockets; the race
// detector and the deadlock detector watch.
func TestStorm(t *testing.T) {
	g := newGuest()
	l, _ := g.ns.New(unix.SOCK_STREAM, 0, g.cred)
	l.BindAbstract("l")
	l.Listen(3, g.cred)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 200 {
				s, _ := g.ns.New(unix.SOCK_STREAM, 0, g.cred)
				d, _ := g.ns.New(unix.SOCK_DGRAM, 0, g.cred)
				d.Autobind()
				if s.Connect(l, g.cred) == nil {
					r := newSockRef(s)
					s.Send(&unixsock.Message{Data: []byte("x"), Refs: []unixsock.Ref{r.Dup()}})
					r.Release()
				} else {
					s.Close()
				}
				if c, err := l.Accept(false); err == nil {
					var r unixsock.Received
					if c.Recv(make([]byte, 2), 0, &r); len(r.Refs) > 0 && j%2 == 0 {
						c.Send(&unixsock.Message{Data: []byte("y"), Refs: r.Refs})
					} else {
						for _, f := range r.Refs {
							f.Release()
						}
					}
					c.Shutdown(i % 3)
					c.Poll(allEvents)
					c.Close()
				}
				for _, o := range g.ns.Sockets() {
					o.Unread()
				}
				if o, err := g.ns.FindAbstract("00001", unix.SOCK_DGRAM); err == nil {
					d.Connect(o, g.cred)
					d.Send(&unixsock.Message{Data: []byte("z")})
					d.Poll(allEvents)
				}
				d.Close()
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
	l.Close()
	if n := g.ns.InFlight(); n != 0 {
		t.Errorf("%d references are still in flight", n)
	}
	if s := g.ns.Sockets(); len(s) != 0 {
		t.Errorf("%d sockets are still bound", len(s))
	}
}
