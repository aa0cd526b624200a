package remote

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// DialerOf dials the socket at path.
func DialerOf(path string) Dialer {
	return func(ctx context.Context) (*lane.Lane, error) { return lane.Dial(ctx, path, Config(path)) }
}

// Redial makes a file system of what dial connects to. When that server is gone,
// the next operation dials again, and until that succeeds all fail with [ErrGone].
// Then the root is the new server's. Nodes and open files of the old one are found
// again if the server says that it can (ServeOptions.Survives): by the way to them
// and what they are (device, number, time of birth). Else nodes are stale (ESTALE)
// and files gone (ErrGone). Locks are lost: files of a node that has had some stay
// gone, too.
func Redial(ctx context.Context, dial Dialer) (*Client, error) {
	end, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	return newClient(ctx, end, dial)
}

// current is false for a session that another one has followed.
func (c *session) current() bool { return c.client.now.Load() == c }

// reach makes a session whose root is the one that everybody has.
func (c *Client) reach(ctx context.Context) (*session, error) {
	end, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	s, rep, err := c.begin(ctx, end)
	if err != nil {
		return nil, err
	}
	if rep.Root.ID == 0 || rep.Root.Bits != c.root.kind {
		end.Close()
		return nil, errors.New("the server is of another kind than before")
	}
	s.nodes.mu.Lock()
	s.enterLocked(rep.Root, nil, c.root)
	s.nodes.mu.Unlock()
	return s, nil
}

// where returns the lane and the number that the node has now.
func (n *node) where(ctx context.Context) (*session, uint64, error) {
	p := n.at.Load()
	if n.client.dial == nil || p.c.lane.Err() == nil {
		return p.c, p.id, nil
	}
	return n.again(ctx)
}

// again finds the node at a new server.
func (n *node) again(ctx context.Context) (*session, uint64, error) {
	c, err := n.client.session(ctx)
	if err != nil {
		return nil, 0, err
	}
	p := n.at.Load()
	if p.c == c {
		return c, p.id, nil
	}
	w := n.trace.way.Load()
	if !p.c.survives || !c.survives || w == nil || n.trace.ident.ino == 0 {
		return nil, 0, syscall.ESTALE
	}
	in, id, err := w.dir.where(ctx)
	if err == nil && in != c {
		err = ErrGone // once more
	}
	if err != nil {
		return nil, 0, err
	}
	switch _, err = w.dir.lookupAt(ctx, c, id, w.name); err {
	case nil:
	case syscall.ENOENT, syscall.ENOTDIR:
		return nil, 0, syscall.ESTALE
	default:
		return nil, 0, err
	}
	if p = n.at.Load(); p.c != c {
		return nil, 0, syscall.ESTALE // another file is there
	}
	return c, p.id, nil
}

// both is where for two nodes that one request names.
func both(ctx context.Context, a, b *node) (c *session, aID, bID uint64, err error) {
	if c, aID, err = a.where(ctx); err != nil {
		return nil, 0, 0, err
	}
	bC, bID, err := b.where(ctx)
	if err == nil && bC != c {
		err = ErrGone // a server died between them
	}
	return c, aID, bID, err
}

// where returns the lane and the number that the file has now.
func (f *file) where(ctx context.Context) (*session, uint64, error) {
	p := f.at.Load()
	if p.c.client.dial == nil || p.c.lane.Err() == nil {
		return p.c, p.id, nil
	}
	return f.again(ctx, p)
}

// again opens the file at a new server, if it is one that POSIX keeps all else of.
func (f *file) again(ctx context.Context, p *place) (*session, uint64, error) {
	n, _ := base(p.c.client, f.node)
	const bound = wire.FileStream | wire.FileKeeper | wire.FilePollable | wire.FilePoller
	if !p.c.survives || f.bits&bound != 0 || n.trace.locked.Load() == p.c {
		return nil, 0, ErrGone
	}
	c, id, err := n.where(ctx)
	var w wire.File
	if err == nil {
		_, w, err = n.openAt(ctx, c, id, int(f.flags))
	}
	switch {
	case err == nil:
	case ctx.Err() != nil, errors.Is(err, vfs.ErrInDoubt):
		return nil, 0, err
	default:
		return nil, 0, fmt.Errorf("%w (opening it anew: %v)", ErrGone, err)
	}
	fresh := &place{c, w.ID}
	if w.Bits != f.bits || !f.at.CompareAndSwap(p, fresh) {
		c.settle.close(w.ID)
		if p = f.at.Load(); p.c == c {
			return c, p.id, nil // somebody was faster
		}
		return nil, 0, ErrGone
	}
	if f.closed.Load() {
		c.settle.close(w.ID)
	}
	return c, w.ID, nil
}
