package lane

import (
	"fmt"
	"sync/atomic"
	"testing"
)

// The model: one slot, a requester that makes several calls in it, each perhaps
// cancelled at any moment, and a server that takes ring entries, works and
// answers. Every interleaving of their steps is walked, each step being one
// access to shared memory made by the functions of slot.go themselves.
//
// What must hold in every state, and is checked after every step:
//   - a call ends once; cancelled means that the server never has an effect for
//     it; done means that it had exactly one;
//   - in doubt only if the call was abandoned while claimed; then the server
//     undoes its effect;
//   - a cancel is never seen by another call than its own;
//   - a generation is used again only after both sides let go of it.
// And in every final state: all calls have ended, the slot is free, nothing that
// was abandoned is still in effect.

const modelCalls = 2

type modelState struct {
	// Shared memory.
	slot, cancel uint64
	ring         [modelCalls]uint64
	tail         int

	// Requester.
	rpc     int8 // 0 idle 1 post 2 publish 3 waiting 4 withdraw 5 tell 6 abandon 7 orphaned
	call    int8
	gen     uint64
	told    bool
	outcome [modelCalls]int8 // 0 none 1 done 2 cancelled 3 doubt 4 acknowledged cancel

	// Server.
	spc     int8 // 0 take 1 claim 2 settle withdrawn 3 work 4 complete 5 settle abandoned
	head    int
	sgen    uint64
	scall   int8
	acked   bool             // the answer is "nothing happened"
	reply   [modelCalls]bool // what lies in the reply: acked or not
	effects [modelCalls]int8
	seen    [modelCalls]bool
}

const (
	mDone = 1 + iota
	mCancelled
	mDoubt
	mAcked
)

// memory puts the state's words where the slot functions can work on them.
func (s *modelState) memory(f func(slot, cancel *atomic.Uint64)) {
	var slot, cancel atomic.Uint64
	slot.Store(s.slot)
	cancel.Store(s.cancel)
	f(&slot, &cancel)
	s.slot, s.cancel = slot.Load(), cancel.Load()
}

// requester returns the states that a step of the requester can lead to. It may
// decide to cancel whenever it waits.
func (s modelState) requester() (next []modelState) {
	step := func(f func(n *modelState, slot, cancel *atomic.Uint64)) {
		n := s
		n.memory(func(slot, cancel *atomic.Uint64) { f(&n, slot, cancel) })
		next = append(next, n)
	}
	done := slotWord(s.gen, slotDone)
	switch s.rpc {
	case 0:
		if s.call < modelCalls && s.slot == slotWord(s.gen, slotFree) {
			step(func(n *modelState, slot, _ *atomic.Uint64) { slotPost(slot, n.gen); n.rpc = 1 })
		}
	case 1:
		step(func(n *modelState, _, _ *atomic.Uint64) { n.ring[n.call] = n.gen; n.rpc = 2 })
	case 2:
		step(func(n *modelState, _, _ *atomic.Uint64) { n.tail++; n.rpc = 3 })
	case 3:
		if s.slot == done {
			step(func(n *modelState, slot, _ *atomic.Uint64) { n.take(slot) })
		}
		if !s.told { // the ctx may end now
			step(func(n *modelState, _, _ *atomic.Uint64) { n.rpc = 4 })
		} else { // or the grace time
			step(func(n *modelState, _, _ *atomic.Uint64) { n.rpc = 6 })
		}
	case 4:
		step(func(n *modelState, slot, _ *atomic.Uint64) {
			if slotWithdraw(slot, n.gen) {
				n.end(mCancelled)
				n.rpc = 7
			} else {
				n.rpc = 5
			}
		})
	case 5:
		step(func(n *modelState, _, cancel *atomic.Uint64) {
			slotCancel(cancel, n.gen, codeInterrupted)
			n.told = true
			n.rpc = 3
		})
	case 6:
		step(func(n *modelState, slot, _ *atomic.Uint64) {
			if slotAbandon(slot, n.gen) {
				n.end(mDoubt)
				n.rpc = 7
			} else {
				n.rpc = 3
			}
		})
	case 7:
		if s.slot == slotWord(s.gen, slotSettled) {
			step(func(n *modelState, slot, _ *atomic.Uint64) { n.release(slot) })
		}
	}
	return next
}

func (s *modelState) end(how int8) {
	if s.outcome[s.call] != 0 {
		panic("a call ended twice")
	}
	s.outcome[s.call] = how
}

