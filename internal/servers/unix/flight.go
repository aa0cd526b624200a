package unixsock

import (
	"sync"
	"sync/atomic"
)

// Ref is a reference to an open file that SCM_RIGHTS carries. Both methods
// may be called with the sockets' locks held, except Release, which is called
// without.
type Ref interface {
	// Dup returns a second reference, for MSG_PEEK. It does no more than count.
	Dup() Ref
	// Release gives the reference up; it may close the file.
	Release()
}

// SocketRef is a Ref to an open Socket. Without it, sockets that are in flight
// in each other's queues, and nowhere else, would stay for ever.
type SocketRef interface {
	Ref
	// Socket returns the socket.
	Socket() *Socket
	// Refs returns how many references to the open file there are, those in
	// flight included. It does no more than load a counter.
	Refs() int
}

// flight counts the sockets that are in flight.
type flight struct {
	mu      sync.Mutex
	sockets map[*Socket]*flying
	all     atomic.Int64 // references of any kind
	// cyclic: sockets may carry each other. It takes a message to a socket that is
	// itself in flight, which hardly a program sends; without, nothing can be lost
	// and nobody has to look.
	cyclic atomic.Bool
}

// InFlight returns how many references are in messages that nobody has received
// yet: a caller refuses more with ETOOMANYREFS when it passes his limit.
func (ns *Namespace) InFlight() int64 { return ns.flight.all.Load() }

type flying struct {
	ref SocketRef
	n   int
}

// add counts refs, which are about to be queued at to. The caller holds mu and
// to.mu.
func (f *flight) add(to *Socket, refs []Ref) {
	f.all.Add(int64(len(refs)))
	sockets := false
	for _, r := range refs {
		r, ok := r.(SocketRef)
		if !ok {
			continue
		}
		sockets = true
		if f.sockets == nil {
			f.sockets = make(map[*Socket]*flying)
		}
		s := r.Socket()
		e := f.sockets[s]
		if e == nil {
			e = &flying{ref: r}
			f.sockets[s] = e
		}
		e.n++
	}
	if sockets && (to.embryo || f.sockets[to] != nil) {
		f.cyclic.Store(true)
	}
}

// remove counts refs down, which are no longer queued. The caller holds mu.
func (f *flight) remove(refs []Ref) {
	f.all.Add(-int64(len(refs)))
	for _, r := range refs {
		r, ok := r.(SocketRef)
		if !ok {
			continue
		}
		s := r.Socket()
		e := f.sockets[s]
		if e.n--; e.n == 0 {
			delete(f.sockets, s)
		}
	}
}

// drop ends a message that was taken out of a queue and will not be received.
func (ns *Namespace) drop(m *message) {
	refs := m.refs
	m.refs = nil
	if refs != nil {
		ns.flight.mu.Lock()
		ns.flight.remove(refs)
		ns.flight.mu.Unlock()
	}
	discharge(m)
	m.free()
	for _, r := range refs {
		r.Release()
	}
}

// collectSome collects when there may be something to collect.
func (ns *Namespace) collectSome() {
	if ns.flight.cyclic.Load() {
		ns.Collect()
	}
}

// Collect releases the sockets that only messages in flight refer to which
// nobody can receive any more. Closing a socket does it, too.
func (ns *Namespace) Collect() {
	f := &ns.flight
	f.mu.Lock()
	garbage := f.garbage()
	var lost []*message
	for s := range garbage {
		lost = s.takeRefs(lost)
	}
	for _, m := range lost {
		f.remove(m.refs)
	}
	f.mu.Unlock()
	for _, m := range lost {
		refs := m.refs
		m.refs = nil
		discharge(m)
		m.free()
		for _, r := range refs {
			r.Release()
		}
	}
}

// garbage returns the sockets in flight that cannot be reached. A socket whose
// references are not all in flight can be; so can one in flight to a socket
// that can. The caller holds mu, so no socket leaves a queue meanwhile.
func (f *flight) garbage() map[*Socket]bool {
	carries := make(map[*Socket][]*Socket, len(f.sockets))
	for s := range f.sockets {
		carries[s] = s.carried(nil)
	}
	f.cyclic.Store(f.anyCycle(carries))
	from := make(map[*Socket]int) // candidates: references from other candidates
	for s, e := range f.sockets {
		if e.ref.Refs() == e.n {
			from[s] = 0
		}
	}
	for s := range from {
		for _, c := range carries[s] {
			if _, ok := from[c]; ok {
				from[c]++
			}
		}
	}
	var live []*Socket
	for s, n := range from {
		if n < f.sockets[s].n {
			live = append(live, s)
		}
	}
	dead := make(map[*Socket]bool, len(from))
	for s := range from {
		dead[s] = true
	}
	for len(live) > 0 {
		s := live[len(live)-1]
		live = live[:len(live)-1]
		if dead[s] {
			delete(dead, s)
			live = append(live, carries[s]...)
		}
	}
	return dead
}

// anyCycle reports whether sockets in flight carry each other: whether some are
// left when those that no other one carries are taken away again and again.
func (f *flight) anyCycle(carries map[*Socket][]*Socket) bool {
	in := make(map[*Socket]int, len(f.sockets))
	for _, list := range carries {
		for _, c := range list {
			in[c]++
		}
	}
	var free []*Socket
	for s := range f.sockets {
		if in[s] == 0 {
			free = append(free, s)
		}
	}
	taken := 0
	for ; len(free) > 0; taken++ {
		s := free[len(free)-1]
		free = free[:len(free)-1]
		for _, c := range carries[s] {
			if in[c]--; in[c] == 0 {
				free = append(free, c)
			}
		}
	}
	return taken < len(f.sockets)
}

// carried appends the sockets in the messages that wait for s, or for a
// connection that waits for s.
func (s *Socket) carried(list []*Socket) []*Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	for m := s.recv.first; m != nil; m = m.next {
		for _, r := range m.refs {
			if r, ok := r.(SocketRef); ok {
				list = append(list, r.Socket())
			}
		}
		if m.conn != nil { // newer than s, so its lock may be taken
			list = m.conn.carried(list)
		}
	}
	return list
}

// takeRefs takes the messages with references out of s's queue and those of its
// waiting connections, and appends them.
func (s *Socket) takeRefs(list []*message) []*message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keep queue
	for m := s.recv.takeAll(); m != nil; {
		next := m.next
		if m.conn != nil {
			list = m.conn.takeRefs(list)
		}
		if m.refs != nil {
			list = append(list, m)
		} else {
			keep.push(m)
			keep.bytes -= m.off
		}
		m = next
	}
	s.recv = keep
	return list
}
