package dev

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// maxFile bounds a regular file in /dev, which is no place for data: it keeps
// a guest from filling the server's memory.
const maxFile = 1 << 20

// regular is a small file in memory.
type regular struct {
	inode
	data []byte // guarded by fs.mu
}

// Stat adds the size.
func (n *regular) Stat(context.Context) (vfs.Attr, error) {
	n.fs.mu.RLock()
	defer n.fs.mu.RUnlock()
	a := n.attr()
	a.Size = int64(len(n.data))
	a.Blocks = (a.Size + blockSize - 1) / blockSize * (blockSize / 512)
	return a, nil
}

// SetAttr can change the size too, up to EFBIG.
func (n *regular) SetAttr(_ context.Context, s vfs.SetAttr) error {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if s.Valid&vfs.SetSize != 0 {
		if s.Size < 0 {
			return syscall.EINVAL
		}
		if s.Size > maxFile {
			return syscall.EFBIG
		}
		n.resize(int(s.Size))
		n.mtime = now()
	}
	n.set(s)
	return nil
}

// resize cuts or fills up with zeros. The caller holds fs.mu.
func (n *regular) resize(size int) {
	if size <= len(n.data) {
		clear(n.data[size:]) // what grows back reads as zeros
		n.data = n.data[:size]
		return
	}
	n.data = append(n.data, make([]byte, size-len(n.data))...)
}

// Open opens the file.
func (n *regular) Open(context.Context, int) (vfs.File, error) { return &regularFile{n}, nil }

type regularFile struct{ n *regular }

func (f *regularFile) Node() vfs.Node { return f.n }
func (f *regularFile) Close() error   { return nil }

func (f *regularFile) Read(_ context.Context, p []byte, off int64) (int, error) {
	f.n.fs.mu.RLock()
	defer f.n.fs.mu.RUnlock()
	if off >= int64(len(f.n.data)) {
		return 0, nil
	}
	return copy(p, f.n.data[off:]), nil
}

func (f *regularFile) Write(_ context.Context, p []byte, off int64) (int, error) {
	f.n.fs.mu.Lock()
	defer f.n.fs.mu.Unlock()
	return f.write(p, off)
}

func (f *regularFile) Append(_ context.Context, p []byte) (int, int64, error) {
	f.n.fs.mu.Lock()
	defer f.n.fs.mu.Unlock()
	off := int64(len(f.n.data))
	n, err := f.write(p, off)
	return n, off + int64(n), err
}

func (f *regularFile) write(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if off >= maxFile {
		return 0, syscall.EFBIG
	}
	p = p[:min(int64(len(p)), maxFile-off)]
	if end := int(off) + len(p); end > len(f.n.data) {
		f.n.resize(end)
	}
	copy(f.n.data[off:], p)
	f.n.mtime = now()
	f.n.ctime = f.n.mtime
	return len(p), nil
}

// Map hands out a copy for private maps, as for loading a program; sharing
// memory through /dev is what /dev/shm is for: ENODEV.
func (f *regularFile) Map(_ context.Context, _ int, shared bool) (vfs.Mapping, error) {
	if shared {
		return vfs.Mapping{}, syscall.ENODEV
	}
	fd, err := unix.MemfdCreate("dev", unix.MFD_CLOEXEC)
	if err != nil {
		return vfs.Mapping{}, err
	}
	f.n.fs.mu.RLock()
	defer f.n.fs.mu.RUnlock()
	for off := 0; off < len(f.n.data); {
		k, err := unix.Pwrite(fd, f.n.data[off:], int64(off))
		if err != nil && err != unix.EINTR {
			unix.Close(fd)
			return vfs.Mapping{}, err
		}
		off += max(k, 0)
	}
	return vfs.Mapping{FD: fd, Release: func() { unix.Close(fd) }}, nil
}
