package fuse

import (
	"bytes"
	"context"
	"hash/maphash"
	"runtime"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// live is what data has while guests may store through shared maps. The memory
// object is then what the file is for everybody: reads come from it, and writes
// go to the daemon and to it. Which pages were stored to is found by comparing
// them with what the daemon has, by a sum of each page: whole pages are written
// back, as Linux does. data.mu guards the fields.
type live struct {
	on     atomic.Bool
	maps   map[*stores]struct{} // the maps; it stays live until the last is written back
	size   int64                // of the memory object
	sums   []uint64             // by page: what the daemon has
	page   []byte               // where pages are looked at
	mine   bool                 // the next change of mtime is this side's doing
	asking bool                 // a goroutine is about to read the file again

	errors uint64 // write-backs that have failed
	err    error  // how the last one did
	untold error  // what close(2) has to tell
	left   bool   // somebody did not wait any longer for the write-back under way
}

var (
	seed    = maphash.MakeSeed()
	zeros   [pageSize]byte
	zeroSum = maphash.Bytes(seed, zeros[:])
)

// begin makes the data live. d.mu is held.
func (d *data) begin() error {
	if err := d.makeMemory(); err != nil {
		return err
	}
	l := &d.live
	if l.on.Load() {
		return nil
	}
	// What others have mapped already is what the daemon had; it is read again.
	i, err := d.mem.Stat()
	if err != nil {
		return syscall.ENOMEM
	}
	l.size, l.mine, d.full = i.Size(), false, false
	l.page, l.maps = make([]byte, pageSize), map[*stores]struct{}{}
	l.sums = make([]uint64, (l.size+pageSize-1)/pageSize)
	for i := range l.sums {
		if _, err := d.look(int64(i) * pageSize); err != nil {
			return err
		}
		l.sums[i] = maphash.Bytes(seed, l.page)
	}
	l.on.Store(true)
	return nil
}

// look reads a page, with nothing behind the end of the file, and tells whether
// it is what the daemon has. d.mu is held.
func (d *data) look(at int64) (clean bool, err error) {
	p := d.live.page
	n, err := d.mem.ReadAt(p[:min(pageSize, max(0, d.live.size-at))], at)
	if n < len(p) && at+int64(n) < d.live.size {
		return false, syscall.EIO
	}
	clear(p[n:])
	return maphash.Bytes(seed, p) == d.live.sums[at/pageSize], nil
}

// resize gives the memory object a new size. What guests have stored behind the
// old end does not become part of the file. d.mu is held.
func (d *data) resize(size int64) error {
	l := &d.live
	old := l.size
	if size == old {
		return nil
	}
	if size > mostMapped {
		return syscall.EFBIG
	}
	edge := min(size, old) &^ (pageSize - 1)
	clean, keep := true, []byte(nil)
	if edge < old {
		var err error
		if clean, err = d.look(edge); err != nil {
			return err
		}
		keep = l.page
	}
	if err := d.mem.Truncate(size); err != nil {
		return syscall.ENOMEM
	}
	pages := int((size + pageSize - 1) / pageSize)
	for len(l.sums) < pages {
		l.sums = append(l.sums, zeroSum)
	}
	l.sums, l.size = l.sums[:pages], size
	switch {
	case keep == nil || edge >= size:
	case size > old:
		if _, err := d.mem.WriteAt(zeros[:min(size, edge+pageSize)-old], old); err != nil {
			return syscall.EIO
		}
	case clean:
		clear(keep[size-edge:])
		l.sums[edge/pageSize] = maphash.Bytes(seed, keep)
	}
	return nil
}

// put takes bytes that the daemon has: those that it was read from (all is set),
// which do not replace what guests have stored since, or those that were
// written, which do. d.mu is held.
func (d *data) put(p []byte, off int64, read bool) error {
	l := &d.live
	if end := off + int64(len(p)); end > l.size {
		if read {
			p = p[:max(0, l.size-off)]
		} else if err := d.resize(end); err != nil {
			return err
		}
	}
	for len(p) > 0 {
		at := off &^ (pageSize - 1)
		n := min(len(p), int(at+pageSize-off))
		clean, err := d.look(at)
		if err != nil {
			return err
		}
		in := l.page[off-at:][:n]
		if same := bytes.Equal(in, p[:n]); !same && (clean || !read) {
			if _, err := d.mem.WriteAt(p[:n], off); err != nil {
				return syscall.EIO
			}
			if clean {
				copy(in, p)
				l.sums[at/pageSize] = maphash.Bytes(seed, l.page)
			}
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// take returns the next run of pages in [off, end) that guests have stored to, up
// to the size of buf, and notes that the daemon has them; none at the end. d.mu
// is held.
func (d *data) take(buf []byte, off, end int64) (run []byte, at int64) {
	l := &d.live
	off, end = off&^(pageSize-1), min(end, l.size)
	data, hole := int64(0), int64(0) // the next of each: holes cost little
	for ; off < end; off += pageSize {
		if off >= hole {
			data, hole = d.extent(off)
		}
		i := off / pageSize
		if off+pageSize <= data && l.sums[i] == zeroSum {
			if len(run) > 0 {
				break
			}
			continue
		}
		clean, err := d.look(off)
		switch n := min(pageSize, l.size-off); {
		case err != nil || clean:
			if len(run) > 0 {
				return run, at
			}
		case len(run)+int(n) > len(buf):
			return run, at
		default:
			if len(run) == 0 {
				run, at = buf[:0], off
			}
			run = append(run, l.page[:n]...)
			l.sums[i] = maphash.Bytes(seed, l.page)
		}
	}
	return run, at
}

// extent returns where the memory object has pages next, from off on, and where
// that ends. d.mu is held.
func (d *data) extent(off int64) (data, hole int64) {
	fd := int(d.mem.Fd())
	defer runtime.KeepAlive(d.mem)
	data, err := unix.Seek(fd, off, unix.SEEK_DATA)
	if err != nil {
		return d.live.size, d.live.size
	}
	if hole, err = unix.Seek(fd, data, unix.SEEK_HOLE); err != nil {
		hole = d.live.size
	}
	return data, hole
}

// refresh reads the file again where the daemon has said, or it shows, that it
// has changed. d.moving is held.
func (f *file) refresh(ctx context.Context, d *data) error {
	for range 8 { // it may change meanwhile
		d.mu.Lock()
		full := d.full
		d.mu.Unlock()
		if full {
			return nil
		}
		size, err := f.mappedSize(ctx)
		if err != nil {
			return err
		}
		d.mu.Lock()
		drops := d.drops
		err = d.resize(size)
		d.mu.Unlock()
		if err == nil {
			err = f.readAll(ctx, size, func(p []byte, off int64) error {
				d.mu.Lock()
				defer d.mu.Unlock()
				return d.put(p, off, true)
			})
		}
		if err != nil {
			return err
		}
		d.mu.Lock()
		d.full = d.drops == drops
		d.mu.Unlock()
	}
	return nil
}

// freshen is refresh for who does not hold d.moving.
func (f *file) freshen(ctx context.Context, r *regular) error {
	d := &r.data
	d.mu.Lock()
	full := d.full
	d.mu.Unlock()
	if full {
		return nil
	}
	if err := d.moving.lock(ctx); err != nil {
		return err
	}
	defer d.moving.unlock()
	if !d.live.on.Load() {
		return nil
	}
	return f.refresh(ctx, d)
}

// askAgain has the file read again soon, for those who have it mapped and do not
// ask. d.mu is held.
func (d *data) askAgain() {
	l := &d.live
	if !l.on.Load() || l.asking || len(l.maps) == 0 {
		return
	}
	l.asking = true
	f := d.someMap().f.use()
	go func() {
		defer f.drop()
		ctx := context.Background() // it ends with the daemon
		_ = d.moving.lock(ctx)
		d.mu.Lock()
		l.asking = false
		d.mu.Unlock()
		if l.on.Load() {
			_ = f.refresh(ctx, d) // the next reader tries again, and hears of errors
		}
		d.moving.unlock()
	}()
}

// someMap returns one of the maps. d.mu is held, and there is one.
func (d *data) someMap() *stores {
	for s := range d.live.maps {
		return s
	}
	return nil
}

// readLive reads what guests see in their maps.
func (f *file) readLive(ctx context.Context, r *regular, p []byte, off int64) (int, error) {
	if _, err := f.n.sizeFor(ctx, off+int64(len(p))); err != nil {
		return 0, err
	}
	if err := f.freshen(ctx, r); err != nil {
		return 0, err
	}
	d := &r.data
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mem == nil || off >= d.live.size {
		return 0, nil
	}
	n, err := d.mem.ReadAt(p[:min(int64(len(p)), d.live.size-off)], off)
	if n == 0 && err != nil {
		return 0, syscall.EIO
	}
	return n, nil
}
