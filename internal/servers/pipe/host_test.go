package pipe_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/servers/pipe"
	"github.com/hati-os/hati/vfs"
)

// The same operations on the host's pipes and on ours must have the same
// results, errnos, bytes and poll bits.

const allEvents = vfs.EventsIn | vfs.EventsOut | vfs.EventPri | vfs.EventRdHup

// sides is one pipe in both worlds; nil and -1 are closed ends.
type sides struct {
	r, w   *pipe.End
	hr, hw int
}

func newSides(t *testing.T) *sides {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	s := &sides{hr: fds[0], hw: fds[1]}
	s.r, s.w = pipe.New()
	t.Cleanup(func() { s.closeRead(); s.closeWrite() })
	return s
}

func (s *sides) closeRead() {
	if s.r != nil {
		s.r.Close()
		unix.Close(s.hr)
		s.r, s.hr = nil, -1
	}
}

func (s *sides) closeWrite() {
	if s.w != nil {
		s.w.Close()
		unix.Close(s.hw)
		s.w, s.hw = nil, -1
	}
}

func hostPoll(t *testing.T, fd int) vfs.Events {
	t.Helper()
	p := []unix.PollFd{{Fd: int32(fd), Events: int16(allEvents)}}
	for {
		_, err := unix.Poll(p, 0)
		if err == nil {
			break
		}
		if err != unix.EINTR { // Go's preemption signals
			t.Fatal(err)
		}
	}
	return vfs.Events(uint16(p[0].Revents))
}

func errno(err error) syscall.Errno {
	var e syscall.Errno
	if err != nil && !errors.As(err, &e) {
		panic(err)
	}
	return e
}

func result(n int, err error) string {
	if err != nil {
		return errno(err).Error()
	}
	return fmt.Sprint(n)
}

func (s *sides) check(t *testing.T, what string) {
	t.Helper()
	if s.r != nil {
		if h, o := hostPoll(t, s.hr), s.r.Poll(allEvents); h != o {
			t.Fatalf("after %s: poll of the read end: host %#x, ours %#x", what, h, o)
		}
		h, err := unix.IoctlGetInt(s.hr, unix.TIOCINQ)
		if err != nil {
			t.Fatal(err)
		}
		if o := s.r.Buffered(); h != o {
			t.Fatalf("after %s: FIONREAD: host %d, ours %d", what, h, o)
		}
	}
	if s.w != nil {
		if h, o := hostPoll(t, s.hw), s.w.Poll(allEvents); h != o {
			t.Fatalf("after %s: poll of the write end: host %#x, ours %#x", what, h, o)
		}
	}
}

// script runs the operations that ops names on two pipes.
func script(t *testing.T, ops []byte) {
	ctx := context.Background()
	all := [2]*sides{newSides(t), newSides(t)}
	sizes := [...]int{0, 1, 2, 100, 1000, 4095, 4096, 4097, 5000, 8192, 12289, 65536, 70000, 3}
	var stamp byte
	next := func() int {
		if len(ops) == 0 {
			return 0
		}
		b := ops[0]
		ops = ops[1:]
		return int(b)
	}
	for len(ops) > 0 {
		op := next()
		s, other := all[op&1], all[op&1^1]
		var what, host, ours string
		switch op := op >> 1 % 32; {
		case op < 10 && s.w != nil:
			b := make([]byte, sizes[next()%len(sizes)])
			for i := range b {
				stamp++
				b[i] = stamp
			}
			what = fmt.Sprintf("write %d", len(b))
			host = result(unix.Write(s.hw, b))
			ours = result(s.w.Write(ctx, b, 0))
		case op < 20 && s.r != nil:
			b := make([]byte, sizes[next()%len(sizes)])
			c := make([]byte, len(b))
			what = fmt.Sprintf("read %d", len(b))
			host = result(unix.Read(s.hr, b))
			ours = result(s.r.Read(ctx, c, 0))
			if string(b) != string(c) {
				t.Fatalf("%s: bytes differ", what)
			}
		case op < 22 && s.w != nil:
			on := next()%2 != 0
			flags := unix.O_NONBLOCK
			if on {
				flags |= unix.O_DIRECT
			}
			what = fmt.Sprint("packet mode ", on)
			if _, err := unix.FcntlInt(uintptr(s.hw), unix.F_SETFL, flags); err != nil {
				t.Fatal(err)
			}
			s.w.SetPacket(on)
		case op < 24 && s.w != nil:
			size := [...]int{0, 4096, 4097, 12288, 65536, 131072, -1, 1 << 20}[next()%8]
			what = fmt.Sprintf("set size %d", size)
			host = result(unix.FcntlInt(uintptr(s.hw), unix.F_SETPIPE_SZ, size))
			ours = result(s.w.SetSize(size, os.Getuid() == 0))
		case op < 27 && s.r != nil && other.w != nil:
			n := sizes[1+next()%(len(sizes)-1)]
			what = fmt.Sprintf("splice %d", n)
			h, err := unix.Splice(s.hr, nil, other.hw, nil, n, unix.SPLICE_F_NONBLOCK)
			host = result(int(h), err)
			ours = result(pipe.Splice(other.w, s.r, n))
		case op < 30 && s.r != nil && other.w != nil:
			n := sizes[1+next()%(len(sizes)-1)]
			what = fmt.Sprintf("tee %d", n)
			h, err := unix.Tee(s.hr, other.hw, n, unix.SPLICE_F_NONBLOCK)
			host = result(int(h), err)
			ours = result(pipe.Tee(other.w, s.r, n))
		case op == 30 && next()%4 == 0:
			what = "close of the read end"
			s.closeRead()
		case op == 31 && next()%4 == 0:
			what = "close of the write end"
			s.closeWrite()
		default:
			continue
		}
		if host != ours {
			t.Fatalf("%s: host %s, ours %s", what, host, ours)
		}
		s.check(t, what)
		other.check(t, what)
	}
}

