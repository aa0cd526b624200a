package fuse

import (
	"context"
	"sync"
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
	poll     pollState
	queue    vfs.Queue

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
		n.enter(f)
		return f, nil
	}
	f, err := n.opened(out, uint32(flags))
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
func (n *node) opened(out openOut, flags uint32) (vfs.File, error) {
	f := &file{n: n, fh: out.fh, out: out.flags, flags: flags}
	if out.flags&openPassthrough != 0 && n.fs.has(initPassthrough) && n.fs.opts.Backing != nil {
		b, done, err := n.fs.opts.Backing(out.backing)
		if err != nil {
			n.fs.release(n.id, out.fh, flags, false, n.alive)
			return nil, syscall.EIO
		}
		f.backing, f.unback = b, done
	}
	if out.flags&(openKeepCache|openDirectIO) == 0 {
		n.dropData(0, -1)
	}
	n.enter(f)
	return f, nil
}

func (n *node) enter(f *file) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.opens == nil {
		n.opens = map[*file]struct{}{}
	}
	n.opens[f] = struct{}{}
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

// Close gives the handle back. It does not wait for the daemon.
func (f *file) Close() error {
	n := f.n
	n.mu.Lock()
	delete(n.opens, f)
	n.mu.Unlock()
	f.unpoll()
	if !f.noHandle {
		n.fs.release(n.id, f.fh, f.flags, false, n.alive)
	}
	if f.backing != nil {
		f.unback()
	}
	return nil
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
		return f.readDirect(ctx, p, off)
	}
	return f.readCached(ctx, p, off)
}

func (f *file) advance(n int) {
	f.mu.Lock()
	f.pos += int64(n)
	f.mu.Unlock()
}

// readDirect asks the daemon, as often as is needed to fill p.
func (f *file) readDirect(ctx context.Context, p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		want := min(len(p)-done, int(f.n.fs.conn.maxRead.Load()))
		n, err := f.readOnce(ctx, p[done:done+want], off+int64(done))
		if err == errTorn {
			continue // with the size that is now right
		}
		done += n
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
	r := newRequest(opRead, f.n.id)
	r.in = r.enc().u64(f.fh, uint64(off)).u32(uint32(len(p)), 0).u64(0).u32(f.flags|largeFile, 0).b
	r.dest, r.max = p, len(p)
	c := f.n.fs.conn
	if c.serial.Load() {
		if err := c.serially.lock(ctx); err != nil {
			return 0, err
		}
		defer c.serially.unlock()
	}
	if err := c.call(ctx, r); err != nil {
		return 0, err
	}
	n := r.n
	r.free()
	return n, nil
}

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
	done := 0
	var err error
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
	r := newRequest(opWrite, f.n.id)
	r.in = r.enc().u64(f.fh, uint64(off)).u32(uint32(len(p)), 0).u64(0).u32(f.flags|largeFile, 0).b
	r.data, r.max = p, 8
	err := f.n.fs.conn.call(ctx, r)
	f.n.stale()
	if err != nil {
		f.n.dropData(off, int64(len(p)))
		return 0, err
	}
	d := decoder{b: r.body}
	n := d.u32()
	if d.bad || n > uint32(len(p)) {
		f.n.dropData(off, int64(len(p)))
		return 0, f.n.fs.bad(opWrite)
	}
	r.free()
	f.n.wrote(p[:n], off)
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

// Flush tells the daemon of a close(2).
func (f *file) Flush(ctx context.Context) error {
	if f.noHandle || f.out&openNoFlush != 0 || f.n.fs.conn.lacks[opFlush].Load() {
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
	return f.n.sync(ctx, opFsync, f.fh, dataOnly)
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

func (l *ctxLock) lock(ctx context.Context) error {
	l.once.Do(func() { l.held = make(chan struct{}, 1) })
	select {
	case l.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *ctxLock) unlock() { <-l.held }
