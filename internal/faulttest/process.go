package faulttest

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"syscall"
)

// Process is a server's process.
type Process interface {
	Signal(syscall.Signal)
	// End kills it and waits for it.
	End()
}

// Outside is a server in a process of its own, which is stopped now and then, or
// killed and started again.
type Outside[P Process] struct {
	// Start starts the process; it fails the test if it cannot.
	Start func() P
	// Kills: it is killed, not stopped.
	Kills bool

	mu sync.Mutex // held while there is no server
	p  P
	on bool
}

// Process returns the process that runs.
func (o *Outside[P]) Process() (p P, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.p, o.on
}

// Begin starts the first one.
func (o *Outside[P]) Begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.p = o.Start()
	o.on = true
}

// Trouble implements Site.
func (o *Outside[P]) Trouble(tick, stop <-chan struct{}) {
	for Ticks(100+rand.IntN(600), tick, stop) {
		o.mu.Lock()
		p := o.p
		if o.Kills {
			o.on = false
			p.End()
			func() {
				defer o.mu.Unlock()
				o.p = o.Start()
				o.on = true
			}()
			continue
		}
		o.mu.Unlock()
		p.Signal(syscall.SIGSTOP)
		for range rand.IntN(3000) {
			runtime.Gosched()
		}
		p.Signal(syscall.SIGCONT)
	}
}

// Ticks waits for so many ticks; it is false when stop came first.
func Ticks(n int, tick, stop <-chan struct{}) bool {
	for range n {
		select {
		case <-stop:
			return false
		case <-tick:
		}
	}
	return true
}
