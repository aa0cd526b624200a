// Package unixsock serves AF_UNIX sockets (unix(7)) as pollable files: stream,
// datagram and sequenced packet. It knows no processes: the caller brings the
// credentials, resolves paths, waits, and raises SIGPIPE (which Linux does for
// stream sockets only). It imports vfs, anon and x/sys only.
//
// A message is charged to its sender as Linux charges it, since that shows: in
// when a send says EAGAIN, in poll's readiness to write, in SIOCOUTQ.
//
// Lock order: Namespace.flight.mu, then Socket.mu (two sockets: the lower id
// first), then Namespace.mu, then a vfs.Queue's. Release functions of
// references run without any of them.
package unixsock

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/servers/anon"
	"github.com/hati-os/hati/vfs"
)

const (
	defaultBuf = 212992
	minSndBuf  = 4608
	minRcvBuf  = 2304
	maxBuf     = 212992 // what SO_SNDBUF may ask for without privilege
	// DgramQueue is how many datagrams may wait in a socket, less one
	// (/proc/sys/net/unix/max_dgram_qlen).
	DgramQueue = 10
	maxBacklog = 4096 // /proc/sys/net/core/somaxconn
)

// The states, as Linux calls them for want of better.
const (
	closed int32 = iota // not connected
	listening
	established
)

// Bits of Socket.pass.
const (
	passCred uint32 = 1 << iota
	passPIDFD
)

// Bits of Socket.shutdown.
const (
	rcvShutdown  uint32 = 1
	sendShutdown uint32 = 2
	bothShutdown        = rcvShutdown | sendShutdown
)

// Cred is who a process is to its peers (struct ucred).
type Cred struct {
	PID      int32
	UID, GID uint32
}

// noCred is what a receiver sees of a message that took no credentials along.
var noCred = Cred{UID: 65534, GID: 65534}

// Socket is an AF_UNIX socket: a vfs.File. All methods may be called
// concurrently; none waits.
type Socket struct {
	ns    *Namespace
	id    uint64 // orders the locks of two sockets
	typ   int
	owner Cred
	node  anon.Node
	queue vfs.Queue // the socket's own waiters
	room  room      // those who wait for room in recv

	// Changed with mu held, read without.
	peer     atomic.Pointer[Socket] // stays when the peer closes
	addr     atomic.Pointer[Addr]
	state    atomic.Int32
	shutdown atomic.Uint32
	dead     atomic.Bool

	err     atomic.Int32 // SO_ERROR, taken by who sees it
	wmem    atomic.Int64 // what the messages sent and not yet received count
	sndbuf  atomic.Int64
	rcvbuf  atomic.Int64
	pass    atomic.Uint32 // passCred, passPIDFD
	backlog atomic.Int32  // messages or connections that may wait, less one

	mu       sync.Mutex
	recv     queue
	peekOff  int // SO_PEEK_OFF, -1 when off
	peerCred Cred
	options  map[int]int
	bound    any  // the key in ns, nil when not bound there
	embryo   bool // not accepted yet
	// blocked are the connected senders that found recv full.
	blocked map[*Socket]struct{}
}

var (
	_ vfs.File     = (*Socket)(nil)
	_ vfs.Reader   = (*Socket)(nil)
	_ vfs.Writer   = (*Socket)(nil)
	_ vfs.Streamer = (*Socket)(nil)
	_ vfs.Pollable = (*Socket)(nil)
	_ vfs.Ioctler  = (*Socket)(nil)
)

var lastID atomic.Uint64

func (ns *Namespace) newSocket(typ int, owner Cred) *Socket {
	s := &Socket{ns: ns, id: lastID.Add(1), typ: typ, owner: owner, peekOff: -1}
	s.peerCred = Cred{UID: ^uint32(0), GID: ^uint32(0)}
	s.node.Init(anon.DevSocket, syscall.S_IFSOCK|0o777, owner.UID, owner.GID)
	s.sndbuf.Store(defaultBuf)
	s.rcvbuf.Store(defaultBuf)
	s.backlog.Store(DgramQueue)
	s.room.s = s
	return s
}

// New returns a socket of type typ (SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET;
// SOCK_RAW counts as SOCK_DGRAM). owner is the caller: the inode's owner, and
// whom Write speaks for. ESOCKTNOSUPPORT for other types, EPROTONOSUPPORT for
// a protocol other than 0 and PF_UNIX.
func (ns *Namespace) New(typ, protocol int, owner Cred) (*Socket, error) {
	if protocol != 0 && protocol != unix.AF_UNIX {
		return nil, syscall.EPROTONOSUPPORT
	}
	switch typ {
	case unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET:
	case unix.SOCK_RAW:
		typ = unix.SOCK_DGRAM
	default:
		return nil, syscall.ESOCKTNOSUPPORT
	}
	return ns.newSocket(typ, owner), nil
}

