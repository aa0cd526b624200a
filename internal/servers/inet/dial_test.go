package inet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// census counts sockets and goroutines. (Package net keeps pipes to splice with.)
func census(t *testing.T) (open, goroutines int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			open++
		}
	}
	return open, runtime.NumGoroutine()
}

// ready waits until a socket is.
func ready(s *Socket, events vfs.Events) vfs.Events {
	woken := make(chan bool, 1)
	w := vfs.Waiter{Mask: events, Wake: func(*vfs.Waiter, vfs.Events) {
		select {
		case woken <- true:
		default:
		}
	}}
	s.Watch(&w)
	defer s.Unwatch(&w)
	for {
		if got := s.Poll(events); got != 0 {
			return got
		}
		<-woken
	}
}

// dials connects to the outside, and waits for the end of it.
func dials(s *Socket, to string) error {
	err := s.Connect(context.Background(), sockaddr(s.family, to))
	if err != syscall.EINPROGRESS {
		return fmt.Errorf("at once: %w", err)
	}
	ready(s, vfs.EventsOut)
	return s.Connect(context.Background(), sockaddr(s.family, to))
}

func sendAll(s *Socket, b []byte) error {
	for len(b) > 0 {
		n, err := s.Send(context.Background(), &vfs.Packet{Data: b})
		switch err {
		case nil:
			b = b[n:]
		case syscall.EAGAIN:
			ready(s, vfs.EventsOut)
		default:
			return err
		}
	}
	return nil
}

func receiveAll(s *Socket) ([]byte, error) {
	var all []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := s.Receive(context.Background(), &vfs.Packet{Data: buf})
		switch {
		case err == syscall.EAGAIN:
			ready(s, vfs.EventsIn|vfs.EventRdHup)
		case err != nil || n == 0:
			return all, err
		default:
			all = append(all, buf[:n]...)
		}
	}
}

// lateListener is one of a Dialer's, whose Close waits for Accept, which has one more.
type lateListener struct {
	net.Listener
	conns chan net.Conn
	over  chan bool
}

func (l *lateListener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		close(l.over)
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l *lateListener) Close() error {
	_, c := net.Pipe()
	l.conns <- c
	close(l.conns)
	<-l.over
	return nil
}

