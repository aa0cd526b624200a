package fuse

import (
	"context"
	"math"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// What few daemons have: each answers as a file system without it when the
// daemon says ENOSYS, and asks no more.

// Allocate is fallocate(2).
func (f *file) Allocate(ctx context.Context, mode uint32, off, length int64) error {
	if err := f.n.fs.allowed(ctx); err != nil {
		return err
	}
	if f.backing != nil {
		if a, ok := f.backing.(vfs.Allocator); ok {
			f.n.stale()
			return a.Allocate(ctx, mode, off, length)
		}
	}
	if f.n.fs.conn.minor < 19 || f.n.fs.conn.lacks[opFallocate].Load() {
		return syscall.EOPNOTSUPP
	}
	if err := f.n.settle(ctx); err != nil {
		return err
	}
	r := newRequest(opFallocate, f.n.id)
	r.in = r.enc().u64(f.fh, uint64(off), uint64(length)).u32(mode, 0).b
	err := f.n.fs.conn.call(ctx, r)
	f.n.stale()
	f.n.dropData(off, -1)
	return noSuch(err, syscall.EOPNOTSUPP)
}

// SeekData finds data or a hole. A daemon that knows none has a file that is all
// data.
func (f *file) SeekData(ctx context.Context, off int64, hole bool) (int64, error) {
	if err := f.n.fs.allowed(ctx); err != nil {
		return 0, err
	}
	if f.backing != nil {
		if s, ok := f.backing.(vfs.Seeker); ok {
			return s.SeekData(ctx, off, hole)
		}
	}
	if f.n.fs.conn.minor >= 24 && !f.n.fs.conn.lacks[opLseek].Load() {
		whence := uint32(unix.SEEK_DATA)
		if hole {
			whence = unix.SEEK_HOLE
		}
		r := newRequest(opLseek, f.n.id)
		r.in = r.enc().u64(f.fh, uint64(off)).u32(whence, 0).b
		r.max = 8
		err := f.n.fs.conn.call(ctx, r)
		if err == nil {
			d := decoder{b: r.body}
			at := d.u64()
			if d.bad || at > math.MaxInt64 {
				return 0, f.n.fs.bad(opLseek)
			}
			r.free()
			return int64(at), nil
		}
		if err != syscall.ENOSYS {
			return 0, err
		}
	}
	a, err := f.n.getattr(ctx)
	switch {
	case err != nil:
		return 0, err
	case off >= a.Size:
		return 0, syscall.ENXIO
	case hole:
		return a.Size, nil
	}
	return off, nil
}

// CopyRange lets the daemon copy.
func (f *file) CopyRange(ctx context.Context, off int64, to vfs.File, toOff int64, n int64) (int64, error) {
	t, ok := to.(*file)
	if !ok || t.n.fs != f.n.fs {
		return 0, syscall.EXDEV
	}
	if err := f.n.fs.allowed(ctx); err != nil {
		return 0, err
	}
	op, c := uint32(opCopyRange64), f.n.fs.conn
	if c.minor < 45 || c.lacks[op].Load() {
		op, n = opCopyFileRange, min(n, 1<<30)
	}
	if c.minor < 28 || c.lacks[op].Load() {
		return 0, syscall.EOPNOTSUPP
	}
	for _, n := range []*node{f.n, t.n} {
		if err := n.settle(ctx); err != nil {
			return 0, err
		}
	}
	r := newRequest(op, f.n.id)
	r.in = r.enc().u64(f.fh, uint64(off), t.n.id, t.fh, uint64(toOff), uint64(n), 0).b
	r.max = 8
	err := c.call(ctx, r)
	t.n.stale()
	t.n.dropData(toOff, -1)
	if err != nil {
		if err == syscall.ENOSYS && op == opCopyRange64 {
			return f.CopyRange(ctx, off, to, toOff, n)
		}
		return 0, noSuch(err, syscall.EOPNOTSUPP)
	}
	d := decoder{b: r.body}
	done := d.u64()
	if op == opCopyFileRange {
		done &= math.MaxUint32 // struct fuse_write_out
	}
	if d.bad || done > uint64(n) {
		return 0, f.n.fs.bad(op)
	}
	r.free()
	return int64(done), nil
}

// Ioctl passes a well-formed ioctl on: one whose number tells which way how many
// bytes go.
func (f *file) Ioctl(ctx context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	return f.n.ioctl(ctx, f.fh, 0, cmd, arg)
}

func (n *node) ioctl(ctx context.Context, fh uint64, flags, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	if err := n.fs.allowed(ctx); err != nil {
		return 0, err
	}
	if n.fs.conn.lacks[opIoctl].Load() {
		return 0, syscall.ENOTTY
	}
	size := int(cmd >> 16 & 0x3fff)
	in, out := 0, 0
	if cmd>>30&1 != 0 { // _IOC_WRITE: the caller's data goes in
		in = size
	}
	if cmd>>30&2 != 0 {
		out = size
	}
	r := newRequest(opIoctl, n.id)
	r.in = r.enc().u64(fh).u32(flags, cmd).u64(arg.Value()).u32(uint32(in), uint32(out)).b
	if in > 0 {
		r.data = make([]byte, in)
		if err := arg.ReadAt(r.data, 0); err != nil {
			return 0, err
		}
	}
	r.max = 16 + out
	if err := n.fs.conn.call(ctx, r); err != nil {
		return 0, noSuch(err, syscall.ENOTTY)
	}
	d := decoder{b: r.body}
	result, oflags := int32(d.u32()), d.u32()
	d.u64()
	if d.bad {
		return 0, n.fs.bad(opIoctl)
	}
	if oflags&1 != 0 {
		return 0, syscall.EIO // a retry is for unrestricted ioctls only
	}
	if result < 0 && result > -4096 {
		return 0, syscall.Errno(-result)
	}
	if len(d.b) > 0 {
		if err := arg.WriteAt(d.b, 0); err != nil {
			return 0, err
		}
	}
	r.free()
	return uintptr(result), nil
}
