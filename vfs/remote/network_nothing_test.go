package remote_test

import (
	"context"
	"testing"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"github.com/hati-os/hati/vfs/remote/internal/netwire"
	"golang.org/x/sys/unix"
)

// TestNetworkSendsNothing: a server that says of a stream that it sent nothing would be
// asked again for ever.
func TestNetworkSendsNothing(t *testing.T) {
	a, b := lane.Pair(remote.NetworkConfig("nothing"))
	honest := remote.NetworkHandler(b, &goNet{})
	handle := func(ctx context.Context, r *lane.Request) error {
		if r.Op != netwire.OpSend {
			return honest(ctx, r)
		}
		r.Reply.Data = (&netwire.CountReply{}).AppendLane(r.Reply.Data[:0], netwire.ProtocolVersion)
		return nil
	}
	if err := b.Handle(handle, lane.ServeOptions{Inline: true}); err != nil {
		t.Fatal(err)
	}
	c, err := remote.NewNetwork(a)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.Socket(t.Context(), unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, err := s.Send(t.Context(), &vfs.Packet{}); n != 0 || err != nil {
		t.Errorf("nothing was to be sent: %d, %v", n, err)
	}
	if n, err := s.Send(t.Context(), &vfs.Packet{Data: []byte("x")}); n != 0 || err == nil {
		t.Errorf("a byte was to be sent: %d, %v", n, err)
	}
}
