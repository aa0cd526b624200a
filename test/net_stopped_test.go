package test

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	api "github.com/hati-os/hati"
	"github.com/hati-os/hati/internal/faulttest"
)

// TestC12_NetworkServerStopped: a network's server that is stopped holds nobody who is
// killed (C12, C13), whatever the guest asked; when it goes on, nothing is left of
// them.
func TestC12_NetworkServerStopped(t *testing.T) {
	need(t, "python3")
	socket, p := serve(t, "net", "host")
	box, err := api.New(api.Config{Network: api.LaneNetwork(socket)})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	const begin = `
import os, socket
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0))
c = socket.socket(); a = l.getsockname()
os.write(1, b"begun")
os.read(0, 1)
`
	type guest struct {
		call string
		cmd  *api.Cmd
		in   io.Writer
		late bool // begins its call when the server is stopped
	}
	var guests []*guest
	for _, c := range []struct{ script, call string }{
		{"l.accept()", "accept4("}, {"u.recv(1)", "recvfrom("}, {"u.getsockname()", "getsockname("},
		{"socket.socket()", "socket("}, {"c.connect(a)", "connect("}, {"l.accept()", "accept4("}, {"u.recv(1)", "recvfrom("},
	} {
		g := &guest{call: c.call, cmd: box.Command("python3", "-c", begin+c.script), late: len(guests) < 5}
		in, err := g.cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		out, err := g.cmd.StdoutPipe()
		if err == nil {
			err = g.cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		defer g.cmd.Process.Kill()
		if _, err := io.ReadFull(out, make([]byte, len("begun"))); err != nil {
			t.Fatal(err)
		}
		g.in = in
		guests = append(guests, g)
	}
	waits := func(late bool) {
		for _, g := range guests {
			if g.late != late {
				continue
			}
			g.in.Write([]byte("x"))
			faulttest.Eventually(t, g.call+" waits", func() bool {
				for _, o := range box.Operations() {
					if o.PID == g.cmd.Process.Pid() && o.State == api.OperationWaiting && strings.HasPrefix(o.Call, g.call) {
						return true
					}
				}
				runtime.Gosched()
				return false
			})
		}
	}
	waits(false)
	if err := p.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer p.Process.Signal(syscall.SIGCONT)
	waits(true)
	t.Log("all wait")
	for _, g := range guests {
		from := time.Now()
		if err := g.cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		err := g.cmd.Wait()
		took := time.Since(from)
		var x *api.ExitError
		if !errors.As(err, &x) || x.String() != "signal: killed" {
			t.Errorf("%s: %v", g.call, err)
		}
		t.Logf("%s...): gone after %v", g.call, took.Round(10*time.Microsecond))
		if took > 2*time.Second {
			t.Errorf("%s: that is not at once", g.call)
		}
	}
	p.Process.Signal(syscall.SIGCONT)
	faulttest.Eventually(t, "nothing is pending", func() bool { return len(box.Operations()) == 0 })
	out, err := box.Command("python3", "-c", `
import socket
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen()
c = socket.create_connection(l.getsockname()); s, _ = l.accept(); c.send(b"works"); print(s.recv(9))
`).CombinedOutput()
	if err != nil || string(out) != "b'works'\n" {
		t.Errorf("%q, %v", out, err)
	}
}
