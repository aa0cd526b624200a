package machine

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCapacity: threads and processes count while they are there, and not when
// they are gone.
func TestCapacity(t *testing.T) {
	if c := capacity(); c < 16 || c > mostThreads {
		t.Fatalf("capacity %d", c)
	}
	m, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := guestThreads.Load()
	th, err := m.NewThread()
	if err != nil {
		t.Fatal(err)
	}
	second, err := th.NewThread(0, false)
	if err != nil {
		t.Fatal(err)
	}
	child, err := th.Fork()
	if err != nil {
		t.Fatal(err)
	}
	if n := guestThreads.Load(); n != before+3 {
		t.Errorf("%d more threads count, want 3", n-before)
	}

	guestThreads.Add(capacity())
	if _, err := th.Fork(); !errors.Is(err, ErrCapacity) || !errors.Is(err, unix.EAGAIN) {
		t.Errorf("Fork at the limit: %v", err)
	}
	if _, err := th.NewThread(0, false); !errors.Is(err, ErrCapacity) {
		t.Errorf("NewThread at the limit: %v", err)
	}
	program, err := m.NewThread()
	if err != nil {
		t.Errorf("a program in place of another one, at the limit: %v", err)
	}
	guestThreads.Add(-capacity())

	second.Exit()
	for _, th := range []*Thread{th, child, program} {
		th.Exit()
		th.Space().Free()
	}
	if n := guestThreads.Load(); n != before {
		t.Errorf("%d threads count that are gone", n-before)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if n := guestThreads.Load(); n != before-1 {
		t.Errorf("with the machine %d threads went, want 1", before-n)
	}
}
