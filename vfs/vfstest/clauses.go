package vfstest

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// race makes calls and cancels each at some moment around its end. do returns
// whether the call had its effect, as its caller sees it.
func (s *stage) race(n int, feed func(), do func(ctx context.Context) error) (done, cancelled int) {
	s.Helper()
	for i := range n {
		ctx, cancel := context.WithCancelCause(context.Background())
		r := rand.New(rand.NewPCG(uint64(i), 7))
		feedSpin, cancelSpin := r.IntN(600), r.IntN(600)
		var wg sync.WaitGroup
		wg.Go(func() {
			spin(feedSpin)
			feed()
		})
		wg.Go(func() {
			spin(cancelSpin)
			cancel(vfs.ErrInterrupted)
		})
		err := s.via(ctx, do)
		switch {
		case err == nil:
			done++
		case err == vfs.ErrInterrupted:
			cancelled++
		default:
			s.Fatalf("race %d: %v", i, err)
		}
		wg.Wait()
	}
	if n > 1 && (done == 0 || cancelled == 0) {
		s.Logf("no race: %d done, %d cancelled", done, cancelled)
	}
	return done, cancelled
}

func spin(n int) {
	for range n {
		spinning.Add(1)
	}
}

var spinning atomic.Int64

// testC01: of racing cancels and completions each call has one outcome, and the
// sum is right on both sides.
func testC01(s *stage) {
	done, cancelled := s.race(s.Races, func() { s.p.Feed('x') }, func(ctx context.Context) error {
		n, err := vfs.Read(ctx, s.stream, make([]byte, 1), 0)
		if err == nil && n != 1 {
			s.Fatalf("read %d", n)
		}
		return err
	})
	if done+cancelled != s.Races || len(s.p.tokens) != cancelled {
		s.Errorf("%d calls: %d done, %d cancelled, %d bytes left", s.Races, done, cancelled, len(s.p.tokens))
	}
}

// testC02: a lock call that was cancelled holds no lock.
func testC02(s *stage) {
	l := s.file.(vfs.Locker)
	ctx := context.Background()
	unlock := wholeLock(1)
	unlock.Type = unix.F_UNLCK
	for range s.Races / 10 {
		if err := l.SetLock(ctx, wholeLock(1), true); err != nil {
			s.Fatal(err)
		}
		done, _ := s.race(1, func() { l.SetLock(ctx, unlock, false) }, func(ctx context.Context) error {
			return l.SetLock(ctx, wholeLock(2), true)
		})
		if _, _, locks := s.p.Held(); locks != done {
			s.Fatalf("%d locks, but %d calls got one", locks, done)
		}
		free := wholeLock(2)
		free.Type = unix.F_UNLCK
		if err := l.SetLock(ctx, free, false); err != nil {
			s.Fatal(err)
		}
	}
}

// testC03: the bytes that were read, one after the other, are the stream.
func testC03(s *stage) {
	next, want := byte(0), byte(0)
	s.race(s.Races, func() { s.p.Feed(next); next++ }, func(ctx context.Context) error {
		var b [1]byte
		_, err := vfs.Read(ctx, s.stream, b[:], 0)
		if err == nil {
			if b[0] != want {
				s.Fatalf("read %d, want %d", b[0], want)
			}
			want++
		}
		return err
	})
}

// testC04: what cannot be decided is named.
func testC04(s *stage) {
	s = newStage(s.T, s.Transport, soon)
	stop := s.p.Ignore("write")
	defer stop.Release()
	for _, cause := range []error{vfs.ErrInterrupted, vfs.ErrKilled} {
		ctx, cancel := context.WithCancelCause(context.Background())
		done, _ := s.start(ctx, stop, func(s *stage, ctx context.Context) error {
			_, err := vfs.Write(ctx, s.open, []byte("x"), 0)
			return err
		})
		cancel(cause)
		s.inDoubt(<-done, cause)
	}
}

