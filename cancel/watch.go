package cancel

import (
	"context"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"
)

// watcher strikes the ops of one context (or of one File, when that is closed). It is registered with the context
// once, at the first call, and then serves all calls under it; so a call registers nothing and allocates nothing.
type watcher struct {
	fired atomic.Bool
	cause uint32
	stop  func() bool // not nil: the watcher serves one call, which stops it

	ops [8]op // tried first, without a lock

	mu    sync.Mutex
	more  []*op // when those are all busy; guarded by mu
	spare []*op // of more, the free ones
}

// registry finds the watcher of a context by its Done channel. The context itself keeps the watcher alive (it has to
// call it), the registry does not: a context that is dropped without being cancelled takes its watcher along.
var registry struct {
	mu sync.Mutex // held to register
	m  sync.Map   // <-chan struct{} to weak.Pointer[watcher]
}

// watch returns the watcher of ctx, whose Done channel is done.
func watch(ctx context.Context, done <-chan struct{}) (*watcher, error) {
	if c, ok := ctx.(oneRequest); ok {
		if err := ready(); err != nil {
			return nil, err
		}
		w := &watcher{cause: causeContext}
		w.stop = c.AfterFunc(w.fire)
		return w, nil
	}
	if v, ok := registry.m.Load(done); ok {
		if w := v.(weak.Pointer[watcher]).Value(); w != nil {
			return w, nil
		}
	}
	return register(ctx, done)
}

func register(ctx context.Context, done <-chan struct{}) (*watcher, error) {
	if err := ready(); err != nil {
		return nil, err
	}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if v, ok := registry.m.Load(done); ok {
		if w := v.(weak.Pointer[watcher]).Value(); w != nil {
			return w, nil
		}
	}
	w := &watcher{cause: causeContext}
	p := &probe{Context: ctx}
	parent := context.Context(p)
	_, ok := ctx.(afterFuncer)
	if ok {
		parent = ctx
	}
	stop := context.AfterFunc(parent, func() {
		w.fire()
		registry.m.Delete(done)
	})
	if !ok && !p.cheap {
		w.stop = stop
		return w, nil
	}
	if p.own != nil {
		p.Context = p.own // from now on the values of ctx, which may come and go with a request, are not kept
	}
	ref := weak.Make(w)
	registry.m.Store(done, ref)
	runtime.AddCleanup(w, func(done <-chan struct{}) { registry.m.CompareAndDelete(done, ref) }, done)
	if w.fired.Load() {
		registry.m.Delete(done) // it fired before it was stored
	}
	return w, nil
}

// afterFuncer is what context.AfterFunc asks of contexts that are not the standard library's.
type afterFuncer interface {
	AfterFunc(func()) func() bool
}

// oneRequest is a context that lasts for one request and sees few calls (a lane's): to keep a watcher for it would cost
// more than it saves.
type oneRequest interface {
	afterFuncer
	OneRequest()
}

// probe finds out whether package context can register with a context itself or needs a goroutine that waits. The
// former asks for the context's own Value under a key of its own; that is how it finds a context of its kind below
// others. A waiting goroutine would keep a context alive that is never cancelled, so it must not outlast a call.
type probe struct {
	context.Context
	cheap bool
	own   context.Context // the standard library's context that can be cancelled, ctx or above it
}

// Value is called once by context.AfterFunc, before it returns, and later when it is stopped.
func (p *probe) Value(key any) any {
	v := p.Context.Value(key)
	if own, ok := v.(context.Context); ok && !p.cheap && reflect.TypeOf(key).String() == "*int" {
		if t := reflect.TypeOf(own); t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "context" && own.Done() == p.Done() {
			p.cheap, p.own = true, own
		}
	}
	return v
}

// claim returns an op that is running. If the watcher has fired by then its word is set.
func (w *watcher) claim() *op {
	o := w.take()
	o.cause.Store(w.cause)
	// fire stores fired and then looks for running ops; here it is the other way round, so one sees the other.
	if w.fired.Load() {
		o.flag.Store(1)
	}
	return o
}

func (w *watcher) take() *op {
	first := hint()
	for i := range uintptr(len(w.ops)) {
		o := &w.ops[(first+i)%uintptr(len(w.ops))]
		if o.state.Load() == opIdle && o.state.CompareAndSwap(opIdle, opRunning) {
			return o
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var o *op
	if n := len(w.spare); n > 0 {
		o = w.spare[n-1]
		w.spare = w.spare[:n-1]
	} else {
		o = &op{spare: true}
		w.more = append(w.more, o)
	}
	o.state.Store(opRunning)
	return o
}

// release gives back an op of claim, after invoke.
func (w *watcher) release(o *op) {
	if o.flag.Load() != 0 {
		o.flag.Store(0)
	}
	o.state.Store(opIdle)
	if o.spare {
		w.mu.Lock()
		w.spare = append(w.spare, o)
		w.mu.Unlock()
	}
	if w.stop != nil {
		w.stop()
	}
}

// fire strikes all calls, now and in future.
func (w *watcher) fire() {
	w.fired.Store(true)
	for i := range w.ops {
		w.ops[i].strike(w.cause)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.more {
		o.strike(w.cause)
	}
	(*op)(nil).step("fired")
}
