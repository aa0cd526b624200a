// Package hati runs unmodified Linux programs in a sandbox whose operating
// system is this package: their system calls are answered by a POSIX server
// written in Go, which runs in the calling process. It needs neither root nor
// containers, namespaces, KVM or cgo.
//
// A [Box] is one such system: a tree of files, processes, devices. Commands run
// in it as with os/exec:
//
//	box, err := hati.New(hati.Config{})
//	...
//	defer box.Close()
//	out, err := box.Command("uname", "-a").Output()
//
// By default a box shows the host's files, read-only, except for the places
// where users keep secrets; what is written goes to memory and is gone with the
// box. /proc, /dev and /tmp are the box's own, and so is its network, which has nothing but
// 127.0.0.1 and ::1.
//
// # Processors
//
// A goroutine waits in the host kernel for each guest thread that computes, and
// keeps one of Go's processors until the scheduler takes it away, up to ten
// milliseconds later. A program whose boxes compute on as many threads as
// runtime.GOMAXPROCS should raise that: the command sets four times the host's
// processors.
package hati

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/hati-os/hati/internal/guard"
	"github.com/hati-os/hati/internal/posix"
	"github.com/hati-os/hati/internal/servers/dev"
	"github.com/hati-os/hati/names"
	"github.com/hati-os/hati/vfs"
)

// Config says what a box is made of. The zero Config is the default box.
type Config struct {
	// Root is the host directory shown as /; "" is the host's own /. It is never
	// written. RootFS, when not nil, is shown instead.
	Root   string
	RootFS vfs.FS
	// Mounts are added over it. Longer paths lie over shorter ones, in whatever
	// order they are given.
	Mounts []Mount
	// Hostname is the box's name; "" is the host's.
	Hostname string
	// User is who programs run as; nil is the user of this process. It is only a
	// number in the box: on the host, everything is done as this process.
	User *User
	// ShowSecrets turns off the hiding of users' secrets in a Root.
	ShowSecrets bool
	// Network is what programs connect to; the zero Network is a loopback of the
	// box's own.
	Network Network
	// Publish are ports of the host that lead to programs of the box; see
	// [Box.Publish].
	Publish []Publish
	// Isolation says where the host's files are served.
	Isolation Isolation
	// Names, when not nil, is a registry whose services are files in /srv, and which
	// [NamedServer] mounts use.
	Names names.Directory
	// Trace, when not nil, gets a line for every system call, as strace prints
	// them. Calls of different threads do not mix within a line.
	Trace TraceWriter
	// Log hears of what could not be done: unknown system calls, failed servers.
	Log *slog.Logger
}

// TraceWriter is what a trace is written to.
type TraceWriter interface{ Write(p []byte) (int, error) }

// User is an identity in a box.
type User struct {
	UID, GID uint32
	Groups   []uint32
}

// CurrentUser returns the identity of this process.
func CurrentUser() *User {
	u := &User{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	if gs, err := os.Getgroups(); err == nil {
		for _, g := range gs {
			u.Groups = append(u.Groups, uint32(g))
		}
	}
	return u
}

// Box is a running system. Its methods may be called concurrently.
type Box struct {
	kernel  *posix.Kernel
	user    *User
	servers []func() error // Close of what New made
	devices *dev.FS

	terminals *posix.Terminals
	names     names.Directory
	isolation Isolation
	guards    []*guard.Guard // before servers that nobody vouches for
	log       *slog.Logger
	network   vfs.Network // nil for none
	netKind   networkKind
	reach     reach

	mu     sync.Mutex
	closed bool
}

// ErrClosed is returned when a Box is used after Close.
var ErrClosed = errors.New("hati: box is closed")

// user is whose programs the box runs.
func (c *Config) user() *User {
	if c.User != nil {
		return c.User
	}
	return CurrentUser()
}

// New makes a box without processes. When it fails, the listeners of Config.Publish are
// closed, too.
func New(c Config) (*Box, error) {
	b, err := newBox(c)
	if err != nil {
		for _, p := range c.Publish {
			if p.Listener != nil {
				_ = p.Listener.Close()
			}
		}
		return nil, fmt.Errorf("hati: %w", err)
	}
	return b, nil
}

func newBox(c Config) (*Box, error) {
	c.Network = c.Network.orDefault()
	b := &Box{user: c.user(), log: c.Log, isolation: c.Isolation, names: c.Names}
	pc, err := b.system(&c)
	if err == nil {
		b.kernel, err = posix.New(*pc)
	}
	if err == nil {
		if err = b.publish(c.Publish); err != nil {
			_ = b.Close()
			return nil, err
		}
	}
	if err != nil {
		b.closeServers()
		return nil, err
	}
	return b, nil
}

// Close kills all programs, waits until they are gone, and frees everything.
func (b *Box) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	b.mu.Unlock()
	b.reach.close()
	err := b.kernel.Close()
	return errors.Join(err, b.closeServers())
}

func (b *Box) closeServers() error {
	var errs []error
	for i := len(b.servers) - 1; i >= 0; i-- {
		errs = append(errs, b.servers[i]())
	}
	b.servers = nil
	return errors.Join(errs...)
}

// Command returns a Cmd to run a program of the box. A name without a slash is
// looked for in the PATH of the command's environment, inside the box.
func (b *Box) Command(name string, arg ...string) *Cmd {
	return &Cmd{box: b, Path: name, Args: append([]string{name}, arg...)}
}

// CommandContext is Command with a context: when it ends before the program
// does, Cancel is called, which kills the program.
func (b *Box) CommandContext(ctx context.Context, name string, arg ...string) *Cmd {
	if ctx == nil {
		panic("hati: nil context")
	}
	c := b.Command(name, arg...)
	c.ctx = ctx
	c.Cancel = func() error { return c.Process.Kill() }
	return c
}
