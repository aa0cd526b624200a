package remote

import (
	"context"
	"sync/atomic"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// askFile is an open file whose server can be asked whether its reads and writes
// would wait (vfs.Poller).
type askFile struct {
	dataFile
	watch  pollFile    // the same file, to be watched only
	always atomic.Bool // the server said so, when last asked
}

// PollNow asks the server.
func (f *askFile) PollNow(ctx context.Context, mask vfs.Events) (vfs.Events, error) {
	c := f.first.c
	var rep wire.ReadyReply
	if err := c.call.PollNow(ctx, &wire.PollRequest{File: f.first.id, Mask: uint32(mask)}, &rep, nil); err != nil {
		return 0, c.outcome(err)
	}
	f.always.Store(rep.Seq == 0)
	return vfs.Events(rep.Events) & (mask | vfs.EventErr | vfs.EventHup), nil
}

// Pollable returns what to watch.
func (f *askFile) Pollable() vfs.Pollable {
	if f.always.Load() {
		return nil
	}
	return &f.watch
}

// Close stops watching, too.
func (f *askFile) Close() error {
	f.first.c.files.remove(&f.watch)
	return f.dataFile.Close()
}
