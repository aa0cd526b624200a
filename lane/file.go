package lane

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// File is a descriptor that a message carries. Its methods may be called
// concurrently.
type File struct {
	mu     sync.Mutex   // for changing fd, and for what must not see it change
	fd     atomic.Int64 // -1 once closed or taken
	rights atomic.Uint32
}

// NewFile makes an Object of fd, which belongs to it from then on. It has the
// rights of fd's access mode, and those to map and pass on.
func NewFile(fd int) (*File, error) {
	return importFile(fd, AllRights)
}

func importFile(fd int, claimed Rights) (*File, error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("lane: file: %w", err)
	}
	f := &File{}
	f.fd.Store(int64(fd))
	f.rights.Store(uint32(claimed & (accessRights(flags) | RightMap | RightPass)))
	return f, nil
}

func accessRights(flags int) Rights {
	if flags&unix.O_PATH != 0 {
		return 0
	}
	return [4]Rights{RightRead, RightWrite, RightRead | RightWrite, 0}[flags&unix.O_ACCMODE]
}

// FD returns the descriptor, still owned by f; -1 when closed. Whoever uses it sees
// to it that nobody closes or reduces f meanwhile.
func (f *File) FD() int { return int(f.fd.Load()) }

// Take returns the descriptor, owned by the caller from then on; -1 when closed.
func (f *File) Take() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int(f.fd.Swap(-1))
}

// OS returns an *os.File that owns the descriptor from then on; nil when f is closed.
func (f *File) OS(name string) *os.File { return os.NewFile(uintptr(f.Take()), name) }

// Rights implements Object.
func (f *File) Rights() Rights { return Rights(f.rights.Load()) }

// Close implements Object.
func (f *File) Close() error {
	if fd := f.Take(); fd >= 0 {
		return unix.Close(fd)
	}
	return nil
}

// Dup returns a second File for the same open file description.
func (f *File) Dup() (*File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.FD() < 0 {
		return nil, fmt.Errorf("file: %w", ErrClosed)
	}
	fd, err := unix.FcntlInt(uintptr(f.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("lane: dup: %w", err)
	}
	return importFile(fd, f.Rights())
}

// Reduce takes away all rights that are not in keep. Where that ends reading or
// writing, the file is opened anew with less, so the kernel enforces it; a file
// that cannot be (a socket, say) is left as it was and the error says why. It needs
// /proc. A receiver that may open the file by itself (its name, its permissions) is
// not kept from it.
func (f *File) Reduce(keep Rights) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.FD() < 0 {
		return fmt.Errorf("file: %w", ErrClosed)
	}
	old := f.Rights()
	now := old & keep
	const access = RightRead | RightWrite
	if old&access != now&access {
		fd, err := reopen(f.FD(), now)
		if err != nil {
			return err
		}
		unix.Close(int(f.fd.Swap(int64(fd))))
	}
	f.rights.Store(uint32(now))
	return nil
}

func (f *File) move() Object {
	m := &File{}
	m.rights.Store(uint32(f.Rights()))
	m.fd.Store(int64(f.Take()))
	return m
}

// reopen opens the file behind fd with no more access than rights say.
func reopen(fd int, rights Rights) (int, error) {
	mode := unix.O_RDONLY
	switch rights & (RightRead | RightWrite) {
	case RightRead | RightWrite:
		mode = unix.O_RDWR
	case RightWrite:
		mode = unix.O_WRONLY
	case 0:
		mode = unix.O_PATH
	}
	got, err := unix.Open("/proc/self/fd/"+strconv.Itoa(fd), mode|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("lane: reduce rights: %w", err)
	}
	return got, nil
}

func (f *File) export() (exported, error) {
	fd := f.Take()
	if fd < 0 {
		return exported{}, fmt.Errorf("file: %w", ErrClosed)
	}
	return exported{kind: kindFile, rights: f.Rights(), fds: [2]int{fd}, n: 1}, nil
}

func closeFDs(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
