package remote_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"golang.org/x/sys/unix"
)

const (
	faultClients   = 200 // that work at a time
	faultLanes     = 8   // which they share
	faultRegisters = 50
)

// faultSteps is how many operations a client does in a round.
var faultSteps = 5

// site is where a round takes place: a server behind lanes that can be dialled
// again when one has ended.
type site interface {
	dial() (*remote.Client, error)
	// trouble does to the server what a round's fault is, until stop. It gets a tick
	// from now and then an operation.
	trouble(tick, stop <-chan struct{})
	census(t *testing.T)
}

// input is an operation of a history.
type input struct {
	op    byte // 'r', 'w', 'l' lock, 'u' unlock; 'L': a lock that may have been got
	value uint64
}

type output struct {
	value uint64
	busy  bool
}

// history is what happened to one register.
type history struct {
	mu  sync.Mutex
	ops []porcupine.Operation
}

func (h *history) add(op porcupine.Operation) {
	h.mu.Lock()
	h.ops = append(h.ops, op)
	h.mu.Unlock()
}

// registerModel: reads see the last write.
var registerModel = porcupine.Model{
	Init: func() any { return uint64(0) },
	Step: func(state, in, out any) (bool, any) {
		i := in.(input)
		if i.op == 'w' {
			return true, i.value
		}
		return out.(output).value == state.(uint64), state
	},
}

// lockModel: one owner at a time.
var lockModel = porcupine.Model{
	Init: func() any { return uint64(0) },
	Step: func(state, in, out any) (bool, any) {
		holder, i := state.(uint64), in.(input)
		switch {
		case i.op == 'u' && holder == i.value:
			return true, uint64(0)
		case i.op == 'u':
			return true, holder
		case i.op == 'L' && holder != 0:
			return true, holder
		case i.op == 'l' && out.(output).busy:
			return holder != 0 && holder != i.value, holder
		}
		return holder == 0 || holder == i.value, i.value
	},
}

// tally counts outcomes.
type tally struct{ done, nothing, doubt, gone, dials atomic.Int64 }

func (c *tally) String() string {
	return fmt.Sprintf("%d done, %d cancelled, %d in doubt, %d not sent, %d lanes",
		c.done.Load(), c.nothing.Load(), c.doubt.Load(), c.gone.Load(), c.dials.Load())
}

// outcome tells whether an operation had its effect: yes, no, or perhaps.
func (c *tally) outcome(t *testing.T, err error) (happened, perhaps bool) {
	switch {
	case err == nil, err == syscall.EAGAIN:
		c.done.Add(1)
		return true, false
	case errors.Is(err, vfs.ErrInDoubt):
		c.doubt.Add(1)
		return false, true
	case err == vfs.ErrInterrupted, err == vfs.ErrKilled:
		c.nothing.Add(1)
	case errors.Is(err, remote.ErrGone):
		c.gone.Add(1)
	case errors.Is(err, syscall.EMSGSIZE): // a liar's answer that did not fit: it has happened
		c.doubt.Add(1)
		return false, true
	default:
		t.Errorf("an outcome that there is not: %v", err)
	}
	return false, false
}

// sharedLane is a lane that clients share and dial anew when it has ended.
type sharedLane struct {
	mu sync.Mutex
	c  *remote.Client
}

func (l *sharedLane) get(s site, n *tally) *remote.Client {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.c == nil || l.c.Err() != nil {
		if l.c != nil {
			l.c.Close()
		}
		c, err := s.dial()
		if err != nil {
			l.c = nil
			return nil
		}
		n.dials.Add(1)
		l.c = c
	}
	return l.c
}

var lastValue atomic.Uint64

