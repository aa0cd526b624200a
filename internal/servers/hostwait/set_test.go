package hostwait_test

import (
	"os"
	"runtime"
	"testing"

	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/internal/servers/hostwait"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// end is one side of a connection, and what its waiters heard.
type end struct {
	hostwait.Member
	fd    int
	heard chan vfs.Events
}

func (e *end) waiter(mask vfs.Events) *vfs.Waiter {
	return &vfs.Waiter{Mask: mask, Wake: func(_ *vfs.Waiter, got vfs.Events) { e.heard <- got }}
}

// none fails if something was heard by now.
func (e *end) none(t *testing.T, set *hostwait.Set, when string) {
	t.Helper()
	set.CatchUp()
	select {
	case got := <-e.heard:
		t.Errorf("%s: heard %#x", when, got)
	default:
	}
}

func pair(t *testing.T, set *hostwait.Set) (a, b *end) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := [2]*end{}
	for i, fd := range fds {
		e := &end{fd: fd, heard: make(chan vfs.Events, 100)}
		e.Init(set, fd)
		ends[i] = e
		t.Cleanup(func() { e.Close(); unix.Close(fd) })
	}
	return ends[0], ends[1]
}

// TestSetEdges: waiters hear of what comes after they watch, of their side only, and
// once.
func TestSetEdges(t *testing.T) {
	var set hostwait.Set
	a, b := pair(t, &set)
	unix.Write(b.fd, []byte("before"))
	in, out := a.waiter(vfs.EventsIn), a.waiter(vfs.EventsOut)
	a.Watch(in)
	a.none(t, &set, "what was there before")
	unix.Write(b.fd, []byte("x"))
	if got := <-a.heard; got&vfs.EventIn == 0 {
		t.Errorf("heard %#x", got)
	}
	a.none(t, &set, "told twice")
	other := a.waiter(vfs.EventsIn)
	a.Watch(other)
	a.none(t, &set, "another waiter is no news")
	a.Unwatch(other)

	// Fill what goes out, and have it drained: who waits for what comes hears nothing.
	a.Watch(out)
	a.Unwatch(in)
	for {
		if _, err := unix.Write(a.fd, make([]byte, 4096)); err != nil {
			break
		}
	}
	a.none(t, &set, "full")
	unix.Write(b.fd, []byte("x"))
	a.none(t, &set, "a waiter for room heard of what came")
	buf := make([]byte, 1<<20)
	for {
		if n, err := unix.Read(b.fd, buf); err != nil || n == 0 {
			break
		}
	}
	if got := <-a.heard; got&vfs.EventOut == 0 {
		t.Errorf("heard %#x", got)
	}
	a.Unwatch(out)
	for len(a.heard) > 0 { // every read of b's made room, and may have told so
		<-a.heard
	}

	// What happens while nobody waits is no news later.
	unix.Write(b.fd, []byte("y"))
	set.CatchUp()
	a.Watch(in)
	a.none(t, &set, "what came unwatched")
	unix.Shutdown(b.fd, unix.SHUT_RDWR)
	if got := <-a.heard; got&vfs.EventHup == 0 {
		t.Errorf("heard %#x", got)
	}
	a.Unwatch(in)
}

// TestSetMany: however many are watched, it takes two epolls and two goroutines, and
// none when all are gone.
func TestSetMany(t *testing.T) {
	descriptors := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	var set hostwait.Set
	first, second := pair(t, &set) // has Go's poller begin
	first.Watch(first.waiter(vfs.EventsIn | vfs.EventsOut))
	before, goroutines := descriptors(), runtime.NumGoroutine()
	var all []*end
	for range 100 {
		a, b := pair(t, &set)
		a.Watch(a.waiter(vfs.EventsIn | vfs.EventsOut))
		b.Watch(b.waiter(vfs.EventsIn))
		all = append(all, a, b)
	}
	if n := descriptors(); n != before+200 {
		t.Errorf("%d descriptors for 200 sockets", n-before)
	}
	// There may be fewer: a test's goroutine ends a little after the test.
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines more", n-goroutines)
	}
	for i, e := range all {
		unix.Write(e.fd, []byte("x"))
		if got := <-all[i^1].heard; got&vfs.EventIn == 0 {
			t.Errorf("%d heard %#x", i, got)
		}
	}
	for _, e := range append(all, first, second) {
		e.Close()
	}
	// Close has waited for them, but a goroutine is counted until it has wholly ended.
	faulttest.Eventually(t, "the goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines-2 })
	if n := descriptors(); n != before+200-2 {
		t.Errorf("%d descriptors, %d before", n, before+200-2)
	}
}
