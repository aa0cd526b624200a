package posix

import (
	"fmt"
	"io"
	"sync"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/strace"
)

// Tracer hears of system calls, from the goroutines of the tasks.
type Tracer interface {
	Enter(t *Task)
	Exit(t *Task, ret uint64, err syscall.Errno)
	Gone(t *Task)
}

// NewTracer returns a Tracer that writes a line for each call, as strace -f
// prints them. When there is a Tracer all calls come to the server, also those
// that the stub would make by itself.
func NewTracer(w io.Writer) Tracer { return &lineTracer{w: w, calls: map[*Task]*strace.Call{}} }

type lineTracer struct {
	mu    sync.Mutex
	w     io.Writer
	calls map[*Task]*strace.Call
}

// guestMemory reads a task's memory for the tracer.
type guestMemory struct{ t *Task }

func (m guestMemory) ReadAt(addr uint64, p []byte) error { return m.t.copyIn(addr, p) }

func (l *lineTracer) Enter(t *Task) {
	l.mu.Lock()
	c := l.calls[t]
	if c == nil {
		c = &strace.Call{}
		l.calls[t] = c
	}
	l.mu.Unlock()
	c.Prefix = fmt.Sprintf("[pid %5d] ", t.tid)
	c.Column = len(c.Prefix) + strace.DefaultColumn
	c.Enter(t.nr, t.args, guestMemory{t})
}

func (l *lineTracer) call(t *Task) *strace.Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[t]
}

func (l *lineTracer) write(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.w.Write(append(line, '\n'))
}

func (l *lineTracer) Exit(t *Task, ret uint64, err syscall.Errno) {
	if c := l.call(t); c != nil {
		l.write(c.Exit(abi.Result(ret, err), guestMemory{t}))
	}
}

// Gone ends the trace of a task; a call that never returned is shown as such.
func (l *lineTracer) Gone(t *Task) {
	c := l.call(t)
	l.mu.Lock()
	delete(l.calls, t)
	l.mu.Unlock()
	if c != nil && t.inCall {
		l.write(c.Gone())
	}
}
