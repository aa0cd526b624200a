package cancel_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

// A reader is cancelled all the time. What it has read, in order, is what was written (clause 3).
func TestC03_ConcatenatedReadsAreTheStream(t *testing.T) {
	r, w := pipe(t)
	sent := make([]byte, 200_000)
	for i := range sent {
		sent[i] = byte(i * 7)
	}
	go func() {
		for rest := sent; len(rest) > 0; {
			n := min(len(rest), 1+len(rest)%97)
			rest = rest[must(unix.Write(w, rest[:n])):]
		}
	}()
	ctxs := make(chan context.Context)
	go func() {
		for {
			ctx, stop := context.WithCancel(context.Background())
			select {
			case ctxs <- ctx:
				spin(len(sent) % 1000)
				stop()
			case <-t.Context().Done():
				stop()
				return
			}
		}
	}()
	var got []byte
	p := make([]byte, 64)
	cancelled := 0
	for len(got) < len(sent) {
		n, err := cancel.Read(<-ctxs, r, p)
		switch {
		case err == nil:
			got = append(got, p[:n]...)
		case errors.Is(err, context.Canceled):
			cancelled++
		default:
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, sent) {
		t.Error("the stream is not what was sent")
	}
	t.Logf("%d reads cancelled", cancelled)
}

// Of many waiters for one lock, one is cancelled and the others stay (clause 5).
func TestC05_OneOfManyWaiters(t *testing.T) {
	name := t.TempDir() + "/lock"
	holder, err := cancel.Lock(t.Context(), name)
	check(err)
	const waiters = 16
	var stops [waiters]context.CancelFunc
	ends := make(chan int, waiters)
	errs := [waiters]error{}
	for i := range waiters {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		stops[i] = stop
		go func() {
			l, err := cancel.Lock(ctx, name)
			errs[i] = err
			if err == nil {
				check(l.Unlock())
			}
			ends <- i
		}()
	}
	stops[5]()
	if i := <-ends; i != 5 || !errors.Is(errs[5], context.Canceled) {
		t.Fatalf("waiter %d ended: %v", i, errs[i])
	}
	check(holder.Unlock())
	for range waiters - 1 {
		if i := <-ends; errs[i] != nil {
			t.Errorf("waiter %d: %v", i, errs[i])
		}
	}
}

// A call does not return while a cancel is still at work on it, however long that takes (clause 6). The cancel stops at
// each of its steps, and lets the call complete there.
func TestC06_SettledBeforeReturn(t *testing.T) {
	for _, slow := range []string{"claimed", "flagged", "sent"} {
		t.Run(slow, func(t *testing.T) {
			r, w := pipe(t)
			p, q := []byte{1}, make([]byte, 1)
			var atWork atomic.Bool
			defer cancel.Pause(func(step string) {
				atWork.Store(step == "claimed" || step == "flagged" || step == "sent")
				if step == slow {
					must(unix.Write(w, p))
					spin(50_000)
				}
				atWork.Store(step != "sent" && step != "fired")
			})()
			late := 0
			const races = 200
			for range races {
				ctx, stop := context.WithCancel(context.Background())
				go stop()
				_, err := cancel.Read(ctx, r, q)
				if atWork.Load() {
					late++
				}
				<-ctx.Done()
				switch {
				case err == nil: // it got what the cancel wrote
				case errors.Is(err, context.Canceled):
					for ready(r) {
						must(unix.Read(r, q))
					}
				}
			}
			if late > 0 {
				t.Errorf("%d of %d calls returned before their cancel had ended", late, races)
			}
		})
	}
}

// Cancels are not lost when their signals come on top of another handler's (clause 7). The kernel restarts the call
// below that handler.
func TestC07_OnTopOfAnotherHandler(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	check(cancel.Flock(cancellable(t), file(t, t.TempDir()+"/f"), unix.LOCK_SH)) // install
	check(cancel.UnmaskedHandler(unix.SIGUSR1))
	defer urge(t, unix.SIGUSR1, 50*time.Microsecond)()
	r, _ := pipe(t)
	for range 500 {
		ctx, stop := context.WithCancel(context.Background())
		go stop()
		if _, err := cancel.Read(ctx, r, make([]byte, 1)); err != context.Canceled {
			t.Fatal(err)
		}
	}
}

// A call under a context that has ended is not made, though it could be done at once (clause 8).
func TestC08_NotSentNeverArrives(t *testing.T) {
	r, w := pipe(t)
	must(unix.Write(w, []byte("x")))
	cause := errors.New("the cause")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(cause)
	p := make([]byte, 1)
	if _, err := cancel.Read(ctx, r, p); err != cause {
		t.Errorf("read: %v, want the cause", err)
	}
	if _, err := cancel.Write(ctx, w, p); err != cause {
		t.Errorf("write: %v, want the cause", err)
	}
	name := t.TempDir() + "/new"
	if _, err := cancel.Open(ctx, name, unix.O_CREAT|unix.O_RDWR, 0o600); err != cause {
		t.Errorf("open: %v, want the cause", err)
	}
	if _, err := os.Stat(name); err == nil {
		t.Error("open made the file")
	}
	if queued(r) != 1 {
		t.Errorf("%d bytes in the pipe, want 1", queued(r))
	}
}

// SIGURG at 1 kHz ends no call (clause 9).
func TestC09_SignalsDoNotCancel(t *testing.T) {
	for name, ctx := range map[string]context.Context{"cancellable": cancellable(t), "background": context.Background()} {
		for _, c := range contests {
			if c.name == "futex" {
				continue // a wake without a new value, as in that contest, can meet the waiter between two waits
			}
			t.Run(name+"/"+c.name, func(t *testing.T) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				contestant := c.start(t)
				if contestant.complete == nil {
					return // it does not wait
				}
				if contestant.prepare != nil {
					contestant.prepare()
				}
				stop := urge(t, unix.SIGURG, time.Millisecond)
				done := make(chan struct{})
				time.AfterFunc(15*time.Millisecond, func() {
					contestant.complete()
					close(done)
				})
				err := contestant.call(ctx)
				<-done
				stop()
				if err != nil {
					t.Fatal(err)
				}
				contestant.settle(true)
			})
		}
	}
}

