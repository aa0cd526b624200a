package lane_test

import (
	"context"
	"errors"
	"math/rand"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/lane"
)

// Calls that take the next number of a stream race with their cancels. Every
// call ends once, and the numbers that arrive are the stream: nothing is taken
// by a call that was cancelled.
func TestC01_C03_RacingCancels(t *testing.T) {
	calls := 10000
	if testing.Short() || raceEnabled {
		calls = 2000
	}
	overAll(t, lane.Config{}, func(t *testing.T, c *client) {
		var done, interrupted, cancelled, doubt atomic.Int64
		var mu sync.Mutex
		seen := map[uint64]bool{}
		var left atomic.Int64
		left.Store(int64(calls))
		feed(t, c, calls/2)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				rnd := rand.New(rand.NewSource(int64(g)))
				rep := lane.Message{}
				for left.Add(-1) >= 0 {
					ctx, cancel := context.WithCancelCause(context.Background())
					cause := lane.ErrInterrupted
					if rnd.Intn(2) == 0 {
						cause = context.Canceled
					}
					spin := rnd.Intn(60)
					go func() {
						for range spin {
							runtime.Gosched()
						}
						cancel(cause)
					}()
					err := c.Call(ctx, &lane.Message{Op: opStream}, &rep)
					switch lane.OutcomeOf(err) {
					case lane.Done:
						if err != nil {
							t.Error(err)
							return
						}
						done.Add(1)
						mu.Lock()
						n := le64(rep.Data)
						if seen[n] {
							t.Errorf("number %d came twice", n)
						}
						seen[n] = true
						mu.Unlock()
					case lane.Interrupted:
						interrupted.Add(1)
					case lane.Cancelled:
						cancelled.Add(1)
					case lane.InDoubt:
						doubt.Add(1)
						t.Errorf("in doubt: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if sum := done.Load() + interrupted.Load() + cancelled.Load(); sum != int64(calls) {
			t.Errorf("%d calls, %d outcomes", calls, sum)
		}
		for n := uint64(1); n <= uint64(len(seen)); n++ {
			if !seen[n] {
				t.Fatalf("number %d of %d is lost", n, len(seen))
			}
		}
		t.Logf("%d done, %d interrupted, %d cancelled", done.Load(), interrupted.Load(), cancelled.Load())
	})
}

func le64(p []byte) (n uint64) {
	for i := 7; i >= 0; i-- {
		n = n<<8 | uint64(p[i])
	}
	return n
}

// A cancelled call has no effect: the server's next number goes to somebody else.
func TestC02_CancelledMeansNoEffect(t *testing.T) {
	overAll(t, lane.Config{}, func(t *testing.T, c *client) {
		for _, cause := range []error{lane.ErrInterrupted, context.Canceled} {
			ctx, cancel := context.WithCancelCause(within(t))
			go func() {
				c.awaitStarted(opStream, 1)
				cancel(cause)
			}()
			if err := c.Call(ctx, &lane.Message{Op: opStream}, nil); err != cause {
				t.Fatalf("got %v, not %v", err, cause)
			}
		}
		feed(t, c, 1)
		rep := lane.Message{}
		if err := c.Call(within(t), &lane.Message{Op: opStream}, &rep); err != nil || le64(rep.Data) != 1 {
			t.Fatal(err, rep.Data)
		}
	})
}

func TestC04_InDoubtIsNamed(t *testing.T) {
	p := startServer(t)
	c := dial(t, p, lane.Config{})
	err := c.Call(within(t), &lane.Message{Op: opExit}, nil)
	if lane.OutcomeOf(err) != lane.InDoubt || !errors.Is(err, lane.ErrPeerDied) {
		t.Fatalf("a server that died at work: %v", err)
	}
	err = c.Call(within(t), &lane.Message{Op: opEcho}, nil)
	if lane.OutcomeOf(err) != lane.Cancelled || !errors.Is(err, lane.ErrPeerDied) {
		t.Fatalf("a server that is dead: %v", err)
	}
}

// Of N identical waiters one is cancelled; the others stay and get their turn.
func TestC05_CancelNamesOneRequest(t *testing.T) {
	overAll(t, lane.Config{}, func(t *testing.T, c *client) {
		const n = 20
		results := make(chan error, n)
		call := func(ctx context.Context) { results <- c.Call(ctx, &lane.Message{Op: opStream}, nil) }
		one, cancel := context.WithCancelCause(within(t))
		for range n - 1 {
			go call(within(t))
		}
		go call(one)
		c.awaitStarted(opStream, n)
		cancel(lane.ErrInterrupted)
		if err := <-results; err != lane.ErrInterrupted {
			t.Fatal(err)
		}
		feed(t, c, n-1)
		for range n - 1 {
			if err := <-results; err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The cancel of a call that has ended strikes none of those that use its slot
// next.
func TestC06_LateCancelMissesSuccessor(t *testing.T) {
	overAll(t, lane.Config{Slots: 64}, func(t *testing.T, c *client) {
		for i := range 200 {
			ctx, cancel := context.WithCancelCause(within(t))
			go cancel(lane.ErrInterrupted)
			c.Call(ctx, &lane.Message{Op: opEcho}, nil)
			feed(t, c, 1)
			if err := c.Call(context.Background(), &lane.Message{Op: opStream}, nil); err != nil {
				t.Fatalf("call %d: %v", i, err)
			}
		}
	})
}

// A cancel that comes at any step of a call ends it.
func TestC07_CancelAtEveryStep(t *testing.T) {
	for _, step := range []string{"begin", "post", "block", "withdraw", "abandon", "complete"} {
		for _, cause := range []error{lane.ErrInterrupted, lane.ErrKilled} {
			t.Run(step+"/"+cause.Error(), func(t *testing.T) {
				var cfg lane.Config
				cfg.Grace = 50 * time.Millisecond
				// The step's cancel for one transport may still be under way in the next.
				type strike struct {
					sync.Once
					cancel context.CancelCauseFunc
				}
				var now atomic.Pointer[strike]
				cfg.SetSteps(func(at string) {
					if x := now.Load(); at == step {
						x.Do(func() { x.cancel(cause) })
					}
				})
				overTransports(t, cfg, func(t *testing.T, c, s *lane.Lane) {
					ctx, cancel := context.WithCancelCause(context.Background())
					now.Store(&strike{cancel: cancel})
					began := make(chan struct{})
					s.Handle(func(ctx context.Context, r *lane.Request) error {
						close(began)
						if step == "complete" {
							return nil
						}
						<-ctx.Done()
						return context.Cause(ctx)
					}, lane.ServeOptions{})
					if step == "withdraw" || step == "abandon" { // reached only by a cancel
						go func() {
							<-began
							cancel(cause)
						}()
					}
					err := c.Call(ctx, &lane.Message{Op: 9}, nil)
					if err != nil && !errors.Is(err, cause) {
						t.Fatal(err)
					}
					if err == nil && step != "complete" {
						t.Fatal("the cancel was lost")
					}
				})
			})
		}
	}
}

// What was cancelled before its start never reaches the handler.
func TestC08_NotSentNeverReachesServer(t *testing.T) {
	k := newClient()
	overTransports(t, k.configure(lane.Config{}), func(t *testing.T, c, s *lane.Lane) {
		k.reset()
		var ops sync.Map
		release, began := make(chan struct{}), make(chan struct{}, 10)
		s.Handle(func(ctx context.Context, r *lane.Request) error {
			ops.Store(r.Op, true)
			began <- struct{}{}
			<-release
			return nil
		}, lane.ServeOptions{Concurrency: 1})
		first := make(chan error, 1)
		go func() { first <- c.Call(within(t), &lane.Message{Op: 1}, nil) }()
		<-began

		gone, cancel := context.WithCancelCause(context.Background())
		cancel(lane.ErrKilled)
		if err := c.Call(gone, &lane.Message{Op: 2}, nil); err != lane.ErrKilled {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(within(t))
		go func() {
			k.awaitBlocked(2)
			cancel(lane.ErrInterrupted)
		}()
		if err := c.Call(ctx, &lane.Message{Op: 3}, nil); err != lane.ErrInterrupted {
			t.Fatal(err)
		}
		close(release)
		if err := <-first; err != nil {
			t.Fatal(err)
		}
		if err := c.Call(within(t), &lane.Message{Op: 4}, nil); err != nil {
			t.Fatal(err)
		}
		for op, want := range map[uint32]bool{1: true, 2: false, 3: false, 4: true} {
			if _, got := ops.Load(op); got != want {
				t.Errorf("operation %d reached the server: %v", op, got)
			}
		}
	})
}

// Signals that both processes get all the time are no cancels.
func TestC09_SignalsDoNotCancel(t *testing.T) {
	p := startServer(t)
	c := dial(t, p, lane.Config{})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.Process.Signal(syscall.SIGURG)
				p.Process.Signal(syscall.SIGCHLD)
				syscall.Kill(os.Getpid(), syscall.SIGURG)
			case <-stop:
				return
			}
		}
	})
	waiting := make(chan error, 1)
	go func() { waiting <- c.Call(within(t), &lane.Message{Op: opStream}, nil) }()
	for range 2000 {
		if err := c.Call(within(t), &lane.Message{Op: opEcho}, nil); err != nil {
			t.Fatal(err)
		}
	}
	p.Process.Signal(syscall.SIGSTOP)
	p.Process.Signal(syscall.SIGCONT)
	feed(t, c, 1)
	if err := <-waiting; err != nil {
		t.Fatal(err)
	}
	close(stop)
	wg.Wait()
}

func TestC10_CancellingTwiceOrLateDoesNothing(t *testing.T) {
	overAll(t, lane.Config{}, func(t *testing.T, c *client) {
		ctx, cancel := context.WithCancelCause(within(t))
		if err := c.Call(ctx, &lane.Message{Op: opEcho}, nil); err != nil {
			t.Fatal(err)
		}
		cancel(lane.ErrInterrupted)
		cancel(lane.ErrKilled)
		ctx, cancel = context.WithCancelCause(within(t))
		go func() {
			c.awaitStarted(opBlock, 1)
			cancel(lane.ErrInterrupted)
			cancel(lane.ErrKilled)
		}()
		if err := c.Call(ctx, &lane.Message{Op: opBlock}, nil); err != lane.ErrInterrupted {
			t.Fatal(err)
		}
		if err := c.Call(within(t), &lane.Message{Op: opEcho}, nil); err != nil {
			t.Fatal(err)
		}
	})
}

// With every handler and every slot taken a cancel still lands.
func TestC11_CancelNeverQueues(t *testing.T) {
	k := newClient()
	overTransports(t, k.configure(lane.Config{Slots: 64}), func(t *testing.T, c, s *lane.Lane) {
		k.reset()
		s.Handle(echo, lane.ServeOptions{Concurrency: 4})
		const n = 80 // 4 at work, 60 posted, 16 without a slot
		type call struct {
			cancel context.CancelCauseFunc
			err    chan error
		}
		var calls []call
		for range n {
			ctx, cancel := context.WithCancelCause(within(t))
			result := make(chan error, 1)
			calls = append(calls, call{cancel, result})
			go func() { result <- c.Call(ctx, &lane.Message{Op: opBlock}, nil) }()
		}
		k.awaitBlocked(64)
		for i := range calls {
			one := calls[len(calls)-1-i]
			one.cancel(lane.ErrInterrupted)
			if err := <-one.err; err != lane.ErrInterrupted {
				t.Fatalf("call %d: %v", i, err)
			}
		}
	})
}

// A server that ignores a cancel loses the request: after the grace time, or at
// once when the caller is killed.
func TestC12_BoundedAbandonment(t *testing.T) {
	for _, tc := range []struct {
		name  string
		cause error
		grace time.Duration
	}{
		{"interrupted", lane.ErrInterrupted, 100 * time.Millisecond},
		{"killed", lane.ErrKilled, patience},
	} {
		t.Run(tc.name, func(t *testing.T) {
			overAll(t, lane.Config{Grace: tc.grace}, func(t *testing.T, c *client) {
				ctx, cancel := context.WithCancelCause(within(t))
				var at time.Time
				go func() {
					c.awaitStarted(opIgnore, 1)
					at = time.Now()
					cancel(tc.cause)
				}()
				err := c.Call(ctx, &lane.Message{Op: opIgnore}, nil)
				took := time.Since(at)
				if lane.OutcomeOf(err) != lane.InDoubt || !errors.Is(err, tc.cause) {
					t.Errorf("%v: %v", tc.cause, err)
				}
				if tc.grace != patience && (took < tc.grace || took > 10*time.Second) {
					t.Errorf("%v: took %v", tc.cause, took)
				}
				if err := c.Call(within(t), &lane.Message{Op: opRelease}, nil); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// A kill that comes while an interrupt waits for its acknowledgement.
func TestC13_KillDuringGrace(t *testing.T) {
	overAll(t, lane.Config{Grace: patience}, func(t *testing.T, c *client) {
		ctx, interrupt := context.WithCancelCause(within(t))
		final, kill := context.WithCancelCause(within(t))
		go func() {
			c.awaitStarted(opIgnore, 1)
			interrupt(lane.ErrInterrupted)
			kill(lane.ErrKilled)
		}()
		err := c.Call(lane.WithFinal(ctx, final), &lane.Message{Op: opIgnore}, nil)
		if lane.OutcomeOf(err) != lane.InDoubt || !errors.Is(err, lane.ErrKilled) {
			t.Fatal(err)
		}
		c.Call(within(t), &lane.Message{Op: opRelease}, nil)
	})
}

func TestC13_KillReachesCallerOfStoppedServer(t *testing.T) {
	p := startServer(t)
	c := dial(t, p, lane.Config{Grace: patience})
	started, kill := context.WithCancelCause(within(t))
	results := make(chan error, 2)
	go func() { results <- c.Call(started, &lane.Message{Op: opStream}, nil) }()
	c.awaitStarted(opStream, 1)
	if err := p.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitStopped(t, p.Process.Pid)
	c.reset()
	posted, kill2 := context.WithCancelCause(within(t))
	go func() { results <- c.Call(posted, &lane.Message{Op: opEcho}, nil) }()
	c.awaitBlocked(1)
	kill2(lane.ErrKilled)
	if err := <-results; err != lane.ErrKilled {
		t.Fatalf("not started: %v", err)
	}
	kill(lane.ErrKilled)
	if err := <-results; lane.OutcomeOf(err) != lane.InDoubt {
		t.Fatalf("started: %v", err)
	}
	p.Process.Signal(syscall.SIGCONT)
	if err := c.Call(within(t), &lane.Message{Op: opEcho}, nil); err != nil {
		t.Fatalf("after SIGCONT: %v", err)
	}
}

// waitStopped waits for the stop itself: the signal takes its time.
func waitStopped(t *testing.T, pid int) {
	t.Helper()
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &ws, syscall.WUNTRACED, nil); err != nil || !ws.Stopped() {
		t.Fatal(err, ws)
	}
}

// One request abandoned, one that panics: the others go on.
func TestC14_BlastRadiusIsOneRequest(t *testing.T) {
	overAll(t, lane.Config{Grace: time.Millisecond}, func(t *testing.T, c *client) {
		sibling := make(chan error, 1)
		go func() { sibling <- c.Call(within(t), &lane.Message{Op: opStream}, nil) }()
		c.awaitStarted(opStream, 1)
		ctx, cancel := context.WithCancelCause(within(t))
		go func() {
			c.awaitStarted(opIgnore, 1)
			cancel(lane.ErrInterrupted)
		}()
		if err := c.Call(ctx, &lane.Message{Op: opIgnore}, nil); lane.OutcomeOf(err) != lane.InDoubt {
			t.Fatal(err)
		}
		if err := c.Call(within(t), &lane.Message{Op: opPanic}, nil); lane.OutcomeOf(err) != lane.InDoubt {
			t.Fatal(err)
		}
		feed(t, c, 1)
		if err := <-sibling; err != nil {
			t.Fatal(err)
		}
		c.Call(within(t), &lane.Message{Op: opRelease}, nil)
	})
}
