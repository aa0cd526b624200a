package hati

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"

	"github.com/hati-os/hati/internal/confine"
	"golang.org/x/sys/unix"
)

// isolatedVar tells a program that Isolate has started anew of its servers.
const isolatedVar = "HATI_ISOLATED"

// server is a server's process that was started before this program was started
// anew.
type server struct {
	Spec  serverSpec
	PID   int
	FD    int
	Index int // what the keeper knows it as
}

// adopted is what was started before; not nil in an isolated program.
var adopted *household

type household struct {
	Servers []server // those that no box has yet
	Keeper  int      // the descriptor of who can start them anew
	keeper  keeper
}

// Isolate takes from this whole process, for good, the right to open files of the
// host (Landlock): those that a box made of c shows are served by processes of
// their own (see [IsolateServers]), and a program that breaks out of the box
// into this process finds what is left: /proc and control groups, to read;
// /dev/null, /dev/tty and the standard streams; this program itself, to read;
// and what its servers serve. Nor can the process make sockets or give them addresses
// any more (seccomp); only if c has servers at sockets of AF_UNIX can it connect those.
// The network of the box is served by such a process, too. If that cannot be, since it
// is a Go program's or its rules have a Check, or c publishes ports, it keeps its sockets.
//
// To that end it starts this program anew, with the same arguments and the same
// process id. So it is called early, before anything has happened that must not
// happen twice, and after [Init]. In the second run it returns nil; then call New
// with the same c. Files that are not closed on exec stay open.
//
// It fails where the kernel has no Landlock, and for a program built with cgo.
func Isolate(c Config) error {
	c.Network = c.Network.orDefault()
	if s := os.Getenv(isolatedVar); s != "" {
		os.Unsetenv(isolatedVar)
		adopted = &household{}
		if err := json.Unmarshal([]byte(s), adopted); err != nil {
			return fmt.Errorf("hati: isolate: %w", err)
		}
		var err error
		if adopted.keeper.conn, err = unixConn(os.NewFile(uintptr(adopted.Keeper), "keeper")); err != nil {
			return fmt.Errorf("hati: isolate: %w", err)
		}
		for _, s := range adopted.Servers {
			unix.CloseOnExec(s.FD)
		}
		if err := cannotOpen("/"); err != nil {
			return err
		}
		if err := giveUpSockets(&c); err != nil {
			return fmt.Errorf("hati: isolate: %w", err)
		}
		return nil
	}
	if err := isolate(&c); err != nil {
		return fmt.Errorf("hati: isolate: %w", err)
	}
	return nil
}

// isolate returns only if it fails.
func isolate(c *Config) error {
	if err := confine.NoNewPrivileges(); err != nil {
		return err
	}
	// The servers die with their parent thread, which is the one that stays.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all household
	var started []*os.Process
	fail := func(err error) error {
		for _, s := range all.Servers {
			unix.Close(s.FD)
		}
		for _, p := range started {
			p.Kill()
			p.Wait()
		}
		return err
	}
	begin := func(cmd *exec.Cmd, socket *os.File, err error) (pid, fd int, _ error) {
		if err != nil {
			return 0, -1, err
		}
		started = append(started, cmd.Process)
		defer socket.Close()
		fd, err = unix.FcntlInt(socket.Fd(), unix.F_DUPFD, 3) // not closed by exec
		return cmd.Process.Pid, fd, err
	}
	specs := ownServers(c)
	for i, spec := range specs {
		pid, fd, err := begin(spec.launch((*exec.Cmd).Start))
		if err != nil {
			return fail(err)
		}
		spec.Hidden = nil // its own business from now on
		all.Servers = append(all.Servers, server{spec, pid, fd, i})
	}
	var err error
	env := []string{}
	if slices.ContainsFunc(specs, func(s serverSpec) bool { return s.FUSE != nil }) {
		env = os.Environ()
	}
	if _, all.Keeper, err = begin(launch(keeperName, specs, env, (*exec.Cmd).Start)); err != nil {
		return fail(err)
	}
	list, err := json.Marshal(&all)
	if err != nil {
		return fail(err)
	}
	if err := giveUpFiles(c.usesSockets()); err != nil {
		return fail(err)
	}
	env = append(os.Environ(), isolatedVar+"="+string(list))
	return fail(fmt.Errorf("starting this program anew: %w", syscall.Exec("/proc/self/exe", os.Args, env)))
}

