package hati

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/hati-os/hati/internal/confine"
	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/internal/servers/iofs"
	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
)

// ServeConfig says what [Serve] serves.
type ServeConfig struct {
	// Kind is the server, Args its arguments:
	//
	//	host DIR     a directory, or a file, of the host
	//	tmp          an empty file system in memory
	//	zip FILE     the files of a zip archive, read-only
	Kind string
	Args []string
	// Listen is the socket's path. One that a server left which is gone is
	// replaced. "" is none.
	Listen string
	// Names is the socket of a registry (hati names) in which the server is Name.
	Names, Name string
	// ReadOnly refuses changes.
	ReadOnly bool
	// Unconfined leaves the process its rights. Otherwise it can, from when it
	// serves, open nothing but what it serves (Landlock), start no programs and use
	// no network (seccomp), for good.
	Unconfined bool
	// Log hears of clients that broke the protocol.
	Log func(format string, args ...any)
}

// Serve runs one of hati's servers, for boxes of any process that can write to
// the socket (see [LaneServer]), until ctx ends. It confines the whole process.
func Serve(ctx context.Context, c ServeConfig) error {
	s := serverSpec{Kind: c.Kind, Args: c.Args, ReadOnly: c.ReadOnly}
	fs, err := s.open()
	if err != nil {
		return fmt.Errorf("hati: serve: %w", err)
	}
	var l *lane.Listener
	var registry *names.Conn
	switch {
	case c.Name != "" && c.Listen == "":
		if registry, err = names.Dial(ctx, c.Names); err == nil {
			defer registry.Close()
		}
	case c.Name == "" && c.Listen != "":
		l, err = remote.Listen(c.Listen, 0o600, lane.Config{})
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
	o := s.options()
	o.Log = c.Log
	if registry != nil {
		return RegisterServer(ctx, registry, c.Name, 0, fs, o)
	}
	return remote.ServeListener(ctx, l, fs, o)
}

// serverSpec is one of hati's servers, as it crosses to a process of its own.
type serverSpec struct {
	Kind     string
	Args     []string
	ReadOnly bool
	Hidden   []string
}

var serverArgs = map[string]int{"host": 1, "tmp": 0, "zip": 1}

func (s *serverSpec) open() (vfs.FS, error) {
	want, known := serverArgs[s.Kind]
	switch {
	case !known:
		return nil, fmt.Errorf("no server %q: there are host, tmp, zip", s.Kind)
	case len(s.Args) != want || want > 0 && s.Args[0] == "":
		return nil, fmt.Errorf("server %s: want %d arguments, not %q", s.Kind, want, s.Args)
	}
	switch s.Kind {
	case "host":
		return host.New(s.Args[0], host.Options{ReadOnly: s.ReadOnly, Hidden: s.Hidden})
	case "zip":
		z, err := zip.OpenReader(s.Args[0])
		if err != nil {
			return nil, err
		}
		return iofs.New(z), nil
	}
	return tmp.New(tmp.Options{Mode: 0o755, UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}), nil
}

// confine leaves the process what the server needs, which has opened its files.
func (s *serverSpec) confine() error {
	rules := []confine.Rule{}
	if s.Kind == "host" {
		access := confine.Read
		if !s.ReadOnly {
			access |= confine.Write
		}
		rules = append(rules, confine.Rule{Path: s.Args[0], Access: access})
	}
	if err := confine.Files(rules...); err != nil {
		return err
	}
	if s.Kind != "host" || filepath.Clean(s.Args[0]) != "/" {
		if err := cannotOpen("/"); err != nil {
			return err
		}
	}
	return confine.Calls()
}

func (s *serverSpec) options() remote.ServeOptions {
	return remote.ServeOptions{
		SharedWrites: s.Kind == "host",                         // a write is one host call
		Unordered:    true,                                     // these are plain files
		Inline:       slices.Contains([]string{"tmp"}, s.Kind), // never waits
	}
}
