package tmp

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	pageSize = 4096
	// inGo is the size up to which a file's bytes lie in Go memory.
	inGo = 1 << 20
	// maxSize is the largest file, as the host's memory files have it.
	maxSize = 1<<63 - 1 - pageSize
)

// data is the contents of a file: pages in Go memory, or an object. It is
// guarded by its file's io.
type data struct {
	fs     *FS
	size   int64
	pages  [][]byte // nil is a hole; a short one is zero behind its end
	object *object  // instead of pages
	lent   bool     // others write the object: it knows the size
	held   int64    // bytes accounted for
	gone   bool     // the object is closed, and the contents with it
}

// length is the size now.
func (d *data) length() int64 {
	if d.lent {
		if size, err := d.object.size(); err == nil {
			return size
		}
	}
	return d.size
}

// account makes it n bytes that the file is charged with.
func (d *data) account(n int64) error {
	n = max(n, 0)
	if err := d.fs.reserve(n - d.held); err != nil {
		return err
	}
	d.held = n
	return nil
}

// release gives back what n bytes fewer were charged with, which cannot fail.
func (d *data) release(n int64) { _ = d.account(d.held - n) }

func (d *data) readAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, syscall.EINVAL
	}
	size := d.length()
	if off >= size {
		return 0, nil
	}
	p = p[:min(int64(len(p)), size-off)]
	if d.object != nil {
		return d.object.readAt(p, off)
	}
	for n := 0; n < len(p); {
		i, in := (off+int64(n))/pageSize, int((off+int64(n))%pageSize)
		part := p[n:min(len(p), n+pageSize-in)]
		m := 0
		if i < int64(len(d.pages)) && in < len(d.pages[i]) {
			m = copy(part, d.pages[i][in:])
		}
		clear(part[m:])
		n += len(part)
	}
	return len(p), nil
}

func (d *data) writeAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, syscall.EINVAL
	}
	end := off + int64(len(p))
	if end < 0 || end > maxSize {
		return 0, syscall.EFBIG
	}
	if end > inGo {
		if err := d.toObject(); err != nil {
			return 0, err
		}
	}
	if d.object != nil {
		return d.writeObject(p, off)
	}
	d.reach(end)
	for n := 0; n < len(p); {
		i, in := (off+int64(n))/pageSize, int((off+int64(n))%pageSize)
		part := p[n:min(len(p), n+pageSize-in)]
		if d.pages[i] == nil {
			if err := d.account(d.held + pageSize); err != nil {
				if n > 0 {
					return n, nil
				}
				return 0, err
			}
		}
		if want := in + len(part); len(d.pages[i]) < want {
			d.pages[i] = grow(d.pages[i], want)
		}
		copy(d.pages[i][in:], part)
		n += len(part)
		d.size = max(d.size, off+int64(n))
	}
	return len(p), nil
}

// reach makes the list of pages long enough for end bytes.
func (d *data) reach(end int64) {
	if need := int(pagesOf(end)); need > len(d.pages) {
		d.pages = append(d.pages, make([][]byte, need-len(d.pages))...)
	}
}

// pagesOf is the number of pages that hold n bytes.
func pagesOf(n int64) int64 { return (n + pageSize - 1) / pageSize }

// grow extends a page to n bytes, with zeros.
func grow(page []byte, n int) []byte {
	if n <= cap(page) {
		old := len(page)
		page = page[:n]
		clear(page[old:])
		return page
	}
	size := 64
	for size < n {
		size *= 2
	}
	q := make([]byte, n, size)
	copy(q, page)
	return q
}

func (d *data) truncate(size int64) error {
	if size < 0 {
		return syscall.EINVAL
	}
	if size > maxSize {
		return syscall.EFBIG
	}
	if d.object != nil {
		if err := d.object.truncate(size); err != nil {
			return err
		}
		d.settle()
	} else if size < d.size {
		d.cut(size)
	}
	d.size = size
	return nil
}

// extend makes the file size bytes long, or leaves it longer: others may be writing.
func (d *data) extend(size int64) error {
	if !d.lent {
		return d.truncate(size)
	}
	return retry(func() error { return unix.Fallocate(d.object.fd, 0, size-1, 1) })
}

// cut drops the pages behind size, also those allocated behind the end.
func (d *data) cut(size int64) {
	keep := pagesOf(size)
	if keep < int64(len(d.pages)) {
		for i := range d.pages[keep:] {
			d.drop(keep + int64(i))
		}
		d.pages = d.pages[:keep]
	}
	if in := int(size % pageSize); in > 0 && keep == int64(len(d.pages)) && len(d.pages[keep-1]) > in {
		d.pages[keep-1] = d.pages[keep-1][:in]
	}
}

// drop makes a page a hole.
func (d *data) drop(i int64) {
	if d.pages[i] != nil {
		d.pages[i] = nil
		d.release(pageSize)
	}
}

// blocks returns the 512-byte blocks in use.
func (d *data) blocks() int64 {
	if d.object != nil {
		return d.object.blocks()
	}
	n := int64(0)
	for _, p := range d.pages {
		if p != nil {
			n++
		}
	}
	return n * (pageSize / 512)
}

// seek finds data, or a hole, from off on; ENXIO past the end.
func (d *data) seek(off int64, hole bool) (int64, error) {
	if off < 0 || off >= d.length() {
		return 0, syscall.ENXIO
	}
	if d.object != nil {
		return d.object.seek(off, hole)
	}
	for i := off / pageSize; i*pageSize < d.size && i < int64(len(d.pages)); i++ {
		if (d.pages[i] == nil) == hole {
			return max(off, i*pageSize), nil
		}
	}
	if end := max(off, int64(len(d.pages))*pageSize); hole {
		return min(end, d.size), nil
	}
	return 0, syscall.ENXIO
}

// zero makes [off, end) read as zeros, and gives whole pages back; the size
// stays.
func (d *data) zero(off, end int64) error {
	if d.object != nil {
		if err := d.object.punch(off, end); err != nil {
			return err
		}
		d.settle()
		return nil
	}
	end = min(end, int64(len(d.pages))*pageSize)
	for i := off / pageSize; i*pageSize < end; i++ {
		from, to := max(off-i*pageSize, 0), min(end-i*pageSize, pageSize)
		if from == 0 && to == pageSize {
			d.drop(i)
		} else if n := int64(len(d.pages[i])); from < n {
			clear(d.pages[i][from:min(to, n)])
		}
	}
	return nil
}

// allocate makes sure that [off, end) has memory.
func (d *data) allocate(off, end int64) error {
	if end > inGo {
		if err := d.toObject(); err != nil {
			return err
		}
	}
	if d.object != nil {
		return d.allocateObject(off, end)
	}
	d.reach(end)
	for i := off / pageSize; i*pageSize < end; i++ {
		if d.pages[i] == nil {
			if err := d.account(d.held + pageSize); err != nil {
				return err
			}
			d.pages[i] = []byte{}
		}
	}
	return nil
}

// free gives everything back but Go memory: that goes with the node.
func (d *data) free() {
	_ = d.account(0)
	if d.object != nil {
		d.object.close()
		d.object, d.gone, d.lent = nil, true, false
	}
}