// None, which is accepted, and one that comes while the listener is closed, do no harm.
func TestDialedListenerClose(t *testing.T) {
	for _, none := range []bool{false, true} {
		l := &lateListener{conns: make(chan net.Conn), over: make(chan bool)}
		n, err := Dialed(Dialer{Listen: func(context.Context, string, string) (net.Listener, error) {
			if none {
				return noListener{}, nil
			}
			return l, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		s, err := n.Socket(t.Context(), unix.AF_INET, unix.SOCK_STREAM, 0)
		if err == nil {
			err = s.Listen(t.Context(), 1)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Close(), n.Close()); err != nil {
			t.Error(err)
		}
	}
}

// noListener accepts none.
type noListener struct{}

func (noListener) Accept() (net.Conn, error) { return nil, nil }
func (noListener) Close() error              { return nil }
func (noListener) Addr() net.Addr            { return &net.TCPAddr{} }

// Whatever becomes of connections, nothing of them is left when the network has ended.
func TestDialedLeavesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	accepting := make(chan bool)
	go func() {
		defer close(accepting)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served.Add(1)
			go func() {
				defer served.Done()
				_, _ = io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	var d net.Dialer
	dialer := Dialer{
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			switch address {
			case "192.0.2.1:1":
				<-ctx.Done()
				return nil, ctx.Err()
			case "192.0.2.1:2":
				return nil, errors.New("no")
			case "192.0.2.1:3": // a connection that does not half-close
				a, b := net.Pipe()
				served.Add(1)
				go func() {
					defer served.Done()
					_, _ = io.Copy(b, b)
					b.Close()
				}()
				return a, nil
			}
			return d.DialContext(ctx, "tcp", l.Addr().String())
		},
		Listen: func(ctx context.Context, network, address string) (net.Listener, error) {
			return net.Listen("tcp", "127.0.0.1:0")
		},
	}
	open, goroutines := census(t)
	counted := sockets.Load()
	for round := range 20 {
		n, err := Dialed(dialer)
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		var all []vfs.Socket
		for _, typ := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
			for port := range 5 {
				if typ == unix.SOCK_DGRAM && port == 1 && round > 0 {
					continue // the end waits for it
				}
				s, err := n.Socket(ctx, unix.AF_INET, typ, 0)
				if err != nil {
					t.Fatal(err)
				}
				to := sockaddr(unix.AF_INET, fmt.Sprintf("192.0.2.1:%d", port))
				err = s.Connect(ctx, to)
				if typ == unix.SOCK_DGRAM && err == nil {
					_, err = s.Send(ctx, &vfs.Packet{Data: []byte("x")})
				}
				if err != nil && err != syscall.EINPROGRESS {
					t.Error(err)
				}
				all = append(all, s)
			}
		}
		listener, err := n.Socket(ctx, unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := listener.Listen(ctx, 1); err != nil {
			t.Error(err)
		}
		for _, port := range []int{3, 4} {
			s, err := n.Socket(ctx, unix.AF_INET, unix.SOCK_STREAM, 0)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
			if err := dials(s.(*Socket), fmt.Sprintf("192.0.2.1:%d", port)); err != nil {
				t.Error(err)
			}
			if err := sendAll(s.(*Socket), []byte("x")); err != nil {
				t.Error(err)
			}
		}
		for _, s := range append(all, listener) {
			s.Close()
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
	l.Close() // it may not have accepted all yet
	<-accepting
	served.Wait()
	if n := sockets.Load(); n != counted {
		t.Errorf("%d sockets count, before %d", n, counted)
	}
	if f, _ := census(t); f > open {
		t.Errorf("%d sockets, before %d", f, open)
	}
	// Goroutines are counted until they have wholly ended.
	faulttest.Eventually(t, "the goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines })
}

// All bytes arrive, in order, both ways at once, through a connection that is slower than
// those who send; and the end of each way where it belongs.
func TestDialedCarriesAll(t *testing.T) {
	theirs := make(chan net.Conn, 1)
	for name, half := range map[string]bool{"TCP": true, "pipe": false} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			n, err := Dialed(Dialer{Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				if !half {
					a, b := net.Pipe()
					theirs <- b
					return a, nil
				}
				c, err := new(net.Dialer).DialContext(ctx, network, l.Addr().String())
				if err == nil {
					b, _ := l.Accept()
					theirs <- b
				}
				return c, err
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			s := open(t, n, unix.AF_INET6, unix.SOCK_STREAM)
			if err := dials(s, "[2001:db8::1]:80"); err != nil {
				t.Fatal(err)
			}
			c := <-theirs
			data := make([]byte, 8<<20)
			for i := range data {
				data[i] = byte(i ^ i>>8 ^ i>>16)
			}
			var wg sync.WaitGroup
			wg.Add(3)
			go func() {
				defer wg.Done()
				if err := sendAll(s, data); err != nil {
					t.Error(err)
				}
				if half {
					if err := s.Shutdown(context.Background(), unix.SHUT_WR); err != nil {
						t.Error(err)
					}
				}
			}()
			read := make(chan bool)
			go func() {
				defer wg.Done()
				defer close(read)
				got := make([]byte, len(data))
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, data) {
					t.Errorf("outside: wrong, %v", err)
				}
				if half {
					if n, err := c.Read(got); n != 0 || err != io.EOF {
						t.Errorf("outside: %d, %v, not the end", n, err)
					}
				}
			}()
			go func() {
				defer wg.Done()
				if _, err := c.Write(data); err != nil {
					t.Error(err)
				}
				<-read
				c.Close()
			}()
			got, err := receiveAll(s)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("inside: %d bytes, %v", len(got), err)
			}
			wg.Wait()
		})
	}
}

// Attempts that are given up at any moment leave sockets that work.
func TestDialedAbandoned(t *testing.T) {
	go1 := make(chan bool)
	n, err := Dialed(Dialer{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == "192.0.2.1:1" {
			select {
			case <-go1:
			case <-ctx.Done():
			}
		}
		a, b := net.Pipe()
		go func() {
			_, _ = io.Copy(b, b)
			b.Close()
		}()
		return a, nil // though nobody may want it
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	to, next := sockaddr(unix.AF_INET, "192.0.2.1:1"), sockaddr(unix.AF_INET, "192.0.2.1:2")
	for i := range 200 {
		s := open(t, n, unix.AF_INET, unix.SOCK_STREAM)
		if err := s.Connect(ctx, to); err != syscall.EINPROGRESS {
			t.Fatal(err)
		}
		if i%2 == 0 {
			go1 <- true // and so it may be made by now, or half
		}
		if err := s.Connect(ctx, sockaddr(unix.AF_UNSPEC, "0.0.0.0:0")); err != nil {
			t.Fatal(err)
		}
		if err := s.Connect(ctx, next); err != syscall.EINPROGRESS {
			t.Fatal(err)
		}
		ready(s, vfs.EventsOut)
		if err := s.Connect(ctx, next); err != nil {
			t.Fatal(err)
		}
		if err := sendAll(s, []byte("x")); err != nil {
			t.Fatal(err)
		}
		ready(s, vfs.EventsIn)
		if n, err := s.Receive(ctx, &vfs.Packet{Data: make([]byte, 9)}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
}

// refusing is a connection that says forever that its datagrams are refused, and does not
// know its address.
type refusing struct {
	net.Conn
	closed  chan bool
	refused int
}

func (c *refusing) Write(b []byte) (int, error) { return len(b), nil }

func (c *refusing) Read([]byte) (int, error) {
	c.refused++
	return 0, syscall.ECONNREFUSED
}

func (c *refusing) LocalAddr() net.Addr { panic("no address") }

func (c *refusing) Close() error {
	close(c.closed)
	return nil
}

// A datagram is refused once at most, and who says more than that is not asked for ever.
func TestDialedRefusing(t *testing.T) {
	c := &refusing{closed: make(chan bool)}
	n, err := Dialed(Dialer{Dial: func(context.Context, string, string) (net.Conn, error) { return c, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ctx := context.Background()
	s, err := n.Socket(ctx, unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Connect(ctx, sockaddr(unix.AF_INET, "192.0.2.1:1")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(ctx, &vfs.Packet{Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	ready(s.(*Socket), vfs.EventErr)
	if _, err := s.Receive(ctx, &vfs.Packet{Data: make([]byte, 1)}); err != syscall.ECONNREFUSED {
		t.Errorf("received: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	<-c.closed
	if c.refused > 2 {
		t.Errorf("one datagram, refused %d times", c.refused)
	}
}

// silent is one that says nothing.
type silent struct{ refusing }

func (c *silent) Read([]byte) (int, error) {
	<-c.closed
	return 0, io.EOF
}

// A connection whose methods panic has no address.
func TestDialedNoAddress(t *testing.T) {
	n, err := Dialed(Dialer{Dial: func(context.Context, string, string) (net.Conn, error) {
		return &silent{refusing{closed: make(chan bool)}}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	s, err := n.Socket(context.Background(), unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := dials(s.(*Socket), "192.0.2.1:1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Addr(context.Background(), false); err != nil {
		t.Error(err)
	}
}
