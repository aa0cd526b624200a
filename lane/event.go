package lane

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// Event is something that happens: a set of bits that can be raised, waited for
// and passed over lanes. A one-shot event is raised once and stays so; the bits
// of a bitset can be cleared again. Its methods may be called concurrently, by
// all who hold it in all processes.
//
// RightRead allows waiting, RightWrite raising and clearing.
type Event struct {
	core   *eventCore
	rights Rights
}

// EventKind says whether bits can be cleared.
type EventKind uint32

// The kinds.
const (
	OneShot EventKind = iota + 1
	Bitset
)

// The memory of an event that has been shared: a sealed memfd of one page.
const (
	eventMagic    = 0x746e657665697468 // "htievent"
	eventOffMagic = 0
	eventOffKind  = 8  // uint32
	eventOffSeq   = 12 // uint32, a futex: changes with every raise
	eventOffBits  = 16 // uint64; the upper half is zero
)

// eventCore is an event as this process knows it. While it has never been passed
// on it is plain memory.
type eventCore struct {
	mu      sync.Mutex
	kind    EventKind
	refs    int
	bits    uint32
	waiters map[chan struct{}]struct{}
	m       []byte // shared memory; nil while unshared
	fd      int
	watched bool // the watcher looks at m
}

// NewEvent makes an event with no bit raised.
func NewEvent(kind EventKind) *Event {
	return &Event{&eventCore{kind: kind, refs: 1, fd: -1, waiters: make(map[chan struct{}]struct{})}, AllRights}
}

// Rights implements Object.
func (e *Event) Rights() Rights { return e.rights }

// Kind returns what NewEvent was told.
func (e *Event) Kind() EventKind { return e.core.kind }

// Raise raises bits (any non-zero value for a OneShot) and wakes who waits for
// them.
func (e *Event) Raise(bits uint32) error {
	if e.rights&RightWrite == 0 {
		return ErrRights
	}
	c := e.core
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.bits |= bits
	} else {
		word(c.m, eventOffBits).Or(uint64(bits))
		word32(c.m, eventOffSeq).Add(1)
		futexWake(c.m, eventOffSeq)
	}
	c.notifyLocked()
	return nil
}

// Clear lowers bits of a Bitset; EINVAL for a OneShot.
func (e *Event) Clear(bits uint32) error {
	_, err := e.take(bits)
	return err
}

// take lowers bits and returns those that were raised.
func (e *Event) take(bits uint32) (uint32, error) {
	if e.rights&RightWrite == 0 {
		return 0, ErrRights
	}
	c := e.core
	if c.kind != Bitset {
		return 0, fmt.Errorf("lane: a one-shot event stays raised: %w", unix.EINVAL)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		old := c.bits
		c.bits &^= bits
		return old & bits, nil
	}
	return uint32(word(c.m, eventOffBits).And(^uint64(bits))) & bits, nil
}

// Bits returns the raised bits.
func (e *Event) Bits() uint32 {
	e.core.mu.Lock()
	defer e.core.mu.Unlock()
	return e.core.bitsLocked()
}

func (c *eventCore) bitsLocked() uint32 {
	if c.m == nil {
		return c.bits
	}
	return uint32(word(c.m, eventOffBits).Load())
}

// Wait waits until one of the bits in mask is raised and returns those that are.
// They stay raised.
func (e *Event) Wait(ctx context.Context, mask uint32) (uint32, error) {
	if e.rights&RightRead == 0 {
		return 0, ErrRights
	}
	c := e.core
	c.mu.Lock()
	for {
		if got := c.bitsLocked() & mask; got != 0 {
			c.mu.Unlock()
			return got, nil
		}
		if c.refs == 0 {
			c.mu.Unlock()
			return 0, ErrClosed
		}
		wake := make(chan struct{})
		c.waiters[wake] = struct{}{}
		if err := c.watchLocked(); err != nil {
			delete(c.waiters, wake)
			c.mu.Unlock()
			return 0, err
		}
		if c.bitsLocked()&mask != 0 { // raised before the watcher looked
			delete(c.waiters, wake)
			continue
		}
		c.mu.Unlock()
		select {
		case <-wake:
			c.mu.Lock()
		case <-ctx.Done():
			c.mu.Lock()
			delete(c.waiters, wake)
			got := c.bitsLocked() & mask
			c.unwatchLocked()
			c.mu.Unlock()
			if got != 0 {
				return got, nil
			}
			return 0, context.Cause(ctx)
		}
	}
}

// Take waits as Wait does and clears the bits that it returns: each raise is
// taken by one taker.
func (e *Event) Take(ctx context.Context, mask uint32) (uint32, error) {
	for {
		if got, err := e.take(mask); got != 0 || err != nil {
			return got, err
		}
		if _, err := e.Wait(ctx, mask); err != nil {
			return 0, err
		}
	}
}

func (c *eventCore) notifyLocked() {
	for ch := range c.waiters {
		close(ch)
		delete(c.waiters, ch)
	}
	c.unwatchLocked()
}

// Dup returns a second handle with the same rights.
func (e *Event) Dup() *Event {
	e.core.mu.Lock()
	defer e.core.mu.Unlock()
	e.core.refs++
	return &Event{e.core, e.rights}
}

// Reduce returns the event with no more rights than keep, in place of e, which
// must not be used any more. A receiver without RightWrite gets a descriptor
// that can only be read.
func (e *Event) Reduce(keep Rights) *Event {
	return &Event{e.core, e.rights & keep}
}

// Close implements Object. Waiters of the last handle return ErrClosed.
func (e *Event) Close() error {
	c := e.core
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refs == 0 {
		return nil
	}
	if c.refs--; c.refs > 0 {
		return nil
	}
	c.notifyLocked()
	if c.m != nil {
		c.bits = c.bitsLocked()
		unix.Munmap(c.m)
		unix.Close(c.fd)
		c.m, c.fd = nil, -1
	}
	return nil
}

// export shares the event's memory.
func (e *Event) export() (exported, error) {
	c := e.core
	defer e.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
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
	if c.refs == 0 {
		return ErrClosed
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
	return &Event{&eventCore{kind: kind, refs: 1, fd: fd, m: m, waiters: make(map[chan struct{}]struct{})}, rights}, nil
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
