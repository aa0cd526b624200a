package lane

import (
	"fmt"
	"io"
	"sync"

	"golang.org/x/sys/unix"
)

// Memory is a memory object that both sides of a lane can map: the way for
// payloads that are too large for the lane, or that stay. Its size never
// changes. Its methods may be called concurrently, except that a mapping must
// not be used after Close.
//
// A Memory that is shared can be changed by the other side at any moment: copy
// what you check and use the copy ([Memory.ReadAt]). A sealed one never changes
// again.
type Memory struct {
	mu     sync.Mutex
	fd     int
	size   int
	rights Rights
	sealed bool
	alone  bool // only m can be written, by the seal F_SEAL_FUTURE_WRITE
	m      []byte
}

// NewMemory makes a shared memory object of size bytes, zeroed. EINVAL unless size is
// positive.
func NewMemory(size int) (*Memory, error) {
	if size <= 0 {
		return nil, fmt.Errorf("lane: a memory object of %d bytes: %w", size, unix.EINVAL)
	}
	fd, err := newMemfd("lane-memory", size)
	if err != nil {
		return nil, err
	}
	return &Memory{fd: fd, size: size, rights: AllRights}, nil
}

// newMemfd makes a memfd whose size is fixed by seals. Only its owner may open
// it anew with more access.
func newMemfd(name string, size int) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, fmt.Errorf("lane: memfd: %w", err)
	}
	if err = unix.Fchmod(fd, 0o600); err == nil {
		err = unix.Ftruncate(fd, int64(size))
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("lane: memfd: %w", err)
	}
	return fd, nil
}

// checkMemfd reports size and seals of a descriptor that a peer sent. It refuses
// whatever could fault or block when touched: files that may shrink, file
// systems other than the kernel's own memory.
func checkMemfd(fd int) (size int64, seals int, err error) {
	var st unix.Stat_t
	var fs unix.Statfs_t
	if seals, err = unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0); err != nil {
		return 0, 0, fmt.Errorf("%w: not a memory object: %w", ErrProtocol, err)
	}
	if seals&unix.F_SEAL_SHRINK == 0 || seals&unix.F_SEAL_GROW == 0 {
		return 0, 0, fmt.Errorf("%w: memory object can change its size", ErrProtocol)
	}
	if err = unix.Fstatfs(fd, &fs); err == nil {
		err = unix.Fstat(fd, &st)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%w: memory object: %w", ErrProtocol, err)
	}
	if fs.Type != unix.TMPFS_MAGIC {
		return 0, 0, fmt.Errorf("%w: memory object of file system %#x", ErrProtocol, fs.Type)
	}
	return st.Size, seals, nil
}

func importMemory(fd int, claimed Rights) (*Memory, error) {
	size, seals, err := checkMemfd(fd)
	if err == nil && (size <= 0 || size > 1<<40) {
		err = fmt.Errorf("%w: memory object of %d bytes", ErrProtocol, size)
	}
	var flags int
	if err == nil {
		flags, err = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	have := accessRights(flags) | RightMap | RightPass
	sealed := seals&unix.F_SEAL_WRITE != 0
	if sealed || seals&unix.F_SEAL_FUTURE_WRITE != 0 {
		have &^= RightWrite
	}
	return &Memory{fd: fd, size: int(size), rights: claimed & have, sealed: sealed}, nil
}

// Size returns the size in bytes.
func (m *Memory) Size() int { return m.size }

// Sealed reports whether the content can never change again.
func (m *Memory) Sealed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sealed
}

// Rights implements Object.
func (m *Memory) Rights() Rights {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rights
}

// Map returns the object's bytes, writable when the rights include RightWrite;
// writing to a mapping without it faults. The mapping ends with Close.
func (m *Memory) Map() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mapLocked()
}

func (m *Memory) mapLocked() ([]byte, error) {
	if m.m != nil {
		return m.m, nil
	}
	if err := m.mayLocked(RightMap | RightRead); err != nil {
		return nil, err
	}
	prot := unix.PROT_READ
	if m.rights&RightWrite != 0 {
		prot |= unix.PROT_WRITE
	}
	b, err := unix.Mmap(m.fd, 0, m.size, prot, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("lane: map: %w", err)
	}
	m.m = b
	return b, nil
}

// mayLocked reports why m cannot be used for what needs these rights.
func (m *Memory) mayLocked(need Rights) error {
	if m.fd < 0 {
		return fmt.Errorf("memory: %w", ErrClosed)
	}
	if m.rights&need != need {
		return fmt.Errorf("memory with the rights %v, not %v: %w", m.rights, need, ErrRights)
	}
	return nil
}

