package lane_test

import (
	"context"
	"errors"
	"testing"

	"github.com/hati-os/hati/lane"
)

// TestSettled: what a handler registered hears once of each request's end, after what
// takes the request back.
func TestSettled(t *testing.T) {
	overTransports(t, lane.Config{Impatient: true}, func(t *testing.T, c, s *lane.Lane) {
		events := make(chan string, 10)
		begun, goOn := make(chan struct{}), make(chan struct{})
		s.Handle(func(ctx context.Context, r *lane.Request) error {
			r.OnSettled(func() { events <- "settled" })
			r.OnUndelivered(func() { events <- "undone" })
			switch r.Op {
			case 1:
				return errors.New("no")
			case 2:
				begun <- struct{}{}
				<-goOn // deaf
			}
			return nil
		}, lane.ServeOptions{})
		wants := func(what string, want ...string) {
			t.Helper()
			for _, w := range want {
				if got := <-events; got != w {
					t.Errorf("%s: %s, want %s", what, got, w)
				}
			}
		}
		if err := c.Call(within(t), &lane.Message{}, nil); err != nil {
			t.Fatal(err)
		}
		wants("delivered", "settled")
		if err := c.Call(within(t), &lane.Message{Op: 1}, nil); err == nil {
			t.Fatal("no error")
		}
		wants("failed", "settled")
		ctx, cancel := context.WithCancelCause(within(t))
		go func() {
			<-begun
			cancel(lane.ErrKilled)
		}()
		if err := c.Call(ctx, &lane.Message{Op: 2}, nil); lane.OutcomeOf(err) != lane.InDoubt {
			t.Errorf("abandoned: %v", err)
		}
		close(goOn)
		wants("abandoned", "undone", "settled")
		if len(events) > 0 {
			t.Errorf("and %s", <-events)
		}
	})
}
