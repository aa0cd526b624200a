package tmp

import (
	"context"
	"syscall"

	"golang.org/x/sys/unix"
)

// Allocate is fallocate(2); collapsing and inserting ranges is not offered, as
// on Linux's tmpfs, but zeroing is, since this serves in the place of disks too.
func (f *file) Allocate(_ context.Context, mode uint32, off, length int64) error {
	const keep, punch, zero = unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_PUNCH_HOLE, unix.FALLOC_FL_ZERO_RANGE
	if off < 0 || length <= 0 {
		return syscall.EINVAL
	}
	if mode&^(keep|punch|zero) != 0 || mode&punch != 0 && mode != punch|keep {
		return syscall.EOPNOTSUPP
	}
	end := off + length
	if end < 0 || end > maxSize {
		return syscall.EFBIG
	}
	r := f.r
	r.io.Lock()
	defer r.io.Unlock()
	if mode&(punch|zero) != 0 && r.seals&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 {
		return syscall.EPERM
	}
	if mode&punch != 0 {
		if err := r.data.zero(off, end); err != nil {
			return err
		}
		r.modified()
		return nil
	}
	grows := mode&keep == 0 && end > r.data.length()
	if grows && r.seals&unix.F_SEAL_GROW != 0 {
		return syscall.EPERM
	}
	if err := r.data.allocate(off, end); err != nil {
		return err
	}
	if mode&zero != 0 {
		if err := r.data.zero(off, end); err != nil {
			return err
		}
		if err := r.data.allocate(off, end); err != nil {
			return err
		}
	}
	if grows {
		if err := r.data.extend(end); err != nil {
			return err
		}
		r.modified()
		return nil
	}
	if mode&zero != 0 {
		r.modified()
		return nil
	}
	r.changed()
	return nil
}
