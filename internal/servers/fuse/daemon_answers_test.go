package fuse

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// How the tests' daemon answers each kind of request.

func (q *question) cstr() string {
	for i, b := range q.b {
		if b == 0 {
			return string(q.take(i + 1)[:i])
		}
	}
	q.d.t.Errorf("operation %d: a name without an end", q.op)
	return ""
}

// handle answers a request.
func (q *question) handle() {
	d := q.d
	if d.hook != nil && d.hook(q) {
		return
	}
	if q.op == opInit {
		var e encoder
		e.u32(major, d.minor, 0, uint32(d.flags), 0, 1<<20, 1, 64, uint32(d.flags>>32))
		q.reply(nil, append(e.b, make([]byte, 64-len(e.b))...))
		return
	}
	switch q.op {
	case opForget:
		d.forget(q.node, q.u64())
		return
	case opBatchForget:
		n := q.u32()
		q.u32()
		for range n {
			d.forget(q.u64(), q.u64())
		}
		return
	}
	var e encoder
	err := error(syscall.EIO)
	defer func() {
		_ = recover() // a server of the suite that panics
		q.reply(err, e.b)
	}()
	err = q.do(&e)
}

func (q *question) options(mode uint32) vfs.MakeOptions {
	return vfs.MakeOptions{Mode: mode, UID: q.uid, GID: q.gid}
}

// do does what is asked and appends the answer.
func (q *question) do(e *encoder) error {
	d, n, ctx := q.d, q.d.nodeOf(q.node), q.ctx
	if n == nil && q.op != opDestroy {
		return syscall.ESTALE
	}
	switch q.op {
	case opLookup:
		c, err := vfs.Lookup(ctx, n, q.cstr())
		if err != nil {
			return err
		}
		return d.look(ctx, e, c)
	case opGetattr:
		a, err := n.Stat(ctx)
		e.u64(d.valid).u32(0, 0)
		e.attr(&a)
		return err
	case opSetattr:
		return q.setattr(ctx, n, e)
	case opReadlink:
		s, err := vfs.Readlink(ctx, n)
		e.b = append(e.b, s...)
		return err
	case opSymlink, opMknod, opMkdir, opCreate, opTmpfile:
		return q.make(ctx, n, e)
	case opUnlink, opRmdir:
		return vfs.Remove(ctx, n, q.cstr(), q.op == opRmdir)
	case opRename, opRename2:
		to, flags := d.nodeOf(q.u64()), uint32(0)
		if q.op == opRename2 {
			flags = q.u32()
			q.u32()
		}
		from := q.cstr()
		return vfs.Rename(ctx, n, from, to, q.cstr(), uint(flags))
	case opLink:
		target := d.nodeOf(q.u64())
		if err := vfs.Link(ctx, n, target, q.cstr()); err != nil {
			return err
		}
		return d.look(ctx, e, target)
	case opOpen, opOpendir:
		f, err := vfs.Open(ctx, n, int(q.u32())&^largeFile)
		if err == nil {
			d.opened(e, f, 0)
		}
		return err
	case opStatfs:
		s := vfs.Statfs{}
		var err error
		if f, ok := d.fs.(vfs.Statfser); ok {
			s, err = f.Statfs(ctx)
		}
		e.u64(s.Blocks, s.BlocksFree, s.BlocksAvailable, s.Files, s.FilesFree).u32(s.BlockSize, s.NameMax, s.BlockSize, 0, 0, 0, 0, 0, 0, 0)
		return err
	case opAccess:
		return syscall.ENOSYS
	case opSetxattr:
		size, flags := q.u32(), q.u32()
		name := q.cstr()
		return vfs.Setxattr(ctx, n, name, q.take(int(size)), int(flags))
	case opGetxattr:
		q.u64()
		v, err := vfs.Getxattr(ctx, n, q.cstr())
		e.b = v
		return err
	case opListxattr:
		l, err := vfs.Listxattr(ctx, n)
		for _, s := range l {
			e.str(s)
		}
		return err
	case opRemovexattr:
		return vfs.Removexattr(ctx, n, q.cstr())
	case opGetlk, opSetlk, opSetlkw:
		return q.lock(ctx, n, e)
	case opDestroy:
		return nil
	case opStatx, opCopyRange64, opCopyFileRange, opPoll:
		return syscall.ENOSYS
	}
	return q.doFile(ctx, e)
}

