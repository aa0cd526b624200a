package lane

import (
	"fmt"
	"testing"
)

// The model of the bells: a client that posts requests and rings when asked to,
// and a server whose leader and follower sleep when there is nothing to do
// (warm.go). Every interleaving of their accesses to shared memory is walked. No
// request may lie in the ring with nobody awake, although the leader may be held
// up for ever in a handler.

const bellPosts = 3

type bellState struct {
	tail, taken int8 // posted, and taken out
	sleep       bool
	mode        int8    // 1 leader, 2 follower
	seq         [3]int8 // by mode

	cpc, cmode int8 // client

	lpc, lseq, held int8 // leader; held: a request that it runs itself
	fpc, fseq       int8 // follower
	lasleep         bool
	fasleep         bool
	stuck           bool // the leader's handler never returns
}

func (s bellState) client() (next []bellState) {
	n := s
	switch s.cpc {
	case 0: // post
		if s.tail == bellPosts {
			return nil
		}
		n.tail++
		n.cpc = 1
	case 1: // exchange sleep
		n.cpc = 0
		if s.sleep {
			n.sleep = false
			n.cpc = 2
		}
	case 2:
		n.cmode = s.mode
		n.cpc = 3
	case 3:
		n.seq[s.cmode]++
		n.cpc = 4
	case 4: // wake
		if s.cmode == 1 {
			n.lasleep = false
		} else {
			n.fasleep = false
		}
		n.cpc = 0
	}
	return []bellState{n}
}

// take takes what is posted; the leader may keep the last to itself.
func (s *bellState) take(hold bool) (progress bool) {
	if s.tail == s.taken {
		return false
	}
	s.taken = s.tail
	if hold {
		s.held = 1
	}
	return true
}

func (s bellState) leader() (next []bellState) {
	if s.lasleep || s.stuck {
		return nil
	}
	n := s
	switch s.lpc {
	case 0:
		n.sleep = false
		n.lpc = 1
	case 1:
		n.lpc = 2
		if n.take(false) { // handed to a goroutine
			n.lpc = 0
			next = append(next, n)
			n = s
			n.take(true) // or run here
			n.lpc = 2
		}
	case 2: // the count of bells is read before anything else
		n.lseq = s.seq[1]
		n.lpc = 3
	case 3:
		n.mode = 1
		if s.held > 0 {
			n.mode = 2
		}
		n.lpc = 4
	case 4:
		n.sleep = true
		n.lpc = 5
	case 5: // look once more
		switch {
		case s.tail != s.taken:
			n.held = 0 // to a goroutine
			n.lpc = 0
		case s.held > 0:
			n.lpc = 7
		default:
			n.lpc = 6
		}
	case 6: // futex: sleep if the count is the same
		n.lpc = 0
		if s.seq[1] == s.lseq {
			n.lasleep = true
		}
	case 7: // run the handler
		stuck := s
		stuck.stuck = true
		next = append(next, stuck)
		n.held = 0
		n.lpc = 0
	}
	return append(next, n)
}

func (s bellState) follower() []bellState {
	if s.fasleep {
		return nil
	}
	n := s
	switch s.fpc {
	case 0:
		n.fseq = s.seq[2]
		n.fpc = 1
	case 1:
		n.sleep = false
		n.fpc = 2
	case 2:
		n.take(false)
		n.fpc = 3
	case 3:
		n.sleep = true
		n.fpc = 4
	case 4:
		n.fpc = 5
		if s.tail != s.taken {
			n.fpc = 0
		}
	case 5:
		n.fpc = 0
		if s.seq[2] == s.fseq {
			n.fasleep = true
		}
	}
	return []bellState{n}
}

func TestC07_BellsEveryInterleaving(t *testing.T) {
	seen := map[bellState]bool{}
	todo := []bellState{{mode: 2}, {mode: 1, sleep: true}}
	ends := 0
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[s] {
			continue
		}
		seen[s] = true
		next := append(append(s.client(), s.leader()...), s.follower()...)
		if len(next) == 0 {
			ends++
			if s.taken != bellPosts {
				t.Fatalf("a request is lost: %s", fmt.Sprintf("%+v", s))
			}
		}
		todo = append(todo, next...)
	}
	if ends == 0 {
		t.Fatal("the model never comes to rest")
	}
	t.Logf("%d states, %d at rest", len(seen), ends)
}
