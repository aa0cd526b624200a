package hati

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/netconn"
)

// Publish is a TCP port of the host that leads to one of the box.
type Publish struct {
	// Listen is where this process listens: the zero address is 127.0.0.1, and port 0
	// any that is free (see [Published.Addr]).
	Listen netip.AddrPort
	// Listener, when not nil, is listened at instead. The box closes it. Connections
	// that have no CloseWrite end when the program has said all.
	Listener net.Listener
	// Port is that at which a program of the box listens, at 127.0.0.1 or else ::1.
	Port uint16
}

// ParsePublish understands what hati run --publish is given:
// [HOSTADDR:]HOSTPORT:PORT, with 127.0.0.1 for no address. An IPv6 address stands in
// brackets.
func ParsePublish(s string) (Publish, error) {
	bad := func(why string) (Publish, error) {
		return Publish{}, fmt.Errorf("publish %q: %s (want [HOSTADDR:]HOSTPORT:PORT): %w", s, why, syscall.EINVAL)
	}
	rest, inside, ok := cutLast(strings.TrimSuffix(s, "/tcp"))
	if strings.Contains(inside, "/") {
		return bad("only TCP is published")
	}
	if !ok {
		return bad("there are no two ports")
	}
	host, outside, ok := cutLast(rest)
	addr := netip.Addr{}
	if ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
		switch {
		case err != nil:
			return bad(strconv.Quote(host) + " is no IP address")
		case a.Is6() != strings.HasPrefix(host, "["):
			return bad("IPv6 addresses stand in brackets, and no others")
		}
		addr = a
	} else {
		outside = rest
	}
	out, err1 := strconv.ParseUint(outside, 10, 16)
	in, err2 := strconv.ParseUint(inside, 10, 16)
	if err1 != nil || err2 != nil || in == 0 {
		return bad("a port is a number up to 65535, and the box's not 0")
	}
	return Publish{Listen: netip.AddrPortFrom(addr, uint16(out)), Port: uint16(in)}, nil
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

// Published is a port that is published. Its methods may be called concurrently.
type Published struct {
	box *Box
	l   net.Listener
	to  string
}

// Publish listens on the host, and connects who comes with the program that listens at
// p.Port of the box's loopback; who comes while there is none is hung up on. The ends of
// what either side sends, and resets, are the other's, too. It goes on until Close, of
// it or of the box.
//
// The box's network must be a [LoopbackNetwork], or a [NetworkServer]: with the host's,
// programs listen on the host themselves.
func (b *Box) Publish(p Publish) (*Published, error) {
	switch {
	case b.network == nil:
		return nil, fmt.Errorf("publish %v: the box has no network to lead to: it needs a loopback (--net loopback): %w", p, syscall.EAFNOSUPPORT)
	case b.netKind == networkHost:
		return nil, fmt.Errorf("publish %v: programs that have the host's network listen on the host themselves; publishing is for a loopback (--net loopback): %w", p, syscall.EINVAL)
	case p.Port == 0:
		return nil, fmt.Errorf("publish %v: port 0 of the box is nobody's: %w", p, syscall.EINVAL)
	}
	if _, err := b.reach.enter(); err != nil {
		return nil, err
	}
	l, err := p.open()
	if err != nil {
		b.reach.leave()
		return nil, fmt.Errorf("publish %v: %w", p, err)
	}
	pub := &Published{box: b, l: l, to: net.JoinHostPort("localhost", strconv.Itoa(int(p.Port)))}
	if !b.reach.add(l) {
		l.Close()
		b.reach.leave()
		return nil, ErrClosed
	}
	go pub.run()
	return pub, nil
}

func (p Publish) open() (net.Listener, error) {
	if p.Listener != nil {
		return p.Listener, nil
	}
	addr, network := p.listen(), "tcp"
	if addr.Addr().Is4() {
		network = "tcp4" // else Go has 0.0.0.0 be all of IPv6, too
	}
	return net.ListenTCP(network, net.TCPAddrFromAddrPort(addr))
}

func (p Publish) listen() netip.AddrPort {
	if !p.Listen.Addr().IsValid() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), p.Listen.Port())
	}
	return p.Listen
}

func (p Publish) String() string {
	if p.Listener != nil {
		return fmt.Sprintf("%v:%d", p.Listener.Addr(), p.Port)
	}
	return fmt.Sprintf("%v:%d", p.listen(), p.Port)
}

// publish does so with all that a Config has.
func (b *Box) publish(all []Publish) error {
	for _, p := range all {
		pub, err := b.Publish(p)
		if err != nil {
			return err
		}
		if b.log != nil {
			b.log.Info("published", "address", pub.Addr().String(), "port", p.Port)
		}
	}
	return nil
}

// Addr is where it listens on the host.
func (p *Published) Addr() net.Addr { return p.l.Addr() }

// Close has nobody come any more. Connections that there are go on.
func (p *Published) Close() error { return p.l.Close() }

// run takes connections until there are none any more.
func (p *Published) run() {
	defer p.box.reach.leave()
	defer p.box.reach.remove(p.l)
	defer p.l.Close()
	for {
		c, err := p.l.Accept()
		switch {
		case err == nil:
			if _, err := p.box.reach.enter(); err != nil {
				c.Close()
				return
			}
			go func() {
				defer p.box.reach.leave()
				p.forward(c)
			}()
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
			if !p.room() {
				return
			}
		case errors.Is(err, net.ErrClosed):
			return
		default:
			if p.box.log != nil {
				p.box.log.Warn("publishing ends", "address", p.Addr().String(), "error", err)
			}
			return
		}
	}
}

// room waits before trying again when there are no descriptors: whoever closes some
// tells nobody. It is false at the box's end.
func (p *Published) room() bool {
	end, err := p.box.reach.enter()
	if err != nil {
		return false
	}
	defer p.box.reach.leave()
	const pause = 100 * time.Millisecond
	select {
	case <-time.After(pause):
		return true
	case <-end:
		return false
	}
}

// forward carries what one connection of the host has to say, and the answer.
func (p *Published) forward(outside net.Conn) {
	if !p.box.reach.add(outside) {
		outside.Close()
		return
	}
	defer p.box.reach.remove(outside)
	defer outside.Close()
	inside, err := p.box.dial(context.Background(), "tcp", p.to)
	if err != nil {
		reset(outside)
		return
	}
	defer inside.Close()
	var way sync.WaitGroup
	way.Go(func() { pass(outside, inside, outside, inside) })
	pass(inside, outside, outside, inside)
	way.Wait()
}

// pass copies one direction, and its end. When that fails, neither direction goes on.
func pass(to, from, outside net.Conn, inside *netconn.Conn) {
	_, err := io.Copy(to, from)
	if err == nil {
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			err = half.CloseWrite()
		} else {
			err = to.Close()
		}
		if errors.Is(err, syscall.ENOTCONN) {
			err = nil // it has ended already
		}
	}
	if err != nil {
		_ = inside.Reset()
		inside.Close()
		reset(outside)
	}
}

// reset ends a connection so that the peer hears that something went wrong.
func reset(c net.Conn) {
	if tcp, ok := c.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}
