package faulttest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/hati-os/hati/vfs"
)

// input is an operation of a history.
type input struct {
	op    byte // 'r', 'w', 'l' lock, 'u' unlock; 'L': a lock that may have been got
	value uint64
}

type output struct {
	value uint64
	busy  bool
}

// history is what happened to one register.
type history struct {
	mu  sync.Mutex
	ops []porcupine.Operation
}

func (h *history) add(op porcupine.Operation) {
	h.mu.Lock()
	h.ops = append(h.ops, op)
	h.mu.Unlock()
}

// registerModel: reads see the last write.
var registerModel = porcupine.Model{
	Init: func() any { return uint64(0) },
	Step: func(state, in, out any) (bool, any) {
		i := in.(input)
		if i.op == 'w' {
			return true, i.value
		}
		return out.(output).value == state.(uint64), state
	},
}

// lockModel: one owner at a time.
var lockModel = porcupine.Model{
	Init: func() any { return uint64(0) },
	Step: func(state, in, out any) (bool, any) {
		holder, i := state.(uint64), in.(input)
		switch {
		case i.op == 'u' && holder == i.value:
			return true, uint64(0)
		case i.op == 'u':
			return true, holder
		case i.op == 'L' && holder != 0:
			return true, holder
		case i.op == 'l' && out.(output).busy:
			return holder != 0 && holder != i.value, holder
		}
		return holder == 0 || holder == i.value, i.value
	},
}

func (h *history) check(t testing.TB, what string, m porcupine.Model) {
	t.Helper()
	if porcupine.CheckOperationsTimeout(m, h.ops, 10*time.Second) == porcupine.Illegal {
		t.Errorf("the history of a %s cannot be: %v", what, h.ops)
	}
}

// tally counts outcomes.
type tally struct{ done, nothing, doubt, gone, dials atomic.Int64 }

func (c *tally) String() string {
	return fmt.Sprintf("%d done, %d cancelled, %d in doubt, %d not sent, %d ways",
		c.done.Load(), c.nothing.Load(), c.doubt.Load(), c.gone.Load(), c.dials.Load())
}

// outcome tells whether an operation had its effect: yes, no, or perhaps.
func (h *harness) outcome(err error) (happened, perhaps bool) {
	switch {
	case err == nil, err == syscall.EAGAIN:
		h.done.Add(1)
		return true, false
	case errors.Is(err, vfs.ErrInDoubt):
		h.doubt.Add(1)
		return false, true
	case vfs.Interrupted(err), err == vfs.ErrKilled:
		h.nothing.Add(1)
		return false, false
	}
	switch h.site.Judge(err) {
	case Doubt:
		h.doubt.Add(1)
		return false, true
	case NotSent:
		h.gone.Add(1)
	default:
		h.Errorf("an outcome that there is not: %v", err)
	}
	return false, false
}

// lastValue is of all written values and lock owners.
var lastValue atomic.Uint64
