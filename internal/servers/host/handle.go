package host

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// handle is a host descriptor that is closed when its last user is through, so
// that a number is never used after another file may have got it. The zero
// handle is closed.
type handle struct {
	fd   int // stable while refs > 0
	refs atomic.Int32
}

// adopt makes fd the handle's, with refs users. The handle must be closed.
func (h *handle) adopt(fd int, refs int32) {
	h.fd = fd
	h.refs.Store(refs)
}

// get adds a user, and fails when the handle is closed.
func (h *handle) get() (int, bool) {
	for {
		r := h.refs.Load()
		if r == 0 {
			return -1, false
		}
		if h.refs.CompareAndSwap(r, r+1) {
			return h.fd, true
		}
	}
}

// put takes a user away. The error is close's, if this was the last one.
func (h *handle) put() error {
	fd := h.fd // afterwards the handle may be adopted anew
	if h.refs.Add(-1) == 0 {
		return unix.Close(fd)
	}
	return nil
}

// slot is where a directory keeps its O_PATH descriptor. The cache is one user
// while the slot is in it. It knows nothing of its directory, so that the cache
// keeps no directory alive.
type slot struct {
	handle
	used  atomic.Bool // since the cache's hand passed
	index int         // in cache.ring, or -1; guarded by cache.mu

	mu sync.Mutex // serialises opening
}

// take is get, and notes that the slot is in use.
func (s *slot) take() (int, bool) {
	fd, ok := s.get()
	if ok && !s.used.Load() { // mostly set: then the line stays shared
		s.used.Store(true)
	}
	return fd, ok
}

// cache bounds the descriptors that directories keep, by second chance: the
// hand goes round and takes the first slot that was not used since it last came
// by. A taken slot's descriptor lives on until its users are through.
type cache struct {
	mu     sync.Mutex
	max    int
	ring   []*slot
	hand   int
	closed bool
}

// add puts a slot in; one of its users becomes the cache.
func (c *cache) add(s *slot) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		s.put()
		return
	}
	var out *slot
	if len(c.ring) >= c.max {
		out = c.victim()
	}
	s.index = len(c.ring)
	c.ring = append(c.ring, s)
	c.mu.Unlock()
	if out != nil {
		out.put()
	}
}

// victim takes one slot out of the full ring.
func (c *cache) victim() *slot {
	for {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		s := c.ring[c.hand]
		if !s.used.Swap(false) {
			c.remove(s)
			return s
		}
		c.hand++
	}
}

func (c *cache) remove(s *slot) {
	last := len(c.ring) - 1
	c.ring[s.index] = c.ring[last]
	c.ring[s.index].index = s.index
	c.ring[last] = nil
	c.ring = c.ring[:last]
	s.index = -1
}

// drop takes s out, if it is in.
func (c *cache) drop(s *slot) {
	c.mu.Lock()
	in := s.index >= 0
	if in {
		c.remove(s)
	}
	c.mu.Unlock()
	if in {
		s.put()
	}
}

// shrink gives half of the descriptors back, for a process that has no more.
func (c *cache) shrink() {
	c.mu.Lock()
	out := make([]*slot, 0, len(c.ring)/2+1)
	for n := (len(c.ring) + 1) / 2; n > 0; n-- {
		out = append(out, c.victim())
	}
	c.mu.Unlock()
	for _, s := range out {
		s.put()
	}
}

// close empties the cache for good.
func (c *cache) close() {
	c.mu.Lock()
	out := c.ring
	c.ring, c.closed = nil, true
	for _, s := range out {
		s.index = -1
	}
	c.mu.Unlock()
	for _, s := range out {
		s.put()
	}
}

// size is the number of descriptors kept.
func (c *cache) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.ring)
}