func TestAgainstHost(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		ops := make([]byte, 250)
		for i := range ops {
			ops[i] = byte(rng.Uint32())
		}
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { script(t, ops) }) {
			return
		}
	}
}

func FuzzAgainstHost(f *testing.F) {
	f.Add([]byte{0, 3, 20, 4, 52, 12, 0, 11, 0, 11, 20, 2})
	f.Fuzz(func(t *testing.T, ops []byte) { script(t, ops[:min(len(ops), 300)]) })
}

// TestFIFOAgainstHost opens, closes and polls the ends of a FIFO in every order.
func TestFIFOAgainstHost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	modes := [...]int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR}
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var fifos pipe.FIFOs
		node := new(fifoNode)
		type both struct {
			end *pipe.End
			fd  int
		}
		var open []both
		for step := range 40 {
			switch k := rng.IntN(5); {
			case k < 2:
				mode := modes[rng.IntN(3)] | unix.O_NONBLOCK
				fd, herr := unix.Open(path, mode|unix.O_CLOEXEC, 0)
				end, err := fifos.Open(node, mode)
				if errno(err) != errno(herr) {
					t.Fatalf("seed %d step %d: open %#x: host %v, ours %v", seed, step, mode, herr, err)
				}
				if err == nil {
					open = append(open, both{end, fd})
				}
			case k == 2 && len(open) > 0:
				i := rng.IntN(len(open))
				unix.Close(open[i].fd)
				open[i].end.Close()
				open = append(open[:i], open[i+1:]...)
			case k == 3 && len(open) > 0:
				b := make([]byte, rng.IntN(9000))
				i := rng.IntN(len(open))
				host, ours := result(unix.Write(open[i].fd, b)), result(open[i].end.Write(context.Background(), b, 0))
				if host != ours {
					t.Fatalf("seed %d step %d: write %d: host %s, ours %s", seed, step, len(b), host, ours)
				}
			case k == 4 && len(open) > 0:
				b := make([]byte, rng.IntN(9000))
				i := rng.IntN(len(open))
				host, ours := result(unix.Read(open[i].fd, b)), result(open[i].end.Read(context.Background(), b, 0))
				if host != ours {
					t.Fatalf("seed %d step %d: read %d: host %s, ours %s", seed, step, len(b), host, ours)
				}
			}
			for i, b := range open {
				if h, o := hostPoll(t, b.fd), b.end.Poll(allEvents); h != o {
					t.Fatalf("seed %d step %d: poll of end %d: host %#x, ours %#x", seed, step, i, h, o)
				}
			}
		}
		for _, b := range open {
			unix.Close(b.fd)
			b.end.Close()
		}
		if n := fifos.Len(); n != 0 {
			t.Fatalf("%d FIFOs left after the last close", n)
		}
	}
}

type fifoNode struct{ _ int }

func (*fifoNode) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Mode: syscall.S_IFIFO | 0o600}, nil
}
