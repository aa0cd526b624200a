package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
)

// answering is a server's end of one client's lane, whatever it serves.
type answering struct {
	end   *lane.Lane
	gone  context.Context // ends with the lane
	leave context.CancelCauseFunc
	work  sync.WaitGroup // requests under way

	breach errorOnce
	ending sync.Mutex
	ended  bool

	notes notes
}

// notes are what the client is to be told, in order.
type notes struct {
	mu      sync.Mutex // a leaf
	owed    []func(context.Context) error
	running bool
}

func (c *answering) init(end *lane.Lane) {
	c.end = end
	c.gone, c.leave = context.WithCancelCause(context.Background())
}

// run answers until the lane or ctx ends, and then has finish give back what the
// client had.
func (c *answering) run(ctx context.Context, h lane.Handler, o lane.ServeOptions, finish func()) error {
	if err := c.end.Handle(h, o); err != nil {
		return err
	}
	select {
	case <-c.end.Done():
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
		c.end.Shutdown(grace)
		cancel()
	}
	finish()
	switch {
	case c.breach.Load() != nil:
		return *c.breach.Load()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(c.end.Err(), lane.ErrPeerDied):
		return nil
	}
	return c.end.Err()
}

// serveAll serves every lane that l accepts, until ctx ends.
func serveAll(ctx context.Context, l *lane.Listener, log func(string, ...any), serve func(*lane.Lane) error) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.Close()
	for {
		end, err := l.Accept(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		wg.Go(func() {
			if err := serve(end); err != nil && ctx.Err() == nil && log != nil {
				log("a client's lane ended: %v", err)
			}
		})
	}
}

// around is a protocol's handler with what concerns all operations.
func (c *answering) around(h lane.Handler) lane.Handler {
	return func(ctx context.Context, r *lane.Request) error {
		if !c.begin() {
			return vfs.ErrCallerDied
		}
		defer c.work.Done()
		if !r.IsNote {
			var ok bool
			if ctx, ok = takeCaller(ctx, &r.Data); !ok {
				return c.broken("a call without a caller")
			}
		}
		err := h(ctx, r)
		if err == nil {
			return nil
		}
		var e syscall.Errno
		switch {
		case errors.Is(err, vfs.ErrInDoubt):
			return fmt.Errorf("%w: %v", lane.ErrInDoubt, err) // of a server behind this one
		case errors.As(err, &e):
			return goodErrno(e)
		}
		return err
	}
}

// goodErrno is EIO for numbers that no caller may get from a server: none, an
// interruption that nobody sent, the kernel's own.
func goodErrno(e syscall.Errno) syscall.Errno {
	if e == 0 || e == syscall.EINTR || e >= 512 {
		return syscall.EIO
	}
	return e
}

func (c *answering) begin() bool {
	c.ending.Lock()
	defer c.ending.Unlock()
	if c.ended {
		return false
	}
	c.work.Add(1)
	return true
}

// stop lets no request begin any more.
func (c *answering) stop() {
	c.leave(vfs.ErrCallerDied)
	c.ending.Lock()
	c.ended = true
	c.ending.Unlock()
}

// note has send called soon: who has a note to send, a Wake say, must not wait for a
// lane.
func (c *answering) note(send func(context.Context) error) {
	c.notes.mu.Lock()
	defer c.notes.mu.Unlock()
	c.notes.owed = append(c.notes.owed, send)
	if !c.notes.running {
		c.notes.running = true
		go c.sendNotes()
	}
}

func (c *answering) sendNotes() {
	n := &c.notes
	for {
		n.mu.Lock()
		owed := n.owed
		n.owed = nil
		if len(owed) == 0 || c.gone.Err() != nil {
			n.running = false
			n.mu.Unlock()
			return
		}
		n.mu.Unlock()
		for _, send := range owed {
			if send(c.gone) != nil {
				break // the lane has ended, and with it loans and waits
			}
		}
	}
}

// errBroken ends a request whose lane is being ended.
var errBroken = fmt.Errorf("remote: the client broke the protocol: %w", syscall.EPROTO)

// broken ends the lane of a client that did what no honest one does.
func (c *answering) broken(format string, args ...any) error {
	err := fmt.Errorf("remote: the client broke the protocol: "+format, args...)
	if c.breach.set(err) {
		go c.end.Close() // which waits for nobody, but may call back
	}
	return errBroken
}
