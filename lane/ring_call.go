package lane

import (
	"context"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// caller is the requester's side of a half.
type caller struct {
	r *ring
	m []byte // the half's memory

	mu      sync.Mutex // what follows, to post
	slots   []callSlot // made with the first call
	freed   []uint16   // a stack: few slots in use touch few pages
	arena   arena
	waiters []*roomWaiter

	post sync.Mutex
	tail uint64

	asked atomic.Bool // there has been a call; until then the half's memory is not touched

	interest atomic.Int32 // who wants a bell on completion
	crowd    atomic.Int32 // how many were woken at a time lately
	spin     spinner
}

// callSlot is what the requester itself knows of a slot; nothing in it can be
// changed by the other end. gen changes only while nobody owns the slot.
type callSlot struct {
	gen    uint64
	wake   chan struct{}
	busy   bool
	orphan bool // withdrawn, abandoned or a note: released when settled
	late   bool // abandoned: its late objects must be closed
	off, n int  // its part of the arena

	room    [4]span // where its data lies
	op      atomic.Uint32
	started time.Time
	cause   atomic.Uint32
	nudge   uint32 // a futex: ends a direct wait
}

// span is a part of a half's data area.
type span struct{ off, n int }

// roomWaiter is a call that waits for a slot or for arena space, in order.
type roomWaiter struct {
	need int
	slot int
	err  error
	done chan struct{}
}

func (c *caller) init(r *ring, half []byte) { c.r, c.m = r, half }

func (c *caller) setupLocked() {
	c.slots = make([]callSlot, c.r.lay.slots)
	c.freed = make([]uint16, c.r.lay.slots)
	for i := range c.freed {
		c.freed[i] = uint16(c.r.lay.slots - 1 - i)
		c.slots[i].gen = 1
	}
	c.arena = newArena(c.r.lay.slots*slotRoom, c.r.lay.arena)
	c.asked.Store(true)
}

func (c *caller) state(i int) *atomic.Uint64 {
	return word(c.m, c.r.lay.slot+i*slotSize+slotState)
}

func (c *caller) field(i, f int) *atomic.Uint64 { return word(c.m, c.r.lay.slot+i*slotSize+f) }

func (c *caller) bytes(s span) []byte {
	return c.m[c.r.lay.data+s.off : c.r.lay.data+s.off+s.n : c.r.lay.data+s.off+s.n]
}

// call is Lane.Call over a ring.
func (c *caller) call(ctx context.Context, req, rep *Message) error {
	i, err := c.send(ctx, req, rep, 0)
	if err != nil {
		return err
	}
	defer c.r.leave()
	return c.wait(ctx, i, rep)
}

// note is Lane.Note over a ring.
func (c *caller) note(ctx context.Context, m *Message) error {
	_, err := c.send(ctx, m, nil, flagNote)
	if err == nil {
		c.r.leave()
	}
	return err
}

// send posts req and returns its slot, with the ring entered. On failure nothing
// was sent, and the outcome is cancelled.
func (c *caller) send(ctx context.Context, req, rep *Message, flags uint32) (slot int, err error) {
	objects := req.Objects
	req.Objects = nil
	if c.r.dead.Load() || !c.r.enter() {
		closeObjects(objects)
		return 0, c.r.err
	}
	defer func() {
		if err != nil {
			closeObjects(objects)
			c.r.leave()
		}
	}()
	c.r.lane.cfg.step("begin")
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	room := [4]int{len(req.Data), len(req.Bulk), InlineData, 0}
	if rep != nil {
		room[2], room[3] = max(InlineData, cap(rep.Data)), len(rep.Bulk)
	}
	i, err := c.acquire(ctx, &room)
	if err != nil {
		return 0, err
	}
	s := &c.slots[i]
	s.op.Store(req.Op)
	copy(c.bytes(s.room[0]), req.Data)
	copy(c.bytes(s.room[1]), req.Bulk)
	n := 0
	if len(objects) > 0 {
		list, err := exportAll(objects)
		n = len(list)
		if err == nil {
			err = c.r.sendObjects(ctx, fdKey{slot: uint16(i), gen: s.gen}, list)
		}
		if err != nil {
			c.mu.Lock()
			c.releaseLocked(i)
			c.mu.Unlock()
			return 0, &notSent{err}
		}
	}
	for f := range s.room {
		c.field(i, slotReq+8*f).Store(pack(uint32(s.room[f].off), uint32(s.room[f].n)))
	}
	c.field(i, slotTime).Store(uint64(deadlineOf(ctx)))
	c.field(i, slotOp).Store(pack(req.Op, flags|uint32(n)<<16))
	c.mu.Lock()
	s.orphan = flags&flagNote != 0
	gen := s.gen // a note may be settled, and its slot reused, any time from now
	c.mu.Unlock()
	c.r.lane.cfg.step("post")
	c.publish(i, gen)
	return i, nil
}

// publish appends the slot to the ring: from here on the server may claim it.
func (c *caller) publish(i int, gen uint64) {
	directPosts.Add(1)
	c.post.Lock()
	slotPost(c.state(i), gen)
	word(c.m, c.r.lay.ring+int(c.tail%uint64(c.r.lay.slots))*8).Store(ringEntry(i, gen))
	c.tail++
	word(c.m, ctlTail).Store(c.tail)
	c.post.Unlock()
	c.ringServer()
}

// ringEntry names a request in the ring: slot and generation.
func ringEntry(i int, gen uint64) uint64 { return gen<<16 | uint64(i) }

func (c *caller) ringServer() {
	if s := word(c.m, ctlSleep); s.Load() != 0 && s.Swap(0) != 0 {
		c.r.bell()
	}
}

// wait returns the outcome of the posted request in slot i and lets go of it.
func (c *caller) wait(ctx context.Context, i int, rep *Message) error {
	s := &c.slots[i]
	state := c.state(i)
	done := slotWord(s.gen, slotDone)
	if c.spin.until(state, done) {
		return c.take(i, rep, nil)
	}
	if ctx.Err() == nil {
		c.direct(ctx, i)
	}
	for {
		finished, err := c.finished(i, rep, nil)
		if finished {
			return err
		}
		c.r.lane.cfg.step("block")
		select {
		case <-s.wake:
			c.interest.Add(-1)
		case <-ctx.Done():
			c.interest.Add(-1)
			return c.cancel(ctx, i, rep)
		}
	}
}

// finished returns the outcome if there is one. If not, a completion will send
// to the slot's wake, and the interest counted here is the caller's to take back.
func (c *caller) finished(i int, rep *Message, cause error) (bool, error) {
	s := &c.slots[i]
	c.interest.Add(1)
	c.arm()
	switch w := c.state(i).Load(); {
	case w == slotWord(s.gen, slotDone):
		c.interest.Add(-1)
		return true, c.take(i, rep, cause)
	case w != slotWord(s.gen, slotPosted) && w != slotWord(s.gen, slotClaimed):
		c.interest.Add(-1)
		c.r.fail(ErrProtocol)
		return true, &DoubtError{ErrProtocol}
	}
	if c.r.dead.Load() {
		c.interest.Add(-1)
		return true, c.dead(i, rep, cause)
	}
	return false, nil
}

// arm asks for a bell on completion. Whoever calls it looks again afterwards.
func (c *caller) arm() {
	if w := word(c.m, ctlWant); w.Load() == 0 {
		w.Store(1)
	}
}

// dead decides what became of a request whose server is gone (C16).
func (c *caller) dead(i int, rep *Message, cause error) error {
	s := &c.slots[i]
	if slotWithdraw(c.state(i), s.gen) {
		return c.r.err
	}
	if c.state(i).Load() == slotWord(s.gen, slotDone) {
		return c.take(i, rep, cause)
	}
	return &DoubtError{c.r.err}
}

// cancel ends a wait whose ctx is done: the request is withdrawn if it was not
// started, else cancelled, else abandoned when no answer comes in time.
func (c *caller) cancel(ctx context.Context, i int, rep *Message) error {
	s := &c.slots[i]
	cause := context.Cause(ctx)
	code := c.r.lane.cfg.Causes.code(cause)
	c.r.lane.cfg.step("withdraw")
	if c.withdraw(i) {
		return cause
	}
	c.tell(i, code)
	if c.r.lane.cfg.patient(code) {
		timer := time.NewTimer(c.r.lane.cfg.Grace)
		defer timer.Stop()
		final, why := c.r.lane.cfg.final(ctx)
		for waiting := true; waiting; {
			finished, err := c.finished(i, rep, cause)
			if finished {
				return err
			}
			select {
			case <-s.wake:
			case <-timer.C:
				waiting = false
			case <-final:
				cause = why()
				c.tell(i, c.r.lane.cfg.Causes.code(cause))
				waiting = false
			}
			c.interest.Add(-1)
		}
	}
	c.r.lane.cfg.step("abandon")
	if c.abandon(i) {
		return &DoubtError{cause}
	}
	if finished, err := c.finished(i, rep, cause); finished {
		return err
	}
	c.interest.Add(-1)
	c.r.fail(ErrProtocol)
	return &DoubtError{ErrProtocol}
}

// tell stores the cause in the request's cancel word. It is there before the
// server looks, whenever that is.
func (c *caller) tell(i int, code uint8) {
	s := &c.slots[i]
	s.cause.Store(uint32(code))
	slotCancel(c.field(i, slotCause), s.gen, code)
	setBit(c.m, ctlCancels, i)
	c.ringServer()
}

// withdraw takes back a request that the server has not started.
func (c *caller) withdraw(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.slots[i]
	s.orphan = slotWithdraw(c.state(i), s.gen)
	return s.orphan
}

// abandon leaves a started request to the server. The slot, and the interest in
// a bell, stay taken until the server has settled it.
func (c *caller) abandon(i int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.slots[i]
	s.orphan = slotAbandon(c.state(i), s.gen)
	s.late = s.orphan
	if s.late {
		c.interest.Add(1)
		c.arm()
	}
	return s.orphan
}

// take copies the reply of a finished request out of shared memory and releases
// the slot.
func (c *caller) take(i int, rep *Message, cause error) error {
	s := &c.slots[i]
	status, value := unpack(c.field(i, slotStatus).Load())
	dataLen, bulkLen := unpack(c.field(i, slotRepLens).Load())
	objects := uint32(c.field(i, slotRepObjs).Load())
	if int(dataLen) > s.room[2].n || int(bulkLen) > s.room[3].n || objects > MaxObjects {
		c.r.fail(ErrProtocol)
		return &DoubtError{ErrProtocol}
	}
	res := result{status: status, value: value}
	if status == statusText {
		res.text = string(c.bytes(span{s.room[2].off, int(dataLen)}))
	} else if rep != nil {
		rep.Data = append(rep.Data[:0], c.bytes(span{s.room[2].off, int(dataLen)})...)
		rep.Bulk = rep.Bulk[:copy(rep.Bulk, c.bytes(span{s.room[3].off, int(bulkLen)}))]
	}
	var list []Object
	var err error
	if objects > 0 {
		list, err = c.r.takeObjects(fdKey{reply: true, slot: uint16(i), gen: s.gen}, int(objects))
	}
	hadDeadline := c.field(i, slotTime).Load() != 0
	c.release(i)
	if err != nil {
		return &DoubtError{err}
	}
	if rep != nil {
		rep.Objects = list
	} else {
		closeObjects(list)
	}
	return callError(res, cause, hadDeadline, &c.r.lane.cfg.Causes)
}

// eachBit calls f for every set bit of the bitmap at off and clears it. The bits
// are hints: whoever is called looks at the slot.
func eachBit(half []byte, off, slots int, f func(i int)) {
	for w := 0; w < slots/64; w++ {
		p := word(half, off+w*8)
		if p.Load() == 0 {
			continue
		}
		for b := p.Swap(0); b != 0; b &= b - 1 {
			f(w*64 + bits.TrailingZeros64(b))
		}
	}
}
