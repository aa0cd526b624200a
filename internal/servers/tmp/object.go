package tmp

import (
	"fmt"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// object is a memory file of the host.
type object struct{ fd int }

func newObject(size int64) (*object, error) {
	fd, err := unix.MemfdCreate("hati-tmp", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("tmp: memory file: %w", err)
	}
	o := &object{fd}
	if err := o.truncate(size); err != nil {
		o.close()
		return nil, fmt.Errorf("tmp: memory file: %w", err)
	}
	return o, nil
}

func (o *object) close() { unix.Close(o.fd) }

// retry calls f until no signal of the server's own runtime breaks it off.
func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

func (o *object) readAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		m, err := unix.Pread(o.fd, p[n:], off+int64(n))
		if err == unix.EINTR {
			continue
		}
		if m <= 0 {
			if n > 0 {
				return n, nil
			}
			return 0, err
		}
		n += m
	}
	return n, nil
}

func (o *object) writeAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		m, err := unix.Pwrite(o.fd, p[n:], off+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			if n > 0 {
				return n, nil
			}
			return 0, err
		}
		n += m
	}
	return n, nil
}

// append writes at the end, wherever that is by then, and returns where it is
// afterwards. It uses the object's own offset.
func (o *object) append(p []byte) (n int, end int64, err error) {
	err = retry(func() (err error) {
		n, err = unix.Pwritev2(o.fd, [][]byte{p}, -1, unix.RWF_APPEND)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	end, err = unix.Seek(o.fd, 0, unix.SEEK_CUR)
	return n, end, err
}

func (o *object) truncate(size int64) error {
	return retry(func() error { return unix.Ftruncate(o.fd, size) })
}

func (o *object) punch(off, end int64) error {
	const mode = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	return retry(func() error { return unix.Fallocate(o.fd, mode, off, end-off) })
}

// allocate goes in steps: the host undoes one that a signal breaks off.
func (o *object) allocate(off, end int64) error {
	const step = 64 << 20
	for ; off < end; off += step {
		if err := retry(func() error {
			return unix.Fallocate(o.fd, unix.FALLOC_FL_KEEP_SIZE, off, min(step, end-off))
		}); err != nil {
			return err
		}
	}
	return nil
}

func (o *object) seek(off int64, hole bool) (int64, error) {
	whence := unix.SEEK_DATA
	if hole {
		whence = unix.SEEK_HOLE
	}
	return unix.Seek(o.fd, off, whence)
}

func (o *object) blocks() int64 {
	st, err := o.stat()
	if err != nil {
		return 0
	}
	return st.Blocks
}

func (o *object) stat() (st unix.Stat_t, err error) {
	err = retry(func() error { return unix.Fstat(o.fd, &st) })
	return st, err
}

func (o *object) size() (int64, error) {
	st, err := o.stat()
	return st.Size, err
}

// share returns another descriptor of the object, which the caller closes.
func (o *object) share(writes bool) (int, error) {
	if writes {
		return unix.FcntlInt(uintptr(o.fd), unix.F_DUPFD_CLOEXEC, 0)
	}
	return o.open(unix.O_RDONLY)
}

// open opens the object anew, with an offset of its own.
func (o *object) open(access int) (int, error) {
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(o.fd), access|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("tmp: opening a memory file: %w", err)
	}
	return fd, nil
}

// toObject moves the bytes into an object.
func (d *data) toObject() error {
	if d.object != nil {
		return nil
	}
	o, err := newObject(d.size)
	if err != nil {
		return err
	}
	for i, p := range d.pages {
		at := int64(i) * pageSize
		switch {
		case p == nil:
			continue
		case len(p) == 0 || at >= d.size:
			err = o.allocate(at, at+pageSize)
		default:
			_, err = o.writeAt(p[:min(int64(len(p)), d.size-at)], at)
		}
		if err != nil {
			o.close()
			return fmt.Errorf("tmp: memory file: %w", err)
		}
	}
	d.object, d.pages = o, nil
	return nil
}

func (d *data) writeObject(p []byte, off int64) (int, error) {
	before := d.held
	end, err := d.charge(off, off+int64(len(p)))
	if end == off {
		return 0, err
	}
	n, err := d.object.writeAt(p[:end-off], off)
	d.size = max(d.size, off+int64(n))
	if d.held != before {
		d.settle()
	}
	return n, err
}

// charge accounts for the holes of [off, end) before they are filled, and
// returns up to where there was room. Memory that was allocated behind the end
// counts as a hole until settle.
func (d *data) charge(off, end int64) (int64, error) {
	if d.fs.limit == 0 {
		return end, nil
	}
	last := pagesOf(end)
	for page := off / pageSize; page < last; {
		data := last // the next page with data
		if at, err := d.object.seek(page*pageSize, false); err == nil {
			data = min(at/pageSize, last)
		}
		for ; page < data; page++ {
			if err := d.account(d.held + pageSize); err != nil {
				if page*pageSize > off {
					return page * pageSize, nil
				}
				return off, err
			}
		}
		if page == last {
			break
		}
		hole, err := d.object.seek(page*pageSize, true)
		if err != nil {
			return off, err
		}
		page = pagesOf(hole)
	}
	return end, nil
}

// settle gives back what the object does not hold any more.
func (d *data) settle() {
	if d.fs.limit > 0 {
		_ = d.account(min(d.held, d.object.blocks()*512))
	}
}

// memory is the host's, in bytes.
var memory = sync.OnceValue(func() int64 {
	var s unix.Sysinfo_t
	if unix.Sysinfo(&s) != nil {
		return 0
	}
	return int64(s.Totalram) * int64(s.Unit)
})

func (d *data) allocateObject(off, end int64) error {
	if m := memory(); m > 0 && end-off > m {
		return syscall.ENOSPC // rather than have the host kill somebody for it
	}
	if got, err := d.charge(off, end); got < end {
		d.settle()
		if err == nil {
			err = syscall.ENOSPC
		}
		return err
	}
	err := d.object.allocate(off, end)
	d.settle()
	return err
}
