package hati

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/hati-os/hati/internal/confine"
	"github.com/hati-os/hati/internal/servers/dev"
	"github.com/hati-os/hati/internal/servers/fuse"
	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/internal/servers/iofs"
	"github.com/hati-os/hati/internal/servers/overlay"
	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
)

// serverSpec is one of hati's servers, as it crosses to a process of its own.
type serverSpec struct {
	Kind     string
	Args     []string
	ReadOnly bool
	Upper    string `json:",omitempty"`
	Hidden   []string
	FUSE     *fuseSpec     `json:",omitempty"` // in place of Args
	Rules    *NetworkRules `json:",omitempty"` // of a network

	terminals *remote.Terminals // nil: it has none
	ending    []func() error
}

// end gives back what the server has.
func (s *serverSpec) end() {
	for i := len(s.ending) - 1; i >= 0; i-- {
		_ = s.ending[i]()
	}
	s.ending = nil
}

// serverKind is a kind of server that can be served.
type serverKind struct {
	name, args, help string
	least, most      int // arguments
	open             func(*serverSpec) (vfs.FS, error)
	network          func(*serverSpec) (vfs.Network, error) // instead of open
	// rules are the files that the server opens while it serves.
	rules func(*serverSpec) []confine.Rule
	local bool // what is served is on a disk, or in memory
	o     remote.ServeOptions
}

var serverKinds = []serverKind{
	{name: "host", args: "DIR", help: "a directory, or a file, of the host", least: 1, most: 1,
		open: (*serverSpec).host, rules: (*serverSpec).hostRules, local: true,
		o: remote.ServeOptions{Unordered: true, Survives: true, SharedWrites: true}}, // a write is one host call
	{name: "overlay", args: "[--upper UPPER] LOWER", least: 1, most: 1,
		help: "a directory of the host; changes stay in the server's memory, or go to the empty directory UPPER",
		open: (*serverSpec).overlay, rules: (*serverSpec).overlayRules, local: true},
	{name: "tmp", help: "an empty file system in memory", open: (*serverSpec).tmp, local: true,
		o: remote.ServeOptions{Unordered: true, Inline: true}}, // it never waits
	{name: "zip", args: "FILE", help: "the files of a zip archive, read-only", least: 1, most: 1, open: (*serverSpec).zip, local: true,
		o: remote.ServeOptions{Unordered: true}},
	{name: "dev", help: "null, zero, full, random, urandom, and pseudo-terminals (ptmx, pts)",
		open: func(s *serverSpec) (vfs.FS, error) { return s.dev(), nil }},
	{name: "pts", help: "pseudo-terminals alone: ptmx and a name for each, as in /dev/pts",
		open: func(s *serverSpec) (vfs.FS, error) { return s.dev().Pts(), nil }},
	{name: "fuse", args: "COMMAND", help: "what a FUSE daemon serves: COMMAND is started, and keeps its rights (docs/fuse.md)", least: 1, most: 1,
		open: (*serverSpec).fuse},
	{name: "net", args: "NETWORK", help: "a network, for --net lane:PATH: the host's own (host), or one with 127.0.0.1 and ::1 only (loopback)", least: 1, most: 1,
		network: (*serverSpec).net, rules: (*serverSpec).netRules},
}

// ServeKinds lists what can be served, a line for each: its name, its arguments,
// and what it is.
func ServeKinds() []string {
	var all []string
	for _, k := range serverKinds {
		all = append(all, strings.TrimSpace(k.name+" "+k.args)+": "+k.help)
	}
	return all
}

func (s *serverSpec) kind() (*serverKind, error) {
	var names []string
	for i := range serverKinds {
		k := &serverKinds[i]
		names = append(names, k.name)
		if k.name != s.Kind {
			continue
		}
		if n := len(s.Args); n < k.least || n > k.most || n > 0 && s.Args[0] == "" {
			return nil, fmt.Errorf("server %s: want %q (%s), not %q", s.Kind, k.args, k.help, s.Args)
		}
		if s.Upper != "" && s.Kind != "overlay" {
			return nil, fmt.Errorf("server %s: an upper directory is for overlay: %w", s.Kind, syscall.EINVAL)
		}
		if s.ReadOnly && k.network != nil {
			return nil, fmt.Errorf("server %s: read-only is for files: %w", s.Kind, syscall.EINVAL)
		}
		return k, nil
	}
	return nil, fmt.Errorf("no server %q: there are %s", s.Kind, strings.Join(names, ", "))
}

// open makes what is served.
func (s *serverSpec) open() (*service, error) {
	k, err := s.kind()
	if err != nil {
		return nil, err
	}
	v := &service{}
	if k.network != nil {
		v.network, err = k.network(s)
	} else {
		v.fs, err = k.open(s)
	}
	if err != nil {
		s.end()
		return nil, err
	}
	v.files = k.o
	v.files.Prompt = k.local && !slices.ContainsFunc(s.Args, mayHang) && (s.Upper == "" || !mayHang(s.Upper))
	v.files.Terminals = s.terminals
	return v, nil
}

