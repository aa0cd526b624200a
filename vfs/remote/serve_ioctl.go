package remote

import (
	"context"
	"errors"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// Ioctl asks the file, which asks the client for its argument.
func (c *conn) Ioctl(ctx context.Context, req *wire.IoctlRequest, rep *wire.CountReply, _ *lane.Request) error {
	f, err := c.file(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	i, ok := f.file.(vfs.Ioctler)
	if !ok {
		return syscall.ENOTTY
	}
	n, err := i.Ioctl(ctx, req.Cmd, userArg{ctx, wire.Client{Lane: c.end}, req.Token, req.Value})
	rep.N = int64(n)
	return err
}

// userArg is the argument of an ioctl that another process was called with.
type userArg struct {
	ctx    context.Context
	client wire.Client
	token  uint64
	value  uint64
}

func (a userArg) Value() uint64 { return a.value }

func (a userArg) ReadAt(p []byte, off int) error {
	x := lane.Extra{Room: p}
	req := wire.UserRequest{Token: a.token, Off: int64(off), Size: uint32(len(p))}
	err := a.client.UserRead(a.ctx, &req, new(wire.Empty), &x)
	if err == nil && len(x.Room) != len(p) {
		err = syscall.EFAULT
	}
	return userError(err)
}

func (a userArg) WriteAt(p []byte, off int) error {
	x := lane.Extra{Bulk: p}
	req := wire.UserRequest{Token: a.token, Off: int64(off)}
	return userError(a.client.UserWrite(a.ctx, &req, new(wire.Empty), &x))
}

// userError is EFAULT for a caller that cannot be asked any more: it gets no
// answer either way.
func userError(err error) error {
	var e syscall.Errno
	if err == nil || errors.As(err, &e) {
		return err
	}
	return syscall.EFAULT
}
