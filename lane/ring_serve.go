package lane

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// server is the answering side of a half.
type server struct {
	r *ring
	m []byte // the half's memory

	mu      sync.Mutex    // all that follows
	head    atomic.Uint64 // entries taken; changed with mu
	active  []*Request    // by slot; made with the first request
	running atomic.Int32  // handlers under way, or requests out with Recv
	open    atomic.Int32  // the same, until the requester can see the outcome
	held    int           // bytes of requests under way
	handler Handler
	opts    ServeOptions
	recv    []chan struct{} // Recv calls that wait
	closing error           // no more requests are started

	notes []*Request // notes under way, in order; the first is being handled

	draining atomic.Bool   // shutdown waits
	idle     chan struct{} // for this, closed when nothing is open
}

// slotCopy is a request's slot, read once.
type slotCopy struct {
	i        int
	gen      uint64
	deadline int64
	op       uint32
	note     bool
	objects  int
	part     [4]span // request data, request bulk, room for data, room for bulk
}

func (s *server) init(r *ring, half []byte) {
	s.r, s.m = r, half
	word(half, ctlSleep).Store(1)
}

func (s *server) field(i, f int) int { return s.r.lay.slot + i*slotSize + f }

// work handles cancels first, then starts what was posted; it reports whether
// there was anything. It never blocks. With hold it may leave the last request
// to the caller, to be run where it is.
func (s *server) work(hold bool) (progress bool, held *Request) {
	if w := word(s.m, ctlSleep); w.Load() != 0 {
		w.Store(0) // no bells while somebody looks
	}
	cancels := anyBit(s.m, ctlCancels, s.r.lay.slots)
	if cancels {
		s.cancels()
	}
	if s.posted() {
		progress, held = s.start(hold)
	}
	return progress || cancels, held
}

// posted reports whether something was posted and not taken.
func (s *server) posted() bool { return word(s.m, ctlTail).Load() != s.head.Load() }

// waiting reports whether there is something for work.
func (s *server) waiting() bool {
	return s.posted() || anyBit(s.m, ctlCancels, s.r.lay.slots)
}

// arm asks for a bell on work and reports whether there is some already.
func (s *server) arm() bool {
	word(s.m, ctlSleep).Store(1)
	if anyBit(s.m, ctlCancels, s.r.lay.slots) {
		return true
	}
	if !s.posted() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readyLocked() && (s.handler != nil || len(s.recv) > 0)
}

func (s *server) readyLocked() bool {
	return s.closing == nil && !s.r.dead.Load() && int(s.running.Load()) < s.limitLocked()
}

func (s *server) limitLocked() int {
	if s.opts.Concurrency > 0 {
		return min(s.opts.Concurrency, s.r.lay.slots)
	}
	return s.r.lay.slots
}

// start hands posted requests on, in order, and reports whether there were any.
func (s *server) start(hold bool) (progress bool, held *Request) {
	for range s.r.lay.slots {
		s.mu.Lock()
		h, inline := s.handler, s.opts.Inline
		if h == nil {
			progress = s.wakeRecvLocked()
			s.mu.Unlock()
			return progress, nil
		}
		r := s.takeLocked()
		note := r != nil && r.IsNote && !inline
		if note { // under mu, or two of us could change their order
			if s.notes = append(s.notes, r); len(s.notes) == 1 {
				go s.serveNotes(h)
			}
		}
		s.mu.Unlock()
		if r == nil {
			return progress, held
		}
		progress = true
		switch {
		case note:
		case inline:
			s.serve(r, h, nil)
		case hold:
			if held != nil {
				go s.serveAll(held)
			}
			held = r
		default:
			go s.serveAll(r)
		}
	}
	return progress, held
}

func (s *server) wakeRecvLocked() bool {
	if len(s.recv) > 0 && s.readyLocked() && s.posted() {
		close(s.recv[0])
		s.recv = s.recv[1:]
		return true
	}
	return false
}

