package hati_test

import (
	"bufio"
	"context"
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hati-os/hati"
	"github.com/hati-os/hati/internal/servers/inet"
	"github.com/hati-os/hati/names"
	"github.com/hati-os/hati/vfs/remote"
)

// TestNamedNetwork: boxes at one network reach each other, whether they have it by its
// name or by its socket; and the next one when it has ended.
func TestNamedNetwork(t *testing.T) {
	r := names.New()
	defer r.Close()
	if _, err := hati.New(hati.Config{Names: r, Network: hati.NamedNetwork("net.none")}); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("a name that nobody has: %v", err)
	}
	if _, err := hati.New(hati.Config{Network: hati.NamedNetwork("net.a")}); err == nil {
		t.Error("a name without a registry")
	}
	socket := filepath.Join(t.TempDir(), "s")
	if _, err := hati.New(hati.Config{Network: hati.LaneNetwork(socket)}); err == nil {
		t.Error("a socket where nobody listens")
	}
	serve := func() (stop func()) {
		n, err := inet.Loopback()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		l, err := remote.ListenNetwork(socket, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		registered, ended := make(chan struct{}), make(chan struct{}, 2)
		go func() {
			_ = hati.RegisterNetwork(ctx, toldRegistry{r, registered}, "net.a", 0, n, remote.NetworkOptions{})
			ended <- struct{}{}
		}()
		go func() {
			_ = remote.ServeNetworkListener(ctx, l, n, remote.NetworkOptions{})
			ended <- struct{}{}
		}()
		<-registered
		return func() {
			cancel()
			<-ended
			<-ended
			n.Close()
		}
	}
	stop := serve()
	var boxes []*hati.Box
	for _, n := range []hati.Network{hati.NamedNetwork("net.a"), hati.LaneNetwork(socket)} {
		box, err := hati.New(hati.Config{Names: r, Network: n, User: &hati.User{}})
		if err != nil {
			t.Fatal(err)
		}
		defer box.Close()
		boxes = append(boxes, box)
	}
	for range 2 {
		for i, box := range boxes {
			meet(t, box, boxes[1-i])
		}
		stop()
		if _, err := boxes[0].Dial(t.Context(), "tcp", "127.0.0.1:80"); !errors.Is(err, syscall.ENOTCONN) {
			t.Errorf("dialing at nobody's: %v", err)
		}
		stop = serve()
	}
	stop()
}

// toldRegistry tells when a name is registered.
type toldRegistry struct {
	*names.Registry
	done chan struct{}
}

func (d toldRegistry) Register(ctx context.Context, name string, s names.Service) (*names.Registration, error) {
	g, err := d.Registry.Register(ctx, name, s)
	close(d.done)
	return g, err
}

// meet has a program in one box listen, and connects through the other.
func meet(t *testing.T, listens, dials *hati.Box) {
	t.Helper()
	const script = `
import socket
l = socket.create_server(("127.0.0.1", 80))
print("up", flush=True)
c, _ = l.accept()
c.sendall(c.recv(10).upper())
`
	cmd := listens.CommandContext(t.Context(), "python3", "-c", script)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		t.Fatalf("%q, %v", line, err)
	}
	p := make([]byte, 10)
	c, err := dials.Dial(t.Context(), "tcp", "127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(p); string(p[:n]) != "HELLO" {
		t.Errorf("%q, %v", p[:n], err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestParseNetwork: what names no network is refused.
func TestParseNetwork(t *testing.T) {
	for _, s := range []string{"host:x", "lane", "lane:", "name:", "name:a/b", "loopback:", "elsewhere"} {
		if _, err := hati.ParseNetwork(s); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", "none", "host", "loopback", "lane:s", "name:net.a"} {
		if _, err := hati.ParseNetwork(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
}
