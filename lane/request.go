package lane

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
)

// Handler answers a request: it fills r.Reply and returns nil or an error.
//
// A [syscall.Errno] (wrapped or not) reaches the caller as such, another error as
// a [*RemoteError]. When ctx ended and nothing has happened, return
// context.Cause(ctx); when something has, return its result all the same. ctx
// ends with the cause that the caller gave (see [Causes]), when the caller died,
// or when this end closes. A handler that panics leaves its caller in doubt.
//
// The request belongs to the handler until it returns, and no longer.
type Handler func(ctx context.Context, r *Request) error

// Request is a request or note as its server sees it.
type Request struct {
	// Message is what came. Objects that the handler does not set to nil are
	// closed when it returns.
	Message
	// Reply is what goes back. Its Data has the capacity that the caller offers
	// (append to it); its Objects are given away, if the handler returns nil, and
	// closed otherwise. What cannot be sent (more than there is room for: EMSGSIZE;
	// an object without RightPass, or a lane in use) fails the call and counts as
	// not delivered (OnUndelivered).
	Reply Message
	// IsNote says that nobody waits for an answer.
	IsNote bool

	ctx     context.Context // the request's own, or the caller's
	own     *reqCtx
	room    []byte // the caller's room for bulk
	undo    []func()
	settled func()
	lane    *Lane
	op      uint32
	started time.Time
	budget  int // bytes held for it

	// Where it came from: one of the two.
	ring    *server
	handler Handler
	opts    ServeOptions
	slot    slotCopy
	call    *localCall

	maxData  int    // the caller's room for data, in process
	bulkBuf  []byte // from getBuffer
	roomBuf  []byte // from getBuffer
	dataBuf  []byte // reused
	replyBuf []byte // reused
}

// Context returns the request's context, which Recv does not hand out.
func (r *Request) Context() context.Context { return r.ctx }

// Lane returns the end at which the request arrived: for notes back, and for
// the peer's credentials.
func (r *Request) Lane() *Lane { return r.lane }

// Room returns the buffer for n bytes of reply bulk, or less when the caller
// offers less: fill it and set Reply.Bulk to the part that counts. It is the
// caller's own memory where the transport allows.
func (r *Request) Room(n int) []byte { return r.room[:min(n, len(r.room))] }

// MaxBulk returns how many bytes of bulk the reply can carry.
func (r *Request) MaxBulk() int { return len(r.room) }

// OnUndelivered registers f to be called if the reply reaches nobody: the caller
// has abandoned the request, or died. f takes back what must not stay (a lock,
// say); objects of the reply are closed by themselves.
func (r *Request) OnUndelivered(f func()) { r.undo = append(r.undo, f) }

// OnSettled has f called when it is known whether the reply has reached anybody, after
// what OnUndelivered registered. There is one f.
func (r *Request) OnSettled(f func()) { r.settled = f }

// Answer ends a request that Recv returned, as a handler's return would. It is
// called once; r must not be used afterwards.
func (r *Request) Answer(err error) {
	if r.ring != nil {
		s := r.ring
		if !s.r.enter() {
			return // cannot be: the request holds the ring
		}
		defer s.r.leave()
		s.complete(r, err)
		if s.posted() { // left there for want of an answer
			s.start(false)
		}
	} else {
		r.call.half.complete(r, err)
	}
}

// Accept returns the end of the lane that the caller offered with the request
// ([Lane.Offer]), or nil if it offered none.
func (r *Request) Accept() *Lane {
	for i := len(r.Objects) - 1; i >= 0; i-- {
		if l, ok := r.Objects[i].(*Lane); ok {
			r.Objects[i] = nil
			return l
		}
	}
	return nil
}

func (r *Request) runUndo() {
	for i := len(r.undo) - 1; i >= 0; i-- {
		r.undo[i]()
	}
	r.undo = r.undo[:0]
	closeObjects(r.Reply.Objects)
}

// unsendable is what a caller is told when its reply's objects cannot be sent. A
// fault of the server's program is named, lest it pass for an errno of the operation.
func unsendable(err error) error {
	for _, own := range []error{ErrRights, ErrBusy, ErrClosed} {
		if errors.Is(err, own) {
			return errors.New("the reply's objects cannot be sent: " + err.Error())
		}
	}
	return err
}

const maxErrno = 4095

// result is an outcome in the form that crosses the wire.
type result struct {
	status uint32
	value  uint32
	text   string
}

func (r result) success() bool { return r.status == statusDone && r.value == 0 }

// resultOf turns a handler's error into an outcome. "Nothing happened" counts
// only when the request was in fact cancelled: otherwise callers would see
// interrupts that nobody sent (C9).
func (r *Request) resultOf(err error, causes *Causes) result {
	var errno syscall.Errno
	switch {
	case err == nil:
		return result{status: statusDone}
	case errors.Is(err, ErrInDoubt):
		return result{status: statusDoubt}
	}
	if why := r.ctx.Err(); why != nil && (errors.Is(err, why) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return result{status: statusNothing, value: uint32(causes.code(why))}
	}
	if errors.As(err, &errno) && errno != 0 {
		return result{status: statusDone, value: uint32(errno)}
	}
	return result{status: statusText, text: err.Error()}
}

// errGoexit is the outcome of a handler that ended its goroutine.
var errGoexit error = &DoubtError{errors.New("handler ended its goroutine")}

// run calls h and turns a panic into doubt.
func (r *Request) run(h Handler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &DoubtError{fmt.Errorf("handler panicked: %v", p)}
		}
	}()
	return h(r.ctx, r)
}

var requests = sync.Pool{New: func() any {
	return &Request{own: new(reqCtx), dataBuf: make([]byte, 0, InlineData), replyBuf: make([]byte, 0, InlineData)}
}}

func newRequest(l *Lane, deadline int64) *Request {
	r := requests.Get().(*Request)
	r.lane = l
	r.started = time.Now()
	r.ctx = r.own
	r.own.reset(deadline, l.cfg.Causes.err(codeDeadline))
	return r
}

// recycle gives r back. Its context is not used again if anybody may hold it.
func (r *Request) recycle() {
	closeObjects(r.Objects)
	if r.settled != nil {
		r.settled()
	}
	own := r.own
	if !own.finish() {
		own = new(reqCtx)
	}
	putBuffer(r.bulkBuf)
	putBuffer(r.roomBuf)
	undo := r.undo
	clear(undo)
	*r = Request{own: own, dataBuf: r.dataBuf[:0], replyBuf: r.replyBuf[:0], undo: undo[:0]}
	requests.Put(r)
}

// callError turns an outcome that crossed the wire into a Call's error. cause is
// why the caller itself cancelled, nil if it did not.
func callError(res result, cause error, hadDeadline bool, causes *Causes) error {
	switch res.status {
	case statusDone:
		if res.value == 0 {
			return nil
		}
		if res.value > maxErrno {
			return syscall.EIO
		}
		return syscall.Errno(res.value)
	case statusText:
		return &RemoteError{res.text}
	case statusNothing:
		switch {
		case cause != nil:
			return cause
		case res.value == codeShutdown, res.value == codeDeadline && hadDeadline:
			return causes.err(uint8(res.value))
		}
		return &RemoteError{"cancelled without being asked to"}
	case statusDoubt:
		return &DoubtError{errors.New("the server cannot tell")}
	}
	return &DoubtError{ErrProtocol}
}