// doFile is do for operations on open files.
func (q *question) doFile(ctx context.Context, e *encoder) error {
	d := q.d
	fh := q.u64()
	f := d.file(fh)
	if f == nil {
		return syscall.EBADF
	}
	switch q.op {
	case opRead:
		off, size := q.u64(), q.u32()
		e.b = make([]byte, size)
		n, err := vfs.Read(ctx, f.File, e.b, int64(off))
		e.b = e.b[:n]
		return err
	case opWrite:
		off, size := q.u64(), q.u32()
		q.take(4 + 8 + 8)
		n, err := vfs.Write(ctx, f.File, q.take(int(size)), int64(off))
		e.u32(uint32(n), 0)
		return err
	case opFlush:
		if fl, ok := f.File.(vfs.Flusher); ok {
			return fl.Flush(ctx)
		}
		return nil
	case opFsync, opFsyncdir:
		if s, ok := f.File.(vfs.Syncer); ok {
			return s.Sync(ctx, q.u32() != 0)
		}
		return nil
	case opRelease, opReleasedir:
		d.mu.Lock()
		delete(d.files, fh)
		d.mu.Unlock()
		return f.Close()
	case opReaddir, opReaddirplus:
		return q.readdir(ctx, f, e)
	case opFallocate:
		off, length, mode := q.u64(), q.u64(), q.u32()
		if a, ok := f.File.(vfs.Allocator); ok {
			return a.Allocate(ctx, mode, int64(off), int64(length))
		}
		return syscall.ENOSYS
	case opLseek:
		off, whence := q.u64(), q.u32()
		s, ok := f.File.(vfs.Seeker)
		if !ok {
			return syscall.ENOSYS
		}
		at, err := s.SeekData(ctx, int64(off), whence == unix.SEEK_HOLE)
		e.u64(uint64(at))
		return err
	case opIoctl:
		i, ok := f.File.(vfs.Ioctler)
		if !ok {
			return syscall.ENOTTY
		}
		_, cmd, arg, in, out := q.u32(), q.u32(), q.u64(), q.u32(), q.u32()
		m := memory{arg, append(append([]byte(nil), q.take(int(in))...), make([]byte, out)...)}
		n, err := i.Ioctl(ctx, cmd, m)
		e.u32(uint32(n), 0, 0, 0)
		e.b = append(e.b, m.b[:out]...)
		return err
	}
	return syscall.ENOSYS
}

// memory is an ioctl's argument.
type memory struct {
	v uint64
	b []byte
}

func (m memory) Value() uint64                   { return m.v }
func (m memory) ReadAt(p []byte, off int) error  { copy(p, m.b[off:]); return nil }
func (m memory) WriteAt(p []byte, off int) error { copy(m.b[off:], p); return nil }

func (q *question) setattr(ctx context.Context, n vfs.Node, e *encoder) error {
	valid := q.u32()
	q.u32()
	fh, size := q.u64(), q.u64()
	q.u64()
	var s vfs.SetAttr
	s.Size, s.Atime.Sec, s.Mtime.Sec = int64(size), int64(q.u64()), int64(q.u64())
	q.u64()
	s.Atime.Nsec, s.Mtime.Nsec = int64(q.u32()), int64(q.u32())
	q.u32()
	s.Mode = q.u32() & 0o7777
	q.u32()
	s.UID, s.GID = q.u32(), q.u32()
	for _, b := range [...]struct{ have, want uint32 }{
		{attrMode, vfs.SetMode}, {attrUID, vfs.SetUID}, {attrGID, vfs.SetGID},
		{attrSize_, vfs.SetSize}, {attrAtime, vfs.SetAtime}, {attrMtime, vfs.SetMtime},
	} {
		if valid&b.have != 0 {
			s.Valid |= b.want
		}
	}
	var f vfs.File
	if o := q.d.file(fh); valid&attrFH != 0 && o != nil {
		f = o.File
	}
	if err := vfs.SetAttributes(ctx, n, f, s); err != nil {
		return err
	}
	a, err := n.Stat(context.Background())
	e.u64(q.d.valid).u32(0, 0)
	e.attr(&a)
	return err
}

