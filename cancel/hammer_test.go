package cancel_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

// hammer makes the tests thorough instead of quick.
var hammer = os.Getenv("HATI_HAMMER") != ""

// A contest races a cancel against the event that a call waits for.
type contest struct {
	name  string
	share int // ordinary runs make 10^4/share races, because one is dear
	start func(t *testing.T) contestant
}

type contestant struct {
	prepare  func()                          // before each race; may be nil
	call     func(ctx context.Context) error // waits for the event
	complete func()                          // makes the event
	settle   func(done bool)                 // checks that the world is as the outcome says, and restores it
}

// TestC01_OneOutcome races 10^4 (with HATI_HAMMER, 10^6) cancels per kind of call. Each operation ends once: with its
// result and its effect, or with the cause and without (clauses 1 to 3).
func TestC01_OneOutcome(t *testing.T) {
	for _, c := range contests {
		t.Run(c.name, func(t *testing.T) {
			races := 10_000 / c.share
			switch {
			case hammer && c.share == 100:
				races = 100_000
			case hammer:
				races = 1_000_000
			case testing.Short() || raceEnabled:
				races /= 10
			}
			before := descriptors(t)
			done, cancelled := run(t, c.start(t), races, c.share<<10)
			if done+cancelled != races {
				t.Errorf("%d done + %d cancelled, want %d in all", done, cancelled, races)
			}
			if races >= 100 && (done == 0 || cancelled == 0) {
				t.Errorf("%d done, %d cancelled: no race took place", done, cancelled)
			}
			for _, f := range cleanups(t) {
				f()
			}
			if after := descriptors(t); after > before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
			t.Logf("%d done, %d cancelled", done, cancelled)
		})
	}
}

func run(t *testing.T, c contestant, races, step int) (done, cancelled int) {
	type order struct {
		spin int
		do   func()
	}
	orders, finished := [2]chan order{}, make(chan struct{}, 2)
	for i := range orders {
		orders[i] = make(chan order)
		defer close(orders[i])
		go func() {
			for o := range orders[i] {
				spin(o.spin)
				o.do()
				finished <- struct{}{}
			}
		}()
	}
	// The spins are around the time that the call needs to get to where it waits, and sometimes far longer. The head
	// start of the event over the cancel is adjusted until both win equally often: that is where they meet.
	length := func() int { return rand.IntN(1 << (8 + rand.IntN(8))) }
	head, same, last := 0, 0, false
	won := func(now bool) {
		if now != last {
			same = 0
		}
		last = now
		same++
		change := step << min(same/8, 5)
		if now {
			change = -change
		}
		head += change
	}
	for range races {
		if c.prepare != nil {
			c.prepare()
		}
		ctx, stop := context.WithCancel(context.Background())
		orders[0] <- order{length() + max(head, 0), stop}
		orders[1] <- order{length() + max(-head, 0), c.complete}
		err := c.call(ctx)
		<-finished
		<-finished
		switch {
		case err == nil:
			done++
			won(true)
		case errors.Is(err, context.Canceled):
			cancelled++
			won(false)
		default:
			t.Fatalf("race %d: %v", done+cancelled, err)
		}
		c.settle(err == nil)
	}
	return done, cancelled
}

//go:noinline
func spin(n int) {
	s := 0
	for i := range n {
		s += i
	}
	_ = s
}