// serve runs one request. The leader, who serves lanes, looks for the next one
// itself: no bell is wanted from the moment when the caller may ask again; and it
// is told whether others were posted meanwhile.
func (s *server) serve(r *Request, h Handler, lanes []*ring) (others bool) {
	err := s.load(r)
	if err == nil {
		err = r.ctx.Err() // cancelled before it was begun
	}
	if err == nil {
		ended := false
		defer func() {
			if !ended { // runtime.Goexit, which takes this goroutine
				s.complete(r, errGoexit)
			}
		}()
		err = r.run(h)
		ended = true
	}
	if lanes != nil {
		word(s.m, ctlSleep).Store(0)
		others = anyWork(lanes)
	}
	if len(r.Reply.Objects) > 0 && r.opts.Inline {
		go s.completeAside(r, err)
	} else {
		s.complete(r, err)
	}
	return others
}

// serveAll runs a request, and then what was left in the ring for want of
// somebody to run it.
func (s *server) serveAll(r *Request) {
	ring := s.r
	if !ring.enter() {
		return
	}
	defer ring.leave()
	for r != nil {
		s.serve(r, r.handler, nil)
		if !s.posted() {
			return
		}
		_, r = s.start(true)
	}
}

// serveNotes handles notes one after the other.
func (s *server) serveNotes(h Handler) {
	if !s.r.enter() {
		return // cannot be: the first note holds the ring
	}
	defer s.r.leave()
	s.mu.Lock()
	for len(s.notes) > 0 {
		r := s.notes[0]
		s.mu.Unlock()
		s.serve(r, h, nil)
		s.mu.Lock()
		s.notes = s.notes[1:]
	}
	s.notes = nil
	s.mu.Unlock()
	if s.posted() { // left there for want of a handler
		s.start(false)
	}
}

// takeLocked claims the next request that was not withdrawn; nil when there is
// none, or when no more may be started.
func (s *server) takeLocked() *Request {
	for s.readyLocked() {
		head, tail := s.head.Load(), word(s.m, ctlTail).Load()
		if tail == head {
			return nil
		}
		if tail-head > uint64(s.r.lay.slots) {
			s.broken()
			return nil
		}
		e := word(s.m, s.r.lay.ring+int(head%uint64(s.r.lay.slots))*8).Load()
		s.head.Store(head + 1)
		i, gen := int(e&0xffff), e>>16
		if i >= s.r.lay.slots {
			s.broken()
			return nil
		}
		if s.active == nil {
			s.active = make([]*Request, s.r.lay.slots)
		}
		state := word(s.m, s.field(i, slotState))
		if !slotClaim(state, gen) {
			_, flags := unpack(word(s.m, s.field(i, slotOp)).Load()) // while the slot is still this request's
			if !slotSettle(state, gen) {
				s.broken()
				return nil
			}
			s.settledUnstarted(i, gen, flags>>16 != 0)
			continue
		}
		if s.active[i] != nil {
			s.broken()
			return nil
		}
		c, ok := s.copySlot(i, gen)
		if !ok || !s.r.enter() {
			s.broken()
			return nil
		}
		return s.requestLocked(c)
	}
	return nil
}

// broken ends the lane; it is called with mu held, which fail takes.
func (s *server) broken() { go s.r.fail(ErrProtocol) }

// settledUnstarted closes what was sent ahead with a withdrawn request.
func (s *server) settledUnstarted(i int, gen uint64, objects bool) {
	if objects {
		go func() {
			if s.r.enter() {
				s.r.dropObjects(fdKey{slot: uint16(i), gen: gen})
				s.r.leave()
			}
		}()
	}
	s.finished(i)
}

// finished tells the requester that slot i is DONE or SETTLED.
func (s *server) finished(i int) {
	if word32(s.m, s.field(i, slotWait)).Load() != 0 {
		futexWake(s.m, s.field(i, slotState)) // it waits for this very slot
		return
	}
	setBit(s.m, ctlDones, i)
	if w := word(s.m, ctlWant); w.Load() != 0 && w.Swap(0) != 0 {
		s.r.bell()
	}
}

// copySlot reads a claimed slot once and checks the copy.
func (s *server) copySlot(i int, gen uint64) (slotCopy, bool) {
	c := slotCopy{i: i, gen: gen}
	c.deadline = int64(word(s.m, s.field(i, slotTime)).Load())
	op, hi := unpack(word(s.m, s.field(i, slotOp)).Load())
	c.op, c.note, c.objects = op, hi&flagNote != 0, int(hi>>16)
	if hi&0xffff&^flagNote != 0 || c.objects > MaxObjects || c.deadline < 0 {
		return c, false
	}
	for k := range c.part {
		off, n := unpack(word(s.m, s.field(i, slotReq+8*k)).Load())
		if !inBounds(off, n, s.r.lay.dataLen) {
			return c, false
		}
		c.part[k] = span{int(off), int(n)}
	}
	return c, true
}

