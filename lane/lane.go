package lane

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Lane is one end of a lane. All methods may be called concurrently.
type Lane struct {
	cfg   Config
	ring  atomic.Pointer[ring]
	local atomic.Pointer[localEnd]
	ended chan struct{}
	err   atomic.Pointer[error] // why, set before ended is closed

	endMu sync.Mutex // also guards what Settle changes, against an early end
	onEnd []func()

	mu    *sync.Mutex // shared by the ends of a pair; what follows
	other *Lane       // an unused pair
	fds   [2]int      // a received end not used yet: socket and memory
	spent error       // passed on or closed before use
}

// ServeOptions say how a handler is run. The zero value runs each request in a
// goroutine of its own.
type ServeOptions struct {
	// Concurrency bounds the handlers that run at a time; requests beyond it stay
	// unstarted, so a cancel of them is exact. 0 means as many as there are slots.
	Concurrency int
	// Inline runs the handler where the request is found: on the caller's
	// goroutine in process, on the one that serves all lanes otherwise. It is for
	// handlers that never block; one that does holds up every lane of the process.
	Inline bool
	// SharedBulk gives the handler the caller's own memory as Bulk, which the
	// caller may change meanwhile: read each byte once.
	SharedBulk bool
}

// Pair returns the two ends of a new lane. It is a function call as long as
// both ends stay in this process and becomes shared memory when one is passed,
// unused, to another.
func Pair(cfg Config) (a, b *Lane) {
	cfg = cfg.withDefaults()
	mu := new(sync.Mutex)
	a = &Lane{cfg: cfg, mu: mu, ended: make(chan struct{})}
	b = &Lane{cfg: cfg, mu: mu, ended: make(chan struct{})}
	a.other, b.other = b, a
	return a, b
}

// PairShared returns the two ends of a new lane over shared memory, both in this
// process: for tests and measurements.
func PairShared(cfg Config) (a, b *Lane, err error) {
	a, b = Pair(cfg)
	e, err := b.export()
	if err != nil {
		return nil, nil, err
	}
	b, err = importLane(e.fds[0], e.fds[1])
	if err != nil {
		a.Close()
		return nil, nil, err
	}
	b.cfg = a.cfg
	return a, b, nil
}

// importLane makes an end of what came over another lane.
func importLane(sock, memfd int) (*Lane, error) {
	if err := checkSocket(sock); err != nil {
		closeFDs([]int{sock, memfd})
		return nil, err
	}
	if _, err := readLayout(memfd); err != nil {
		closeFDs([]int{sock, memfd})
		return nil, err
	}
	// Its size is checked against what the receiver allows when that is known (fits).
	return &Lane{cfg: Config{}.withDefaults(), mu: new(sync.Mutex), ended: make(chan struct{}),
		fds: [2]int{sock, memfd}}, nil
}

// Version returns the protocol's version that both ends speak.
func (l *Lane) Version() uint32 { return l.cfg.Version }

// SetCauses changes the errors that this end uses for the causes. It is called
// before the end is first used: for an end that came over another lane.
func (l *Lane) SetCauses(c Causes) {
	l.endMu.Lock()
	defer l.endMu.Unlock()
	l.cfg.Causes = c
}

// endCause is why the requests end that the other end still had when the lane
// ended, which may be before this end was settled.
func (l *Lane) endCause(code uint8) error {
	l.endMu.Lock()
	defer l.endMu.Unlock()
	return l.cfg.Causes.err(code)
}

// SetFinal changes Config.Final likewise.
func (l *Lane) SetFinal(f func(context.Context) <-chan struct{}) { l.cfg.Final = f }

// Settle changes how this end's calls are made and end likewise: Causes, Final,
// Impatient, Around and Trailer become those of cfg.
func (l *Lane) Settle(cfg Config) {
	l.endMu.Lock()
	defer l.endMu.Unlock()
	l.cfg.Causes, l.cfg.Final, l.cfg.Impatient, l.cfg.Around, l.cfg.Trailer = cfg.Causes, cfg.Final, cfg.Impatient, cfg.Around, cfg.Trailer
}

// SetProtocol changes Config.Name, Protocol, Version and Oldest likewise, to what
// the two sides have agreed on by other means.
func (l *Lane) SetProtocol(name, protocol string, version uint32) {
	l.cfg.Name, l.cfg.Protocol, l.cfg.Version, l.cfg.Oldest = name, protocol, version, version
}

