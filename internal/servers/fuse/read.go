package fuse

import (
	"context"

	"github.com/hati-os/hati/vfs"
)

// mostReads bounds the READs of one read that are under way at once.
const mostReads = 8

// readDirect asks the daemon, as often as is needed to fill p: for several pieces
// at once if it takes that, so that it reads one while another is copied.
func (f *file) readDirect(ctx context.Context, p []byte, off int64) (int, error) {
	c := f.n.fs.conn
	done := 0
	for done < len(p) {
		size := int(c.maxRead.Load())
		want := min(len(p)-done, size)
		var n int
		var err error
		if want == len(p)-done || c.serial.Load() || f.IsStream() || !f.n.fs.has(initAsyncRead) {
			n, err = f.readOnce(ctx, p[done:done+want], off+int64(done))
		} else {
			want = min(len(p)-done, mostReads*size)
			n, err = f.readMany(ctx, p[done:done+want], off+int64(done), size)
		}
		done += n
		if err == errTorn {
			continue // with the size that is now right
		}
		if err != nil && done == 0 {
			return 0, err
		}
		if err != nil || n < want {
			break
		}
	}
	return done, nil
}

// readOnce is one READ.
func (f *file) readOnce(ctx context.Context, p []byte, off int64) (int, error) {
	c := f.n.fs.conn
	if c.serial.Load() {
		if err := c.serially.lock(ctx); err != nil {
			return 0, err
		}
		defer c.serially.unlock()
	}
	r := f.readRequest(p, off)
	if err := c.call(ctx, r); err != nil {
		return 0, err
	}
	n := r.n
	r.free()
	return n, nil
}

func (f *file) readRequest(p []byte, off int64) *request {
	r := newRequest(opRead, f.n.id)
	r.in = r.enc().u64(f.fh, uint64(off)).u32(uint32(len(p)), 0).u64(0).u32(f.flags|largeFile, 0).b
	r.dest, r.max = p, len(p)
	return r
}

// readMany fills p by READs of a size that are all sent before the first is
// answered. What follows a short or failed one does not count.
func (f *file) readMany(ctx context.Context, p []byte, off int64, size int) (done int, err error) {
	c := f.n.fs.conn
	var all [mostReads]*request
	count := 0
	for at := 0; at < len(p); at += size {
		r := f.readRequest(p[at:min(at+size, len(p))], off+int64(at))
		if err = c.start(ctx, r); err != nil {
			break
		}
		all[count] = r
		count++
	}
	if count == 0 {
		return 0, err
	}
	err = nil
	for i, r := range all[:count] {
		if err = c.wait(ctx, r); err == nil {
			n, want := r.n, len(r.dest)
			r.free()
			done += n
			if n == want {
				continue
			}
		}
		for _, r := range all[i+1 : count] {
			if context.Cause(ctx) == nil && err != vfs.ErrInDoubt {
				if c.wait(ctx, r) == nil {
					r.free()
				}
			} else {
				c.leave(r)
			}
		}
		break
	}
	return done, err
}
