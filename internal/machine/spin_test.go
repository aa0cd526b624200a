package machine

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestPatience(t *testing.T) {
	var p patience
	looksIn := func(n int) (k int) { // of n exchanges that all fail
		for range n {
			if p.turns() > 0 {
				k++
				p.learn(false)
			}
		}
		return k
	}
	if k := looksIn(3); k != 3 {
		t.Errorf("looked %d times of the first 3", k)
	}
	if k := looksIn(10000); k < 10 || k > 30 {
		t.Errorf("in vain: looked %d times of 10000", k)
	}
	for p.turns() == 0 {
	}
	p.learn(true)
	for i := range 10 {
		if p.turns() != looks {
			t.Fatalf("success %d: does not look", i)
		}
		p.learn(true)
		if i%3 == 2 { // now and then in vain
			p.learn(false)
		}
	}
}

// TestRest lets stubs sleep before they are answered.
func TestRest(t *testing.T) {
	_, th := start(t, loop...)
	for i := range 2000 {
		if tr := th.Resume(); tr.Kind != TrapSyscall {
			t.Fatalf("%d: %v", i, tr.Kind)
		}
		if i%3 > 0 {
			th.Rest()
		}
		if i%5 == 0 {
			if _, err := th.Do1(unix.SYS_GETPPID); err != nil {
				t.Fatal(err)
			}
		}
	}
}