var contests = []contest{
	{"read", 1, func(t *testing.T) contestant {
		r, w := pipe(t)
		var sent, got byte
		p := make([]byte, 1)
		take := func(n int, err error) {
			if err == nil && (n != 1 || p[0] != got) {
				t.Fatalf("read %d %d, want byte %d", n, p[0], got)
			}
		}
		return contestant{
			call: func(ctx context.Context) error {
				n, err := cancel.Read(ctx, r, p)
				take(n, err)
				return err
			},
			complete: func() { must(unix.Write(w, []byte{sent})) },
			settle: func(done bool) {
				if !done {
					take(must(unix.Read(r, p)), nil)
				}
				if n := queued(r); n != 0 {
					t.Fatalf("%d bytes left", n)
				}
				sent++
				got++
			},
		}
	}},
	{"write", 2, func(t *testing.T) contestant {
		r, w := pipe(t)
		page := make([]byte, 4096)
		room := make([]byte, len(page))
		must(unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, len(page)))
		must(unix.Write(w, page))
		return contestant{
			call: func(ctx context.Context) error {
				_, err := cancel.Write(ctx, w, page)
				return err
			},
			complete: func() { must(unix.Read(r, room)) },
			settle: func(done bool) {
				if n := queued(r); n != 0 != done {
					t.Fatalf("done %v, %d bytes in the pipe", done, n)
				}
				if !done {
					must(unix.Write(w, page))
				}
			},
		}
	}},
	{"readv", 10, func(t *testing.T) contestant {
		r, w := pipe(t)
		p := [][]byte{make([]byte, 1), make([]byte, 1)}
		return contestant{
			call: func(ctx context.Context) error {
				_, err := cancel.Readv(ctx, r, p)
				return err
			},
			complete: func() { must(unix.Write(w, []byte("ab"))) },
			settle: func(done bool) {
				if !done {
					must(unix.Readv(r, p))
				}
				if string(p[0])+string(p[1]) != "ab" || queued(r) != 0 {
					t.Fatalf("%q, %d left", p, queued(r))
				}
			},
		}
	}},
	{"splice", 10, func(t *testing.T) contestant {
		r, w := pipe(t)
		r2, w2 := pipe(t)
		p := make([]byte, 8)
		return contestant{
			call: func(ctx context.Context) error {
				_, err := cancel.Splice(ctx, r, nil, w2, nil, 8, 0)
				return err
			},
			complete: func() { must(unix.Write(w, p)) },
			settle: func(done bool) {
				from, to := r, r2
				if done {
					from, to = r2, r
				}
				if queued(from) != 8 || queued(to) != 0 {
					t.Fatalf("done %v: %d and %d bytes", done, queued(r), queued(r2))
				}
				must(unix.Read(from, p))
			},
		}
	}},
	{"open", 10, func(t *testing.T) contestant {
		name := t.TempDir() + "/fifo"
		check(unix.Mkfifo(name, 0o600))
		var other int
		return contestant{
			call: func(ctx context.Context) error {
				fd, err := cancel.Open(ctx, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
				if err == nil {
					check(unix.Close(fd))
				}
				return err
			},
			complete: func() { other = must(unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)) },
			settle:   func(bool) { check(unix.Close(other)) },
		}
	}},
	{"flock", 10, func(t *testing.T) contestant {
		name := t.TempDir() + "/lock"
		mine, other := file(t, name), file(t, name)
		check(unix.Flock(other, unix.LOCK_EX))
		return contestant{
			call:     func(ctx context.Context) error { return cancel.Flock(ctx, mine, unix.LOCK_EX) },
			complete: func() { check(unix.Flock(other, unix.LOCK_UN)) },
			settle: func(done bool) {
				if err := unix.Flock(other, unix.LOCK_EX|unix.LOCK_NB); err != nil != done {
					t.Fatalf("done %v, the other one's lock: %v", done, err)
				}
				if done {
					check(unix.Flock(mine, unix.LOCK_UN))
					check(unix.Flock(other, unix.LOCK_EX))
				}
			},
		}
	}},
	{"fcntl", 10, func(t *testing.T) contestant {
		name := t.TempDir() + "/lock"
		mine, other := file(t, name), file(t, name)
		set := func(fd int, cmd int, kind int16) error {
			return unix.FcntlFlock(uintptr(fd), cmd, &unix.Flock_t{Type: kind})
		}
		check(set(other, unix.F_OFD_SETLK, unix.F_WRLCK))
		return contestant{
			call: func(ctx context.Context) error {
				return cancel.FcntlFlock(ctx, uintptr(mine), unix.F_OFD_SETLKW, &unix.Flock_t{Type: unix.F_WRLCK})
			},
			complete: func() { check(set(other, unix.F_OFD_SETLK, unix.F_UNLCK)) },
			settle: func(done bool) {
				if err := set(other, unix.F_OFD_SETLK, unix.F_WRLCK); err != nil != done {
					t.Fatalf("done %v, the other one's lock: %v", done, err)
				}
				if done {
					check(set(mine, unix.F_OFD_SETLK, unix.F_UNLCK))
					check(set(other, unix.F_OFD_SETLK, unix.F_WRLCK))
				}
			},
		}
	}},
	{"accept4", 10, func(t *testing.T) contestant {
		l, addr := listener(t, 8)
		var client int
		return contestant{
			call: func(ctx context.Context) error {
				fd, _, err := cancel.Accept4(ctx, l, unix.SOCK_CLOEXEC)
				if err == nil {
					check(unix.Close(fd))
				}
				return err
			},
			complete: func() {
				client = socket(unix.SOCK_STREAM)
				check(unix.Connect(client, addr))
			},
			settle: func(done bool) {
				// What was not accepted must still be there.
				if ready(l) == done {
					t.Fatalf("done %v, a connection in the queue: %v", done, !done)
				}
				if !done {
					fd, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
					check(err)
					check(unix.Close(fd))
				}
				check(unix.Close(client))
			},
		}
	}},
	{"connect", 10, func(t *testing.T) contestant {
		// A queue of length 0 takes one connection; the next waits for it to be accepted.
		l, addr := listener(t, 0)
		var first, mine int
		accept := func() {
			fd, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
			check(err)
			check(unix.Close(fd))
		}
		return contestant{
			prepare: func() {
				first, mine = socket(unix.SOCK_STREAM), socket(unix.SOCK_STREAM)
				check(unix.Connect(first, addr))
			},
			call:     func(ctx context.Context) error { return cancel.Connect(ctx, mine, addr) },
			complete: accept,
			settle: func(done bool) {
				if ready(l) != done {
					t.Fatalf("done %v, a connection in the queue: %v", done, !done)
				}
				if done {
					accept()
				}
				check(unix.Close(first))
				check(unix.Close(mine))
			},
		}
	}},
	{"recvmsg", 10, func(t *testing.T) contestant {
		a, b := pair(t, unix.SOCK_SEQPACKET)
		rights := unix.UnixRights(a)
		p, oob := make([]byte, 8), make([]byte, unix.CmsgSpace(4))
		closeRights := func(oob []byte) {
			msgs, err := unix.ParseSocketControlMessage(oob)
			check(err)
			for _, m := range msgs {
				fds, err := unix.ParseUnixRights(&m)
				check(err)
				check(unix.Close(fds[0]))
			}
		}
		return contestant{
			call: func(ctx context.Context) error {
				_, n, _, _, err := cancel.Recvmsg(ctx, b, p, oob, unix.MSG_CMSG_CLOEXEC)
				if err == nil {
					closeRights(oob[:n])
				}
				return err
			},
			complete: func() { check(unix.Sendmsg(a, []byte("x"), rights, nil, 0)) },
			settle: func(done bool) {
				if ready(b) == done {
					t.Fatalf("done %v, a message in the queue: %v", done, !done)
				}
				if !done {
					_, n, _, _, err := unix.Recvmsg(b, p, oob, unix.MSG_CMSG_CLOEXEC)
					check(err)
					closeRights(oob[:n])
				}
			},
		}
	}},
	{"sendmsg", 10, func(t *testing.T) contestant {
		a, b := pair(t, unix.SOCK_SEQPACKET)
		p := make([]byte, 1)
		full := 0
		for unix.Send(a, p, unix.MSG_DONTWAIT) == nil {
			full++
		}
		receive := func() error {
			_, _, err := unix.Recvfrom(b, p, unix.MSG_DONTWAIT)
			return err
		}
		return contestant{
			call:     func(ctx context.Context) error { return cancel.Sendmsg(ctx, a, []byte{0}, nil, nil, 0) },
			complete: func() { _, _, err := unix.Recvfrom(b, make([]byte, 1), 0); check(err) },
			settle: func(done bool) {
				if err := unix.Send(a, p, unix.MSG_DONTWAIT); err != nil != done {
					t.Fatalf("done %v, one more: %v", done, err)
				}
				if rand.IntN(64) == 0 { // and none was sent twice
					n := 0
					for receive() == nil {
						n++
					}
					if n != full {
						t.Fatalf("%d messages in the queue, want %d", n, full)
					}
					for range full {
						check(unix.Send(a, p, 0))
					}
				}
			},
		}
	}},
	{"epoll", 10, func(t *testing.T) contestant {
		// Edge-triggered: an event that a cancelled call swallowed would not come again.
		r, w := pipe(t)
		ep := must(unix.EpollCreate1(unix.EPOLL_CLOEXEC))
		onEnd(t, func() { check(unix.Close(ep)) })
		check(unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, r, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET}))
		events := make([]unix.EpollEvent, 1)
		return contestant{
			call: func(ctx context.Context) error {
				_, err := cancel.EpollWait(ctx, ep, events, -1)
				return err
			},
			complete: func() { must(unix.Write(w, []byte{1})) },
			settle: func(done bool) {
				n := must(cancel.EpollWait(context.Background(), ep, events, 0))
				if n == 0 != done {
					t.Fatalf("done %v, %d events left", done, n)
				}
				must(unix.Read(r, make([]byte, 1)))
			},
		}
	}},
	{"poll", 10, func(t *testing.T) contestant {
		r, w := pipe(t)
		return contestant{
			call: func(ctx context.Context) error {
				n, err := cancel.Poll(ctx, []unix.PollFd{{Fd: int32(r), Events: unix.POLLIN}}, -1)
				if err == nil && n != 1 {
					t.Fatalf("poll: %d", n)
				}
				return err
			},
			complete: func() { must(unix.Write(w, []byte{1})) },
			settle:   func(bool) { must(unix.Read(r, make([]byte, 1))) },
		}
	}},
	{"futex", 10, func(t *testing.T) contestant {
		word := new(uint32)
		var woken int
		return contestant{
			// The value never changes, so the call ends only by a wake, of which the waker knows.
			call: func(ctx context.Context) error {
				_, err := cancel.Futex(ctx, word, 0|128, 0, nil, nil, 0)
				return err
			},
			complete: func() { woken = must(cancel.Futex(context.Background(), word, 1|128, 1, nil, nil, 0)) },
			settle: func(done bool) {
				if woken != 0 != done {
					t.Fatalf("done %v, woken %d", done, woken)
				}
			},
		}
	}},
	{"syscall", 10, func(t *testing.T) contestant {
		ev := must(unix.Eventfd(0, unix.EFD_CLOEXEC))
		onEnd(t, func() { check(unix.Close(ev)) })
		return contestant{
			call: func(ctx context.Context) error { return eventfdRead(ctx, ev) },
			complete: func() {
				must(unix.Write(ev, []byte{7, 0, 0, 0, 0, 0, 0, 0}))
			},
			settle: func(done bool) {
				if ready(ev) == done {
					t.Fatalf("done %v, counter left: %v", done, !done)
				}
				if !done {
					must(unix.Read(ev, make([]byte, 8)))
				}
			},
		}
	}},
	{"wait4", 100, func(t *testing.T) contestant {
		var child int
		return contestant{
			prepare: func() { child = sleeper(t) },
			call: func(ctx context.Context) error {
				pid, err := cancel.Wait4(ctx, child, nil, 0, nil)
				if err == nil && pid != child {
					t.Fatalf("pid %d, want %d", pid, child)
				}
				return err
			},
			complete: func() { check(unix.Kill(child, unix.SIGKILL)) },
			settle: func(done bool) {
				_, err := unix.Wait4(child, nil, 0, nil)
				if done != (err == unix.ECHILD) {
					t.Fatalf("done %v, reaping: %v", done, err)
				}
			},
		}
	}},
}