// ownServers are the servers that a box made of c asks serverOf for.
func ownServers(c *Config) []serverSpec {
	var all []serverSpec
	if c.RootFS == nil {
		dir, hidden := c.rootDir()
		all = append(all, serverSpec{Kind: "host", Args: []string{dir}, ReadOnly: true, Hidden: hidden})
	}
	for _, m := range c.Mounts {
		if m.kind == "hostfs" {
			all = append(all, serverSpec{Kind: "host", Args: []string{m.source}, ReadOnly: m.hostReadOnly})
		}
		if m.fuse != nil {
			all = append(all, *m.fuse.server(c.user()))
		}
	}
	if c.Network.spec != nil {
		all = append(all, *c.Network.spec)
	}
	return all
}

// is reports whether the two are of the same files.
func (s *serverSpec) is(o *serverSpec) bool {
	return s.Kind == o.Kind && slices.Equal(s.Args, o.Args) && s.ReadOnly == o.ReadOnly
}

// adopt takes the server that was started before for s, and returns what begins its
// lives.
func (s *serverSpec) adopt() (next func() (*instance, error), err error) {
	i := slices.IndexFunc(adopted.Servers, func(a server) bool { return a.Spec.is(s) })
	if i < 0 {
		return nil, fmt.Errorf("it was not among what this isolated process was started for: %w", syscall.EACCES)
	}
	a := adopted.Servers[i]
	adopted.Servers = slices.Delete(adopted.Servers, i, i+1)
	p, err := os.FindProcess(a.PID)
	if err != nil {
		return nil, err
	}
	first := a.Spec.instance(p, os.NewFile(uintptr(a.FD), "lane"))
	return func() (*instance, error) {
		if now := first; now != nil {
			first = nil
			return now, nil
		}
		return adopted.keeper.start(a.Index)
	}, nil
}

// usesSockets reports whether this process itself needs sockets of the host: for a
// network that no other one can serve, or for those who are to reach in.
func (c *Config) usesSockets() bool { return c.Network.here() || len(c.Publish) > 0 }

// giveUpSockets leaves the process those sockets that it has, and is given.
func giveUpSockets(c *Config) error {
	if c.usesSockets() {
		return nil
	}
	connects := c.Names != nil || c.Network.connects ||
		slices.ContainsFunc(c.Mounts, func(m Mount) bool { return m.kind == "lane" })
	if err := confine.NoSockets(connects); err != nil {
		return err
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		if fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
			unix.Close(fd)
			return errors.New("this process could still make sockets of the host")
		}
	}
	return nil
}

// giveUpFiles takes away this thread's right to open files, and that of the
// program it will be, except for what is needed: the program, what the host tells of
// guests' processes and of limits, and what standard streams may be; and TCP, unless
// that is for the box's network.
func giveUpFiles(tcp bool) error {
	const use = confine.Read | confine.Write | confine.Ioctl
	rules := []confine.Rule{
		{Path: "/proc/self/exe", Access: confine.Read | confine.Execute},
		{Path: "/proc", Access: confine.Read}, {Path: "/sys/fs/cgroup", Access: confine.Read},
		{Path: os.DevNull, Access: use}, {Path: "/dev/tty", Access: use},
	}
	if tcp {
		rules = append(rules, confine.Rule{TCP: true})
	}
	for fd := range 3 {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			rules = append(rules, confine.Rule{FD: fd, Access: use})
		}
	}
	return confine.FilesOfThread(rules...)
}
