package posix

import (
	"context"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/anon"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// slowSocket is asked for its address until it is told to answer.
type slowSocket struct {
	vfs.Socket
	node          anon.Node
	asked, answer chan struct{}
	closed        atomic.Int32
}

func (s *slowSocket) Node() vfs.Node { return &s.node }

func (s *slowSocket) Option(context.Context, int, int, []byte) (int, error) {
	return 0, syscall.ENOPROTOOPT
}

func (s *slowSocket) Addr(_ context.Context, peer bool) ([]byte, error) {
	if peer {
		return nil, syscall.ENOTCONN
	}
	s.asked <- struct{}{}
	<-s.answer
	return []byte{unix.AF_INET, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, nil
}

func (s *slowSocket) Close() error {
	s.closed.Add(1)
	return nil
}

// TestClosedWhileListed: a socket is not closed while /proc/net looks at it, and close
// does not wait for that.
func TestClosedWhileListed(t *testing.T) {
	k := &Kernel{}
	server := &slowSocket{asked: make(chan struct{}), answer: make(chan struct{})}
	s := &netSocket{Socket: server, k: k, netKind: netKind{unix.AF_INET, unix.SOCK_DGRAM, 0}}
	k.nets.add(s)
	done := make(chan bool)
	look := func() {
		_, ok := s.state(t.Context())
		done <- ok
	}
	go look()
	<-server.asked
	go look()
	<-server.asked
	if err := s.Close(); err != nil || server.closed.Load() != 0 {
		t.Errorf("closed %d times while it was looked at: %v", server.closed.Load(), err)
	}
	if _, ok := s.state(t.Context()); ok || len(k.nets.list()) != 0 {
		t.Error("it is there after close")
	}
	close(server.answer)
	if a, b := <-done, <-done; !a || !b || server.closed.Load() != 1 {
		t.Errorf("looked %v, %v, closed %d times", a, b, server.closed.Load())
	}

	other := &slowSocket{}
	s = &netSocket{Socket: other, k: k}
	k.nets.add(s)
	if s.Close(); other.closed.Load() != 1 {
		t.Error("not closed")
	}
}
