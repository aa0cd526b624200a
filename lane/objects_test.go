package lane_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/hati-os/hati/lane"
	"golang.org/x/sys/unix"
)

func TestFilesCrossBothWays(t *testing.T) {
	overTransports(t, lane.Config{}, func(t *testing.T, c, s *lane.Lane) {
		before := countFDs()
		s.Handle(func(ctx context.Context, r *lane.Request) error {
			f := r.Objects[0].(*lane.File)
			var b [5]byte
			n, err := unix.Read(f.FD(), b[:])
			if err != nil {
				return err
			}
			var p [2]int
			if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
				return err
			}
			unix.Write(p[1], b[:n])
			unix.Close(p[1])
			back, err := lane.NewFile(p[0])
			if err != nil {
				return err
			}
			r.Reply.Objects = append(r.Reply.Objects, back)
			return nil
		}, lane.ServeOptions{})
		rd, wr, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		wr.WriteString("hello")
		wr.Close()
		fd, _ := unix.FcntlInt(rd.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		rd.Close()
		f, err := lane.NewFile(fd)
		if err != nil {
			t.Fatal(err)
		}
		if f.Rights()&lane.RightWrite != 0 {
			t.Error("a pipe's read end came with the right to write")
		}
		var rep lane.Message
		if err := c.Call(within(t), &lane.Message{Objects: []lane.Object{f}}, &rep); err != nil {
			t.Fatal(err)
		}
		out := rep.Objects[0].(*lane.File).OS("back")
		got, _ := io.ReadAll(out)
		out.Close()
		if string(got) != "hello" {
			t.Fatalf("got %q", got)
		}
		if now := countFDs(); now > before {
			t.Errorf("%d descriptors, %d before", now, before)
		}
	})
}

// What is sent is given away, whatever becomes of the call.
func TestObjectsOfFailedCallsAreClosed(t *testing.T) {
	overAll(t, lane.Config{Arena: 1 << 16}, func(t *testing.T, c *client) {
		if err := c.Call(within(t), &lane.Message{Op: opEcho}, nil); err != nil {
			t.Fatal(err)
		}
		before, theirs := countFDs(), census(t, c)
		for i := range 20 {
			fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			f, _ := lane.NewFile(fd)
			ctx, cancel := context.WithCancelCause(within(t))
			req := lane.Message{Op: opErrno, Data: []byte{2}, Objects: []lane.Object{f}}
			switch i % 4 {
			case 0:
				cancel(lane.ErrInterrupted)
			case 1:
				req.Bulk = make([]byte, 1<<18)
			case 2:
				req.Op = opBlock
				go func() {
					c.awaitStarted(opBlock, 1)
					cancel(lane.ErrInterrupted)
				}()
			}
			if err := c.Call(ctx, &req, nil); err == nil {
				t.Fatal("the call succeeded")
			}
			cancel(nil)
		}
		if now := countFDs(); now > before {
			t.Errorf("%d descriptors, %d before", now, before)
		}
		if now := census(t, c); now[0] > theirs[0] {
			t.Errorf("server: %d descriptors, %d before", now[0], theirs[0])
		}
	})
}

