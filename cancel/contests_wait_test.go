package cancel_test

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

var waitContests = []contest{
	{"epoll", 1, func(t *testing.T) contestant {
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
	{"poll", 1, func(t *testing.T) contestant {
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
	{"futex", 1, func(t *testing.T) contestant {
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
	{"syscall", 1, func(t *testing.T) contestant {
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
}
