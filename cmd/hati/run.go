package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hati-os/hati"
	"github.com/hati-os/hati/names"
)

type runCmd struct {
	Mount       []string      `placeholder:"SRC:DST[:ro|rw|overlay]" sep:"none" help:"Show a host file or directory at DST (read-only by default)."`
	Tmpfs       []string      `placeholder:"DST" sep:"none" help:"Show an empty directory, in memory, at DST."`
	Root        string        `placeholder:"DIR" help:"Show this directory as / (default: the host's, without secrets)."`
	Cwd         string        `placeholder:"DIR" help:"Start in this directory of the box (default: the current one)."`
	Env         []string      `placeholder:"K=V" sep:"none" help:"Set a variable."`
	ClearEnv    bool          `help:"Start from an empty environment."`
	Hostname    string        `placeholder:"NAME" help:"Name of the box (default: the host's)."`
	User        string        `placeholder:"UID:GID" help:"Run as these ids (default: yours)."`
	Timeout     time.Duration `placeholder:"D" help:"Kill the program after this time; the status is then 124."`
	Log         string        `placeholder:"LEVEL" default:"error" enum:"debug,info,warn,error" help:"What hati reports on stderr: debug, info, warn, error."`
	Trace       string        `placeholder:"FILE" help:"Write a line for each system call; - is stderr."`
	Isolate     bool          `help:"Serve the host's files from processes of their own, and take from this one the right to open any."`
	Net         string        `placeholder:"NETWORK" default:"loopback" help:"What programs connect to: a network of the box's own that has 127.0.0.1 and ::1 (loopback), none, the host's (host), or one that is served: lane:SOCKET (hati serve net) or name:NAME."`
	Allow       []string      `placeholder:"RANGE" sep:"none" help:"With --net host: only there may programs connect, send and listen. An address, network, name or *, and perhaps ports (10.0.0.0/8:443, [::1]:8000-8080); names are looked up once, at the start."`
	Deny        []string      `placeholder:"RANGE" sep:"none" help:"With --net host: not there, even if it is allowed."`
	Publish     []string      `placeholder:"[ADDR:]PORT:PORT" sep:"none" help:"With --net loopback: have a port of the host (of 127.0.0.1, or ADDR) lead to one of the box."`
	Names       string        `placeholder:"PATH" help:"Show the services of the registry at this socket (hati names) in /srv."`
	ShowSecrets bool          `help:"Do not hide ~/.ssh and the like."`
	Args        []string      `arg:"" optional:"" name:"program" passthrough:"partial" placeholder:"PROGRAM" help:"The program and its arguments."`
}

// Run runs the program and exits with its status.
func (r *runCmd) Run() error {
	status, err := r.run()
	if err != nil {
		report(err)
	}
	os.Exit(status)
	return nil
}

func (r *runCmd) run() (int, error) {
	args := r.Args
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return statusFailure, errors.New("no program given (hati run -- PROGRAM ARGS...)")
	}
	config, err := r.config()
	if err != nil {
		return statusFailure, err
	}
	ctl, err := openControl(args, r.Isolate)
	if err != nil {
		config.Log.Info("hati ps will not see this box", "error", err)
	} else {
		defer ctl.close()
	}
	if r.Isolate {
		// Files that are opened here are not there any more when it returns.
		if err := hati.Isolate(*config); err != nil {
			return statusFailure, err
		}
	}
	if r.Trace != "" {
		out := os.Stderr
		if r.Trace != "-" {
			if out, err = os.Create(r.Trace); err != nil {
				return statusFailure, fmt.Errorf("trace: %w", err)
			}
			defer out.Close()
		}
		config.Trace = out
	}
	env, err := r.environment()
	if err != nil {
		return statusFailure, err
	}
	// Before anything starts: a signal that comes meanwhile is the program's.
	signals := make(chan os.Signal, 64)
	for _, s := range forwarded {
		if !signal.Ignored(s) { // by nohup, or a shell's background
			signal.Notify(signals, s)
		}
	}
	box, err := hati.New(*config)
	if err != nil {
		return statusFailure, err
	}
	defer box.Close()
	if ctl != nil {
		ctl.start(box)
	}
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if r.Timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, r.Timeout)
	}
	defer cancel()
	cmd := box.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env, cmd.Dir = env, r.Cwd
	if err := cmd.Start(); err != nil {
		return startStatus(err), err
	}
	done := make(chan struct{})
	defer close(done)
	go forward(signals, cmd.Process, done)
	return endStatus(cmd, cmd.Wait(), r.Timeout)
}

// forwarded are the signals that go to the program instead of ending hati.
var forwarded = []os.Signal{
	syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2,
	syscall.SIGTSTP, syscall.SIGCONT, syscall.SIGWINCH,
}

