package inet

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// How many addresses outside a socket sends datagrams to at a time, and all sockets of
// a network: the one that was used longest ago goes first, then there is no memory.
const (
	peersOfSocket  = 64
	peersOfNetwork = 1024
)

// datagram is the size of the largest one.
const datagram = 64 << 10

// peer is an address outside that a socket sends datagrams to: a gateway, and once
// there is something to send a connection.
type peer struct {
	o    *outside
	to   netip.AddrPort
	gate *net.UDPConn
	held *held          // gate
	host netip.AddrPort // the gateway's address
	at   []byte         // as the host's socket has it
	used uint64         // outside.clock's
	sent atomic.Int64   // datagrams that the connection was given

	mu       sync.Mutex
	finished bool
}

func (r *dialed) connectDatagrams(ctx context.Context, s *Socket, addr []byte) error {
	to, outside := s.leads(addr)
	if abi.SockaddrFamily(addr) == unix.AF_UNSPEC || !outside || to.Addr() == guestAddr {
		err := r.loopback.connect(ctx, s, within(addr))
		if o := s.outside.Load(); o != nil && err == nil {
			o.mu.Lock()
			o.connected, o.err = nil, 0
			o.mu.Unlock()
		}
		return err
	}
	if err := r.reachable(s, to); err != nil {
		return err
	}
	o := r.outsideOf(s)
	o.mu.Lock()
	defer o.mu.Unlock()
	p, err := o.peer(to)
	if err == nil {
		err = r.connectOut(s, p.at, to)
	}
	if err == nil {
		o.connected, o.err = p, 0
	}
	return err
}

func (r *dialed) send(ctx context.Context, s *Socket, m *vfs.Packet, flags int) (int, error) {
	if len(m.Addr) == 0 {
		return r.loopback.send(ctx, s, m, flags)
	}
	addr := m.Addr
	if abi.SockaddrFamily(addr) == unix.AF_UNSPEC && s.family == unix.AF_INET && len(addr) >= unix.SizeofSockaddrInet4 {
		addr = asInet4(addr) // the host takes it for that
	}
	to, outside := s.leads(addr)
	if !outside || to.Addr() == guestAddr {
		inner := *m
		inner.Addr = within(addr)
		return r.loopback.send(ctx, s, &inner, flags)
	}
	if err := r.reachable(s, to); err != nil {
		return 0, err
	}
	o := r.outsideOf(s)
	o.mu.Lock()
	defer o.mu.Unlock()
	p, err := o.peer(to)
	if err != nil {
		return 0, err
	}
	// Ancillary data is about addresses and packets that nobody outside sees.
	return sendmsg(s.fd, m.Data, p.at, nil, flags)
}

// fromGate is who sent a datagram that came from a gateway.
func (s *Socket) fromGate(host netip.AddrPort) (netip.AddrPort, bool) {
	o := s.outside.Load()
	if o == nil {
		return netip.AddrPort{}, false
	}
	o.gates.Lock()
	defer o.gates.Unlock()
	to, ok := o.gateways[host]
	return to, ok
}

// peer returns the one for an address. mu is held.
func (o *outside) peer(to netip.AddrPort) (*peer, error) {
	o.clock++
	if p := o.peers[to]; p != nil {
		p.used = o.clock
		return p, nil
	}
	guest, err := o.bound()
	if err != nil {
		return nil, err
	}
	if len(o.peers) >= peersOfSocket {
		o.evict()
	}
	p, err := o.newPeer(to, guest)
	if err != nil {
		return nil, err
	}
	if o.peers == nil {
		o.peers = map[netip.AddrPort]*peer{}
	}
	o.peers[to] = p
	return p, nil
}

// bound returns the host's address of the socket, which gets one if it has none.
func (o *outside) bound() (netip.AddrPort, error) {
	if err := o.r.portFor(placeOf(o.s)); err != nil {
		return netip.AddrPort{}, err
	}
	return o.s.hostName()
}

func (o *outside) evict() {
	var oldest *peer
	least := uint64(math.MaxUint64)
	for _, p := range o.peers {
		if p != o.connected && p.used < least {
			oldest, least = p, p.used
		}
	}
	o.forget(oldest)
	oldest.finish()
}

func (o *outside) forget(p *peer) {
	if o.peers[p.to] == p {
		delete(o.peers, p.to)
	}
	o.gates.Lock()
	delete(o.gateways, p.host)
	o.gates.Unlock()
}