func TestOfferOpensConversation(t *testing.T) {
	overAll(t, lane.Config{}, func(t *testing.T, c *client) {
		conv, err := c.Offer(within(t), &lane.Message{Op: opOffered}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conv.Close()
		rep := lane.Message{Bulk: make([]byte, 10)}
		for range 3 {
			rep.Bulk = rep.Bulk[:10]
			if err := conv.Call(within(t), &lane.Message{Op: opEcho, Bulk: []byte("0123456789")}, &rep); err != nil || string(rep.Bulk) != "0123456789" {
				t.Fatal(err, rep)
			}
		}
		if _, err := c.Offer(within(t), &lane.Message{Op: opErrno, Data: []byte{2}}, nil); err != syscall.ENOENT {
			t.Fatalf("a refused offer: %v", err)
		}
	})
}

// A lane that was passed on and never used can be passed on again.
func TestUnusedLaneIsPassedOn(t *testing.T) {
	overTransports(t, lane.Config{}, func(t *testing.T, c, s *lane.Lane) {
		s.Handle(func(ctx context.Context, r *lane.Request) error {
			r.Reply.Objects = append(r.Reply.Objects, r.Objects[0])
			r.Objects[0] = nil
			return nil
		}, lane.ServeOptions{})
		a, b := lane.Pair(lane.Config{})
		defer a.Close()
		var rep lane.Message
		if err := c.Call(within(t), &lane.Message{Objects: []lane.Object{b}}, &rep); err != nil {
			t.Fatal(err)
		}
		back := rep.Objects[0].(*lane.Lane)
		defer back.Close()
		back.Handle(echo, lane.ServeOptions{})
		if err := a.Call(within(t), &lane.Message{Op: opEcho}, nil); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCredentialsAreTheKernels(t *testing.T) {
	p := startServer(t)
	c := dial(t, p, lane.Config{})
	var rep lane.Message
	if err := c.Call(within(t), &lane.Message{Op: opWho}, &rep); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d %d %d", os.Getpid(), os.Getuid(), os.Getgid()); string(rep.Data) != want {
		t.Errorf("the server saw %q, not %q", rep.Data, want)
	}
	if peer, ok := c.Peer(); !ok || peer.PID != p.Process.Pid {
		t.Errorf("the client saw %v", peer)
	}
	conv, err := c.Offer(within(t), &lane.Message{Op: opOffered}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conv.Close()
	if err := conv.Call(within(t), &lane.Message{Op: opEcho}, nil); err != nil {
		t.Fatal(err)
	}
	if peer, ok := conv.Peer(); !ok || peer.PID != p.Process.Pid {
		t.Errorf("the other end of an offered lane: %v, %v", peer, ok)
	}
}

func TestEventsInOneProcess(t *testing.T) {
	e := lane.NewEvent(lane.Bitset)
	defer e.Close()
	got := make(chan uint32, 2)
	for range 2 {
		go func() {
			b, err := e.Wait(within(t), 6)
			if err != nil {
				t.Error(err)
			}
			got <- b
		}()
	}
	e.Raise(1)
	e.Raise(4)
	for range 2 {
		if b := <-got; b != 4 {
			t.Errorf("bits %x", b)
		}
	}
	if b, _ := e.Take(within(t), 5); b != 5 || e.Bits() != 0 {
		t.Errorf("took %x, %x stay", b, e.Bits())
	}
	ctx, cancel := context.WithCancelCause(within(t))
	cancel(lane.ErrInterrupted)
	if _, err := e.Wait(ctx, 1); err != lane.ErrInterrupted {
		t.Error(err)
	}
	once := lane.NewEvent(lane.OneShot)
	once.Raise(1)
	if err := once.Clear(1); !errors.Is(err, unix.EINVAL) {
		t.Errorf("clearing a one-shot event: %v", err)
	}
	ro := once.Dup().Reduce(lane.RightRead)
	if err := ro.Raise(2); !errors.Is(err, lane.ErrRights) {
		t.Errorf("raising without the right: %v", err)
	}
}

// Raised here and seen there, and the other way round.
func TestEventsCross(t *testing.T) {
	overAll(t, lane.Config{}, func(t *testing.T, c *client) {
		e := lane.NewEvent(lane.Bitset)
		defer e.Close()
		waiting := make(chan uint32, 1)
		go func() {
			b, err := e.Wait(within(t), 4)
			if err != nil {
				t.Error(err)
			}
			waiting <- b
		}()
		if err := c.Call(within(t), &lane.Message{Op: opHold, Objects: []lane.Object{e.Dup()}}, nil); err != nil {
			t.Fatal(err)
		}
		if b := <-waiting; b != 4 {
			t.Errorf("bits %x", b)
		}
		// Many waits after one another find their raise.
		ready := make(chan struct{})
		go func() {
			for range 200 {
				<-ready
				c.Call(within(t), &lane.Message{Op: opHold, Objects: []lane.Object{e.Dup()}}, nil)
			}
		}()
		e.Clear(4)
		for i := range 200 {
			ready <- struct{}{}
			if _, err := e.Take(within(t), 4); err != nil {
				t.Fatal(i, err)
			}
		}
		err := c.Call(within(t), &lane.Message{Op: opHold, Objects: []lane.Object{e.Dup().Reduce(lane.RightRead | lane.RightPass)}}, nil)
		if err == nil {
			t.Error("an event was raised without the right")
		}
		err = c.Call(within(t), &lane.Message{Op: opHold, Objects: []lane.Object{e.Dup().Reduce(lane.RightRead)}}, nil)
		if !errors.Is(err, lane.ErrRights) {
			t.Errorf("passed on without the right: %v", err)
		}
	})
}

func TestMemoryCrosses(t *testing.T) {
	overAll(t, lane.Config{}, func(t *testing.T, c *client) {
		m, err := lane.NewMemory(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		b, err := m.Map()
		if err != nil {
			t.Fatal(err)
		}
		b[5] = 21
		d, err := m.Dup()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Call(within(t), &lane.Message{Op: opMemory, Objects: []lane.Object{d}}, nil); err != nil {
			t.Fatal(err)
		}
		if b[5] != 42 {
			t.Errorf("got %d", b[5])
		}
	})
}

func TestMemoryRightsAreTheKernels(t *testing.T) {
	c, s, err := lane.PairShared(lane.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	took := make(chan *lane.Memory, 1)
	s.Handle(func(ctx context.Context, r *lane.Request) error {
		took <- r.Objects[0].(*lane.Memory)
		r.Objects[0] = nil
		return nil
	}, lane.ServeOptions{})
	for _, tc := range []struct {
		name   string
		reduce func(m *lane.Memory) error
		sealed bool
	}{
		{"reduced", func(m *lane.Memory) error { return m.Reduce(lane.RightRead | lane.RightMap | lane.RightPass) }, false},
		{"sealed", (*lane.Memory).Seal, true},
	} {
		m, err := lane.NewMemory(4096)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.WriteAt([]byte("x"), 0); err != nil {
			t.Fatal(err)
		}
		if err := tc.reduce(m); err != nil {
			t.Fatal(err)
		}
		if err := c.Call(within(t), &lane.Message{Objects: []lane.Object{m}}, nil); err != nil {
			t.Fatal(err)
		}
		got := <-took
		if got.Rights()&lane.RightWrite != 0 || got.Sealed() != tc.sealed {
			t.Errorf("%s: rights %v, sealed %v", tc.name, got.Rights(), got.Sealed())
		}
		if _, err := got.WriteAt([]byte("y"), 0); !errors.Is(err, lane.ErrRights) {
			t.Errorf("%s: written: %v", tc.name, err)
		}
		b, err := got.Map()
		if err != nil || b[0] != 'x' {
			t.Errorf("%s: %v", tc.name, err)
		}
		got.Close()
	}
}

// What only its maker may write cannot be written by a receiver, not even by one who opens it anew.
func TestMemoryThatOthersCannotWrite(t *testing.T) {
	c, s, err := lane.PairShared(lane.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	took := make(chan *lane.Memory, 1)
	s.Handle(func(ctx context.Context, r *lane.Request) error {
		took <- r.Objects[0].(*lane.Memory)
		r.Objects[0] = nil
		return nil
	}, lane.ServeOptions{})
	m, err := lane.NewMemory(4096)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	mine, err := m.SealOthers()
	if errors.Is(err, unix.EINVAL) {
		t.Skip("before Linux 5.1")
	} else if err != nil {
		t.Fatal(err)
	}
	d, err := m.Dup()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Call(within(t), &lane.Message{Objects: []lane.Object{d}}, nil); err != nil {
		t.Fatal(err)
	}
	got := <-took
	defer got.Close()
	if got.Rights()&lane.RightWrite != 0 {
		t.Errorf("rights %v", got.Rights())
	}
	theirs, err := got.Map()
	if err != nil {
		t.Fatal(err)
	}
	mine[0] = 'a'
	if _, err := m.WriteAt([]byte("b"), 1); err != nil || string(theirs[:2]) != "ab" {
		t.Errorf("the maker's writing: %v, %q", err, theirs[:2])
	}
	if _, err := m.WriteAt([]byte("b"), 4096); !errors.Is(err, unix.EINVAL) {
		t.Errorf("writing behind the end: %v", err)
	}
	// The receiver finds the object among the process's descriptors.
	tried := 0
	for fd := range 1000 {
		name := fmt.Sprintf("/proc/self/fd/%d", fd)
		if to, err := os.Readlink(name); err != nil || !strings.Contains(to, "lane-memory") {
			continue
		}
		again, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		tried++
		if _, err := unix.Pwrite(again, []byte("evil"), 0); err != unix.EPERM {
			t.Errorf("pwrite: %v", err)
		}
		if b, err := unix.Mmap(again, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != unix.EPERM {
			t.Errorf("mmap: %v, %v", b != nil, err)
		}
		unix.Close(again)
	}
	if tried == 0 || string(theirs[:2]) != "ab" {
		t.Errorf("%d tries, the content is %q", tried, theirs[:2])
	}
	if err := m.Seal(); !errors.Is(err, unix.EPERM) {
		t.Errorf("seal: %v", err)
	}
}

// A reply whose objects cannot be sent fails its call; nobody is left waiting.
func TestReplyThatCannotBeSent(t *testing.T) {
	overTransports(t, lane.Config{}, func(t *testing.T, c, s *lane.Lane) {
		before := countFDs()
		used, other := lane.Pair(lane.Config{})
		defer other.Close()
		defer used.Close()
		used.Handle(echo, lane.ServeOptions{})
		undone := make(chan struct{}, 1)
		s.Handle(func(ctx context.Context, r *lane.Request) error {
			r.OnUndelivered(func() { undone <- struct{}{} })
			m, err := lane.NewMemory(4096)
			if err != nil {
				return err
			}
			switch r.Op {
			case 1:
				if err := m.Reduce(lane.RightRead); err != nil {
					return err
				}
				r.Reply.Objects = append(r.Reply.Objects, m)
			case 2:
				r.Reply.Objects = append(r.Reply.Objects, m, used)
			case 3:
				for range lane.MaxObjects {
					d, err := m.Dup()
					if err != nil {
						return err
					}
					r.Reply.Objects = append(r.Reply.Objects, d)
				}
				r.Reply.Objects = append(r.Reply.Objects, m)
			}
			return nil
		}, lane.ServeOptions{})
		for op, want := range []error{1: syscall.EIO, 2: syscall.EIO, 3: syscall.EMSGSIZE} {
			if want == nil {
				continue
			}
			rep := lane.Message{Bulk: make([]byte, 8)}
			err := c.Call(within(t), &lane.Message{Op: uint32(op)}, &rep)
			if !errors.Is(err, want) || lane.OutcomeOf(err) != lane.Done || len(rep.Objects) != 0 {
				t.Errorf("%d: %v (%v), %d objects", op, err, lane.OutcomeOf(err), len(rep.Objects))
			}
			<-undone
		}
		if now := countFDs(); now > before+3 { // the used lane's own
			t.Errorf("%d descriptors, %d before", now, before)
		}
	})
}
