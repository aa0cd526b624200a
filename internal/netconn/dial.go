package netconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Dial connects to an address of n: network is tcp or udp, or one of them with 4 or 6
// at its end. The host is an IP address, or localhost or nothing for n's loopback; no
// other names are looked up. When ctx ends before there is a connection, there is none,
// and the error is ctx's cause. closed is called when the connection has been closed.
func Dial(ctx context.Context, n vfs.Network, network, address string, closed func()) (*Conn, error) {
	kind := strings.TrimRight(network, "46")
	typ := unix.SOCK_STREAM
	switch network {
	case "udp", "udp4", "udp6":
		typ = unix.SOCK_DGRAM
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError(network)}
	}
	places, err := resolve(ctx, network, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	var first error
	for _, to := range places {
		c := &Conn{network: network, stream: typ == unix.SOCK_STREAM, remote: goAddr(kind, to), closed: make(chan struct{}), afterClose: closed}
		err := c.dial(ctx, n, typ, to)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = &net.OpError{Op: "dial", Net: network, Addr: c.remote, Err: err}
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// resolve returns where an address leads.
func resolve(ctx context.Context, network, address string) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, network, service)
	if err != nil {
		return nil, err
	}
	ips := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	if host != "" && host != "localhost" {
		ip, err := netip.ParseAddr(host)
		if err != nil {
			return nil, &net.AddrError{Err: "names of a box are not looked up: want an IP address, or localhost", Addr: host}
		}
		ips = []netip.Addr{ip.Unmap()}
	}
	var places []netip.AddrPort
	for _, ip := range ips {
		if !(strings.HasSuffix(network, "4") && ip.Is6() || strings.HasSuffix(network, "6") && ip.Is4()) {
			places = append(places, netip.AddrPortFrom(ip, uint16(port)))
		}
	}
	if len(places) == 0 {
		return nil, &net.AddrError{Err: fmt.Sprintf("is no address of %s", network), Addr: host}
	}
	return places, nil
}

// dial connects; it leaves no socket when it fails.
func (c *Conn) dial(ctx context.Context, n vfs.Network, typ int, to netip.AddrPort) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	family := unix.AF_INET
	if to.Addr().Is6() {
		family = unix.AF_INET6
	}
	s, err := n.Socket(ctx, family, typ, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	if err := connect(ctx, s, abi.AppendSockaddr(nil, family, to)); err != nil {
		return err
	}
	own, err := s.Addr(ctx, false)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	local, _ := abi.ParseSockaddr(own)
	c.s, c.local = s, goAddr(c.kind(), local)
	return nil
}

func (c *Conn) kind() string { return strings.TrimRight(c.network, "46") }

// connect waits for the connection.
func connect(ctx context.Context, s vfs.Socket, addr []byte) error {
	ready := make(chan struct{}, 1)
	w := vfs.Waiter{Mask: vfs.EventsOut, Wake: func(*vfs.Waiter, vfs.Events) {
		select {
		case ready <- struct{}{}:
		default:
		}
	}}
	watched := false
	for {
		err := s.Connect(ctx, addr)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil || watched && errors.Is(err, syscall.EISCONN):
			return nil
		case !errors.Is(err, syscall.EINPROGRESS) && !errors.Is(err, syscall.EALREADY):
			return os.NewSyscallError("connect", err)
		}
		if !watched {
			watched = true
			s.Watch(&w)
			defer s.Unwatch(&w)
			continue // it may have been ready by then
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func goAddr(kind string, a netip.AddrPort) net.Addr {
	if kind == "udp" {
		return net.UDPAddrFromAddrPort(a)
	}
	return net.TCPAddrFromAddrPort(a)
}
