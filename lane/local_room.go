package lane

import (
	"context"
	"slices"
)

// localRoom bounds what the copies of requests within the process hold, as the arena does over a ring. It is guarded by
// the half's mu.
type localRoom struct {
	held    int
	waiters []*localWaiter // in order: a large request is not passed by until it starves
}

type localWaiter struct {
	n  int
	ch chan struct{}
}

// roomFor returns how much of the arena parts of these lengths take.
func roomFor(parts ...int) (n int) {
	for _, p := range parts {
		if p > InlineData {
			n += p
		}
	}
	return n
}

// takeRoom waits, with ctx, until n bytes more may be held, for c.
func (h *localHalf) takeRoom(ctx context.Context, c *localCall, n int) error {
	if n == 0 {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &localWaiter{n: n, ch: make(chan struct{})}
	h.room.waiters = append(h.room.waiters, w)
	h.grantRoomLocked()
	for h.dead == nil && slices.Contains(h.room.waiters, w) {
		h.mu.Unlock()
		h.from.cfg.step("room")
		select {
		case <-w.ch:
			h.mu.Lock()
		case <-ctx.Done():
			h.mu.Lock()
			if i := slices.Index(h.room.waiters, w); i >= 0 {
				h.room.waiters = slices.Delete(h.room.waiters, i, i+1)
				h.grantRoomLocked() // it may have been in the way
				return context.Cause(ctx)
			}
		}
	}
	if h.dead != nil {
		return h.dead
	}
	c.held = n
	return nil
}

// giveRoomLocked returns what c has taken.
func (h *localHalf) giveRoomLocked(c *localCall) {
	if c.held > 0 {
		h.room.held -= c.held
		c.held = 0
		h.grantRoomLocked()
	}
}

// grantRoomLocked lets those take room who can. One that is larger than all gets it alone.
func (h *localHalf) grantRoomLocked() {
	r := &h.room
	for len(r.waiters) > 0 && (r.held == 0 || r.held+r.waiters[0].n <= h.from.cfg.Arena) {
		r.held += r.waiters[0].n
		close(r.waiters[0].ch)
		r.waiters = slices.Delete(r.waiters, 0, 1)
	}
}

// endRoomLocked wakes all who wait, when the lane has ended.
func (h *localHalf) endRoomLocked() {
	for _, w := range h.room.waiters {
		close(w.ch)
	}
	h.room.waiters = nil
}
