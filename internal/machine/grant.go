package machine

import (
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A guest process can be granted a host descriptor: its stub then makes reads,
// writes, lseek and close of one of the guest's descriptors on the host, without
// the server. What the host refuses (EAGAIN apart, and what a socket tells only
// once) goes to the server, as if there were no grant. The word in the table says
// what the stub may do; it counts for cooperative guests, while a hostile one can do
// whatever its descriptor allows for as long as its process lives.
//
// The host's number is the guest's plus [grantBase], so a close and a read of the
// same number at the same time have no more outcomes than on Linux.

// What a granted descriptor is good for.
const (
	GrantRead  = 1 // may be read
	GrantWrite = 2 // may be written
	GrantFile  = 4 // has an offset, and is never waited for

	GrantSocket = 8 // is a socket for the guest, too: sendto and recvfrom, without addresses
)

const (
	maxGrants = 4096
	grantBase = 3 // above the channel and what passes through it
)

// MaxGrants is how many of a guest's numbers, from 0 on, can be granted.
const MaxGrants = maxGrants

// grantBits are the grantCalls for a slot.
var grantBits = bitmap(grantCalls)

// raiseFileLimit lets a process have the descriptors of all grants, if it may.
func raiseFileLimit(pid int) {
	var r unix.Rlimit
	if unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &r) == nil && r.Cur < maxGrants+grantBase {
		r.Cur = min(r.Max, maxGrants+grantBase)
		_ = unix.Prlimit(pid, unix.RLIMIT_NOFILE, &r, nil)
	}
}

// UseGrants says whether the guest's numbers, for this thread, are those of its
// space. A new thread's are not.
func (t *Thread) UseGrants(on bool) {
	t.space.mu.Lock()
	defer t.space.mu.Unlock()
	t.granted = on
	t.slot.grants = 0
	if on {
		t.slot.grants = slotsBase + maxSlots*slotSize
	}
	t.setLocal()
}

// setLocal tells the stub which calls it may make without asking. space.mu is held.
func (t *Thread) setLocal() {
	t.slot.local = t.space.local
	if t.granted {
		for i, b := range grantBits {
			t.slot.local[i] |= b
		}
	}
}

// Grant gives the process a descriptor of what fd is for the guest's number n,
// and lets commit decide: when it returns true, having called [Space.Permit], it
// stays. t is stopped.
func (t *Thread) Grant(n, fd int, commit func() bool) error {
	s := t.space
	s.channel.Lock()
	defer s.channel.Unlock()
	if t.dead {
		return ErrDead
	}
	if err := s.send(fd); err != nil {
		return err
	}
	recv := t.recvCall()
	host := uint64(n + grantBase)
	calls := [3]Call{recv[0], {NR: unix.SYS_DUP2, Args: [6]uint64{GuestFD, host}}, {NR: unix.SYS_CLOSE, Args: [6]uint64{GuestFD}}}
	if err := t.Do(calls[:]); err != nil {
		return err
	}
	if r := calls[0].Ret; r < 0 {
		s.Kill() // what was sent must not be taken for something else later
		return fmt.Errorf("machine: granting a descriptor: %w", unix.Errno(-r))
	}
	if r := calls[1].Ret; r < 0 {
		return fmt.Errorf("machine: granting a descriptor: %w", unix.Errno(-r))
	}
	if !commit() {
		_, err := t.Do1(unix.SYS_CLOSE, host)
		return err
	}
	return nil
}

// Permit sets what the stubs of the space may do with number n: bits of Grant's,
// or 0. It reports whether the descriptor was there, as far as the stub says: when
// the guest closes the number, the stub takes the word away. Anyone may call it.
func (s *Space) Permit(n int, bits uint32) (was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mem == nil {
		return false
	}
	return atomic.SwapUint32(&grantTable(s.mem)[n], bits) != 0
}

// Ungrant closes the process's descriptors for numbers of which the stub may do
// nothing (any more). t is stopped.
func (t *Thread) Ungrant(numbers []int) error {
	s := t.space
	s.channel.Lock()
	defer s.channel.Unlock()
	var calls []Call
	for _, n := range numbers {
		if atomic.LoadUint32(&grantTable(s.mem)[n]) == 0 {
			calls = append(calls, Call{NR: unix.SYS_CLOSE, Args: [6]uint64{uint64(n + grantBase)}})
		}
	}
	return t.Do(calls)
}

// LastGrantSP returns the stack pointer of the guest at the last call that the stub
// has completed on a granted descriptor since the server was last asked, 0 if there
// was none. It is for t's owner.
func (t *Thread) LastGrantSP() uint64 {
	sp := atomic.LoadUint64(&t.slot.lastSP)
	if sp != 0 {
		atomic.StoreUint64(&t.slot.lastSP, 0)
	}
	return sp
}

// GrantedWait returns the call on a granted descriptor in which the thread may be
// waiting in the host, with the guest's arguments; serial tells it from others of the
// thread. Anyone may call it; the guest can make it say anything.
func (t *Thread) GrantedWait() (nr uint64, args [6]uint64, serial uint32, ok bool) {
	t.space.mu.Lock()
	defer t.space.mu.Unlock()
	if t.space.mem == nil {
		return 0, args, 0, false
	}
	s := t.slot
	if atomic.LoadUint32(&s.busy) == 0 || atomic.LoadUint32(&s.hostCall) == 0 {
		return 0, args, 0, false
	}
	serial = atomic.LoadUint32(&s.waits)
	c := &s.calls[0]
	nr = atomic.LoadUint64(&c.nr)
	for i := range 3 {
		args[i] = atomic.LoadUint64(&c.args[i])
	}
	args[0] -= grantBase
	return nr, args, serial, slices.Contains(waitingCalls, nr)
}

// waitingCalls are the grantCalls in which a thread may wait.
var waitingCalls = []uint64{unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_SENDTO, unix.SYS_RECVFROM}

// settle is a wait for threads that may be using a descriptor.
type settle struct {
	threads map[*Thread]bool
	then    func()
}

// Settle calls then when no stub of the space uses any more what was taken from
// it (Permit) before this call. That may be at once. Anyone may call it.
func (s *Space) Settle(then func()) {
	w := &settle{threads: map[*Thread]bool{}, then: then}
	var busy []*Thread
	s.mu.Lock()
	if !s.dead {
		for _, t := range s.threads {
			// First this: one that stops without seeing it was not busy any more
			// when it stopped, and is not waited for.
			t.settling.Store(true)
			if atomic.LoadUint32(&t.slot.busy) != 0 {
				w.threads[t] = true
				busy = append(busy, t)
			}
		}
	}
	if len(busy) > 0 {
		s.settles = append(s.settles, w)
	}
	s.mu.Unlock()
	if len(busy) == 0 {
		then()
	}
	for _, t := range busy {
		t.Kick()
	}
}

// settled notes that t has stopped, or is gone.
func (s *Space) settled(t *Thread) {
	t.settling.Store(false)
	var over []*settle
	s.mu.Lock()
	kept := s.settles[:0]
	for _, w := range s.settles {
		if delete(w.threads, t); len(w.threads) == 0 {
			over = append(over, w)
		} else {
			kept = append(kept, w)
		}
	}
	s.settles = kept
	s.mu.Unlock()
	for _, w := range over {
		w.then()
	}
}
