package remote

import (
	"context"
	"strings"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
	"golang.org/x/sys/unix"
)

// openFlags are the flags that a server hears of.
const openFlags = unix.O_ACCMODE | unix.O_APPEND | unix.O_DIRECT | unix.O_SYNC | unix.O_DSYNC | unix.O_NOATIME | unix.O_NONBLOCK

func (c *conn) Root(ctx context.Context, _ *wire.Empty, rep *wire.RootReply, r *lane.Request) error {
	n, err := c.fs.Root(ctx)
	if err != nil {
		return err
	}
	if _, ok := c.fs.(vfs.Statfser); ok {
		rep.Bits |= wire.FSStatfs
	}
	if c.opts.Unordered {
		rep.Bits |= wire.FSUnordered
	}
	if c.opts.Survives {
		rep.Bits |= wire.FSSurvives
	}
	if c.opts.Prompt {
		rep.Bits |= wire.FSPrompt
	}
	rep.Root, err = c.tell(ctx, r, n)
	return err
}

func (c *conn) Statfs(ctx context.Context, _ *wire.Empty, rep *wire.StatfsReply, _ *lane.Request) error {
	f, ok := c.fs.(vfs.Statfser)
	if !ok {
		return syscall.ENOSYS
	}
	s, err := f.Statfs(ctx)
	*rep = wire.StatfsReply(s)
	return err
}

func (c *conn) Stat(ctx context.Context, req *wire.NodeRequest, rep *wire.AttrReply, _ *lane.Request) error {
	n, err := c.node(req.Node)
	if err != nil {
		return err
	}
	a, err := n.Stat(ctx)
	rep.Attr = wireAttr(&a)
	return err
}

func (c *conn) Lookup(ctx context.Context, req *wire.NameRequest, rep *wire.NodeReply, r *lane.Request) error {
	d, err := c.dir(req.Node, req.Name)
	if err != nil {
		return err
	}
	n, err := vfs.Lookup(ctx, d, req.Name)
	if err != nil {
		return err
	}
	rep.Node, err = c.tell(ctx, r, n)
	return err
}

// dir returns the node that a request with a name is about.
func (c *conn) dir(id uint64, name string) (vfs.Node, error) {
	if err := c.name(name); err != nil {
		return nil, err
	}
	return c.node(id)
}

func (c *conn) Open(ctx context.Context, req *wire.OpenRequest, rep *wire.OpenReply, r *lane.Request) error {
	n, err := c.node(req.Node)
	if err != nil {
		return err
	}
	flags := int(req.Flags) & openFlags
	f, err := vfs.Open(ctx, n, flags)
	if err != nil {
		return err
	}
	if of := f.Node(); of != n {
		if rep.Node, err = c.tell(ctx, r, of); err != nil {
			f.Close()
			return err
		}
	}
	rep.File, err = c.give(r, f, flags)
	return err
}

// Readlink answers with the text as bulk.
func (c *conn) Readlink(ctx context.Context, req *wire.NodeRequest, _ *wire.Empty, r *lane.Request) error {
	n, err := c.node(req.Node)
	if err != nil {
		return err
	}
	s, err := vfs.Readlink(ctx, n)
	if err != nil {
		return err
	}
	return putBulk(r, s)
}

func putBulk[T string | []byte](r *lane.Request, s T) error {
	room := r.Room(len(s))
	if len(room) < len(s) {
		return syscall.ERANGE
	}
	r.Reply.Bulk = room[:copy(room, s)]
	return nil
}

func makeOptions(req *wire.MakeRequest) (vfs.MakeOptions, error) {
	if strings.IndexByte(req.Target, 0) >= 0 {
		return vfs.MakeOptions{}, syscall.EINVAL
	}
	return vfs.MakeOptions{Mode: req.Mode, UID: req.UID, GID: req.GID, Rdev: req.Rdev, Target: req.Target}, nil
}

func (c *conn) Make(ctx context.Context, req *wire.MakeRequest, rep *wire.NodeReply, r *lane.Request) error {
	d, err := c.dir(req.Node, req.Name)
	if err != nil {
		return err
	}
	o, err := makeOptions(req)
	if err != nil {
		return err
	}
	n, err := vfs.Make(ctx, d, req.Name, o)
	if err != nil {
		return err
	}
	rep.Node, err = c.tell(ctx, r, n)
	return err
}

// MakeOpen makes and opens in two steps if the server has no single one.
func (c *conn) MakeOpen(ctx context.Context, req *wire.MakeRequest, rep *wire.OpenReply, r *lane.Request) error {
	d, err := c.dir(req.Node, req.Name)
	if err != nil {
		return err
	}
	o, err := makeOptions(req)
	if err != nil {
		return err
	}
	flags := int(req.Flags) & openFlags
	var n vfs.Node
	var f vfs.File
	if m, ok := d.(vfs.MakeOpener); ok {
		n, f, err = m.MakeOpen(ctx, req.Name, o, flags)
	} else if n, err = vfs.Make(ctx, d, req.Name, o); err == nil {
		f, err = vfs.Open(context.WithoutCancel(ctx), n, flags) // there is an effect already
	}
	if err != nil {
		return err
	}
	if rep.Node, err = c.tell(ctx, r, n); err != nil {
		f.Close()
		return err
	}
	rep.File, err = c.give(r, f, flags)
	return err
}

