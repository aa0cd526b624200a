package hati

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/hati-os/hati/internal/confine"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// isolatedVar tells a program that Isolate has started anew of its servers.
const isolatedVar = "HATI_ISOLATED"

// server is a server's process that was started before this program was started
// anew.
type server struct {
	Spec serverSpec
	PID  int
	FD   int
}

// adopted are the servers that no box has yet; not nil in an isolated program.
var adopted []server

// Isolate takes from this whole process, for good, the right to open files of the
// host (Landlock): those that a box made of c shows are served by processes of
// their own (see [IsolateServers]), and a program that breaks out of the box
// into this process finds what is left: /proc and control groups, to read;
// /dev/null, /dev/tty and the standard streams; this program itself, to read;
// and what its servers serve.
//
// To that end it starts this program anew, with the same arguments and the same
// process id. So it is called early, before anything has happened that must not
// happen twice, and after [Init]. In the second run it returns nil; then call New
// with the same c. Files that are not closed on exec stay open.
//
// It fails where the kernel has no Landlock, and for a program built with cgo.
func Isolate(c Config) error {
	if s := os.Getenv(isolatedVar); s != "" {
		os.Unsetenv(isolatedVar)
		adopted = []server{}
		if err := json.Unmarshal([]byte(s), &adopted); err != nil {
			return fmt.Errorf("hati: isolate: %w", err)
		}
		for _, s := range adopted {
			unix.CloseOnExec(s.FD)
		}
		return cannotOpen("/")
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
	var all []server
	fail := func(err error) error {
		for _, s := range all {
			unix.Close(s.FD)
			unix.Kill(s.PID, unix.SIGKILL)
			unix.Wait4(s.PID, nil, 0, nil)
		}
		return err
	}
	for _, spec := range hostServers(c) {
		cmd, socket, err := spec.launch((*exec.Cmd).Start)
		if err != nil {
			return fail(err)
		}
		fd, err := unix.FcntlInt(socket.Fd(), unix.F_DUPFD, 3) // not closed by exec
		socket.Close()
		spec.Hidden = nil // its own business from now on
		all = append(all, server{spec, cmd.Process.Pid, fd})
		if err != nil {
			return fail(err)
		}
	}
	list, err := json.Marshal(all)
	if err != nil {
		return fail(err)
	}
	if err := giveUpFiles(); err != nil {
		return fail(err)
	}
	env := append(os.Environ(), isolatedVar+"="+string(list))
	return fail(fmt.Errorf("starting this program anew: %w", syscall.Exec("/proc/self/exe", os.Args, env)))
}

// hostServers are the servers that a box made of c asks hostFS for.
func hostServers(c *Config) []serverSpec {
	var all []serverSpec
	if c.RootFS == nil {
		dir, hidden := c.rootDir()
		all = append(all, serverSpec{Kind: "host", Args: []string{dir}, ReadOnly: true, Hidden: hidden})
	}
	for _, m := range c.Mounts {
		if m.kind == "hostfs" {
			all = append(all, serverSpec{Kind: "host", Args: []string{m.source}, ReadOnly: m.hostReadOnly})
		}
	}
	return all
}

// adopt takes the server of a directory that was started before.
func (b *Box) adopt(dir string, readOnly bool) (vfs.FS, error) {
	for i, s := range adopted {
		if s.Spec.Args[0] != dir || s.Spec.ReadOnly != readOnly {
			continue
		}
		adopted = append(adopted[:i:i], adopted[i+1:]...)
		p, err := os.FindProcess(s.PID)
		if err != nil {
			return nil, err
		}
		fs, stop, err := s.Spec.reach(p, os.NewFile(uintptr(s.FD), "lane"))
		if err != nil {
			return nil, fmt.Errorf("server for %s: %w", dir, err)
		}
		b.servers = append(b.servers, stop)
		return fs, nil
	}
	return nil, fmt.Errorf("%s was not among what this isolated process was started for: %w", dir, syscall.EACCES)
}

// giveUpFiles takes away this thread's right to open files, and that of the
// program it will be, except for what is needed: the program, what the host tells of
// guests' processes and of limits, and what standard streams may be.
func giveUpFiles() error {
	const use = confine.Read | confine.Write | confine.Ioctl
	rules := []confine.Rule{
		{Path: "/proc/self/exe", Access: confine.Read | confine.Execute},
		{Path: "/proc", Access: confine.Read}, {Path: "/sys/fs/cgroup", Access: confine.Read},
		{Path: os.DevNull, Access: use}, {Path: "/dev/tty", Access: use},
	}
	for fd := range 3 {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			rules = append(rules, confine.Rule{FD: fd, Access: use})
		}
	}
	return confine.FilesOfThread(rules...)
}
