package fuse

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
)

// state is where a request is. conn.mu guards it.
type state uint8

const (
	queued    state = iota // the daemon has not seen it
	sent                   // the daemon has it
	answered               // its answer is being taken, or was
	abandoned              // nobody waits for its answer
)

// request is one operation under way.
type request struct {
	op     uint32
	node   uint64
	unique uint64
	caller vfs.Caller
	in     []byte // the operation's structure and names
	data   []byte // more of it, in the caller's memory

	// dest takes the answer's bytes; without it, body has a copy of them.
	dest []byte
	body []byte
	n    int // bytes in dest
	max  int // the answer's greatest length
	err  error

	state       state
	interrupted bool          // an INTERRUPT is queued or sent
	background  bool          // nobody ever waited
	noReply     bool          // and there is no answer
	done        chan struct{} // closed, or sent to, when the answer was taken
	// late gets the answer of a request that nobody waits for (any more): err is
	// nil only when the daemon did it.
	late       func(body []byte, err error)
	next, prev *request

	mu sync.Mutex // held while data or dest are used
}

var requests = sync.Pool{New: func() any { return &request{done: make(chan struct{}, 1)} }}

// newRequest returns a request for the operation; its structure goes to r.in.
func newRequest(op uint32, node uint64) *request {
	r := requests.Get().(*request)
	r.op, r.node = op, node
	return r
}

// free lets the request be used again. Only who has seen its end may call it.
func (r *request) free() {
	if cap(r.in) > 4096 || cap(r.body) > 4096 {
		return
	}
	*r = request{done: r.done, in: r.in[:0], body: r.body[:0]}
	requests.Put(r)
}

// enc returns the encoder of the request's structure.
func (r *request) enc() *encoder {
	if r.in == nil {
		r.in = make([]byte, 0, 128)
	}
	return &encoder{r.in}
}

func (r *request) size() int { return inHeaderSize + len(r.in) + len(r.data) }

// encode writes the request to p, which has room for it.
func (r *request) encode(p []byte) int {
	le.PutUint32(p, uint32(r.size()))
	le.PutUint32(p[4:], r.op)
	le.PutUint64(p[8:], r.unique)
	le.PutUint64(p[16:], r.node)
	le.PutUint32(p[24:], r.caller.UID)
	le.PutUint32(p[28:], r.caller.GID)
	le.PutUint32(p[32:], uint32(r.caller.PID))
	le.PutUint32(p[36:], 0)
	n := inHeaderSize
	n += copy(p[n:], r.in)
	return n + copy(p[n:], r.data)
}

// call sends the request and waits for its answer. The request's structure is
// e's. Afterwards r is the caller's, to read and to free, unless the answer is
// in doubt.
func (c *conn) call(ctx context.Context, r *request) error {
	if err := c.start(ctx, r); err != nil {
		return err
	}
	return c.wait(ctx, r)
}

// start is the first half of call, for who sends several. After an error there is
// nothing to wait for.
func (c *conn) start(ctx context.Context, r *request) error {
	if err := c.awaitReady(ctx); err != nil {
		return err
	}
	if caller, ok := vfs.CallerOf(ctx); ok {
		r.caller = caller
		if c.onHost {
			r.caller.PID = vfs.HostPID(ctx)
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return c.enqueue(r)
}

// wait is the second half.
func (c *conn) wait(ctx context.Context, r *request) error {
	select {
	case <-r.done:
		return r.result(ctx)
	case <-ctx.Done():
		return c.callEnded(ctx, r)
	}
}

// leave gives up waiting for a request at once.
func (c *conn) leave(r *request) { _ = c.wait(ended, r) }

// ended is the context of a caller that is no more.
var ended = func() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(vfs.ErrKilled)
	return ctx
}()

// result is the error of an answered request. EINTR is the answer to an
// interrupt: nothing happened.
func (r *request) result(ctx context.Context) error {
	if r.err == syscall.EINTR && r.interrupted {
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	return r.err
}

// callEnded is what happens when ctx is done before the answer is there.
func (c *conn) callEnded(ctx context.Context, r *request) error {
	cause := context.Cause(ctx)
	c.mu.Lock()
	switch r.state {
	case queued:
		c.queue.remove(r)
		c.mu.Unlock()
		return cause
	case sent:
		c.interrupt(r)
		if vfs.Interrupted(cause) {
			c.mu.Unlock()
			c.wake()
			timer := time.NewTimer(c.grace)
			defer timer.Stop()
			select {
			case <-r.done:
				return r.result(ctx)
			case <-timer.C:
			case <-vfs.Final(ctx):
			}
			c.mu.Lock()
		}
	}
	if r.state == answered {
		c.mu.Unlock()
		<-r.done
		return r.result(ctx)
	}
	r.state = abandoned
	c.abandoned++
	tooMany := c.abandoned > maxAbandoned
	c.mu.Unlock()
	c.wake()
	// Whoever copies from or to the caller's memory finishes first.
	r.mu.Lock()
	r.data, r.dest = nil, nil
	r.mu.Unlock()
	if tooMany {
		c.abort(errTooMany)
	}
	return vfs.ErrInDoubt
}

// maxAbandoned bounds what a daemon that never answers costs.
const maxAbandoned = 1 << 16

var errTooMany = fmt.Errorf("fuse: the daemon left %d requests unanswered: %w", maxAbandoned, syscall.ETIMEDOUT)

// send queues a request whose answer nobody waits for: late, if not nil, gets it.
// c owns r then.
func (c *conn) send(r *request) {
	r.background = true
	_ = c.enqueue(r) // a dead daemon wants no more
}

// sendAs is send for a request with a number of the daemon's own (NOTIFY_REPLY),
// which gets no answer.
func (c *conn) sendAs(r *request, unique uint64) {
	c.mu.Lock()
	if c.lost.Load() || c.ending {
		c.mu.Unlock()
		return
	}
	r.background, r.noReply, r.unique, r.state = true, true, unique, queued
	c.queue.push(r)
	c.mu.Unlock()
	c.wake()
}

// resend queues again all that the daemon has and has not answered: it was
// restarted, and its predecessor has left it the channel.
func (c *conn) resend() {
	c.mu.Lock()
	var again []*request
	for id, r := range c.pending {
		if r.state == sent {
			delete(c.pending, id)
			again = append(again, r)
		}
	}
	slices.SortFunc(again, func(a, b *request) int { return cmp.Compare(a.unique, b.unique) })
	for _, r := range again {
		r.state, r.unique = queued, r.unique|resent
		c.queue.push(r)
	}
	c.mu.Unlock()
	c.wake()
}

// resent marks the number of a request that is sent again.
const resent = 1 << 63

// list is a queue of requests.
type list struct{ first, last *request }

func (l *list) push(r *request) {
	r.prev, r.next = l.last, nil
	if l.last != nil {
		l.last.next = r
	} else {
		l.first = r
	}
	l.last = r
}

func (l *list) remove(r *request) {
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		l.first = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	} else {
		l.last = r.prev
	}
	r.next, r.prev = nil, nil
}

func (l *list) pop() *request {
	r := l.first
	if r != nil {
		l.remove(r)
	}
	return r
}
