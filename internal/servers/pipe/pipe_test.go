package pipe_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/pipe"
	"github.com/hati-os/hati/vfs"
)

var ctx = context.Background()

// wait returns when one of events holds on f.
func wait(f vfs.Pollable, events vfs.Events) {
	came := make(chan struct{}, 1)
	w := &vfs.Waiter{Mask: events, Wake: func(*vfs.Waiter, vfs.Events) {
		select {
		case came <- struct{}{}:
		default:
		}
	}}
	f.Watch(w)
	defer f.Unwatch(w)
	for f.Poll(events) == 0 {
		<-came
	}
}

// writeAll writes b as a blocking descriptor would.
func writeAll(e *pipe.End, b []byte) error {
	for len(b) > 0 {
		n, err := e.Write(ctx, b, 0)
		if errors.Is(err, syscall.EAGAIN) {
			wait(e, vfs.EventsOut)
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func read(e *pipe.End, b []byte) (int, error) {
	for {
		n, err := e.Read(ctx, b, 0)
		if !errors.Is(err, syscall.EAGAIN) {
			return n, err
		}
		wait(e, vfs.EventsIn)
	}
}

// TestStream sends bytes from several goroutines with waiting on both sides:
// nothing is lost, and writes of up to PIPE_BUF are whole.
func TestStream(t *testing.T) {
	r, w := pipe.New()
	const writers, records, size = 4, 500, 1000
	var wg sync.WaitGroup
	for id := range writers {
		wg.Go(func() {
			for range records {
				if err := writeAll(w, bytes.Repeat([]byte{byte(id)}, size)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { wg.Wait(); w.Close() }()
	var counts [writers]int
	buf := make([]byte, size)
	for {
		for fill := 0; fill < size; {
			n, err := read(r, buf[fill:])
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 && fill == 0 {
				for id, c := range counts {
					if c != records {
						t.Errorf("writer %d: %d records of %d", id, c, records)
					}
				}
				r.Close()
				return
			}
			fill += n
		}
		if bytes.Count(buf, buf[:1]) != size {
			t.Fatal("a write of fewer than PIPE_BUF bytes was torn")
		}
		counts[buf[0]]++
	}
}

func TestWrongEnd(t *testing.T) {
	r, w := pipe.New()
	if _, err := w.Read(ctx, make([]byte, 1), 0); err != syscall.EBADF {
		t.Errorf("read of the write end: %v", err)
	}
	if _, err := r.Write(ctx, make([]byte, 1), 0); err != syscall.EBADF {
		t.Errorf("write to the read end: %v", err)
	}
	if _, err := pipe.Splice(w, r, 1); err != syscall.EINVAL {
		t.Errorf("splice to itself: %v", err)
	}
	if _, err := w.SetSize(2<<20, false); err != syscall.EPERM {
		t.Errorf("large size without privilege: %v", err)
	}
	if n, err := w.SetSize(2<<20, true); n != 2<<20 || err != nil || w.Size() != n {
		t.Errorf("large size with privilege: %d, %v", n, err)
	}
}

func TestFIFOOpenWaits(t *testing.T) {
	var fifos pipe.FIFOs
	node := new(fifoNode)
	r, err := fifos.Open(node, syscall.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	if r.Opened() {
		t.Fatal("an open for reading does not wait for a writer")
	}
	woken := 0
	waiter := &vfs.Waiter{Mask: vfs.EventIn, Wake: func(*vfs.Waiter, vfs.Events) { woken++ }}
	r.Openings().Watch(waiter)
	w, err := fifos.Open(node, syscall.O_WRONLY)
	if err != nil || !w.Opened() {
		t.Fatalf("open for writing with a reader there: %v, opened %v", err, w.Opened())
	}
	w.Close()
	if woken != 1 || !r.Opened() {
		t.Errorf("woken %d times, opened %v after a writer came and went", woken, r.Opened())
	}
	r.Openings().Unwatch(waiter)
	if c := r.Counts(); c != (pipe.Counts{Readers: 1, ReaderGen: 1, WriterGen: 1}) {
		t.Errorf("counts: %+v", c)
	}
	r.Close()

	w, _ = fifos.Open(node, syscall.O_WRONLY)
	if w.Opened() {
		t.Error("an open for writing does not wait for a reader")
	}
	if r, err := fifos.Open(node, syscall.O_RDWR); err != nil || !r.Opened() || !w.Opened() {
		t.Errorf("O_RDWR: %v", err)
	} else {
		r.Close()
	}
	w.Close()
}

func TestDrain(t *testing.T) {
	r, w := pipe.New()
	data := make([]byte, 20000)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	writeAll(w, data)
	var got bytes.Buffer
	n, err := r.Drain(10000, got.Write)
	if n != 10000 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	// What f does not take stays; while f runs, nobody else reads.
	n, err = r.Drain(10000, func(b []byte) (int, error) {
		if _, err := r.Read(ctx, make([]byte, 1), 0); err != syscall.EAGAIN {
			t.Errorf("read during a drain: %v", err)
		}
		if r.Poll(vfs.EventsIn) != 0 {
			t.Error("readable during a drain")
		}
		return got.Write(b[:10])
	})
	if n != 10 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if n, err = r.Drain(1, func([]byte) (int, error) { return 0, syscall.EIO }); n != 0 || err != syscall.EIO {
		t.Fatalf("%d, %v", n, err)
	}
	w.Close()
	if _, err := r.Drain(1<<20, got.Write); err != nil || !bytes.Equal(got.Bytes(), data) {
		t.Fatalf("%v; equal: %v", err, bytes.Equal(got.Bytes(), data))
	}
	if n, err := r.Drain(1, got.Write); n != 0 || err != nil {
		t.Fatalf("at the end: %d, %v", n, err)
	}
}

func TestFill(t *testing.T) {
	r, w := pipe.New()
	src := bytes.NewReader(bytes.Repeat([]byte("0123456789"), 10000))
	fill := func(b []byte) (int, error) {
		n, err := src.Read(b)
		if err == io.EOF {
			err = nil
		}
		return n, err
	}
	n, err := w.Fill(100000, fill)
	if n != pipe.DefaultSize || err != nil || r.Buffered() != n {
		t.Fatalf("%d, %v, buffered %d", n, err, r.Buffered())
	}
	if _, err := w.Fill(1, fill); err != syscall.EAGAIN {
		t.Fatalf("full: %v", err)
	}
	b := make([]byte, pipe.DefaultSize)
	r.Read(ctx, b, 0)
	if _, err := w.Fill(1, func([]byte) (int, error) { return 0, syscall.EIO }); err != syscall.EIO {
		t.Fatal(err)
	}
	if n, err := w.Fill(1<<20, fill); n != 100000-pipe.DefaultSize || err != nil {
		t.Fatalf("the rest: %d, %v", n, err)
	}
	if n, err := w.Fill(10, fill); n != 0 || err != nil {
		t.Fatalf("at the source's end: %d, %v", n, err)
	}
	r.Close()
	if _, err := w.Fill(1, fill); err != syscall.EPIPE {
		t.Fatalf("no reader: %v", err)
	}
}

// TestFillDrain moves a stream through a pipe, filled and drained at the same
// time.
func TestFillDrain(t *testing.T) {
	r, w := pipe.New()
	data := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(data)
	go func() {
		src := bytes.NewReader(data)
		for src.Len() > 0 {
			if _, err := w.Fill(100000, src.Read); errors.Is(err, syscall.EAGAIN) {
				wait(w, vfs.EventsOut)
			} else if err != nil {
				t.Error(err)
			}
		}
		w.Close()
	}()
	var got bytes.Buffer
	for {
		n, err := r.Drain(30000, got.Write)
		if errors.Is(err, syscall.EAGAIN) {
			wait(r, vfs.EventsIn)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	if !bytes.Equal(got.Bytes(), data) {
		t.Errorf("%d bytes of %d, or others", got.Len(), len(data))
	}
}

// TestNotify checks who hears of what.
func TestNotify(t *testing.T) {
	r, w := pipe.New()
	var in, out vfs.Events
	wr := &vfs.Waiter{Mask: vfs.EventIn, Wake: func(_ *vfs.Waiter, e vfs.Events) { in |= e }}
	ww := &vfs.Waiter{Mask: vfs.EventOut, Wake: func(_ *vfs.Waiter, e vfs.Events) { out |= e }}
	r.Watch(wr)
	w.Watch(ww)
	heard := func(what string, wantIn, wantOut vfs.Events) {
		t.Helper()
		if in != wantIn || out != wantOut {
			t.Errorf("%s: reader heard %#x, writer %#x", what, in, out)
		}
		in, out = 0, 0
	}
	w.Write(ctx, []byte("a"), 0)
	heard("write", vfs.EventIn, 0)
	w.Write(ctx, []byte("b"), 0)
	heard("second write", vfs.EventIn, 0)
	r.Read(ctx, make([]byte, 1), 0)
	heard("read", 0, 0)
	w.Write(ctx, make([]byte, 1<<20), 0)
	heard("filling write", vfs.EventIn, 0)
	r.Read(ctx, make([]byte, pipe.DefaultSize), 0)
	heard("read of a full pipe", 0, vfs.EventOut)
	w.Unwatch(ww)
	w.Close()
	if in&vfs.EventHup == 0 {
		t.Errorf("the reader heard %#x of the writer's close", in)
	}
	r.Unwatch(wr)
	r.Close()
}
