package hati

import (
	"context"
	"errors"
	"fmt"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names"
)

// ServeConfig says what [Serve] serves.
type ServeConfig struct {
	// Kind is the server, Args its arguments: see [ServeKinds].
	Kind string
	Args []string
	// Upper is, for an overlay, the empty directory of the host that gets what is
	// changed; "" is memory.
	Upper string
	// Listen is the socket's path. One that a server left which is gone is
	// replaced. "" is none.
	Listen string
	// Names is the socket of a registry (hati names) in which the server is Name.
	Names, Name string
	// ReadOnly refuses changes.
	ReadOnly bool
	// NoLend has every read and write ask the server. Otherwise it hands over the
	// descriptors of open files where that is faster.
	NoLend bool
	// Unconfined leaves the process its rights. Otherwise it can, from when it
	// serves, open nothing but what it serves (Landlock), start no programs and, unless
	// it serves one, use no network (seccomp), for good.
	Unconfined bool
	// Log hears of clients that broke the protocol.
	Log func(format string, args ...any)
}

// Serve runs one of hati's servers, for boxes of any process that can write to
// the socket (see [LaneServer] and [LaneNetwork]), until ctx ends. It confines the whole process.
func Serve(ctx context.Context, c ServeConfig) error {
	s := serverSpec{Kind: c.Kind, Args: c.Args, ReadOnly: c.ReadOnly, Upper: c.Upper}
	v, err := s.open()
	if err != nil {
		return fmt.Errorf("hati: serve: %w", err)
	}
	defer s.end()
	var l *lane.Listener
	var registry *names.Conn
	switch {
	case c.Name != "" && c.Listen == "":
		if registry, err = names.Dial(ctx, c.Names); err == nil {
			defer registry.Close()
		}
	case c.Name == "" && c.Listen != "":
		l, err = v.listen(c.Listen)
	default:
		err = errors.New("want either a socket to listen at or a name and a registry's socket")
	}
	if err != nil {
		return fmt.Errorf("hati: serve: %w", err)
	}
	if !c.Unconfined {
		if err := s.confine(); err != nil {
			if l != nil {
				l.Close()
			}
			return fmt.Errorf("hati: serve: %w", err)
		}
	}
	v.set(c.Log, c.NoLend)
	if registry != nil {
		return v.register(ctx, registry, c.Name, 0)
	}
	return v.serveListener(ctx, l)
}
