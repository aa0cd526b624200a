package inet

import (
	"context"
	"net"
	"net/netip"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// dialing is a connection of a stream socket to the outside. Guarded by outside.mu.
type dialing struct {
	to     netip.AddrPort
	state  dialState
	cancel context.CancelFunc
	err    syscall.Errno // of a failed one, until somebody was told
	gate   *net.TCPListener
	at     []byte         // the gateway's address, as the host's socket has it
	own    netip.AddrPort // of a made one
	carry  *carrier
}

type dialState int

const (
	dialUnderWay dialState = iota
	dialFailed
	dialMade
)

func (r *dialed) connectStream(ctx context.Context, s *Socket, addr []byte) error {
	if abi.SockaddrFamily(addr) == unix.AF_UNSPEC {
		if o := s.outside.Load(); o != nil {
			o.mu.Lock()
			o.endDial()
			o.dial = nil
			o.mu.Unlock()
		}
		return r.loopback.connect(ctx, s, addr)
	}
	to, outside := s.leads(addr)
	outside = outside && to.Addr() != guestAddr
	o := s.outside.Load()
	if o == nil {
		if !outside {
			return r.loopback.connect(ctx, s, within(addr))
		}
		o = r.outsideOf(s)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.dial != nil:
		return o.howDial()
	case !outside:
		return r.loopback.connect(ctx, s, within(addr))
	}
	if err := r.reachable(s, to); err != nil {
		return err
	}
	if err := s.mayDial(); err != nil {
		return err
	}
	return o.beginDial(to)
}

// States of TCP.
const (
	tcpSynSent     = 2
	tcpSynReceived = 3
	tcpClosed      = 7
	tcpListen      = 10
)

// tcpState is the one of a socket of the host.
func tcpState(fd int) (byte, error) {
	var info [1]byte
	_, err := getsockopt(fd, unix.SOL_TCP, unix.TCP_INFO, info[:])
	return info[0], err
}

// mayDial says what the host would say of a socket that cannot connect any more.
func (s *Socket) mayDial() error {
	state, err := tcpState(s.fd)
	if err != nil {
		return err
	}
	switch state {
	case tcpClosed:
		return nil
	case tcpSynSent, tcpSynReceived:
		return syscall.EALREADY
	}
	return syscall.EISCONN
}

func (o *outside) beginDial(to netip.AddrPort) error {
	if err := reservePair(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(o.r.ctx)
	d := &dialing{to: to, cancel: cancel}
	if o.closed || !o.r.start(func() { o.r.dialStream(ctx, o, d) }) {
		unreservePair()
		cancel()
		return syscall.ENETDOWN
	}
	o.dial = d
	return syscall.EINPROGRESS
}

// howDial is what a later connect(2) says.
func (o *outside) howDial() error {
	switch d := o.dial; d.state {
	case dialUnderWay:
		return syscall.EALREADY
	case dialFailed:
		o.dial = nil
		if d.err == 0 {
			return syscall.ECONNABORTED // it was told otherwise
		}
		return d.err
	default:
		return connect(o.s.fd, d.at) // the host knows whether it was told
	}
}

// endDial gives an attempt up, and lets a connection end when all was carried.
func (o *outside) endDial() {
	d := o.dial
	if d == nil {
		return
	}
	d.cancel()
	if d.gate != nil {
		d.gate.Close()
	}
	if d.carry != nil {
		d.carry.orphan()
	}
}

// dialStream makes the connection.
func (r *dialed) dialStream(ctx context.Context, o *outside, d *dialing) {
	defer d.cancel()
	conn, err := r.dial(ctx, "tcp", d.to)
	if err == nil {
		if err = r.join(o, d, conn); err != nil {
			r.drop(conn.held)
		}
	}
	if err == nil {
		o.s.Notify(vfs.EventsOut)
		return
	}
	unreservePair()
	o.mu.Lock()
	if d.state == dialUnderWay {
		d.state, d.err = dialFailed, errnoOf(err)
	}
	o.mu.Unlock()
	o.s.Notify(vfs.EventsIn | vfs.EventsOut | vfs.EventErr | vfs.EventHup)
}

// join connects the guest's socket to a gateway, and that with conn.
func (r *dialed) join(o *outside, d *dialing, conn dialedConn) error {
	gate, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(r.gateAddr()))
	if err != nil {
		return err
	}
	defer gate.Close()
	guest, err := o.toGate(d, gate)
	if err != nil {
		return err
	}
	for {
		c, err := gate.AcceptTCP()
		if err != nil {
			return err
		}
		if addrPort(c.RemoteAddr) != guest {
			c.Close() // whoever that was
			continue
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.dial != d || o.closed || d.state != dialUnderWay {
			c.Close()
			return net.ErrClosed
		}
		carry := &carrier{r: r, conn: conn, gate: c}
		if !carry.start() {
			c.Close()
			return net.ErrClosed
		}
		d.state, d.own, d.carry = dialMade, o.local(conn.Conn), carry
		return nil
	}
}

// toGate has the guest's socket begin to connect to the gate, and returns whence.
func (o *outside) toGate(d *dialing, gate *net.TCPListener) (netip.AddrPort, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dial != d || o.closed || d.state != dialUnderWay {
		return netip.AddrPort{}, net.ErrClosed
	}
	d.gate, d.at = gate, o.s.sockaddr(addrPort(gate.Addr))
	err := connect(o.s.fd, d.at)
	if err == syscall.ECONNABORTED {
		err = connect(o.s.fd, d.at) // of an earlier attempt within the loopback
	}
	if err != nil && err != syscall.EINPROGRESS {
		return netip.AddrPort{}, err
	}
	return o.s.hostName()
}

func addrPort(of func() net.Addr) (a netip.AddrPort) {
	_ = safely(func() error {
		if t, ok := of().(interface{ AddrPort() netip.AddrPort }); ok {
			a = netip.AddrPortFrom(t.AddrPort().Addr().Unmap().WithZone(""), t.AddrPort().Port())
		}
		return nil
	})
	return a
}

// abort is shutdown(2) while the connection is being made: it ends that.
func (s *Socket) abort() bool {
	o := s.outside.Load()
	if o == nil {
		return false
	}
	o.mu.Lock()
	d := o.dial
	if d == nil || d.state != dialUnderWay {
		o.mu.Unlock()
		return false
	}
	o.endDial()
	d.state, d.err = dialFailed, syscall.ECONNABORTED
	o.mu.Unlock()
	s.Notify(vfs.EventsIn | vfs.EventsOut | vfs.EventErr | vfs.EventHup)
	return true
}
