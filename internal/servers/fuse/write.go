package fuse

import (
	"context"

	"github.com/hati-os/hati/vfs"
)

// Write writes through to the daemon.
func (f *file) Write(ctx context.Context, p []byte, off int64) (int, error) {
	if err := f.n.fs.allowed(ctx); err != nil {
		return 0, err
	}
	switch {
	case f.backing != nil:
		n, err := vfs.Write(ctx, f.backing, p, off)
		f.n.stale()
		return n, err
	case f.out&openStream != 0:
		off = 0
	case f.IsStream():
		f.mu.Lock()
		off = f.pos
		f.mu.Unlock()
		n, err := f.write(ctx, p, off)
		f.advance(n)
		return n, err
	}
	return f.write(ctx, p, off)
}

func (f *file) write(ctx context.Context, p []byte, off int64) (int, error) {
	release, err := f.n.hold(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	done := 0
	for done < len(p) && err == nil {
		part := p[done:min(len(p), done+f.n.fs.conn.maxWrite)]
		var n int
		n, err = f.writeOnce(ctx, part, off+int64(done))
		done += n
		if n < len(part) {
			break
		}
	}
	if done > 0 {
		return done, nil
	}
	return 0, err
}

// writeOnce is one WRITE.
func (f *file) writeOnce(ctx context.Context, p []byte, off int64) (int, error) {
	n, err := f.writeRequest(ctx, p, off, 0)
	f.n.stale()
	if err != nil {
		f.n.dropData(off, int64(len(p)))
		return 0, err
	}
	f.n.wrote(p[:n], off)
	return n, nil
}

// writeRequest is what the daemon hears of a WRITE.
func (f *file) writeRequest(ctx context.Context, p []byte, off int64, flags uint32) (int, error) {
	r := newRequest(opWrite, f.n.id)
	r.in = r.enc().u64(f.fh, uint64(off)).u32(uint32(len(p)), flags).u64(0).u32(f.flags|largeFile, 0).b
	r.data, r.max = p, 8
	if err := f.n.fs.conn.call(ctx, r); err != nil {
		return 0, err
	}
	d := decoder{b: r.body}
	n := d.u32()
	if d.bad || n > uint32(len(p)) {
		return 0, f.n.fs.bad(opWrite)
	}
	r.free()
	return int(n), nil
}

// Append writes at the end.
func (f *file) Append(ctx context.Context, p []byte) (int, int64, error) {
	n := f.n
	r, ok := n.self.(*regular)
	if !ok || f.IsStream() {
		c, err := f.Write(ctx, p, 0)
		return c, 0, err
	}
	if f.backing != nil {
		if a, ok := f.backing.(vfs.Appender); ok {
			c, end, err := a.Append(ctx, p)
			n.stale()
			return c, end, err
		}
	}
	if err := r.data.appending.lock(ctx); err != nil {
		return 0, 0, err
	}
	defer r.data.appending.unlock()
	a, err := n.getattr(ctx)
	if err != nil {
		return 0, 0, err
	}
	c, err := f.Write(ctx, p, a.Size)
	return c, a.Size + int64(c), err
}
