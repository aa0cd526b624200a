//go:build faultpoints

package guard_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/hati-os/hati/internal/fault"
	"github.com/hati-os/hati/internal/guard"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/vfstest"
	"golang.org/x/sys/unix"
)

// TestC07_PauseAtEachStep holds a call at each of its steps, cancels it there,
// and lets it go on: it has one outcome, in time, and the next call is untouched.
func TestC07_PauseAtEachStep(t *testing.T) {
	points := []string{"guard: begun", "guard: before the server", "guard: after the server", "guard: answered",
		"guard: cancelled", "guard: watched", "guard: abandoning"}
	for _, via := range []struct {
		name string
		call func(context.Context, func(context.Context) error) error
	}{
		{"worker", func(ctx context.Context, f func(context.Context) error) error { return f(ctx) }},
		{"actor", viaActor},
	} {
		for _, point := range points {
			for _, server := range []string{"heeds", "ignores", "answers"} {
				for _, cause := range []error{vfs.ErrInterrupted, vfs.ErrKilled} {
					t.Run(via.name+"/"+point+"/"+server+"/"+cause.Error(), func(t *testing.T) {
						pauseAt(t, point, server, cause, via.call)
					})
				}
			}
		}
	}
}

func pauseAt(t *testing.T, point, server string, cause error, via func(context.Context, func(context.Context) error) error) {
	p := vfstest.NewPuppet()
	g := guard.New(p, guard.Options{Grace: 50 * time.Millisecond})
	defer g.Close()
	root, err := g.FS().Root(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	n, err := vfs.Lookup(context.Background(), root, "file")
	if err != nil {
		t.Fatal(err)
	}
	var stop *vfstest.Stop
	switch server {
	case "heeds":
		stop = p.Heed("open")
	case "ignores":
		stop = p.Ignore("open")
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	var once sync.Once
	fault.Set(func(at string) {
		if at == point {
			once.Do(func() {
				cancel(cause)
				<-time.After(time.Millisecond) // the pause: whoever hears of it may act
			})
		}
	})
	defer fault.Set(nil)
	done := make(chan error, 1)
	go func() {
		done <- via(ctx, func(ctx context.Context) error {
			f, err := vfs.Open(ctx, n, unix.O_RDONLY)
			if err == nil {
				f.Close()
			}
			return err
		})
	}()
	if stop != nil && point != "guard: begun" && point != "guard: before the server" {
		// These steps come only once the call is in the server and cancelled.
		<-stop.Entered
		cancel(cause)
	}
	select {
	case err := <-done:
		if err != nil && !errors.Is(err, cause) && !errors.Is(err, vfs.ErrInDoubt) {
			t.Errorf("outcome %v", err)
		}
		if server == "answers" && errors.Is(err, vfs.ErrInDoubt) && cause == vfs.ErrInterrupted {
			t.Errorf("a server that answers at once: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the cancel was lost")
	}
	fault.Set(nil)
	if stop != nil {
		p.Plan("open", nil)
		stop.Release()
	}
	err = via(context.Background(), func(ctx context.Context) error { _, err := n.Stat(ctx); return err })
	if err != nil {
		t.Errorf("the next call: %v", err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for open, _, _ := p.Held(); open != 0 || len(g.Abandoned()) != 0; open, _, _ = p.Held() {
		if time.Now().After(deadline) {
			t.Fatalf("%d files are left open", open)
		}
	}
}
