package lane

import (
	"context"
	"sync/atomic"
	"syscall"
	"time"
)

// A caller that expects its answer soon waits for its own slot with a futex: the
// server wakes it with nobody between. That costs a thread, so it is for a few
// callers at a time and for a short while; then they wait as the others do.
const (
	directMax  = 2
	directTime = time.Millisecond

	// After a wait that was too long, or during which others asked, that many
	// callers do not try it; twice as many the next time.
	directPenalty    = 16
	directPenaltyMax = 1024
)

var directWaiters atomic.Int32

// direct waits for the answer for a short while. It reports whether the state has
// moved on from posted and claimed; either way the caller looks again.
func (c *caller) direct(ctx context.Context, i int) bool {
	if noWaitv.Load() || c.directOff.Load() > 0 && c.directOff.Add(-1) >= 0 {
		return false
	}
	if directWaiters.Add(1) > directMax {
		directWaiters.Add(-1)
		return false
	}
	defer directWaiters.Add(-1)
	s := &c.slots[i]
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() {
			atomic.AddUint32(&s.nudge, 1)
			futexWakePrivate(&s.nudge)
		})
		defer stop()
	}
	posted0 := word(c.m, ctlTail).Load()
	paid := true
	defer func() { c.directResult(paid && word(c.m, ctlTail).Load()-posted0 <= 1) }()
	wait := word32(c.m, c.r.lay.slot+i*slotSize+slotWait)
	wait.Store(1)
	defer wait.Store(0)
	posted, claimed := slotWord(s.gen, slotPosted), slotWord(s.gen, slotClaimed)
	until := monoNow() + int64(directTime)
	for {
		nudge := atomic.LoadUint32(&s.nudge)
		w := c.state(i).Load()
		if w != posted && w != claimed {
			return true
		}
		if c.r.dead.Load() || ctx.Err() != nil {
			return false
		}
		err := futexWaitv([]futexWaiter{
			{val: uint64(uint32(w)), addr: futexAddr(c.m, c.r.lay.slot+i*slotSize+slotState), flags: futex2SizeU32},
			{val: uint64(nudge), addr: futexAddrPrivate(&s.nudge), flags: futex2SizeU32 | futex2Private},
		}, until)
		if err == syscall.ETIMEDOUT {
			paid = false
			return false
		}
		if err == syscall.ENOSYS {
			noWaitv.Store(true)
			return false
		}
	}
}

func (c *caller) directResult(paid bool) {
	p := c.directPenalty.Load()
	if paid {
		c.directPenalty.Store(p / 2)
		return
	}
	p = min(2*p+directPenalty, directPenaltyMax)
	c.directPenalty.Store(p)
	c.directOff.Store(p)
}
