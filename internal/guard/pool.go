package guard

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/hati-os/hati/internal/fault"
	"github.com/hati-os/hati/vfs"
)

// spare is how many workers wait for work.
const spare = 8

// pool has the workers: goroutines that make calls, each with its slot. The zero
// pool is ready.
type pool struct {
	mu     sync.Mutex
	free   []*slot // the last one used is the next one
	closed bool
}

// get returns a slot whose worker waits.
func (p *pool) get() *slot {
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		s := p.free[n-1]
		p.free = p.free[:n-1]
		p.mu.Unlock()
		return s
	}
	p.mu.Unlock()
	s := &slot{start: make(chan struct{}, 1), done: make(chan struct{}, 1)}
	go s.work()
	return s
}

// put takes a slot back.
func (p *pool) put(s *slot) {
	p.mu.Lock()
	keep := !p.closed && !s.spent && len(p.free) < spare
	if keep {
		p.free = append(p.free, s)
	}
	p.mu.Unlock()
	if !keep {
		close(s.start)
	}
}

// close ends the workers that wait; the others end when they are put back.
func (p *pool) close() {
	p.mu.Lock()
	free := p.free
	p.free, p.closed = nil, true
	p.mu.Unlock()
	for _, s := range free {
		close(s.start)
	}
}

// work is a worker: it makes one call after the other until one is abandoned.
func (s *slot) work() {
	busy := false
	defer func() {
		if busy { // the server ended the goroutine
			s.spent = true
			s.answer()
		}
	}()
	for range s.start {
		busy = true
		s.run()
		busy = false
		if !s.answer() {
			return
		}
	}
}

// answer tells the caller, or cleans up when there is none any more.
func (s *slot) answer() bool {
	if s.finish() {
		s.done <- struct{}{}
		return true
	}
	s.late()
	return false
}

// wait waits for call n, and gives it up when ctx has ended and the grace time
// is over.
func (s *slot) wait(ctx context.Context, n uint64, f *file) {
	select {
	case <-s.done:
		return
	case <-ctx.Done():
	}
	fault.Point("guard: cancelled")
	if d := s.guard.patience(context.Cause(ctx)); d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-s.done:
			return
		case <-t.C:
		case <-vfs.Final(ctx):
		}
	} else {
		// The server has heard of it, too: it may be about to settle.
		runtime.Gosched()
	}
	s.leave(n, f)
}

// waitFor is wait for a call that no ctx ends.
func (s *slot) waitFor(d time.Duration, n uint64, f *file) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.done:
	case <-t.C:
		s.leave(n, f)
	}
}

func (s *slot) leave(n uint64, f *file) {
	if !s.abandon(n, s.guard, f) {
		<-s.done
	}
}

// withoutContext has the server do what no ctx ends. It is given up after d.
func (g *Guard) withoutContext(call string, d time.Duration, f func() error) error {
	o := &anyOp[struct{}]{call: call, f: func(context.Context) (struct{}, error) { return struct{}{}, f() }}
	s := g.pool.get()
	s.mu.Lock()
	s.guard, s.op, s.file = g, o, nil
	s.caller, s.ctx = context.Background(), context.Background()
	s.since = time.Now()
	s.number++
	n := s.number
	s.state.Store(n<<stateBits | running)
	s.mu.Unlock()
	s.start <- struct{}{}
	s.waitFor(d, n, nil)
	if s.state.Load()&(1<<stateBits-1) == abandoned {
		return errAbandoned
	}
	err := s.err
	s.end()
	return err
}
