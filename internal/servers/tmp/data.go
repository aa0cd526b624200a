package tmp

import (
	"fmt"
	"strconv"
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

// data is the contents of a file. It is guarded by its file's mu.
type data struct {
	fs    *FS // for the limit; nil when there is none
	size  int64
	pages [][]byte // nil is a hole; a short one is zero behind its end
	held  int64    // bytes accounted for
	fd    int      // memory file when isFD
	isFD  bool
}

func (d *data) account(to int64) error {
	if d.fs != nil {
		if err := d.fs.reserve(to - d.held); err != nil {
			return err
		}
	}
	d.held = to
	return nil
}

func (d *data) readAt(p []byte, off int64) (int, error) {
	if off >= d.size {
		return 0, nil
	}
	p = p[:min(int64(len(p)), d.size-off)]
	if d.isFD {
		n := 0
		for n < len(p) {
			m, err := unix.Pread(d.fd, p[n:], off+int64(n))
			if err == unix.EINTR {
				continue
			}
			if err != nil || m == 0 {
				return n, err
			}
			n += m
		}
		return n, nil
	}
	for n := 0; n < len(p); {
		i, in := int((off+int64(n))/pageSize), int((off+int64(n))%pageSize)
		part := p[n:min(len(p), n+pageSize-in)]
		m := 0
		if i < len(d.pages) && in < len(d.pages[i]) {
			m = copy(part, d.pages[i][in:])
		}
		clear(part[m:])
		n += len(part)
	}
	return len(p), nil
}

func (d *data) writeAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	end := off + int64(len(p))
	if end < 0 || end > maxSize {
		return 0, syscall.EFBIG
	}
	if !d.isFD && end > inGo {
		if err := d.toFD(); err != nil {
			return 0, err
		}
	}
	if d.isFD {
		return d.writeFD(p, off)
	}
	if need := int((end + pageSize - 1) / pageSize); need > len(d.pages) {
		d.pages = append(d.pages, make([][]byte, need-len(d.pages))...)
	}
	for n := 0; n < len(p); {
		i, in := int((off+int64(n))/pageSize), int((off+int64(n))%pageSize)
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

func (d *data) writeFD(p []byte, off int64) (int, error) {
	if end := off + int64(len(p)); d.fs != nil && d.fs.limit > 0 {
		// With a limit, what is written is charged as if there were no holes below
		// the end.
		if need := (end + pageSize - 1) / pageSize * pageSize; need > d.held {
			if err := d.account(need); err != nil {
				return 0, err
			}
		}
	}
	n := 0
	for n < len(p) {
		m, err := unix.Pwrite(d.fd, p[n:], off+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			if n > 0 {
				break
			}
			return 0, err
		}
		n += m
	}
	d.size = max(d.size, off+int64(n))
	return n, nil
}

// toFD moves the bytes into a memory file.
func (d *data) toFD() error {
	if d.isFD {
		return nil
	}
	fd, err := unix.MemfdCreate("hati-tmp", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return fmt.Errorf("tmp: memory file: %w", err)
	}
	if err := unix.Ftruncate(fd, d.size); err != nil {
		unix.Close(fd)
		return fmt.Errorf("tmp: memory file: %w", err)
	}
	for i, p := range d.pages {
		if len(p) == 0 {
			continue
		}
		if _, err := unix.Pwrite(fd, p[:min(int64(len(p)), d.size-int64(i)*pageSize)], int64(i)*pageSize); err != nil {
			unix.Close(fd)
			return fmt.Errorf("tmp: memory file: %w", err)
		}
	}
	d.fd, d.isFD, d.pages = fd, true, nil
	return nil
}

func (d *data) truncate(size int64) error {
	if size < 0 {
		return syscall.EINVAL
	}
	if size > maxSize {
		return syscall.EFBIG
	}
	if d.isFD {
		if err := unix.Ftruncate(d.fd, size); err != nil {
			return err
		}
		d.account(min(d.held, (size+pageSize-1)/pageSize*pageSize))
	} else if size < d.size {
		keep := int((size + pageSize - 1) / pageSize)
		for i := keep; i < len(d.pages); i++ {
			if d.pages[i] != nil {
				d.account(d.held - pageSize)
			}
		}
		if keep < len(d.pages) {
			clear(d.pages[keep:])
			d.pages = d.pages[:keep]
		}
		if in := int(size % pageSize); in > 0 && keep > 0 && keep <= len(d.pages) && len(d.pages[keep-1]) > in {
			d.pages[keep-1] = d.pages[keep-1][:in]
		}
	}
	d.size = size
	return nil
}

// blocks returns the 512-byte blocks in use.
func (d *data) blocks() int64 {
	if d.isFD {
		var st unix.Stat_t
		if unix.Fstat(d.fd, &st) == nil {
			return st.Blocks
		}
	}
	n := int64(0)
	for _, p := range d.pages {
		if p != nil {
			n++
		}
	}
	return n * (pageSize / 512)
}

// seek finds data, or a hole, from off on.
func (d *data) seek(off int64, hole bool) (int64, error) {
	if off < 0 || off >= d.size {
		return 0, syscall.ENXIO
	}
	if d.isFD {
		whence := unix.SEEK_DATA
		if hole {
			whence = unix.SEEK_HOLE
		}
		return unix.Seek(d.fd, off, whence)
	}
	for i := off / pageSize; i*pageSize < d.size; i++ {
		if isHole := i >= int64(len(d.pages)) || d.pages[i] == nil; isHole == hole {
			return max(off, i*pageSize), nil
		}
	}
	if hole {
		return d.size, nil
	}
	return 0, syscall.ENXIO
}

// zero makes [off, end) read as zeros; the size stays. punch gives the memory
// back.
func (d *data) zero(off, end int64, punch bool) error {
	end = min(end, d.size)
	if off >= end {
		return nil
	}
	if d.isFD {
		return unix.Fallocate(d.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, end-off)
	}
	for i := off / pageSize; i*pageSize < end && i < int64(len(d.pages)); i++ {
		from, to := max(off-i*pageSize, 0), min(end-i*pageSize, pageSize)
		if punch && from == 0 && (to == pageSize || i*pageSize+to == d.size) {
			if d.pages[i] != nil {
				d.pages[i] = nil
				d.account(d.held - pageSize)
			}
		} else if n := int64(len(d.pages[i])); from < n {
			clear(d.pages[i][from:min(to, n)])
		}
	}
	return nil
}

// allocate makes sure that [off, end) has memory.
func (d *data) allocate(off, end int64) error {
	if end > inGo {
		if err := d.toFD(); err != nil {
			return err
		}
	}
	if d.isFD {
		if need := (end + pageSize - 1) / pageSize * pageSize; need > d.held {
			if err := d.account(need); err != nil {
				return err
			}
		}
		return unix.Fallocate(d.fd, unix.FALLOC_FL_KEEP_SIZE, off, end-off)
	}
	if need := int((end + pageSize - 1) / pageSize); need > len(d.pages) {
		d.pages = append(d.pages, make([][]byte, need-len(d.pages))...)
	}
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

// free gives everything back.
func (d *data) free() {
	d.account(0)
	if d.isFD {
		unix.Close(d.fd)
		d.isFD = false
	}
	d.pages, d.size = nil, 0
}

// reader opens a second descriptor of the memory file that can only read.
func (d *data) reader() (int, error) {
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(d.fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("tmp: memory file for reading: %w", err)
	}
	return fd, nil
}