// round has all clients work, and checks what they saw.
func round(t *testing.T, s site, number int, n *tally) {
	t.Helper()
	var values, locks [faultRegisters]history
	var lanes [faultLanes]sharedLane
	stop := make(chan struct{})
	var trouble, work sync.WaitGroup
	tick := make(chan struct{}, 1)
	trouble.Go(func() { s.trouble(tick, stop) })
	begin := time.Now()
	for i := range faultClients {
		work.Go(func() {
			w := &worker{T: t, n: n, id: i, begin: begin}
			for range faultSteps {
				c := lanes[rand.IntN(faultLanes)].get(s, n)
				if c == nil {
					continue // the server is being started again
				}
				select {
				case tick <- struct{}{}:
				default:
				}
				k := rand.IntN(faultRegisters)
				w.step(c, fmt.Sprintf("r%d.%d", number, k), &values[k], &locks[k])
			}
		})
	}
	work.Wait()
	close(stop)
	trouble.Wait()
	for i := range lanes {
		if lanes[i].c != nil {
			lanes[i].c.Close()
		}
	}
	for k := range values {
		check(t, "register", registerModel, &values[k])
		check(t, "lock", lockModel, &locks[k])
	}
}

func check(t *testing.T, what string, m porcupine.Model, h *history) {
	if porcupine.CheckOperationsTimeout(m, h.ops, 10*time.Second) == porcupine.Illegal {
		t.Errorf("the history of a %s cannot be: %v", what, h.ops)
	}
}

// worker is one client.
type worker struct {
	*testing.T
	n     *tally
	id    int
	begin time.Time
}

func (w *worker) now() int64 { return int64(time.Since(w.begin)) }

// do makes a call that may be cancelled at a random moment.
func (w *worker) do(f func(ctx context.Context) error) error {
	if rand.IntN(3) > 0 {
		return f(context.Background())
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := vfs.ErrKilled
	if rand.IntN(2) == 0 {
		cause = vfs.ErrInterrupted
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for range rand.IntN(400) {
			runtime.Gosched()
		}
		cancel(cause)
	})
	err := f(ctx)
	wg.Wait()
	return err
}

// record notes an operation, unless it did not happen.
func (w *worker) record(h *history, in input, call int64, out output, err error) (happened, perhaps bool) {
	happened, perhaps = w.n.outcome(w.T, err)
	o := porcupine.Operation{ClientId: w.id, Input: in, Call: call, Output: out, Return: w.now()}
	if perhaps {
		o.Return = math.MaxInt64
		o.ClientId = faultClients + int(lastValue.Add(1))
	}
	if happened || perhaps && in.op != 'r' {
		h.add(o)
	}
	return happened, perhaps
}

func (w *worker) step(c *remote.Client, name string, values, locks *history) {
	bg := context.Background()
	root, err := c.FS().Root(bg)
	var node vfs.Node
	if err == nil {
		node, err = vfs.Lookup(bg, root, name)
	}
	var f vfs.File
	if err == nil {
		f, err = vfs.Open(bg, node, unix.O_RDWR)
	}
	if err != nil {
		w.n.outcome(w.T, err)
		return
	}
	defer f.Close()
	var p [8]byte
	switch l, lockable := node.(vfs.Locker); {
	case lockable && rand.IntN(3) == 0:
		w.lock(l, locks)
	case rand.IntN(2) == 0:
		v := lastValue.Add(1)
		binary.LittleEndian.PutUint64(p[:], v)
		call := w.now()
		err := w.do(func(ctx context.Context) error {
			n, err := vfs.Write(ctx, f, p[:], 0)
			if err == nil && n != len(p) {
				w.Errorf("%d bytes written", n)
			}
			return err
		})
		w.record(values, input{'w', v}, call, output{}, err)
	default:
		call := w.now()
		var n int
		err := w.do(func(ctx context.Context) (err error) { n, err = vfs.Read(ctx, f, p[:], 0); return err })
		if err == nil && n != 0 && n != len(p) {
			w.Errorf("%d bytes read", n)
		}
		w.record(values, input{op: 'r'}, call, output{value: binary.LittleEndian.Uint64(p[:])}, err)
	}
}