// inherit gives a received lane the settings of the one that it came over.
func (l *Lane) inherit(from *Config) {
	l.cfg.Grace, l.cfg.Causes, l.cfg.steps = from.Grace, from.Causes, from.steps
	l.cfg.Final, l.cfg.Impatient = from.Final, from.Impatient
	l.cfg.Protocol, l.cfg.Version, l.cfg.Oldest = from.Protocol, from.Version, from.Oldest
	l.cfg.Slots, l.cfg.Arena = max(l.cfg.Slots, from.Slots), max(l.cfg.Arena, from.Arena)
}

// fits refuses a received lane that could make this end hold more than it allows:
// the Config of the lane that it came over, or the default's if that is more.
func (l *Lane) fits(lay layout) error {
	if lay.slots > l.cfg.Slots || lay.arena > l.cfg.Arena {
		return fmt.Errorf("lane: a lane of %d slots and %d bytes came, %d and %d are allowed here (Config): %w",
			lay.slots, lay.arena, l.cfg.Slots, l.cfg.Arena, unix.EMSGSIZE)
	}
	return nil
}

// bind decides the transport of an end that is used for the first time.
func (l *Lane) bind() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ring.Load() != nil, l.local.Load() != nil:
		return nil
	case l.spent != nil:
		return l.spent
	case l.other != nil:
		bindLocal(l, l.other)
		return nil
	}
	lay, err := readLayout(l.fds[1])
	if err == nil {
		err = l.fits(lay) // again: who made it may have changed its words
	}
	var r *ring
	if err == nil {
		r, err = newRing(l, 1, l.fds[0], l.fds[1], lay)
	}
	if err != nil {
		closeFDs(l.fds[:])
		l.spendLocked(err)
		return err
	}
	unix.Close(l.fds[1])
	unix.SendmsgN(r.sock, []byte{msgHello}, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if c, err := peerCredentials(r.sock); err == nil {
		r.peer.CompareAndSwap(nil, c)
	}
	l.ring.Store(r)
	return nil
}

func (l *Lane) inUse() bool { return l.ring.Load() != nil || l.local.Load() != nil }

func (l *Lane) spendLocked(err error) {
	l.spent = err
	l.end(err)
}

// end is called once.
func (l *Lane) end(err error) {
	l.endMu.Lock()
	l.err.Store(&err)
	close(l.ended)
	for _, f := range l.onEnd {
		go f()
	}
	l.onEnd = nil
	l.endMu.Unlock()
}

// whenEnded has f run once the lane has ended, without a goroutine until then.
func (l *Lane) whenEnded(f func()) {
	l.endMu.Lock()
	defer l.endMu.Unlock()
	if l.err.Load() != nil {
		go f()
		return
	}
	l.onEnd = append(l.onEnd, f)
}

// export implements Object: an unused end can be passed on.
func (l *Lane) export() (exported, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.spent != nil:
		return exported{}, l.spent
	case l.ring.Load() != nil, l.local.Load() != nil:
		return exported{}, ErrBusy
	case l.other == nil:
		l.spendLocked(ErrClosed)
		return exported{kind: kindLane, rights: AllRights, fds: l.fds, n: 2}, nil
	}
	other := l.other
	memfd, lay, err := newRingMemory(&l.cfg)
	if err != nil {
		return exported{}, err
	}
	sv, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == nil {
		// Whoever ends up with the other end shows the kernel's word on who it is.
		err = unix.SetsockoptInt(sv[0], unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
		var r *ring
		if err == nil {
			r, err = newRing(other, 0, sv[0], memfd, lay)
		}
		if err == nil {
			other.ring.Store(r)
			l.other, other.other = nil, nil
			l.spendLocked(ErrClosed)
			return exported{kind: kindLane, rights: AllRights, fds: [2]int{sv[1], memfd}, n: 2}, nil
		}
		closeFDs(sv[:])
	}
	unix.Close(memfd)
	return exported{}, err
}

// move implements Object for an unused end, which passable has seen to.
func (l *Lane) move() Object {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := &Lane{cfg: l.cfg, mu: l.mu, ended: make(chan struct{}), other: l.other, fds: l.fds, spent: l.spent}
	switch {
	case l.inUse(): // bound since: let it be, it is the receiver's now
		return l
	case l.spent != nil:
		m.end(l.spent)
		return m
	case l.other != nil:
		l.other.other = m
		l.other = nil
	}
	l.spendLocked(ErrClosed)
	return m
}

// Rights implements Object.
func (l *Lane) Rights() Rights { return AllRights }

