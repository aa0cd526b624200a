package remote

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/netwire"
	"golang.org/x/sys/unix"
)

// NetworkClient is a network whose server is at the other end of a lane. Its methods
// may be called concurrently.
type NetworkClient struct {
	redialer[netSession, *netSession]
}

var _ vfs.Network = (*NetworkClient)(nil)

// netSession is a client's lane to one server.
type netSession struct {
	talk
	call   netwire.Client
	closes netCloses

	mu      sync.Mutex // a leaf
	sockets map[uint64]*netSocket
	early   map[uint64]netwire.ReadyNote // of sockets whose reply was not seen yet
	making  int                          // calls under way that may bring one
}

// NewNetwork makes a network of a lane's end, whose other end [ServeNetwork] answers.
// When the lane ends, all calls fail with [ErrGone].
func NewNetwork(end *lane.Lane) (*NetworkClient, error) { return newNetwork(end, nil) }

// DialNetwork connects to the socket of a server (hati serve net).
func DialNetwork(ctx context.Context, path string) (*NetworkClient, error) {
	end, err := NetworkDialer(path)(ctx)
	if err != nil {
		return nil, err
	}
	return NewNetwork(end)
}

// NetworkDialer dials the socket at path.
func NetworkDialer(path string) Dialer {
	return func(ctx context.Context) (*lane.Lane, error) { return lane.Dial(ctx, path, NetworkConfig(path)) }
}

// RedialNetwork makes a network of what dial connects to. When that server is gone,
// the next socket that is made dials again; until that succeeds, that fails with
// [ErrGone]. Sockets of the old server fail with ErrGone for good, except that
// connections which it had lent go on: their bytes, readiness and shutdown.
func RedialNetwork(ctx context.Context, dial Dialer) (*NetworkClient, error) {
	end, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	return newNetwork(end, dial)
}

func newNetwork(end *lane.Lane, dial Dialer) (*NetworkClient, error) {
	s, err := beginNetwork(end)
	if err != nil {
		return nil, err
	}
	c := new(NetworkClient)
	c.init(dial)
	c.reach = func(ctx context.Context) (*netSession, error) {
		end, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		return beginNetwork(end)
	}
	c.follow = func(*netSession) {} // its sockets stay its own
	c.now.Store(s)
	return c, nil
}

func beginNetwork(end *lane.Lane) (*netSession, error) {
	end.Settle(NetworkConfig(""))
	s := &netSession{talk: talk{lane: end}, call: netwire.Client{Lane: end}, sockets: map[uint64]*netSocket{}}
	s.closes.session = s
	if err := end.Handle(s.handle, lane.ServeOptions{}); err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	go func() {
		<-end.Done()
		for _, x := range s.all() {
			x.serverGone()
		}
	}()
	return s, nil
}

// Socket asks the server.
func (c *NetworkClient) Socket(ctx context.Context, family, typ, protocol int) (vfs.Socket, error) {
	s, err := c.session(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.closes.wait(ctx); err != nil {
		return nil, err
	}
	s.awaits(1)
	defer s.awaits(-1)
	var rep netwire.SocketReply
	var x lane.Extra
	req := netwire.SocketRequest{Family: int32(family), Type: int32(typ), Protocol: int32(protocol)}
	if err := s.call.Socket(ctx, &req, &rep, &x); err != nil {
		return nil, s.outcome(err)
	}
	n, err := s.socket(rep.Socket, typ == unix.SOCK_STREAM, x.Got)
	if err != nil {
		return nil, err
	}
	return n, nil
}

func (s *netSession) outcome(err error) error { return outcome(err, s.broken) }

func (s *netSession) all() []*netSocket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.sockets))
}

// awaits notes that a reply with a socket is awaited, or was dealt with.
func (s *netSession) awaits(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.making += n; s.making == 0 {
		s.early = nil
	}
}

// socket makes a client's socket of what the server gave, with what came with it.
func (s *netSession) socket(w netwire.Socket, stream bool, got []lane.Object) (*netSocket, error) {
	host, ok := hostSocket(w, got)
	if !ok {
		return nil, s.broken("socket %d of kind %#x with %d objects", w.ID, w.Bits, len(got))
	}
	n := newNetSocket(s, w.ID, stream, host)
	s.mu.Lock()
	taken := s.sockets[w.ID] != nil
	if !taken {
		s.sockets[w.ID] = n
	}
	note, early := s.early[w.ID]
	delete(s.early, w.ID)
	s.mu.Unlock()
	if taken {
		n.giveUp()
		return nil, s.broken("socket %d was given twice", w.ID)
	}
	if s.lane.Err() != nil { // its end may have missed it
		n.serverGone()
	}
	if early {
		n.noted(&note)
	}
	return n, nil
}

func (s *netSession) remove(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sockets, id)
}

// handle takes the server's notes.
func (s *netSession) handle(_ context.Context, r *lane.Request) error {
	if !r.IsNote {
		return unix.ENOSYS
	}
	switch r.Op {
	case netwire.OpReady:
		var m netwire.ReadyNote
		if err := m.DecodeLane(r.Data, s.lane.Version()); err != nil {
			return s.broken("%v", err)
		}
		if n := s.find(m.Socket, &m); n != nil {
			n.noted(&m)
		}
	case netwire.OpRecall:
		var m netwire.NumberRequest
		if err := m.DecodeLane(r.Data, s.lane.Version()); err != nil {
			return s.broken("%v", err)
		}
		if n := s.find(m.Socket, nil); n != nil {
			n.drop()
			_ = s.call.Returned(context.Background(), &m, nil) // fails with the lane, which ends all loans
		}
	}
	return nil
}

// find returns a socket, or keeps the note for one that is being made.
func (s *netSession) find(id uint64, m *netwire.ReadyNote) *netSocket {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.sockets[id]
	if n == nil && m != nil && s.making > 0 && len(s.early) < maxEarly {
		if s.early == nil {
			s.early = map[uint64]netwire.ReadyNote{}
		}
		s.early[id] = *m
	}
	return n
}