// requestLocked makes a Request of a checked slot. The bytes it holds at a time
// are bounded by what an honest requester has room for.
func (s *server) requestLocked(c slotCopy) *Request {
	r := newRequest(s.r.lane, c.deadline)
	r.ring, r.slot, r.IsNote, r.Op, r.op = s, c, c.note, c.op, c.op
	r.handler, r.opts = s.handler, s.opts
	s.active[c.i] = r
	s.running.Add(1)
	s.open.Add(1)
	r.budget = c.part[0].n + c.part[1].n
	s.held += r.budget
	if s.held > s.r.lay.dataLen {
		s.broken()
		s.closing = ErrProtocol
	}
	if code := slotCancelled(word(s.m, s.field(c.i, slotCause)), c.gen); code != codeNone {
		r.own.cancel(s.r.lane.cfg.Causes.err(code))
	}
	return r
}

// load copies the request out of shared memory; it runs outside of mu.
func (s *server) load(r *Request) error {
	c := &r.slot
	r.Data = append(r.dataBuf[:0], s.bytes(c.part[0])...)
	r.dataBuf = r.Data
	r.Reply.Data = r.replyBuf[:0]
	r.room = s.bytes(c.part[3])
	if r.room == nil {
		r.room = []byte{}
	}
	if c.part[1].n > 0 {
		if r.opts.SharedBulk {
			r.Bulk = s.bytes(c.part[1])
		} else {
			r.bulkBuf = getBuffer(c.part[1].n)
			r.Bulk = r.bulkBuf[:copy(r.bulkBuf, s.bytes(c.part[1]))]
		}
	}
	if c.objects > 0 {
		var err error
		r.Objects, err = s.r.takeObjects(fdKey{slot: uint16(c.i), gen: c.gen}, c.objects)
		return err
	}
	return nil
}

func (s *server) bytes(p span) []byte {
	return s.m[s.r.lay.data+p.off : s.r.lay.data+p.off+p.n : s.r.lay.data+p.off+p.n]
}

// died cancels everything under way; nothing more is started.
func (s *server) died(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeLocked(why)
}

func (s *server) closeLocked(why error) {
	if s.closing == nil {
		s.closing = why
	}
	for _, r := range s.active {
		if r != nil {
			r.own.cancel(why)
		}
	}
	for _, ch := range s.recv {
		close(ch)
	}
	s.recv = nil
}

// shutdown cancels everything under way and waits until it has ended.
func (s *server) shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.mu.Lock()
	s.closeLocked(s.r.lane.cfg.Causes.err(codeShutdown))
	if s.open.Load() == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// handle attaches a handler and starts what has been waiting.
func (s *server) handle(h Handler, o ServeOptions) {
	s.mu.Lock()
	s.handler, s.opts = h, o
	s.mu.Unlock()
	hubAgain(s.r) // the hub alone runs inline handlers, so that they keep the order
}

// receive is Lane.Recv over a ring.
func (s *server) receive(ctx context.Context) (*Request, error) {
	if !s.r.enter() {
		return nil, s.r.err
	}
	defer s.r.leave()
	for {
		s.mu.Lock()
		r := s.takeLocked()
		if r != nil {
			s.wakeRecvLocked()
			s.mu.Unlock()
			if err := s.load(r); err != nil {
				s.complete(r, err)
				continue
			}
			return r, nil
		}
		if s.closing != nil {
			s.mu.Unlock()
			if s.r.dead.Load() {
				return nil, s.r.err
			}
			return nil, s.closing
		}
		wake := make(chan struct{})
		s.recv = append(s.recv, wake)
		s.mu.Unlock()
		s.r.ready(0) // look once more, now that somebody waits
		select {
		case <-wake:
		case <-ctx.Done():
			s.forget(wake)
			return nil, context.Cause(ctx)
		}
	}
}

// forget undoes a wait; a wake-up that came meanwhile goes to the next.
func (s *server) forget(wake chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.recv, wake); i >= 0 {
		s.recv = slices.Delete(s.recv, i, i+1)
		return
	}
	s.wakeRecvLocked()
}
