package posix

import (
	"math"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func sysLseek(t *Task, a *Args) (uint64, error) {
	d, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	off, whence := int64(a[1]), a.Int(2)
	if whence < unix.SEEK_SET || whence > unix.SEEK_HOLE {
		return 0, syscall.EINVAL
	}
	if d.keeper != nil {
		n, err := d.keeper.Lseek(t.context(), off, whence)
		return uint64(n), err
	}
	if d.stream {
		switch d.file.(type) {
		case *eventFile, *timerFile, *signalFile, *inotifyFile, *epoll:
			return 0, nil // as Linux has it: nothing happens
		}
		return 0, syscall.ESPIPE
	}
	x := transfer{d: d}
	if err := t.lockOffset(&x); err != nil {
		return 0, err
	}
	defer d.offset.unlock()
	if x.lent != nil {
		n, err := x.lent.Lseek(t.context(), off, whence)
		return uint64(n), err
	}
	n, err := t.seek(d, off, whence)
	if err != nil {
		return 0, err
	}
	d.off = n
	return uint64(n), nil
}

// seek returns where d's offset goes. d.offset is held.
func (t *Task) seek(d *Description, off int64, whence int) (int64, error) {
	base := int64(0)
	switch whence {
	case unix.SEEK_CUR:
		base = d.off
	case unix.SEEK_END:
		a, err := d.file.Node().Stat(t.context())
		if err != nil {
			return 0, err
		}
		if a.IsDir() {
			return 0, syscall.EINVAL
		}
		base = a.Size
	case unix.SEEK_DATA, unix.SEEK_HOLE:
		return t.seekData(d, off, whence == unix.SEEK_HOLE)
	}
	if at := base + off; at < math.MinInt64+1<<32 && (base == 0 || off == 0) && whence != unix.SEEK_END && d.overMounts() {
		return at, nil // a cookie
	}
	if base+off < 0 { // or too large
		return 0, syscall.EINVAL
	}
	return base + off, nil
}

// overMounts reports whether d is a directory with names that only mounts show.
func (d *Description) overMounts() bool { return d.path.d != nil && d.path.d.over.Load() != nil }

// seekData finds data or a hole; without the server's knowledge a file is all
// data, with a hole behind its end.
func (t *Task) seekData(d *Description, off int64, hole bool) (int64, error) {
	if s, ok := d.file.(vfs.Seeker); ok {
		if off < 0 {
			return 0, syscall.ENXIO
		}
		return s.SeekData(t.context(), off, hole)
	}
	a, err := d.file.Node().Stat(t.context())
	if err != nil {
		return 0, err
	}
	switch {
	case !a.IsRegular():
		return 0, syscall.EINVAL
	case off < 0 || off >= a.Size:
		return 0, syscall.ENXIO
	case hole:
		return a.Size, nil
	}
	return off, nil
}
