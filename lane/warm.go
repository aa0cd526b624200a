package lane

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// Lanes in use are warm: two threads wait for all of them with futexes, which
// cost half of what a bell through a socket and the runtime's poller costs (see
// docs/lanes.md for the figures). There are at most warmMax of them; the others
// are cold and cost no thread. Before a thread sleeps it looks on for a short
// while, if that has paid lately, so that a busy lane needs no bells at all.
//
// The first thread, the leader, runs a single request where it stands, without
// waking another for it: it has the bells sent to the second, the follower,
// meanwhile. So a handler may block; nothing waits for it.

const (
	warmMax  = 16
	warmHeat = 3   // bells through the socket after which a lane becomes warm
	warmRest = 512 // how often others had something to do before one makes room

	spinTime  = 10 * time.Microsecond
	spinProbe = 64 // every so often a spin is tried although it did not pay
	spinGood  = 4

	crowdPenalty = 16

	spinYields = 3 // looks without finding anything before a busy leader sleeps
)

// warmSet is the threads' list. mu is hub.mu.
type warmSet struct {
	lanes              []*ring
	word               *uint32 // tells the threads that the list has changed
	leading, following bool    // which threads run
	clock              atomic.Uint64
	spin               spinner
	// The leader's own: how many requests it shall not run itself, and how many
	// it shall not the next time.
	crowded, penalty int
}

// spinner decides by what happened lately whether spinning pays.
type spinner struct {
	score atomic.Int32
	tries atomic.Uint32
}

var multicore = runtime.NumCPU() > 1

func (p *spinner) worth() bool {
	return multicore && (p.score.Load() >= 0 || p.tries.Add(1)%spinProbe == 0)
}

func (p *spinner) result(hit bool) {
	s := p.score.Load()
	if hit {
		if s < spinGood {
			p.score.Store(min(s+2, spinGood))
		}
	} else if s > -spinGood {
		p.score.Store(s - 1)
	}
}

// until looks for the wanted word for a short while.
func (p *spinner) until(state *atomic.Uint64, want uint64) bool {
	if state.Load() == want {
		return true
	}
	if !p.worth() {
		return false
	}
	hit := spinFor(func() bool { return state.Load() == want })
	p.result(hit)
	return hit
}

// spinFor calls f until it is true or spinTime is over. It keeps its processor:
// to yield would wake another thread to look for work.
func spinFor(f func() bool) bool {
	start := time.Now()
	for {
		for range 4 {
			if f() {
				return true
			}
			pause(8)
		}
		if time.Since(start) > spinTime {
			return false
		}
	}
}

// warm moves r to the warm lanes; the one that has been silent longest makes
// room. It is called by the hub after a bell.
func (h *hub) warm(r *ring) {
	if noWaitv.Load() || r.warm.Load() {
		return
	}
	if r.heat.Add(1) < warmHeat {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &h.warmSet
	if r.warm.Load() || r.dead.Load() || !r.enter() {
		return
	}
	if len(w.lanes) >= warmMax {
		oldest := 0
		for i, o := range w.lanes {
			if o.used.Load() < w.lanes[oldest].used.Load() {
				oldest = i
			}
		}
		// When more lanes are in use than can be warm, changing places all the time
		// would cost more than it gains.
		if w.clock.Load()-w.lanes[oldest].used.Load() < warmRest {
			r.heat.Store(0)
			r.leave()
			return
		}
		h.coolLocked(oldest)
	}
	r.warm.Store(true)
	r.bellMode(r.side).Store(bellFollower) // the leader may be at work
	r.used.Store(w.clock.Load())
	w.lanes = append(w.lanes, r)
	if w.word == nil {
		w.word = new(uint32)
	}
	w.changed()
	if !w.leading {
		w.leading = true
		go h.lead()
	}
	if !w.following {
		w.following = true
		go h.follow()
	}
}

func (w *warmSet) changed() {
	atomic.AddUint32(w.word, 1)
	futexWakePrivate(w.word)
}

// coolLocked returns a lane to the socket's bell.
func (h *hub) coolLocked(i int) {
	w := &h.warmSet
	r := w.lanes[i]
	w.lanes[i] = w.lanes[len(w.lanes)-1]
	w.lanes = w.lanes[:len(w.lanes)-1]
	r.warm.Store(false)
	r.heat.Store(0)
	r.bellMode(r.side).Store(bellSocket)
	// A futex bell that came too late is made up for by looking once more.
	h.again = append(h.again, r)
	h.wakeLocked()
	w.changed()
	r.leave()
}

// cool forgets a lane that has ended.
func (h *hub) cool(r *ring) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, o := range h.warmSet.lanes {
		if o == r {
			h.coolLocked(i)
			return
		}
	}
}

// members refills lanes with the warm lanes, entered, and returns the count of
// changes at that moment. ok is false when there are none: the thread ends.
func (h *hub) members(lanes []*ring, running *bool) (_ []*ring, change uint32, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range lanes {
		r.leave()
	}
	lanes = lanes[:0]
	if len(h.warmSet.lanes) == 0 {
		*running = false
		return nil, 0, false
	}
	for _, r := range h.warmSet.lanes {
		if r.enter() {
			lanes = append(lanes, r)
		}
	}
	return lanes, atomic.LoadUint32(h.word), true
}

