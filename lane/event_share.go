package lane

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// The memory of an event that has been shared: a sealed memfd of one page.
const (
	eventMagic    = 0x746e657665697468 // "htievent"
	eventOffMagic = 0
	eventOffKind  = 8  // uint32
	eventOffSeq   = 12 // uint32, a futex: changes with every raise
	eventOffBits  = 16 // uint64; the upper half is zero
)

// export shares the event's memory.
func (e *Event) export() (exported, error) {
	c := e.core
	defer e.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.spent.Load() {
		return exported{}, fmt.Errorf("event: %w", ErrClosed)
	}
	if err := c.shareLocked(); err != nil {
		return exported{}, err
	}
	var fd int
	var err error
	if e.rights&RightWrite == 0 {
		fd, err = reopen(c.fd, RightRead)
	} else {
		fd, err = unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0)
	}
	if err != nil {
		return exported{}, err
	}
	return exported{kind: kindEvent, rights: e.rights, fds: [2]int{fd}, n: 1}, nil
}

// shareLocked moves the event into shared memory.
func (c *eventCore) shareLocked() error {
	if c.m != nil {
		return nil
	}
	fd, err := newMemfd("lane-event", pageSize)
	if err != nil {
		return err
	}
	m, err := unix.Mmap(fd, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		unix.Close(fd)
		return fmt.Errorf("lane: event: %w", err)
	}
	word(m, eventOffMagic).Store(eventMagic)
	word32(m, eventOffKind).Store(uint32(c.kind))
	word(m, eventOffBits).Store(uint64(c.bits))
	c.m, c.fd = m, fd
	if len(c.waiters) > 0 {
		return c.watchLocked()
	}
	return nil
}

func importEvent(fd int, claimed Rights) (*Event, error) {
	m, rights, err := mapEvent(fd, claimed)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	kind := EventKind(word32(m, eventOffKind).Load())
	if word(m, eventOffMagic).Load() != eventMagic || kind != OneShot && kind != Bitset {
		unix.Munmap(m)
		unix.Close(fd)
		return nil, fmt.Errorf("%w: not an event", ErrProtocol)
	}
	return newEvent(&eventCore{kind: kind, refs: 1, fd: fd, m: m, waiters: make(map[chan struct{}]struct{})}, rights), nil
}

func mapEvent(fd int, claimed Rights) ([]byte, Rights, error) {
	size, seals, err := checkMemfd(fd)
	if err != nil {
		return nil, 0, err
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || size != pageSize {
		return nil, 0, fmt.Errorf("%w: not an event", ErrProtocol)
	}
	rights := claimed & (accessRights(flags) | RightPass)
	if seals&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 {
		rights &^= RightWrite
	}
	prot := unix.PROT_READ
	if rights&RightWrite != 0 {
		prot |= unix.PROT_WRITE
	}
	m, err := unix.Mmap(fd, 0, pageSize, prot, unix.MAP_SHARED)
	if err != nil {
		return nil, 0, fmt.Errorf("lane: event: %w", err)
	}
	return m, rights, nil
}