// testC05: of many who wait for the same lock, in the same way, only the one that
// is cancelled goes.
func testC05(s *stage) {
	const n = 16
	l := s.file.(vfs.Locker)
	if err := l.SetLock(context.Background(), wholeLock(1), false); err != nil {
		s.Fatal(err)
	}
	type waiter struct {
		cancel context.CancelCauseFunc
		done   chan error
	}
	waiting := make([]waiter, n)
	shared := wholeLock(0)
	shared.Type = unix.F_RDLCK
	for i := range waiting {
		ctx, cancel := context.WithCancelCause(context.Background())
		waiting[i] = waiter{cancel, make(chan error, 1)}
		shared.Owner = uint64(i + 10)
		lock := shared
		go func() {
			waiting[i].done <- s.via(ctx, func(ctx context.Context) error { return l.SetLock(ctx, lock, true) })
		}()
	}
	s.settled("all wait", func() bool { return s.p.Calls("setlock") == n+1 })
	waiting[3].cancel(vfs.ErrInterrupted)
	if err := <-waiting[3].done; err != vfs.ErrInterrupted {
		s.Error(err)
	}
	for i, w := range waiting {
		select {
		case err := <-w.done:
			s.Errorf("waiter %d went, too: %v", i, err)
		default:
		}
	}
	unlock := wholeLock(1)
	unlock.Type = unix.F_UNLCK
	if err := l.SetLock(context.Background(), unlock, false); err != nil {
		s.Fatal(err)
	}
	for i, w := range waiting {
		if i != 3 {
			if err := <-w.done; err != nil {
				s.Errorf("waiter %d: %v", i, err)
			}
		}
		w.cancel(nil)
	}
	if _, _, locks := s.p.Held(); locks != n-1 {
		s.Errorf("%d locks", locks)
	}
}

// testC06: neither the late reply nor the late cancel of a call touches the next
// one, nor the memory of its caller.
func testC06(s *stage) {
	stop := s.p.Ignore("read")
	buf := make([]byte, 4)
	ctx, cancel := context.WithCancelCause(context.Background())
	done, _ := s.start(ctx, stop, func(s *stage, ctx context.Context) error {
		_, err := vfs.Read(ctx, s.open, buf, 0)
		return err
	})
	cancel(vfs.ErrKilled)
	s.inDoubt(<-done)
	copy(buf, "mine")
	// The same file, the same kind, the same buffer.
	second := s.p.Ignore("read")
	next, _ := s.start(context.Background(), second, func(s *stage, ctx context.Context) error {
		n, err := vfs.Read(ctx, s.open, make([]byte, 7), 4)
		if n != 7 {
			s.Errorf("read %d", n)
		}
		return err
	})
	stop.Release() // the late reply
	cancel(vfs.ErrKilled)
	select {
	case err := <-next:
		s.Fatalf("ended by the reply to another: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	second.Release()
	if err := <-next; err != nil {
		s.Error(err)
	}
	if string(buf) != "mine" {
		s.Errorf("the late reply wrote %q", buf)
	}
}

// testC07: a cancel that comes at any moment of the call ends it.
func testC07(s *stage) {
	for i := range s.Races / 5 {
		ctx, cancel := context.WithCancelCause(context.Background())
		r := rand.New(rand.NewPCG(uint64(i), 9))
		n := r.IntN(2000)
		go func() {
			spin(n)
			cancel(vfs.ErrInterrupted)
		}()
		// Nothing else ends it.
		if err := s.via(ctx, readByte(s)); err != vfs.ErrInterrupted {
			s.Fatal(err)
		}
	}
}

// testC08: a call whose ctx has ended never reaches the server.
func testC08(s *stage) {
	for _, cause := range causes {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		for _, k := range kinds {
			if k.name == "readlink" || k.name == "readdir" {
				continue // they look up first
			}
			before := s.p.Calls(k.name)
			if err := k.do(s, ctx); !errors.Is(err, cause) && s.Leaves {
				s.Errorf("%s: %v, want %v", k.name, err, cause)
			}
			if s.Leaves && s.p.Calls(k.name) != before {
				s.Errorf("%s reached the server", k.name)
			}
		}
	}
}

// readByte reads the stream.
func readByte(s *stage) func(context.Context) error {
	return func(ctx context.Context) error {
		n, err := vfs.Read(ctx, s.stream, make([]byte, 1), 0)
		if err == nil && n != 1 {
			s.Errorf("read %d", n)
		}
		return err
	}
}

// testC10: a second cancel, or one after the end, does nothing.
func testC10(s *stage) {
	for range s.Races / 20 {
		ctx, cancel := context.WithCancelCause(context.Background())
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { cancel(vfs.ErrInterrupted) })
		}
		if err := s.via(ctx, readByte(s)); err != vfs.ErrInterrupted {
			s.Fatal(err)
		}
		wg.Wait()
		cancel(vfs.ErrKilled)
		next, stop := context.WithCancel(context.Background())
		s.p.Feed('x')
		if err := s.via(next, readByte(s)); err != nil {
			s.Fatal("the call after: ", err)
		}
		cancel(vfs.ErrKilled)
		stop()
	}
}

