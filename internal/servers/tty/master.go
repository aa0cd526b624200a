package tty

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Master is the open file of the master: the terminal emulator's side.
type Master struct {
	p    *PTY
	node vfs.Node
}

// Master returns the master as opened through node. There is one; it is to be
// taken once.
func (p *PTY) Master(node vfs.Node) *Master { return &Master{p, node} }

// Node returns what was opened, usually /dev/ptmx.
func (m *Master) Node() vfs.Node { return m.node }

// Line returns the slave's terminal.
func (m *Master) Line() vfs.Line { return m.p }

// PTY returns the pair.
func (m *Master) PTY() *PTY { return m.p }

// IsMaster is true.
func (m *Master) IsMaster() bool { return true }

// IsStream is true.
func (m *Master) IsStream() bool { return true }

// ReadRule is one byte: a master's own modes are raw.
func (m *Master) ReadRule() vfs.ReadRule { return vfs.ReadRule{Min: 1} }

// OpenPeer opens the slave as TIOCGPTPEER does, without its name; EIO when
// nobody said how ([Options]).
func (m *Master) OpenPeer(ctx context.Context, flags int) (vfs.File, error) {
	if m.p.opts.OpenPeer == nil {
		return nil, syscall.EIO
	}
	return m.p.opts.OpenPeer(ctx, flags)
}

// Close ends the terminal: the slave is hung up.
func (m *Master) Close() error {
	p := m.p
	if p.opts.Closed != nil {
		p.opts.Closed()
	}
	p.mu.Lock()
	defer p.unlock()
	p.masterOpen = false
	p.packet = false
	p.hangupAndTell()
	p.released = p.slaves == 0
	return nil
}

// Read reads what the terminal shows: EAGAIN when there is nothing, EIO when
// moreover all files of the slave have been closed. In packet mode a first byte
// tells what follows.
func (m *Master) Read(_ context.Context, b []byte, _ int64) (int, error) {
	p := m.p
	p.mu.Lock()
	defer p.unlock()
	switch {
	case len(b) == 0:
		return 0, nil
	case p.packet && p.pktStatus != 0:
		b[0] = p.pktStatus
		p.pktStatus = 0
		return 1, nil
	case p.out.len() == 0 && p.slavesClosed:
		return 0, syscall.EIO
	case p.out.len() == 0:
		return 0, syscall.EAGAIN
	}
	n := 0
	if p.packet {
		b[0] = unix.TIOCPKT_DATA
		n = 1
	}
	k := copy(b[n:], p.out.bytes())
	p.out.discard(k)
	p.flushEcho()
	if p.outRoom() > 0 {
		p.slaveQueue.Notify(vfs.EventsOut)
	}
	return n + k, nil
}

// Write types b. It takes what there is room for, EAGAIN when there is none.
func (m *Master) Write(_ context.Context, b []byte, _ int64) (int, error) {
	p := m.p
	p.mu.Lock()
	defer p.unlock()
	if p.masterStop {
		return 0, syscall.EAGAIN
	}
	total := 0
	for len(b) > 0 {
		n := min(len(b), inLimit-p.in.len())
		if n == 0 {
			break
		}
		p.in.write(b[:n])
		b = b[n:]
		total += n
		p.receive()
	}
	if total == 0 && len(b) > 0 {
		return 0, syscall.EAGAIN
	}
	return total, nil
}

// masterRoom tells the master that it may write again; the caller holds mu.
func (p *PTY) masterRoom() {
	if p.in.len() < inLimit && !p.masterStop {
		p.masterQueue.Notify(vfs.EventsOut)
	}
}

// Poll tells the readiness.
func (m *Master) Poll(mask vfs.Events) vfs.Events {
	p := m.p
	p.mu.Lock()
	defer p.mu.Unlock()
	var e vfs.Events
	if p.out.len() > 0 {
		e |= vfs.EventsIn
	}
	if p.packet && p.pktStatus != 0 {
		e |= vfs.EventsIn | vfs.EventPri
	}
	if p.in.len() < inLimit && !p.masterStop {
		e |= vfs.EventsOut
	}
	if e &= mask; p.slavesClosed {
		e |= vfs.EventHup
	}
	return e
}

// Watch has w called on changes.
func (m *Master) Watch(w *vfs.Waiter) { m.p.masterQueue.Watch(w) }

// Unwatch ends that.
func (m *Master) Unwatch(w *vfs.Waiter) { m.p.masterQueue.Unwatch(w) }
