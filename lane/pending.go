package lane

import "time"

// Operation is a pending request or note, as Lane.Pending lists it.
type Operation struct {
	ID     uint64 // unique among the lane's requests in its direction
	Op     uint32 // Message.Op
	Served bool   // this end answers it; else it asked
	Lane   string // Config.Name
	Peer   Credentials
	Age    time.Duration
	State  OperationState
	Cause  error // why it is being cancelled, nil if it is not
}

// OperationState is how far a pending operation has come.
type OperationState string

// The states. A withdrawn or abandoned operation has returned to its caller; its
// slot waits for the server.
const (
	StateQueued    OperationState = "queued"    // waits for room in the lane
	StatePosted    OperationState = "posted"    // the server has not started it
	StateStarted   OperationState = "started"   // the server works on it
	StateWithdrawn OperationState = "withdrawn" // cancelled before its start
	StateAbandoned OperationState = "abandoned" // the server ignored a cancel
	StateDone      OperationState = "done"      // the answer is about to be taken
)

func stateName(low uint8) OperationState {
	switch low {
	case slotClaimed:
		return StateStarted
	case slotWithdrawn:
		return StateWithdrawn
	case slotAbandoned:
		return StateAbandoned
	case slotDone, slotSettled:
		return StateDone
	}
	return StatePosted
}

// Pending lists the operations under way, in both directions.
func (l *Lane) Pending() []Operation {
	var list []Operation
	if r := l.ring.Load(); r != nil {
		if !r.enter() {
			return nil
		}
		defer r.leave()
		list = r.in.pending(r.out.pending(nil))
	} else if e := l.local.Load(); e != nil {
		list = e.in.pending(e.out.pending(nil, false), true)
	}
	peer, _ := l.Peer()
	for i := range list {
		list[i].Lane, list[i].Peer = l.cfg.Name, peer
	}
	return list
}

func (c *caller) pending(list []Operation) []Operation {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.slots {
		s := &c.slots[i]
		if !s.busy {
			continue
		}
		low := wordLow(c.state(i).Load())
		o := Operation{ID: ringEntry(i, s.gen), Op: s.op.Load(), Age: time.Since(s.started), State: stateName(low)}
		if low == slotFree {
			o.State = StateQueued
		}
		if code := uint8(s.cause.Load()); code != codeNone {
			o.Cause = c.r.lane.cfg.Causes.err(code)
		}
		list = append(list, o)
	}
	for range c.waiters {
		list = append(list, Operation{State: StateQueued})
	}
	return list
}

func (s *server) pending(list []Operation) []Operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range s.active {
		if r != nil {
			list = append(list, Operation{ID: ringEntry(i, r.slot.gen), Op: r.op, Served: true,
				Age: time.Since(r.started), State: stateName(wordLow(word(s.m, s.field(i, slotState)).Load())), Cause: r.ctx.Err()})
		}
	}
	return list
}

func (h *localHalf) pending(list []Operation, served bool) []Operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, c := range h.calls {
		if c == nil {
			continue
		}
		low := wordLow(c.state.Load())
		o := Operation{ID: ringEntry(i, c.gen), Op: c.op, Served: served, Age: time.Since(c.start), State: stateName(low)}
		if c.req != nil && c.req.ctx == c.req.own {
			o.Cause = c.req.own.Err()
		}
		if served && low == slotPosted {
			continue
		}
		list = append(list, o)
	}
	if !served {
		for range h.waiters {
			list = append(list, Operation{State: StateQueued})
		}
	}
	return list
}
