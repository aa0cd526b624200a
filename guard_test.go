package hati_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/vfstest"
)

// puppetBox is a box with a puppet at /puppet.
func puppetBox(t *testing.T) (*hati.Box, *vfstest.Puppet) {
	p := vfstest.NewPuppet()
	return newBox(t, hati.Config{
		Mounts: []hati.Mount{hati.Server(p, "/puppet")},
		User:   &hati.User{}, // who owns the puppet's files
	}), p
}

// stuckIn starts a program and waits until it is in a call of the puppet's.
func stuckIn(t *testing.T, cmd *hati.Cmd, stop *vfstest.Stop) (ended chan error) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-stop.Entered:
	case err := <-ended:
		t.Fatalf("%v did not wait: %v", cmd.Args, err)
	}
	return ended
}

// TestC13_KilledInEachCall: a program whose server is stuck is gone at once when
// it is killed, whatever call it is in.
func TestC13_KilledInEachCall(t *testing.T) {
	box, p := puppetBox(t)
	for _, c := range []struct {
		call string
		argv []string
	}{
		{"lookup", []string{"stat", "/puppet/dir"}},
		{"stat", []string{"stat", "/puppet/file"}},
		{"open", []string{"cat", "/puppet/file"}},
		{"read", []string{"cat", "/puppet/file"}},
		{"flush", []string{"cat", "/puppet/file"}},
		{"write", []string{"dd", "if=/dev/zero", "of=/puppet/file", "count=1", "conv=notrunc"}},
		{"append", []string{"sh", "-c", "echo x >> /puppet/file"}},
		{"setattr", []string{"chmod", "600", "/puppet/file"}},
		{"opendir", []string{"ls", "/puppet"}},
		{"readdir", []string{"ls", "/puppet"}},
		{"readlink", []string{"readlink", "/puppet/link"}},
		{"make", []string{"mkdir", "/puppet/new"}},
		{"makeopen", []string{"touch", "/puppet/new"}},
		{"remove", []string{"rm", "-f", "/puppet/file"}},
		{"rename", []string{"mv", "-T", "/puppet/file", "/puppet/other"}},
		{"link", []string{"ln", "/puppet/file", "/puppet/other"}},
		{"statfs", []string{"stat", "-f", "/puppet"}},
		{"sync", []string{"sync", "/puppet/file"}},
		{"setlock", []string{"flock", "/puppet/file", "true"}},
		{"allocate", []string{"fallocate", "-l", "10", "/puppet/file"}},
	} {
		t.Run(c.call, func(t *testing.T) {
			if _, err := exec.LookPath(c.argv[0]); err != nil {
				t.Skip(err)
			}
			stop := p.Ignore(c.call)
			defer p.Plan(c.call, nil)
			defer stop.Release()
			cmd := box.Command(c.argv[0], c.argv[1:]...)
			ended := stuckIn(t, cmd, stop)
			start := time.Now()
			cmd.Process.Kill()
			<-ended
			if d := time.Since(start); d > 500*time.Millisecond {
				t.Errorf("took %v", d)
			}
			if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGKILL {
				t.Errorf("ended with %v", cmd.ProcessState)
			}
		})
	}
	eventually(t, "everything is given back", func() bool {
		open, maps, locks := p.Held()
		return open == 0 && maps == 0 && locks == 0 && len(box.Operations()) == 0
	})
}

