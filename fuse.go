package hati

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/servers/fuse"
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
	// Stderr gets what the daemon prints; nil is this process's stderr.
	Stderr io.Writer
}

// FUSE mounts a FUSE file system at path: argv is its daemon's command line,
// which runs on the host, as this process's user, with a channel to hati in place
// of /dev/fuse. The mount point that the daemon is told is the name of that
// channel (/dev/fd/3), put in place of each {}, or else at the end; it must
// be one that takes such a name, as daemons on libfuse 3 and go-fuse do. Neither
// root nor a mount of the host is needed. The daemon must stay in the foreground
// (-f), and ends with the box.
//
// allow_other, default_permissions and ro among the -o options in argv count as
// those of o.
func FUSE(argv []string, path string, o FUSEOptions) Mount {
	o.fromArgs(argv)
	m := Mount{Path: path, ReadOnly: o.ReadOnly, kind: "fuse", source: "fuse"}
	if len(argv) > 0 {
		m.source = argv[0]
	}
	m.open = func(b *Box) (vfs.FS, error) {
		d := &daemon{argv: argv, stderr: o.Stderr, ended: make(chan struct{})}
		fs, err := d.start(fuse.Options{
			UID: b.user.UID, GID: b.user.GID,
			AllowOther: o.AllowOther, DefaultPermissions: o.DefaultPermissions,
		})
		if err != nil {
			return nil, err
		}
		b.servers = append(b.servers, d.close)
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

// daemon is a FUSE daemon on the host.
type daemon struct {
	argv   []string
	stderr io.Writer
	cmd    *exec.Cmd
	fs     *fuse.FS
	out    tail
	ended  chan struct{} // closed when it has ended
	err    error         // how
}

const (
	// startTime is how long a daemon may take to answer for the first time, endTime
	// how long to end after its last request: it may have to store something.
	startTime = 30 * time.Second
	endTime   = 5 * time.Second
	channelFD = "/dev/fd/3"
)

// start starts the daemon and waits for its first answer.
func (d *daemon) start(o fuse.Options) (*fuse.FS, error) {
	ours, theirs, err := fuse.Socketpair()
	if err != nil {
		return nil, err
	}
	args := slices.Clone(d.argv)
	if !strings.Contains(strings.Join(args, " "), "{}") {
		args = append(args, "{}")
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "{}", channelFD)
	}
	d.cmd = exec.Command(args[0], args[1:]...)
	d.out.to = d.stderr
	if d.out.to == nil {
		d.out.to = os.Stderr
	}
	d.cmd.Stdout, d.cmd.Stderr = &d.out, &d.out
	d.cmd.ExtraFiles = []*os.File{theirs}
	// A session of its own: the keys of the box's terminal are not for it.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	d.cmd.WaitDelay = time.Second
	started := make(chan error)
	go d.run(started)
	err = <-started
	theirs.Close()
	if err != nil {
		ours.Close()
		return nil, err
	}
	if d.fs, err = fuse.Attach(ours, o); err != nil {
		ours.Close()
		d.kill()
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), startTime, errSlow)
	defer cancel()
	if err := d.fs.Started(ctx); err != nil {
		d.fs.Unmount(true)
		d.kill()
		return nil, fmt.Errorf("%w%s", err, d.how())
	}
	return d.fs, nil
}

var errSlow = fmt.Errorf("the daemon has not answered for %v", startTime)

// run starts the daemon and waits for its end, on one thread: with that thread
// the daemon would end (PR_SET_PDEATHSIG).
func (d *daemon) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := d.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	d.err = d.cmd.Wait()
	close(d.ended)
}

// kill ends the daemon, and what it has started in its session.
func (d *daemon) kill() {
	select {
	case <-d.ended: // the number may be another's by now
		return
	default:
	}
	_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
	<-d.ended
}

// how tells how the daemon ended and what it said, for an error.
func (d *daemon) how() string {
	var b strings.Builder
	var exit *exec.ExitError
	if errors.As(d.err, &exit) {
		fmt.Fprintf(&b, " (%v)", exit)
	}
	if last := d.out.last(); last != "" {
		fmt.Fprintf(&b, ": %s", last)
	}
	return b.String()
}

// close unmounts, and waits until the daemon has ended.
func (d *daemon) close() error {
	d.out.stop() // that its channel was closed is no news
	d.fs.Unmount(false)
	timer := time.NewTimer(endTime)
	defer timer.Stop()
	select {
	case <-d.ended:
	case <-timer.C:
		d.fs.Unmount(true)
		d.kill()
		return fmt.Errorf("hati: FUSE daemon %s did not end within %v and was killed", d.argv[0], endTime)
	}
	return nil
}

// tail passes on what a daemon prints, and remembers the last line.
type tail struct {
	mu   sync.Mutex
	to   io.Writer
	line []byte
	text string
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range bytes.SplitAfter(p, []byte("\n")) {
		t.line = append(t.line, l...)
		if bytes.HasSuffix(l, []byte("\n")) {
			if s := strings.TrimSpace(string(t.line)); s != "" {
				t.text = s
			}
			t.line = t.line[:0]
		}
	}
	if len(t.line) > 4096 {
		t.line = t.line[:0]
	}
	if t.to != nil {
		_, _ = t.to.Write(p) // nobody to tell
	}
	return len(p), nil
}

func (t *tail) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.to = nil
}

func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text
}