// Pair returns two connected sockets (socketpair(2)). Errors are New's.
func (ns *Namespace) Pair(typ, protocol int, owner Cred) (a, b *Socket, err error) {
	if a, err = ns.New(typ, protocol, owner); err != nil {
		return nil, nil, err
	}
	b = ns.newSocket(a.typ, owner)
	a.peer.Store(b)
	b.peer.Store(a)
	for _, s := range [2]*Socket{a, b} {
		s.peerCred = owner
		s.state.Store(established)
	}
	return a, b, nil
}

// Node implements vfs.File.
func (s *Socket) Node() vfs.Node { return &s.node }

// IsStream implements vfs.Streamer.
func (s *Socket) IsStream() bool { return true }

// Type returns SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
func (s *Socket) Type() int { return s.typ }

func (s *Socket) connectionBased() bool { return s.typ != unix.SOCK_DGRAM }

// takeErr returns the pending error and clears it.
func (s *Socket) takeErr() error {
	if s.err.Load() == 0 {
		return nil
	}
	if e := s.err.Swap(0); e != 0 {
		return syscall.Errno(e)
	}
	return nil
}

func lockBoth(a, b *Socket) {
	switch {
	case a == b:
		a.mu.Lock()
	case a.id < b.id:
		a.mu.Lock()
		b.mu.Lock()
	default:
		b.mu.Lock()
		a.mu.Lock()
	}
}

func unlockBoth(a, b *Socket) {
	a.mu.Unlock()
	if a != b {
		b.mu.Unlock()
	}
}

// Close ends the socket. Messages that nobody received are dropped, and the
// references in them released; connections that nobody accepted are reset.
func (s *Socket) Close() error {
	s.close(false)
	s.ns.collectSome()
	return nil
}

// close is Close; embryo says that s was never accepted.
func (s *Socket) close(embryo bool) {
	s.unbind()
	s.mu.Lock()
	s.dead.Store(true)
	s.shutdown.Store(bothShutdown)
	wasListening := s.state.Swap(closed) == listening
	peer := s.peer.Swap(nil)
	unread := s.recv.first
	if unread != nil && unread.conn == nil && len(unread.left()) == 0 {
		unread = unread.next // Linux overlooks an empty message, if it is the first
	}
	rest := s.recv.takeAll()
	wake := s.takeBlocked()
	s.mu.Unlock()

	s.room.Notify(vfs.EventsOut | vfs.EventHup)
	wakeBlocked(wake)
	if peer != nil {
		if s.connectionBased() {
			peer.mu.Lock()
			peer.shutdown.Store(bothShutdown)
			if unread != nil || embryo {
				peer.err.Store(int32(syscall.ECONNRESET))
			}
			peer.mu.Unlock()
			peer.stateChanged()
		}
		peer.forget(s)
	}
	for m := rest; m != nil; {
		next := m.next
		if wasListening && m.conn != nil {
			m.conn.close(true)
		}
		s.ns.drop(m)
		m = next
	}
}

// forget removes blocked from those that wait for room in s.
func (s *Socket) forget(blocked *Socket) {
	s.mu.Lock()
	delete(s.blocked, blocked)
	s.mu.Unlock()
}

// takeBlocked returns the senders to wake. The caller holds mu.
func (s *Socket) takeBlocked() map[*Socket]struct{} {
	b := s.blocked
	s.blocked = nil
	return b
}

func wakeBlocked(senders map[*Socket]struct{}) {
	for b := range senders {
		b.queue.Notify(vfs.EventsOut | vfs.EventWrBand)
	}
}

// stateChanged wakes everybody, as a change of the connection does.
func (s *Socket) stateChanged() {
	s.queue.Notify(vfs.EventsIn | vfs.EventsOut | vfs.EventWrBand | vfs.EventRdHup | vfs.EventHup | vfs.EventErr)
}

// Read receives without flags; references that come along are released, as
// read(2) has no place for them. A caller who waits by himself for MSG_DONTWAIT
// semantics calls Recv.
func (s *Socket) Read(_ context.Context, p []byte, _ int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	var r Received
	n, err := s.Recv(p, 0, &r)
	for _, f := range r.Refs {
		f.Release()
	}
	return n, err
}

// Write sends without flags, in the name of the socket's owner: a caller who
// knows better calls Send.
func (s *Socket) Write(_ context.Context, p []byte, _ int64) (int, error) {
	return s.Send(&Message{Data: p, Sender: s.owner})
}
