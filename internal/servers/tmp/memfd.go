package tmp

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Sealer is an open memory file with seals (fcntl F_ADD_SEALS, F_GET_SEALS).
type Sealer interface {
	vfs.File
	AddSeals(seals uint32) error
	Seals() uint32
}

// NewMemfd returns an open file without a name in f, as memfd_create(2) makes
// it. Without sealing, F_SEAL_SEAL is set.
func (f *FS) NewMemfd(o vfs.MakeOptions, sealing bool) vfs.File {
	o.Mode = o.Mode&0o7777 | unix.S_IFREG
	r := f.newNode(o).(*regular)
	if !sealing {
		r.seals = unix.F_SEAL_SEAL
	}
	r.opened()
	return &memfd{file{r}}
}

// memfd is a file that can be sealed.
type memfd struct{ file }

// Open opens the memory file again, by way of /proc.
func (m *memfd) Open(context.Context, int) (vfs.File, error) {
	m.r.opened()
	return &memfd{file{m.r}}, nil
}

// Seals returns the F_SEAL_ bits.
func (m *memfd) Seals() uint32 {
	m.r.mu.Lock()
	defer m.r.mu.Unlock()
	return m.r.seals
}

// AddSeals adds seals, EPERM when the seals themselves are sealed. F_SEAL_WRITE
// goes to the host's memory file, which knows of writable mappings (EBUSY).
func (m *memfd) AddSeals(seals uint32) error {
	const known = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_FUTURE_WRITE | 0x20
	r := m.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if seals&^known != 0 {
		return syscall.EINVAL
	}
	if r.seals&unix.F_SEAL_SEAL != 0 {
		return syscall.EPERM
	}
	if r.data.isFD && seals&unix.F_SEAL_WRITE != 0 {
		if _, err := unix.FcntlInt(uintptr(r.data.fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); err != nil {
			return err
		}
	}
	r.seals |= seals
	return nil
}
