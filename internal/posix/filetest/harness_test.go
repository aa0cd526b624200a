// Package filetest compares what programs see of files in a box with what they
// see on the host. The test program is its own guest: it runs a scenario on the
// host and in boxes over several servers, and the outputs must be the same.
package filetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati"
	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// scenarios are the guest programs. They begin in an empty directory. helpers
// are others, which they start.
var scenarios, helpers = map[string]func(*guest){}, map[string]func(*guest){}

// needRoot are those that begin as root.
var needRoot = map[string]bool{"permissions": true, "creds": true}

const scenarioVar = "HATI_SCENARIO"

func TestMain(m *testing.M) {
	if name := os.Getenv(scenarioVar); name != "" {
		unix.Umask(0o022)
		unix.CloseRange(3, 1<<32-1, 0)
		if scenarios[name] != nil {
			must(os.Mkdir("w", 0o755))
			must(os.Chdir("w"))
		}
		f := scenarios[name]
		if f == nil {
			f = helpers[name]
		}
		f(&guest{})
		os.Exit(0)
	}
	status := m.Run()
	os.RemoveAll(removeAtEnd)
	os.Exit(status)
}

var removeAtEnd string

// guest is what scenarios report to.
type guest struct{}

func (g *guest) printf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// err reports how a call ended.
func (g *guest) err(what string, err error) {
	g.printf("%s: %s", what, errName(err))
}

// n reports a call's result.
func (g *guest) n(what string, n int, err error) {
	if err != nil {
		g.err(what, err)
		return
	}
	g.printf("%s: %d", what, n)
}

func errName(err error) string {
	var e syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &e):
		return abi.ErrnoName(e)
	}
	return err.Error()
}

// must stops the guest when what every scenario relies on fails.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func must1[T any](v T, err error) T {
	must(err)
	return v
}

// child is another scenario's process, with pipes to it. It does without
// package os/exec, which needs much more of the system than files.
type child struct {
	pid     int
	in, out int
}

func start(name string) child {
	var in, out [2]int
	must(unix.Pipe2(in[:], unix.O_CLOEXEC))
	must(unix.Pipe2(out[:], unix.O_CLOEXEC))
	// The first of two equal names counts, and a child must not run its parent's
	// scenario.
	must(os.Setenv(scenarioVar, name))
	pid := must1(syscall.ForkExec(os.Getenv("HATI_SELF"), []string{name}, &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{uintptr(in[0]), uintptr(out[1]), 2},
	}))
	must(unix.Close(in[0]))
	must(unix.Close(out[1]))
	return child{pid, in[1], out[0]}
}

// Read reads what the child prints.
func (c child) Read(p []byte) (int, error) {
	n, err := unix.Read(c.out, p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

func (c child) wait() int {
	unix.Close(c.in)
	var status unix.WaitStatus
	must1(unix.Wait4(c.pid, &status, 0, nil))
	return status.ExitStatus()
}

// protectedVar tells guests whether the host protects hard links, as boxes do.
func protectedVar() string {
	b, _ := os.ReadFile("/proc/sys/fs/protected_hardlinks")
	return "HATI_PROTECTED=" + strings.TrimSpace(string(b))
}

func native(t *testing.T, exe, name string) string {
	c := exec.Command(exe)
	c.Dir = t.TempDir()
	c.Env = append(os.Environ(), scenarioVar+"="+name, "HATI_SELF="+exe, protectedVar())
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		t.Fatalf("on the host: %v\n%s", err, out.Bytes())
	}
	return out.String()
}

func inBox(t *testing.T, exe, name string, work hati.Mount) string {
	box, err := hati.New(hati.Config{Mounts: []hati.Mount{
		work, hati.HostDir(filepath.Dir(exe), "/guest", hati.ReadOnly),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	inside := "/guest/" + filepath.Base(exe)
	c := box.CommandContext(ctx, inside)
	c.Dir = work.Path
	c.Env = []string{scenarioVar + "=" + name, "HATI_SELF=" + inside, protectedVar()}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		t.Fatalf("in the box: %v\n%s", err, out.Bytes())
	}
	return out.String()
}

func TestAsOnTheHost(t *testing.T) {
	exe, err := guestProgram()
	if err != nil {
		t.Fatal(err)
	}
	for name := range scenarios {
		t.Run(name, func(t *testing.T) {
			if needRoot[name] && os.Getuid() != 0 {
				t.Skip("needs to become another user on the host")
			}
			want := native(t, exe, name)
			for kind, mount := range map[string]hati.Mount{
				"tmp":  hati.Tmpfs("/work"),
				"host": hati.HostDir(t.TempDir(), "/work", hati.ReadWrite),
			} {
				t.Run(kind, func(t *testing.T) {
					diff(t, want, inBox(t, exe, name, mount))
				})
			}
		})
	}
}

// diff reports the lines that differ.
func diff(t *testing.T, want, got string) {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		var a, b string
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			t.Errorf("line %d\n  host: %s\n  box:  %s", i+1, a, b)
		}
	}
}