// TestC12_InterruptedInDoubt: a server that ignores an interrupt loses the call
// after a second; the program sees EIO, not EINTR, and its handler has run.
func TestC12_InterruptedInDoubt(t *testing.T) {
	box, p := puppetBox(t)
	stop := p.Ignore("read")
	defer stop.Release()
	cmd := box.Command("sh", "-c", "trap 'echo handled' USR1; cat /puppet/file; echo status $?; read x < /puppet/file; echo status $?")
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	ended := stuckIn(t, cmd, stop)
	// cat has no handler, and the shell waits for it.
	start := time.Now()
	cmd.Process.Signal(syscall.SIGUSR1)
	o, ok := find(box, func(o hati.Operation) bool { return strings.HasPrefix(o.Call, "read(") })
	if !ok || o.Program != "cat" {
		t.Fatalf("%+v", box.Operations())
	}
	if err := box.Command("kill", "-TERM", strconv.Itoa(o.PID)).Run(); err != nil {
		t.Fatal(err)
	}
	<-stop.Entered // the shell's own
	if d := time.Since(start); d > 500*time.Millisecond {
		t.Errorf("a fatal signal took %v", d)
	}
	start = time.Now()
	cmd.Process.Signal(syscall.SIGUSR1)
	<-ended
	if d := time.Since(start); d < 900*time.Millisecond || d > 3*time.Second {
		t.Errorf("left after %v", d)
	}
	if got, want := out.String(), "handled\nstatus 143\nhandled\nstatus "; !strings.HasPrefix(got, want) {
		t.Errorf("%q, want %q... (%s)", got, want, errb.String())
	}
}

// TestC14_BadServers: what a server does wrong is EIO for that call, and nothing
// else.
func TestC14_BadServers(t *testing.T) {
	box, p := puppetBox(t)
	for name, bad := range map[string]func() error{
		"panics":                    func() error { panic("bad server") },
		"ends its goroutine":        func() error { runtime.Goexit(); return nil },
		"an interruption of nobody": func() error { return vfs.ErrInterrupted },
		"restart code":              func() error { return syscall.Errno(512) },
		"no error at all":           func() error { return syscall.Errno(0) },
		"a context's error":         func() error { return context.Canceled },
		"any error":                 func() error { return errors.New("odd") },
	} {
		t.Run(name, func(t *testing.T) {
			for _, call := range []string{"read", "open", "stat", "lookup"} {
				p.Plan(call, func(context.Context) error { return bad() })
				out, err := box.Command("cat", "/puppet/file").CombinedOutput()
				if err == nil || !strings.Contains(string(out), "Input/output error") {
					t.Errorf("%s: %q, %v", call, out, err)
				}
				p.Plan(call, nil)
				out, err = box.Command("cat", "/puppet/file").CombinedOutput()
				if err != nil || string(out) != "the puppet's file" {
					t.Errorf("after %s: %q, %v", call, out, err)
				}
			}
		})
	}
}

// TestC16_Shutdown: closing a box does not wait for a server, and tells it why.
func TestC16_Shutdown(t *testing.T) {
	p := vfstest.NewPuppet()
	box, err := hati.New(hati.Config{Mounts: []hati.Mount{hati.Server(p, "/puppet")}})
	if err != nil {
		t.Fatal(err)
	}
	stop := p.Ignore("read")
	defer stop.Release()
	cmd := box.Command("cat", "/puppet/file")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	at := <-stop.Entered
	start := time.Now()
	if err := box.Close(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("took %v", d)
	}
	<-at.Done()
	if c := context.Cause(at); c != vfs.ErrShutdown {
		t.Errorf("the server was told: %v", c)
	}
	cmd.Wait()
}

// TestC22_BoxLeavesNothing: a box is closed while many programs wait for a server
// that is stuck. When the server answers, goroutines and descriptors are as
// before.
func TestC22_BoxLeavesNothing(t *testing.T) {
	descriptors := func() int {
		d, _ := os.ReadDir("/proc/self/fd")
		return len(d)
	}
	p := vfstest.NewPuppet()
	stop := p.Ignore("read")
	defer stop.Release()
	goroutines, fds := runtime.NumGoroutine(), descriptors()
	box, err := hati.New(hati.Config{Mounts: []hati.Mount{hati.Server(p, "/puppet")}})
	if err != nil {
		t.Fatal(err)
	}
	const n = 50
	cmd := box.Command("sh", "-c", "for i in $(seq "+strconv.Itoa(n)+"); do cat /puppet/file & done; wait")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range n {
		<-stop.Entered
	}
	start := time.Now()
	if err := box.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("closed after %v", time.Since(start))
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("took %v", d)
	}
	cmd.Wait()
	stop.Release()
	eventually(t, "all is as before", func() bool {
		open, _, _ := p.Held()
		return open == 0 && runtime.NumGoroutine() <= goroutines+2 && descriptors() <= fds
	})
}
