package lane

import "math/bits"

// arena gives out runs of units of a half's data area. It lives in the
// requester's own memory, where the server cannot change it. Not for concurrent
// use.
type arena struct {
	used  []uint64 // a bit per unit
	units int
	base  int // offset of unit 0 in the data area
}

func newArena(base, size int) arena {
	units := size / arenaUnit
	a := arena{used: make([]uint64, (units+63)/64), units: units, base: base}
	for i := units; i < len(a.used)*64; i++ {
		a.used[i/64] |= 1 << (i % 64)
	}
	return a
}

// alloc returns the offset of n free bytes, rounded up to units.
func (a *arena) alloc(n int) (off int, ok bool) {
	need := (n + arenaUnit - 1) / arenaUnit
	at, ok := a.find(need)
	if !ok {
		return 0, false
	}
	a.set(at, need, true)
	return a.base + at*arenaUnit, true
}

// find returns the first run of need free units. The lowest place
// is preferred, so that a lane touches no more memory than its busiest moment.
func (a *arena) find(need int) (int, bool) {
	run := 0
	for i := 0; i < a.units; {
		w := a.used[i/64] >> (i % 64)
		if w == 0 { // free up to the word's end
			step := 64 - i%64
			run += step
			i += step
		} else if skip := bits.TrailingZeros64(w); skip > 0 {
			run += skip
			i += skip
		}
		if run >= need {
			return i - run, i-run+need <= a.units
		}
		if i < a.units && a.used[i/64]>>(i%64)&1 != 0 {
			run = 0
			i += bits.TrailingZeros64(^(a.used[i/64] >> (i % 64)))
		}
	}
	return 0, false
}

func (a *arena) free(off, n int) {
	a.set((off-a.base)/arenaUnit, (n+arenaUnit-1)/arenaUnit, false)
}

func (a *arena) set(at, n int, used bool) {
	for i := at; i < at+n; {
		span := min(64-i%64, at+n-i)
		mask := (^uint64(0) >> (64 - span)) << (i % 64)
		if used {
			a.used[i/64] |= mask
		} else {
			a.used[i/64] &^= mask
		}
		i += span
	}
}

// idle reports whether nothing is given out.
func (a *arena) idle() bool {
	for i, w := range a.used {
		if i < len(a.used)-1 || a.units%64 == 0 {
			if w != 0 {
				return false
			}
		} else if w != ^uint64(0)<<(a.units%64) {
			return false
		}
	}
	return true
}
