package fuse

import (
	"context"
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// dirFile is an open directory. The daemon's offsets are its own and may be
// anything: a cookie is the place of an entry in the order in which this open
// file has shown them, from 3 on.
type dirFile struct {
	d        *dir
	fh       uint64
	noHandle bool

	lock    ctxLock // guards the rest, also while the daemon is asked
	offsets []uint64
	ahead   []vfs.Dirent // entries read but not shown, Next not set
	aheadOf uint64       // the cookie at which they begin
	ends    []uint64     // their offsets
}

const (
	firstCookie = 3
	dirRead     = 32 << 10
)

// Open opens the directory.
func (d *dir) Open(ctx context.Context, flags int) (vfs.File, error) {
	if err := d.fs.allowed(ctx); err != nil {
		return nil, err
	}
	out, none, err := d.open(ctx, opOpendir, flags)
	if err != nil {
		return nil, err
	}
	return &dirFile{d: d, fh: out.fh, noHandle: none}, nil
}

// Node returns the directory.
func (f *dirFile) Node() vfs.Node { return f.d }

// Close gives the handle back.
func (f *dirFile) Close() error {
	if !f.noHandle {
		f.d.fs.release(f.d.id, f.fh, 0, true, f.d.alive)
	}
	return nil
}

// Sync has the daemon write the directory.
func (f *dirFile) Sync(ctx context.Context, dataOnly bool) error {
	return f.d.sync(ctx, opFsyncdir, f.fh, dataOnly)
}

// Ioctl passes an ioctl on, to a daemon that takes those of directories.
func (f *dirFile) Ioctl(ctx context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	if !f.d.fs.has(initIoctlDir) {
		return 0, syscall.ENOTTY
	}
	return f.d.ioctl(ctx, f.fh, ioctlDir, cmd, arg)
}

// ReadDir returns entries from cookie on.
func (f *dirFile) ReadDir(ctx context.Context, cookie uint64, max int) ([]vfs.Dirent, error) {
	if err := f.d.fs.allowed(ctx); err != nil {
		return nil, err
	}
	if err := f.lock.lock(ctx); err != nil {
		return nil, err
	}
	defer f.lock.unlock()
	at := uint64(0) // entries before
	if cookie >= firstCookie {
		at = cookie - firstCookie + 1
	}
	if at > uint64(len(f.offsets)) {
		return nil, nil
	}
	if at == 0 || at != f.aheadOf || len(f.ahead) == 0 {
		f.ahead, f.ends = nil, nil
		off := uint64(0)
		if at > 0 {
			off = f.offsets[at-1]
		}
		for len(f.ahead) == 0 { // a piece may have had "." and ".." only
			next, err := f.fill(ctx, off)
			if err != nil {
				return nil, err
			}
			if len(f.ahead) == 0 && next == off {
				return nil, nil
			}
			off = next
		}
	}
	n := min(max, len(f.ahead))
	list := make([]vfs.Dirent, n)
	for i := range list {
		list[i] = f.ahead[i]
		if at < uint64(len(f.offsets)) && f.offsets[at] != f.ends[i] {
			f.offsets = f.offsets[:at]
		}
		if at == uint64(len(f.offsets)) {
			f.offsets = append(f.offsets, f.ends[i])
		}
		at++
		list[i].Next = firstCookie + at - 1
	}
	f.ahead, f.ends, f.aheadOf = f.ahead[n:], f.ends[n:], at
	return list, nil
}

// fill asks for the entries after the daemon's offset off, and returns the
// offset after them: off itself at the end.
func (f *dirFile) fill(ctx context.Context, off uint64) (uint64, error) {
	fs := f.d.fs
	plus := fs.has(initReaddirplus) && fs.conn.minor >= 21 && !fs.conn.lacks[opReaddirplus].Load() &&
		(!fs.has(initReaddirAuto) || off == 0 || f.d.advised())
	op := uint32(opReaddir)
	if plus {
		op = opReaddirplus
	}
	size := int(min(dirRead, fs.conn.maxRead.Load()))
	r := newRequest(op, f.d.id)
	r.in = r.enc().u64(f.fh, off).u32(uint32(size), 0).u64(0).u32(0, 0).b
	r.max = size
	if plus {
		r.late = fs.latePlus
	}
	if err := fs.conn.call(ctx, r); err != nil {
		if plus && err == syscall.ENOSYS {
			return f.fill(ctx, off)
		}
		return 0, noSuch(err, syscall.ENOTDIR)
	}
	next, err := f.parse(r.body, off, plus)
	r.free()
	return next, err
}

// parse takes the entries of an answer.
func (f *dirFile) parse(b []byte, off uint64, plus bool) (uint64, error) {
	fs := f.d.fs
	d := decoder{b: b}
	for len(d.b) > 0 {
		e, ent, next, ok := d.dirent(plus)
		if !ok {
			break // a record that was cut off: it comes again
		}
		if d.bad || !validName(ent.Name) {
			return 0, fs.bad(opReaddir)
		}
		off = next
		dots := ent.Name == "." || ent.Name == ".."
		if plus && e.id != 0 && !dots {
			if e.id == rootID {
				return 0, fs.bad(opReaddirplus)
			}
			n, err := fs.take(&e)
			if err != nil {
				return 0, err
			}
			n.entered(&e, n.version())
			f.d.remember(ent.Name, n, e.entryValid)
		}
		if !dots {
			f.ahead = append(f.ahead, ent)
			f.ends = append(f.ends, next)
		}
	}
	return off, nil
}

func validName(s string) bool {
	return s != "" && len(s) <= nameMax && !strings.ContainsAny(s, "/\x00")
}

// dirent is struct fuse_dirent, or fuse_direntplus; ok is false when b ends
// before it does.
func (d *decoder) dirent(plus bool) (e entry, ent vfs.Dirent, off uint64, ok bool) {
	const header = 24
	rest := d.b
	fixed := header
	if plus {
		fixed += entrySize
	}
	if len(rest) < fixed {
		return e, ent, 0, false
	}
	name := int(le.Uint32(rest[fixed-8:]))
	if name > nameMax {
		d.bad = true
		return e, ent, 0, true
	}
	if size := (fixed + name + 7) &^ 7; len(rest) < size {
		return e, ent, 0, false
	} else {
		d.b = rest[size:]
	}
	r := decoder{b: rest[:fixed+name]}
	if plus {
		e = r.entry()
	}
	ent.Ino, off = r.u64(), r.u64()
	r.u32()
	ent.Type = r.u32() << 12 & 0o170000
	ent.Name = string(r.b)
	d.bad = r.bad
	return e, ent, off, true
}

// latePlus forgets what an abandoned READDIRPLUS has looked up.
func (fs *FS) latePlus(body []byte, err error) {
	if err != nil {
		return
	}
	d := decoder{b: body}
	for len(d.b) > 0 {
		e, ent, _, ok := d.dirent(true)
		if !ok || d.bad {
			return
		}
		if e.id != 0 && ent.Name != "." && ent.Name != ".." {
			fs.conn.forget(e.id, 1)
		}
	}
}

// advised reports whether names of the directory were looked up since a listing:
// then their attributes are worth asking for.
func (d *dir) advised() bool { return d.looked.Swap(false) }
