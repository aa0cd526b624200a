package remote

import (
	"context"
	"sync"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// Job is what terminals of a server need of the processes that use them: POSIX
// implements it. It is called from any goroutine, and must not wait.
type Job interface {
	Signal(pgrp int, sig syscall.Signal)
	// Hangup tells that the terminal of the session is gone.
	Hangup(line vfs.Line, session, foreground int)
}

// SetJob says who hears of terminals. It is called before the file system is used.
func (c *Client) SetJob(j Job) { c.job = j }

// line is a terminal, the same for all open files of it. Who uses it is known here
// only: to the server it is one client's.
type line struct {
	node

	mu                  sync.Mutex // a leaf
	session, foreground int
}

// Session is the session whose controlling terminal this is.
func (l *line) Session() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session
}

// SetSession sets it.
func (l *line) SetSession(sid int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session = sid
}

// Foreground is the foreground process group.
func (l *line) Foreground() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.foreground
}

// SetForeground sets it.
func (l *line) SetForeground(pgrp int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.foreground = pgrp
}

// leave takes the line from its session.
func (l *line) leave() (session, foreground int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	session, foreground = l.session, l.foreground
	l.session, l.foreground = 0, 0
	return session, foreground
}

// StopsOutput asks the server.
func (l *line) StopsOutput() bool {
	return l.first.c.terminal(&wire.TerminalRequest{Line: l.first.id}).StopsOutput
}

// Hangup has the server end all open files of the terminal.
func (l *line) Hangup() (session, foreground int) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), closeGrace, vfs.ErrKilled)
	defer cancel()
	// One that hangs, or is gone, has none that anybody can use.
	_ = l.first.c.call.Hangup(ctx, &wire.NodeRequest{Node: l.first.id}, new(wire.Empty), nil)
	return l.leave()
}

// Open makes another file of the terminal.
func (l *line) Open(ctx context.Context, flags int) (vfs.File, error) { return l.open(ctx, flags) }

// terminal asks how one stands; a server that does not say is a plain one.
func (c *session) terminal(req *wire.TerminalRequest) wire.TerminalReply {
	ctx, cancel := context.WithTimeoutCause(context.Background(), closeGrace, vfs.ErrKilled)
	defer cancel()
	var rep wire.TerminalReply
	if c.call.Terminal(ctx, req, &rep, nil) != nil || rep.Min < 0 || rep.Timeout < 0 {
		return wire.TerminalReply{Min: 1}
	}
	return rep
}

// terminalFile is an open file of a terminal.
type terminalFile struct {
	pollFile
	line *line
}

// Line returns the terminal.
func (f *terminalFile) Line() vfs.Line { return f.line }

// IsMaster reports whether this is a pseudo-terminal's master.
func (f *terminalFile) IsMaster() bool { return f.bits&wire.FileMaster != 0 }

// ReadRule asks the server.
func (f *terminalFile) ReadRule() vfs.ReadRule {
	r := f.first.c.terminal(&wire.TerminalRequest{File: f.first.id})
	return vfs.ReadRule{Min: int(r.Min), Timeout: time.Duration(r.Timeout), PerByte: r.PerByte}
}

// OpenPeer opens the slave of a master.
func (f *terminalFile) OpenPeer(ctx context.Context, flags int) (vfs.File, error) {
	c := f.first.c
	var rep wire.OpenReply
	if err := c.call.OpenPeer(ctx, &wire.OpenRequest{Node: f.first.id, Flags: int32(flags)}, &rep, nil); err != nil {
		return nil, c.outcome(err)
	}
	n, err := c.node(rep.Node)
	if err != nil {
		c.settle.close(rep.File.ID)
		return nil, err
	}
	return c.newFile(ctx, rep.File, n, flags)
}

// newTerminal asks which terminal the file is of.
func (c *session) newTerminal(ctx context.Context, w wire.File, n vfs.Node, flags int) (vfs.File, error) {
	var rep wire.NodeReply
	err := c.outcome(c.call.Line(ctx, &wire.FileRequest{File: w.ID}, &rep, nil))
	var l *line
	if err == nil {
		var of vfs.Node
		if of, err = c.node(rep.Node); err == nil {
			var ok bool
			if l, ok = of.(*line); !ok {
				err = c.broken("node %d is no terminal", rep.Node.ID)
			}
		}
	}
	if err != nil {
		c.settle.close(w.ID)
		return nil, err
	}
	f := &terminalFile{line: l}
	f.begin(c, w, n, flags)
	c.files.add(&f.pollFile)
	return f, nil
}

// hangUp tells the processes of terminals whose server is gone.
func (c *session) hangUp() {
	if c.client.job == nil {
		return
	}
	c.nodes.mu.Lock()
	var lines []*line
	for _, k := range c.nodes.byID {
		if n := k.node.Value(); n != nil && k.bits == wire.NodeLine {
			lines = append(lines, n.self.(*line))
		}
	}
	c.nodes.mu.Unlock()
	for _, l := range lines {
		if sid, pgrp := l.leave(); sid != 0 {
			c.client.job.Hangup(l, sid, pgrp)
		}
	}
}

// signal is the server's word on a terminal.
func (c *session) signal(m *wire.SignalNote) {
	c.nodes.mu.Lock()
	var n *node
	if k := c.nodes.byID[m.Line]; k != nil {
		n = k.node.Value()
	}
	c.nodes.mu.Unlock()
	if n == nil {
		return // nobody has it any more
	}
	l, ok := n.self.(*line)
	job := c.client.job
	if !ok || job == nil {
		return
	}
	if m.Signal == 0 {
		if sid, pgrp := l.leave(); sid != 0 {
			job.Hangup(l, sid, pgrp)
		}
		return
	}
	switch s := syscall.Signal(m.Signal); s {
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGWINCH, syscall.SIGHUP, syscall.SIGCONT:
		if pgrp := l.Foreground(); pgrp != 0 {
			job.Signal(pgrp, s)
		}
	}
}
