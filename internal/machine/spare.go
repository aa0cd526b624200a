package machine

import (
	"fmt"
	"sync"
)

// spare keeps one empty process ready, so that a program that replaces another
// one need not wait for a fork. There is none before the second program: many
// machines run only one.
type spare struct {
	mu     sync.Mutex // a leaf
	ready  *Thread
	used   bool // a program was asked for before
	making bool
	closed bool
	work   sync.WaitGroup
}

// NewThread returns the only thread of a new, empty address space, stopped. All
// its registers are zero but what the processor wants. Anyone may call it.
func (m *Machine) NewThread() (*Thread, error) {
	t := m.spare.take()
	if t != nil {
		if _, ended := t.space.Ended(); ended {
			t.space.Free()
			t = nil
		}
	}
	if t == nil {
		var err error
		if t, err = m.forkZygote(); err != nil {
			return nil, err
		}
	}
	m.refill()
	t.Regs = Regs{CSGSFS: t.Regs.CSGSFS, EFLAGS: 0x202}
	t.SetDirty()
	return t, nil
}

func (m *Machine) forkZygote() (*Thread, error) {
	m.spawn.Lock()
	defer m.spawn.Unlock()
	t, err := m.zygote.fork()
	if err != nil {
		return nil, fmt.Errorf("machine: a new process: %w", err)
	}
	return t, nil
}

// take returns the process that is ready, nil when there is none.
func (s *spare) take() *Thread {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.ready
	s.ready = nil
	return t
}

// refill makes the next one in the background, while the program that took the
// last one starts. It need not succeed.
func (m *Machine) refill() {
	s := &m.spare
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.used || s.making || s.ready != nil || s.closed || mayGrow() != nil {
		s.used = true
		return
	}
	s.making = true
	s.work.Go(func() {
		t, err := m.forkZygote()
		if err == nil {
			t.arriving = t.arrive() != stateTrap
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.making = false
		if err == nil {
			s.ready = t
		}
	})
}

// close ends the process that waits, if there is one.
func (s *spare) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.work.Wait()
	if t := s.take(); t != nil {
		t.space.Kill()
		t.space.Free()
	}
}
