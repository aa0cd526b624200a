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

// pollFile is an open file that can be waited for. While somebody watches it, one
// event is armed at the server at a time.
type pollFile struct {
	dataFile
	queue vfs.Queue

	mu      sync.Mutex // taken before the queue's
	armed   bool       // the server owes a note
	arming  bool       // arm runs
	early   bool       // the note came before the answer of the call that armed it
	seen    uint64
	hanging bool // a Poll has had no answer
}

// Close stops watching, too.
func (f *pollFile) Close() error {
	f.c.files.remove(f)
	return f.dataFile.Close()
}

// Poll asks the server. One that hangs is asked no second time before it has
// answered; until then nothing is ready.
func (f *pollFile) Poll(mask vfs.Events) vfs.Events {
	f.mu.Lock()
	hanging := f.hanging
	f.mu.Unlock()
	if hanging {
		return 0
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), closeGrace, vfs.ErrKilled)
	defer cancel()
	var rep wire.ReadyReply
	err := f.c.outcome(f.c.call.Poll(ctx, &wire.PollRequest{File: f.id, Mask: uint32(mask)}, &rep, nil))
	switch {
	case err == nil:
		return vfs.Events(rep.Events) & (mask | vfs.EventErr | vfs.EventHup)
	case answered(err), f.c.lane.Err() != nil:
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
func (f *pollFile) recover() {
	var rep wire.ReadyReply
	_ = f.c.call.Poll(context.Background(), &wire.PollRequest{File: f.id, Mask: uint32(allEvents)}, &rep, nil)
	f.mu.Lock()
	f.hanging = false
	f.mu.Unlock()
	f.queue.Notify(goneEvents)
}

// Watch has w told of events; see vfs.Pollable.
func (f *pollFile) Watch(w *vfs.Waiter) {
	f.queue.Watch(w)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.startLocked()
}

// Unwatch ends that. What is armed stays so until it fires.
func (f *pollFile) Unwatch(w *vfs.Waiter) { f.queue.Unwatch(w) }

// startLocked sees to it that the server tells of the next event.
func (f *pollFile) startLocked() {
	if !f.armed && !f.arming {
		f.arming = true
		go f.arm()
	}
}

// arm asks until the server has nothing new to tell, and has promised a note.
func (f *pollFile) arm() {
	for {
		f.mu.Lock()
		req := wire.ArmRequest{File: f.id, Seen: f.seen}
		f.early = false
		f.mu.Unlock()
		var rep wire.ReadyReply
		err := f.c.call.Arm(context.Background(), &req, &rep, nil)
		promised := err == nil && rep.Seq == req.Seen
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
			f.seen = rep.Seq
		}
		f.mu.Unlock()
		if !promised {
			f.queue.Notify(vfs.Events(rep.Events))
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
func (f *pollFile) came(m *wire.ReadyNote) {
	f.mu.Lock()
	if !f.armed && !f.arming {
		f.mu.Unlock()
		return // nobody asked
	}
	f.seen, f.armed, f.early = m.Seq, false, true
	f.mu.Unlock()
	f.queue.Notify(vfs.Events(m.Events))
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.queue.Empty() {
		f.startLocked()
	}
}
