package lane

import (
	"math/rand"
	"testing"
)

// Random allocation against a plain model: no two parts overlap, nothing is
// lost, and what fits is found.
func TestArenaAgainstModel(t *testing.T) {
	for _, units := range []int{1, 3, 63, 64, 65, 130, 256} {
		rnd := rand.New(rand.NewSource(int64(units)))
		a := newArena(1<<12, units*arenaUnit)
		used := make([]bool, units)
		type part struct{ off, n int }
		var parts []part
		for range 5000 {
			if rnd.Intn(2) == 0 && len(parts) > 0 {
				k := rnd.Intn(len(parts))
				p := parts[k]
				parts[k] = parts[len(parts)-1]
				parts = parts[:len(parts)-1]
				a.free(p.off, p.n)
				for i := range (p.n + arenaUnit - 1) / arenaUnit {
					used[(p.off-(1<<12))/arenaUnit+i] = false
				}
				continue
			}
			n := 1 + rnd.Intn(arenaUnit*(1+rnd.Intn(units)))
			need := (n + arenaUnit - 1) / arenaUnit
			run, fits := 0, false
			for _, u := range used {
				if run++; u {
					run = 0
				}
				fits = fits || run >= need
			}
			off, ok := a.alloc(n)
			if ok != fits {
				t.Fatalf("%d units: %d bytes: found %v, there %v", units, n, ok, fits)
			}
			if !ok {
				continue
			}
			for i := range need {
				at := (off-(1<<12))/arenaUnit + i
				if used[at] {
					t.Fatalf("unit %d given out twice", at)
				}
				used[at] = true
			}
			parts = append(parts, part{off, n})
		}
		if a.idle() != (len(parts) == 0) {
			t.Error("idle is wrong")
		}
		for _, p := range parts {
			a.free(p.off, p.n)
		}
		if !a.idle() {
			t.Errorf("%d units: not idle after all is freed", units)
		}
	}
}

// What does not fit waits its turn, cancellably; Trim gives the pages back.
func TestTrimGivesMemoryBack(t *testing.T) {
	a, b, err := PairShared(Config{Arena: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b.Handle(hangOrNot, ServeOptions{})
	rep := Message{Bulk: make([]byte, 3<<20)}
	big := make([]byte, 3<<20)
	if err := a.Call(t.Context(), &Message{Bulk: big}, &rep); err != nil {
		t.Fatal(err)
	}
	c := &a.ring.Load().out
	resident := func() (n int) {
		start := c.r.lay.half[0] + c.r.lay.data + c.r.lay.slots*slotRoom
		vec := make([]byte, c.r.lay.arena/pageSize)
		if err := mincore(c.r.shm[start:start+c.r.lay.arena], vec); err != nil {
			t.Fatal(err)
		}
		for _, v := range vec {
			n += int(v & 1)
		}
		return n
	}
	if n := resident(); n < 1000 {
		t.Fatalf("only %d pages are resident after 6 MiB", n)
	}
	if err := a.Trim(); err != nil {
		t.Fatal(err)
	}
	if n := resident(); n != 0 {
		t.Errorf("%d pages stay", n)
	}
	if err := a.Call(t.Context(), &Message{Bulk: big}, &rep); err != nil {
		t.Fatal(err)
	}
}
