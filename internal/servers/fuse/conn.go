package fuse

import (
	"context"
	"crypto/rand"
	"math"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
)

// conn is the connection to a daemon: what it is to be asked, and what it has
// been asked. The daemon takes requests with next and answers with answer,
// whatever the channel between.
type conn struct {
	limits
	peer  peer
	grace time.Duration // that a daemon may take to acknowledge an interrupt
	// onHost: the daemon can look processes up by the host's numbers only.
	onHost bool

	// avail has the waiters for something to take.
	avail vfs.Queue
	// poke, when not nil, is called when there is something to take.
	poke func()

	ready atomic.Bool   // INIT is answered, or the daemon dead
	begun chan struct{} // closed then
	lost  atomic.Bool   // the daemon is dead, or as good as that

	noInterrupt atomic.Bool
	lacks       [opLast]atomic.Bool // operations answered with ENOSYS

	mu         sync.Mutex
	last       uint64
	queue      list
	interrupts []uint64
	forgets    []forget
	turns      int // requests taken since a forget was
	pending    map[uint64]*request
	abandoned  int
	ending     bool // DESTROY is the last request
	why        error
}

// peer is what the conn tells of.
type peer interface {
	// notified: the daemon says something by itself.
	notified(code int32, body []byte) error
	// died: the connection has ended.
	died()
}

// forget is what the daemon is to forget, after it has got all requests up to
// one: a RELEASE of the same node must not come later.
type forget struct{ id, lookups, after uint64 }

func newConn(p peer) *conn {
	var b [8]byte
	rand.Read(b[:]) // not to be guessed by what a file contains
	return &conn{peer: p, grace: time.Second, begun: make(chan struct{}), pending: map[uint64]*request{}, last: le.Uint64(b[:]) >> 2 &^ 1}
}

// beginLocked lets those go on who wait for the answer to INIT: it came, or never will.
func (c *conn) beginLocked() {
	if !c.ready.Load() {
		c.ready.Store(true)
		close(c.begun)
	}
}

