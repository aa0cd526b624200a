package fuse

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// largeFile is O_LARGEFILE, which Linux adds for 64-bit programs.
const largeFile = 0o100000

// file is an open file that is no directory.
type file struct {
	n        *node
	fh       uint64
	flags    uint32   // open(2)'s
	out      uint32   // the daemon's
	noHandle bool     // opened without asking: nothing to release
	backing  vfs.File // passthrough: reads and writes go there
	unback   func()
	id       int32 // of the backing file
	poll     pollState
	queue    vfs.Queue
	users    atomic.Int32 // the open file, maps, and what is written back for them
	errors   uint64       // failed write-backs that it was told of; data.mu guards it

	mu  sync.Mutex
	pos int64 // of a file that cannot seek
}

// Open opens a regular file.
func (n *regular) Open(ctx context.Context, flags int) (vfs.File, error) {
	if err := n.fs.allowed(ctx); err != nil {
		return nil, err
	}
	n.mu.Lock()
	tmp := n.tmp
	n.tmp = nil
	n.mu.Unlock()
	if tmp != nil {
		if flags&unix.O_ACCMODE == unix.O_RDWR {
			return tmp, nil
		}
		defer tmp.Close()
	}
	out, none, err := n.open(ctx, opOpen, flags)
	if err != nil {
		return nil, err
	}
	if none {
		f := &file{n: &n.node, flags: uint32(flags), out: openKeepCache, noHandle: true}
		return f, n.enter(f)
	}
	f, err := n.opened(ctx, out, uint32(flags))
	if err != nil {
		return nil, err
	}
	return f, nil
}

// open asks for a handle. none tells that the daemon needs no such thing.
func (n *node) open(ctx context.Context, op uint32, flags int) (out openOut, none bool, err error) {
	stateless := op == opOpen && n.fs.has(initNoOpen) || op == opOpendir && n.fs.has(initNoOpendir)
	if stateless && n.fs.conn.lacks[op].Load() {
		return out, true, nil
	}
	r := newRequest(op, n.id)
	sent := uint32(flags)&^(unix.O_CREAT|unix.O_EXCL|unix.O_NOCTTY) | largeFile
	if op == opOpendir {
		sent |= unix.O_DIRECTORY
	}
	r.in = r.enc().u32(sent, 0).b
	r.max = openOutSize
	r.late = n.fs.lateOpenOf(n.id, op, sent)
	if err := n.fs.conn.call(ctx, r); err != nil {
		if err == syscall.ENOSYS && (stateless || op == opOpendir) {
			return out, true, nil
		}
		return out, false, err
	}
	d := decoder{b: r.body}
	out = d.open()
	if d.bad {
		return out, false, n.fs.bad(op)
	}
	r.free()
	return out, false, nil
}

// lateOpenOf releases the handle that an abandoned open has got.
func (fs *FS) lateOpenOf(id uint64, op, flags uint32) func([]byte, error) {
	return func(body []byte, err error) {
		d := decoder{b: body}
		if o := d.open(); err == nil && !d.bad {
			fs.release(id, o.fh, flags, op == opOpendir, func() {})
		}
	}
}

// opened makes a file of a handle that the daemon has given.
func (n *node) opened(ctx context.Context, out openOut, flags uint32) (vfs.File, error) {
	f := &file{n: n, fh: out.fh, out: out.flags, flags: flags, id: out.backing}
	if out.flags&openPassthrough != 0 {
		if err := f.pass(ctx); err != nil {
			n.fs.release(n.id, out.fh, flags, false, n.alive)
			return nil, err
		}
	}
	if out.flags&(openKeepCache|openDirectIO|openPassthrough) == 0 {
		n.dropData(0, -1)
	}
	if err := n.enter(f); err != nil {
		n.fs.release(n.id, out.fh, flags, false, n.alive)
		if f.backing != nil {
			f.unback()
		}
		return nil, err
	}
	return f, nil
}

