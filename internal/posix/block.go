package posix

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/fault"
	"github.com/hati-os/hati/internal/guard"
	"github.com/hati-os/hati/vfs"
)

// Everything a task waits for goes through sleep here, or through a server that
// was given the task's context: both end when the task is wanted elsewhere.

// wakeUp makes a sleeping task look again. It never blocks; anyone may call it,
// with any lock held.
func (t *Task) wakeUp() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// notify tells the task that something concerns it: a signal it does not block,
// a stop, its end. The caller has recorded what, under k.mu, and still holds it.
func (t *Task) notify() {
	t.attention.Store(true)
	t.ctx.end(t)
	t.actor.Cancelled()
	t.wakeUp()
	if t.running.Load() {
		t.thread.Kick()
	}
}

// sleep waits for wakeUp. It returns nil when it was woken, ErrInterrupted or
// ErrKilled when the task is wanted elsewhere, and errTimeout at the deadline
// (the zero Time is none). After nil the caller looks whether what it waits for
// is there, and else sleeps again.
func (t *Task) sleep(deadline time.Time) error {
	t.declared(interruptible)
	if err := t.interrupted(); err != nil {
		return err
	}
	var timer <-chan time.Time
	if !deadline.IsZero() {
		d := time.Until(deadline)
		if d <= 0 {
			return errTimeout
		}
		tm := time.NewTimer(d)
		defer tm.Stop()
		timer = tm.C
	}
	t.rest()
	defer t.op.asleep.Store(false)
	fault.Point("posix: about to sleep")
	select {
	case <-t.wake:
		fault.Point("posix: woken")
		return t.interrupted()
	case <-timer:
		return errTimeout
	}
}

// declared tells the operator when a call is about to wait of which the table
// says that it does not, or not so: nothing blocks undeclared.
func (t *Task) declared(how blocking) {
	if b := t.k.lookupCall(t.nr).blocks; (b == never || how == interruptible && b == killable) && t.thread != nil {
		t.k.logf("process %d (%s): %s waits, but is not declared to", t.proc.pid, t.comm(), abi.SyscallName(t.nr))
	}
}

// sleepKillable is sleep for waits that only the task's end may end.
func (t *Task) sleepKillable() error {
	t.declared(killable)
	if t.dying() {
		return vfs.ErrKilled
	}
	t.rest()
	defer t.op.asleep.Store(false)
	fault.Point("posix: about to sleep")
	<-t.wake
	fault.Point("posix: woken")
	if t.dying() {
		return vfs.ErrKilled
	}
	return nil
}

// rest lets the guest thread sleep, too: its answer will take long.
func (t *Task) rest() {
	t.op.waiting.Store(true)
	t.op.asleep.Store(true)
	if t.thread != nil {
		t.thread.Rest()
	}
}

// errTimeout is what sleep returns at the deadline. It never leaves the server.
var errTimeout = context.DeadlineExceeded

// await waits until f has one of events, or is told that it will not.
func (t *Task) await(f vfs.File, events vfs.Events, deadline time.Time) error {
	if p := t.pollable(f); p != nil {
		return t.awaitPollable(p, events, deadline)
	}
	return nil
}

// awaitPollable is await for what need not be a file.
func (t *Task) awaitPollable(p vfs.Pollable, events vfs.Events, deadline time.Time) error {
	w := vfs.Waiter{Mask: events, Wake: func(*vfs.Waiter, vfs.Events) { t.wakeUp() }}
	fault.Point("posix: about to watch")
	p.Watch(&w)
	defer p.Unwatch(&w)
	fault.Point("posix: watching")
	for p.Poll(events|vfs.EventErr|vfs.EventHup) == 0 {
		fault.Point("posix: not ready")
		if err := t.sleep(deadline); err != nil {
			return err
		}
	}
	return nil
}

// taskContext is the context of a task's system calls. It ends when the task is
// wanted elsewhere. Nothing is allocated unless a server waits on it.
type taskContext struct {
	task  *Task
	mu    sync.Mutex
	done  chan struct{}
	final chan struct{} // closed when the task is being ended
	err   error
	after []*afterEnd
}

// context returns the context for the call under way.
func (t *Task) context() context.Context { return t.ctx }

// lasting is a task's context without the signals that are handled: it ends with the task.
type lasting struct{ context.Context }

func (l lasting) Done() <-chan struct{} { return vfs.Final(l.Context) }

func (l lasting) Err() error {
	select {
	case <-l.Done():
		return vfs.ErrKilled
	default:
		return nil
	}
}

func (c *taskContext) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value gives the task to those servers that answer each caller differently.
func (c *taskContext) Value(key any) any {
	switch key.(type) {
	case taskKey, vfs.CallerKey:
		if c.task != nil {
			return c.task
		}
	case vfs.FinalKey:
		return c
	case guard.ActorKey:
		if c.task != nil {
			return &c.task.actor
		}
	}
	return nil
}

// AfterFunc has f called, on a goroutine of its own, when the context ends. With
// it package context and others need no goroutine to watch a call.
func (c *taskContext) AfterFunc(f func()) (stop func() bool) {
	c.asleep()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	e := &afterEnd{f}
	c.after = append(c.after, e)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.Index(c.after, e)
		if i < 0 {
			return false
		}
		c.after = slices.Delete(c.after, i, i+1)
		return true
	}
}

// afterEnd is what is called when a context ends.
type afterEnd struct{ f func() }

// Caller tells servers who asks.
func (t *Task) Caller() vfs.Caller {
	c := t.creds.Load()
	return vfs.Caller{UID: c.FSUID, GID: c.FSGID, PID: int32(t.proc.pid)}
}

// HostPID tells servers under what number the host has the task's process.
func (t *Task) HostPID() int32 { return int32(t.thread.Space().PID()) }

// FileOf gives servers what a descriptor leads to, for ioctls that name one.
func (t *Task) FileOf(fd int) (vfs.File, func(), error) {
	d, err := t.fds.get(fd)
	if err != nil {
		return nil, nil, err
	}
	return d.file, d.release, nil
}

// Final returns a channel that closes when the task is being ended, even after
// the context was done because of a signal.
func (c *taskContext) Final() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.final == nil {
		c.final = make(chan struct{})
		if c.err != nil && !vfs.Interrupted(c.err) {
			close(c.final)
		}
	}
	return c.final
}

// Err returns the cause itself, so context.Cause returns it, too.
func (c *taskContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Done is asked for by servers that are about to wait.
func (c *taskContext) Done() <-chan struct{} {
	if c.task != nil && !c.task.op.waiting.Load() {
		c.task.op.waiting.Store(true)
	}
	c.asleep()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	return c.done
}

// asleep notes that the task may sleep in a server from here on. When that wakes it,
// nobody is told: it counts as asleep until its call ends.
func (c *taskContext) asleep() {
	if c.task != nil && !c.task.op.asleep.Load() {
		c.task.op.asleep.Store(true)
	}
}

// end ends the context if the task is dying or has a signal to handle. k.mu is
// held.
func (c *taskContext) end(t *Task) {
	if err := t.interruptedLocked(); err != nil {
		c.finish(err)
	}
}

// finish ends the context with a cause; a final one replaces an interrupt.
func (c *taskContext) finish(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil || vfs.Interrupted(c.err) && !vfs.Interrupted(err) {
		if c.err == nil && c.done != nil {
			close(c.done)
		}
		c.err = err
		for _, e := range c.after {
			go e.f()
		}
		c.after = nil
		if c.final != nil && !vfs.Interrupted(err) {
			close(c.final)
		}
	}
}

// ended reports whether a new context is needed for the next call.
func (c *taskContext) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}
