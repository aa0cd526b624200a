package hati

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hati-os/hati/internal/guard"
	"github.com/hati-os/hati/internal/posix"
	"github.com/hati-os/hati/internal/servers/dev"
	"github.com/hati-os/hati/internal/servers/fuse"
	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/internal/servers/iofs"
	"github.com/hati-os/hati/internal/servers/overlay"
	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
)

// Mount puts a server at a path. Make one with [HostDir], [Tmpfs], [GoFS] or
// [Server].
type Mount struct {
	Path     string
	ReadOnly bool
	kind     string
	source   string
	foreign  bool // nobody vouches for the server: it goes behind a guard
	// open makes the server; m is the box's own copy of the mount, to complete.
	open func(b *Box, m *Mount) (vfs.FS, error)

	hostReadOnly bool      // of a HostDir: its server refuses changes
	fuse         *fuseSpec // of a FUSE
}

// Mode says what becomes of writes to a mounted host directory.
type Mode string

// The modes of [HostDir].
const (
	ReadOnly  Mode = "ro"      // they fail
	ReadWrite Mode = "rw"      // they go to the host
	Overlay   Mode = "overlay" // they stay in the box and are gone with it
)

// HostDir mounts a directory, or a file, of the host at path. With [ReadWrite],
// file locks (flock, fcntl) of the box's programs hold for the host's processes
// and for other boxes, and theirs for the box; unless the directory shows a
// network file system: then they hold in the box only.
func HostDir(source, path string, mode Mode) Mount {
	return Mount{Path: path, ReadOnly: mode == ReadOnly, kind: "hostfs", source: source, hostReadOnly: mode != ReadWrite, open: func(b *Box, _ *Mount) (vfs.FS, error) {
		h, err := b.openHost(source, host.Options{ReadOnly: mode != ReadWrite})
		if err != nil {
			return nil, err
		}
		if mode != Overlay {
			return h, nil
		}
		return overlay.New(tmp.New(tmp.Options{Mode: 0o755}), h, overlay.Options{})
	}}
}

// Tmpfs mounts an empty file system in memory.
func Tmpfs(path string) Mount {
	return Mount{Path: path, kind: "tmpfs", source: "tmpfs", open: func(b *Box, _ *Mount) (vfs.FS, error) {
		return tmp.New(tmp.Options{}), nil
	}}
}

// GoFS mounts an io/fs file system, read-only. Its methods may block as long as
// they like: see [Server].
func GoFS(fsys fs.FS, path string) Mount {
	return Mount{Path: path, ReadOnly: true, kind: "iofs", source: "iofs", foreign: true, open: func(*Box, *Mount) (vfs.FS, error) {
		return iofs.New(fsys), nil
	}}
}

// Server mounts any server. Nobody has to trust it to keep the contract: a call
// that its caller gives up (a signal, a kill, the box's end) has a second to be
// settled, or none when the end is final; then the caller goes on, with EIO, and
// what the call makes later is closed, unlocked, released. So does a panic end one
// call and nothing else. Box.Operations lists such calls. The price is some 300 ns
// per call.
func Server(server vfs.FS, path string) Mount {
	return Mount{Path: path, kind: "vfs", source: "vfs", foreign: true, open: func(*Box, *Mount) (vfs.FS, error) { return server, nil }}
}

// ParseMount reads a mount as the command line writes it: SRC:DST[:ro|rw|overlay],
// or fuse:COMMAND ARGS:DST (see [ParseFUSE]), or lane:SOCKET:DST[:ro|rw] (see
// [LaneServer]), or name:NAME:DST[:ro|rw] (see [NamedServer]).
// Without a mode it is read-only. DST must be absolute; SRC must exist.
func ParseMount(s string) (Mount, error) {
	if daemon, ok := strings.CutPrefix(s, "fuse:"); ok {
		return ParseFUSE(daemon)
	}
	if server, ok := strings.CutPrefix(s, "lane:"); ok {
		return parseLane(server)
	}
	if name, ok := strings.CutPrefix(s, "name:"); ok {
		return parseNamed(name)
	}
	parts := strings.Split(s, ":")
	mode := ReadOnly
	switch {
	case len(parts) == 3:
		mode = Mode(parts[2])
		if mode != ReadOnly && mode != ReadWrite && mode != Overlay {
			return Mount{}, fmt.Errorf("mount %q: mode %q is none of ro, rw, overlay", s, parts[2])
		}
	case len(parts) != 2:
		return Mount{}, fmt.Errorf("mount %q: want SRC:DST[:ro|rw|overlay]", s)
	}
	src, dst := parts[0], parts[1]
	if src == "" || !path.IsAbs(dst) {
		return Mount{}, fmt.Errorf("mount %q: the source must not be empty and the place must be an absolute path", s)
	}
	abs, err := filepath.Abs(src)
	if err != nil {
		return Mount{}, fmt.Errorf("mount %q: %w", s, err)
	}
	if _, err := os.Stat(abs); err != nil {
		return Mount{}, fmt.Errorf("mount %q: %w", s, err)
	}
	return HostDir(abs, path.Clean(dst), mode), nil
}

