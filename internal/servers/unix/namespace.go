package unixsock

import (
	"fmt"
	"strings"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// Namespace is the names that sockets are bound to, and the references in
// flight between them. The zero Namespace is empty; a box has one. All methods
// may be called concurrently.
type Namespace struct {
	mu       sync.Mutex
	abstract map[abstractKey]*Socket
	nodes    map[vfs.Node]*Socket
	lastAuto uint32

	flight flight
}

// An abstract name is one per type of socket.
type abstractKey struct {
	typ  int
	name string
}

// FindAbstract returns the socket of type typ that is bound to the abstract
// name; ECONNREFUSED when there is none.
func (ns *Namespace) FindAbstract(name string, typ int) (*Socket, error) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if s := ns.abstract[abstractKey{typ, name}]; s != nil {
		return s, nil
	}
	return nil, syscall.ECONNREFUSED
}

// FindNode returns the socket that is bound to the file node, which the caller
// has found to be a socket that may be written. ECONNREFUSED when there is
// none, EPROTOTYPE when it is not of type typ.
func (ns *Namespace) FindNode(node vfs.Node, typ int) (*Socket, error) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	s := ns.nodes[node]
	switch {
	case s == nil:
		return nil, syscall.ECONNREFUSED
	case s.typ != typ:
		return nil, syscall.EPROTOTYPE
	}
	return s, nil
}

// Sockets returns the bound sockets, in no order (/proc/net/unix).
func (ns *Namespace) Sockets() []*Socket {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	list := make([]*Socket, 0, len(ns.abstract)+len(ns.nodes))
	for _, s := range ns.abstract {
		list = append(list, s)
	}
	for _, s := range ns.nodes {
		list = append(list, s)
	}
	return list
}

// BindAbstract gives s an abstract name. EINVAL when s has a name, EADDRINUSE
// when another socket of the type has this one.
func (s *Socket) BindAbstract(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr.Load() != nil {
		return syscall.EINVAL
	}
	ns := s.ns
	ns.mu.Lock()
	defer ns.mu.Unlock()
	return s.bindAbstract(name)
}

// bindAbstract is BindAbstract with both locks held and s unbound.
func (s *Socket) bindAbstract(name string) error {
	key := abstractKey{s.typ, name}
	if s.ns.abstract[key] != nil {
		return syscall.EADDRINUSE
	}
	if s.ns.abstract == nil {
		s.ns.abstract = make(map[abstractKey]*Socket)
	}
	s.ns.abstract[key] = s
	s.bound = key
	s.addr.Store(&Addr{Kind: Abstract, Name: strings.Clone(name)})
	return nil
}

// Autobind gives s an abstract name of five hexadecimal digits, unless it has a
// name already. ENOSPC when all are taken.
func (s *Socket) Autobind() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr.Load() != nil {
		return nil
	}
	const names = 1 << 20
	ns := s.ns
	ns.mu.Lock()
	defer ns.mu.Unlock()
	for range names {
		ns.lastAuto = (ns.lastAuto + 1) % names
		if s.bindAbstract(fmt.Sprintf("%05x", ns.lastAuto)) == nil {
			return nil
		}
	}
	return syscall.ENOSPC
}

// WantName gives s an automatic name when it passes credentials and has none.
// Connect does it itself; a caller does it before he looks the address up, to
// have a name even if that fails.
func (s *Socket) WantName() error {
	if s.pass.Load() == 0 || s.addr.Load() != nil {
		return nil
	}
	return s.Autobind()
}

// BindNode binds s to the file node, which the caller has made at path for this
// purpose (and removes on failure). EINVAL when s has a name already.
func (s *Socket) BindNode(node vfs.Node, path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr.Load() != nil {
		return syscall.EINVAL
	}
	ns := s.ns
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.nodes == nil {
		ns.nodes = make(map[vfs.Node]*Socket)
	}
	ns.nodes[node] = s
	s.bound = node
	s.addr.Store(&Addr{Kind: Path, Name: strings.Clone(path)})
	return nil
}

// Bound reports whether s has a name, so that a caller need not make a file for
// a bind that fails.
func (s *Socket) Bound() bool { return s.addr.Load() != nil }

// unbind takes s out of the namespace; its own address stays.
func (s *Socket) unbind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	ns := s.ns
	ns.mu.Lock()
	defer ns.mu.Unlock()
	switch key := s.bound.(type) {
	case nil:
	case abstractKey:
		delete(ns.abstract, key)
	case vfs.Node:
		if ns.nodes[key] == s {
			delete(ns.nodes, key)
		}
	}
	s.bound = nil
}

// Name returns the socket's address (getsockname(2)).
func (s *Socket) Name() Addr {
	if a := s.addr.Load(); a != nil {
		return *a
	}
	return Addr{}
}

// PeerName returns the peer's address (getpeername(2)); ENOTCONN without one.
func (s *Socket) PeerName() (Addr, error) {
	p := s.peer.Load()
	if p == nil {
		return Addr{}, syscall.ENOTCONN
	}
	return p.Name(), nil
}
