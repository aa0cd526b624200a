package cancel_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// hammer makes the tests thorough instead of quick.
var hammer = os.Getenv("HATI_HAMMER") != ""

// A contest races a cancel against the event that a call waits for.
type contest struct {
	name  string
	share int // races are 10^4/share, hammered 10^6/share: more than 1 if each is dear
	start func(t *testing.T) contestant
}

type contestant struct {
	prepare  func()                          // before each race; may be nil
	call     func(ctx context.Context) error // waits for the event
	complete func()                          // makes the event; nil if the call has only itself to wait for
	settle   func(done bool)                 // checks that the world is as the outcome says, and restores it
}

var contests = slices.Concat(ioContests, blockContests, fsContests, sockContests, waitContests, childContests,
	ioctlContests)

// TestC01_OneOutcome races 10^4 (with HATI_HAMMER, 10^6) cancels per kind of call. Each operation ends once: with its
// result and its effect, or with the cause and without (clauses 1 to 3).
func TestC01_OneOutcome(t *testing.T) {
	for _, c := range contests {
		t.Run(c.name, func(t *testing.T) {
			races := 10_000 / c.share
			switch {
			case hammer:
				races *= 100
			case testing.Short() || raceEnabled:
				races /= 10
			}
			before := takeCensus(t)
			start := time.Now()
			done, cancelled := runMany(t, c, races)
			if done+cancelled != races {
				t.Errorf("%d done + %d cancelled, want %d in all", done, cancelled, races)
			}
			if races >= 100 && (done == 0 || cancelled == 0) {
				t.Errorf("%d done, %d cancelled: no race took place", done, cancelled)
			}
			for _, f := range cleanups(t) {
				f()
			}
			before.compare(t)
			t.Logf("%d done, %d cancelled, %v", done, cancelled, time.Since(start).Round(time.Second/10))
		})
	}
}

// runMany makes the races in many places at once, so that no processor ever waits for one of them: then most of the
// chance is in the scheduling, and the spins are short.
func runMany(t *testing.T, c contest, races int) (done, cancelled int) {
	const places = 10
	var d, n atomic.Int64
	var all sync.WaitGroup
	for i := range places {
		all.Go(func() {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				done, cancelled := run(t, c.start(t), races/places, 128, 1<<13)
				d.Add(int64(done))
				n.Add(int64(cancelled))
			})
		})
	}
	all.Wait()
	return int(d.Load()), int(n.Load())
}

// run makes the races. In most of them one goroutine makes the event and the cancel, in either order and with any gap
// between them; in the others each has its own, so that they truly meet.
func run(t *testing.T, c contestant, races, step, limit int) (done, cancelled int) {
	type order struct {
		spin [2]int
		do   [2]func()
	}
	orders, finished := [2]chan order{}, make(chan struct{}, 2)
	for i := range orders {
		orders[i] = make(chan order)
		defer close(orders[i])
		go func() {
			for o := range orders[i] {
				for i, do := range o.do {
					spin(o.spin[i])
					do()
				}
				finished <- struct{}{}
			}
		}()
	}
	nothing := func() {}
	if c.complete == nil {
		limit = 1 << 15
	}
	heads := [2]head{{step: step, limit: limit}, {step: step, limit: limit}}
	for i := range races {
		if c.prepare != nil {
			c.prepare()
		}
		ctx, stop := context.WithCancel(context.Background())
		strike := func() { stop(); runtime.Gosched() } // a context strikes from a new goroutine
		// The spins are around the time that the call needs to get to where it waits, and sometimes far longer.
		length := func() int { return min(rand.IntN(1<<(8+rand.IntN(8))), limit) }
		how := 0
		switch {
		case c.complete == nil:
			orders[0] <- order{[2]int{length() + max(heads[0].lead, 0), 0}, [2]func(){stop, nothing}}
			spin(length() + max(-heads[0].lead, 0))
		case i%4 == 0:
			how = 1
			orders[0] <- order{[2]int{length() + max(heads[1].lead, 0), 0}, [2]func(){stop, nothing}}
			orders[1] <- order{[2]int{length() + max(-heads[1].lead, 0), 0}, [2]func(){c.complete, nothing}}
		default:
			start, gap := rand.IntN(1<<rand.IntN(14)), heads[0].lead+length()-length()
			if gap >= 0 {
				orders[0] <- order{[2]int{start, gap}, [2]func(){c.complete, strike}}
			} else {
				orders[0] <- order{[2]int{start, -gap}, [2]func(){strike, c.complete}}
			}
		}
		err := c.call(ctx)
		for range how + 1 {
			<-finished
		}
		switch {
		case err == nil:
			done++
		case errors.Is(err, context.Canceled):
			cancelled++
		default:
			t.Fatalf("race %d: %v", done+cancelled, err)
		}
		heads[how].won(err == nil)
		c.settle(err == nil)
	}
	return done, cancelled
}

// head is the lead that the event has over the cancel. It is adjusted until both win equally often: that is where they
// meet.
type head struct {
	lead, step, limit int
	same              int
	last              bool
}

func (h *head) won(now bool) {
	if now != h.last {
		h.same = 0
	}
	h.last = now
	h.same++
	change := h.step << min(h.same/8, 5)
	if now {
		change = -change
	}
	h.lead = min(max(h.lead+change, -h.limit), h.limit)
}

//go:noinline
func spin(n int) {
	s := 0
	for i := range n {
		s += i
	}
	_ = s
}
