// Package faulttest is the fault harness: many clients work on a server that is
// slow, deaf, stopped, killed or a liar, and cancel at random, over whatever lies
// between (a [Site]). What they saw must be a history that can be, and nothing
// must be left.
//
// It is for tests. It imports vfs, porcupine, x/sys and the standard library.
package faulttest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hati-os/hati/vfs"
)

// How much goes on in a round.
const (
	Clients   = 200 // that work at a time
	Ways      = 8   // which they share
	Registers = 50  // of each round
)

// Way is a connection to a site's server: a [FileWay] or a [NetWay].
type Way interface {
	// Err is nil as long as the way can be used.
	Err() error
	Close() error
}

// FileWay is a way to files. FS has a root in which each name is a file of eight
// bytes with locks.
type FileWay interface {
	Way
	FS() vfs.FS
}

// Site is where rounds take place: servers that can be disturbed.
type Site interface {
	// Dial returns a new way; an error when there is no server at the moment.
	Dial() (Way, error)
	// Trouble does to the server what the site's fault is, until stop. It gets a tick
	// from now and then an operation.
	Trouble(tick, stop <-chan struct{})
	// Census checks after a round, when all ways are closed, that nothing is left.
	Census(t testing.TB)
	// Judge says what an error means that is not of the contract: [NotSent] or
	// [Doubt], else [Unknown].
	Judge(err error) Verdict
}

// Verdict is what an error says about its operation.
type Verdict int

// The verdicts.
const (
	Unknown Verdict = iota // an error that must not be
	NotSent                // the server has never seen it
	Doubt                  // it may have happened
)

// rounds of all sites together last as long as this with HATI_HAMMER.
const (
	hammer = 10 * time.Minute
	sites  = 46 // of all packages
)

// Run runs rounds at each site, whose ways are FileWays: a few in the ordinary tests,
// for ten minutes in all packages together with HATI_HAMMER, for as long as
// HATI_FAULTS says each.
func Run(t *testing.T, open map[string]func(t *testing.T) Site) { run(t, open, 5, (*harness).round) }

// run runs rounds, in the ordinary tests of so many steps.
func run(t *testing.T, open map[string]func(t *testing.T) Site, steps int, round func(*harness, int)) {
	each := 50 * time.Millisecond
	if os.Getenv("HATI_HAMMER") != "" {
		each, steps = hammer/sites, 12
	}
	if s := os.Getenv("HATI_FAULTS"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal("HATI_FAULTS: ", err)
		}
		each, steps = d, 12
	}
	for _, name := range names(open) {
		t.Run(name, func(t *testing.T) {
			h := &harness{TB: t, site: open[name](t), steps: steps}
			round(h, 0) // what is made once is made
			h.site.Census(t)
			before := Now()
			begin, rounds := time.Now(), 1
			for ; time.Since(begin) < each && !t.Failed(); rounds++ {
				round(h, rounds)
				h.site.Census(t)
			}
			Eventually(t, "descriptors and goroutines are back", func() bool {
				now := Now()
				return now.FDs <= before.FDs && now.Goroutines <= before.Goroutines+2 && now.Heap <= before.Heap+32<<20
			})
			t.Logf("%d rounds: %v; before %v, after %v", rounds, &h.tally, before, Now())
		})
	}
}

func names[V any](m map[string]V) (list []string) {
	for name := range m {
		list = append(list, name)
	}
	slices.SortFunc(list, cmp.Compare)
	return list
}

// harness is a site at work.
type harness struct {
	testing.TB
	site  Site
	steps int // operations of a client in a round
	tally
}

// shared is a way that clients share, and dial anew when it has ended.
type shared struct {
	mu  sync.Mutex
	way Way
}

func (s *shared) get(h *harness) Way {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.way == nil || s.way.Err() != nil {
		if s.way != nil {
			s.way.Close()
		}
		w, err := h.site.Dial()
		if err != nil {
			s.way = nil
			return nil
		}
		h.dials.Add(1)
		s.way = w
	}
	return s.way
}

// round has all clients work, and checks what they saw.
func (h *harness) round(number int) {
	h.Helper()
	var values, locks [Registers]history
	var ways [Ways]shared
	stop := make(chan struct{})
	var trouble, work sync.WaitGroup
	tick := make(chan struct{}, 1)
	trouble.Go(func() { h.site.Trouble(tick, stop) })
	begin := time.Now()
	for i := range Clients {
		work.Go(func() {
			w := &worker{harness: h, id: i, begin: begin}
			for range h.steps {
				way := ways[rand.IntN(Ways)].get(h)
				if way == nil {
					continue // the server is being started again
				}
				select {
				case tick <- struct{}{}:
				default:
				}
				k := rand.IntN(Registers)
				w.step(way.(FileWay), fmt.Sprintf("r%d.%d", number, k), &values[k], &locks[k])
			}
		})
	}
	work.Wait()
	close(stop)
	trouble.Wait()
	for i := range ways {
		if ways[i].way != nil {
			ways[i].way.Close()
		}
	}
	for k := range values {
		values[k].check(h, "register", registerModel)
		locks[k].check(h, "lock", lockModel)
	}
}

// Eventually waits for what comes by itself, some goroutines later.
func Eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("never came true: ", what)
		}
	}
}

// Resources are what a process has.
type Resources struct{ FDs, Goroutines, Heap int }

func (r Resources) String() string {
	return fmt.Sprintf("%d descriptors, %d goroutines, %.1f MB", r.FDs, r.Goroutines, float64(r.Heap)/1e6)
}

// Now returns what this process has.
func Now() Resources {
	list, _ := os.ReadDir("/proc/self/fd")
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Resources{len(list), runtime.NumGoroutine(), int(m.HeapAlloc)}
}