// enter notes that f is open. EIO when the daemon shows one file in two ways at
// once: as it has it, and as what is behind it.
func (n *node) enter(f *file) error {
	f.users.Store(1)
	if r, ok := n.self.(*regular); ok {
		r.data.mu.Lock()
		f.errors = r.data.live.errors
		r.data.mu.Unlock()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for o := range n.opens {
		if f.conflicts(o) {
			return syscall.EIO
		}
	}
	if n.opens == nil {
		n.opens = map[*file]struct{}{}
	}
	n.opens[f] = struct{}{}
	return nil
}

// release sends a RELEASE or RELEASEDIR, and calls then when it is answered: until
// then the daemon may need the node.
func (fs *FS) release(id, fh uint64, flags uint32, isDir bool, then func()) {
	op := uint32(opRelease)
	if isDir {
		op = opReleasedir
	}
	r := newRequest(op, id)
	r.in = r.enc().u64(fh).u32(flags, 0).u64(0).b
	r.late = func([]byte, error) { then() }
	fs.conn.send(r)
}

// Node returns the file's node.
func (f *file) Node() vfs.Node { return f.n.self }

// use adds a user of the handle.
func (f *file) use() *file {
	f.users.Add(1)
	return f
}

// Close gives the handle back. It does not wait for the daemon.
func (f *file) Close() error {
	f.drop()
	return nil
}

// drop gives a use back, and with the last one the handle.
func (f *file) drop() {
	if f.users.Add(-1) != 0 {
		return
	}
	n := f.n
	n.mu.Lock()
	delete(n.opens, f)
	n.mu.Unlock()
	f.unpoll()
	if f.noHandle {
		n.maybeUnused()
	} else {
		n.fs.release(n.id, f.fh, f.flags, false, n.maybeUnused)
	}
	if f.backing != nil {
		f.unback()
	}
}

// direct reports whether nothing of the file is to be kept.
func (f *file) direct() bool {
	return f.out&openDirectIO != 0 || f.flags&unix.O_DIRECT != 0
}

// IsStream reports whether there are no offsets.
func (f *file) IsStream() bool { return f.out&(openNonseekable|openStream) != 0 }

// Read reads.
func (f *file) Read(ctx context.Context, p []byte, off int64) (int, error) {
	if err := f.n.fs.allowed(ctx); err != nil {
		return 0, err
	}
	switch {
	case f.backing != nil:
		return vfs.Read(ctx, f.backing, p, off)
	case f.out&openStream != 0:
		return f.readDirect(ctx, p, 0)
	case f.IsStream():
		f.mu.Lock()
		off = f.pos
		f.mu.Unlock()
		n, err := f.readDirect(ctx, p, off)
		f.advance(n)
		return n, err
	case f.direct():
		if err := f.n.settle(ctx); err != nil {
			return 0, err
		}
		return f.readDirect(ctx, p, off)
	}
	return f.readCached(ctx, p, off)
}

func (f *file) advance(n int) {
	f.mu.Lock()
	f.pos += int64(n)
	f.mu.Unlock()
}

// Flush tells the daemon of a close(2).
func (f *file) Flush(ctx context.Context) error {
	if f.out&openNoFlush != 0 {
		return nil
	}
	if r, ok := f.n.self.(*regular); ok {
		if err := r.data.flush(ctx); err != nil {
			return err
		}
	}
	if f.noHandle || f.n.fs.conn.lacks[opFlush].Load() {
		return nil
	}
	r := newRequest(opFlush, f.n.id)
	r.in = r.enc().u64(f.fh).u32(0, 0).u64(0).b
	err := f.n.fs.conn.call(ctx, r)
	if err == syscall.ENOSYS {
		return nil
	}
	return err
}

// Sync has the daemon write what it keeps.
func (f *file) Sync(ctx context.Context, dataOnly bool) error {
	if f.backing != nil {
		if s, ok := f.backing.(vfs.Syncer); ok {
			return s.Sync(ctx, dataOnly)
		}
	}
	if err := f.n.settle(ctx); err != nil {
		return err
	}
	if err := f.failed(); err != nil {
		return err
	}
	return f.n.sync(ctx, opFsync, f.fh, dataOnly)
}

// Stuck reports whether the daemon has left others without an answer: who ends
// does not wait for it.
func (f *file) Stuck() bool {
	if r, ok := f.n.self.(*regular); ok {
		r.data.mu.Lock()
		left := r.data.live.left
		r.data.mu.Unlock()
		if left {
			return true
		}
	}
	_, abandoned := f.n.fs.Pending()
	return abandoned > 0
}

func (n *node) sync(ctx context.Context, op uint32, fh uint64, dataOnly bool) error {
	if n.fs.conn.lacks[op].Load() {
		return nil
	}
	flags := uint32(0)
	if dataOnly {
		flags = fsyncData
	}
	r := newRequest(op, n.id)
	r.in = r.enc().u64(fh).u32(flags, 0).b
	err := n.fs.conn.call(ctx, r)
	if err == syscall.ENOSYS {
		return nil
	}
	return err
}

// SetAttr changes attributes by way of the open file.
func (f *file) SetAttr(ctx context.Context, s vfs.SetAttr) error { return f.n.setattr(ctx, f, s) }

// ctxLock is a lock whose waiters give up when their context ends.
type ctxLock struct {
	once sync.Once
	held chan struct{}
}

func (l *ctxLock) init() { l.once.Do(func() { l.held = make(chan struct{}, 1) }) }

func (l *ctxLock) tryLock() bool {
	l.init()
	select {
	case l.held <- struct{}{}:
		return true
	default:
		return false
	}
}

// lockPatiently is lock for waits that only the end of the caller may end.
func (l *ctxLock) lockPatiently(ctx context.Context) error {
	err := l.lock(ctx)
	if final := vfs.Final(ctx); err != nil && final != nil && vfs.Interrupted(err) {
		select {
		case l.held <- struct{}{}:
			return nil
		case <-final:
			return vfs.ErrKilled
		}
	}
	return err
}

func (l *ctxLock) lock(ctx context.Context) error {
	l.init()
	select {
	case l.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *ctxLock) unlock() { <-l.held }
