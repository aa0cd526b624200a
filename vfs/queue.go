package vfs

import "sync"

// Events are poll(2)'s bits.
type Events uint32

// The events, with Linux's values.
const (
	EventIn     Events = 0x001
	EventPri    Events = 0x002
	EventOut    Events = 0x004
	EventErr    Events = 0x008
	EventHup    Events = 0x010
	EventRdNorm Events = 0x040
	EventRdBand Events = 0x080
	EventWrNorm Events = 0x100
	EventWrBand Events = 0x200
	EventMsg    Events = 0x400
	EventRdHup  Events = 0x2000

	EventsIn  = EventIn | EventRdNorm
	EventsOut = EventOut | EventWrNorm
)

// Waiter is one party's wish to hear of events. Wake is called with the events
// that came, from any goroutine, perhaps with the server's locks held: it must
// only note and hand on, never block and never call the file. A Waiter is
// watched by one Queue at a time.
type Waiter struct {
	Mask Events
	Wake func(*Waiter, Events)

	next, prev *Waiter
	queue      *Queue
}

// Queue is a list of Waiters, meant to be embedded in a Pollable. The zero
// Queue is empty. Its lock is a leaf: Wake functions run under it.
type Queue struct {
	mu          sync.Mutex
	first, last *Waiter
}

// Watch adds w. Watching twice is once.
func (q *Queue) Watch(w *Waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.queue != nil {
		return
	}
	w.queue, w.prev, w.next = q, q.last, nil
	if q.last != nil {
		q.last.next = w
	} else {
		q.first = w
	}
	q.last = w
}

// Unwatch removes w; afterwards Wake is not called again and no call of it is
// under way.
func (q *Queue) Unwatch(w *Waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.queue != q {
		return
	}
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.last = w.prev
	}
	w.queue, w.prev, w.next = nil, nil, nil
}

// Notify calls every Waiter whose mask has one of events. EventErr and EventHup
// reach all.
func (q *Queue) Notify(events Events) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for w := q.first; w != nil; w = w.next {
		if got := events & (w.Mask | EventErr | EventHup); got != 0 {
			w.Wake(w, got)
		}
	}
}

// Empty reports whether nobody watches.
func (q *Queue) Empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.first == nil
}
