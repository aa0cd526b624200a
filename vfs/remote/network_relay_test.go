package remote_test

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/inet"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"github.com/hati-os/hati/vfs/remote/internal/netwire"
	"golang.org/x/sys/unix"
)

// TestNetworkRelayedKept: a connection that the first server has kept for a caller who
// left is heard of behind the second one, which has lent the listener, too.
func TestNetworkRelayedKept(t *testing.T) {
	a, b := netPair(t, true)
	var once atomic.Bool
	accepted, answer := make(chan struct{}), make(chan struct{})
	ended := remote.NetworkThrough(b, inet.Host(), remote.NetworkOptions{Waits: true}, func(h lane.Handler) lane.Handler {
		return func(ctx context.Context, r *lane.Request) error {
			err := h(ctx, r)
			if r.Op == netwire.OpAccept && !once.Swap(true) {
				close(accepted)
				<-answer
			}
			return err
		}
	})
	t.Cleanup(func() { <-ended })
	first, err := remote.NewNetwork(a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { first.Close() })
	n := overNet(t, first, true, remote.NetworkOptions{Waits: true})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	l, err := n.Socket(ctx, unix.AF_INET, unix.SOCK_STREAM, 0)
	must(err)
	defer l.Close()
	must(l.Bind(ctx, loopbackAddr(0)))
	must(l.Listen(ctx, 10))
	addr, err := l.Addr(ctx, false)
	must(err)
	c, err := n.Socket(ctx, unix.AF_INET, unix.SOCK_STREAM, 0)
	must(err)
	defer c.Close()
	must(connectTo(ctx, c, addr))

	leaving, leave := context.WithCancelCause(ctx)
	left := make(chan error, 1)
	go func() {
		_, _, err := l.Accept(leaving)
		left <- err
	}()
	<-accepted
	leave(vfs.ErrKilled)
	if err := <-left; !errors.Is(err, vfs.ErrKilled) && !errors.Is(err, vfs.ErrInDoubt) {
		t.Errorf("who left has %v", err)
	}
	if _, _, err := l.Accept(ctx); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("before it is known that nobody has had it: %v", err)
	}
	came := make(chan struct{}, 100)
	w := vfs.Waiter{Mask: vfs.EventsIn, Wake: func(*vfs.Waiter, vfs.Events) { came <- struct{}{} }}
	l.Watch(&w)
	for l.Poll(vfs.EventsIn) != 0 { // word of what was there before
		if _, _, err := l.Accept(ctx); !errors.Is(err, syscall.EAGAIN) {
			t.Fatal(err)
		}
	}
	close(answer)
	for l.Poll(vfs.EventsIn) == 0 {
		<-came
	}
	l.Unwatch(&w)
	s, err := acceptFrom(ctx, l)
	must(err)
	s.Close()
}
