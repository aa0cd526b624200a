package lane

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// localEnd is one end of a lane within the process.
type localEnd struct {
	lane  *Lane
	other *localEnd
	out   *localHalf // requests of this end
	in    *localHalf // requests of the other end
	once  sync.Once
}

// localHalf carries requests in one direction. The states of a request are
// those of slot.go.
type localHalf struct {
	from, to *Lane

	mu      sync.Mutex // all that follows
	calls   []*localCall
	freed   []int
	waiters []chan struct{} // callers without a slot
	queue   []*localCall    // posted, in order
	running int
	handler Handler
	opts    ServeOptions
	recv    []chan struct{}
	notes   []*Request
	room    localRoom
	idle    chan struct{}
	closing error // no more requests are started: why
	dead    error // for the caller: why
}

// localCall is a request under way.
type localCall struct {
	half  *localHalf
	slot  int
	gen   uint64
	state atomic.Uint64
	cause atomic.Uint64
	wake  chan struct{}
	req   *Request
	res   result
	op    uint32
	note  bool
	held  int // of localHalf.room
	start time.Time
}

// bindLocal makes a pair's ends ends within the process. Their shared mu is held.
func bindLocal(a, b *Lane) {
	ab, ba := &localHalf{from: a, to: b}, &localHalf{from: b, to: a}
	ea := &localEnd{lane: a, out: ab, in: ba}
	eb := &localEnd{lane: b, out: ba, in: ab, other: ea}
	ea.other = eb
	a.other, b.other = nil, nil
	a.local.Store(ea)
	b.local.Store(eb)
}

// close ends both ends: this one was closed, the other one's peer is gone.
func (e *localEnd) close() {
	e.ended(ErrClosed)
	e.other.ended(ErrPeerDied)
}

func (e *localEnd) ended(why error) {
	e.once.Do(func() {
		e.out.died(why) // before Err says so: no call goes through afterwards
		e.lane.end(why)
		code := uint8(codeCallerDied)
		if why == ErrClosed {
			code = codeShutdown
		}
		e.in.stop(e.lane.endCause(code))
	})
}

// died tells the callers of h that no reply will come.
func (h *localHalf) died(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dead == nil {
		h.dead = why
	}
	for _, c := range h.calls {
		if c != nil {
			c.signal()
		}
	}
	for _, ch := range h.waiters {
		close(ch)
	}
	h.waiters = nil
	h.endRoomLocked()
	// What was withdrawn, and notes, have nobody who waits for them.
	for _, c := range h.queue {
		if c.req != nil && (c.note || wordLow(c.state.Load()) == slotWithdrawn) {
			go c.req.recycle()
			c.req = nil
		}
	}
	h.queue = nil
}

// stop cancels what is under way at the server's side of h.
func (h *localHalf) stop(why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing == nil {
		h.closing = why
	}
	for _, c := range h.calls {
		if c != nil && c.req != nil {
			c.req.own.cancel(why)
		}
	}
	for _, ch := range h.recv {
		close(ch)
	}
	h.recv = nil
}

func (h *localHalf) shutdown(ctx context.Context) error { // of the serving side
	h.stop(h.to.cfg.Causes.err(codeShutdown))
	h.mu.Lock()
	if h.running == 0 {
		h.mu.Unlock()
		return nil
	}
	if h.idle == nil {
		h.idle = make(chan struct{})
	}
	idle := h.idle
	h.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *localCall) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// acquire returns a free slot; it waits, with ctx, while all are taken.
func (h *localHalf) acquire(ctx context.Context, op uint32) (*localCall, error) {
	h.mu.Lock()
	for {
		if h.dead != nil {
			err := h.dead
			h.mu.Unlock()
			return nil, err
		}
		if len(h.freed) > 0 || len(h.calls) < h.from.cfg.Slots {
			break
		}
		ch := make(chan struct{})
		h.waiters = append(h.waiters, ch)
		h.mu.Unlock()
		h.from.cfg.step("room")
		select {
		case <-ch:
			h.mu.Lock()
		case <-ctx.Done():
			h.mu.Lock()
			if i := slices.Index(h.waiters, ch); i >= 0 {
				h.waiters = slices.Delete(h.waiters, i, i+1)
			} else {
				h.wakeWaiterLocked() // the turn was ours: pass it on
			}
			h.mu.Unlock()
			return nil, context.Cause(ctx)
		}
	}
	c := localCalls.Get().(*localCall)
	c.half, c.op, c.start = h, op, time.Now()
	if n := len(h.freed); n > 0 {
		c.slot = h.freed[n-1]
		h.freed = h.freed[:n-1]
		h.calls[c.slot] = c
	} else {
		c.slot = len(h.calls)
		h.calls = append(h.calls, c)
	}
	h.mu.Unlock()
	return c, nil
}

var localCalls = sync.Pool{New: func() any { return &localCall{wake: make(chan struct{}, 1)} }}

func (h *localHalf) wakeWaiterLocked() {
	if len(h.waiters) > 0 && h.dead == nil {
		close(h.waiters[0])
		h.waiters = h.waiters[1:]
	}
}