// lead serves the warm lanes until there are none.
func (h *hub) lead() {
	var lanes []*ring
	var list []futexWaiter
	for {
		var change uint32
		var ok bool
		if lanes, change, ok = h.members(lanes, &h.leading); !ok {
			return
		}
		quiet := 0
		for atomic.LoadUint32(h.word) == change {
			progress, held := h.pollAll(lanes, true)
			if busy(lanes) {
				// Many are at work: let them run and come back, rather than have each
				// of them ring.
				if held != nil {
					go held.ring.serveAll(held)
				}
				if quiet++; progress {
					quiet = 0
				}
				if quiet < spinYields {
					runtime.Gosched()
					continue
				}
				held = nil
			}
			if progress && held == nil {
				h.look(lanes)
				continue
			}
			mode := uint64(bellLeader)
			if held != nil && h.crowded == 0 {
				mode = bellFollower
			}
			// The count of bells is read, and their way decided, before the last look.
			list = h.waiters(list, lanes, bellLeader, change)
			more := false
			for _, r := range lanes {
				r.bellsTo(mode)
				more = r.arm() || more
			}
			switch {
			case held != nil && (more || h.crowded > 0):
				go held.ring.serveAll(held)
				h.crowded = max(0, h.crowded-1)
			case held != nil:
				if held.ring.serve(held, held.handler, lanes) {
					h.penalty = min(2*h.penalty+crowdPenalty, 64*crowdPenalty)
					h.crowded = h.penalty
				} else {
					h.penalty /= 2
				}
				h.look(lanes)
			case !more:
				for _, r := range lanes {
					r.blocked = r.in.running.Load()
				}
				h.sleep(list)
				quiet = 0
			}
		}
	}
}

// look waits for more work for a short while, if that has paid lately.
func (h *hub) look(lanes []*ring) {
	if h.spin.worth() {
		h.spin.result(spinFor(func() bool { return anyWork(lanes) }))
	}
}

// busy reports whether several requests came since the leader last slept and are
// not done, or several callers wait for theirs.
func busy(lanes []*ring) bool {
	running, crowd := int32(0), int32(0)
	for _, r := range lanes {
		running += max(0, r.in.running.Load()-r.blocked)
		crowd += r.out.crowd.Load()
	}
	return running >= 2 || crowd >= 2
}

// bellsTo turns a warm lane's bells to the leader or the follower. One that has
// been cooled meanwhile keeps its bells in the socket.
func (r *ring) bellsTo(mode uint64) {
	if w := r.bellMode(r.side); w.Load() != mode {
		w.CompareAndSwap(bellLeader+bellFollower-mode, mode)
	}
}

// follow serves the warm lanes while the leader runs a handler.
func (h *hub) follow() {
	var lanes []*ring
	var list []futexWaiter
	for {
		var change uint32
		var ok bool
		if lanes, change, ok = h.members(lanes, &h.following); !ok {
			return
		}
		for atomic.LoadUint32(h.word) == change {
			list = h.waiters(list, lanes, bellFollower, change)
			progress, _ := h.pollAll(lanes, false)
			for _, r := range lanes {
				progress = r.arm() || progress
			}
			if !progress {
				h.sleep(list)
			}
		}
	}
}

// pollAll looks at every lane. With hold, the last request taken is returned.
func (h *hub) pollAll(lanes []*ring, hold bool) (progress bool, held *Request) {
	for _, r := range lanes {
		did, one := r.poll(hold)
		if did {
			r.used.Store(h.clock.Add(1))
			progress = true
		}
		if one != nil {
			if held != nil {
				go held.ring.serveAll(held)
			}
			held = one
		}
	}
	return progress, held
}

// waiters makes the list of futexes to wait for.
func (h *hub) waiters(list []futexWaiter, lanes []*ring, mode int, change uint32) []futexWaiter {
	list = append(list[:0], futexWaiter{val: uint64(change), addr: futexAddrPrivate(h.word), flags: futex2SizeU32 | futex2Private})
	for _, r := range lanes {
		off := r.bellSeq(r.side, mode)
		list = append(list, futexWaiter{val: uint64(word32(r.shm, off).Load()), addr: futexAddr(r.shm, off), flags: futex2SizeU32})
	}
	return list
}

func (h *hub) sleep(list []futexWaiter) {
	if err := futexWaitv(list, 0); err == syscall.ENOSYS {
		noWaitv.Store(true)
		h.coolAll()
	}
}

func (h *hub) coolAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.warmSet.lanes) > 0 {
		h.coolLocked(0)
	}
}

func anyWork(lanes []*ring) bool {
	for _, r := range lanes {
		if r.in.waiting() || r.out.interest.Load() > 0 && anyBit(r.out.m, ctlDones, r.lay.slots) {
			return true
		}
	}
	return false
}
