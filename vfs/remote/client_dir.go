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
	var rep wire.NodeReply
	if err := d.c.call.Lookup(ctx, &wire.NameRequest{Node: d.id, Name: name}, &rep, nil); err != nil {
		return nil, d.c.outcome(err)
	}
	return d.c.node(rep.Node)
}

func (d *dir) makeRequest(name string, o *vfs.MakeOptions, flags int) (*wire.MakeRequest, error) {
	if len(o.Target) > 4096 {
		return nil, syscall.ENAMETOOLONG
	}
	return &wire.MakeRequest{Node: d.id, Name: name, Mode: o.Mode, UID: o.UID, GID: o.GID, Rdev: o.Rdev,
		Target: o.Target, Flags: int32(flags)}, nil
}

// Make makes name.
func (d *dir) Make(ctx context.Context, name string, o vfs.MakeOptions) (vfs.Node, error) {
	if err := askable(name); err != nil {
		return nil, err
	}
	req, err := d.makeRequest(name, &o, 0)
	if err != nil {
		return nil, err
	}
	var rep wire.NodeReply
	if err := d.c.call.Make(ctx, req, &rep, nil); err != nil {
		return nil, d.c.outcome(err)
	}
	return d.c.node(rep.Node)
}

// MakeOpen makes name and opens it; a server that cannot do that in one step does
// it in two.
func (d *dir) MakeOpen(ctx context.Context, name string, o vfs.MakeOptions, flags int) (vfs.Node, vfs.File, error) {
	if err := askable(name); err != nil {
		return nil, nil, err
	}
	req, err := d.makeRequest(name, &o, flags)
	if err != nil {
		return nil, nil, err
	}
	if err := d.c.settle.wait(ctx); err != nil {
		return nil, nil, err
	}
	var rep wire.OpenReply
	if err := d.c.call.MakeOpen(ctx, req, &rep, nil); err != nil {
		return nil, nil, d.c.outcome(err)
	}
	n, err := d.c.node(rep.Node)
	if err != nil {
		return nil, nil, err
	}
	f, err := d.c.newFile(rep.File, n)
	return n, f, err
}

// Tmpfile makes a file without a name.
func (d *dir) Tmpfile(ctx context.Context, o vfs.MakeOptions) (vfs.Node, error) {
	req, err := d.makeRequest("", &o, 0)
	if err != nil {
		return nil, err
	}
	var rep wire.NodeReply
	if err := d.c.call.Tmpfile(ctx, req, &rep, nil); err != nil {
		return nil, d.c.outcome(err)
	}
	return d.c.node(rep.Node)
}

// Remove removes name.
func (d *dir) Remove(ctx context.Context, name string, isDir bool) error {
	if err := askable(name); err != nil {
		return err
	}
	if err := d.c.settle.wait(ctx); err != nil {
		return err
	}
	req := wire.RemoveRequest{Node: d.id, Name: name, Dir: isDir}
	return d.c.outcome(d.c.call.Remove(ctx, &req, new(wire.Empty), nil))
}

// Rename moves name to a directory of the same server.
func (d *dir) Rename(ctx context.Context, name string, to vfs.Dir, toName string, flags uint) error {
	t, ok := base(d.c, to)
	if !ok {
		return syscall.EXDEV
	}
	if err := askable(name); err != nil {
		return err
	}
	if err := askable(toName); err != nil {
		return err
	}
	if err := d.c.settle.wait(ctx); err != nil {
		return err
	}
	req := wire.RenameRequest{Node: d.id, Name: name, To: t.id, ToName: toName, Flags: uint32(flags)}
	return d.c.outcome(d.c.call.Rename(ctx, &req, new(wire.Empty), nil))
}

// Link gives target, of the same server, another name.
func (d *dir) Link(ctx context.Context, target vfs.Node, name string) error {
	t, ok := base(d.c, target)
	if !ok {
		return syscall.EXDEV
	}
	if err := askable(name); err != nil {
		return err
	}
	req := wire.LinkRequest{Node: d.id, Target: t.id, Name: name}
	return d.c.outcome(d.c.call.Link(ctx, &req, new(wire.Empty), nil))
}
