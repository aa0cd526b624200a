package lane

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Event is something that happens: a set of bits that can be raised, waited for
// and passed over lanes. A one-shot event is raised once and stays so; the bits
// of a bitset can be cleared again. Its methods may be called concurrently, by
// all who hold it in all processes.
//
// RightRead allows waiting, RightWrite raising and clearing. The kernel keeps a
// receiver without RightWrite from raising; that one without RightRead does not
// look is this package's word only.
type Event struct {
	core   *eventCore
	rights Rights
	spent  atomic.Bool // closed, passed on or replaced: core may live on in other handles
}

// EventKind says whether bits can be cleared.
type EventKind uint32

// String returns "one-shot" or "bitset".
func (k EventKind) String() string {
	switch k {
	case OneShot:
		return "one-shot"
	case Bitset:
		return "bitset"
	}
	return "kind " + strconv.Itoa(int(k))
}

// The kinds.
const (
	OneShot EventKind = iota + 1
	Bitset
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

// NewEvent makes an event with no bit raised. Close it when it is not needed any
// more: one that has been passed on holds a descriptor.
func NewEvent(kind EventKind) *Event {
	return newEvent(&eventCore{kind: kind, refs: 1, fd: -1, waiters: make(map[chan struct{}]struct{})}, AllRights)
}

func newEvent(c *eventCore, rights Rights) *Event { return &Event{core: c, rights: rights} }

// may reports why e cannot be used for what needs these rights.
func (e *Event) may(need Rights) error {
	if e.spent.Load() {
		return fmt.Errorf("event: %w", ErrClosed)
	}
	if e.rights&need != need {
		return fmt.Errorf("event with the rights %v, not %v: %w", e.rights, need, ErrRights)
	}
	return nil
}

// Rights implements Object.
func (e *Event) Rights() Rights { return e.rights }

// Kind returns what NewEvent was told.
func (e *Event) Kind() EventKind { return e.core.kind }

// Raise raises bits and wakes who waits for them. A OneShot is raised by any bits,
// which then tell its waiters whatever the two sides have agreed on. EINVAL for 0.
func (e *Event) Raise(bits uint32) error {
	if err := e.may(RightWrite); err != nil {
		return err
	}
	if bits == 0 {
		return fmt.Errorf("lane: an event is raised with at least one bit: %w", unix.EINVAL)
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
	if err := e.may(RightWrite); err != nil {
		return 0, err
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

// Bits returns the raised bits; none without RightRead.
func (e *Event) Bits() uint32 {
	if e.may(RightRead) != nil {
		return 0
	}
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
// They stay raised. mask counts for a Bitset only, where 0 is EINVAL. When ctx ends
// first, its cause is returned; bits that are raised by then win. Waiting for an
// event of another process needs Linux 5.16.
func (e *Event) Wait(ctx context.Context, mask uint32) (uint32, error) {
	if err := e.may(RightRead); err != nil {
		return 0, err
	}
	c := e.core
	if c.kind == OneShot {
		mask = ^uint32(0)
	}
	if mask == 0 {
		return 0, fmt.Errorf("lane: no bits to wait for: %w", unix.EINVAL)
	}
	c.mu.Lock()
	for {
		if got := c.bitsLocked() & mask; got != 0 {
			c.mu.Unlock()
			return got, nil
		}
		if c.refs == 0 || e.spent.Load() {
			c.mu.Unlock()
			return 0, fmt.Errorf("event: %w", ErrClosed)
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
// taken by one taker. It needs RightRead and RightWrite, and a Bitset (EINVAL).
func (e *Event) Take(ctx context.Context, mask uint32) (uint32, error) {
	if err := e.may(RightRead | RightWrite); err != nil {
		return 0, err
	}
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

// Dup returns a second handle with the same rights, to be closed for itself.
func (e *Event) Dup() *Event {
	e.core.mu.Lock()
	defer e.core.mu.Unlock()
	d := newEvent(e.core, e.rights)
	if e.spent.Load() {
		d.spent.Store(true)
	} else {
		e.core.refs++
	}
	return d
}

// Reduce returns the event with no more rights than keep, in place of e, which is
// closed by it; so what is passed on with less is e.Dup().Reduce(keep). A receiver
// without RightWrite gets a descriptor that can only be read. Keep RightPass in what
// is to be sent.
func (e *Event) Reduce(keep Rights) *Event {
	e.core.mu.Lock()
	defer e.core.mu.Unlock()
	less := newEvent(e.core, e.rights&keep)
	if e.spent.Swap(true) {
		less.spent.Store(true)
	}
	e.core.notifyLocked()
	return less
}

func (e *Event) move() Object { return e.Reduce(AllRights) }

// Close implements Object. Waits that began with this handle return ErrClosed.
func (e *Event) Close() error {
	c := e.core
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.spent.Swap(true) {
		return nil
	}
	c.refs--
	c.notifyLocked() // those who wait look at their own handle
	if c.refs > 0 {
		return nil
	}
	if c.m != nil {
		c.bits = c.bitsLocked()
		unix.Munmap(c.m)
		unix.Close(c.fd)
		c.m, c.fd = nil, -1
	}
	return nil
}
