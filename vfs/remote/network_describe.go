package remote

import (
	"context"
	"path/filepath"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/netwire"
)

var (
	_ vfs.NetDescriber = (*NetworkClient)(nil)
	_ vfs.NetSettings  = (*NetworkClient)(nil)
)

// Describe asks the server. One that tells nothing of itself has no interfaces.
func (c *NetworkClient) Describe(ctx context.Context, q vfs.NetQuery) ([]byte, error) {
	s, err := c.session(ctx)
	if err != nil {
		return nil, err
	}
	req := netwire.DescribeRequest{Type: q.Type, Family: q.Family, To: q.To}
	for size := 16 << 10; ; {
		x := lane.Extra{Room: make([]byte, size)}
		var rep netwire.CountReply
		if err := s.call.Describe(ctx, &req, &rep, &x); err != nil {
			return nil, s.outcome(err)
		}
		n := int(rep.N)
		switch {
		case n == len(x.Room):
			return x.Room, nil
		case n < len(x.Room) || n <= size || n > netwire.MaxTransfer:
			return nil, s.broken("a description of %d bytes, %d of which came", n, len(x.Room))
		}
		size = n // once more: the whole is of one moment
	}
}

// Setting asks the server.
func (c *NetworkClient) Setting(ctx context.Context, name string) (string, error) {
	if len(name) > 256 || !filepath.IsLocal(name) {
		return "", syscall.ENOENT
	}
	s, err := c.session(ctx)
	if err != nil {
		return "", err
	}
	x := lane.Extra{Room: make([]byte, 4096)}
	if err := s.call.Setting(ctx, &netwire.SettingRequest{Name: name}, new(netwire.Empty), &x); err != nil {
		return "", s.outcome(err)
	}
	return string(x.Room), nil
}

// Describe asks the network, if it tells.
func (c *netConn) Describe(ctx context.Context, req *netwire.DescribeRequest, rep *netwire.CountReply, r *lane.Request) error {
	d, ok := c.net.(vfs.NetDescriber)
	if !ok {
		return syscall.EOPNOTSUPP
	}
	q := vfs.NetQuery{Type: req.Type, Family: req.Family}
	if len(req.To) > 0 {
		q.To = req.To
	}
	b, err := d.Describe(ctx, q)
	if err != nil {
		return err
	}
	if len(b) > netwire.MaxTransfer {
		return syscall.EMSGSIZE
	}
	rep.N = uint32(len(b))
	room := r.Room(len(b))
	r.Reply.Bulk = room[:copy(room, b)]
	return nil
}

// Setting asks the network, if it has any.
func (c *netConn) Setting(ctx context.Context, req *netwire.SettingRequest, _ *netwire.Empty, r *lane.Request) error {
	s, ok := c.net.(vfs.NetSettings)
	if !ok {
		return syscall.ENOENT
	}
	if !filepath.IsLocal(req.Name) {
		return c.broken("%q is no name of a setting", req.Name)
	}
	text, err := s.Setting(ctx, req.Name)
	if err != nil {
		return err
	}
	room := r.Room(len(text))
	r.Reply.Bulk = room[:copy(room, text)]
	return nil
}