// lock takes a lock, as a new owner, and gives it back.
func (w *worker) lock(l vfs.Locker, h *history) {
	owner := lastValue.Add(1)
	lock := vfs.Lock{Type: unix.F_WRLCK, Owner: owner, End: math.MaxInt64}
	call := w.now()
	err := w.do(func(ctx context.Context) error { return l.SetLock(ctx, lock, false) })
	in := input{'l', owner}
	perhaps := errors.Is(err, vfs.ErrInDoubt) || errors.Is(err, syscall.EMSGSIZE)
	if perhaps {
		in.op = 'L'
	}
	happened, _ := w.record(h, in, call, output{busy: err == syscall.EAGAIN}, err)
	if !perhaps && (!happened || err != nil) {
		return
	}
	// Whatever becomes of the unlocking, the lock goes: with the lane at the latest,
	// which may have ended already.
	lock.Type = unix.F_UNLCK
	since := call
	call = w.now()
	err = l.SetLock(context.Background(), lock, false)
	if err != nil || perhaps {
		w.n.outcome(w.T, err)
		h.add(porcupine.Operation{ClientId: faultClients + int(lastValue.Add(1)), Input: input{'u', owner},
			Call: since, Output: output{}, Return: math.MaxInt64})
		return
	}
	w.record(h, input{'u', owner}, call, output{}, nil)
}

// insideSite is a server in this process.
type insideSite struct {
	fs     *registers
	shared bool
	served sync.WaitGroup
	set    func(*faults)
}

func (s *insideSite) dial() (*remote.Client, error) {
	a, b := lane.Pair(remote.Config("faults"))
	if s.shared {
		var err error
		if a, b, err = lane.PairShared(remote.Config("faults")); err != nil {
			return nil, err
		}
	}
	s.served.Add(1)
	_, done := remote.ServeThrough(b, s.fs, s.fs.lying)
	go func() {
		<-done
		s.served.Done()
	}()
	return remote.New(ctx, a)
}

func (s *insideSite) trouble(_, _ <-chan struct{}) { s.set(&s.fs.faults) }

func (s *insideSite) census(t *testing.T) {
	s.served.Wait()
	if n := s.fs.open.Load(); n != 0 {
		t.Errorf("%d files left open", n)
	}
	if n := s.fs.locks(); n != 0 {
		t.Errorf("%d locks left", n)
	}
	s.fs.clear()
}

// TestFaults runs rounds of every fault over every transport: a few in the
// ordinary tests, for ten minutes with HATI_HAMMER.
func TestFaults(t *testing.T) {
	each := 50 * time.Millisecond
	if os.Getenv("HATI_HAMMER") != "" {
		each, faultSteps = 10*time.Minute/10, 12
	}
	if s := os.Getenv("HATI_FAULTS"); s != "" { // how long each fault is tried
		each, _ = time.ParseDuration(s)
		faultSteps = 12
	}
	sites := map[string]func(t *testing.T) site{}
	for name, set := range map[string]func(*faults){
		"none": func(f *faults) {}, "slow": func(f *faults) { f.slow.Store(50) },
		"deaf":  func(f *faults) { f.slow.Store(50); f.deaf.Store(50) },
		"lying": func(f *faults) { f.lie.Store(1); f.slow.Store(10) },
	} {
		for _, shared := range []bool{false, true} {
			way := map[bool]string{false: "lane", true: "ring"}[shared]
			sites[way+"/"+name] = func(*testing.T) site {
				return &insideSite{fs: newRegisters(), shared: shared, set: set}
			}
		}
	}
	sites["process/stopped"] = func(t *testing.T) site { return newOutsideSite(t, false) }
	sites["process/killed"] = func(t *testing.T) site { return newOutsideSite(t, true) }
	for name, open := range sites {
		t.Run(name, func(t *testing.T) {
			var n tally
			s := open(t)
			round(t, s, 0, &n) // what is made once is made
			s.census(t)
			before := resources()
			begin, rounds := time.Now(), 1
			for ; time.Since(begin) < each && !t.Failed(); rounds++ {
				round(t, s, rounds, &n)
				s.census(t)
			}
			eventually(t, "descriptors and goroutines are back", func() bool {
				now := resources()
				return now.fds <= before.fds && now.goroutines <= before.goroutines+2 && now.heap <= before.heap+32<<20
			})
			t.Logf("%d rounds: %v; before %+v, after %+v", rounds, &n, before, resources())
		})
	}
}

type resource struct{ fds, goroutines, heap int }

func resources() resource {
	list, _ := os.ReadDir("/proc/self/fd")
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return resource{len(list), runtime.NumGoroutine(), int(m.HeapAlloc)}
}