// testC11: with many calls blocked, a cancel still lands.
func testC11(s *stage) {
	const n = 100
	blocked := s.p.Ignore("stat")
	defer blocked.Release()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer blocked.Release()
	for range n {
		wg.Go(func() { s.file.Stat(context.Background()) })
	}
	for range n {
		<-blocked.Entered
	}
	stop := s.p.Heed("sync")
	ctx, cancel := context.WithCancelCause(context.Background())
	done, _ := s.start(ctx, stop, func(s *stage, ctx context.Context) error { return s.open.(vfs.Syncer).Sync(ctx, false) })
	cancel(vfs.ErrInterrupted)
	if err := <-done; err != vfs.ErrInterrupted {
		s.Error(err)
	}
}

// testC12: a server that ignores an interrupt has the grace time, and after a
// kill none; one that settles in time is heard.
func testC12(s *stage) {
	stat := func(s *stage, ctx context.Context) error { _, err := s.file.Stat(ctx); return err }
	for _, cause := range causes {
		on := s // where nobody sees the end of the grace time
		if cause == vfs.ErrInterrupted {
			on = newStage(s.T, s.Transport, soon)
		}
		stop := on.p.Ignore("stat")
		defer stop.Release()
		ctx, cancel := context.WithCancelCause(context.Background())
		done, _ := on.start(ctx, stop, stat)
		start := time.Now()
		cancel(cause)
		on.inDoubt(<-done, cause)
		if d := time.Since(start); on != s && d < soon*9/10 {
			s.Errorf("%v: left after %v, want %v", cause, d, soon)
		}
	}
	// In time, though not at once.
	late := s.p.Ignore("sync")
	ctx, cancel := context.WithCancelCause(context.Background())
	done, at := s.start(ctx, late, func(s *stage, ctx context.Context) error { return s.open.(vfs.Syncer).Sync(ctx, false) })
	cancel(vfs.ErrInterrupted)
	<-at.Done()
	late.Release()
	if err := <-done; err != nil {
		s.Error("a server that was done in time: ", err)
	}
}

// testC13: a kill ends every kind of call at once.
func testC13(s *stage) {
	for _, k := range kinds {
		stop := s.p.Ignore(k.name)
		ctx, cancel := context.WithCancelCause(context.Background())
		done, _ := s.start(ctx, stop, k.do)
		cancel(vfs.ErrKilled)
		s.inDoubt(<-done, k.name) // not after the grace time, which would be for ever
		s.p.Plan(k.name, nil)
		stop.Release()
	}
}

// testC14: a call that is stuck, abandoned or ends in a panic takes no other
// along, not of its file either.
func testC14(s *stage) {
	stop := s.p.Ignore("read")
	defer stop.Release()
	ctx, cancel := context.WithCancelCause(context.Background())
	done, _ := s.start(ctx, stop, func(s *stage, ctx context.Context) error {
		_, err := vfs.Read(ctx, s.open, make([]byte, 1), 0)
		return err
	})
	others := func(when string) {
		for _, k := range kinds {
			if k.name == "read" {
				continue
			}
			if err := k.do(s, context.Background()); err != nil {
				s.Errorf("%s: %s: %v", when, k.name, err)
			}
		}
	}
	others("beside a stuck call")
	cancel(vfs.ErrKilled)
	s.inDoubt(<-done)
	others("after an abandoned call")
	s.p.Plan("readlink", func(context.Context) error { panic("bad server") })
	_, err := vfs.Readlink(context.Background(), s.lookup("link"))
	s.inDoubt(err)
	s.p.Plan("readlink", nil)
	others("after a panic")
}

// testC15: what an abandoned call makes later goes again.
func testC15(s *stage) {
	base, _, _ := s.p.Held()
	for _, k := range kinds {
		switch k.name {
		case "open", "opendir", "makeopen", "setlock":
		default:
			continue
		}
		stop := s.p.Ignore(k.name)
		ctx, cancel := context.WithCancelCause(context.Background())
		done, _ := s.start(ctx, stop, k.do)
		cancel(vfs.ErrKilled)
		s.inDoubt(<-done)
		s.p.Plan(k.name, nil)
		came := s.p.came()
		stop.Release()
		s.settled(k.name+" is reclaimed", func() bool { return s.p.came() > came && s.held(base, 0, 0)() })
	}
	// A lock that its owner has got meanwhile by another call is not taken away.
	l := s.file.(vfs.Locker)
	stop := s.p.Ignore("setlock")
	ctx, cancel := context.WithCancelCause(context.Background())
	done, _ := s.start(ctx, stop, func(s *stage, ctx context.Context) error { return l.SetLock(ctx, wholeLock(1), true) })
	cancel(vfs.ErrKilled)
	s.inDoubt(<-done)
	s.p.Plan("setlock", nil)
	if err := l.SetLock(context.Background(), wholeLock(1), true); err != nil {
		s.Fatal(err)
	}
	calls := s.p.Calls("setlock")
	stop.Release()
	s.settled("late lock settled", func() bool { return s.p.Calls("setlock") >= calls+2 && s.held(base, 0, 1)() })
	// A file that is closed while a call of it is stuck is closed when that ends. One
	// close may be late because the machine is busy, but not each of several.
	least := time.Hour
	for range 5 {
		f, err := vfs.Open(context.Background(), s.file, unix.O_RDONLY)
		if err != nil {
			s.Fatal(err)
		}
		stop = s.p.Ignore("read")
		ctx, cancel = context.WithCancelCause(context.Background())
		done, _ = s.start(ctx, stop, func(s *stage, ctx context.Context) error {
			_, err := vfs.Read(ctx, f, make([]byte, 1), 0)
			return err
		})
		cancel(vfs.ErrKilled)
		s.inDoubt(<-done)
		start := time.Now()
		f.Close()
		least = min(least, time.Since(start))
		if !s.held(base+1, 0, 1)() {
			s.Error("closed under a call that is in the server")
		}
		stop.Release()
		s.settled("the file is closed", s.held(base, 0, 1))
	}
	if least > soon/2 {
		s.Errorf("close took %v", least)
	}
}

