// Package pipe serves pipes and FIFOs (pipe(7), fifo(7)) as pollable files. It
// knows no processes: waiting, SIGPIPE and the access mode of a descriptor are
// POSIX's. It imports vfs, anon, hostwait and x/sys only.
//
// A pipe holds its bytes as Linux does, in slots of up to one page each, since
// that shows: in poll's readiness to write, in F_SETPIPE_SZ, in packet mode.
// Slots come from a shared pool and go back when they are read, so that an
// empty pipe costs a few hundred bytes.
//
// Lock order: FIFOs.mu, then pipe.mu (two pipes: the lower id first), then a
// vfs.Queue's, or the hostwait.Watcher's and then that.
package pipe

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/internal/servers/anon"
	"github.com/hati-os/hati/vfs"
)

const (
	pageSize = 4096
	// Atomic is PIPE_BUF: writes of up to so many bytes happen as a whole.
	Atomic = pageSize
	// DefaultSize is a new pipe's capacity in bytes.
	DefaultSize = 16 * pageSize
	// MaxSize is the largest capacity that an unprivileged caller may set
	// (/proc/sys/fs/pipe-max-size).
	MaxSize = 1 << 20
)

var lastID atomic.Uint64

// pipe is what the two kinds of ends share.
type pipe struct {
	id    uint64 // orders the locks of two pipes
	node  vfs.Node
	queue vfs.Queue // the ends' waiters
	opens vfs.Queue // those who wait in open(2) of a FIFO

	mu       sync.Mutex
	slots    slots
	max      uint32 // capacity in slots
	reserved uint32 // slots that a Fill is about to push
	draining bool   // a Drain has the front slot in its hands

	host     *hosted       // has the bytes instead of slots, or nil
	ours     bool          // it is not to be the host's any more
	unhosted chan struct{} // see Unhost
	waiting  []func()      // for that

	readers, writers int
	files            int
	// How many readers and writers there ever were: an opener sees by them that
	// a partner came, even if it left again before the opener ran.
	readerGen, writerGen uint64
}

func (p *pipe) init(node vfs.Node) {
	p.id, p.node, p.max = lastID.Add(1), node, DefaultSize/pageSize
}

// New returns the two ends of a new pipe, owned by user and group 0.
func New() (r, w *End) { return NewOwned(0, 0) }

// NewOwned returns the ends of a pipe that fstat(2) shows as owned by uid and
// gid.
func NewOwned(uid, gid uint32) (r, w *End) {
	// One piece of memory for all that lives as long as the pipe.
	all := new(struct {
		pipe pipe
		node node
		r, w End
	})
	p := &all.pipe
	all.node.pipe = p
	all.node.Init(anon.DevPipe, syscall.S_IFIFO|0o600, uid, gid)
	p.init(&all.node)
	p.readers, p.writers, p.files = 1, 1, 2
	p.readerGen, p.writerGen = 1, 1
	all.r.pipe, all.r.read = p, true
	all.w.pipe, all.w.write = p, true
	return &all.r, &all.w
}

// node is the inode of a pipe without a name. It can be opened by way of
// /proc/self/fd, which waits for nobody.
type node struct {
	anon.Node
	pipe *pipe
}

// Open returns another end.
func (n *node) Open(_ context.Context, flags int) (vfs.File, error) {
	e, err := n.pipe.open(flags)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (p *pipe) full() bool { return p.slots.len()+p.reserved >= p.max }

// readable reports whether a read would take bytes.
func (p *pipe) readable() bool { return p.slots.len() != 0 && !p.draining }

// readBytes is read(2), except that it never waits. freed tells that the pipe
// was full before and is not now. The caller holds mu.
func (p *pipe) readBytes(b []byte) (n int, freed bool, err error) {
	if len(b) == 0 {
		return 0, false, nil
	}
	if p.draining {
		return 0, false, syscall.EAGAIN
	}
	full := p.full()
	for n < len(b) && p.slots.len() != 0 {
		s := p.slots.front()
		c := copy(b[n:], s.bytes())
		n += c
		packet := s.packet
		if packet {
			c = int(s.len) // what did not fit is gone
		}
		p.slots.consume(c)
		if packet {
			break
		}
	}
	if n == 0 && p.writers != 0 {
		return 0, false, syscall.EAGAIN
	}
	return n, full && !p.full(), nil
}

// writeBytes is write(2), except that it never waits. The caller holds mu.
func (p *pipe) writeBytes(b []byte, packet bool) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	if p.readers == 0 {
		return 0, syscall.EPIPE
	}
	// Linux joins the odd part of a write, and only that, to the last slot.
	if odd := len(b) % pageSize; odd != 0 && p.slots.len() != 0 {
		if s := p.slots.back(); s.mergeable && int(s.off)+int(s.len)+odd <= pageSize {
			copy(s.page[s.off+s.len:], b[:odd])
			s.len += uint16(odd)
			p.slots.bytes += odd
			n = odd
		}
	}
	for n < len(b) {
		if p.full() {
			if n == 0 {
				return 0, syscall.EAGAIN
			}
			break
		}
		pg := getPage()
		c := copy(pg[:], b[n:])
		p.slots.push(slot{page: pg, len: uint16(c), packet: packet, mergeable: !packet})
		n += c
	}
	return n, nil
}
