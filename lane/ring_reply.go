package lane

import (
	"context"
	"syscall"
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
	if s.running.Load() == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
	s.mu.Unlock()

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
	ring := s.r
	r.recycle()
	ring.leave()
}

// reply writes the outcome into the slot and sends its objects ahead of it.
func (s *server) reply(r *Request, res result) bool {
	c := &r.slot
	data, bulk, objects := r.Reply.Data, r.Reply.Bulk, r.Reply.Objects
	fits := true
	if res.status == statusText {
		data, bulk = []byte(res.text), nil
		data = data[:min(len(data), c.part[2].n)]
	}
	if len(data) > c.part[2].n || len(bulk) > c.part[3].n || len(objects) > MaxObjects {
		res, data, bulk, fits = result{status: statusDone, value: uint32(syscall.EMSGSIZE)}, nil, nil, false
	}
	copy(s.bytes(c.part[2]), data)
	if room := s.bytes(c.part[3]); len(bulk) > 0 && &room[0] != &bulk[0] {
		copy(room, bulk)
	}
	n := 0
	if res.status != statusDone || res.value != 0 {
		closeObjects(objects)
	} else if len(objects) > 0 {
		list, err := exportAll(objects)
		n = len(list)
		if err == nil {
			err = s.r.sendObjects(context.Background(), fdKey{reply: true, slot: uint16(c.i), gen: c.gen}, list)
		}
		if err != nil {
			return false
		}
	}
	word(s.m, s.field(c.i, slotStatus)).Store(pack(res.status, res.value))
	word(s.m, s.field(c.i, slotRepLens)).Store(pack(uint32(len(data)), uint32(len(bulk))))
	word(s.m, s.field(c.i, slotRepObjs)).Store(uint64(n))
	if !fits {
		r.runUndo()
	}
	return true
}
