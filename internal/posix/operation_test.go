package posix

import (
	"context"
	"errors"
	"testing"

	"github.com/hati-os/hati/vfs"
)

// BenchmarkOperation is what it costs a call to be seen.
func BenchmarkOperation(b *testing.B) {
	var o operation
	var a Args
	b.ReportAllocs()
	for b.Loop() {
		o.begin(1, &a)
		o.end()
	}
}

// BenchmarkContext is what a server's look at its ctx costs a call that does not
// wait.
func BenchmarkContext(b *testing.B) {
	t := &Task{}
	t.ctx = &taskContext{task: t}
	b.ReportAllocs()
	for b.Loop() {
		ctx := t.context()
		if ctx.Err() != nil || context.Cause(ctx) != nil {
			b.Fatal("ended")
		}
		_ = ctx.Done()
		_, _ = vfs.CallerKey{}, ctx.Value(vfs.FinalKey{})
	}
}

// TestAfterFunc: the context calls what was registered, once, and not what was
// taken back.
func TestAfterFunc(t *testing.T) {
	c := &taskContext{}
	called := make(chan int, 4)
	stop := c.AfterFunc(func() { called <- 1 })
	c.AfterFunc(func() { called <- 2 })
	if !stop() || stop() {
		t.Error("stop lies")
	}
	child, cancel := context.WithCancel(c)
	defer cancel()
	c.finish(vfs.ErrInterrupted)
	if got := <-called; got != 2 {
		t.Errorf("%d was called", got)
	}
	<-child.Done()
	if !errors.Is(context.Cause(child), vfs.ErrInterrupted) {
		t.Errorf("the child's cause is %v", context.Cause(child))
	}
	c.AfterFunc(func() { called <- 3 })
	if got := <-called; got != 3 {
		t.Errorf("%d was called", got)
	}
	final := c.Final()
	select {
	case <-final:
		t.Error("an interrupt is not final")
	default:
	}
	c.finish(vfs.ErrKilled)
	<-final
	if c.Err() != vfs.ErrKilled {
		t.Error(c.Err())
	}
}
