package hati

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/hati-os/hati/internal/servers/srv"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
)

// errNoNames is what is wrong with a named mount without Config.Names.
var errNoNames = errors.New("there is no registry of names (Config.Names, --names)")

// Services mounts a registry's services at path: each is a file, whose reads and
// writes are messages of a conversation with the server. Config.Names has that
// done at /srv.
func Services(d names.Directory, path string) Mount {
	return Mount{Path: path, kind: "srv", source: "srv", open: func(b *Box, _ *Mount) (vfs.FS, error) {
		s := srv.New(d)
		b.servers = append(b.servers, s.Close)
		return s, nil
	}}
}

// NamedServer mounts the file server that is registered under name in
// Config.Names (see [RegisterServer]) at path. When the server ends, its
// files fail with ENOTCONN until another one has the name (see [remote.Redial]).
func NamedServer(name, path string) Mount {
	return Mount{Path: path, kind: "lane", source: name, open: func(b *Box, _ *Mount) (vfs.FS, error) {
		if b.names == nil {
			return nil, errNoNames
		}
		ctx, cancel := context.WithTimeout(context.Background(), startGrace)
		defer cancel()
		c, err := remote.Redial(ctx, b.namedDialer(name, filesProtocol()))
		if err != nil {
			return nil, err
		}
		c.SetJob(b.terminals)
		b.servers = append(b.servers, c.Close)
		return c.FS(), nil
	}}
}

// namedDialer opens a name of Config.Names.
func (b *Box) namedDialer(name string, p names.Protocol) remote.Dialer {
	return func(ctx context.Context) (*lane.Lane, error) {
		o, err := b.names.Open(ctx, name, names.Request{Protocol: p})
		if err != nil {
			return nil, err
		}
		return o.Lane, nil
	}
}

func filesProtocol() names.Protocol { return protocolOf(remote.Config("")) }

func networkProtocol() names.Protocol { return protocolOf(remote.NetworkConfig("")) }

func protocolOf(c lane.Config) names.Protocol {
	return names.Protocol{Name: c.Protocol, Version: c.Version, Oldest: c.Oldest}
}

// parseNamed reads the NAME:DST[:ro|rw] of name:NAME:DST[:ro|rw].
func parseNamed(s string) (Mount, error) {
	name, rest, _ := strings.Cut(s, ":")
	dst, mode, given := strings.Cut(rest, ":")
	if !names.Valid(name) || !path.IsAbs(dst) || given && mode != "ro" && mode != "rw" {
		return Mount{}, fmt.Errorf("mount \"name:%s\": want name:NAME:DST[:ro|rw], with an absolute DST", s)
	}
	m := NamedServer(name, path.Clean(dst))
	m.ReadOnly = mode == "ro"
	return m, nil
}

// RegisterServer offers a file server under a name until ctx ends or the directory
// is gone: each client gets a lane of its own. mode says who may (0 is 0600).
func RegisterServer(ctx context.Context, d names.Directory, name string, mode fs.FileMode, server vfs.FS, o remote.ServeOptions) error {
	v := &service{fs: server, files: o}
	return v.register(ctx, d, name, mode)
}

// RegisterNetwork is [RegisterServer] for a network, which [NamedNetwork] uses.
func RegisterNetwork(ctx context.Context, d names.Directory, name string, mode fs.FileMode, n vfs.Network, o remote.NetworkOptions) error {
	v := &service{network: n, sockets: o}
	return v.register(ctx, d, name, mode)
}

// register has serve answer at each lane that somebody opens by name.
func register(ctx context.Context, d names.Directory, name string, mode fs.FileMode, protocol names.Protocol,
	log func(string, ...any), serve func(context.Context, *lane.Lane) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	g, err := d.Register(ctx, name, names.Service{
		Protocol: protocol, Mode: mode, Shared: true,
		Accept: func(_ context.Context, who names.Opening, l *lane.Lane) error {
			clients.Go(func() {
				if err := serve(ctx, l); err != nil && ctx.Err() == nil && log != nil {
					log("the lane of process %d ended: %v", who.Client.PID, err)
				}
			})
			return nil
		},
	})
	if err != nil {
		return err
	}
	defer g.Close()
	var gone <-chan struct{}
	if c, ok := d.(interface{ Done() <-chan struct{} }); ok {
		gone = c.Done()
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-gone:
		return names.ErrClosed
	}
}