// ReadAt copies from the object, without mapping it. It implements [io.ReaderAt].
func (m *Memory) ReadAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.mayLocked(RightRead); err != nil {
		return 0, err
	}
	n := 0
	for n < len(p) {
		got, err := unix.Pread(m.fd, p[n:], off+int64(n))
		if err != nil {
			return n, fmt.Errorf("lane: memory: %w", err)
		}
		if got == 0 {
			return n, io.EOF
		}
		n += got
	}
	return n, nil
}

// WriteAt copies to the object, without mapping it. It implements [io.WriterAt];
// what does not fit is EINVAL, and nothing is written.
func (m *Memory) WriteAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.mayLocked(RightWrite); err != nil {
		return 0, err
	}
	if off < 0 || off > int64(m.size-len(p)) {
		return 0, fmt.Errorf("lane: %d bytes at %d in a memory object of %d: %w", len(p), off, m.size, unix.EINVAL)
	}
	if m.alone && m.m != nil {
		return copy(m.m[off:], p), nil
	}
	n := 0
	for n < len(p) {
		done, err := unix.Pwrite(m.fd, p[n:], off+int64(n))
		if err != nil {
			return n, fmt.Errorf("lane: memory: %w", err)
		}
		n += done
	}
	return n, nil
}

// SealOthers maps the object and takes the right to write from everybody else, for good: who gets it from now on, by
// whatever way and as whichever user, can only read it, as can this end once its mapping has ended. Others must not
// have mapped it writable before. It needs Linux 5.1.
func (m *Memory) SealOthers() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.mayLocked(RightWrite); err != nil {
		return nil, err
	}
	b, err := m.mapLocked()
	if err != nil {
		return nil, err
	}
	if _, err := unix.FcntlInt(uintptr(m.fd), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE|unix.F_SEAL_SEAL); err != nil {
		return nil, fmt.Errorf("lane: seal: %w", err)
	}
	m.alone = true
	return b, nil
}

// Seal ends all change, for every holder: EBUSY while somebody has it mapped
// writable (this end's own mapping is undone first and must not be used again: Map
// anew). It needs RightWrite, and does nothing when the object is sealed already.
func (m *Memory) Seal() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sealed && m.fd >= 0 {
		return nil
	}
	if err := m.mayLocked(RightWrite); err != nil {
		return err
	}
	if m.alone {
		return fmt.Errorf("lane: seal: %w", unix.EPERM) // no more seals; giving up the mapping ends all change, too
	}
	m.unmapLocked()
	if _, err := unix.FcntlInt(uintptr(m.fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SEAL); err != nil {
		return fmt.Errorf("lane: seal: %w", err)
	}
	m.sealed = true
	m.rights &^= RightWrite
	return nil
}

// Reduce takes away all rights that are not in keep; EINVAL if that left neither
// RightRead nor RightWrite. Without one of these the descriptor is opened anew for
// the other only, so whoever receives it can do no more (unless it runs as the same
// user, unconfined, with a /proc: then only Seal and SealOthers protect). It needs
// /proc itself.
func (m *Memory) Reduce(keep Rights) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.mayLocked(0); err != nil {
		return err
	}
	now := m.rights & keep
	const access = RightRead | RightWrite
	if now&access == 0 {
		return fmt.Errorf("lane: memory that can be neither read nor written: %w", unix.EINVAL)
	}
	if m.rights&access != now&access {
		fd, err := reopen(m.fd, now)
		if err != nil {
			return err
		}
		m.unmapLocked()
		unix.Close(m.fd)
		m.fd = fd
	}
	m.rights = now
	return nil
}

// Dup returns a second handle with the same rights and a mapping of its own.
func (m *Memory) Dup() (*Memory, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.mayLocked(0); err != nil {
		return nil, err
	}
	fd, err := unix.FcntlInt(uintptr(m.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("lane: dup: %w", err)
	}
	rights := m.rights
	if m.alone {
		rights &^= RightWrite
	}
	return &Memory{fd: fd, size: m.size, rights: rights, sealed: m.sealed}, nil
}

// Close implements Object. It ends the mapping.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unmapLocked()
	if m.fd >= 0 {
		unix.Close(m.fd)
		m.fd = -1
	}
	return nil
}

func (m *Memory) unmapLocked() {
	if m.m != nil {
		unix.Munmap(m.m)
		m.m = nil
	}
	if m.alone {
		m.rights &^= RightWrite
	}
}

func (m *Memory) move() Object {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unmapLocked()
	to := &Memory{fd: m.fd, size: m.size, rights: m.rights, sealed: m.sealed}
	m.fd = -1
	return to
}

func (m *Memory) export() (exported, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unmapLocked()
	fd := m.fd
	m.fd = -1
	if fd < 0 {
		return exported{}, fmt.Errorf("memory: %w", ErrClosed)
	}
	return exported{kind: kindMemory, rights: m.rights, fds: [2]int{fd}, n: 1}, nil
}
