package guard

import (
	"context"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// The stand-ins for open files, as for nodes: types for what must be there or
// not, errnos for the rest.
type (
	// file is what all have.
	file struct {
		g      *Guard
		f      vfs.File
		n      vfs.Node
		stream bool

		mu      sync.Mutex
		lost    int // abandoned calls that are still in the server
		closing bool
	}
	dirFile  struct{ *file }
	dataFile struct{ *file }
	pollFile struct{ dataFile }
	keepFile struct{ dataFile }
	keepPoll struct{ pollFile }
	askFile  struct{ dataFile }
	terminal struct{ pollFile }
)

// file returns the stand-in for a file that the server opened.
func (g *Guard) file(f vfs.File) (vfs.File, error) {
	if f == nil {
		g.logf("no file", errNonsense)
		return nil, errNonsense
	}
	n, err := g.node(f.Node(), nil)
	if err != nil {
		dispose(f)
		return nil, err
	}
	base := &file{g: g, f: f, n: n, stream: vfs.IsStream(f)}
	if _, ok := f.(vfs.DirReader); ok {
		return dirFile{base}, nil
	}
	data := dataFile{base}
	poll := pollFile{data}
	_, keeps := f.(vfs.OffsetKeeper)
	switch f.(type) {
	case vfs.Terminal:
		return terminal{poll}, nil
	case vfs.Pollable:
		if keeps {
			return keepPoll{poll}, nil
		}
		return poll, nil
	case vfs.Poller:
		return askFile{data}, nil
	}
	if keeps {
		return keepFile{data}, nil
	}
	return data, nil
}

// Node returns what was opened.
func (f *file) Node() vfs.Node { return f.n }

// IsStream is as the server said when it opened the file.
func (f *file) IsStream() bool { return f.stream }

func (f *file) opened() *file { return f }

// ownFile returns the server's file behind a stand-in of the same guard.
func (g *Guard) ownFile(f vfs.File) (vfs.File, bool) {
	if s, ok := f.(interface{ opened() *file }); ok && s.opened().g == g {
		return s.opened().f, true
	}
	return nil, false
}

// Stuck reports whether the server has not answered calls that their callers
// have left.
func (f *file) Stuck() bool { return f.g.lost.Load() > 0 }

// Close has the server close the file, and waits for that for the grace time.
// While a call of the file is still in the server, that call's end closes it.
func (f *file) Close() error {
	f.mu.Lock()
	if f.lost > 0 {
		f.closing = true
		f.mu.Unlock()
		return nil
	}
	f.mu.Unlock()
	return f.g.withoutContext("close", f.g.grace, f.f.Close)
}

// answered is called when an abandoned call of the file has come back.
func (f *file) answered() {
	f.mu.Lock()
	f.lost--
	last := f.lost == 0 && f.closing
	f.mu.Unlock()
	if last {
		defer f.survive("close", nil)
		_ = f.f.Close()
	}
}

// Sync flushes the file.
func (f *file) Sync(ctx context.Context, dataOnly bool) error {
	s, ok := f.f.(vfs.Syncer)
	if !ok {
		a, err := f.n.Stat(ctx)
		if err == nil && !a.IsRegular() && !a.IsDir() {
			err = syscall.EINVAL
		}
		return err
	}
	return command(ctx, f.g, f, "sync", "", func(ctx context.Context) error { return s.Sync(ctx, dataOnly) })
}

// Flush tells the server of a close.
func (f *file) Flush(ctx context.Context) error {
	s, ok := f.f.(vfs.Flusher)
	if !ok {
		return nil
	}
	return command(ctx, f.g, f, "flush", "", s.Flush)
}

// SetAttr changes the attributes, by the file or by its node.
func (f *file) SetAttr(ctx context.Context, a vfs.SetAttr) error {
	return command(ctx, f.g, f, "setattr", "", func(ctx context.Context) error {
		return vfs.SetAttributes(ctx, f.f.Node(), f.f, a)
	})
}

// Ioctl passes an ioctl on.
func (f *file) Ioctl(ctx context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	i, ok := f.f.(vfs.Ioctler)
	if !ok {
		return 0, syscall.ENOTTY
	}
	a := &ioctlArg{arg: arg}
	defer a.revoke()
	return perform(ctx, f.g, f, "ioctl", "", func(ctx context.Context) (uintptr, error) {
		return i.Ioctl(ctx, cmd, a)
	}, nil)
}

// ioctlArg is the caller's memory for as long as the caller waits.
type ioctlArg struct {
	mu  sync.Mutex
	arg vfs.IoctlArg // nil afterwards
	val uint64
}

func (a *ioctlArg) revoke() {
	a.mu.Lock()
	a.arg = nil
	a.mu.Unlock()
}

// Value is the argument itself.
func (a *ioctlArg) Value() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.arg == nil {
		return 0
	}
	return a.arg.Value()
}

// ReadAt reads the caller's memory.
func (a *ioctlArg) ReadAt(p []byte, off int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.arg == nil {
		return syscall.EFAULT
	}
	return a.arg.ReadAt(p, off)
}

// WriteAt writes the caller's memory.
func (a *ioctlArg) WriteAt(p []byte, off int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.arg == nil {
		return syscall.EFAULT
	}
	return a.arg.WriteAt(p, off)
}

// ReadDir lists names.
func (d dirFile) ReadDir(ctx context.Context, cookie uint64, most int) ([]vfs.Dirent, error) {
	return perform(ctx, d.g, d.file, "readdir", "", func(ctx context.Context) ([]vfs.Dirent, error) {
		return d.f.(vfs.DirReader).ReadDir(ctx, cookie, most)
	}, nil)
}
