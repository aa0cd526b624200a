package lane_test

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/hati-os/hati/lane"
)

func TestEventHandles(t *testing.T) {
	ctx := within(t)
	e := lane.NewEvent(lane.Bitset)
	d := e.Dup()
	e.Close()
	e.Close() // the second time it is nobody's
	if err := d.Raise(2); err != nil {
		t.Fatalf("another handle was closed: %v", err)
	}
	for name, f := range map[string]func() error{
		"raise": func() error { return e.Raise(1) },
		"clear": func() error { return e.Clear(2) },
		"wait":  func() error { _, err := e.Wait(ctx, 2); return err },
		"take":  func() error { _, err := e.Take(ctx, 2); return err },
	} {
		if err := f(); !errors.Is(err, lane.ErrClosed) {
			t.Errorf("%s on a closed handle: %v", name, err)
		}
	}
	if err := e.Dup().Raise(1); !errors.Is(err, lane.ErrClosed) {
		t.Errorf("the second handle of a closed one: %v", err)
	}
	r := d.Dup()
	ro := r.Reduce(lane.RightRead | lane.RightPass)
	r.Close() // Reduce has spent it
	if got, err := ro.Wait(ctx, 2); got != 2 || err != nil {
		t.Errorf("reduced: %v, %v", got, err)
	}
	wo := d.Dup().Reduce(lane.RightWrite)
	for name, err := range map[string]error{
		"raise without write":          ro.Raise(1),
		"clear without write":          ro.Clear(1),
		"take without write":           second(ro.Take(ctx, 1)),
		"take without read":            second(wo.Take(ctx, 1)),
		"wait without read":            second(wo.Wait(ctx, 1)),
		"wait without read, widened":   second(wo.Dup().Reduce(lane.AllRights).Wait(ctx, 1)),
		"raise without write, widened": ro.Dup().Reduce(lane.AllRights).Raise(1),
	} {
		if !errors.Is(err, lane.ErrRights) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if wo.Bits() != 0 {
		t.Error("bits were seen without the right")
	}
	if err := d.Raise(0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("raising nothing: %v", err)
	}
	if _, err := d.Wait(ctx, 0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("waiting for nothing: %v", err)
	}
	once := lane.NewEvent(lane.OneShot)
	once.Raise(2)
	if got, err := once.Wait(ctx, 1); got != 2 || err != nil {
		t.Errorf("a one-shot event is raised or not: %v, %v", got, err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- second(d.Wait(ctx, 8)) }()
	for !lane.EventWaited(d) {
		runtime.Gosched()
	}
	d.Close()
	if err := <-waiting; !errors.Is(err, lane.ErrClosed) {
		t.Errorf("a waiter of a closed handle: %v", err)
	}
	ro.Close()
	wo.Close()
}

func second[T any](_ T, err error) error { return err }

// What one raises, one taker gets, however the takers' waits are cancelled; and
// no wait stays behind. Within the process and over shared memory.
func TestEventCancelRacesRaise(t *testing.T) {
	rounds := 20_000
	if os.Getenv("HATI_HAMMER") != "" {
		rounds = 1_000_000
	}
	for _, shared := range []bool{false, true} {
		name := map[bool]string{false: "local", true: "shared"}[shared]
		t.Run(name, func(t *testing.T) {
			e := lane.NewEvent(lane.Bitset)
			defer e.Close()
			taker := e
			if shared {
				taker = throughRing(t, e.Dup())
				defer taker.Close()
			}
			type verdict struct {
				bits uint32
				err  error
			}
			before := runtime.NumGoroutine()
			calls, answers := make(chan context.Context), make(chan verdict)
			go func() {
				for ctx := range calls {
					bits, err := taker.Take(ctx, 1)
					answers <- verdict{bits, err}
				}
			}()
			taken, cancelled := 0, 0
			for i := range rounds {
				ctx, cancel := context.WithCancelCause(context.Background())
				calls <- ctx
				for i%8 >= 4 && !lane.EventWaited(taker) { // half of them while it waits
					runtime.Gosched()
				}
				switch i % 4 {
				case 0:
					go cancel(lane.ErrInterrupted)
					e.Raise(1)
				case 1:
					go e.Raise(1)
					cancel(lane.ErrInterrupted)
				case 2:
					cancel(lane.ErrInterrupted)
					e.Raise(1)
				case 3:
					e.Raise(1)
					cancel(lane.ErrInterrupted)
				}
				v := <-answers
				switch {
				case v.err == nil && v.bits == 1:
					taken++
				case v.err == lane.ErrInterrupted && v.bits == 0:
					cancelled++
					// The raise is not lost: it is there, or on its way from the goroutine.
					if got, err := taker.Take(within(t), 1); got != 1 || err != nil {
						t.Fatalf("round %d: a raise is lost: %v, %v", i, got, err)
					}
				default:
					t.Fatalf("round %d: %v, %v", i, v.bits, v.err)
				}
				if e.Bits() != 0 {
					t.Fatalf("round %d: %d left", i, e.Bits())
				}
				cancel(nil)
			}
			close(calls)
			if lane.EventWaited(e) || lane.EventWaited(taker) {
				t.Error("a wait was left behind")
			}
			t.Logf("%d taken, %d cancelled", taken, cancelled)
			await(t, "the goroutines are gone", func() bool { return runtime.NumGoroutine() <= before })
		})
	}
}

// throughRing sends an object over a ring and returns what arrives.
func throughRing[T lane.Object](t *testing.T, o T) T {
	t.Helper()
	c, s, err := lane.PairShared(lane.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	defer c.Close()
	if err := c.Note(within(t), &lane.Message{Objects: []lane.Object{o}}); err != nil {
		t.Fatal(err)
	}
	r, err := s.Recv(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Answer(nil)
	got := r.Objects[0].(T)
	r.Objects[0] = nil
	return got
}

// What was given away is spent for its sender, over every transport.
func TestObjectsAreSpentByTheirSender(t *testing.T) {
	overTransports(t, lane.Config{}, func(t *testing.T, c, s *lane.Lane) {
		s.Handle(func(_ context.Context, r *lane.Request) error {
			m := r.Objects[0].(*lane.Memory)
			if string(r.Data) == "look" {
				var b [1]byte
				if _, err := m.ReadAt(b[:], 0); err != nil {
					return err
				}
			}
			r.Reply.Objects, r.Objects = r.Objects, nil
			return nil
		}, lane.ServeOptions{})
		m, err := lane.NewMemory(10)
		if err != nil {
			t.Fatal(err)
		}
		e := lane.NewEvent(lane.OneShot)
		one, other := lane.Pair(lane.Config{})
		defer one.Close()
		var rep lane.Message
		if err := c.Call(within(t), &lane.Message{Data: []byte("look"), Objects: []lane.Object{m, e, other}}, &rep); err != nil {
			t.Fatal(err)
		}
		m.Close()
		e.Close()
		other.Close()
		if _, err := m.ReadAt(make([]byte, 1), 0); !errors.Is(err, lane.ErrClosed) {
			t.Errorf("memory: %v", err)
		}
		if err := e.Raise(1); !errors.Is(err, lane.ErrClosed) {
			t.Errorf("event: %v", err)
		}
		if err := other.Call(within(t), &lane.Message{}, nil); !errors.Is(err, lane.ErrClosed) {
			t.Errorf("lane: %v", err)
		}
		// The receiver's are whole.
		if n, err := rep.Objects[0].(*lane.Memory).ReadAt(make([]byte, 20), 0); n != 10 || err != io.EOF {
			t.Errorf("the receiver's memory: %d, %v", n, err)
		}
		if err := rep.Objects[1].(*lane.Event).Raise(1); err != nil {
			t.Error(err)
		}
		back := rep.Objects[2].(*lane.Lane)
		back.Handle(echo, lane.ServeOptions{})
		if err := one.Call(within(t), &lane.Message{Op: opEcho}, nil); err != nil {
			t.Error(err)
		}
		for _, o := range rep.Objects {
			o.Close()
		}
	})
}
