package lane

import "sync/atomic"

// The life of a slot. A slot is one request's place in a ring; its state word
// holds a generation (upper 56 bits) and a state (lower 8), so that every change
// is a compare-and-swap that can only strike the request it means.
//
//	          post             claim              complete
//	FREE(g) ───────► POSTED(g) ───────► CLAIMED(g) ───────► DONE(g)
//	 ▲                  │ withdraw         │ abandon           │
//	 │                  ▼                  ▼                   │ release
//	 │             WITHDRAWN(g)       ABANDONED(g)             │
//	 │                  │ settle           │ settle            │
//	 │                  ▼                  ▼                   │
//	 │               SETTLED(g)  ◄──────────                   │
//	 └──── release ─────┴──────────────────────────────────────┘   FREE(g+1)
//
// The requester does post, withdraw, abandon and release; the server does claim,
// complete and settle. Where both could act, one compare-and-swap decides:
//
//   - withdraw against claim: what the requester withdrew, the server never
//     starts (C8); the outcome "cancelled, nothing happened" is exact.
//   - abandon against complete: either the result is the requester's (C3), or
//     the server knows that nobody will take it and undoes it (C15).
//   - release only after DONE or SETTLED: no generation is used again before both
//     sides have let go of it (C6), so a late cancel, reply or claim carries an
//     old generation and fails.
//
// The cancel word stands beside it: generation and cause. Only the requester
// writes it, only while the slot is its own (POSTED or CLAIMED). A cancel
// therefore exists from the moment it is stored, whether or not the server has
// seen the request yet; it cannot overtake it, be lost before it is registered,
// queue behind other work, or strike a successor (C5, C7, C11).
//
// slot_model_test.go walks every interleaving of these steps.
const (
	slotFree = iota
	slotPosted
	slotClaimed
	slotDone
	slotWithdrawn
	slotAbandoned
	slotSettled
)

func slotWord(gen uint64, state uint8) uint64 { return gen<<8 | uint64(state) }
func wordGen(w uint64) uint64                 { return w >> 8 }
func wordLow(w uint64) uint8                  { return uint8(w) }

// slotPost publishes a request in a slot that the requester holds free.
func slotPost(s *atomic.Uint64, gen uint64) { s.Store(slotWord(gen, slotPosted)) }

func slotClaim(s *atomic.Uint64, gen uint64) bool {
	return s.CompareAndSwap(slotWord(gen, slotPosted), slotWord(gen, slotClaimed))
}

func slotWithdraw(s *atomic.Uint64, gen uint64) bool {
	return s.CompareAndSwap(slotWord(gen, slotPosted), slotWord(gen, slotWithdrawn))
}

func slotComplete(s *atomic.Uint64, gen uint64) bool {
	return s.CompareAndSwap(slotWord(gen, slotClaimed), slotWord(gen, slotDone))
}

func slotAbandon(s *atomic.Uint64, gen uint64) bool {
	return s.CompareAndSwap(slotWord(gen, slotClaimed), slotWord(gen, slotAbandoned))
}

// slotSettle is the server's word that it holds nothing of the request: it was
// withdrawn, abandoned, or a note that has been copied.
func slotSettle(s *atomic.Uint64, gen uint64) bool {
	settled := slotWord(gen, slotSettled)
	return s.CompareAndSwap(slotWord(gen, slotWithdrawn), settled) ||
		s.CompareAndSwap(slotWord(gen, slotAbandoned), settled)
}

// slotNoteDone settles a claimed note.
func slotNoteDone(s *atomic.Uint64, gen uint64) bool {
	return s.CompareAndSwap(slotWord(gen, slotClaimed), slotWord(gen, slotSettled))
}

// slotRelease makes the slot free under the next generation, which it returns.
func slotRelease(s *atomic.Uint64, gen uint64) uint64 {
	s.Store(slotWord(gen+1, slotFree))
	return gen + 1
}

// slotCancel stores a cause for the running request.
func slotCancel(c *atomic.Uint64, gen uint64, code uint8) { c.Store(slotWord(gen, code)) }

// slotCancelled returns the cause stored for gen, or codeNone.
func slotCancelled(c *atomic.Uint64, gen uint64) uint8 {
	if w := c.Load(); wordGen(w) == gen {
		return wordLow(w)
	}
	return codeNone
}
