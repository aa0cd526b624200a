package hati

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hati-os/hati/internal/servers/inet"
	"github.com/hati-os/hati/names"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
)

// Network is what a box has besides AF_UNIX sockets. The zero Network is
// [LoopbackNetwork].
type Network struct {
	none bool
	kind networkKind
	open func() (vfs.Network, func() error, error)
	spec *serverSpec // of one that a process of its own can serve
	// dial reaches one that is served elsewhere, instead of open.
	dial     func(b *Box) (remote.Dialer, error)
	connects bool // to a socket of AF_UNIX
}

type networkKind int

const (
	networkServer networkKind = iota // or none
	networkHost
	networkLoopback
)

// orDefault is what n means.
func (n Network) orDefault() Network {
	if !n.none && n.open == nil && n.dial == nil {
		return LoopbackNetwork()
	}
	return n
}

// NoNetwork is none: sockets other than AF_UNIX's answer EAFNOSUPPORT.
func NoNetwork() Network { return Network{none: true} }

// LoopbackNetwork is a network of the box's own that has 127.0.0.1 and ::1: programs
// of the box reach each other and nothing else, and no port of theirs is in the way of
// the host's or another box's. [Box.Dial] and [Box.Publish] reach in.
func LoopbackNetwork() Network {
	return Network{
		kind: networkLoopback,
		open: func() (vfs.Network, func() error, error) {
			n, err := inet.Loopback()
			if err != nil {
				return nil, nil, err
			}
			return n, n.Close, nil
		},
		spec: &serverSpec{Kind: "net", Args: []string{"loopback"}},
	}
}

// HostNetwork is the host's own: programs of the box listen and connect as if they ran
// beside it, with the rights of this process, but for raw sockets and what looks at or
// changes the host's network.
func HostNetwork() Network {
	return Network{
		kind: networkHost,
		open: func() (vfs.Network, func() error, error) { return inet.Host(), nil, nil },
		spec: &serverSpec{Kind: "net", Args: []string{"host"}},
	}
}

// NetworkServer is a network whose server is written in Go. It is the caller's, and may
// be that of several boxes.
func NetworkServer(n vfs.Network) Network {
	return Network{open: func() (vfs.Network, func() error, error) { return n, nil, nil }}
}

// ParseNetwork understands what hati run --net is given: "none", "loopback", "host",
// "lane:SOCKET" (see [LaneNetwork]) or "name:NAME" (see [NamedNetwork]).
func ParseNetwork(s string) (Network, error) {
	switch kind, arg, _ := strings.Cut(s, ":"); {
	case s == "none":
		return NoNetwork(), nil
	case s == "", s == "loopback":
		return LoopbackNetwork(), nil
	case s == "host":
		return HostNetwork(), nil
	case kind == "lane" && arg != "":
		socket, err := filepath.Abs(arg)
		if err != nil {
			return Network{}, fmt.Errorf("network %q: %w", s, err)
		}
		return LaneNetwork(socket), nil
	case kind == "name" && names.Valid(arg):
		return NamedNetwork(arg), nil
	}
	return Network{}, fmt.Errorf("network %q: want none, loopback, host, lane:SOCKET or name:NAME: %w", s, syscall.EINVAL)
}

// here reports whether the network makes sockets of this process, also in an isolated
// one.
func (n *Network) here() bool { return n.open != nil && n.spec == nil }

// openNetwork opens the box's network; the box ends it.
func (b *Box) openNetwork(n Network) (vfs.Network, error) {
	server, err := b.networkServer(n)
	if err != nil {
		return nil, err
	}
	b.network, b.netKind = server, n.kind
	return server, nil
}

func (b *Box) networkServer(n Network) (vfs.Network, error) {
	switch {
	case n.dial != nil:
		return b.remoteNetwork(n)
	case n.spec != nil && (adopted != nil || b.isolation != NotIsolated):
		return b.networkOf(n.spec)
	case n.open == nil:
		return nil, nil
	}
	server, end, err := n.open()
	if err == nil && end != nil {
		b.servers = append(b.servers, end)
	}
	return server, err
}