func forward(signals <-chan os.Signal, p *hati.Process, done <-chan struct{}) {
	for {
		select {
		case s := <-signals:
			sig := s.(syscall.Signal)
			switch sig {
			case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGWINCH:
				p.SignalForeground(sig)
			default:
				p.Signal(sig)
			}
		case <-done:
			return
		}
	}
}

// startStatus says with which status hati ends when the program did not start.
func startStatus(err error) int {
	var e *hati.Error
	switch {
	case !errors.As(err, &e):
		return statusFailure
	case errors.Is(err, hati.ErrNotFound), errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		return statusNotFound
	}
	return statusDenied
}

func endStatus(cmd *hati.Cmd, err error, timeout time.Duration) (int, error) {
	if errors.Is(err, context.DeadlineExceeded) {
		return statusTimeout, fmt.Errorf("%s: killed after %v", cmd.Path, timeout)
	}
	st := cmd.ProcessState
	if st == nil {
		return statusFailure, err
	}
	if ws := st.Sys().(syscall.WaitStatus); ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return st.ExitCode(), nil
}

func (r *runCmd) config() (*hati.Config, error) {
	c := &hati.Config{Root: r.Root, Hostname: r.Hostname, ShowSecrets: r.ShowSecrets}
	for _, s := range r.Mount {
		m, err := hati.ParseMount(s)
		if err != nil {
			return nil, err
		}
		c.Mounts = append(c.Mounts, m)
	}
	for _, dst := range r.Tmpfs {
		if !path.IsAbs(dst) {
			return nil, fmt.Errorf("tmpfs %q: the place must be an absolute path", dst)
		}
		c.Mounts = append(c.Mounts, hati.Tmpfs(path.Clean(dst)))
	}
	if r.Cwd != "" && !path.IsAbs(r.Cwd) {
		return nil, fmt.Errorf("cwd %q: must be an absolute path of the box", r.Cwd)
	}
	var err error
	if c.Network, err = r.network(); err != nil {
		return nil, err
	}
	if r.Isolate {
		c.Isolation = hati.IsolateServers
	}
	if r.Names != "" {
		registry, err := names.Redial(context.Background(), r.Names)
		if err != nil {
			return nil, err
		}
		c.Names = registry
	}
	if r.User != "" {
		u, err := parseUser(r.User)
		if err != nil {
			return nil, err
		}
		c.User = u
	}
	for _, s := range r.Publish {
		p, err := hati.ParsePublish(s)
		if err != nil {
			return nil, err
		}
		c.Publish = append(c.Publish, p)
	}
	if r.Timeout < 0 {
		return nil, fmt.Errorf("timeout %v: must not be negative", r.Timeout)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(r.Log)); err != nil {
		return nil, fmt.Errorf("log %q: is none of debug, info, warn, error", r.Log)
	}
	c.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	return c, nil
}

func (r *runCmd) network() (hati.Network, error) {
	if len(r.Allow)+len(r.Deny) == 0 {
		return hati.ParseNetwork(r.Net)
	}
	if r.Net != "host" {
		return hati.Network{}, errors.New("--allow and --deny are rules for --net host")
	}
	var rules hati.NetworkRules
	for _, list := range []struct {
		texts  []string
		ranges *[]hati.AddrRange
	}{{r.Allow, &rules.Allow}, {r.Deny, &rules.Deny}} {
		for _, s := range list.texts {
			ranges, err := hati.ParseAddrRanges(context.Background(), s)
			var lookup *net.DNSError
			if r.Isolate && errors.As(err, &lookup) {
				err = fmt.Errorf("%w (with --isolate no names can be looked up: give addresses)", err)
			}
			if err != nil {
				return hati.Network{}, err
			}
			*list.ranges = append(*list.ranges, ranges...)
		}
	}
	return hati.HostNetworkRules(rules), nil
}

func parseUser(s string) (*hati.User, error) {
	uid, gid, ok := strings.Cut(s, ":")
	u, err1 := strconv.ParseUint(uid, 10, 32)
	g, err2 := strconv.ParseUint(gid, 10, 32)
	if !ok || err1 != nil || err2 != nil || u == 1<<32-1 || g == 1<<32-1 {
		return nil, fmt.Errorf("user %q: want UID:GID, two numbers", s)
	}
	return &hati.User{UID: uint32(u), GID: uint32(g), Groups: []uint32{uint32(g)}}, nil
}

func (r *runCmd) environment() ([]string, error) {
	var env []string
	if !r.ClearEnv {
		env = os.Environ()
	}
	for _, kv := range r.Env {
		k, _, ok := strings.Cut(kv, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("env %q: want K=V", kv)
		}
		env = append(env[:len(env):len(env)], kv)
		for i, old := range env[:len(env)-1] {
			if strings.HasPrefix(old, k+"=") {
				env = append(env[:i:i], env[i+1:]...)
				break
			}
		}
	}
	if env == nil {
		env = []string{}
	}
	return env, nil
}
