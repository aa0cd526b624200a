package dev

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// memory is what null, zero and full have in common (man 4 null, full): the
// offset is 0 whatever happens, and seeking to anywhere works.
type memory struct{ node vfs.Node }

func (m *memory) Node() vfs.Node { return m.node }
func (m *memory) Close() error   { return nil }

// Lseek ignores where to, as Linux does.
func (m *memory) Lseek(context.Context, int64, int) (int64, error) { return 0, nil }

type null struct{ memory }

func openNull(_ context.Context, n vfs.Node, _ int) (vfs.File, error) {
	return &null{memory{n}}, nil
}

func (*null) Read(context.Context, []byte, int64) (int, error)        { return 0, nil }
func (*null) Write(_ context.Context, p []byte, _ int64) (int, error) { return len(p), nil }
func (*null) ReadNext(context.Context, []byte) (int, error)           { return 0, nil }
func (*null) WriteNext(_ context.Context, p []byte) (int, error)      { return len(p), nil }

type zero struct{ memory }

func openZero(_ context.Context, n vfs.Node, _ int) (vfs.File, error) {
	return &zero{memory{n}}, nil
}

func (*zero) Read(_ context.Context, p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

func (*zero) Write(_ context.Context, p []byte, _ int64) (int, error) { return len(p), nil }

func (z *zero) ReadNext(ctx context.Context, p []byte) (int, error) { return z.Read(ctx, p, 0) }
func (*zero) WriteNext(_ context.Context, p []byte) (int, error)    { return len(p), nil }

// mapSize bounds the offsets at which /dev/zero can be mapped. Pages that
// nobody touches cost nothing.
const mapSize = 1 << 46

// Map returns a new object of zeros each time: two maps of /dev/zero never
// share pages, except by fork.
func (*zero) Map(context.Context, int, bool) (vfs.Mapping, error) {
	fd, err := unix.MemfdCreate("zero", unix.MFD_CLOEXEC)
	if err != nil {
		return vfs.Mapping{}, err
	}
	if err := unix.Ftruncate(fd, mapSize); err != nil {
		unix.Close(fd)
		return vfs.Mapping{}, err
	}
	return vfs.Mapping{FD: fd, Release: func() { unix.Close(fd) }}, nil
}

// full reads as zero does and is always full. It cannot be mapped.
type full struct{ memory }

func openFull(_ context.Context, n vfs.Node, _ int) (vfs.File, error) {
	return &full{memory{n}}, nil
}

func (*full) Read(_ context.Context, p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

func (*full) Write(context.Context, []byte, int64) (int, error) { return 0, syscall.ENOSPC }

func (f *full) ReadNext(ctx context.Context, p []byte) (int, error) { return f.Read(ctx, p, 0) }
func (*full) WriteNext(context.Context, []byte) (int, error)        { return 0, syscall.ENOSPC }

// random is /dev/random and /dev/urandom, which have been the same since the
// host's pool is always seeded (man 4 random).
type random struct{ memory }

func openRandom(_ context.Context, n vfs.Node, _ int) (vfs.File, error) {
	return &random{memory{n}}, nil
}

// randomChunk is how much is filled between two looks at the ctx.
const randomChunk = 256 << 10

func (*random) Read(ctx context.Context, p []byte, _ int64) (int, error) {
	n := 0
	for n < len(p) {
		if ctx.Err() != nil {
			if n > 0 {
				break
			}
			return 0, context.Cause(ctx)
		}
		k, err := unix.Getrandom(p[n:min(len(p), n+randomChunk)], 0)
		switch {
		case err == unix.EINTR:
		case err != nil && n == 0:
			return 0, err
		case err != nil:
			return n, nil
		}
		n += max(k, 0)
	}
	return n, nil
}

// Write takes entropy, which hati has no pool for: the host's is not the
// guest's to stir.
func (*random) Write(_ context.Context, p []byte, _ int64) (int, error) { return len(p), nil }

func (r *random) ReadNext(ctx context.Context, p []byte) (int, error) { return r.Read(ctx, p, 0) }
func (*random) WriteNext(_ context.Context, p []byte) (int, error)    { return len(p), nil }

// entropy is what Linux since 5.18 says it always has, in bits.
const entropy = 256

// Ioctl knows the questions of random(4); what would change the pool is EPERM.
func (*random) Ioctl(_ context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	switch cmd {
	case unix.RNDGETENTCNT:
		return 0, arg.WriteAt([]byte{entropy & 0xff, entropy >> 8, 0, 0}, 0)
	case unix.RNDADDTOENTCNT, unix.RNDADDENTROPY, unix.RNDZAPENTCNT, unix.RNDCLEARPOOL, unix.RNDRESEEDCRNG:
		return 0, syscall.EPERM
	}
	return 0, syscall.EINVAL
}
