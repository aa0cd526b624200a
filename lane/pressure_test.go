package lane_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/hati-os/hati/lane"
)

// Whoever sends more than the lane has room for waits, can be cancelled while waiting, and goes on when there is room:
// of what was refused nothing arrives, of what was taken all.
func TestFullLaneHoldsItsSenders(t *testing.T) {
	const slots, size = 64, 4096
	for _, tc := range []struct {
		name string
		cfg  lane.Config
		most int
	}{
		{"slots", lane.Config{Slots: slots, Arena: 1 << 20}, slots},
		{"arena", lane.Config{Slots: slots, Arena: 8 * size}, 8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// Whoever waits for room is cancelled.
			var giveUp atomic.Pointer[context.CancelCauseFunc]
			full := errors.New("full")
			tc.cfg.SetSteps(func(step string) {
				if f := giveUp.Load(); step == "room" && f != nil {
					(*f)(full)
				}
			})
			overTransports(t, tc.cfg, func(t *testing.T, c, s *lane.Lane) {
				gate, came := make(chan struct{}), make(chan struct{}, 10*slots)
				s.Handle(func(ctx context.Context, r *lane.Request) error {
					<-gate
					came <- struct{}{}
					return nil
				}, lane.ServeOptions{Concurrency: 1})
				bulk := make([]byte, size)
				sent := 0
				for ; sent <= 2*slots; sent++ {
					ctx, stop := context.WithCancelCause(context.Background())
					giveUp.Store(&stop)
					err := c.Note(ctx, &lane.Message{Bulk: bulk})
					stop(nil)
					if err == full {
						break
					} else if err != nil {
						t.Fatal(err)
					}
				}
				giveUp.Store(nil)
				// One more than the lane holds may be with the server.
				if sent == 0 || sent > tc.most+1 {
					t.Fatalf("%d notes of %d bytes were taken, at most %d are allowed", sent, size, tc.most+1)
				}
				close(gate)
				if err := c.Call(within(t), &lane.Message{Bulk: bulk}, nil); err != nil {
					t.Fatal(err)
				}
				for range sent + 1 {
					<-came
				}
				select {
				case <-came:
					t.Error("what was refused has arrived")
				default:
				}
			})
		})
	}
}
