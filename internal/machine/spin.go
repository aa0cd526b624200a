package machine

import "sync/atomic"

// Each side looks at the slot for a while before it sleeps. The other side
// answers within some microseconds when it runs on another processor; waking it
// costs ten times that. When both share a processor, or the other has much to
// do, looking only keeps the other from running. Which it is, each side of each
// thread learns (patience).
const looks = 2000 // PAUSE instructions, each some ten nanoseconds

// patience says whether to look. After some looks in vain a side sleeps at
// once, and tries again ever more seldom. A look is never shortened: when both
// sides have come to sleep at once, only one that is long enough for the other
// to wake up and answer finds that they need not.
type patience struct {
	vain   uint8  // looks in vain, one after the other
	pause  uint16 // sleeps left before the next look
	period uint16 // the last pause
}

const (
	vainLooks = 3 // after as many a side stops looking
	minPause  = 8
	maxPause  = 1024
)

// turns returns how often to look this time: all of the looks or none.
func (p *patience) turns() uint32 {
	if p.vain == vainLooks && p.pause > 0 {
		p.pause--
		return 0
	}
	return looks
}

// learn takes in whether the answer came while the side was looking.
func (p *patience) learn(found bool) {
	switch {
	case found:
		*p = patience{}
	case p.vain < vainLooks-1:
		p.vain++
	default:
		p.vain = vainLooks
		p.period = min(max(2*p.period, minPause), maxPause)
		p.pause = p.period
	}
}

// exchange hands the slot over with an operation and waits until it comes back.
// It returns the state.
func (t *Thread) exchange(op uint32) uint32 {
	if st := t.arrive(); st != stateTrap {
		return st
	}
	var serverTurns, stubTurns uint32
	if runtimeCPU > 1 {
		serverTurns, stubTurns = t.server.turns(), t.stub.turns()
	}
	looked := t.looked
	t.looked = stubTurns > 0
	atomic.StoreUint32(&t.slot.spin, stubTurns)
	woken := t.slot.give(op)
	if looked {
		t.stub.learn(!woken)
	}
	st, slept := t.slot.awaitSlept(serverTurns)
	if serverTurns > 0 {
		t.server.learn(!slept)
	}
	return st
}

// arrive waits for a new thread's first stop. It returns the state.
func (t *Thread) arrive() uint32 {
	if !t.arriving {
		return stateTrap
	}
	t.arriving = false
	return t.slot.await(looks)
}

// Rest says that the answer to the trap will take long: the stub, if it still
// looks for it, goes to sleep. It is for the thread's owner.
func (t *Thread) Rest() {
	t.looked = false // it tells nothing about looking
	atomic.StoreUint32(&t.slot.spin, 0)
}
