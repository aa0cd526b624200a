package posix

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"sync"

	"github.com/hati-os/hati/internal/servers/netlink"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// netTable are the box's sockets of its network, for /proc/net. Its lock is a leaf.
type netTable struct {
	mu   sync.Mutex
	open map[*netSocket]struct{}
}

func (n *netTable) add(s *netSocket) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open == nil {
		n.open = map[*netSocket]struct{}{}
	}
	n.open[s] = struct{}{}
}

// remove takes s out; false says that somebody looks at it, who will close it.
func (n *netTable) remove(s *netSocket) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.open, s)
	s.gone = s.lookers > 0
	return !s.gone
}

// look keeps s from being closed until done; false when it has been. A close does not
// wait for that, since a server may be asked that does not answer: the address is free
// a moment later then.
func (n *netTable) look(s *netSocket) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.open[s]
	if ok {
		s.lookers++
	}
	return ok
}

func (n *netTable) done(s *netSocket) {
	n.mu.Lock()
	s.lookers--
	last := s.gone && s.lookers == 0
	n.mu.Unlock()
	if last {
		s.Socket.Close() // as far as its process goes, it was closed before
	}
}

// list returns them in the order in which they were made.
func (n *netTable) list() []*netSocket {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]*netSocket, 0, len(n.open))
	for s := range n.open {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *netSocket) int { return cmp.Compare(a.serial, b.serial) })
	return all
}

// TCP's states, as /proc/net/tcp has them.
const (
	tcpEstablished = 1
	tcpClose       = 7
	tcpCloseWait   = 8
	tcpListen      = 10
)

// netState is what /proc/net tells of a socket.
type netState struct {
	local, peer    []byte // struct sockaddr_in, or sockaddr_in6
	state          int
	sending, ready uint32 // bytes in the queues; of a listening one, connections in the second
	backlog        uint32 // the most of them
	uid            uint32
	ino            uint64
	onlyV6         bool
}

// state asks a socket how it is; false when it is not known by any address, or closed.
func (s *netSocket) state(ctx context.Context) (n netState, ok bool) {
	if !s.k.nets.look(s) {
		return n, false
	}
	defer s.k.nets.done(s)
	var only [4]byte
	if _, err := s.Option(ctx, unix.SOL_IPV6, unix.IPV6_V6ONLY, only[:]); err == nil {
		n.onlyV6 = only[0] != 0
	}
	var err error
	if n.local, err = s.Addr(ctx, false); err != nil || len(n.local) < unix.SizeofSockaddrInet4 {
		return n, false
	}
	n.state = tcpClose
	if n.peer, err = s.Addr(ctx, true); err == nil && len(n.peer) >= unix.SizeofSockaddrInet4 {
		n.state = tcpEstablished
	} else {
		n.peer = make([]byte, len(n.local))
	}
	n.uid, n.ino = s.uid, inoOf(s)
	if s.typ != unix.SOCK_STREAM {
		n.sending, n.ready = s.queueSize(ctx, unix.SIOCOUTQ), s.queueSize(ctx, unix.SIOCINQ)
		return n, binary.BigEndian.Uint16(n.local[2:]) != 0
	}
	var info [unix.SizeofTCPInfo]byte
	var accepts [4]byte
	if size, err := s.Option(ctx, unix.SOL_TCP, unix.TCP_INFO, info[:]); err == nil && size > 0 {
		n.state = int(info[0])
	} else if _, err := s.Option(ctx, unix.SOL_SOCKET, unix.SO_ACCEPTCONN, accepts[:]); err == nil && accepts[0] != 0 {
		n.state = tcpListen
	}
	switch n.state {
	case tcpClose:
		return n, false
	case tcpListen:
		// tcpi_unacked and tcpi_sacked
		n.ready, n.backlog = binary.NativeEndian.Uint32(info[24:]), binary.NativeEndian.Uint32(info[28:])
	default:
		n.sending, n.ready = s.queueSize(ctx, unix.SIOCOUTQ), s.queueSize(ctx, unix.SIOCINQ)
	}
	return n, true
}

// InetSockets implements netlink.Sockets.
func (k *Kernel) InetSockets(ctx context.Context, family, protocol uint8) (all []netlink.SocketState, ok bool) {
	var table socketTable
	for _, t := range socketTables {
		if t.family == int(family) && t.protocols[1] == int(protocol) {
			table, ok = t, true
		}
	}
	if !ok {
		return nil, false
	}
	for _, s := range k.nets.list() {
		if !table.has(s) {
			continue
		}
		n, ok := s.state(ctx)
		if !ok {
			continue
		}
		d := netlink.SocketState{Local: n.local, Peer: n.peer, State: uint8(n.state), Receive: n.ready, Send: n.sending, UID: n.uid, Ino: n.ino, OnlyV6: n.onlyV6}
		if n.state == tcpListen {
			d.Send = n.backlog
		}
		all = append(all, d)
	}
	return all, true
}

// queueSize is what SIOCINQ or SIOCOUTQ says.
func (s *netSocket) queueSize(ctx context.Context, cmd uint32) uint32 {
	var b wordArg
	if i, ok := s.Socket.(vfs.Ioctler); ok {
		_, _ = i.Ioctl(ctx, cmd, &b) // a network that does not know shows none
	}
	return binary.NativeEndian.Uint32(b[:])
}
