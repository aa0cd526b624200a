package lane

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Backpressure: slots and arena are all that a requester can have under way.
// Who finds none left waits its turn, cancellably; nothing was sent yet.

// acquire returns a free slot with room for the four parts of a call.
func (c *caller) acquire(ctx context.Context, room *[4]int) (int, error) {
	need := 0
	for _, n := range room {
		if n > InlineData {
			need += roundUp(n, 64)
		}
	}
	if need > c.r.lay.arena {
		return 0, ErrTooBig
	}
	c.mu.Lock()
	if c.slots == nil {
		c.setupLocked()
	}
	i, ok := -1, false
	if len(c.waiters) == 0 {
		i, ok = c.grantLocked(need)
	}
	if ok {
		c.mu.Unlock()
	} else {
		w := &roomWaiter{need: need, done: make(chan struct{})}
		if c.r.dead.Load() {
			c.mu.Unlock()
			return 0, c.r.err
		}
		c.waiters = append(c.waiters, w)
		c.mu.Unlock()
		var err error
		if i, err = c.waitRoom(ctx, w); err != nil {
			return 0, err
		}
	}
	c.place(i, room)
	return i, nil
}

// waitRoom waits until w is granted.
func (c *caller) waitRoom(ctx context.Context, w *roomWaiter) (int, error) {
	c.interest.Add(1)
	defer c.interest.Add(-1)
	c.arm()
	c.reap()
	c.r.lane.cfg.step("room")
	select {
	case <-w.done:
		return w.slot, w.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.waiters, w); i >= 0 {
		c.waiters = slices.Delete(c.waiters, i, i+1)
		c.grantWaitersLocked() // those behind may need less
	} else if w.err == nil {
		c.releaseLocked(w.slot)
	}
	return 0, context.Cause(ctx)
}

// grantLocked takes a slot and need bytes of arena, or nothing.
func (c *caller) grantLocked(need int) (slot int, ok bool) {
	if len(c.freed) == 0 {
		return 0, false
	}
	off := 0
	if need > 0 {
		if off, ok = c.arena.alloc(need); !ok {
			return 0, false
		}
	}
	i := int(c.freed[len(c.freed)-1])
	c.freed = c.freed[:len(c.freed)-1]
	s := &c.slots[i]
	if s.wake == nil {
		s.wake = make(chan struct{}, 1)
	}
	s.busy, s.orphan, s.late = true, false, false
	s.off, s.n = off, need
	s.started = time.Now()
	s.cause.Store(codeNone)
	return i, true
}

// grantWaitersLocked serves those who wait, in order.
func (c *caller) grantWaitersLocked() {
	for len(c.waiters) > 0 {
		w := c.waiters[0]
		i, ok := c.grantLocked(w.need)
		if !ok {
			return
		}
		w.slot = i
		close(w.done)
		c.waiters = slices.Delete(c.waiters, 0, 1)
	}
}

// place says where the parts of slot i's call lie: in the slot's own room, or
// one after the other in its part of the arena.
func (c *caller) place(i int, room *[4]int) {
	s := &c.slots[i]
	off := s.off
	for k, n := range room {
		if n <= InlineData {
			s.room[k] = span{i*slotRoom + k*InlineData, n}
			continue
		}
		s.room[k] = span{off, n}
		off += roundUp(n, 64)
	}
}

func (c *caller) release(i int) {
	c.mu.Lock()
	c.releaseLocked(i)
	c.mu.Unlock()
}

// releaseLocked frees slot i, whose request both sides have let go of, under its
// next generation.
func (c *caller) releaseLocked(i int) {
	s := &c.slots[i]
	s.gen = slotRelease(c.state(i), s.gen)
	if s.n > 0 {
		c.arena.free(s.off, s.n)
	}
	s.busy, s.n = false, 0
	c.freed = append(c.freed, uint16(i))
	if len(c.waiters) > 0 {
		c.grantWaitersLocked()
	}
}

// reap looks at the slots that the server says have changed: it wakes callers
// and releases what has been settled.
func (c *caller) reap() (progress bool) {
	if !c.asked.Load() || !anyBit(c.m, ctlDones, c.r.lay.slots) {
		return false
	}
	var late []fdKey
	broken := false
	n := int32(0)
	c.mu.Lock()
	if c.slots != nil {
		eachBit(c.m, ctlDones, len(c.slots), func(i int) {
			s := &c.slots[i]
			w := c.state(i).Load()
			if !s.busy {
				return // a hint about a request that is over
			}
			if wordGen(w) != s.gen {
				broken = true
				return
			}
			switch wordLow(w) {
			case slotDone, slotFree: // free: not posted yet, or broken; its owner knows
				n++
				select {
				case s.wake <- struct{}{}:
				default:
				}
			case slotSettled:
				if !s.orphan {
					broken = true
					return
				}
				if s.late {
					c.interest.Add(-1)
					late = append(late, fdKey{reply: true, slot: uint16(i), gen: s.gen})
				}
				c.releaseLocked(i)
			case slotPosted, slotClaimed, slotWithdrawn, slotAbandoned:
			default:
				broken = true
			}
		})
	}
	c.mu.Unlock()
	c.crowd.Store(max(n, c.crowd.Load()-1))
	if late != nil {
		c.r.dropObjects(late...)
	}
	if broken {
		c.r.fail(ErrProtocol)
	}
	return true
}

// armAndLook asks for the next bell and reports whether there is something to
// reap already.
func (c *caller) armAndLook() bool {
	c.arm()
	return anyBit(c.m, ctlDones, c.r.lay.slots)
}

// died tells everybody that no reply will come.
func (c *caller) died() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.slots {
		if s := &c.slots[i]; s.busy && s.wake != nil {
			select {
			case s.wake <- struct{}{}:
			default:
			}
			atomic.AddUint32(&s.nudge, 1)
			futexWakePrivate(&s.nudge)
		}
	}
	for _, w := range c.waiters {
		w.err = c.r.err
		close(w.done)
	}
	c.waiters = nil
}

func anyBit(half []byte, off, slots int) bool {
	for w := 0; w < slots/64; w++ {
		if word(half, off+w*8).Load() != 0 {
			return true
		}
	}
	return false
}

// trim gives the arena's pages back to the kernel if none is in use.
func (c *caller) trim() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots == nil || !c.arena.idle() {
		return nil
	}
	start := c.r.lay.data + c.r.lay.slots*slotRoom
	return unix.Madvise(c.m[start:start+c.r.lay.arena], unix.MADV_REMOVE)
}
