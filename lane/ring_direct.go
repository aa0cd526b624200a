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
	directFirst = 16
	directMost  = 1024
)

// How that went is learnt for the whole process.
var (
	directWaiters atomic.Int32
	directOff     atomic.Int32  // callers that shall not try it
	directPenalty atomic.Int32  // the next value of directOff
	directPosts   atomic.Uint64 // requests posted
)

// direct waits for the answer for a short while. It reports whether the state has
// moved on from posted and claimed; either way the caller looks again.
func (c *caller) direct(ctx context.Context, i int) bool {
	if noWaitv.Load() || directOff.Load() > 0 && directOff.Add(-1) >= 0 {
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
	before := directPosts.Load()
	paid := true
	defer func() { directResult(paid && directPosts.Load()-before <= 1) }()
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

func directResult(paid bool) {
	p := directPenalty.Load()
	if paid {
		directPenalty.Store(p / 2)
		return
	}
	p = min(2*p+directFirst, directMost)
	directPenalty.Store(p)
	directOff.Store(p)
}
