package remote

import (
	"context"
	"sync"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// Terminals tells clients of a server what happens on its terminals. It is what the
// server's terminals have for processes (tty.Job): the numbers of sessions and groups
// are each client's own and stay there, so a terminal has one number for all of
// them here. The zero Terminals is usable, by one server.
type Terminals struct {
	mu    sync.Mutex // a leaf
	last  int
	lines map[int]*knownLine
	of    map[vfs.Line]int
}

// knownLine is a terminal and which clients know it, as which node.
type knownLine struct {
	line    vfs.Line
	clients map[*conn]uint64
}

// join notes that a client knows a terminal.
func (t *Terminals) join(l vfs.Line, c *conn, id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines == nil {
		t.lines, t.of = map[int]*knownLine{}, map[vfs.Line]int{}
	}
	n := t.of[l]
	if n == 0 {
		t.last++
		n = t.last
		t.of[l], t.lines[n] = n, &knownLine{l, map[*conn]uint64{}}
	}
	t.lines[n].clients[c] = id
	l.SetSession(n)
	l.SetForeground(n)
}

// leave notes that it has forgotten it.
func (t *Terminals) leave(l vfs.Line, c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.of[l]
	if n == 0 {
		return
	}
	k := t.lines[n]
	delete(k.clients, c)
	if len(k.clients) == 0 {
		delete(t.lines, n)
		delete(t.of, l)
		l.SetSession(0)
		l.SetForeground(0)
	}
}

func (t *Terminals) tell(number int, sig syscall.Signal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.lines[number]; k != nil {
		for c, id := range k.clients {
			c.signal(wire.SignalNote{Line: id, Signal: int32(sig)})
		}
	}
}

// maxSignals bounds what a client that takes no notes makes us remember.
const maxSignals = 1024

func (c *conn) signal(m wire.SignalNote) {
	if c.signals.Add(1) > maxSignals {
		c.signals.Add(-1)
		return
	}
	c.note(func(ctx context.Context) error {
		c.signals.Add(-1)
		return (&wire.Client{Lane: c.end}).Signal(ctx, &m, nil)
	})
}

// Signal tells the clients of the terminal with that number.
func (t *Terminals) Signal(number int, sig syscall.Signal) { t.tell(number, sig) }

// Hangup tells them that it is gone. It may be opened anew.
func (t *Terminals) Hangup(l vfs.Line, number, _ int) {
	t.tell(number, 0)
	t.renumber(l)
}

// renumber gives a terminal that was hung up its number again.
func (t *Terminals) renumber(l vfs.Line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.of[l]; n != 0 {
		l.SetSession(n)
		l.SetForeground(n)
	}
}

// Privileged reports whether the superuser asks.
func (t *Terminals) Privileged(ctx context.Context) bool { return t.Owner(ctx) == 0 }

// Owner returns the user who asks.
func (*Terminals) Owner(ctx context.Context) uint32 {
	c, _ := vfs.CallerOf(ctx)
	return c.UID
}

// lineNode is a terminal as one of the nodes that a client knows.
type lineNode struct{ vfs.Line }

// Stat is never asked by an honest client.
func (lineNode) Stat(context.Context) (vfs.Attr, error) { return vfs.Attr{}, syscall.ENOSYS }

// Open makes another file of the terminal, if it can.
func (l lineNode) Open(ctx context.Context, flags int) (vfs.File, error) {
	if o, ok := l.Line.(vfs.Opener); ok {
		return o.Open(ctx, flags)
	}
	return nil, syscall.ENXIO
}

func (c *conn) terminal(id uint64) (*openFile, vfs.Terminal, error) {
	return fileAs[vfs.Terminal](c, id, "is no terminal")
}

// Line names the terminal of an open file.
func (c *conn) Line(ctx context.Context, req *wire.FileRequest, rep *wire.NodeReply, r *lane.Request) error {
	f, t, err := c.terminal(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	l := t.Line()
	if rep.Node, err = c.tell(ctx, r, lineNode{l}); err == nil && c.opts.Terminals != nil {
		c.opts.Terminals.join(l, c, rep.Node.ID)
	}
	return err
}

// line returns the terminal that a request names.
func (c *conn) line(id uint64) (vfs.Line, error) {
	n, err := c.node(id)
	if err != nil {
		return nil, err
	}
	l, ok := n.(lineNode)
	if !ok {
		return nil, c.broken("node %d is no terminal", id)
	}
	return l.Line, nil
}

// Terminal tells how a terminal stands.
func (c *conn) Terminal(_ context.Context, req *wire.TerminalRequest, rep *wire.TerminalReply, _ *lane.Request) error {
	if req.Line != 0 {
		l, err := c.line(req.Line)
		if err != nil {
			return err
		}
		rep.StopsOutput = l.StopsOutput()
	}
	if req.File == 0 {
		return nil
	}
	f, t, err := c.terminal(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	rule := t.ReadRule()
	rep.Min, rep.Timeout, rep.PerByte = int64(rule.Min), int64(rule.Timeout), rule.PerByte
	return nil
}

// OpenPeer opens the slave of the master that the request has for a node.
func (c *conn) OpenPeer(ctx context.Context, req *wire.OpenRequest, rep *wire.OpenReply, r *lane.Request) error {
	f, err := c.file(req.Node)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	p, ok := f.file.(vfs.PeerOpener)
	if !ok {
		return syscall.ENOTTY
	}
	flags := int(req.Flags) & openFlags
	peer, err := p.OpenPeer(ctx, flags)
	if err != nil {
		return err
	}
	if rep.Node, err = c.tell(ctx, r, peer.Node()); err != nil {
		peer.Close()
		return err
	}
	rep.File, err = c.give(r, peer, flags)
	return err
}

// Hangup ends the open files of a terminal.
func (c *conn) Hangup(_ context.Context, req *wire.NodeRequest, _ *wire.Empty, _ *lane.Request) error {
	l, err := c.line(req.Node)
	if err != nil {
		return err
	}
	l.Hangup()
	if c.opts.Terminals != nil {
		c.opts.Terminals.renumber(l)
	}
	return nil
}

// PollNow asks a file whose reads and writes may wait.
func (c *conn) PollNow(ctx context.Context, req *wire.PollRequest, rep *wire.ReadyReply, _ *lane.Request) error {
	f, p, err := fileAs[vfs.Poller](c, req.File, "cannot be asked")
	if err != nil {
		return err
	}
	defer c.files.put(f)
	e, err := p.PollNow(ctx, vfs.Events(req.Mask))
	rep.Events = uint32(e)
	if p.Pollable() != nil {
		rep.Seq = 1
	}
	return err
}

func (c *conn) Signal(context.Context, *wire.SignalNote, *lane.Request) error {
	return c.broken("a server's note")
}
