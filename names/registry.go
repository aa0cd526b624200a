package names

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/hati-os/hati/lane"
)

// Registry keeps services. Its methods may be called concurrently.
type Registry struct {
	mu       sync.Mutex
	services map[string]*service
	sessions uint64
	closed   bool
}

// service is a name.
type service struct {
	info      Info
	shared    bool
	protocol  Protocol
	instances []*Registration
	next      int           // whose turn it is
	arrival   chan struct{} // closed when an instance comes, or none will
}

// Registration is a server's hold on a name.
type Registration struct {
	// accept asks the server and returns the client's end. passed says that it will
	// go to another process.
	accept   acceptFunc
	withdraw func()
	once     sync.Once
}

// Close gives the name up. Lanes that clients have stay. It may be called more
// than once.
func (g *Registration) Close() { g.once.Do(g.withdraw) }

// New returns an empty registry.
func New() *Registry { return &Registry{services: map[string]*service{}} }

// own are this process's credentials.
func own() Client { return Client{PID: os.Getpid(), UID: os.Geteuid(), GID: os.Getegid()} }

// Register implements Directory.
func (r *Registry) Register(_ context.Context, name string, s Service) (*Registration, error) {
	return r.register(own(), name, s, s.here)
}

type acceptFunc = func(ctx context.Context, o Opening, cfg lane.Config, passed bool) (*lane.Lane, error)

func (r *Registry) register(who Client, name string, s Service, accept acceptFunc) (*Registration, error) {
	if !Valid(name) {
		return nil, ErrName
	}
	info := Info{Name: name, Mode: s.Mode & fs.ModePerm, UID: uint32(who.UID), GID: uint32(who.GID), Recovers: s.Recovers, Protocol: s.Protocol.Name}
	if info.Mode == 0 {
		info.Mode = 0o600
	}
	if s.GID != nil {
		info.GID = *s.GID
	}
	g := &Registration{accept: accept}
	g.withdraw = func() { r.remove(name, g) }
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	v := r.services[name]
	switch {
	case v == nil:
		v = &service{arrival: make(chan struct{})}
		r.services[name] = v
	case v.info.UID != uint32(who.UID), len(v.instances) > 0 && !s.Replace && !(s.Shared && v.shared):
		return nil, ErrTaken
	}
	if s.Replace {
		v.instances = nil
	}
	v.info, v.shared, v.protocol = info, s.Shared, s.Protocol
	v.instances = append(v.instances, g)
	close(v.arrival)
	v.arrival = make(chan struct{})
	return g, nil
}

// remove takes an instance away, and with the last one the name unless it is to
// come back.
func (r *Registry) remove(name string, g *Registration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.services[name]
	if v == nil {
		return
	}
	i := slices.Index(v.instances, g)
	if i < 0 {
		return
	}
	v.instances = slices.Delete(v.instances, i, i+1)
	if len(v.instances) == 0 && !v.info.Recovers {
		delete(r.services, name)
		close(v.arrival)
	}
}

// Forget ends a name that waits for an instance to come back.
func (r *Registry) Forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.services[name]; v != nil && len(v.instances) == 0 {
		delete(r.services, name)
		close(v.arrival)
	}
}

// Close ends the registry. Lanes stay; who waits gets ErrClosed.
func (r *Registry) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, v := range r.services {
		close(v.arrival)
	}
	clear(r.services)
	return nil
}

// Open implements Directory.
func (r *Registry) Open(ctx context.Context, name string, q Request) (Opened, error) {
	return r.open(ctx, own(), name, q, false)
}

func (r *Registry) open(ctx context.Context, who Client, name string, q Request, passed bool) (Opened, error) {
	o := Opening{Name: name, Client: who, Caller: q.Caller, Session: q.Session, Again: q.Session != 0}
	label := "service " + name
	for {
		g, v, err := r.pick(ctx, who, name, q)
		if err != nil {
			return Opened{}, err
		}
		if o.Session == 0 {
			o.Session = r.session()
		}
		l, err := g.accept(ctx, o, lane.Config{Name: label, Protocol: q.Protocol.Name, Version: v.version}, passed)
		if err == nil {
			return Opened{l, o.Session, v.recovers}, nil
		}
		if !gone(err) {
			return Opened{}, err
		}
		// What it may have begun ended with it.
		g.Close()
	}
}

// here makes a lane to a service of this process.
func (s *Service) here(ctx context.Context, o Opening, cfg lane.Config, passed bool) (*lane.Lane, error) {
	var a, b *lane.Lane
	if !passed {
		a, b = lane.Pair(cfg)
	} else {
		var err error
		if a, b, err = lane.PairShared(cfg); err != nil {
			return nil, err
		}
	}
	if err := s.Accept(ctx, o, a); err != nil {
		a.Close()
		b.Close()
		return nil, err
	}
	return b, nil
}

// gone reports whether an instance is no more.
func gone(err error) bool {
	return errors.Is(err, lane.ErrPeerDied) || errors.Is(err, lane.ErrClosed) || errors.Is(err, lane.ErrInDoubt)
}

func (r *Registry) session() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions++
	return r.sessions
}

// picked is what holds for an opening.
type picked struct {
	version  uint32
	recovers bool
}

// pick chooses an instance and waits for one if the service recovers.
func (r *Registry) pick(ctx context.Context, who Client, name string, q Request) (*Registration, picked, error) {
	for {
		r.mu.Lock()
		v := r.services[name]
		if v == nil {
			closed := r.closed
			r.mu.Unlock()
			if closed {
				return nil, picked{}, ErrClosed
			}
			return nil, picked{}, ErrUnknown
		}
		if !v.info.allows(who) {
			r.mu.Unlock()
			return nil, picked{}, ErrForbidden
		}
		if n := len(v.instances); n > 0 {
			version, err := v.protocol.common(q.Protocol)
			v.next = (v.next + 1) % n
			g, recovers := v.instances[v.next], v.info.Recovers
			r.mu.Unlock()
			return g, picked{version, recovers}, err
		}
		arrival := v.arrival
		r.mu.Unlock()
		select {
		case <-arrival:
		case <-ctx.Done():
			return nil, picked{}, context.Cause(ctx)
		}
	}
}

// allows reports whether the mode lets the client write.
func (i *Info) allows(who Client) bool {
	switch {
	case who.UID == 0:
		return true
	case uint32(who.UID) == i.UID:
		return i.Mode&0o200 != 0
	case uint32(who.GID) == i.GID:
		return i.Mode&0o020 != 0
	}
	return i.Mode&0o002 != 0
}

// List implements Directory.
func (r *Registry) List(_ context.Context, name string) ([]Info, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	var all []Info
	for n, v := range r.services {
		if name == "" || n == name {
			i := v.info
			i.Instances = len(v.instances)
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}
