package pipe

import (
	"sync"
	"sync/atomic"
)

type page = [pageSize]byte

var pages = sync.Pool{New: func() any { return new(page) }}

func getPage() *page { return pages.Get().(*page) }

// slot is a piece of a pipe's contents within one page.
type slot struct {
	page      *page
	shared    *atomic.Int32 // how many slots use page; nil: this one alone
	off, len  uint16
	packet    bool // one packet: what a read leaves of it is lost
	mergeable bool // a later write may append to it
}

func (s *slot) bytes() []byte { return s.page[s.off : s.off+s.len] }

// share returns a second slot on the first n bytes of s. It does not take
// appends: those go to s alone, past the bytes that the copy knows.
func (s *slot) share(n int) slot {
	if s.shared == nil {
		s.shared = new(atomic.Int32)
		s.shared.Store(1)
	}
	s.shared.Add(1)
	c := *s
	c.len, c.mergeable = uint16(n), false
	return c
}

func (s *slot) release() {
	if s.shared == nil || s.shared.Add(-1) == 0 {
		pages.Put(s.page)
	}
	*s = slot{}
}

const (
	firstRing = 2
	// keptRing is the largest ring that an empty pipe keeps.
	keptRing = 16
)

// slots is a ring that grows by doubling.
type slots struct {
	ring       []slot
	head, tail uint32 // of a power of two; they run on and wrap
	bytes      int
}

func (r *slots) len() uint32 { return r.head - r.tail }

func (r *slots) at(i uint32) *slot { return &r.ring[i&uint32(len(r.ring)-1)] }

func (r *slots) front() *slot { return r.at(r.tail) }

func (r *slots) back() *slot { return r.at(r.head - 1) }

// push appends s. The caller has checked for room.
func (r *slots) push(s slot) {
	if int(r.len()) == len(r.ring) {
		grown := make([]slot, max(2*len(r.ring), firstRing))
		for i := range r.len() {
			grown[i] = *r.at(r.tail + i)
		}
		r.head, r.tail, r.ring = r.len(), 0, grown
	}
	r.bytes += int(s.len)
	*r.at(r.head) = s
	r.head++
}

// pop takes the front slot out.
func (r *slots) pop() slot {
	s := r.front()
	c := *s
	*s = slot{}
	r.tail++
	r.bytes -= int(c.len)
	if r.len() == 0 && len(r.ring) > keptRing {
		r.ring, r.head, r.tail = nil, 0, 0
	}
	return c
}

// consume drops n bytes, at most all, from the front slot.
func (r *slots) consume(n int) {
	s := r.front()
	if n == int(s.len) {
		c := r.pop()
		c.release()
		return
	}
	s.off += uint16(n)
	s.len -= uint16(n)
	r.bytes -= n
}

func (r *slots) clear() {
	for r.len() != 0 {
		c := r.pop()
		c.release()
	}
	*r = slots{}
}
