package lane_test

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/lane"
)

// patience is a grace time that nobody sees the end of: a server that heeds its
// cancels has all the time that it takes on a busy machine, and who must not wait for
// it would hang.
const patience = time.Hour

// overTransports runs f over a lane of each transport, with patience unless cfg has a
// grace time.
func overTransports(t *testing.T, cfg lane.Config, f func(t *testing.T, client, server *lane.Lane)) {
	if cfg.Grace == 0 {
		cfg.Grace = patience
	}
	t.Run("local", func(t *testing.T) {
		a, b := lane.Pair(cfg)
		defer b.Close()
		defer a.Close()
		f(t, a, b)
	})
	t.Run("ring", func(t *testing.T) {
		a, b, err := lane.PairShared(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		defer a.Close()
		f(t, a, b)
	})
}

// within bounds a test's own waits; nothing synchronises by it.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Operations of the test server.
const (
	opEcho  = 1 + iota // Data and Bulk come back
	opBlock            // waits for ctx and returns its cause
	opErrno            // fails with the errno in Data[0]
	opText             // fails with text
	opPanic
)

func echo(ctx context.Context, r *lane.Request) error {
	switch r.Op {
	case opEcho:
		r.Reply.Data = append(r.Reply.Data, r.Data...)
		room := r.Room(len(r.Bulk))
		r.Reply.Bulk = room[:copy(room, r.Bulk)]
		return nil
	case opBlock:
		<-ctx.Done()
		return context.Cause(ctx)
	case opErrno:
		return syscall.Errno(r.Data[0])
	case opText:
		return errors.New("no such thing")
	case opPanic:
		panic("boom")
	}
	return syscall.ENOSYS
}

func TestCallEchoes(t *testing.T) {
	overTransports(t, lane.Config{}, func(t *testing.T, c, s *lane.Lane) {
		if err := s.Handle(echo, lane.ServeOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 64, 1023, 1024, 1025, 4096, 1 << 20} {
			req := lane.Message{Op: opEcho, Data: fill(min(n, 1024), 1), Bulk: fill(n, 2)}
			rep := lane.Message{Bulk: make([]byte, n)}
			if err := c.Call(within(t), &req, &rep); err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
			if string(rep.Data) != string(req.Data) || string(rep.Bulk) != string(req.Bulk) {
				t.Fatalf("%d bytes: got %d and %d back", n, len(rep.Data), len(rep.Bulk))
			}
		}
	})
}

func fill(n int, seed byte) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i)*7 + seed
	}
	return p
}

func TestErrorsCross(t *testing.T) {
	overTransports(t, lane.Config{}, func(t *testing.T, c, s *lane.Lane) {
		s.Handle(echo, lane.ServeOptions{})
		var remote *lane.RemoteError
		for _, tc := range []struct {
			name string
			req  lane.Message
			ok   func(error) bool
			out  lane.Outcome
		}{
			{"errno", lane.Message{Op: opErrno, Data: []byte{byte(syscall.ENOENT)}}, func(e error) bool { return e == syscall.ENOENT }, lane.Done},
			{"text", lane.Message{Op: opText}, func(e error) bool { return errors.As(e, &remote) && remote.Text == "no such thing" }, lane.Done},
			{"panic", lane.Message{Op: opPanic}, func(e error) bool { return errors.Is(e, lane.ErrInDoubt) }, lane.InDoubt},
		} {
			err := c.Call(within(t), &tc.req, nil)
			if !tc.ok(err) || lane.OutcomeOf(err) != tc.out {
				t.Errorf("%s: %v, %v", tc.name, err, lane.OutcomeOf(err))
			}
		}
	})
}

func TestManyCallersAtOnce(t *testing.T) {
	overTransports(t, lane.Config{Slots: 64, Arena: 1 << 20}, func(t *testing.T, c, s *lane.Lane) {
		s.Handle(echo, lane.ServeOptions{})
		var wg sync.WaitGroup
		for g := range 200 {
			wg.Go(func() {
				for i := range 20 {
					n := (g*31 + i*977) % 6000
					req := lane.Message{Op: opEcho, Bulk: fill(n, byte(g))}
					rep := lane.Message{Bulk: make([]byte, n)}
					if err := c.Call(within(t), &req, &rep); err != nil || string(rep.Bulk) != string(req.Bulk) {
						t.Errorf("caller %d: %v", g, err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestInterruptAndKill(t *testing.T) {
	overTransports(t, lane.Config{}, func(t *testing.T, c, s *lane.Lane) {
		began := make(chan error, 1)
		seen := make(chan error, 1)
		s.Handle(func(ctx context.Context, r *lane.Request) error {
			began <- nil
			<-ctx.Done()
			seen <- context.Cause(ctx)
			return context.Cause(ctx)
		}, lane.ServeOptions{})
		for _, tc := range []struct {
			cause, want error
			out         lane.Outcome
		}{
			{lane.ErrInterrupted, lane.ErrInterrupted, lane.Interrupted},
			{lane.ErrKilled, lane.ErrInDoubt, lane.InDoubt},
			{lane.ErrDeadline, lane.ErrDeadline, lane.Cancelled},
			{context.Canceled, context.Canceled, lane.Cancelled},
		} {
			ctx, cancel := context.WithCancelCause(within(t))
			go func() { <-began; cancel(tc.cause) }()
			err := c.Call(ctx, &lane.Message{Op: opBlock}, nil)
			if got := <-seen; !errors.Is(got, tc.cause) {
				t.Errorf("%v: the handler saw %v", tc.cause, got)
			}
			if tc.cause == lane.ErrKilled && err == lane.ErrKilled {
				continue // the server was faster than the caller's leaving
			}
			if !errors.Is(err, tc.want) || lane.OutcomeOf(err) != tc.out {
				t.Errorf("%v: got %v (%v)", tc.cause, err, lane.OutcomeOf(err))
			}
		}
	})
}

func TestNotesKeepOrder(t *testing.T) {
	overTransports(t, lane.Config{Slots: 64}, func(t *testing.T, c, s *lane.Lane) {
		const n = 1000
		got := make(chan uint32, n)
		s.Handle(func(ctx context.Context, r *lane.Request) error {
			if !r.IsNote {
				return syscall.EINVAL
			}
			got <- r.Op
			return nil
		}, lane.ServeOptions{})
		for i := range n {
			if err := c.Note(within(t), &lane.Message{Op: uint32(i)}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			if op := <-got; op != uint32(i) {
				t.Fatalf("note %d came as number %d", op, i)
			}
		}
	})
}

func TestRecvAnswers(t *testing.T) {
	overTransports(t, lane.Config{}, func(t *testing.T, c, s *lane.Lane) {
		go func() {
			for {
				r, err := s.Recv(context.Background())
				if err != nil {
					return
				}
				r.Reply.Data = append(r.Reply.Data, r.Data...)
				r.Answer(nil)
			}
		}()
		rep := lane.Message{}
		for range 10 {
			if err := c.Call(within(t), &lane.Message{Data: []byte("x")}, &rep); err != nil || string(rep.Data) != "x" {
				t.Fatal(err, rep)
			}
		}
	})
}
