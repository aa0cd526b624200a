package tmp

import (
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// NewMemfd returns an open file without a name in f, as memfd_create(2) makes
// it. Without sealing, F_SEAL_SEAL is set, as on every other file.
func (f *FS) NewMemfd(o vfs.MakeOptions, sealing bool) vfs.File {
	o.Mode = o.Mode&0o7777 | unix.S_IFREG
	r := f.newNode(&o).(*regular)
	if sealing {
		r.seals = 0
	}
	r.opens = 1
	return &file{r: r, access: unix.O_RDWR}
}

// Seals returns the F_SEAL_ bits (fcntl(2), F_GET_SEALS).
func (f *file) Seals() uint32 {
	f.r.io.RLock()
	defer f.r.io.RUnlock()
	return f.r.seals
}

// AddSeals adds seals: EPERM when they are sealed themselves, EBUSY for
// F_SEAL_WRITE while there are shared mappings that can write. The caller has
// checked that f is open for writing.
func (f *file) AddSeals(seals uint32) error {
	const writes = unix.F_SEAL_WRITE
	const known = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | writes | unix.F_SEAL_FUTURE_WRITE | unix.F_SEAL_EXEC
	r := f.r
	r.io.Lock()
	defer r.io.Unlock()
	if seals&^known != 0 {
		return syscall.EINVAL
	}
	if r.seals&unix.F_SEAL_SEAL != 0 {
		return syscall.EPERM
	}
	if seals&unix.F_SEAL_EXEC != 0 {
		r.mu.Lock()
		if r.mode&0o111 != 0 { // a program that cannot change
			seals |= unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | writes | unix.F_SEAL_FUTURE_WRITE
		}
		r.mu.Unlock()
	}
	if r.data.object != nil && seals&^r.seals&writes != 0 {
		// The host knows of the mappings.
		if _, err := unix.FcntlInt(uintptr(r.data.object.fd), unix.F_ADD_SEALS, writes); err != nil {
			return err
		}
	}
	r.seals |= seals
	return nil
}
