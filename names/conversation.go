package names

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names/internal/talk"
)

// Talk is the protocol of services whose lanes are conversations: what /srv shows.
var Talk = Protocol{talk.ProtocolName, talk.ProtocolVersion, talk.ProtocolOldest}

// Bounds of a conversation, each way.
const (
	MaxMessage  = 128 << 10 // bytes
	maxUnread   = 64        // messages
	unreadBytes = 2 * MaxMessage
)

// ErrPeerGone: the other side ended without saying so.
var ErrPeerGone = fmt.Errorf("names: the other side is gone: %w", syscall.ECONNRESET)

// Conversation exchanges messages over a lane: each is taken once, in order, with
// its boundaries. A message is sent when the other side has it in its queue; a
// Send that was cancelled has sent nothing. Its methods may be called
// concurrently.
type Conversation struct {
	lane    *lane.Lane
	ask     talk.Client
	sending chan struct{} // who holds its token sends
	notify  func()

	mu       sync.Mutex
	unread   [][]byte
	size     int
	received uint64 // the number of the last message that came
	sent     uint64 // of the last that was taken
	ended    bool   // the other side has said so
	arrived  chan struct{}
	room     chan struct{}
	resumed  chan struct{} // closed when the other side has taken it up again,
	known    uint64        // knowing that many of our messages
}

// ConversationOptions are what a conversation starts with.
type ConversationOptions struct {
	// Received and Sent are the numbers of the last messages each way that were
	// exchanged before, when it is taken up again.
	Received, Sent uint64
	// Notify is called, from any goroutine, when there is something to receive, or
	// will be nothing more.
	Notify func()
}

// Converse begins a conversation on a lane that has not been used.
func Converse(l *lane.Lane, o ConversationOptions) (*Conversation, error) {
	c := &Conversation{
		lane: l, ask: talk.Client{Lane: l}, sending: make(chan struct{}, 1), notify: o.Notify,
		received: o.Received, sent: o.Sent, arrived: make(chan struct{}), room: make(chan struct{}),
		resumed: make(chan struct{}),
	}
	// One at a time: in order.
	if err := l.Handle(talk.Handler(heard{c}), lane.ServeOptions{Concurrency: 1}); err != nil {
		l.Close()
		return nil, fmt.Errorf("names: a conversation: %w", err)
	}
	if o.Notify != nil {
		go func() {
			<-l.Done()
			o.Notify()
		}()
	}
	return c, nil
}

// Send sends a message of at most MaxMessage bytes and waits until the other side
// has taken it into its queue. An error in doubt says that it may have been taken;
// EPIPE that it was not and no other will be.
func (c *Conversation) Send(ctx context.Context, p []byte) error {
	if len(p) > MaxMessage {
		return syscall.EMSGSIZE
	}
	select {
	case c.sending <- struct{}{}:
		defer func() { <-c.sending }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	c.mu.Lock()
	seq, ended := c.sent+1, c.ended
	c.mu.Unlock()
	if ended {
		return syscall.EPIPE
	}
	err := c.ask.Message(ctx, &talk.MessageRequest{Seq: seq}, &talk.Nothing{}, &lane.Extra{Bulk: p})
	switch {
	case err == nil:
		c.mu.Lock()
		c.sent = seq
		c.mu.Unlock()
	case errors.Is(err, lane.ErrPeerDied), errors.Is(err, lane.ErrClosed):
		return syscall.EPIPE
	}
	return err
}

// TryRecv returns the next message, the caller's to keep. Without one it is
// EAGAIN; io.EOF after the last; ErrPeerGone when the other side ended without
// saying that this was the last.
func (c *Conversation) TryRecv() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.unread) > 0 {
		p := c.unread[0]
		c.unread = c.unread[1:]
		c.size -= len(p)
		close(c.room)
		c.room = make(chan struct{})
		return p, nil
	}
	return nil, c.overLocked()
}

// overLocked says why there is no message. c.mu is held.
func (c *Conversation) overLocked() error {
	if c.ended {
		return io.EOF
	}
	select {
	case <-c.lane.Done():
		return ErrPeerGone
	default:
		return syscall.EAGAIN
	}
}

