package tty

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// Slave is an open file of the slave: a program's terminal.
type Slave struct {
	p          *PTY
	node       vfs.Node
	generation int // of the opening; an older one is hung up
}

// OpenSlave opens the slave through node. It fails with EIO when the master is
// closed or the slave still locked, and with EBUSY in exclusive mode.
func (p *PTY) OpenSlave(ctx context.Context, node vfs.Node) (*Slave, error) {
	privileged := p.job.Privileged(ctx)
	p.mu.Lock()
	defer p.unlock()
	switch {
	case !p.masterOpen || p.locked:
		return nil, syscall.EIO
	case p.exclusive && !privileged:
		return nil, syscall.EBUSY
	}
	p.slaves++
	p.slavesClosed = false
	return &Slave{p: p, node: node, generation: p.generation}, nil
}

// Open opens the slave as /dev/tty does for those whose controlling terminal it
// is, under its own node where it has one.
func (p *PTY) Open(ctx context.Context, flags int) (vfs.File, error) {
	if p.opts.OpenPeer != nil {
		return p.opts.OpenPeer(ctx, flags)
	}
	s, err := p.OpenSlave(ctx, nil)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Node returns what was opened.
func (s *Slave) Node() vfs.Node { return s.node }

// Line returns the terminal.
func (s *Slave) Line() vfs.Line { return s.p }

// PTY returns the pair.
func (s *Slave) PTY() *PTY { return s.p }

// IsMaster is false.
func (s *Slave) IsMaster() bool { return false }

// IsStream is true.
func (s *Slave) IsStream() bool { return true }

// ReadRule tells VMIN and VTIME.
func (s *Slave) ReadRule() vfs.ReadRule {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	return s.p.disc.rule()
}

// Close ends the file; after the last one the master reads EIO.
func (s *Slave) Close() error {
	p := s.p
	p.mu.Lock()
	defer p.unlock()
	p.slaves--
	if p.slaves == 0 {
		p.lastSlaveGone()
		p.released = !p.masterOpen
	}
	return nil
}

// dead reports whether the terminal was hung up since it was opened; the caller
// holds mu.
func (s *Slave) dead() bool { return s.generation != s.p.generation }

// Read reads a line, or in non-canonical mode what there is; EAGAIN when there
// is nothing. With VMIN and VTIME 0 nothing is (0, nil), as it is after a hangup.
func (s *Slave) Read(_ context.Context, b []byte, _ int64) (int, error) {
	p := s.p
	p.mu.Lock()
	defer p.unlock()
	d := &p.disc
	if s.dead() || len(b) == 0 {
		return 0, nil
	}
	if !d.readable(false) {
		if !d.waits() {
			return 0, nil
		}
		return 0, syscall.EAGAIN
	}
	n := d.read(b)
	p.receive()
	p.masterRoom()
	return n, nil
}

// Write takes as much as there is room for, EAGAIN when there is none, EIO
// after a hangup.
func (s *Slave) Write(_ context.Context, b []byte, _ int64) (int, error) {
	p := s.p
	p.mu.Lock()
	defer p.unlock()
	if s.dead() {
		return 0, syscall.EIO
	}
	n := p.output(b)
	if n == 0 && len(b) > 0 {
		return 0, syscall.EAGAIN
	}
	return n, nil
}

// Poll tells the readiness.
func (s *Slave) Poll(mask vfs.Events) vfs.Events {
	p := s.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.dead() {
		return (vfs.EventsIn|vfs.EventsOut)&mask | vfs.EventErr | vfs.EventHup
	}
	var e vfs.Events
	if p.disc.readable(true) {
		e |= vfs.EventsIn
	}
	if p.outRoom() > 0 {
		e |= vfs.EventsOut
	}
	return e & mask
}

// Watch has w called on changes.
func (s *Slave) Watch(w *vfs.Waiter) { s.p.slaveQueue.Watch(w) }

// Unwatch ends that.
func (s *Slave) Unwatch(w *vfs.Waiter) { s.p.slaveQueue.Unwatch(w) }