func (s *modelState) take(slot *atomic.Uint64) {
	if s.reply[s.call] {
		s.end(mAcked)
	} else {
		s.end(mDone)
	}
	s.release(slot)
}

func (s *modelState) release(slot *atomic.Uint64) {
	s.gen = slotRelease(slot, s.gen)
	s.call++
	s.told = false
	s.rpc = 0
}

// server returns the states that a step of the server can lead to. It may heed
// a cancel or ignore it.
func (s modelState) server() (next []modelState) {
	step := func(f func(n *modelState, slot, cancel *atomic.Uint64)) {
		n := s
		n.memory(func(slot, cancel *atomic.Uint64) { f(&n, slot, cancel) })
		next = append(next, n)
	}
	switch s.spc {
	case 0:
		if s.head < s.tail {
			step(func(n *modelState, _, _ *atomic.Uint64) {
				n.sgen, n.scall, n.acked = n.ring[n.head], int8(n.head), false
				n.head++
				n.spc = 1
			})
		}
	case 1:
		step(func(n *modelState, slot, _ *atomic.Uint64) {
			if slotClaim(slot, n.sgen) {
				n.spc = 3
			} else {
				n.spc = 2
			}
		})
	case 2:
		step(func(n *modelState, slot, _ *atomic.Uint64) {
			if !slotSettle(slot, n.sgen) {
				panic("a posted slot was neither claimed nor withdrawn")
			}
			n.spc = 0
		})
	case 3:
		step(func(n *modelState, _, cancel *atomic.Uint64) { // look for a cancel, heed it
			if slotCancelled(cancel, n.sgen) != codeNone {
				n.seen[n.scall] = true
				n.acked = true
				n.reply[n.scall] = true
				n.spc = 4
			}
		})
		step(func(n *modelState, _, _ *atomic.Uint64) { n.effects[n.scall]++; n.spc = 4 })
	case 4:
		step(func(n *modelState, slot, _ *atomic.Uint64) {
			if slotComplete(slot, n.sgen) {
				n.spc = 0
				return
			}
			if !n.acked {
				n.effects[n.scall]-- // undone
			}
			n.spc = 5
		})
	case 5:
		step(func(n *modelState, slot, _ *atomic.Uint64) {
			if !slotSettle(slot, n.sgen) {
				panic("an abandoned slot could not be settled")
			}
			n.spc = 0
		})
	}
	return next
}

func (s *modelState) check() error {
	for i, o := range s.outcome {
		switch {
		case o == mDone && s.effects[i] != 1:
			return fmt.Errorf("call %d is done with %d effects", i, s.effects[i])
		case (o == mCancelled || o == mAcked) && s.effects[i] != 0:
			return fmt.Errorf("call %d was cancelled and had an effect", i)
		case s.effects[i] > 1 || s.effects[i] < 0:
			return fmt.Errorf("call %d had %d effects", i, s.effects[i])
		case s.seen[i] && !(int8(i) < s.call || s.told):
			return fmt.Errorf("call %d saw a cancel that was not its own", i)
		}
	}
	if s.spc >= 3 && wordGen(s.slot) != s.sgen {
		return fmt.Errorf("generation %d is in use while the server works on %d", wordGen(s.slot), s.sgen)
	}
	return nil
}

func TestC06_SlotStatesEveryInterleaving(t *testing.T) {
	seen := map[modelState]bool{}
	finals := map[[modelCalls]int8]bool{}
	todo := []modelState{{gen: 1, slot: slotWord(1, slotFree)}}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[s] {
			continue
		}
		seen[s] = true
		if err := s.check(); err != nil {
			t.Fatalf("%v in %+v", err, s)
		}
		next := append(s.requester(), s.server()...)
		if len(next) == 0 {
			if s.call != modelCalls || wordLow(s.slot) != slotFree {
				t.Fatalf("stuck in %+v", s)
			}
			for i, o := range s.outcome {
				if o == mDoubt && s.effects[i] != 0 {
					t.Fatalf("an abandoned call's effect stays: %+v", s)
				}
			}
			finals[s.outcome] = true
		}
		todo = append(todo, next...)
	}
	if len(finals) != 16 {
		t.Fatalf("%d combinations of outcomes, not 16: the model does not cover them all", len(finals))
	}
	t.Logf("%d states", len(seen))
}