func (s *serverSpec) openHost(dir string, o host.Options) (*host.FS, error) {
	h, err := host.New(dir, o)
	if err == nil {
		s.ending = append(s.ending, h.Close)
	}
	return h, err
}

func (s *serverSpec) host() (vfs.FS, error) {
	return s.openHost(s.Args[0], host.Options{ReadOnly: s.ReadOnly, Hidden: s.Hidden})
}

func (s *serverSpec) overlay() (vfs.FS, error) {
	lower, err := s.openHost(s.Args[0], host.Options{ReadOnly: true})
	if err != nil || s.ReadOnly {
		return lower, err
	}
	if s.Upper == "" {
		top, _ := s.tmp()
		return overlay.New(top, lower, overlay.Options{})
	}
	d, err := os.Open(s.Upper)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if _, err := d.Readdirnames(1); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the upper directory %s must be empty: what an overlay has removed is known to itself only: %w", s.Upper, syscall.ENOTEMPTY)
	}
	top, err := s.openHost(s.Upper, host.Options{})
	if err != nil {
		return nil, err
	}
	return overlay.New(top, lower, overlay.Options{})
}

func (s *serverSpec) tmp() (vfs.FS, error) {
	return tmp.New(tmp.Options{Mode: 0o755, UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}), nil
}

func (s *serverSpec) zip() (vfs.FS, error) {
	z, err := zip.OpenReader(s.Args[0])
	if err != nil {
		return nil, err
	}
	s.ending = append(s.ending, z.Close)
	return iofs.New(z), nil
}

func (s *serverSpec) dev() *dev.FS {
	s.terminals = &remote.Terminals{}
	return dev.New(dev.Options{Job: s.terminals, Owner: s.terminals.Owner})
}

// fuseSpec is a FUSE daemon that is to be started, for a user of the box.
type fuseSpec struct {
	Argv                           []string
	UID, GID                       uint32
	AllowOther, DefaultPermissions bool
}

// of is the daemon for a user.
func (f *fuseSpec) of(u *User) *fuseSpec {
	own := *f
	own.UID, own.GID = u.UID, u.GID
	return &own
}

// server is the server that starts the daemon.
func (f *fuseSpec) server(u *User) *serverSpec {
	return &serverSpec{Kind: "fuse", Args: []string{strings.Join(f.Argv, " ")}, FUSE: f.of(u)}
}

// start starts the daemon, and completes m with what it has mounted; end ends it.
func (f *fuseSpec) start(stderr io.Writer, m *Mount) (fs *fuse.FS, end func() error, err error) {
	d := &daemon{argv: f.Argv, stderr: stderr, ended: make(chan struct{})}
	fs, err = d.start(fuse.Options{
		UID: f.UID, GID: f.GID, AllowOther: f.AllowOther, DefaultPermissions: f.DefaultPermissions,
	}, m)
	return fs, d.close, err
}

func (s *serverSpec) fuse() (vfs.FS, error) {
	f := s.FUSE
	if f == nil {
		argv, err := words(s.Args[0])
		if err != nil || len(argv) == 0 {
			return nil, fmt.Errorf("%q: no command, or a quote that does not end: %w", s.Args[0], syscall.EINVAL)
		}
		var o FUSEOptions
		o.fromArgs(argv)
		f = &fuseSpec{argv, uint32(os.Geteuid()), uint32(os.Getegid()), o.AllowOther, o.DefaultPermissions}
	}
	fs, end, err := f.start(nil, &Mount{})
	if err != nil {
		return nil, err
	}
	s.ending = append(s.ending, end)
	return fs, nil
}

func (s *serverSpec) hostRules() []confine.Rule {
	access := confine.Read
	if !s.ReadOnly {
		access |= confine.Write
	}
	return []confine.Rule{{Path: s.Args[0], Access: access}}
}

func (s *serverSpec) overlayRules() (rules []confine.Rule) {
	rules = append(rules, confine.Rule{Path: s.Args[0], Access: confine.Read})
	if s.Upper != "" && !s.ReadOnly {
		rules = append(rules, confine.Rule{Path: s.Upper, Access: confine.Read | confine.Write})
	}
	return rules
}

// confine leaves the process what the server needs, which has opened its files.
func (s *serverSpec) confine() error {
	k, err := s.kind()
	if err != nil {
		return err
	}
	var rules []confine.Rule
	if k.rules != nil {
		rules = k.rules(s)
	}
	calls := confine.Calls
	if k.network != nil {
		rules, calls = append(rules, confine.Rule{TCP: true}), confine.NetworkCalls
	}
	if err := confine.Files(rules...); err != nil {
		return err
	}
	servesRoot := false
	for _, r := range rules {
		servesRoot = servesRoot || r.Path != "" && filepath.Clean(r.Path) == "/"
	}
	if !servesRoot {
		if err := cannotOpen("/"); err != nil {
			return err
		}
	}
	return calls()
}
