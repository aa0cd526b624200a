package srv_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/srv"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// workbench is a registry with one service, whose ends of conversations come over a
// channel, and its tree.
type workbench struct {
	*names.Registry
	fs    *srv.FS
	ends  chan *names.Conversation
	lanes chan *lane.Lane
}

func newWorkbench(t *testing.T) *workbench {
	w := &workbench{Registry: names.New(), ends: make(chan *names.Conversation, 4), lanes: make(chan *lane.Lane, 4)}
	w.fs = srv.New(w)
	t.Cleanup(func() {
		w.fs.Close()
		w.Registry.Close()
	})
	return w
}

// serve registers an instance that knows the first messages of each conversation.
func (w *workbench) serve(t *testing.T, recovers bool, known uint64) *names.Registration {
	t.Helper()
	g, err := w.Register(t.Context(), "x", names.Service{Protocol: names.Talk, Recovers: recovers, Mode: 0o622,
		Accept: func(_ context.Context, _ names.Opening, l *lane.Lane) error {
			c, err := names.Converse(l, names.ConversationOptions{Received: known})
			w.lanes <- l
			w.ends <- c
			return err
		}})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (w *workbench) node(t *testing.T) vfs.Node {
	t.Helper()
	root, err := w.fs.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n, err := vfs.Lookup(t.Context(), root, "x")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (w *workbench) open(t *testing.T) vfs.File {
	t.Helper()
	f, err := vfs.Open(t.Context(), w.node(t), unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// await waits until the file has one of the events.
func await(t *testing.T, f vfs.File, mask vfs.Events) vfs.Events {
	t.Helper()
	e := ready(t.Context(), f, mask)
	if e == 0 {
		t.Fatal("nothing comes")
	}
	return e
}

func write(t *testing.T, f vfs.File, p string) {
	t.Helper()
	if n, err := vfs.Write(t.Context(), f, []byte(p), 0); n != len(p) || err != nil {
		t.Fatalf("writing %q: %d, %v", p, n, err)
	}
}

func read(t *testing.T, f vfs.File) (string, error) {
	t.Helper()
	await(t, f, vfs.EventIn)
	p := make([]byte, 100)
	n, err := vfs.Read(t.Context(), f, p, 0)
	return string(p[:n]), err
}

func TestTree(t *testing.T) {
	w := newWorkbench(t)
	root, _ := w.fs.Root(t.Context())
	if again, _ := w.fs.Root(t.Context()); again != root {
		t.Error("two roots")
	}
	if _, err := vfs.Lookup(t.Context(), root, "x"); err != syscall.ENOENT {
		t.Errorf("before it is there: %v", err)
	}
	g := w.serve(t, false, 0)
	n := w.node(t)
	if n != w.node(t) {
		t.Error("two nodes of one service")
	}
	a, err := n.Stat(t.Context())
	if err != nil || a.Mode != unix.S_IFCHR|0o622 {
		t.Errorf("its attributes: %+v, %v", a, err)
	}
	for i := range 20 {
		if _, err := w.Register(t.Context(), fmt.Sprintf("y%02d", i), names.Service{Protocol: names.Talk}); err != nil {
			t.Fatal(err)
		}
	}
	d, err := vfs.Open(t.Context(), root, unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for cookie := uint64(0); ; {
		list, err := d.(vfs.DirReader).ReadDir(t.Context(), cookie, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, e := range list {
			if seen[e.Name] || e.Next < 3 || e.Next <= cookie {
				t.Fatalf("%+v after %d", e, cookie)
			}
			seen[e.Name], cookie = true, e.Next
		}
	}
	if len(seen) != 21 {
		t.Errorf("the directory has %v", seen)
	}
	g.Close()
	if _, err := vfs.Open(t.Context(), n, unix.O_RDWR); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("opening what has gone: %v", err)
	}
}

func TestQueue(t *testing.T) {
	w := newWorkbench(t)
	w.serve(t, false, 0)
	f := w.open(t)
	end := <-w.ends
	if e := f.(vfs.Pollable).Poll(vfs.EventIn | vfs.EventOut); e != vfs.EventOut {
		t.Errorf("at first: %x", e)
	}
	if _, err := vfs.Read(t.Context(), f, make([]byte, 1), 0); err != syscall.EAGAIN {
		t.Errorf("reading nothing: %v", err)
	}
	if _, err := vfs.Write(t.Context(), f, make([]byte, names.MaxMessage+1), 0); err != syscall.EMSGSIZE {
		t.Errorf("too long a message: %v", err)
	}
	// Until both queues are full.
	n := 0
	for {
		_, err := vfs.Write(t.Context(), f, fmt.Append(nil, n), 0)
		if err == syscall.EAGAIN && f.(vfs.Pollable).Poll(vfs.EventOut) == 0 {
			break
		}
		if err == nil {
			n++
		}
	}
	for i := range n {
		if p, err := end.Recv(t.Context()); err != nil || string(p) != fmt.Sprint(i) {
			t.Fatalf("message %d: %q, %v", i, p, err)
		}
	}
	await(t, f, vfs.EventOut)
	// What was written before the close arrives.
	write(t, f, "last")
	f.Close()
	if p, err := end.Recv(t.Context()); err != nil || string(p) != "last" {
		t.Errorf("%q, %v", p, err)
	}
	if _, err := end.Recv(t.Context()); err == nil || errors.Is(err, names.ErrPeerGone) {
		t.Errorf("after the close: %v", err)
	}
}

func TestEnds(t *testing.T) {
	w := newWorkbench(t)
	w.serve(t, false, 0)
	f := w.open(t)
	end := <-w.ends
	<-w.lanes
	if err := end.Send(t.Context(), []byte("unread")); err != nil {
		t.Fatal(err)
	}
	end.End(t.Context())
	end.Close()
	await(t, f, vfs.EventHup)
	for _, want := range []string{"unread", "", ""} {
		if got, err := read(t, f); got != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	if _, err := vfs.Write(t.Context(), f, []byte("x"), 0); err != syscall.EPIPE {
		t.Errorf("writing: %v", err)
	}
	f.Close()

	f = w.open(t)
	<-w.ends
	(<-w.lanes).Close()
	if got, err := read(t, f); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server died: %q, %v", got, err)
	}
	f.Close()
}

// TestRecovers: what the old server had not taken, or what the new one does not
// know, is sent again; readers and writers wait.
func TestRecovers(t *testing.T) {
	w := newWorkbench(t)
	g := w.serve(t, true, 0)
	f := w.open(t)
	end := <-w.ends
	write(t, f, "one")
	if p, err := end.Recv(t.Context()); err != nil || string(p) != "one" {
		t.Fatalf("%q, %v", p, err)
	}
	if err := end.Send(t.Context(), []byte("an answer")); err != nil {
		t.Fatal(err)
	}
	g.Close()
	(<-w.lanes).Close()
	if got, err := read(t, f); got != "an answer" || err != nil {
		t.Errorf("what had come: %q, %v", got, err)
	}
	write(t, f, "two")
	if e := f.(vfs.Pollable).Poll(vfs.EventIn | vfs.EventOut); e != vfs.EventOut {
		t.Errorf("while nobody serves: %x", e)
	}
	if _, err := vfs.Read(t.Context(), f, make([]byte, 1), 0); err != syscall.EAGAIN {
		t.Errorf("reading while nobody serves: %v", err)
	}
	g = w.serve(t, true, 1) // it has kept what it knew
	end = <-w.ends
	if p, err := end.Recv(t.Context()); err != nil || string(p) != "two" {
		t.Fatalf("%q, %v", p, err)
	}
	if err := end.Send(t.Context(), []byte("another")); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, f); got != "another" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	// One that has lost what it had said to have is no recovery.
	g.Close()
	(<-w.lanes).Close()
	w.serve(t, true, 0)
	if got, err := read(t, f); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after a server without memory: %q, %v", got, err)
	}
	f.Close()
}

// A read of no bytes takes no message; and whatever is written next, poll(2) says
// that there is room exactly when it does not get EAGAIN: who waits would ask
// without end otherwise.
func TestPollSaysWhatWriteDoes(t *testing.T) {
	w := newWorkbench(t)
	w.serve(t, false, 0)
	f := w.open(t)
	defer f.Close()
	c, _ := <-w.ends, <-w.lanes
	defer c.Close()
	if err := c.Send(t.Context(), []byte("kept")); err != nil {
		t.Fatal(err)
	}
	await(t, f, vfs.EventIn)
	if n, err := vfs.Read(t.Context(), f, nil, 0); n != 0 || err != nil {
		t.Errorf("reading no bytes: %d, %v", n, err)
	}
	if f.(vfs.Pollable).Poll(vfs.EventIn) == 0 {
		t.Fatal("reading no bytes took the message")
	}
	if got, err := read(t, f); got != "kept" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, size := range []int{1, 70_000, 100_000, names.MaxMessage} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			f := w.open(t) // nobody receives at its other end
			defer f.Close()
			other, _ := <-w.ends, <-w.lanes
			defer other.Close()
			for i := 0; ; i++ {
				room := f.(vfs.Pollable).Poll(vfs.EventsOut)&vfs.EventsOut != 0
				_, err := vfs.Write(t.Context(), f, make([]byte, size), 0)
				if err == syscall.EAGAIN && !room {
					break
				}
				// What the worker has sent meanwhile makes room, never the other way.
				if err != nil && room || i > 1000 {
					t.Fatalf("message %d: %v, with room %v", i, err, room)
				}
			}
		})
	}
}