func TestC10_CancellingTwiceOrLate(t *testing.T) {
	r, w := pipe(t)
	p := make([]byte, 1)
	for range 200 {
		ctx, stop := context.WithCancel(context.Background())
		for range 3 {
			go stop()
		}
		if _, err := cancel.Read(ctx, r, p); err != context.Canceled {
			t.Fatal(err)
		}
		stop()
		// The next one, of the same thread and file, knows nothing of it.
		ctx, stop = context.WithCancel(context.Background())
		must(unix.Write(w, p))
		if n, err := cancel.Read(ctx, r, p); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		stop()
	}
}

// All threads are blocked in calls and there is one processor: the cancel still comes through (clause 11).
func TestC11_CancelPassesBlockedCalls(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	r, _ := pipe(t)
	ctx, stop := context.WithCancelCause(t.Context())
	var calls sync.WaitGroup
	var cancelled atomic.Int32
	for range 100 {
		calls.Go(func() {
			if _, err := cancel.Read(ctx, r, make([]byte, 1)); errors.Is(err, io.ErrClosedPipe) {
				cancelled.Add(1)
			}
		})
	}
	stop(io.ErrClosedPipe)
	calls.Wait()
	if n := cancelled.Load(); n != 100 {
		t.Errorf("%d of 100 cancelled", n)
	}
}

// A timed wait that is interrupted a thousand times a second lasts as long as one that is not (clause 17).
func TestC17_RemainingTime(t *testing.T) {
	const d = 40 * time.Millisecond
	ts := unix.NsecToTimespec(int64(d))
	r, _ := pipe(t)
	a, _ := pair(t, unix.SOCK_STREAM)
	tv := unix.NsecToTimeval(int64(d))
	check(unix.SetsockoptTimeval(a, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
	ep := must(unix.EpollCreate1(unix.EPOLL_CLOEXEC))
	closeAtEnd(t, ep)
	word := new(uint32)
	fds := []unix.PollFd{{Fd: int32(r), Events: unix.POLLIN}}
	for name, ctx := range map[string]context.Context{"cancellable": cancellable(t), "background": context.Background()} {
		for _, test := range []struct {
			name string
			want error
			wait func() error
		}{
			{"poll", nil, func() error { _, err := cancel.Poll(ctx, fds, int(d/time.Millisecond)); return err }},
			{"ppoll", nil, func() error { _, err := cancel.Ppoll(ctx, fds, &ts, nil); return err }},
			{"epoll", nil, func() error {
				_, err := cancel.EpollWait(ctx, ep, make([]unix.EpollEvent, 1), int(d/time.Millisecond))
				return err
			}},
			{"nanosleep", nil, func() error { return cancel.Nanosleep(ctx, &ts, nil) }},
			{"futex", unix.ETIMEDOUT, func() error { _, err := cancel.Futex(ctx, word, 0, 0, &ts, nil, 0); return err }},
			{"read", unix.EAGAIN, func() error { _, err := cancel.Read(ctx, a, make([]byte, 1)); return err }},
			{"recvmsg", unix.EAGAIN, func() error {
				_, _, _, _, err := cancel.Recvmsg(ctx, a, make([]byte, 1), nil, 0)
				return err
			}},
		} {
			t.Run(name+"/"+test.name, func(t *testing.T) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				defer urge(t, unix.SIGURG, time.Millisecond)()
				start := time.Now()
				err := test.wait()
				took := time.Since(start)
				if err != test.want {
					t.Errorf("%v, want %v", err, test.want)
				}
				if took < d || took > d+5*time.Second { // begun anew by each signal it would never end
					t.Errorf("took %v, want %v", took, d)
				}
			})
		}
	}
}

func TestC17_LeftoverOfACancelledSleep(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer stop()
	var left unix.Timespec
	err := cancel.Nanosleep(ctx, &unix.Timespec{Sec: 10}, &left)
	if err != context.DeadlineExceeded {
		t.Fatal(err)
	}
	if d := time.Duration(left.Nano()); d < 5*time.Second || d >= 10*time.Second {
		t.Errorf("%v left", d)
	}
}