// awaitReady waits until the daemon has answered INIT; ENOTCONN when it is dead.
func (c *conn) awaitReady(ctx context.Context) error {
	if !c.ready.Load() {
		select {
		case <-c.begun:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if c.lost.Load() {
		return syscall.ENOTCONN
	}
	return nil
}

// enqueue gives the request to the daemon.
func (c *conn) enqueue(r *request) error {
	c.mu.Lock()
	if c.lost.Load() || c.ending {
		c.mu.Unlock()
		return syscall.ENOTCONN
	}
	c.last += 2
	r.unique, r.state = c.last, queued
	c.queue.push(r)
	c.mu.Unlock()
	c.wake()
	return nil
}

// wake tells the daemon that there is something to take.
func (c *conn) wake() {
	c.avail.Notify(vfs.EventsIn)
	if c.poke != nil {
		c.poke()
	}
}

// interrupt queues an INTERRUPT of a request that was sent. c.mu is held.
func (c *conn) interrupt(r *request) {
	if !r.interrupted && !c.noInterrupt.Load() {
		r.interrupted = true
		c.interrupts = append(c.interrupts, r.unique)
	}
}

// forget tells the daemon that lookups of a node are forgotten.
func (c *conn) forget(id, lookups uint64) {
	c.mu.Lock()
	if lookups == 0 || c.lost.Load() || c.ending {
		c.mu.Unlock()
		return
	}
	c.forgets = append(c.forgets, forget{id, lookups, c.last})
	c.mu.Unlock()
	c.wake()
}

// something reports whether there is anything to take.
func (c *conn) something() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue.first != nil || len(c.interrupts)+len(c.forgets) != 0
}

// next takes a request into p. EAGAIN when there is none, ENODEV when there will
// be none, EINVAL when p is too small for anything.
func (c *conn) next(p []byte) (int, error) {
	if len(p) < minReadBuffer {
		return 0, syscall.EINVAL
	}
	for {
		c.mu.Lock()
		if c.lost.Load() {
			c.mu.Unlock()
			return 0, syscall.ENODEV
		}
		if n := c.nextInterrupt(p); n > 0 {
			c.mu.Unlock()
			return n, nil
		}
		if c.queue.first == nil || c.turns >= 8 {
			if n := c.nextForget(p); n > 0 {
				c.turns = 0
				c.mu.Unlock()
				return n, nil
			}
		}
		r := c.queue.pop()
		if r == nil {
			ended := c.ending && len(c.pending) == 0
			c.mu.Unlock()
			if ended {
				c.abort(nil)
				return 0, syscall.ENODEV
			}
			return 0, syscall.EAGAIN
		}
		c.turns++
		if r.size() > len(p) {
			r.state = answered
			c.mu.Unlock()
			r.fail(tooBig(r.op))
			continue
		}
		r.state = sent
		if !r.noReply {
			c.pending[r.unique] = r
		}
		r.mu.Lock()
		c.mu.Unlock()
		n := r.encode(p)
		r.mu.Unlock()
		return n, nil
	}
}

func tooBig(op uint32) error {
	if op == opSetxattr {
		return syscall.E2BIG
	}
	return syscall.EIO
}

// nextInterrupt writes an INTERRUPT. c.mu is held.
func (c *conn) nextInterrupt(p []byte) int {
	for len(c.interrupts) > 0 {
		id := c.interrupts[0]
		c.interrupts = c.interrupts[1:]
		if c.pending[id] == nil || c.noInterrupt.Load() {
			continue // answered meanwhile
		}
		r := request{op: opInterrupt, unique: id | 1}
		r.in = r.enc().u64(id).b
		return r.encode(p)
	}
	return 0
}

// nextForget writes a FORGET, of many nodes if the daemon takes that. c.mu is
// held.
func (c *conn) nextForget(p []byte) int {
	n := len(c.forgets)
	if r := c.queue.first; r != nil {
		for n = 0; n < len(c.forgets) && !r.noReply && c.forgets[n].after < r.unique&^resent; n++ {
		}
	}
	if n == 0 {
		return 0
	}
	c.last += 2
	r := request{op: opForget, unique: c.last}
	if n == 1 || c.minor < 16 {
		f := c.forgets[0]
		c.forgets = c.forgets[1:]
		r.node = f.id
		r.in = r.enc().u64(f.lookups).b
		return r.encode(p)
	}
	n = min(n, (minReadBuffer-inHeaderSize-8)/16)
	r.op = opBatchForget
	e := r.enc().u32(uint32(n), 0)
	for _, f := range c.forgets[:n] {
		e.u64(f.id, f.lookups)
	}
	r.in = e.b
	if c.forgets = c.forgets[n:]; len(c.forgets) == 0 {
		c.forgets = nil
	}
	return r.encode(p)
}

// answer takes a reply or a notification. EINVAL when it makes no sense, ENOENT
// when nobody waits for it.
func (c *conn) answer(msg []byte) error {
	h, body, err := parseOut(msg)
	if err != nil {
		return err
	}
	if c.lost.Load() {
		return syscall.ENODEV
	}
	if h.unique == 0 {
		if !c.ready.Load() {
			return syscall.EINVAL
		}
		return c.peer.notified(h.error, body)
	}
	if h.error > 0 || h.error <= -512 || h.error != 0 && len(body) != 0 {
		return syscall.EINVAL
	}
	if h.unique&1 != 0 {
		return c.answerInterrupt(h, body)
	}
	c.mu.Lock()
	r := c.pending[h.unique]
	if r == nil {
		c.mu.Unlock()
		return syscall.ENOENT
	}
	delete(c.pending, h.unique)
	waited := r.state == sent && !r.background
	if r.state == abandoned {
		c.abandoned--
	}
	r.state = answered
	ended := c.ending && len(c.pending) == 0 && c.queue.first == nil
	c.mu.Unlock()
	if ended {
		defer c.abort(nil)
	}
	if h.error == 0 {
		err = nil
	} else {
		err = syscall.Errno(-h.error)
	}
	if err == syscall.ENOSYS && r.op < opLast {
		c.lacks[r.op].Store(true)
	}
	if !waited {
		if r.late != nil {
			r.late(body, err)
		}
		return nil
	}
	bad := err == nil && len(body) > r.max
	r.mu.Lock()
	switch {
	case bad:
		r.err = syscall.EIO
	case err != nil:
		r.err = err
	case r.dest != nil:
		r.n = copy(r.dest, body)
	default:
		r.body = append(r.body[:0], body...)
	}
	r.mu.Unlock()
	r.done <- struct{}{}
	if bad {
		return syscall.EINVAL
	}
	return nil
}

// fail ends a request that was not sent. Its state is answered.
func (r *request) fail(err error) {
	if r.background {
		if r.late != nil {
			r.late(nil, err)
		}
		return
	}
	r.err = err
	r.done <- struct{}{}
}

// answerInterrupt takes what a daemon says to an INTERRUPT: that it did not know
// the request yet, or that it knows no interrupts.
func (c *conn) answerInterrupt(h outHeader, body []byte) error {
	if len(body) != 0 {
		return syscall.EINVAL
	}
	switch syscall.Errno(-h.error) {
	case syscall.ENOSYS:
		c.noInterrupt.Store(true)
	case syscall.EAGAIN:
		c.mu.Lock()
		if c.pending[h.unique&^1] != nil {
			c.interrupts = append(c.interrupts, h.unique&^1)
		}
		c.mu.Unlock()
		c.wake()
	}
	return nil
}

// abort ends the connection: what the daemon has not got fails with ENOTCONN,
// what it has is in doubt. It may be called often. why is what to tell the
// operator, nil when there is nothing to.
func (c *conn) abort(why error) {
	c.mu.Lock()
	if c.lost.Load() {
		c.mu.Unlock()
		return
	}
	c.lost.Store(true)
	c.why = why
	var unsent []*request
	for r := c.queue.pop(); r != nil; r = c.queue.pop() {
		r.state = answered
		unsent = append(unsent, r)
	}
	var doubt []*request
	for _, r := range c.pending {
		if r.state == sent {
			doubt = append(doubt, r)
		}
		r.state = answered
	}
	c.pending, c.forgets, c.interrupts = nil, nil, nil
	c.beginLocked()
	c.mu.Unlock()
	for _, r := range unsent {
		r.fail(syscall.ENOTCONN)
	}
	for _, r := range doubt {
		r.mu.Lock() // until what is being sent was copied
		r.mu.Unlock()
		r.fail(vfs.ErrInDoubt)
	}
	c.avail.Notify(vfs.EventErr | vfs.EventHup | vfs.EventsIn)
	if c.poke != nil {
		c.poke()
	}
	c.peer.died()
}

// end lets the daemon finish what it has been asked, tells it to DESTROY, and
// then ends the connection.
func (c *conn) end() {
	if c.lost.Load() {
		return
	}
	if !c.ready.Load() {
		c.abort(nil)
		return
	}
	r := newRequest(opDestroy, 0)
	r.background = true
	c.mu.Lock()
	if c.lost.Load() || c.ending {
		c.mu.Unlock()
		return
	}
	c.last += 2
	r.unique, r.state = c.last, queued
	c.queue.push(r)
	c.ending = true
	c.forgets = nil // all of them
	c.mu.Unlock()
	c.wake()
}

// limits are what the INIT answer settled.
type limits struct {
	minor    uint32
	flags    uint64
	maxWrite int
	// maxRead becomes smaller, and serial true, for a daemon that splices into a
	// socket.
	maxRead  atomic.Int64
	serial   atomic.Bool
	serially ctxLock
}

// noLimit is for options without one.
const noLimit = math.MaxInt32
