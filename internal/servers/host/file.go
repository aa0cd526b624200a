package host

import (
	"context"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// file is an open regular file. The descriptor's own offset is used by Append
// and SeekData alone.
type file struct {
	opened
	access int        // O_ACCMODE bits
	posMu  sync.Mutex // guards the descriptor's offset
}

// use is get for a call; EBADF after Close.
func (f *file) use() (int, error) {
	if fd, ok := f.get(); ok {
		return fd, nil
	}
	return -1, syscall.EBADF
}

// Close gives the descriptor back, once maps of it are released too.
func (f *file) Close() error { return f.detach() }

func (f *file) Read(ctx context.Context, p []byte, off int64) (int, error) {
	fd, err := f.use()
	if err != nil {
		return 0, err
	}
	n, err := hostRead(ctx, fd, p, off)
	f.put()
	return n, err
}

func (f *file) Write(ctx context.Context, p []byte, off int64) (int, error) {
	fd, err := f.use()
	if err != nil {
		return 0, err
	}
	n, err := hostWrite(ctx, fd, p, off)
	f.put()
	return n, err
}

// Append is exact beside other writers, of this box or not: the host finds the
// end, and tells where the bytes went.
func (f *file) Append(ctx context.Context, p []byte) (int, int64, error) {
	fd, err := f.use()
	if err != nil {
		return 0, 0, err
	}
	defer f.put()
	if len(p) == 0 {
		var st unix.Statx_t
		err := statx(fd, "", unix.AT_EMPTY_PATH, &st)
		return 0, int64(st.Size), err
	}
	f.posMu.Lock()
	defer f.posMu.Unlock()
	n, err := hostAppend(ctx, fd, p)
	if err != nil {
		return 0, 0, err
	}
	end, err := unix.Seek(fd, 0, unix.SEEK_CUR)
	return n, end, err
}

func (f *file) SeekData(ctx context.Context, off int64, hole bool) (int64, error) {
	fd, err := f.use()
	if err != nil {
		return 0, err
	}
	defer f.put()
	whence := unix.SEEK_DATA
	if hole {
		whence = unix.SEEK_HOLE
	}
	f.posMu.Lock()
	defer f.posMu.Unlock()
	return unix.Seek(fd, off, whence)
}

func (f *file) Sync(ctx context.Context, dataOnly bool) error {
	fd, err := f.use()
	if err != nil {
		return err
	}
	defer f.put()
	return hostSync(ctx, fd, dataOnly)
}

func (f *file) Allocate(ctx context.Context, mode uint32, off, length int64) error {
	fd, err := f.use()
	if err != nil {
		return err
	}
	defer f.put()
	return hostSpace(ctx, func() error { return unix.Fallocate(fd, mode, off, length) })
}

// CopyRange has the host copy, or share, the blocks. The other file may be of
// another host directory.
func (f *file) CopyRange(ctx context.Context, off int64, to vfs.File, toOff int64, n int64) (int64, error) {
	t, ok := to.(*file)
	if !ok {
		return 0, syscall.EXDEV
	}
	from, err := f.use()
	if err != nil {
		return 0, err
	}
	defer f.put()
	dest, err := t.use()
	if err != nil {
		return 0, err
	}
	defer t.put()
	const most = 1 << 30 // in one call, as it cannot be interrupted
	done, err := hostCopy(ctx, from, off, dest, toOff, int(min(n, most)))
	return int64(done), err
}

// Map gives the open descriptor itself: its pages are the file's.
func (f *file) Map(ctx context.Context, prot int, shared bool) (vfs.Mapping, error) {
	if f.access != unix.O_RDONLY && f.access != unix.O_RDWR ||
		shared && prot&unix.PROT_WRITE != 0 && f.access != unix.O_RDWR {
		return vfs.Mapping{}, syscall.EACCES
	}
	fd, err := f.use()
	if err != nil {
		return vfs.Mapping{}, err
	}
	var once sync.Once
	return vfs.Mapping{FD: fd, Release: func() { once.Do(func() { f.put() }) }}, nil
}

// SetAttr changes the file's attributes by the open descriptor.
func (f *file) SetAttr(ctx context.Context, s vfs.SetAttr) error {
	if err := f.node.fs.writable(); err != nil {
		return err
	}
	fd, err := f.use()
	if err != nil {
		return err
	}
	defer f.put()
	return f.node.change(ctx, fd, s)
}