// Recv is TryRecv, but waits for a message.
func (c *Conversation) Recv(ctx context.Context) ([]byte, error) {
	for {
		c.mu.Lock()
		arrived := c.arrived
		c.mu.Unlock()
		p, err := c.TryRecv()
		if err != syscall.EAGAIN {
			return p, err
		}
		select {
		case <-arrived:
		case <-c.lane.Done():
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Over says why no more messages come, beyond those that have: EAGAIN when they
// may, io.EOF or ErrPeerGone when not.
func (c *Conversation) Over() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.overLocked()
}

// Unread reports whether there is a message.
func (c *Conversation) Unread() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.unread) > 0
}

// Numbers returns those of the last messages that were received and sent.
func (c *Conversation) Numbers() (received, sent uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received, c.sent
}

// Resume asks the other side, a new instance of a server that recovers, which of
// our messages it knows; those after it are to be sent again.
func (c *Conversation) Resume(ctx context.Context) (known uint64, err error) {
	c.mu.Lock()
	q := talk.ResumeRequest{Received: c.received}
	c.mu.Unlock()
	var rep talk.ResumeReply
	if err := c.ask.Resume(ctx, &q, &rep, nil); err != nil {
		return 0, err
	}
	c.mu.Lock()
	c.sent = rep.Received
	c.mu.Unlock()
	return rep.Received, nil
}

// Resumed waits until the other side has called Resume, and returns the number of our
// last message that it knows. A server that recovers calls it before it sends: a
// message of which it does not know whether it arrived may have.
func (c *Conversation) Resumed(ctx context.Context) (known uint64, err error) {
	select {
	case <-c.resumed:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.known, nil
	case <-c.lane.Done():
		return 0, ErrPeerGone
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// Done is closed when the lane has ended.
func (c *Conversation) Done() <-chan struct{} { return c.lane.Done() }

// End says that no more comes, and waits until the other side knows. Close
// without it looks like a crash.
func (c *Conversation) End(ctx context.Context) error {
	return c.ask.End(ctx, &talk.Nothing{}, &talk.Nothing{}, nil)
}

// Close ends the lane. What has come can still be received.
func (c *Conversation) Close() error { return c.lane.Close() }

// heard is what the other side may ask.
type heard struct{ *Conversation }

// Message implements talk.Server. It waits while the queue is full.
func (c heard) Message(ctx context.Context, q *talk.MessageRequest, _ *talk.Nothing, r *lane.Request) error {
	if len(r.Bulk) > MaxMessage {
		return syscall.EMSGSIZE
	}
	c.mu.Lock()
	for len(c.unread) > 0 && (len(c.unread) >= maxUnread || c.size+len(r.Bulk) > unreadBytes) {
		room := c.room
		c.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		c.mu.Lock()
	}
	select {
	case <-c.lane.Done():
		// Nobody will know that it came. What has come stays as it is, for who takes
		// the conversation up again.
		c.mu.Unlock()
		return ErrPeerGone
	default:
	}
	if q.Seq <= c.received {
		// It came before: the answer was lost with an instance that is gone.
		c.mu.Unlock()
		return nil
	}
	if q.Seq != c.received+1 {
		c.mu.Unlock()
		return syscall.EBADMSG // there is one that has not come
	}
	p := append([]byte{}, r.Bulk...)
	c.unread = append(c.unread, p)
	c.size += len(p)
	c.received = q.Seq
	c.tell()
	return nil
}

// tell wakes who waits for messages. c.mu is held, and released.
func (c heard) tell() {
	close(c.arrived)
	c.arrived = make(chan struct{})
	c.mu.Unlock()
	if c.notify != nil {
		c.notify()
	}
}

// Resume implements talk.Server.
func (c heard) Resume(_ context.Context, q *talk.ResumeRequest, rep *talk.ResumeReply, _ *lane.Request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = max(c.sent, q.Received)
	rep.Received = c.received
	select {
	case <-c.resumed:
	default:
		c.known = q.Received
		close(c.resumed)
	}
	return nil
}

// End implements talk.Server.
func (c heard) End(context.Context, *talk.Nothing, *talk.Nothing, *lane.Request) error {
	c.mu.Lock()
	c.ended = true
	c.tell()
	return nil
}
