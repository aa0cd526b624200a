package cancel

import "sync/atomic"

// The life of an op. The owner moves idle to running and (in assembly, on the way out of the call) running to done; a
// canceller moves running to striking and then to struck. Whoever wins at running decides; the owner then waits for
// striking to become struck, so that no canceller still holds the thread id or is about to signal when the call
// returns (clause 6). Only the owner makes an op idle again.
const (
	opIdle = iota
	opRunning
	opStriking
	opStruck
	opDone
)

// Why an op was struck.
const (
	causeContext = iota // its context ended
	causeClosed         // its File was closed
)

// op is one cancellable call under way. It is known to the assembly; its size is one cache line, because neighbours
// belong to calls on other processors.
type op struct {
	flag  atomic.Uint32 // the cancel word: not 0 means leave without calling
	state atomic.Uint32 // opIdle...
	tid   atomic.Uint32 // the thread in the call; 0 outside of it
	cause atomic.Uint32 // causeContext...; belongs to whoever moved the state

	spare bool // from watcher.spare rather than watcher.ops

	// Of the File, guarded by its mutex.
	next, prev *op

	_ [24]byte
}

// pause is called between the steps of a cancel by tests; nil otherwise.
var pause atomic.Pointer[func(o *op, step string)]

func (o *op) step(name string) {
	if f := pause.Load(); f != nil {
		(*f)(o, name)
	}
}

// strike cancels the call under way in o, if there is one. It returns when the signal is pending at the thread, and
// does not wait for the call. Striking twice, or after the end, does nothing (clause 10).
func (o *op) strike(cause uint32) {
	if !o.state.CompareAndSwap(opRunning, opStriking) {
		return
	}
	o.cause.Store(cause)
	o.step("claimed")
	// First the word, then the thread: the call stores its thread and then tests the word. If no thread is seen here,
	// the word will be seen there.
	o.flag.Store(1)
	o.step("flagged")
	if tid := o.tid.Load(); tid != 0 {
		send(tid)
	}
	o.step("sent")
	o.state.Store(opStruck)
	wake(&o.state)
}
