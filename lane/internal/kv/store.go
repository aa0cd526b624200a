package kv

import (
	"context"
	"sync"
	"syscall"

	"github.com/hati-os/hati/lane"
)

// Store is a Server that keeps values in memory.
type Store struct {
	mu      sync.Mutex
	values  map[string]*value
	changed chan struct{} // closed and renewed with every change
}

type value struct {
	revision uint64
	data     []byte
	history  []uint64
}

// NewStore returns an empty Store.
func NewStore() *Store {
	return &Store{values: make(map[string]*value), changed: make(chan struct{})}
}

// Put implements Server.
func (s *Store) Put(ctx context.Context, req *PutRequest, rep *PutReply, r *lane.Request) error {
	data := req.Value
	if len(r.Bulk) > 0 {
		data = r.Bulk
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.values[string(req.Key)]
	if v == nil {
		v = new(value)
		s.values[string(req.Key)] = v
	}
	v.revision++
	v.data = append([]byte(nil), data...)
	v.history = append(v.history, v.revision)
	rep.Revision = v.revision
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// Get implements Server.
func (s *Store) Get(ctx context.Context, req *GetRequest, rep *GetReply, r *lane.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.values[string(req.Key)]
	if v == nil {
		return syscall.ENOENT
	}
	return v.reply(rep, r)
}

// reply gives the value as bulk when the caller has room for it.
func (v *value) reply(rep *GetReply, r *lane.Request) error {
	rep.Revision, rep.History = v.revision, v.history
	if room := r.Room(len(v.data)); len(room) == len(v.data) && len(room) > 0 {
		r.Reply.Bulk = room[:copy(room, v.data)]
		return nil
	}
	if len(v.data) > lane.InlineData/2 {
		return syscall.EMSGSIZE
	}
	rep.Value = v.data
	return nil
}

// Wait implements Server: a slow operation that can be cancelled.
func (s *Store) Wait(ctx context.Context, req *WaitRequest, rep *GetReply, r *lane.Request) error {
	for {
		s.mu.Lock()
		if v := s.values[string(req.Key)]; v != nil && v.revision >= req.Revision {
			defer s.mu.Unlock()
			return v.reply(rep, r)
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Changed implements Server.
func (s *Store) Changed(ctx context.Context, req *ChangedNote, r *lane.Request) error { return nil }
