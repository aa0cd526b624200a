package remote

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// Lookup returns the node behind name.
func (d *dir) Lookup(ctx context.Context, name string) (vfs.Node, error) {
	if err := askable(name); err != nil {
		return nil, err
	}
	c, id, err := d.where(ctx)
	if err != nil {
		return nil, err
	}
	return d.lookupAt(ctx, c, id, name)
}

// lookupAt looks name up in what has this number there.
func (d *dir) lookupAt(ctx context.Context, c *session, id uint64, name string) (vfs.Node, error) {
	var rep wire.NodeReply
	if err := c.call.Lookup(ctx, &wire.NameRequest{Node: id, Name: name}, &rep, nil); err != nil {
		return nil, c.outcome(err)
	}
	return d.found(c, rep.Node, name)
}

// found is the node that the server named; the way to it is remembered.
func (d *dir) found(c *session, w wire.Node, name string) (vfs.Node, error) {
	n, err := c.node(w)
	if err == nil && c.survives {
		b, _ := base(d.client, n)
		b.trace.by(d, name)
	}
	return n, err
}

func makeRequest(id uint64, name string, o *vfs.MakeOptions, flags int) (*wire.MakeRequest, error) {
	if len(o.Target) > 4096 {
		return nil, syscall.ENAMETOOLONG
	}
	return &wire.MakeRequest{Node: id, Name: name, Mode: o.Mode, UID: o.UID, GID: o.GID, Rdev: o.Rdev,
		Target: o.Target, Flags: int32(flags)}, nil
}

// Make makes name.
func (d *dir) Make(ctx context.Context, name string, o vfs.MakeOptions) (vfs.Node, error) {
	if err := askable(name); err != nil {
		return nil, err
	}
	c, id, err := d.where(ctx)
	if err != nil {
		return nil, err
	}
	req, err := makeRequest(id, name, &o, 0)
	if err != nil {
		return nil, err
	}
	var rep wire.NodeReply
	if err := c.call.Make(ctx, req, &rep, nil); err != nil {
		return nil, c.outcome(err)
	}
	return d.found(c, rep.Node, name)
}

// MakeOpen makes name and opens it; a server that cannot do that in one step does
// it in two.
func (d *dir) MakeOpen(ctx context.Context, name string, o vfs.MakeOptions, flags int) (vfs.Node, vfs.File, error) {
	if err := askable(name); err != nil {
		return nil, nil, err
	}
	c, id, err := d.where(ctx)
	if err != nil {
		return nil, nil, err
	}
	req, err := makeRequest(id, name, &o, flags)
	if err != nil {
		return nil, nil, err
	}
	if err := c.settle.wait(ctx); err != nil {
		return nil, nil, err
	}
	var rep wire.OpenReply
	if err := c.call.MakeOpen(ctx, req, &rep, nil); err != nil {
		return nil, nil, c.outcome(err)
	}
	n, err := d.found(c, rep.Node, name)
	if err != nil {
		c.settle.close(rep.File.ID)
		return nil, nil, err
	}
	f, err := c.newFile(ctx, rep.File, n, flags)
	return n, f, err
}

// Tmpfile makes a file without a name.
func (d *dir) Tmpfile(ctx context.Context, o vfs.MakeOptions) (vfs.Node, error) {
	c, id, err := d.where(ctx)
	if err != nil {
		return nil, err
	}
	req, err := makeRequest(id, "", &o, 0)
	if err != nil {
		return nil, err
	}
	var rep wire.NodeReply
	if err := c.call.Tmpfile(ctx, req, &rep, nil); err != nil {
		return nil, c.outcome(err)
	}
	return c.node(rep.Node)
}

// Remove removes name.
func (d *dir) Remove(ctx context.Context, name string, isDir bool) error {
	if err := askable(name); err != nil {
		return err
	}
	c, id, err := d.where(ctx)
	if err != nil {
		return err
	}
	if err := c.settle.wait(ctx); err != nil {
		return err
	}
	req := wire.RemoveRequest{Node: id, Name: name, Dir: isDir}
	return c.outcome(c.call.Remove(ctx, &req, new(wire.Empty), nil))
}

// Rename moves name to a directory of the same server.
func (d *dir) Rename(ctx context.Context, name string, to vfs.Dir, toName string, flags uint) error {
	t, ok := base(d.client, to)
	if !ok {
		return syscall.EXDEV
	}
	if err := askable(name); err != nil {
		return err
	}
	if err := askable(toName); err != nil {
		return err
	}
	c, id, toID, err := both(ctx, &d.node, t)
	if err != nil {
		return err
	}
	if err := c.settle.wait(ctx); err != nil {
		return err
	}
	req := wire.RenameRequest{Node: id, Name: name, To: toID, ToName: toName, Flags: uint32(flags)}
	err = c.outcome(c.call.Rename(ctx, &req, new(wire.Empty), nil))
	if err == nil && c.survives {
		c.moved(ctx, d, name, t, toName, flags)
	}
	return err
}

// Link gives target, of the same server, another name.
func (d *dir) Link(ctx context.Context, target vfs.Node, name string) error {
	t, ok := base(d.client, target)
	if !ok {
		return syscall.EXDEV
	}
	if err := askable(name); err != nil {
		return err
	}
	c, id, targetID, err := both(ctx, &d.node, t)
	if err != nil {
		return err
	}
	req := wire.LinkRequest{Node: id, Target: targetID, Name: name}
	return c.outcome(c.call.Link(ctx, &req, new(wire.Empty), nil))
}
