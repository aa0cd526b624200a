package remote

import (
	"context"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// SharedLocks returns the locks that the server shares with others; nil if it does
// not.
func (f *dataFile) SharedLocks() vfs.Locker {
	if f.bits&wire.FileSharer == 0 {
		return nil
	}
	return sharedLocks{f}
}

// sharedLocks keep nobody who does not want to wait: POSIX asks with its own locks
// held. A server that hangs is left after a second, in doubt.
type sharedLocks struct{ f *dataFile }

func (k sharedLocks) ask(ctx context.Context, l *vfs.Lock, wait bool,
	call func(context.Context, *session, *wire.LockRequest) error) error {
	c, id, err := k.f.where(ctx)
	if err != nil {
		return err
	}
	if !wait {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, closeGrace, vfs.ErrKilled)
		defer cancel()
	}
	req := lockRequest(0, id, l, wait)
	req.Shared = true
	return call(ctx, c, req)
}

// GetLock tells of the lock in the way of l.
func (k sharedLocks) GetLock(ctx context.Context, l vfs.Lock) (got vfs.Lock, err error) {
	err = k.ask(ctx, &l, false, func(ctx context.Context, c *session, req *wire.LockRequest) (err error) {
		got, err = c.getLock(ctx, req)
		return err
	})
	return got, err
}

// SetLock sets or removes a lock, and waits for it.
func (k sharedLocks) SetLock(ctx context.Context, l vfs.Lock, wait bool) error {
	return k.ask(ctx, &l, wait, func(ctx context.Context, c *session, req *wire.LockRequest) error {
		err := c.setLock(ctx, req)
		n, _ := base(c.client, k.f.node)
		n.trace.locking(c, &l, err)
		return err
	})
}
