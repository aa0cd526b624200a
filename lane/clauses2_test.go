package lane_test

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/lane"
)

// A client that is killed cancels its requests, and theirs alone.
func TestC16_DeadCallerCancelsItsRequests(t *testing.T) {
	var mu sync.Mutex
	causes := make(chan error, 10)
	dir := t.TempDir()
	ln, err := lane.Listen(dir+"/s", 0o600, lane.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		ln.Serve(ctx, func(ctx context.Context, r *lane.Request) error {
			if r.Op != opBlock {
				return echo(ctx, r)
			}
			r.Lane().Note(ctx, &lane.Message{Op: opStarted, Data: []byte{opBlock}})
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			causes <- context.Cause(ctx)
			return context.Cause(ctx)
		}, lane.ServeOptions{}, nil)
	}()
	other := newClient()
	l, err := lane.Dial(within(t), dir+"/s", other.configure(lane.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	other.attach(l)
	stays := make(chan error, 1)
	go func() { stays <- l.Call(context.Background(), &lane.Message{Op: opBlock}, nil) }()
	other.awaitStarted(opBlock, 1)

	p := startProcess(t, "client", dir+"/s")
	p.Process.Kill()
	for range 5 {
		if err := <-causes; err != lane.ErrCallerDied {
			t.Errorf("the handler saw %v", err)
		}
	}
	if err := l.Call(within(t), &lane.Message{Op: opEcho}, nil); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-stays:
		t.Fatalf("another client's request ended: %v", err)
	default:
	}
	// The server's own end: its requests learn of the shutdown.
	cancel()
	<-served
	if err := <-causes; err != lane.ErrShutdown {
		t.Errorf("the handler saw %v", err)
	}
	if err := <-stays; !errors.Is(err, lane.ErrShutdown) || lane.OutcomeOf(err) != lane.Cancelled {
		t.Errorf("the caller of a server that shut down: %v", err)
	}
}

// A server that is killed: what it had started is in doubt, what it had not is
// cancelled.
func TestC16_DeadServerEndsItsRequests(t *testing.T) {
	p := startServer(t)
	c := dial(t, p, lane.Config{})
	started, posted := make(chan error, 10), make(chan error, 10)
	for range 10 {
		go func() { started <- c.Call(context.Background(), &lane.Message{Op: opBlock}, nil) }()
	}
	c.awaitStarted(opBlock, 10)
	p.Process.Signal(syscall.SIGSTOP)
	waitStopped(t, p.Process.Pid)
	c.reset()
	for range 10 {
		go func() { posted <- c.Call(context.Background(), &lane.Message{Op: opEcho}, nil) }()
	}
	c.awaitBlocked(10)
	p.Process.Kill()
	for range 10 {
		if err := <-started; lane.OutcomeOf(err) != lane.InDoubt || !errors.Is(err, lane.ErrPeerDied) {
			t.Errorf("started: %v", err)
		}
		if err := <-posted; lane.OutcomeOf(err) != lane.Cancelled || !errors.Is(err, lane.ErrPeerDied) {
			t.Errorf("posted: %v", err)
		}
	}
	<-c.Done()
	if err := c.Err(); err != lane.ErrPeerDied {
		t.Error(err)
	}
}

// A timed wait interrupted again and again lasts as long as one that never is:
// its deadline is a time, not a duration, at every hop.
func TestC17_DeadlineStaysAcrossInterrupts(t *testing.T) {
	overTransports(t, lane.Config{}, func(t *testing.T, c, s *lane.Lane) {
		began := make(chan time.Time, 1)
		s.Handle(func(ctx context.Context, r *lane.Request) error {
			d, ok := ctx.Deadline()
			if !ok {
				return syscall.EINVAL
			}
			began <- d
			<-ctx.Done()
			return context.Cause(ctx)
		}, lane.ServeOptions{})
		deadline := time.Now().Add(time.Hour)
		timed, cancel := context.WithDeadline(context.Background(), deadline)
		defer cancel()
		for range 100 {
			ctx, interrupt := context.WithCancelCause(timed)
			result := make(chan error, 1)
			go func() { result <- c.Call(ctx, &lane.Message{}, nil) }()
			if d := <-began; d.Sub(deadline).Abs() > time.Millisecond {
				t.Fatalf("the server's deadline is %v off", d.Sub(deadline))
			}
			interrupt(lane.ErrInterrupted)
			if err := <-result; err != lane.ErrInterrupted {
				t.Fatal(err)
			}
		}
		deadline = time.Now().Add(50 * time.Millisecond)
		timed, cancel = context.WithDeadline(context.Background(), deadline)
		defer cancel()
		if err := c.Call(timed, &lane.Message{}, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if late := time.Since(deadline); late < 0 || late > 10*time.Second {
			t.Errorf("ended %v after the deadline", late)
		}
	})
}

// The server's own clock ends a request whose client is stopped or lies.
func TestC17_ServerKeepsDeadline(t *testing.T) {
	p := startServer(t)
	c := dial(t, p, lane.Config{})
	conv, err := c.Offer(within(t), &lane.Message{Op: opOffered}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conv.Close()
	ctx := deadlineOnly{context.Background(), time.Now().Add(20 * time.Millisecond)}
	err = conv.Call(ctx, &lane.Message{Op: opBlock}, nil)
	if !errors.Is(err, context.DeadlineExceeded) || lane.OutcomeOf(err) != lane.Cancelled {
		t.Fatal(err)
	}
}

// deadlineOnly has a deadline that its Done does not keep.
type deadlineOnly struct {
	context.Context
	at time.Time
}

func (d deadlineOnly) Deadline() (time.Time, bool) { return d.at, true }

// Closing never waits, ends whoever waits, and succeeds again.
func TestC18_CloseAlwaysEnds(t *testing.T) {
	overAll(t, lane.Config{}, func(t *testing.T, c *client) {
		results := make(chan error, 4)
		for range 4 {
			go func() { results <- c.Call(context.Background(), &lane.Message{Op: opIgnore}, nil) }()
		}
		c.awaitStarted(opIgnore, 4)
		c.awaitBlocked(4)
		for range 2 {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 {
			if err := <-results; lane.OutcomeOf(err) != lane.InDoubt || !errors.Is(err, lane.ErrClosed) {
				t.Error(err)
			}
		}
		if err := c.Call(within(t), &lane.Message{}, nil); err != lane.ErrClosed || lane.OutcomeOf(err) != lane.Cancelled {
			t.Error(err)
		}
	})
}

// Three hops: the cause and the deadline reach the last, and each hop's answer
// says what became of the request.
func TestC19_AllTheWayDown(t *testing.T) {
	overTransports(t, lane.Config{}, func(t *testing.T, c1, s1 *lane.Lane) {
		c2, s2, err := lane.PairShared(lane.Config{Grace: patience})
		if err != nil {
			t.Fatal(err)
		}
		defer c2.Close()
		c3, s3 := lane.Pair(lane.Config{Grace: patience})
		defer c3.Close()
		pass := func(to *lane.Lane) lane.Handler {
			return func(ctx context.Context, r *lane.Request) error { return to.Call(ctx, &r.Message, &r.Reply) }
		}
		s1.Handle(pass(c2), lane.ServeOptions{})
		s2.Handle(pass(c3), lane.ServeOptions{})
		began, seen := make(chan time.Time, 1), make(chan error, 1)
		s3.Handle(func(ctx context.Context, r *lane.Request) error {
			d, _ := ctx.Deadline()
			began <- d
			if r.Op == 1 {
				panic("lost")
			}
			<-ctx.Done()
			seen <- context.Cause(ctx)
			return context.Cause(ctx)
		}, lane.ServeOptions{})
		deadline := time.Now().Add(time.Hour)
		for _, cause := range []error{lane.ErrInterrupted, lane.ErrShutdown} {
			timed, stop := context.WithDeadline(context.Background(), deadline)
			ctx, cancel := context.WithCancelCause(timed)
			result := make(chan error, 1)
			go func() { result <- c1.Call(ctx, &lane.Message{}, nil) }()
			if d := <-began; d.Sub(deadline).Abs() > time.Millisecond {
				t.Errorf("deadline %v off", d.Sub(deadline))
			}
			cancel(cause)
			if err := <-seen; err != cause {
				t.Errorf("the last hop saw %v, not %v", err, cause)
			}
			if err := <-result; err != cause {
				t.Errorf("got %v, not %v", err, cause)
			}
			stop()
		}
		go func() { <-began }()
		if err := c1.Call(within(t), &lane.Message{Op: 1}, nil); lane.OutcomeOf(err) != lane.InDoubt {
			t.Errorf("doubt did not come back: %v", err)
		}
	})
}

// Causes of another package are used at both ends.
func TestC19_CausesTranslate(t *testing.T) {
	mine, theirs := errors.New("my interrupt"), errors.New("their interrupt")
	a, b := lane.Pair(lane.Config{Causes: lane.Causes{Interrupted: mine}, Grace: patience})
	defer a.Close()
	conv := make(chan *lane.Lane, 1)
	go func() {
		r, err := b.Recv(within(t))
		if err != nil {
			return
		}
		conv <- r.Accept()
		r.Answer(nil)
	}()
	c, err := a.Offer(within(t), &lane.Message{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := <-conv
	s.SetCauses(lane.Causes{Interrupted: theirs})
	began, seen := make(chan bool, 1), make(chan error, 1)
	s.Handle(func(ctx context.Context, r *lane.Request) error {
		began <- true
		<-ctx.Done()
		seen <- context.Cause(ctx)
		return context.Cause(ctx)
	}, lane.ServeOptions{})
	ctx, cancel := context.WithCancelCause(within(t))
	go func() { <-began; cancel(mine) }()
	if err := c.Call(ctx, &lane.Message{}, nil); err != mine {
		t.Error(err)
	}
	if err := <-seen; err != theirs {
		t.Error(err)
	}
}

// An operation that is declared killable only takes no notice of an interrupt.
func TestC20_KillableOnly(t *testing.T) {
	overAll(t, lane.Config{Grace: patience}, func(t *testing.T, c *client) {
		ctx, interrupt := context.WithCancelCause(within(t))
		final, kill := context.WithCancelCause(within(t))
		result := make(chan error, 1)
		go func() {
			result <- c.Call(lane.Killable(lane.WithFinal(ctx, final)), &lane.Message{Op: opStream}, nil)
		}()
		c.awaitStarted(opStream, 1)
		interrupt(lane.ErrInterrupted)
		feed(t, c, 1)
		if err := <-result; err != nil {
			t.Fatalf("interrupted all the same: %v", err)
		}
		go func() {
			result <- c.Call(lane.Killable(lane.WithFinal(ctx, final)), &lane.Message{Op: opStream}, nil)
		}()
		c.awaitStarted(opStream, 1)
		kill(lane.ErrKilled)
		if err := <-result; !errors.Is(err, lane.ErrKilled) {
			t.Fatalf("not killed: %v", err)
		}
	})
}

// Every pending operation is listed, at both ends.
func TestC21_PendingIsListed(t *testing.T) {
	k := newClient()
	overTransports(t, k.configure(lane.Config{Slots: 64, Name: "box", Grace: patience}), func(t *testing.T, c, s *lane.Lane) {
		k.reset()
		began, release := make(chan bool, 100), make(chan struct{})
		s.Handle(func(ctx context.Context, r *lane.Request) error {
			began <- true
			<-release
			return nil
		}, lane.ServeOptions{Concurrency: 2})
		ctx, cancel := context.WithCancelCause(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { c.Call(ctx, &lane.Message{Op: 7}, nil) })
		<-began
		wg.Go(func() { c.Call(context.Background(), &lane.Message{Op: 8}, nil) })
		<-began
		wg.Go(func() { c.Call(context.Background(), &lane.Message{Op: 9}, nil) })
		k.awaitBlocked(3)
		cancel(lane.ErrInterrupted)
		k.awaitBlocked(0)
		want := map[uint32]lane.OperationState{7: lane.StateStarted, 8: lane.StateStarted, 9: lane.StatePosted}
		asked, served := 0, 0
		for _, l := range []*lane.Lane{c, s} {
			for _, o := range l.Pending() {
				if o.State != want[o.Op] || o.Lane != "box" || o.Age <= 0 {
					t.Errorf("%+v", o)
				}
				if o.Served {
					served++
				} else {
					asked++
				}
			}
		}
		if asked != 3 || served != 2 {
			t.Errorf("%d asked, %d served", asked, served)
		}
		close(release)
		wg.Wait()
		if list := append(c.Pending(), s.Pending()...); len(list) != 0 {
			t.Errorf("left: %+v", list)
		}
	})
}

// A stream of numbers keeps its order and completeness when the server is
// restarted under load: nothing is answered twice.
func TestC01_StreamUnderServerDeath(t *testing.T) {
	p := startServer(t)
	c := dial(t, p, lane.Config{})
	feed(t, c, 1000)
	var mu sync.Mutex
	seen := map[uint64]int{}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				rep := lane.Message{}
				err := c.Call(context.Background(), &lane.Message{Op: opStream}, &rep)
				if err != nil {
					if lane.OutcomeOf(err) == lane.Done {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				n := binary.LittleEndian.Uint64(rep.Data)
				if seen[n]++; seen[n] > 1 {
					t.Errorf("number %d came twice", n)
				}
				if len(seen) == 500 {
					p.Process.Kill()
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// Descriptors that abandoned requests make later are closed on both sides, and
// their effects are taken back.
func TestC15_C22_LateResultsAreReclaimed(t *testing.T) {
	n := 1000
	if testing.Short() || raceEnabled {
		n = 200
	}
	p := startServer(t)
	c := dial(t, p, lane.Config{Grace: time.Millisecond, Slots: 64})
	abandon := func(n int) {
		for left := n; left > 0; {
			batch := min(left, 32)
			left -= batch
			var wg sync.WaitGroup
			ctx, cancel := context.WithCancelCause(within(t))
			for range batch {
				wg.Go(func() {
					rep := lane.Message{}
					if err := c.Call(ctx, &lane.Message{Op: opIgnore}, &rep); lane.OutcomeOf(err) != lane.InDoubt {
						t.Errorf("%v", err)
					}
				})
			}
			c.awaitStarted(opIgnore, batch)
			cancel(lane.ErrKilled)
			wg.Wait()
			if err := c.Call(within(t), &lane.Message{Op: opRelease}, nil); err != nil {
				t.Fatal(err)
			}
			// A call in every slot but feed's: so all of these are settled.
			for range 63 {
				wg.Go(func() { c.Call(within(t), &lane.Message{Op: opStream}, nil) })
			}
			c.awaitStarted(opStream, 63)
			feed(t, c, 63)
			wg.Wait()
		}
	}
	abandon(100) // until both sides have what they keep while in use
	before, mine, threads := census(t, c), countFDs(), runtime.NumGoroutine()
	abandon(n)
	after := census(t, c)
	if after[2] != uint32(n+100) {
		t.Errorf("%d effects were undone, not %d", after[2], n+100)
	}
	if after[0] > before[0] || after[1] > before[1]+1 {
		t.Errorf("server: %d descriptors and %d goroutines, %d and %d before", after[0], after[1], before[0], before[1])
	}
	if now := countFDs(); now > mine {
		t.Errorf("client: %d descriptors, %d before", now, mine)
	}
	await(t, "the client's goroutines are gone", func() bool { return runtime.NumGoroutine() <= threads })
}

// Shutdown waits for a request until its caller can see the outcome: closed any
// earlier, the lane would leave in doubt what was done.
func TestShutdownWaitsForDelivery(t *testing.T) {
	told := make(chan error, 1)
	over, cancel := context.WithCancel(context.Background())
	cancel()
	var s *lane.Lane
	cfg := lane.Config{}
	cfg.SetSteps(func(at string) {
		if at == "deliver" {
			told <- s.Shutdown(over)
		}
	})
	c, end, err := lane.PairShared(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s = end
	defer c.Close()
	s.Handle(echo, lane.ServeOptions{})
	c.Call(within(t), &lane.Message{Op: opEcho}, nil)
	if err := <-told; err != context.Canceled {
		t.Errorf("shut down before the outcome was told: %v", err)
	}
}
