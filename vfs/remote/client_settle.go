package remote

import (
	"context"
	"sync"

	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// settler tells the server of files that were closed and nodes that are
// forgotten. Nobody waits for that, except that a later open, removal or rename
// comes after the closes before it.
type settler struct {
	session *session
	mu      sync.Mutex // a leaf
	files   []uint64
	nodes   []wire.Count
	loans   []uint64
	running bool
	closed  chan struct{} // closed when the server has closed all of files; nil if none

	unordered bool // nobody waits for that
}

const settleBatch = 256

func (s *settler) close(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files = append(s.files, id)
	if s.closed == nil {
		s.closed = make(chan struct{})
	}
	s.startLocked()
}

func (s *settler) forget(c wire.Count) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = append(s.nodes, c)
	s.startLocked()
}

func (s *settler) returned(loan uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loans = append(s.loans, loan)
	s.startLocked()
}

func (s *settler) startLocked() {
	if !s.running {
		s.running = true
		go s.run()
	}
}

// wait waits until the closes so far have been made.
func (s *settler) wait(ctx context.Context) error {
	if s.unordered {
		return nil
	}
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed == nil {
		return nil
	}
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *settler) run() {
	ctx := context.Background() // the lane's end ends the calls
	for {
		s.mu.Lock()
		files, nodes, loans := s.files, s.nodes, s.loans
		s.files, s.nodes, s.loans = nil, nil, nil
		if len(files) == 0 && s.closed != nil {
			close(s.closed)
			s.closed = nil
		}
		if len(files)+len(nodes)+len(loans) == 0 {
			s.running = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		// What fails fails because the lane has ended, and that settles all.
		for len(files) > 0 {
			n := min(len(files), settleBatch)
			_ = s.session.call.Close(ctx, &wire.CloseRequest{Files: files[:n]}, new(wire.Empty), nil)
			files = files[n:]
		}
		for _, id := range loans {
			_ = s.session.call.Returned(ctx, &wire.ReturnedNote{Loan: id}, nil)
		}
		for len(nodes) > 0 {
			n := min(len(nodes), settleBatch)
			_ = s.session.call.Forget(ctx, &wire.ForgetNote{Nodes: nodes[:n]}, nil)
			nodes = nodes[n:]
		}
	}
}
