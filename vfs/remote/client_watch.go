package remote

import (
	"context"
	"sync"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// goneEvents are the events of a file whose server is gone: whoever waits goes on
// and finds out.
const goneEvents = vfs.EventErr | vfs.EventHup | vfs.EventsIn | vfs.EventsOut

// pollFile is an open file that can be waited for.
type pollFile struct {
	dataFile
	readiness
}

// Close stops watching, too.
func (f *pollFile) Close() error {
	f.first.c.files.remove(f)
	return f.dataFile.Close()
}

func (f *pollFile) poll(ctx context.Context, mask vfs.Events) (vfs.Events, error) {
	var rep wire.ReadyReply
	err := f.first.c.call.Poll(ctx, &wire.PollRequest{File: f.first.id, Mask: uint32(mask)}, &rep, nil)
	return vfs.Events(rep.Events), f.first.c.outcome(err)
}

func (f *pollFile) arm(seen uint64) (uint64, vfs.Events, error) {
	var rep wire.ReadyReply
	err := f.first.c.call.Arm(context.Background(), &wire.ArmRequest{File: f.first.id, Seen: seen}, &rep, nil)
	return rep.Seq, vfs.Events(rep.Events), err
}

func (f *pollFile) gone() bool { return f.first.c.lane.Err() != nil }

// readiness is that of a file, which its server is asked for. While somebody watches
// it, one event is armed at the server at a time.
type readiness struct {
	of    asked
	queue vfs.Queue

	mu      sync.Mutex // taken before the queue's
	armed   bool       // the server owes a note
	arming  bool       // keepArmed runs
	early   bool       // the note came before the answer of the call that armed it
	seen    uint64
	hanging bool // a Poll has had no answer
}

// asked is a file of a server's.
type asked interface {
	poll(ctx context.Context, mask vfs.Events) (vfs.Events, error)
	// arm asks for one note, unless there is news since seen.
	arm(seen uint64) (seq uint64, events vfs.Events, err error)
	// gone is true when the server is.
	gone() bool
}

// Poll asks the server. One that hangs is asked no second time before it has
// answered; until then nothing is ready.
func (f *readiness) Poll(mask vfs.Events) vfs.Events {
	f.mu.Lock()
	hanging := f.hanging
	f.mu.Unlock()
	if hanging {
		return 0
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), closeGrace, vfs.ErrKilled)
	defer cancel()
	events, err := f.of.poll(ctx, mask)
	switch {
	case err == nil:
		return events & (mask | vfs.EventErr | vfs.EventHup)
	case answered(err), f.of.gone():
		return goneEvents & (mask | vfs.EventErr | vfs.EventHup)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.hanging {
		f.hanging = true
		go f.recover()
	}
	return 0
}

// recover waits until the server answers again.
func (f *readiness) recover() {
	_, _ = f.of.poll(context.Background(), allEvents)
	f.mu.Lock()
	f.hanging = false
	f.mu.Unlock()
	f.queue.Notify(goneEvents)
}

// Watch has w told of events; see vfs.Pollable.
func (f *readiness) Watch(w *vfs.Waiter) {
	f.queue.Watch(w)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.startLocked()
}

// Unwatch ends that. What is armed stays so until it fires.
func (f *readiness) Unwatch(w *vfs.Waiter) { f.queue.Unwatch(w) }

// startLocked sees to it that the server tells of the next event.
func (f *readiness) startLocked() {
	if !f.armed && !f.arming {
		f.arming = true
		go f.keepArmed()
	}
}

// keepArmed asks until the server has nothing new to tell, and has promised a note.
func (f *readiness) keepArmed() {
	for {
		f.mu.Lock()
		seen := f.seen
		f.early = false
		f.mu.Unlock()
		seq, events, err := f.of.arm(seen)
		promised := err == nil && seq == seen
		f.mu.Lock()
		if promised && !f.early || err != nil {
			f.armed, f.arming = promised, false
			f.mu.Unlock()
			if err != nil {
				f.queue.Notify(goneEvents)
			}
			return
		}
		if !promised {
			f.seen = seq
		}
		f.mu.Unlock()
		if !promised {
			f.queue.Notify(events)
		}
		f.mu.Lock()
		if f.queue.Empty() {
			f.arming = false
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
	}
}

// came is the note that was promised.
func (f *readiness) came(seq uint64, events vfs.Events) {
	f.mu.Lock()
	if !f.armed && !f.arming {
		f.mu.Unlock()
		return // nobody asked
	}
	f.seen, f.armed, f.early = seq, false, true
	f.mu.Unlock()
	f.queue.Notify(events)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.queue.Empty() {
		f.startLocked()
	}
}
