package cancel_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

var sockContests = []contest{
	{"accept4", 1, func(t *testing.T) contestant {
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
	{"connect", 1, func(t *testing.T) contestant {
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
	{"recvmsg", 1, func(t *testing.T) contestant {
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
	{"sendmsg", 1, func(t *testing.T) contestant {
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
}