func (q *question) make(ctx context.Context, n vfs.Node, e *encoder) error {
	var o vfs.MakeOptions
	name, flags := "", uint32(0)
	switch q.op {
	case opSymlink:
		name = q.cstr()
		o = q.options(unix.S_IFLNK | 0o777)
		o.Target = q.cstr()
	case opMkdir:
		o = q.options(unix.S_IFDIR | q.u32())
		q.u32()
		name = q.cstr()
	case opMknod:
		o = q.options(q.u32())
		o.Rdev = rdevIn(q.u32())
		q.u64()
		name = q.cstr()
	default:
		flags = q.u32() &^ largeFile
		o = q.options(q.u32())
		q.u64()
		name = q.cstr()
	}
	var c vfs.Node
	var f vfs.File
	var err error
	switch m, ok := n.(vfs.MakeOpener); {
	case q.op == opTmpfile:
		if c, err = vfs.Tmpfile(ctx, n, o); err == nil {
			f, err = vfs.Open(ctx, c, int(flags)&^unix.O_CREAT)
		}
	case q.op == opCreate && ok:
		c, f, err = m.MakeOpen(ctx, name, o, int(flags)&^unix.O_CREAT)
	case q.op == opCreate:
		return syscall.ENOSYS
	default:
		c, err = vfs.Make(ctx, n, name, o)
	}
	if err != nil {
		return err
	}
	if err := q.d.look(context.Background(), e, c); err != nil {
		return err
	}
	if f != nil {
		q.d.opened(e, f, 0)
	}
	return nil
}

func (q *question) lock(ctx context.Context, n vfs.Node, e *encoder) error {
	fh := q.u64()
	l := vfs.Lock{Owner: q.u64(), Start: int64(q.u64()), End: int64(q.u64()), Type: int16(q.u32()), PID: int32(q.u32()), Flock: q.u32() != 0}
	var k vfs.Locker
	if f := q.d.file(fh); f != nil {
		k, _ = f.File.(vfs.Locker)
	}
	if k == nil {
		k, _ = n.(vfs.Locker)
	}
	if k == nil {
		return syscall.ENOSYS
	}
	if q.op != opGetlk {
		return k.SetLock(ctx, l, q.op == opSetlkw)
	}
	l, err := k.GetLock(ctx, l)
	e.u64(uint64(l.Start), uint64(l.End)).u32(uint32(l.Type), uint32(l.PID))
	return err
}

// readdir uses offsets as odd as daemons have them.
func (q *question) readdir(ctx context.Context, f *dfile, e *encoder) error {
	const odd = 0x8000000000000000
	off, size := q.u64(), int(q.u32())
	cookie := off &^ odd
	r, ok := f.File.(vfs.DirReader)
	if !ok {
		return syscall.ENOTDIR
	}
	list, err := r.ReadDir(ctx, cookie, max(1, size/256))
	if err != nil {
		return err
	}
	for _, ent := range list {
		var one encoder
		if q.op == opReaddirplus {
			c, err := vfs.Lookup(ctx, f.Node(), ent.Name)
			if err != nil {
				one.b = make([]byte, entrySize)
			} else if err := q.d.look(ctx, &one, c); err != nil {
				one.b = make([]byte, entrySize)
			}
		}
		one.u64(ent.Ino, ent.Next|odd).u32(uint32(len(ent.Name)), ent.Type>>12)
		one.b = append(one.b, ent.Name...)
		for len(one.b)%8 != 0 {
			one.b = append(one.b, 0)
		}
		e.b = append(e.b, one.b...)
	}
	return nil
}