func (o *outside) newPeer(to, guest netip.AddrPort) (*peer, error) {
	r := o.r
	r.mu.Lock()
	full := r.peers >= peersOfNetwork
	if !full {
		r.peers++
	}
	r.mu.Unlock()
	if full {
		return nil, syscall.ENOBUFS
	}
	if err := reservePair(); err != nil {
		r.mu.Lock()
		r.peers--
		r.mu.Unlock()
		return nil, err
	}
	here := net.UDPAddrFromAddrPort(r.gateAddr())
	gate, err := net.DialUDP("udp4", here, net.UDPAddrFromAddrPort(guest)) // it hears only the guest
	if err != nil {
		r.peerGone()
		return nil, errnoOf(err)
	}
	p := &peer{o: o, to: to, gate: gate, host: addrPort(gate.LocalAddr), used: o.clock, held: r.keep(gate)}
	p.at = o.s.sockaddr(p.host)
	o.gates.Lock()
	if o.gateways == nil {
		o.gateways = map[netip.AddrPort]netip.AddrPort{}
	}
	o.gateways[p.host] = to
	o.gates.Unlock()
	if p.held == nil || !r.start(p.run) {
		o.forget(p)
		gate.Close()
		r.peerGone()
		return nil, syscall.ENETDOWN
	}
	return p, nil
}

func (r *dialed) peerGone() {
	unreservePair()
	r.mu.Lock()
	r.peers--
	r.mu.Unlock()
}

// finish ends the peer once all was carried that the guest sent.
func (p *peer) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished = true
	_ = p.gate.SetReadDeadline(past)
}

// run carries datagrams, with a connection from the first one on.
func (p *peer) run() {
	r := p.o.r
	defer r.peerGone()
	defer r.drop(p.held)
	buf := buffers.Get().(*[datagram]byte)
	defer buffers.Put(buf)
	n, ok := p.next(buf[:])
	if !ok {
		return
	}
	conn, err := r.dial(r.ctx, "udp", p.to)
	if err != nil {
		p.failed(errnoOf(err), true)
		return
	}
	received := make(chan struct{})
	go func() {
		p.receive(conn.Conn)
		close(received)
	}()
	for ok {
		_ = safely(func() error {
			p.sent.Add(1)
			_, err := conn.Write(buf[:n])
			if errors.Is(err, syscall.ECONNREFUSED) {
				p.failed(syscall.ECONNREFUSED, false)
			}
			return err // as any network may lose one
		})
		n, ok = p.next(buf[:])
	}
	r.drop(conn.held)
	<-received
}

var (
	buffers = sync.Pool{New: func() any { return new([datagram]byte) }}
	past    = time.Unix(1, 0)
)

// next waits for a datagram of the guest's; false when no more come.
func (p *peer) next(buf []byte) (n int, ok bool) {
	for {
		n, err := p.gate.Read(buf)
		switch {
		case err == nil:
			return n, true
		case errors.Is(err, os.ErrDeadlineExceeded):
			return p.left(buf)
		case !errors.Is(err, syscall.ECONNREFUSED): // of one that the guest did not want
			return 0, false
		}
	}
}

// left returns what has come before the end.
func (p *peer) left(buf []byte) (n int, ok bool) {
	conn, err := p.gate.SyscallConn()
	if err != nil {
		return 0, false
	}
	_ = conn.Control(func(fd uintptr) {
		for {
			n, _, err = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
			if err != unix.EINTR && err != unix.ECONNREFUSED {
				return
			}
		}
	})
	return n, err == nil
}

// receive carries to the guest until the connection ends.
func (p *peer) receive(conn net.Conn) {
	buf := buffers.Get().(*[datagram]byte)
	defer buffers.Put(buf)
	refused := int64(0)
	for {
		var n int
		err := safely(func() (err error) {
			n, err = conn.Read(buf[:])
			return err
		})
		switch {
		case err == nil:
			_, _ = p.gate.Write(buf[:n]) // a guest that does not read loses it
		case errors.Is(err, syscall.ECONNREFUSED) && refused < p.sent.Load(): // else it will say so for ever
			refused++
			p.failed(syscall.ECONNREFUSED, false)
		case errors.Is(err, io.EOF):
			p.failed(syscall.ECONNREFUSED, true)
			return
		default:
			p.failed(errnoOf(err), true)
			return
		}
	}
}

// failed tells a guest that is connected to the peer; at its end it is a new one that
// the next datagram goes to.
func (p *peer) failed(errno syscall.Errno, end bool) {
	p.mu.Lock()
	finished := p.finished
	p.mu.Unlock()
	o := p.o
	o.mu.Lock()
	tell := !finished && !o.closed && o.connected == p
	if tell {
		o.err = errno
	}
	if end {
		o.forget(p)
	}
	o.mu.Unlock()
	if end {
		p.finish()
	}
	if tell {
		o.s.Notify(vfs.EventErr)
	}
}
