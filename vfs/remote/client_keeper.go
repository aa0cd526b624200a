package remote

import (
	"context"

	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// keeper is a file whose offset is its server's.
type keeper struct{ f *dataFile }

// ReadNext reads at the server's offset.
func (k keeper) ReadNext(ctx context.Context, p []byte) (int, error) {
	c, id, err := k.f.where(ctx)
	if err != nil {
		return 0, err
	}
	io := ioCalls.Get().(*ioCall)
	defer io.put()
	p = p[:min(len(p), wire.MaxTransfer)]
	io.read = wire.ReadRequest{File: id, Size: uint32(len(p))}
	io.x.Room = p
	if err := c.call.ReadNext(ctx, &io.read, &io.empty, &io.x); err != nil {
		return 0, c.outcome(err)
	}
	return len(io.x.Room), nil
}

// WriteNext writes at the server's offset.
func (k keeper) WriteNext(ctx context.Context, p []byte) (int, error) {
	c, id, err := k.f.where(ctx)
	if err != nil {
		return 0, err
	}
	io := ioCalls.Get().(*ioCall)
	defer io.put()
	p = p[:min(len(p), wire.MaxTransfer)]
	io.write = wire.WriteRequest{File: id}
	io.x.Bulk = p
	err = c.call.WriteNext(ctx, &io.write, &io.count, &io.x)
	return c.wrote(io, len(p), err)
}

// Lseek moves the server's offset.
func (k keeper) Lseek(ctx context.Context, off int64, whence int) (int64, error) {
	c, id, err := k.f.where(ctx)
	if err != nil {
		return 0, err
	}
	return c.seek(c.call.Seek, ctx, &wire.SeekRequest{File: id, Off: off, Whence: int32(whence)})
}