func (c *conn) Tmpfile(ctx context.Context, req *wire.MakeRequest, rep *wire.NodeReply, r *lane.Request) error {
	d, err := c.node(req.Node)
	if err != nil {
		return err
	}
	o, err := makeOptions(req)
	if err != nil {
		return err
	}
	n, err := vfs.Tmpfile(ctx, d, o)
	if err != nil {
		return err
	}
	rep.Node, err = c.tell(ctx, r, n)
	return err
}

func (c *conn) Remove(ctx context.Context, req *wire.RemoveRequest, _ *wire.Empty, _ *lane.Request) error {
	d, err := c.dir(req.Node, req.Name)
	if err != nil {
		return err
	}
	return vfs.Remove(ctx, d, req.Name, req.Dir)
}

func (c *conn) Rename(ctx context.Context, req *wire.RenameRequest, _ *wire.Empty, _ *lane.Request) error {
	d, err := c.dir(req.Node, req.Name)
	if err != nil {
		return err
	}
	to, err := c.dir(req.To, req.ToName)
	if err != nil {
		return err
	}
	return vfs.Rename(ctx, d, req.Name, to, req.ToName, uint(req.Flags))
}

func (c *conn) Link(ctx context.Context, req *wire.LinkRequest, _ *wire.Empty, _ *lane.Request) error {
	d, err := c.dir(req.Node, req.Name)
	if err != nil {
		return err
	}
	target, err := c.node(req.Target)
	if err != nil {
		return err
	}
	return vfs.Link(ctx, d, target, req.Name)
}

func (c *conn) SetAttr(ctx context.Context, req *wire.SetAttrRequest, _ *wire.Empty, _ *lane.Request) error {
	n, err := c.node(req.Node)
	if err != nil {
		return err
	}
	var f vfs.File
	if req.File != 0 {
		o, err := c.file(req.File)
		if err != nil {
			return err
		}
		defer c.files.put(o)
		f = o.file
	}
	return vfs.SetAttributes(ctx, n, f, vfs.SetAttr{
		Valid: req.Valid, Mode: req.Mode, UID: req.UID, GID: req.GID, Size: req.Size,
		Atime: timespec(req.Atime), Mtime: timespec(req.Mtime),
	})
}

// Getxattr answers with the value as bulk.
func (c *conn) Getxattr(ctx context.Context, req *wire.NameRequest, _ *wire.Empty, r *lane.Request) error {
	n, err := c.node(req.Node)
	if err != nil {
		return err
	}
	v, err := vfs.Getxattr(ctx, n, req.Name)
	if err != nil {
		return err
	}
	return putBulk(r, v)
}

// Setxattr sets the request's bulk.
func (c *conn) Setxattr(ctx context.Context, req *wire.XattrRequest, _ *wire.Empty, r *lane.Request) error {
	n, err := c.node(req.Node)
	if err != nil {
		return err
	}
	value := r.Bulk
	if c.opts.SharedWrites {
		value = append([]byte(nil), value...)
	}
	return vfs.Setxattr(ctx, n, req.Name, value, int(req.Flags))
}

// Listxattr answers with names, each with a zero byte behind it, as bulk.
func (c *conn) Listxattr(ctx context.Context, req *wire.NodeRequest, _ *wire.Empty, r *lane.Request) error {
	n, err := c.node(req.Node)
	if err != nil {
		return err
	}
	names, err := vfs.Listxattr(ctx, n)
	if err != nil || len(names) == 0 {
		return err
	}
	return putBulk(r, strings.Join(names, "\x00")+"\x00")
}

func (c *conn) Removexattr(ctx context.Context, req *wire.NameRequest, _ *wire.Empty, _ *lane.Request) error {
	n, err := c.node(req.Node)
	if err != nil {
		return err
	}
	return vfs.Removexattr(ctx, n, req.Name)
}

// Access asks a server that decides itself; others leave it to the mode.
func (c *conn) Access(ctx context.Context, req *wire.AccessRequest, _ *wire.Empty, _ *lane.Request) error {
	n, err := c.node(req.Node)
	if err != nil {
		return err
	}
	if a, ok := n.(vfs.Accesser); ok {
		return a.Access(ctx, req.Mask)
	}
	return nil
}

// Forget gives nodes back.
func (c *conn) Forget(_ context.Context, req *wire.ForgetNote, _ *lane.Request) error {
	for _, n := range req.Nodes {
		if !c.nodes.forget(n.Node, uint64(n.Times)) {
			return c.broken("node %d was forgotten %d times too often", n.Node, n.Times)
		}
	}
	return nil
}

func timespec(t wire.Time) syscall.Timespec { return syscall.Timespec{Sec: t.Sec, Nsec: t.Nsec} }
func wireTime(t syscall.Timespec) wire.Time { return wire.Time{Sec: t.Sec, Nsec: t.Nsec} }

func wireAttr(a *vfs.Attr) wire.Attr {
	return wire.Attr{
		Dev: a.Dev, Ino: a.Ino, Rdev: a.Rdev, Mode: a.Mode, Nlink: a.Nlink, UID: a.UID, GID: a.GID, Blksize: a.Blksize,
		Size: a.Size, Blocks: a.Blocks,
		Atime: wireTime(a.Atime), Mtime: wireTime(a.Mtime), Ctime: wireTime(a.Ctime), Btime: wireTime(a.Btime), OwnAccess: a.OwnAccess,
	}
}
