package remote

import (
	"context"
	"sync"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/netwire"
)

// netCloses tells the server of sockets that were closed: each at once, and by and by
// those for which it did not answer.
type netCloses struct {
	session *netSession
	mu      sync.Mutex    // a leaf
	ids     []uint64      // which the server has not closed yet
	made    chan struct{} // closed when ids, or those under way, are; nil when there are none
}

// close has the server close a socket, and waits for that; not long, and not while
// another one is waited for by and by.
func (s *netCloses) close(id uint64) {
	s.mu.Lock()
	hanging := s.made != nil
	s.mu.Unlock()
	if !hanging {
		ctx, cancel := context.WithTimeoutCause(context.Background(), closeGrace, vfs.ErrKilled)
		err := s.session.call.Close(ctx, &netwire.CloseRequest{Sockets: []uint64{id}}, new(netwire.Empty), nil)
		cancel()
		if err == nil || s.session.lane.Err() != nil { // whose end closes all
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids = append(s.ids, id) // perhaps a second time, which does no harm
	if s.made == nil {
		s.made = make(chan struct{})
		go s.run()
	}
}

// wait waits until the closes so far have been made.
func (s *netCloses) wait(ctx context.Context) error {
	s.mu.Lock()
	made := s.made
	s.mu.Unlock()
	if made == nil {
		return nil
	}
	select {
	case <-made:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *netCloses) run() {
	for {
		s.mu.Lock()
		ids := s.ids
		s.ids = nil
		if len(ids) == 0 {
			close(s.made)
			s.made = nil
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		for len(ids) > 0 {
			n := min(len(ids), settleBatch)
			// What fails fails because the lane has ended, and that closes all.
			_ = s.session.call.Close(context.Background(), &netwire.CloseRequest{Sockets: ids[:n]}, new(netwire.Empty), nil)
			ids = ids[n:]
		}
	}
}
