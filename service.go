package hati

import (
	"context"
	"io/fs"

	"github.com/hati-os/hati/internal/confine"
	"github.com/hati-os/hati/internal/servers/inet"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
)

// service is what a process serves: files or a network.
type service struct {
	fs      vfs.FS
	files   remote.ServeOptions
	network vfs.Network // if fs is nil
	sockets remote.NetworkOptions
}

// set sets what whoever serves decides.
func (v *service) set(log func(string, ...any), noLend bool) {
	v.files.Log, v.files.NoLend = log, noLend
	v.sockets.Log, v.sockets.NoLend = log, noLend
}

func (v *service) listen(path string) (*lane.Listener, error) {
	if v.fs == nil {
		return remote.ListenNetwork(path, 0o600)
	}
	return remote.Listen(path, 0o600, lane.Config{})
}

// serve answers at one lane.
func (v *service) serve(ctx context.Context, end *lane.Lane) error {
	if v.fs == nil {
		return remote.ServeNetwork(ctx, end, v.network, v.sockets)
	}
	return remote.Serve(ctx, end, v.fs, v.files)
}

// serveListener answers at all lanes that l accepts.
func (v *service) serveListener(ctx context.Context, l *lane.Listener) error {
	if v.fs == nil {
		return remote.ServeNetworkListener(ctx, l, v.network, v.sockets)
	}
	return remote.ServeListener(ctx, l, v.fs, v.files)
}

// register answers those who ask a registry for a name.
func (v *service) register(ctx context.Context, d names.Directory, name string, mode fs.FileMode) error {
	protocol, log := filesProtocol(), v.files.Log
	if v.fs == nil {
		protocol, log = networkProtocol(), v.sockets.Log
	}
	return register(ctx, d, name, mode, protocol, log, v.serve)
}

// protocol is that of a lane to the server.
func (s *serverSpec) protocol(name string) lane.Config {
	if k, err := s.kind(); err == nil && k.network != nil {
		return remote.NetworkConfig(name)
	}
	return remote.Config(name)
}

// net opens a network that is served.
func (s *serverSpec) net() (vfs.Network, error) {
	n, err := ParseNetwork(s.Args[0])
	if err != nil {
		return nil, err
	}
	if n.spec == nil {
		return nil, errNotServed(s.Args[0])
	}
	if s.Rules != nil {
		return inet.HostRules(s.Rules.check), nil
	}
	network, end, err := n.open()
	if err == nil && end != nil {
		s.ending = append(s.ending, end)
	}
	return network, err
}

// netRules are the settings of the host's network, to read.
func (s *serverSpec) netRules() []confine.Rule {
	if s.Args[0] != "host" {
		return nil
	}
	return []confine.Rule{{Path: "/proc/sys/net", Access: confine.Read}}
}
