package lane

import (
	"context"
	"errors"
)

// cancels passes on the causes of requests whose cancel word changed. mu is held
// so that the context is still this request's.
func (s *server) cancels() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active == nil {
		return
	}
	eachBit(s.m, ctlCancels, s.r.lay.slots, func(i int) {
		if r := s.active[i]; r != nil {
			if code := slotCancelled(word(s.m, s.field(i, slotCause)), r.slot.gen); code != codeNone {
				r.own.cancel(s.r.lane.cfg.Causes.err(code))
			}
		}
	})
}

// complete gives the request's outcome to the requester, or takes its effects
// back when nobody is there to have it.
func (s *server) complete(r *Request, err error) {
	c := r.slot
	state := word(s.m, s.field(c.i, slotState))
	closeObjects(r.Objects) // before the caller knows
	delivered := false
	if !c.note && !s.r.dead.Load() {
		delivered = s.reply(r, r.resultOf(err, &s.r.lane.cfg.Causes))
	}
	s.r.lane.cfg.step("complete")
	s.mu.Lock()
	s.active[c.i] = nil // before the slot can come round again
	s.running.Add(-1)
	s.held -= r.budget
	s.mu.Unlock()

	s.r.lane.cfg.step("deliver")
	switch {
	case c.note:
		slotNoteDone(state, c.gen)
		closeObjects(r.Reply.Objects)
	case delivered && slotComplete(state, c.gen):
	default:
		r.runUndo()
		slotSettle(state, c.gen)
	}
	s.finished(c.i)
	s.ended()
	ring := s.r
	r.recycle()
	ring.leave()
}

// ended counts a request whose outcome the requester can see. Only then may a
// shutdown close the lane: earlier, what was done would seem in doubt.
func (s *server) ended() {
	if s.open.Add(-1) > 0 || !s.draining.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle != nil && s.open.Load() == 0 {
		close(s.idle)
		s.idle = nil
	}
}

// completeAside completes a request on a goroutine of its own: sending objects may
// have to wait for the peer, and who runs an inline handler must not.
func (s *server) completeAside(r *Request, err error) {
	ring := s.r
	if !ring.enter() {
		return // cannot be: the request holds the ring
	}
	defer ring.leave()
	s.complete(r, err)
	if s.posted() { // left there for want of a handler
		hubAgain(ring)
	}
}

// reply writes the outcome into the slot and sends its objects ahead of it. What
// cannot be sent becomes a failure that says so, since somebody waits for it; only
// when the lane has ended is there nobody.
func (s *server) reply(r *Request, res result) bool {
	c := &r.slot
	data, bulk, objects := r.Reply.Data, r.Reply.Bulk, 0
	undelivered := len(data) > c.part[2].n || len(bulk) > c.part[3].n || len(r.Reply.Objects) > MaxObjects
	if undelivered {
		res = tooBig
	} else if !res.success() {
		closeObjects(r.Reply.Objects)
	} else if len(r.Reply.Objects) > 0 {
		var err error
		if objects, err = s.sendObjects(c, r.Reply.Objects); err != nil {
			if s.r.dead.Load() || errors.Is(err, ErrPeerDied) { // which is noted a little later
				return false
			}
			res, undelivered = r.resultOf(unsendable(err), &s.r.lane.cfg.Causes), true
		}
	}
	if undelivered {
		data, bulk = nil, nil
	}
	if res.status == statusText {
		data, bulk = []byte(res.text), nil
		data = data[:min(len(data), c.part[2].n)]
	}
	copy(s.bytes(c.part[2]), data)
	if room := s.bytes(c.part[3]); len(bulk) > 0 && &room[0] != &bulk[0] {
		copy(room, bulk)
	}
	word(s.m, s.field(c.i, slotStatus)).Store(pack(res.status, res.value))
	word(s.m, s.field(c.i, slotRepLens)).Store(pack(uint32(len(data)), uint32(len(bulk))))
	word(s.m, s.field(c.i, slotRepObjs)).Store(uint64(objects))
	if undelivered {
		r.runUndo()
	}
	return true
}

// sendObjects sends a reply's objects and says how many went: all or none.
func (s *server) sendObjects(c *slotCopy, list []Object) (int, error) {
	out, err := exportAll(list)
	if err == nil {
		err = s.r.sendObjects(context.Background(), fdKey{reply: true, slot: uint16(c.i), gen: c.gen}, out)
	}
	if err != nil {
		return 0, err
	}
	return len(out), nil
}
