package faulttest

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// worker is one client.
type worker struct {
	*harness
	id    int
	begin time.Time
}

func (w *worker) now() int64 { return int64(time.Since(w.begin)) }

// do makes a call that may be cancelled at a random moment.
func (w *worker) do(f func(ctx context.Context) error) error {
	if rand.IntN(3) > 0 {
		return f(context.Background())
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := vfs.ErrKilled
	if rand.IntN(2) == 0 {
		cause = vfs.ErrInterrupted
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for range rand.IntN(400) {
			runtime.Gosched()
		}
		cancel(cause)
	})
	err := f(ctx)
	wg.Wait()
	return err
}

// step opens a register and does one thing with it.
func (w *worker) step(way FileWay, name string, values, locks *history) {
	bg := context.Background()
	root, err := way.FS().Root(bg)
	var node vfs.Node
	if err == nil {
		node, err = vfs.Lookup(bg, root, name)
	}
	var f vfs.File
	if err == nil {
		f, err = vfs.Open(bg, node, unix.O_RDWR)
	}
	if err != nil {
		w.outcome(err)
		return
	}
	defer f.Close()
	var p [8]byte
	switch l, lockable := node.(vfs.Locker); {
	case lockable && rand.IntN(3) == 0:
		w.lock(l, locks)
	case rand.IntN(2) == 0:
		v := lastValue.Add(1)
		binary.LittleEndian.PutUint64(p[:], v)
		call := w.now()
		err := w.do(func(ctx context.Context) error {
			n, err := vfs.Write(ctx, f, p[:], 0)
			if err == nil && n != len(p) {
				w.Errorf("%d bytes written", n)
			}
			return err
		})
		w.record(values, input{'w', v}, call, output{}, err)
	default:
		call := w.now()
		var n int
		err := w.do(func(ctx context.Context) (err error) { n, err = vfs.Read(ctx, f, p[:], 0); return err })
		if err == nil && n != 0 && n != len(p) {
			w.Errorf("%d bytes read", n)
		}
		w.record(values, input{op: 'r'}, call, output{value: binary.LittleEndian.Uint64(p[:])}, err)
	}
}

// lock takes a lock, as a new owner, and gives it back.
func (w *worker) lock(l vfs.Locker, h *history) {
	owner := lastValue.Add(1)
	lock := vfs.Lock{Type: unix.F_WRLCK, Owner: owner, End: math.MaxInt64}
	call := w.now()
	err := w.do(func(ctx context.Context) error { return l.SetLock(ctx, lock, false) })
	in := input{'l', owner}
	happened, perhaps := w.outcome(err)
	if perhaps {
		in.op = 'L'
	}
	w.add(h, in, call, output{busy: err == syscall.EAGAIN}, happened, perhaps)
	if !perhaps && (!happened || err != nil) {
		return
	}
	// Whatever becomes of the unlocking, the lock goes: with the way at the latest,
	// which may have ended already.
	lock.Type = unix.F_UNLCK
	since := call
	call = w.now()
	err = l.SetLock(context.Background(), lock, false)
	if err != nil || perhaps {
		w.outcome(err)
		w.add(h, input{'u', owner}, since, output{}, false, true)
		return
	}
	w.record(h, input{'u', owner}, call, output{}, nil)
}

// record notes an operation, unless it did not happen.
func (w *worker) record(h *history, in input, call int64, out output, err error) {
	happened, perhaps := w.outcome(err)
	w.add(h, in, call, out, happened, perhaps && in.op != 'r')
}

// add is record for who knows the outcome. What perhaps happened may do so at any
// later time.
func (w *worker) add(h *history, in input, call int64, out output, happened, perhaps bool) {
	o := porcupine.Operation{ClientId: w.id, Input: in, Call: call, Output: out, Return: w.now()}
	switch {
	case perhaps:
		o.Return = math.MaxInt64
		o.ClientId = Clients + int(lastValue.Add(1))
	case !happened:
		return
	}
	h.add(o)
}
