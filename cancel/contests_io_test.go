package cancel_test

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

var ioContests = []contest{
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
	{"write", 1, func(t *testing.T) contestant {
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
	{"readv", 1, func(t *testing.T) contestant {
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
	{"splice", 1, func(t *testing.T) contestant {
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
	{"writev", 1, func(t *testing.T) contestant {
		r, w := pipe(t)
		half := make([]byte, 2048)
		room := make([]byte, 4096)
		must(unix.FcntlInt(uintptr(w), unix.F_SETPIPE_SZ, len(room)))
		must(unix.Write(w, room))
		return contestant{
			call: func(ctx context.Context) error {
				_, err := cancel.Writev(ctx, w, [][]byte{half, half})
				return err
			},
			complete: func() { must(unix.Read(r, room)) },
			settle: func(done bool) {
				if n := queued(r); n != 0 != done {
					t.Fatalf("done %v, %d bytes in the pipe", done, n)
				}
				if !done {
					must(unix.Write(w, room))
				}
			},
		}
	}},
	{"file", 1, func(t *testing.T) contestant {
		r, w := pipeFiles(t, 0)
		p := make([]byte, 1)
		return contestant{
			call: func(ctx context.Context) error {
				_, err := r.Read(ctx, p)
				return err
			},
			complete: func() { must(unix.Write(w.Fd(), []byte{1})) },
			settle: func(done bool) {
				if queued(r.Fd()) == 0 != done {
					t.Fatalf("done %v, %d bytes left", done, queued(r.Fd()))
				}
				if !done {
					must(unix.Read(r.Fd(), p))
				}
			},
		}
	}},
}