// system makes the servers and the configuration of the POSIX server.
func (b *Box) system(c *Config) (*posix.Config, error) {
	pc := &posix.Config{Hostname: c.Hostname}
	if pc.Hostname == "" {
		pc.Hostname, _ = os.Hostname()
	}
	if c.Log != nil {
		pc.Log = func(format string, args ...any) { c.Log.Warn(fmt.Sprintf(format, args...)) }
	}
	if c.Trace != nil {
		pc.Trace = posix.NewTracer(c.Trace)
	}
	var err error
	if pc.Root, err = b.root(c); err != nil {
		return nil, err
	}
	if pc.Network, err = b.openNetwork(c.Network); err != nil {
		return nil, err
	}
	if c.Hostname != "" && c.RootFS == nil && pc.Network != nil {
		if err := nameInHosts(context.Background(), pc.Root, c.Hostname); err != nil && pc.Log != nil {
			pc.Log("%v", err) // the box runs without, too
		}
	}
	pc.Terminals = &posix.Terminals{}
	b.terminals = pc.Terminals
	devices := dev.New(dev.Options{TTY: posix.TTYDevice, FUSE: dev.DeviceFunc(fuse.OpenDevice), Job: pc.Terminals, Owner: pc.Terminals.Owner})
	b.devices, pc.Devices = devices, devices.Registry()
	pc.Mounts = []posix.MountSpec{
		{Path: "/tmp", FS: tmp.New(tmp.Options{}), Source: "tmpfs", Type: "tmpfs"},
		{Path: "/dev", FS: devices, Source: "devtmpfs", Type: "devtmpfs", NoSUID: true},
		{Path: "/dev/pts", FS: devices.Pts(), Source: "devpts", Type: "devpts", NoSUID: true},
		{Path: "/dev/shm", FS: tmp.New(tmp.Options{}), Source: "tmpfs", Type: "tmpfs", NoSUID: true},
		{Path: "/proc", Proc: true, Source: "proc", Type: "proc", NoSUID: true},
	}
	mounts := c.Mounts
	if c.Names != nil {
		mounts = append([]Mount{Services(c.Names, "/srv")}, mounts...)
	}
	for _, m := range mounts {
		if m.open == nil || !path.IsAbs(m.Path) {
			return nil, fmt.Errorf("mount at %q: the place must be an absolute path", m.Path)
		}
		server, err := m.open(b, &m)
		if err != nil {
			return nil, fmt.Errorf("mount %s at %s: %w", m.source, m.Path, err)
		}
		if m.foreign {
			server = b.guarded(server, m.kind+" at "+path.Clean(m.Path))
		}
		spec := posix.MountSpec{Path: path.Clean(m.Path), FS: server, Source: m.source, Type: m.kind, ReadOnly: m.ReadOnly}
		// Whoever serves files could say that they are the superuser's.
		spec.NoSUID = m.kind != "hostfs" && m.kind != "tmpfs"
		pc.Mounts = append(pc.Mounts, spec)
	}
	pc.Guarded = len(b.guards) > 0
	return pc, nil
}

// guarded puts a server behind a guard.
func (b *Box) guarded(server vfs.FS, name string) vfs.FS {
	g := guard.New(server, guard.Options{Name: name, Log: b.log})
	b.guards = append(b.guards, g)
	b.servers = append(b.servers, g.Close)
	return g.FS()
}

// root makes what is shown as /.
func (b *Box) root(c *Config) (vfs.FS, error) {
	if c.RootFS != nil {
		return b.guarded(c.RootFS, "vfs at /"), nil
	}
	dir, hidden := c.rootDir()
	lower, err := b.openHost(dir, host.Options{ReadOnly: true, Hidden: hidden})
	if err != nil {
		return nil, err
	}
	return overlay.New(tmp.New(tmp.Options{Mode: 0o755}), lower, overlay.Options{})
}

// rootDir returns the host directory shown as /, and what is hidden in it.
func (c *Config) rootDir() (dir string, hidden []string) {
	if dir = c.Root; dir == "" {
		dir = "/"
	}
	if !c.ShowSecrets {
		hidden = secretPaths(dir)
	}
	return dir, hidden
}

// secretPaths are the places of secrets, in the tree below root, of the machine,
// of the current user and of all users with a home directory.
func secretPaths(root string) []string {
	homes := map[string]bool{"/root": true}
	if h, err := os.UserHomeDir(); err == nil {
		homes[h] = true
	}
	if entries, err := os.ReadDir(filepath.Join(root, "home")); err == nil {
		for _, e := range entries {
			homes["/home/"+e.Name()] = true
		}
	}
	all := slices.Clone(host.MachineSecretPaths())
	for h := range homes {
		all = append(all, host.SecretPaths(h)...)
	}
	return all
}
