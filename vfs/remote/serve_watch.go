package remote

import (
	"context"
	"sync"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// allEvents are what a server's own waiter asks for.
const allEvents = vfs.EventsIn | vfs.EventsOut | vfs.EventPri | vfs.EventRdBand | vfs.EventWrBand |
	vfs.EventMsg | vfs.EventRdHup | vfs.EventErr | vfs.EventHup

// watched is an open file's readiness, as one client follows it. Its waiter
// stays from the first Arm on and counts what comes.
type watched struct {
	once   sync.Once
	waiter vfs.Waiter
	of     vfs.Pollable
	tell   func() // sees to it that the note that is owed is sent

	mu     sync.Mutex // a leaf, but for notes.mu; Wake takes it with the Queue's held
	seq    uint64
	events vfs.Events // since the client last heard
	armed  bool
}

// start begins to watch.
func (w *watched) start(p vfs.Pollable, tell func()) {
	w.once.Do(func() {
		w.seq, w.of, w.tell = 1, p, tell
		w.waiter = vfs.Waiter{Mask: allEvents, Wake: func(_ *vfs.Waiter, e vfs.Events) { w.wake(e) }}
		p.Watch(&w.waiter)
	})
}

// end stops watching, and w can never start.
func (w *watched) end() {
	w.once.Do(func() {})
	if w.of != nil {
		w.of.Unwatch(&w.waiter)
	}
}

func (w *watched) wake(e vfs.Events) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	w.events |= e
	if w.armed {
		w.armed = false
		w.tell()
	}
}

// arm answers what a client asks that has seen number seen: events, or none, and then
// it is told of the next. The first is answered with what holds.
func (w *watched) arm(seen uint64) (seq uint64, events vfs.Events) {
	var now vfs.Events
	if seen == 0 {
		now = w.of.Poll(allEvents)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seq == seen {
		w.armed = true
		return w.seq, 0
	}
	events = w.events | now
	w.events = 0
	return w.seq, events
}

// take returns what the note that is owed says.
func (w *watched) take() (seq uint64, events vfs.Events) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events = w.events
	w.events = 0
	return w.seq, events
}

// pollable returns what to watch for a file's readiness; nil if it is always ready.
func pollable(f vfs.File) vfs.Pollable {
	if a, ok := f.(vfs.Poller); ok {
		return a.Pollable()
	}
	p, _ := f.(vfs.Pollable)
	return p
}

// Poll tells of now.
func (c *conn) Poll(_ context.Context, req *wire.PollRequest, rep *wire.ReadyReply, _ *lane.Request) error {
	f, err := c.file(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	rep.Events = uint32(vfs.Events(req.Mask) & (vfs.EventsIn | vfs.EventsOut))
	if p := pollable(f.file); p != nil {
		rep.Events = uint32(p.Poll(vfs.Events(req.Mask)))
	}
	return nil
}

// Arm answers at once, or promises a note. The first is answered with what holds.
func (c *conn) Arm(_ context.Context, req *wire.ArmRequest, rep *wire.ReadyReply, _ *lane.Request) error {
	f, err := c.file(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	p := pollable(f.file)
	if _, asks := f.file.(vfs.Poller); asks && p == nil {
		return syscall.EOPNOTSUPP
	}
	if p == nil {
		return c.broken("file %d is always ready", req.File)
	}
	f.watch.start(p, func() {
		c.note(func(ctx context.Context) error { return c.ready(ctx, f) })
	})
	seq, events := f.watch.arm(req.Seen)
	rep.Seq, rep.Events = seq, uint32(events)
	return nil
}

// ready sends the note that is owed.
func (c *conn) ready(ctx context.Context, f *openFile) error {
	seq, events := f.watch.take()
	note := wire.ReadyNote{File: f.id, Events: uint32(events), Seq: seq}
	return (&wire.Client{Lane: c.end}).Ready(ctx, &note, nil)
}
