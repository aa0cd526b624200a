package remote

import (
	"context"
	"sync"

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

	mu     sync.Mutex // a leaf, but for notifier.mu; Wake takes it with the Queue's held
	seq    uint64
	events vfs.Events // since the client last heard
	armed  bool
}

// start begins to watch.
func (w *watched) start(c *conn, f *openFile, p vfs.Pollable) {
	w.once.Do(func() {
		w.seq, w.of = 1, p
		w.waiter = vfs.Waiter{Mask: allEvents, Wake: func(_ *vfs.Waiter, e vfs.Events) { w.wake(c, f, e) }}
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

func (w *watched) wake(c *conn, f *openFile, e vfs.Events) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	w.events |= e
	if w.armed {
		w.armed = false
		c.ready.add(f)
	}
}

// Poll tells of now.
func (c *conn) Poll(_ context.Context, req *wire.PollRequest, rep *wire.ReadyReply, _ *lane.Request) error {
	f, err := c.file(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	rep.Events = uint32(vfs.Ready(f.file, vfs.Events(req.Mask)))
	return nil
}

// Arm answers at once, or promises a note. The first is answered with what holds.
func (c *conn) Arm(_ context.Context, req *wire.ArmRequest, rep *wire.ReadyReply, _ *lane.Request) error {
	f, err := c.file(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	p, ok := f.file.(vfs.Pollable)
	if !ok {
		return c.broken("file %d is always ready", req.File)
	}
	w := &f.watch
	w.start(c, f, p)
	var now vfs.Events
	if req.Seen == 0 {
		now = p.Poll(allEvents)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	rep.Seq = w.seq
	if w.seq == req.Seen {
		w.armed = true
		return nil
	}
	rep.Events = uint32(w.events | now)
	w.events = 0
	return nil
}

// notifier sends the notes: a Wake must not wait for a lane.
type notifier struct {
	conn    *conn
	mu      sync.Mutex // a leaf
	list    []*openFile
	recalls []uint64
	running bool
}

func (n *notifier) recall(id uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.recalls = append(n.recalls, id)
	n.startLocked()
}

func (n *notifier) add(f *openFile) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, f)
	n.startLocked()
}

func (n *notifier) startLocked() {
	if !n.running {
		n.running = true
		go n.run()
	}
}

func (n *notifier) run() {
	c := n.conn
	client := wire.Client{Lane: c.end}
	for {
		n.mu.Lock()
		list, recalls := n.list, n.recalls
		n.list, n.recalls = nil, nil
		if len(list)+len(recalls) == 0 || c.gone.Err() != nil {
			n.running = false
			n.mu.Unlock()
			return
		}
		n.mu.Unlock()
		for _, id := range recalls {
			_ = client.Recall(c.gone, &wire.RecallNote{Loan: id}, nil) // fails with the lane, which ends all loans
		}
		for _, f := range list {
			f.watch.mu.Lock()
			note := wire.ReadyNote{File: f.id, Events: uint32(f.watch.events), Seq: f.watch.seq}
			f.watch.events = 0
			f.watch.mu.Unlock()
			if client.Ready(c.gone, &note, nil) != nil {
				break
			}
		}
	}
}
