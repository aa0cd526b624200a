package cancel

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// File is an os.File whose operations take a context. Other than with deadlines, a cancel concerns one operation and
// not all that wait at the file, and it works for what the Go runtime cannot poll: terminals shared with other
// programs, blocking pipes, devices, regular files on slow servers.
//
// An operation that waits keeps a thread, also at a file that is in non-blocking mode. All operations can be cancelled, by
// Close if not by their context, so all cost what a cancellable call costs.
type File struct {
	f       *os.File
	fd      int
	closing watcher // fires at Close; has the calls whose context cannot end

	mu     sync.Mutex
	closed bool
	users  int // operations under way
	ops    *op // those of them that belong to a context's watcher
}

// NewFile makes f cancellable. From then on f belongs to the File and must be closed through it; its other methods
// may still be used.
func NewFile(f *os.File) (*File, error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	r := &File{f: f}
	r.closing.cause = causeClosed
	// Not f.Fd, which could put the file into blocking mode.
	if err := conn.Control(func(fd uintptr) { r.fd = int(fd) }); err != nil {
		return nil, err
	}
	return r, nil
}

// OpenFile is os.OpenFile, for which a context may end the wait for the other side of a FIFO.
func OpenFile(ctx context.Context, name string, flag int, perm os.FileMode) (*File, error) {
	mode := uint32(perm.Perm())
	if perm&os.ModeSetuid != 0 {
		mode |= unix.S_ISUID
	}
	if perm&os.ModeSetgid != 0 {
		mode |= unix.S_ISGID
	}
	if perm&os.ModeSticky != 0 {
		mode |= unix.S_ISVTX
	}
	fd, err := Open(ctx, name, flag|unix.O_CLOEXEC, mode)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	f, err := NewFile(os.NewFile(uintptr(fd), name))
	if err != nil {
		_ = unix.Close(fd)
	}
	return f, err
}

// Name returns the name that the file was opened with.
func (f *File) Name() string { return f.f.Name() }

// Fd returns the descriptor, which is valid until Close.
func (f *File) Fd() int { return f.fd }

// File returns the os.File, for what does not wait: Stat, Seek, Chmod. It must not be closed.
func (f *File) File() *os.File { return f.f }

// Close closes the file. Operations under way return os.ErrClosed without an effect, or their result; the descriptor
// is closed when the last of them has returned, or at once if there are none. Closing twice returns os.ErrClosed.
func (f *File) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return f.wrap("close", os.ErrClosed)
	}
	f.closed = true
	for o := f.ops; o != nil; o = o.next {
		o.strike(causeClosed)
	}
	last := f.users == 0
	f.mu.Unlock()
	f.closing.fire()
	if last {
		return f.f.Close()
	}
	return nil
}

// do is call.do for a call on this file, which Close strikes too.
func (f *File) do(ctx context.Context, c *call) error {
	done := ctx.Done()
	for {
		w, err := &f.closing, ready()
		if done != nil && err == nil {
			w, err = begin(ctx, done)
		}
		if err != nil {
			return err
		}
		o := w.claim()
		entered := f.enter(o, w)
		if !entered {
			// invoke will not call, only settle.
			o.cause.Store(causeClosed)
			o.flag.Store(1)
		}
		invoke(o, c)
		again, err := c.outcome(ctx, o)
		if entered {
			f.leave(o, w)
		}
		w.release(o)
		if !again {
			return err
		}
	}
}

// enter makes the op known to Close, unless the file is closed.
func (f *File) enter(o *op, w *watcher) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.users++
	if w != &f.closing {
		o.prev, o.next = nil, f.ops
		if f.ops != nil {
			f.ops.prev = o
		}
		f.ops = o
	}
	return true
}

// leave undoes enter. The last operation to leave a closed file closes the descriptor.
func (f *File) leave(o *op, w *watcher) {
	f.mu.Lock()
	f.users--
	if w != &f.closing {
		if o.next != nil {
			o.next.prev = o.prev
		}
		if o.prev != nil {
			o.prev.next = o.next
		} else {
			f.ops = o.next
		}
		o.prev, o.next = nil, nil
	}
	last := f.closed && f.users == 0
	f.mu.Unlock()
	if last {
		_ = f.f.Close() // nobody is left to tell
	}
}

func (f *File) wrap(op string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return &os.PathError{Op: op, Path: f.f.Name(), Err: err}
}
