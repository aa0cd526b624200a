package hati

import (
	"context"
	"fmt"
	"net"

	"github.com/hati-os/hati/internal/servers/inet"
	"github.com/hati-os/hati/vfs"
)

// NetworkFuncs are what a box with a [DialNetwork] finds outside. They are called
// concurrently, and what they return is used concurrently and closed in the end.
type NetworkFuncs struct {
	// DialContext connects to an address outside, as that of [net.Dialer] or
	// [net/http.Transport] does: network is "tcp" or "udp", address an IP address and a
	// port. nil is nothing outside (ENETUNREACH).
	//
	// It may take its time. connect(2) waits for it, and ctx ends when the program
	// gives the connection up: it closes the socket, it is killed, the box is closed; a
	// signal ends the wait only, as on Linux. The program sees the syscall.Errno in an
	// error, ETIMEDOUT for a timeout, else EHOSTUNREACH.
	//
	// A "udp" connection is dialed when there is a datagram to send, for each address
	// that a socket sends to; each Write and Read is one. Its ctx ends with the box.
	//
	// Programs tell the other end with shutdown(2) that they have sent all if the
	// connection has CloseWrite, as those of TCP, TLS and ssh have.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// ListenContext listens outside for programs that listen at other addresses than
	// the loopback's, as [net.ListenConfig] does. nil is that nobody outside hears of
	// them.
	ListenContext func(ctx context.Context, network, address string) (net.Listener, error)
}

// DialNetwork is a network of the box's own, as [LoopbackNetwork] is, around which is
// what f says: a proxy, a tunnel, a network of tests, nothing.
//
// There is no name server in it but what f has: resolvers send datagrams to the address
// in the box's /etc/resolv.conf, port 53, and those arrive at f.DialContext.
func DialNetwork(f NetworkFuncs) Network {
	return Network{open: func() (vfs.Network, func() error, error) {
		n, err := inet.Dialed(inet.Dialer{Dial: f.DialContext, Listen: f.ListenContext})
		if err != nil {
			return nil, nil, fmt.Errorf("network: %w", err)
		}
		return n, n.Close, nil
	}}
}
