package pipe

import (
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// FIFOs finds the pipe behind the node of a FIFO. The zero FIFOs is ready; a
// box has one. A pipe is there while an end is open, and its contents go with
// the last one.
type FIFOs struct {
	mu    sync.Mutex
	pipes map[vfs.Node]*pipe
}

// Open opens an end as open(2) of a FIFO does, without the waiting. flags has
// the access mode, O_NONBLOCK and O_DIRECT. ENXIO: O_WRONLY|O_NONBLOCK and no
// reader.
//
// The end counts as reader or writer at once. Without O_NONBLOCK the caller
// waits until End.Opened (watching End.Openings), and closes the end when it
// gives up.
func (f *FIFOs) Open(node vfs.Node, flags int) (*End, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pipes[node]
	if p == nil {
		p = new(pipe)
		p.init(node)
	}
	e, err := p.open(flags)
	if err != nil {
		return nil, err
	}
	e.fifos = f
	if f.pipes == nil {
		f.pipes = make(map[vfs.Node]*pipe)
	}
	f.pipes[node] = p
	return e, nil
}

// Len returns how many FIFOs are open.
func (f *FIFOs) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.pipes)
}

// open makes an end and wakes partners that wait for it.
func (p *pipe) open(flags int) (*End, error) {
	e := &End{pipe: p}
	e.packet.Store(flags&syscall.O_DIRECT != 0)
	nonblock := flags&syscall.O_NONBLOCK != 0
	var came vfs.Events
	p.mu.Lock()
	defer p.mu.Unlock()
	switch flags & syscall.O_ACCMODE {
	case syscall.O_RDONLY:
		e.read = true
		e.partnerGen = p.writerGen
		if nonblock && p.writers == 0 {
			e.writerGen = p.writerGen
		}
	case syscall.O_WRONLY:
		if nonblock && p.readers == 0 {
			return nil, syscall.ENXIO
		}
		e.write = true
		e.partnerGen = p.readerGen
	case syscall.O_RDWR:
		e.read, e.write = true, true
	default:
		return nil, syscall.EINVAL
	}
	if e.read {
		p.readerGen++
		if p.readers++; p.readers == 1 {
			came |= vfs.EventsOut
		}
	}
	if e.write {
		p.writerGen++
		if p.writers++; p.writers == 1 {
			came |= vfs.EventsIn
		}
	}
	p.files++
	if p.host == nil {
		p.ours = p.ours || e.packet.Load()
	} else {
		if err := p.sides(); err != nil {
			p.undo(e)
			return nil, err
		}
	}
	if came != 0 {
		p.opens.Notify(came)
		p.queue.Notify(came)
	}
	return e, nil
}

// undo takes back that an end was counted. p.mu is held.
func (p *pipe) undo(e *End) {
	if e.read {
		p.readers--
	}
	if e.write {
		p.writers--
	}
	p.files--
}

// Opened reports whether an open that waits for a partner is over: there is
// one, or one came since and has left again.
func (e *End) Opened() bool {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case e.read && !e.write:
		return p.writers != 0 || p.writerGen != e.partnerGen
	case e.write && !e.read:
		return p.readers != 0 || p.readerGen != e.partnerGen
	}
	return true
}

// Openings is notified of each first reader (EventOut) and writer (EventIn).
func (e *End) Openings() *vfs.Queue { return &e.pipe.opens }

// Counts are the ends of a pipe now, and how many there ever were since it was
// last unused.
type Counts struct {
	Readers, Writers     int
	ReaderGen, WriterGen uint64
}

// Counts returns the counts of the pipe.
func (e *End) Counts() Counts {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	return Counts{p.readers, p.writers, p.readerGen, p.writerGen}
}
