package cancel_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

// blockContests are calls that have nothing to wait for but their own work. What they fill shows how far they came.
var blockContests = []contest{
	{"pread", 1, func(t *testing.T) contestant {
		fd := must(unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0))
		closeAtEnd(t, fd)
		f := newFilled(t, 0xff)
		return contestant{
			prepare: f.prepare,
			call: func(ctx context.Context) (err error) {
				f.n, err = cancel.Pread(ctx, fd, f.p, 5)
				return err
			},
			settle: func(done bool) {
				f.settle(done)
				if done && !bytes.Equal(f.p[:f.n], zeros[:f.n]) {
					t.Fatalf("less than %d bytes were read", f.n)
				}
			},
		}
	}},
	{"getrandom", 1, func(t *testing.T) contestant {
		f := newFilled(t, 0)
		return contestant{
			prepare: f.prepare,
			call: func(ctx context.Context) (err error) {
				f.n, err = cancel.Getrandom(ctx, f.p, 0)
				return err
			},
			settle: f.settle,
		}
	}},
	{"pwrite", 1, func(t *testing.T) contestant {
		fd := file(t, t.TempDir()+"/file")
		var written, got [8]byte
		must(unix.Pwrite(fd, written[:], 100))
		count := uint64(0)
		return contestant{
			call: func(ctx context.Context) error {
				count++
				_, err := cancel.Pwrite(ctx, fd, binary.NativeEndian.AppendUint64(nil, count), 100)
				return err
			},
			settle: func(done bool) {
				if done {
					binary.NativeEndian.PutUint64(written[:], count)
				}
				must(unix.Pread(fd, got[:], 100))
				if got != written {
					t.Fatalf("done %v, the file has %v, want %v", done, got, written)
				}
			},
		}
	}},
	{"fsync", 1, func(t *testing.T) contestant {
		fd := file(t, t.TempDir()+"/file")
		return contestant{
			call:   func(ctx context.Context) error { return cancel.Fsync(ctx, fd) },
			settle: func(bool) {},
		}
	}},
	{"nanosleep", 1, func(t *testing.T) contestant {
		// The right to sleep exactly belongs to a thread; without it 50 us are added.
		request := unix.Timespec{Nsec: 20_000}
		left := unix.Timespec{}
		return contestant{
			prepare: func() { left = unix.Timespec{Sec: -1} },
			call:    func(ctx context.Context) error { return cancel.Nanosleep(ctx, &request, &left) },
			settle: func(done bool) {
				if left.Sec == -1 != done || left.Nsec > request.Nsec {
					t.Fatalf("done %v, %v left", done, left)
				}
			},
		}
	}},
	{"connect (TCP)", 1, func(t *testing.T) contestant {
		l := must(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
		closeAtEnd(t, l)
		check(unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		check(unix.Listen(l, 16))
		addr, err := unix.Getsockname(l)
		check(err)
		var mine int
		return contestant{
			prepare: func() {
				mine = must(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
				// Closed by a reset, it does not keep its port for a minute.
				check(unix.SetsockoptLinger(mine, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
			},
			call: func(ctx context.Context) error { return cancel.Connect(ctx, mine, addr) },
			settle: func(done bool) {
				if _, err := unix.Getpeername(mine); err == nil != done {
					t.Fatalf("done %v, the peer: %v", done, err)
				}
				check(unix.Close(mine))
				connections := 0
				for ; ready(l); connections++ {
					fd, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
					check(err)
					check(unix.Close(fd))
				}
				// One that was dissolved may have come and gone.
				if connections > 1 || done && connections == 0 {
					t.Fatalf("done %v, %d connections", done, connections)
				}
			},
		}
	}},
}

var zeros [16 << 10]byte

// filled is a buffer that a call fills from its beginning.
type filled struct {
	t     *testing.T
	p     []byte
	n     int
	empty []byte
}

func newFilled(t *testing.T, with byte) *filled {
	return &filled{t: t, p: make([]byte, len(zeros)), empty: bytes.Repeat([]byte{with}, len(zeros))}
}

func (f *filled) prepare() { copy(f.p, f.empty) }

func (f *filled) settle(done bool) {
	if !done {
		f.n = 0
	}
	if done && f.n == 0 || !bytes.Equal(f.p[f.n:], f.empty[f.n:]) {
		f.t.Fatalf("done %v: %d bytes said to be filled, but more are", done, f.n)
	}
}