// releaseLocked frees c, of which both sides have let go.
func (h *localHalf) releaseLocked(c *localCall) {
	h.giveRoomLocked(c)
	h.calls[c.slot] = nil
	h.freed = append(h.freed, c.slot)
	h.wakeWaiterLocked()
	c.gen = slotRelease(&c.state, c.gen)
	c.req, c.half, c.res, c.note = nil, nil, result{}, false
	localCalls.Put(c)
}

// takeLocked claims the next request that was not withdrawn.
func (h *localHalf) takeLocked() *Request {
	for len(h.queue) > 0 && h.startableLocked() {
		c := h.queue[0]
		h.queue[0] = nil
		h.queue = h.queue[1:]
		if !slotClaim(&c.state, c.gen) {
			slotSettle(&c.state, c.gen)
			r := c.req
			h.releaseLocked(c)
			if len(r.Objects) > 0 {
				go r.recycle() // closing an object may take other locks
			} else {
				r.recycle()
			}
			continue
		}
		h.running++
		return c.req
	}
	return nil
}

func (h *localHalf) startableLocked() bool {
	limit := h.from.cfg.Slots
	if h.opts.Concurrency > 0 {
		limit = min(limit, h.opts.Concurrency)
	}
	return h.closing == nil && h.dead == nil && h.running < limit
}

// start hands posted requests on, in order.
func (h *localHalf) start() {
	for {
		h.mu.Lock()
		handler := h.handler
		if handler == nil {
			if len(h.recv) > 0 && len(h.queue) > 0 {
				close(h.recv[0])
				h.recv = h.recv[1:]
			}
			h.mu.Unlock()
			return
		}
		r := h.takeLocked()
		if r == nil {
			h.mu.Unlock()
			return
		}
		if !r.IsNote {
			h.mu.Unlock()
			go h.serve(r, handler)
			continue
		}
		h.notes = append(h.notes, r)
		if len(h.notes) == 1 {
			go h.serveNotes(handler)
		}
		h.mu.Unlock()
	}
}

func (h *localHalf) serveNotes(handler Handler) {
	h.mu.Lock()
	for len(h.notes) > 0 {
		r := h.notes[0]
		h.mu.Unlock()
		h.serve(r, handler)
		h.mu.Lock()
		h.notes = h.notes[1:]
	}
	h.notes = nil
	h.mu.Unlock()
}

func (h *localHalf) serve(r *Request, handler Handler) {
	err := r.ctx.Err()
	if err == nil {
		ended := false
		defer func() {
			if !ended { // runtime.Goexit, which takes this goroutine
				h.complete(r, errGoexit)
			}
		}()
		err = r.run(handler)
		ended = true
	}
	h.complete(r, err)
}

// complete hands the outcome to the caller, or takes the effects back.
func (h *localHalf) complete(r *Request, err error) {
	c := r.call
	closeObjects(r.Objects) // before the caller knows
	h.to.cfg.step("complete")
	c.res = r.resultOf(err, &h.to.cfg.Causes)
	if !c.note {
		c.res = r.deliverable(c.res, &h.to.cfg.Causes)
	}
	if !c.res.success() || c.note {
		closeObjects(r.Reply.Objects)
		r.Reply.Objects = nil
	}
	h.mu.Lock()
	h.running--
	if h.running == 0 && h.idle != nil {
		close(h.idle)
		h.idle = nil
	}
	more := len(h.queue) > 0
	switch {
	case c.note:
		slotNoteDone(&c.state, c.gen)
		h.releaseLocked(c)
		h.mu.Unlock()
		r.recycle()
	case h.dead == nil && slotComplete(&c.state, c.gen):
		c.signal()
		h.mu.Unlock()
	default: // abandoned, or the lane has ended
		dead := h.dead != nil
		c.req = nil
		h.mu.Unlock()
		r.runUndo()
		if !dead { // else the caller may still look at c
			h.mu.Lock()
			slotSettle(&c.state, c.gen)
			h.releaseLocked(c)
			h.mu.Unlock()
		}
		r.recycle()
	}
	if more {
		h.start()
	}
}

func (h *localHalf) handle(handler Handler, o ServeOptions) {
	h.mu.Lock()
	h.handler, h.opts = handler, o
	h.mu.Unlock()
	h.start()
}

func (h *localHalf) receive(ctx context.Context) (*Request, error) {
	for {
		h.mu.Lock()
		if r := h.takeLocked(); r != nil {
			h.mu.Unlock()
			return r, nil
		}
		if h.closing != nil {
			defer h.mu.Unlock()
			if err := h.to.Err(); err != nil {
				return nil, err
			}
			return nil, h.closing
		}
		wake := make(chan struct{})
		h.recv = append(h.recv, wake)
		h.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			h.mu.Lock()
			if i := slices.Index(h.recv, wake); i >= 0 {
				h.recv = slices.Delete(h.recv, i, i+1)
				h.mu.Unlock()
			} else {
				h.mu.Unlock()
				h.start() // the wake-up goes to the next
			}
			return nil, context.Cause(ctx)
		}
	}
}