// Call sends req and waits for its outcome, which OutcomeOf tells from the
// error. rep may be nil; see [Message] for its buffers. The objects of req are
// given away whatever happens.
//
// When ctx ends, its cause travels to the server. If the server had not started,
// or says that nothing happened, the cause is returned; if it had an effect, its
// result is; if it says nothing within Config.Grace (at once for a kill), an
// ErrInDoubt. A deadline that the server noticed first is ErrDeadline, which
// errors.Is takes for [context.DeadlineExceeded].
func (l *Lane) Call(ctx context.Context, req, rep *Message) error {
	for {
		if r := l.ring.Load(); r != nil {
			return r.out.call(ctx, req, rep)
		}
		if e := l.local.Load(); e != nil {
			return e.out.request(ctx, req, rep)
		}
		if err := l.bind(); err != nil {
			closeObjects(req.Objects)
			return err
		}
	}
}

// Note sends m without waiting for anybody to read it. It waits, with ctx, only
// while the lane is full. An error means that it was not sent.
func (l *Lane) Note(ctx context.Context, m *Message) error {
	for {
		if r := l.ring.Load(); r != nil {
			return r.out.note(ctx, m)
		}
		if e := l.local.Load(); e != nil {
			return e.out.note(ctx, m)
		}
		if err := l.bind(); err != nil {
			closeObjects(m.Objects)
			return err
		}
	}
}

// Offer is Call with a new lane beside it: the server that accepts it
// ([Request.Accept]) holds its other end, for a conversation that outlasts the
// request. On failure there is no lane. If the server returned success without
// accepting, the lane has ended (ErrPeerDied).
func (l *Lane) Offer(ctx context.Context, req, rep *Message) (*Lane, error) {
	mine, theirs := Pair(l.cfg)
	req.Objects = append(slices.Clip(req.Objects), theirs)
	if err := l.Call(ctx, req, rep); err != nil {
		mine.Close()
		return nil, err
	}
	return mine, nil
}

// Handle has h answer the requests that come in at this end, and returns. Those
// that came before are answered now. Notes are given to h one at a time, in
// order; requests are started in order.
func (l *Lane) Handle(h Handler, o ServeOptions) error {
	for {
		if r := l.ring.Load(); r != nil {
			r.in.handle(h, o)
			return nil
		}
		if e := l.local.Load(); e != nil {
			e.in.handle(h, o)
			return nil
		}
		if err := l.bind(); err != nil {
			return err
		}
	}
}

// Serve is Handle until the lane or ctx ends; then requests under way are
// cancelled with the cause "shutdown" and the lane is closed.
func (l *Lane) Serve(ctx context.Context, h Handler) error {
	if err := l.Handle(h, ServeOptions{}); err != nil {
		return err
	}
	select {
	case <-l.Done():
		return l.Err()
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.cfg.Grace)
		defer cancel()
		l.Shutdown(grace)
		return context.Cause(ctx)
	}
}

// Recv returns the next request or note, in order; it must be given back with
// [Request.Answer], also a note. An end uses either Recv or Handle.
func (l *Lane) Recv(ctx context.Context) (*Request, error) {
	for {
		if r := l.ring.Load(); r != nil {
			return r.in.receive(ctx)
		}
		if e := l.local.Load(); e != nil {
			return e.in.receive(ctx)
		}
		if err := l.bind(); err != nil {
			return nil, err
		}
	}
}

// Shutdown starts no more requests, cancels those under way with the cause
// "shutdown", waits until they have ended, or ctx has, and closes the lane.
func (l *Lane) Shutdown(ctx context.Context) error {
	var err error
	if r := l.ring.Load(); r != nil {
		err = r.in.shutdown(ctx)
	} else if e := l.local.Load(); e != nil {
		err = e.in.shutdown(ctx)
	}
	l.Close()
	return err
}

// Close ends the lane. Calls under way return: done if the answer is here,
// cancelled if they were not started, else in doubt. Handlers' contexts end.
func (l *Lane) Close() error {
	l.mu.Lock()
	if l.ring.Load() == nil && l.local.Load() == nil && l.spent == nil {
		if l.other != nil {
			bindLocal(l, l.other)
		} else {
			closeFDs(l.fds[:])
			l.spendLocked(ErrClosed)
		}
	}
	l.mu.Unlock()
	if r := l.ring.Load(); r != nil {
		r.fail(ErrClosed)
	} else if e := l.local.Load(); e != nil {
		e.close()
	}
	return nil
}

// Trim gives memory back that this end's larger requests have touched, if none is
// under way. A lane that is used now and then need not hold what its largest
// request took.
func (l *Lane) Trim() error {
	r := l.ring.Load()
	if r == nil || !r.enter() {
		return nil
	}
	defer r.leave()
	return r.out.trim()
}

// Done returns a channel that is closed when the lane has ended.
func (l *Lane) Done() <-chan struct{} { return l.ended }

// Err says why the lane has ended; nil before.
func (l *Lane) Err() error {
	if err := l.err.Load(); err != nil {
		return *err
	}
	return nil
}
