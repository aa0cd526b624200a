package lane_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/hati-os/hati/lane"
)

func BenchmarkCall(b *testing.B) {
	for _, kind := range []string{"local", "ring"} {
		for _, inline := range []bool{false, true} {
			for _, cancellable := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/inline=%v/cancellable=%v", kind, inline, cancellable), func(b *testing.B) {
					c, s := lane.Pair(lane.Config{})
					if kind == "ring" {
						var err error
						if c, s, err = lane.PairShared(lane.Config{}); err != nil {
							b.Fatal(err)
						}
					}
					defer c.Close()
					s.Handle(echo, lane.ServeOptions{Inline: inline})
					ctx := context.Background()
					if cancellable {
						var cancel func()
						ctx, cancel = context.WithCancel(ctx)
						defer cancel()
					}
					req := lane.Message{Op: opEcho, Data: make([]byte, 64)}
					rep := lane.Message{Data: make([]byte, 0, 64)}
					b.ReportAllocs()
					for b.Loop() {
						if err := c.Call(ctx, &req, &rep); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
