package fuse

import (
	"fmt"
	"syscall"
)

// fragments joins answers that came in pieces. A daemon that splices a large
// READ's answer into a socket sends a message for every 15 pages or so of it, and
// other threads of the daemon may send theirs in between. A message is an answer
// by itself if its header has its very length and the number of a request under
// way, which cannot be guessed; anything else is the next piece. Only when two
// answers come in pieces at once nobody can tell whose a piece is: both READs are
// then made again. From the first piece on READs are so small that their answers
// are not taken apart, or, if this kernel takes apart even these, made one after
// the other.
type fragments struct {
	buf    []byte // the answer that came in part
	unique uint64 // its number
	want   int    // its length; 0 when there is none

	torn    []uint64 // READs of which the pieces cannot be told apart
	discard int      // bytes of theirs that are yet to come
	stray   int      // length of a piece that may yet come and belongs to nothing
}

// smallRead is the size of a READ whose answer stays in one piece: 16 pages are
// sent at once, of which the header is in one, and two may be used in part.
const smallRead = 13 * pageSize

// errTorn ends a READ that has to be made again.
var errTorn = fmt.Errorf("fuse: pieces of an answer are mixed up: %w", syscall.EAGAIN)

// take takes a message and gives conn what is whole.
func (f *fragments) take(c *conn, msg []byte) error {
	whole := len(msg) >= outHeaderSize && int(le.Uint32(msg)) == len(msg)
	if f.want == 0 && f.discard == 0 {
		if whole {
			return c.answer(msg)
		}
		return f.first(c, msg)
	}
	if whole {
		unique := le.Uint64(msg[8:])
		if unique != 0 && c.knows(unique) {
			return c.answer(msg)
		}
		if unique == 0 && f.notified(c, msg) {
			return nil
		}
	}
	if unique, size := c.readOf(msg); size > 0 {
		// A second answer in pieces.
		if f.want > 0 {
			f.torn, f.discard = append(f.torn, f.unique), f.want-len(f.buf)
			f.want, f.buf = 0, nil
		}
		f.torn = append(f.torn, unique)
		f.discard += size - len(msg)
		return nil
	}
	if f.discard > 0 {
		if f.discard -= len(msg); f.discard < 0 {
			return syscall.EINVAL
		}
		if f.discard == 0 {
			for _, unique := range f.torn {
				c.tear(unique)
			}
			f.torn = nil
		}
		return nil
	}
	if f.buf = append(f.buf, msg...); len(f.buf) < f.want {
		return nil
	}
	all := f.buf
	f.buf, f.want = nil, 0
	return c.answer(all) // EINVAL if it has become too long
}

// first takes what begins an answer in pieces.
func (f *fragments) first(c *conn, msg []byte) error {
	unique, size := c.readOf(msg)
	if size == 0 {
		if f.stray > 0 && len(msg) == f.stray {
			f.stray = 0
			return nil
		}
		return syscall.EINVAL
	}
	c.splices()
	f.unique, f.want = unique, size
	f.buf = append(make([]byte, 0, size), msg...)
	return nil
}

// notified takes a message that may be a notification or a piece that looks like
// one, and reports whether it was no piece. All pieces but the last are whole
// pages, which notifications that invalidate are not. For one as long as the last
// piece it does both: to invalidate too much does no harm, and the READ is made
// again.
func (f *fragments) notified(c *conn, msg []byte) bool {
	switch le.Uint32(msg[4:]) {
	case notifyPoll, notifyInvalInode, notifyInvalEntry, notifyDelete, notifyIncEpoch:
	default:
		return false
	}
	left := f.discard
	if f.want > 0 {
		left = f.want - len(f.buf)
	}
	if len(msg)%pageSize == 0 {
		return false
	}
	_ = c.answer(msg) // what it names may well not exist
	if len(msg) != left || f.want == 0 {
		return true
	}
	c.tear(f.unique)
	f.want, f.buf, f.stray = 0, nil, left
	return true
}

// knows reports whether a request with the number is under way.
func (c *conn) knows(unique uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending[unique&^1] != nil
}

// readOf returns the number and whole length of the READ's answer that msg
// begins; 0 when it does not.
func (c *conn) readOf(msg []byte) (unique uint64, size int) {
	if len(msg) < outHeaderSize || le.Uint32(msg[4:]) != 0 {
		return 0, 0
	}
	unique, size = le.Uint64(msg[8:]), int(le.Uint32(msg))
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.pending[unique]
	if r == nil || r.op != opRead || size <= len(msg) || size > outHeaderSize+r.max {
		return 0, 0
	}
	return unique, size
}

// tear ends a READ with errTorn.
func (c *conn) tear(unique uint64) {
	c.mu.Lock()
	r := c.pending[unique]
	if r == nil {
		c.mu.Unlock()
		return
	}
	delete(c.pending, unique)
	waited := r.state == sent && !r.background
	if r.state == abandoned {
		c.abandoned--
	}
	r.state = answered
	c.mu.Unlock()
	if waited {
		r.mu.Lock()
		r.err = errTorn
		r.mu.Unlock()
		r.done <- struct{}{}
	}
}

// splices notes that the daemon splices its answers.
func (c *conn) splices() {
	if c.maxRead.Load() <= smallRead {
		c.serial.Store(true)
		return
	}
	c.maxRead.Store(smallRead)
}
