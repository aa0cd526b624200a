package inotify_test

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/servers/inotify"
	"github.com/hati-os/hati/vfs"
)

func readAll(t *testing.T, i *inotify.Instance) string {
	t.Helper()
	b := make([]byte, 1<<20)
	n, err := i.Read(ctx, b, 0)
	if err != nil && err != syscall.EAGAIN {
		t.Fatal(err)
	}
	return decode(b[:n])
}

func TestOverflow(t *testing.T) {
	var r inotify.Registry
	i := r.New()
	defer i.Close()
	dir := new(dirNode)
	if _, err := i.Add(dir, unix.IN_CREATE); err != nil {
		t.Fatal(err)
	}
	const more = 10
	for k := range inotify.MaxQueued + more {
		r.Notify(nil, dir, fmt.Sprint(k), unix.IN_CREATE, 0)
	}
	got := strings.Split(readAll(t, i), "\n")[1:]
	want := `  wd -1 mask 0x4000 cookie 0 name ""`
	if len(got) != inotify.MaxQueued+1 || got[len(got)-1] != want {
		t.Errorf("%d events, the last is %s", len(got), got[len(got)-1])
	}
	r.Notify(nil, dir, "again", unix.IN_CREATE, 0)
	if got := readAll(t, i); !strings.Contains(got, "again") || strings.Contains(got, "0x4000") {
		t.Errorf("after the overflow was read: %s", got)
	}
}

func TestTwoInstances(t *testing.T) {
	var r inotify.Registry
	a, b := r.New(), r.New()
	n, parent := new(node), new(dirNode)
	a.Add(n, unix.IN_MODIFY)
	b.Add(parent, unix.IN_MODIFY|unix.IN_OPEN)
	r.Notify(n, parent, "n", unix.IN_MODIFY, 0)
	r.Notify(n, parent, "n", unix.IN_OPEN, 0)
	a.Close()
	r.Notify(n, parent, "n", unix.IN_MODIFY, 0)
	name := `name "n` + strings.Repeat(`\x00`, 15) + `"`
	want := "\n  wd 1 mask 0x2 cookie 0 " + name + "\n  wd 1 mask 0x20 cookie 0 " + name + "\n  wd 1 mask 0x2 cookie 0 " + name
	if got := readAll(t, b); got != want {
		t.Error(got)
	}
	if _, err := a.Add(n, unix.IN_OPEN); err != syscall.EBADF {
		t.Errorf("add to a closed instance: %v", err)
	}
	b.Close()
	r.Watched(func(n vfs.Node) bool {
		t.Errorf("%v is still watched", n)
		return true
	})
}

func TestUnmount(t *testing.T) {
	var r inotify.Registry
	i := r.New()
	defer i.Close()
	dir := new(dirNode)
	i.Add(dir, unix.IN_OPEN)
	r.Unmount(dir)
	if got := readAll(t, i); got != "\n  wd 1 mask 0x2000 cookie 0 name \"\"\n  wd 1 mask 0x8000 cookie 0 name \"\"" {
		t.Error(got)
	}
	if wd, err := i.Add(dir, unix.IN_OPEN); wd != 2 || err != nil {
		t.Errorf("a new watch: %d, %v", wd, err)
	}
	i.Watches(func(wd int32, n vfs.Node, mask uint32) bool {
		if wd != 2 || n != vfs.Node(dir) || mask != unix.IN_OPEN {
			t.Errorf("watch %d of %v for %#x", wd, n, mask)
		}
		return true
	})
}

// TestOneshotOnce: of many events at the same time a one-shot watch reports one,
// and ends once.
func TestOneshotOnce(t *testing.T) {
	var r inotify.Registry
	i := r.New()
	defer i.Close()
	n := new(node)
	for range 100 {
		if _, err := i.Add(n, unix.IN_OPEN|unix.IN_DELETE_SELF|unix.IN_ONESHOT); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { r.Notify(n, nil, "", unix.IN_OPEN, 0) })
		}
		wg.Go(func() { r.Delete(n) })
		wg.Wait()
		got := readAll(t, i)
		if c := strings.Count(got, "0x20 ") + strings.Count(got, "0x400 "); c != 1 || strings.Count(got, "0x8000") != 1 {
			t.Fatal(got)
		}
	}
}

func TestNotifyWakes(t *testing.T) {
	var r inotify.Registry
	i := r.New()
	defer i.Close()
	n := new(node)
	i.Add(n, unix.IN_OPEN)
	woken := 0
	w := &vfs.Waiter{Mask: vfs.EventIn, Wake: func(*vfs.Waiter, vfs.Events) { woken++ }}
	i.Watch(w)
	r.Notify(n, nil, "", unix.IN_OPEN, 0)
	r.Notify(n, nil, "", unix.IN_OPEN, 0) // merged
	r.Notify(n, nil, "", unix.IN_CLOSE_WRITE, 0)
	i.Unwatch(w)
	if woken != 1 {
		t.Errorf("woken %d times", woken)
	}
}

func BenchmarkNotifyUnwatched(b *testing.B) {
	var r inotify.Registry
	n, parent := new(node), new(dirNode)
	b.ReportAllocs()
	for b.Loop() {
		r.Notify(n, parent, "name", unix.IN_ACCESS, 0)
	}
}

// BenchmarkNotifyElsewhere is of a file that nobody watches while others are.
func BenchmarkNotifyElsewhere(b *testing.B) {
	var r inotify.Registry
	i := r.New()
	defer i.Close()
	i.Add(new(node), unix.IN_ALL_EVENTS)
	n, parent := new(node), new(dirNode)
	b.ReportAllocs()
	for b.Loop() {
		r.Notify(n, parent, "name", unix.IN_ACCESS, 0)
	}
}

func BenchmarkNotifyRead(b *testing.B) {
	var r inotify.Registry
	i := r.New()
	defer i.Close()
	dir := new(dirNode)
	i.Add(dir, unix.IN_ALL_EVENTS)
	n := new(node)
	p := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		r.Notify(n, dir, "name", unix.IN_MODIFY, 0)
		if n, err := i.Read(ctx, p, 0); n != 32 || err != nil {
			b.Fatal(n, err)
		}
	}
}
