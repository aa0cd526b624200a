package hati

import (
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// FUSEOptions say how a FUSE daemon is mounted. The zero FUSEOptions are what a
// user gets who mounts for himself.
type FUSEOptions struct {
	// AllowOther lets all users of the box in; without it, only the box's own.
	AllowOther bool
	// DefaultPermissions has modes and owners checked in the box. Without it the
	// daemon decides who may do what.
	DefaultPermissions bool
	ReadOnly           bool
	// Stderr gets what the daemon prints; nil is this process's stderr, which it is
	// always for a box with an [Isolation].
	Stderr io.Writer
}

// FUSE mounts a FUSE file system at path: argv is its daemon's command line,
// which runs on the host, as this process's user, with a channel to hati in place
// of /dev/fuse. Neither root nor a mount of the host is needed. The daemon must
// stay in the foreground (-f), and ends with the box.
//
// The mount point that it is told, in place of each {} in argv or else at the
// end, is an empty directory. When it mounts there (mount(2), fusermount), it
// gets the channel, and nothing is mounted on the host. In place of {fd} it is
// told the name of the channel, /dev/fd/3, which daemons on libfuse 3 and go-fuse
// take for a mount point; so it is where the host does not let mounts be caught
// (before Linux 5.9, or in a container that forbids it).
//
// The options allow_other, default_permissions and ro that the daemon mounts
// with, or that are among the -o options in argv, count as those of o.
func FUSE(argv []string, path string, o FUSEOptions) Mount {
	o.fromArgs(argv)
	m := Mount{Path: path, ReadOnly: o.ReadOnly, kind: "fuse", source: "fuse"}
	if len(argv) > 0 {
		m.source = argv[0]
	}
	m.fuse = &fuseSpec{Argv: argv, AllowOther: o.AllowOther, DefaultPermissions: o.DefaultPermissions}
	m.open = func(b *Box, m *Mount) (vfs.FS, error) {
		if adopted != nil || b.isolation != NotIsolated {
			return b.serverOf(m.fuse.server(b.user))
		}
		fs, end, err := m.fuse.of(b.user).start(o.Stderr, m)
		if err != nil {
			return nil, err
		}
		b.servers = append(b.servers, end)
		return fs, nil
	}
	return m
}

// fromArgs takes the options that libfuse would hand to mount(2).
func (o *FUSEOptions) fromArgs(argv []string) {
	for i, a := range argv {
		list, ok := strings.CutPrefix(a, "-o")
		if !ok {
			continue
		}
		if list == "" && i+1 < len(argv) {
			list = argv[i+1]
		}
		all := strings.Split(list, ",")
		o.AllowOther = o.AllowOther || slices.Contains(all, "allow_other")
		o.DefaultPermissions = o.DefaultPermissions || slices.Contains(all, "default_permissions")
		o.ReadOnly = o.ReadOnly || slices.Contains(all, "ro")
	}
}

// ParseFUSE reads a FUSE mount as the command line writes it: COMMAND ARGS:DST.
// The command is split at spaces; quotes and backslashes are a shell's.
func ParseFUSE(s string) (Mount, error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || !path.IsAbs(s[i+1:]) {
		return Mount{}, fmt.Errorf("mount %q: want fuse:COMMAND ARGS:DST, and an absolute path for DST", "fuse:"+s)
	}
	argv, err := words(s[:i])
	if err != nil || len(argv) == 0 {
		return Mount{}, fmt.Errorf("mount %q: no command, or a quote that does not end", "fuse:"+s)
	}
	if _, err := exec.LookPath(argv[0]); err != nil {
		return Mount{}, fmt.Errorf("mount %q: %w", "fuse:"+s, err)
	}
	return FUSE(argv, path.Clean(s[i+1:]), FUSEOptions{}), nil
}

// words splits a command line.
func words(s string) ([]string, error) {
	var all []string
	var w []byte
	in, quote := false, byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'' && i+1 < len(s):
			i++
			w, in = append(w, s[i]), true
		case quote == 0 && (c == '\'' || c == '"'):
			quote, in = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if in {
				all = append(all, string(w))
			}
			w, in = nil, false
		default:
			w, in = append(w, c), true
		}
	}
	if quote != 0 {
		return nil, syscall.EINVAL
	}
	if in {
		all = append(all, string(w))
	}
	return all, nil
}
