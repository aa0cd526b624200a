package remote

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
)

// Dialer makes a lane to a server: to the same one, or to one that was started
// anew. ctx is that of the operation that needs it.
type Dialer func(ctx context.Context) (*lane.Lane, error)

// talk is a client's lane to one server.
type talk struct {
	lane   *lane.Lane
	breach errorOnce
}

func (t *talk) talking() *talk { return t }

// broken ends the lane to a server that answered what no honest one does. The
// request has done something, but what cannot be told.
func (t *talk) broken(format string, args ...any) error {
	err := fmt.Errorf("remote: the server broke the protocol: "+format, args...)
	if t.breach.set(err) {
		t.lane.Close()
	}
	return &doubt{err.Error()}
}

// redialer has a client's session, S, with its server, and another one when that is
// gone.
type redialer[T any, S interface {
	*T
	talking() *talk
}] struct {
	now     atomic.Pointer[T]
	dial    Dialer        // nil: a server that is gone is gone
	dialing chan struct{} // has room for the one that dials

	life  context.Context // ends with the client
	leave context.CancelCauseFunc

	reach  func(context.Context) (S, error) // dials and begins a session
	follow func(old S)                      // hears of one before another follows it
}

func (r *redialer[T, S]) init(dial Dialer) {
	r.dial, r.dialing = dial, make(chan struct{}, 1)
	r.life, r.leave = context.WithCancelCause(context.Background())
}

func (r *redialer[T, S]) talk() *talk { return S(r.now.Load()).talking() }

// Close ends the client: its server gives back all that it has of it.
func (r *redialer[T, S]) Close() error {
	r.leave(vfs.ErrShutdown)
	return r.talk().lane.Close()
}

// Err says why the lane has ended; nil before, and while there is another one.
func (r *redialer[T, S]) Err() error {
	t := r.talk()
	err := t.lane.Err()
	if e := t.breach.Load(); e != nil && err != nil { // it ends a moment after the breach
		return *e
	}
	return err
}

// Pending lists the requests under way.
func (r *redialer[T, S]) Pending() []lane.Operation { return r.talk().lane.Pending() }

// session returns one whose lane lives, if there can be one.
func (r *redialer[T, S]) session(ctx context.Context) (S, error) {
	for {
		s := S(r.now.Load())
		if s.talking().lane.Err() == nil {
			return s, nil
		}
		if r.dial == nil || r.life.Err() != nil {
			return nil, ErrGone
		}
		select {
		case r.dialing <- struct{}{}:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		var err error
		if S(r.now.Load()) == s {
			err = r.renew(ctx, s)
		}
		<-r.dialing
		if err != nil {
			return nil, err
		}
	}
}

// renew dials in place of old.
func (r *redialer[T, S]) renew(ctx context.Context, old S) error {
	d, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.life, func() { cancel(vfs.ErrShutdown) })()
	s, err := r.reach(d)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return fmt.Errorf("%w (%v)", ErrGone, err)
	}
	r.follow(old)
	r.now.Store(s)
	if r.life.Err() != nil { // Close may have missed it
		s.talking().lane.Close()
	}
	return nil
}
