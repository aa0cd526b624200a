package hati

import (
	"context"
	"fmt"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
)

// LaneNetwork is a network whose server listens at socket (hati serve net, or any
// program with package remote). The server may hang, lie or die: a call that was under
// way then fails with EIO, later ones on its sockets with ENOTCONN, but connections that
// it had lent go on; new sockets are made as soon as a server that was started anew
// listens at socket (see [remote.RedialNetwork]).
func LaneNetwork(socket string) Network {
	return Network{connects: true, dial: func(*Box) (remote.Dialer, error) { return remote.NetworkDialer(socket), nil }}
}

// NamedNetwork is the network that is registered under name in Config.Names (see
// [RegisterNetwork]), or whatever network has the name later.
func NamedNetwork(name string) Network {
	return Network{connects: true, dial: func(b *Box) (remote.Dialer, error) {
		if b.names == nil {
			return nil, errNoNames
		}
		return b.namedDialer(name, networkProtocol()), nil
	}}
}

// remoteNetwork reaches a network that is served elsewhere.
func (b *Box) remoteNetwork(n Network) (vfs.Network, error) {
	dial, err := n.dial(b)
	if err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startGrace)
	defer cancel()
	c, err := remote.RedialNetwork(ctx, dial)
	if err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	b.servers = append(b.servers, c.Close)
	return c, nil
}

// errNotServed is what is wrong with a network that is not made here.
func errNotServed(name string) error {
	return fmt.Errorf("network %q: it is not one that is served: want loopback or host: %w", name, syscall.EINVAL)
}
