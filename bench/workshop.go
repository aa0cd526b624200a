package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

//go:embed micro/micro.c
var microSource []byte

// workshop is the place where things are measured, and with what.
type workshop struct {
	dir     string // host directory that all systems see by the same name
	micro   string // the program made of micro.c
	quick   bool
	systems []system
	made    map[string]bool // trees that are there
}

// system is a way to run a program.
type system struct {
	name   string
	prefix []string
}

// command prepares argv to run in dir. What is still there of it after ctx is
// killed, children included.
func (s system) command(ctx context.Context, dir string, argv ...string) *exec.Cmd {
	all := append(append([]string{}, s.prefix...), argv...)
	cmd := exec.CommandContext(ctx, all[0], all[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// output runs a program and returns what it prints.
func (s system) output(ctx context.Context, dir string, argv ...string) (string, error) {
	cmd := s.command(ctx, dir, argv...)
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	if err := cmd.Run(); err != nil {
		return "", errors.Join(fmt.Errorf("%s: %w: %s", argv[0], err, lastLine(errb.String())), context.Cause(ctx))
	}
	return out.String(), nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

var native = system{name: "native"}

// newWorkshop builds what is to be measured.
func newWorkshop(ctx context.Context, quick bool) (*workshop, error) {
	// Not below /tmp: a box has a /tmp of its own.
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(cache, "hati-bench-")
	if err != nil {
		return nil, err
	}
	w := &workshop{dir: dir, micro: filepath.Join(dir, "micro"), quick: quick, made: map[string]bool{}}
	if err := w.build(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return w, nil
}

func (w *workshop) build(ctx context.Context) error {
	hati := filepath.Join(w.dir, "hati")
	source := filepath.Join(w.dir, "micro.c")
	if err := os.WriteFile(source, microSource, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(w.dir, "present"), make([]byte, 64<<10), 0o644); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{"go", "build", "-o", hati, "github.com/hati-os/hati/cmd/hati"},
		{"gcc", "-O2", "-pthread", "-o", w.micro, source},
	} {
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, out)
		}
	}
	w.systems = []system{native, {"hati", []string{hati, "run", "--net", "loopback", "--"}}}
	if runsc, err := exec.LookPath("runsc"); err == nil {
		g := system{"gVisor", []string{runsc, "--network=none", "--ignore-cgroups"}}
		if os.Geteuid() != 0 {
			g.prefix = append(g.prefix, "--rootless")
		}
		g.prefix = append(g.prefix, "do", "--")
		w.systems = append(w.systems, g)
	}
	return nil
}

// need is an error that names a tool which is missing.
func need(tools ...string) error {
	for _, t := range tools {
		if _, err := exec.LookPath(t); err != nil {
			return fmt.Errorf("%s is not on PATH", t)
		}
	}
	return nil
}
