package fuse

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// passthroughMask are the flags of an open file that may stand beside
// openPassthrough.
const passthroughMask = openPassthrough | openDirectIO | openNoFlush | openParallelDirect

// pass opens what is behind the file (passthrough): reads, writes and maps go
// there. It is opened again, as the file was: the daemon's own descriptor may
// have less access. EIO for what a daemon must not answer, as on Linux.
func (f *file) pass(ctx context.Context) error {
	fs := f.n.fs
	if !fs.has(initPassthrough) || fs.opts.Backing == nil || f.out&^passthroughMask != 0 {
		return syscall.EIO
	}
	b, done, err := fs.opts.Backing(f.id)
	if err != nil {
		return syscall.EIO
	}
	g, err := vfs.Open(ctx, b.Node(), int(f.flags)&(unix.O_ACCMODE|unix.O_DIRECT|unix.O_SYNC|unix.O_DSYNC))
	if err != nil {
		f.backing, f.unback = b, done // it may be without a name
		return nil
	}
	f.backing, f.unback = g, func() {
		g.Close()
		done()
	}
	return nil
}

// conflicts reports whether a file that is open as o must not be opened as f: what
// is kept of it would not be what is behind it. n.mu is held.
func (f *file) conflicts(o *file) bool {
	if f.noHandle || o.noHandle || f.backing == nil && o.backing == nil {
		return false
	}
	if f.backing != nil && o.backing != nil {
		return f.id != o.id
	}
	return f.backing == nil || o.out&openDirectIO == 0
}
