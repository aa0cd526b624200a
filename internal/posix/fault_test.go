//go:build faultpoints

package posix

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hati-os/hati/internal/fault"
	"github.com/hati-os/hati/vfs"
)

// gate is a file that becomes ready once.
type gate struct {
	vfs.Queue
	ready atomic.Bool
}

func (g *gate) Poll(mask vfs.Events) vfs.Events {
	if g.ready.Load() {
		return mask & vfs.EventIn
	}
	return 0
}

func (g *gate) open() {
	g.ready.Store(true)
	g.Notify(vfs.EventIn)
}

// TestC07_PauseInTheFunnel holds a wait at each of its steps, and lets a signal,
// a kill or the event itself come there: none is lost.
func TestC07_PauseInTheFunnel(t *testing.T) {
	defer fault.Set(nil)
	for _, point := range []string{"posix: about to watch", "posix: watching", "posix: not ready", "posix: about to sleep", "posix: woken"} {
		for what, want := range map[string]error{"signal": vfs.ErrInterrupted, "kill": vfs.ErrKilled, "event": nil} {
			t.Run(point+"/"+what, func(t *testing.T) {
				k := bare(t)
				p := k.testProcess(k.init, 1)
				handle(p, usr1)
				task := p.leader
				task.attention.Store(false)
				g := &gate{}
				var once sync.Once
				fault.Set(func(at string) {
					if at != point {
						return
					}
					once.Do(func() {
						switch what {
						case "event":
							g.open()
							return
						case "signal":
							k.mu.Lock()
							defer k.mu.Unlock()
							_ = p.send(nil, user(usr1))
						case "kill":
							k.mu.Lock()
							defer k.mu.Unlock()
							p.killLocked()
						}
					})
				})
				if point == "posix: woken" {
					task.wakeUp() // by something that does not concern it
				}
				done := make(chan error, 1)
				go func() { done <- task.awaitPollable(g, vfs.EventIn, time.Time{}) }()
				select {
				case err := <-done:
					if err != want {
						t.Errorf("%v, want %v", err, want)
					}
				case <-time.After(10 * time.Second):
					t.Fatal("lost")
				}
				if !g.Empty() {
					t.Error("somebody still watches")
				}
			})
		}
	}
}
