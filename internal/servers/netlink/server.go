// Package netlink serves AF_NETLINK sockets: of the family NETLINK_ROUTE, on which
// programs ask what their network is made of (rtnetlink(7)), and of NETLINK_SOCK_DIAG,
// on which they ask for the box's sockets (sock_diag(7)). The answers to the first are
// those of a [vfs.NetDescriber]; nothing can be changed (EPERM), and groups can be
// joined but say nothing.
//
// It imports vfs, vfs/netinfo, anon and x/sys only.
//
// Lock order: Socket.mu, then Server.mu and the queue's.
package netlink

import (
	"context"
	"sync"
	"syscall"

	"github.com/hati-os/hati/internal/servers/anon"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Server makes the sockets of one box. Its methods may be called concurrently.
type Server struct {
	from    vfs.NetDescriber
	sockets Sockets

	mu    sync.Mutex
	ports map[port]bool // that are taken
	last  uint32        // of those that are nobody's process id
}

// port is a port of one of the families.
type port struct {
	protocol int
	id       uint32
}

// New returns a server that tells of a network and its sockets.
func New(from vfs.NetDescriber, sockets Sockets) *Server {
	return &Server{from: from, sockets: sockets, ports: map[port]bool{}}
}

// Socket makes a socket, as socket(2) with AF_NETLINK.
func (v *Server) Socket(_ context.Context, typ, protocol int) (vfs.Socket, error) {
	switch {
	case typ != unix.SOCK_RAW && typ != unix.SOCK_DGRAM:
		return nil, syscall.ESOCKTNOSUPPORT
	case protocol != unix.NETLINK_ROUTE && protocol != unix.NETLINK_SOCK_DIAG:
		return nil, syscall.EPROTONOSUPPORT
	}
	s := &Socket{server: v, typ: typ, protocol: protocol, sizes: [2]int{bufferDefault, bufferDefault}}
	s.node.Init(anon.DevSocket, syscall.S_IFSOCK|0o777, uint32(unix.Geteuid()), uint32(unix.Getegid()))
	return s, nil
}

// claim takes a port, or one that is free if it is 0: the caller's process id, as
// programs expect that have one socket only.
func (v *Server) claim(ctx context.Context, protocol int, id uint32) (uint32, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if id != 0 {
		if v.ports[port{protocol, id}] {
			return 0, syscall.EADDRINUSE
		}
		v.ports[port{protocol, id}] = true
		return id, nil
	}
	if c, ok := vfs.CallerOf(ctx); ok {
		id = uint32(c.PID)
	}
	for id == 0 || v.ports[port{protocol, id}] {
		const first = 1<<32 - 4097 // negative, below what looks like an error
		if v.last--; v.last > first || v.last < 1<<31 {
			v.last = first
		}
		id = v.last
	}
	v.ports[port{protocol, id}] = true
	return id, nil
}

func (v *Server) release(protocol int, id uint32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.ports, port{protocol, id})
}