// testC16: the caller's death ends its calls, with that cause; the server's
// failure ends its own.
func testC16(s *stage) {
	stop := s.p.Heed("read")
	ctx, die := context.WithCancelCause(context.Background())
	const n = 10
	var all []<-chan error
	var seen []context.Context
	for range n {
		done, at := s.start(ctx, stop, func(s *stage, ctx context.Context) error {
			_, err := vfs.Read(ctx, s.open, make([]byte, 1), 0)
			return err
		})
		all, seen = append(all, done), append(seen, at)
	}
	die(vfs.ErrCallerDied)
	for i, done := range all {
		if err := <-done; err != vfs.ErrCallerDied && !errors.Is(err, vfs.ErrInDoubt) {
			s.Error(err)
		}
		<-seen[i].Done()
		if c := context.Cause(seen[i]); c != vfs.ErrCallerDied {
			s.Errorf("the server saw %v", c)
		}
	}
}

// testC19: through two transports, one behind the other, a cancel arrives as what
// it is, and so does the answer.
func testC19(s *stage) {
	two := newStageOver(s.T, s.Transport, s.p, s.Reach(s.T, s.Reach(s.T, s.p, patience), patience))
	testC20(two)
	if s.Leaves {
		testC15(two)
	}
}

// testC20: each kind of call ends with its ctx, and the server sees why.
func testC20(s *stage) {
	base, _, _ := s.p.Held()
	for _, k := range kinds {
		for _, cause := range causes {
			stop := s.p.Heed(k.name)
			ctx, cancel := context.WithCancelCause(context.Background())
			done, at := s.start(ctx, stop, k.do)
			cancel(cause)
			err := <-done
			if err != cause && !(cause != vfs.ErrInterrupted && s.Leaves && errors.Is(err, vfs.ErrInDoubt)) {
				s.Errorf("%s, %v: %v", k.name, cause, err)
			}
			<-at.Done()
			if c := context.Cause(at); c != cause {
				s.Errorf("%s: the server saw %v, not %v", k.name, c, cause)
			}
			s.p.Plan(k.name, nil)
		}
	}
	// What was abandoned just before its answer is taken back a little later.
	s.settled("all is reclaimed", s.held(base, 0, 0))
}

// testC22: a thousand abandoned calls leave nothing behind.
func testC22(s *stage) {
	base, _, _ := s.p.Held()
	before := census()
	const n = 1000
	stop := s.p.Ignore("open")
	ctx, cancel := context.WithCancelCause(context.Background())
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			s.inDoubt(s.via(ctx, func(ctx context.Context) error {
				_, err := vfs.Open(ctx, s.file, unix.O_RDONLY)
				return err
			}))
		})
	}
	for range n {
		<-stop.Entered
	}
	cancel(vfs.ErrKilled)
	wg.Wait()
	s.p.Plan("open", nil)
	stop.Release()
	s.settled("all files closed", s.held(base, 0, 0))
	s.settled("goroutines, threads and descriptors as before", func() bool {
		now := census()
		return now.goroutines <= before.goroutines+16 && now.threads <= before.threads+16 && now.fds <= before.fds
	})
}

// counts are what a process may leak.
type counts struct{ goroutines, threads, fds int }

func census() counts {
	c := counts{goroutines: runtime.NumGoroutine()}
	if d, err := os.ReadDir("/proc/self/fd"); err == nil {
		c.fds = len(d)
	}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "Threads:"); ok {
			for _, d := range strings.TrimSpace(v) {
				c.threads = c.threads*10 + int(d-'0')
			}
		}
	}
	return c
}
