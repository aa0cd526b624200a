package netlink

import (
	"context"
	"encoding/binary"
	"sync"
	"syscall"

	"github.com/hati-os/hati/internal/servers/anon"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/netinfo"
	"golang.org/x/sys/unix"
)

// Socket is a netlink socket.
type Socket struct {
	vfs.Queue
	server        *Server
	typ, protocol int
	node          anon.Node

	mu      sync.Mutex
	port    uint32 // 0: not bound
	groups  uint64 // bit 0 is group 1
	options uint32 // of SOL_NETLINK that are on, by number
	kept    map[int]uint32
	sizes   [2]int // of the buffers: to send and to receive
	queue   [][]byte
	queued  int    // bytes in it
	dumping bool   // a dump has been asked for, and its end is not in the queue
	dump    []byte // what of it is not in the queue
	end     []byte // the dump's last message
	err     error  // SO_ERROR
}

var _ vfs.Socket = (*Socket)(nil)

// Node is the socket's inode.
func (s *Socket) Node() vfs.Node { return &s.node }

// Poll tells whether there is an answer; there is always room for a question.
func (s *Socket) Poll(mask vfs.Events) vfs.Events {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := vfs.EventsOut & mask
	if len(s.queue) > 0 {
		got |= vfs.EventsIn & mask
	}
	if s.err != nil {
		got |= vfs.EventErr
	}
	return got
}

// Close frees the port.
func (s *Socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.port != 0 {
		s.server.release(s.protocol, s.port)
	}
	s.queue, s.dump = nil, nil
	return nil
}

// parseAddr reads a struct sockaddr_nl.
func parseAddr(addr []byte) (port, groups uint32, err error) {
	if len(addr) < unix.SizeofSockaddrNetlink || binary.NativeEndian.Uint16(addr) != unix.AF_NETLINK {
		return 0, 0, syscall.EINVAL
	}
	return binary.NativeEndian.Uint32(addr[4:]), binary.NativeEndian.Uint32(addr[8:]), nil
}

func appendAddr(b []byte, port, groups uint32) []byte {
	b = binary.NativeEndian.AppendUint16(b, unix.AF_NETLINK)
	b = append(b, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, port)
	return binary.NativeEndian.AppendUint32(b, groups)
}

// Bind gives the socket a port, and joins groups.
func (s *Socket) Bind(ctx context.Context, addr []byte) error {
	port, groups, err := parseAddr(addr)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.port == 0 || port != 0 {
		if err := s.bind(ctx, port); err != nil {
			return err
		}
	}
	s.groups = s.groups&^(1<<32-1) | uint64(groups)
	return nil
}

// bind takes a port; mu is held.
func (s *Socket) bind(ctx context.Context, port uint32) (err error) {
	if s.port != 0 {
		if s.port != port {
			return syscall.EINVAL
		}
		return nil
	}
	s.port, err = s.server.claim(ctx, s.protocol, port)
	return err
}

// bound returns the socket's port, which it gets by sending at the latest.
func (s *Socket) bound(ctx context.Context) (uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.port != 0 {
		return s.port, nil
	}
	err := s.bind(ctx, 0)
	return s.port, err
}

// mayAddress refuses addresses of others than the kernel.
func mayAddress(addr []byte) error {
	port, groups, err := parseAddr(addr)
	if err == nil && (port != 0 || groups != 0) {
		err = syscall.EPERM
	}
	return err
}

// Connect has the kernel as the only peer.
func (s *Socket) Connect(ctx context.Context, addr []byte) error {
	if len(addr) >= 2 && binary.NativeEndian.Uint16(addr) == unix.AF_UNSPEC {
		return nil
	}
	if err := mayAddress(addr); err != nil {
		return err
	}
	_, err := s.bound(ctx)
	return err
}

// Addr returns the port and groups; the peer is the kernel.
func (s *Socket) Addr(_ context.Context, peer bool) ([]byte, error) {
	if peer {
		return appendAddr(nil, 0, 0), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return appendAddr(nil, s.port, uint32(s.groups)), nil
}

// Listen, Accept and Shutdown are not for these sockets.
func (s *Socket) Listen(context.Context, int) error { return syscall.EOPNOTSUPP }

// Accept fails.
func (s *Socket) Accept(context.Context) (vfs.Socket, []byte, error) {
	return nil, nil, syscall.EOPNOTSUPP
}

// Shutdown fails.
func (s *Socket) Shutdown(context.Context, int) error { return syscall.EOPNOTSUPP }

// Send takes requests, and has their answers ready when it returns.
func (s *Socket) Send(ctx context.Context, m *vfs.Packet) (int, error) {
	if m.Flags&unix.MSG_OOB != 0 {
		return 0, syscall.EOPNOTSUPP
	}
	if len(m.Addr) > 0 {
		if err := mayAddress(m.Addr); err != nil {
			return 0, err
		}
	}
	port, err := s.bound(ctx)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	most := s.sizes[0] - 32
	s.mu.Unlock()
	switch {
	case len(m.Data) == 0:
		return 0, syscall.ENODATA
	case len(m.Data) > most:
		return 0, syscall.EMSGSIZE
	}
	if err := s.serve(ctx, port, m.Data); err != nil {
		return 0, err
	}
	return len(m.Data), nil
}

// Receive takes the next answer.
func (s *Socket) Receive(_ context.Context, m *vfs.Packet) (int, error) {
	if m.Flags&unix.MSG_OOB != 0 {
		return 0, syscall.EOPNOTSUPP
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.err; err != nil {
		s.err = nil
		return 0, err
	}
	if len(s.queue) == 0 {
		return 0, syscall.EAGAIN
	}
	b, flags := s.queue[0], m.Flags
	if flags&unix.MSG_PEEK == 0 {
		s.queue = s.queue[1:]
		s.queued -= len(b)
		if s.queued <= s.sizes[1]/2 {
			s.pump()
		}
	}
	n := copy(m.Data, b)
	m.Flags = 0
	m.Addr = appendAddr(m.Addr[:0], 0, 0)
	s.control(m)
	if n < len(b) {
		m.Flags |= unix.MSG_TRUNC
		if flags&unix.MSG_TRUNC != 0 {
			n = len(b)
		}
	}
	return n, nil
}

// datagram is how much of a dump goes into one message, unless a single answer is
// longer: programs have buffers of a page.
const datagram = 4096 - 320

// pump puts the next part of a dump into the queue; mu is held.
func (s *Socket) pump() {
	if !s.dumping {
		return
	}
	if len(s.dump) == 0 {
		s.dumping = false
		s.enqueue(s.end)
		return
	}
	n := 0
	for m := range netinfo.Messages(s.dump) {
		size := unix.SizeofNlMsghdr + (len(m.Body)+3)&^3
		if n > 0 && n+size > datagram {
			break
		}
		n += size
	}
	part := s.dump[:n:n]
	s.dump = s.dump[n:]
	s.enqueue(part)
}

// enqueue adds a datagram; mu is held.
func (s *Socket) enqueue(b []byte) {
	s.queue = append(s.queue, b)
	s.queued += len(b)
	s.Notify(vfs.EventsIn)
}
