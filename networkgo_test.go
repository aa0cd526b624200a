package hati_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hati-os/hati"
)

// guestVar has a test of this package be a program in a box.
const guestVar = "HATI_TEST_GUEST"

// TestGoGuest is what TestDialNetworkGo runs in its box.
func TestGoGuest(t *testing.T) {
	if os.Getenv(guestVar) == "" {
		t.Skip("not in a box")
	}
	c, err := net.Dial("tcp", "192.0.2.1:7")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "hello")
	c.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(c)
	fmt.Println(string(b), err, c.RemoteAddr())
	_, err = net.Dial("tcp", "192.0.2.1:8")
	fmt.Println(errors.Is(err, syscall.ECONNREFUSED))
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		os.Stdin.Read(make([]byte, 1)) // comes when the dial has begun
		cancel()
	}()
	_, err = new(net.Dialer).DialContext(ctx, "tcp", "192.0.2.1:9")
	fmt.Println(errors.Is(err, context.Canceled))
	u, err := net.Dial("udp", "192.0.2.1:7")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(u, "datagram")
	n, err := u.Read(make([]byte, 100))
	fmt.Println(n, err)
}

// Go's programs connect without waiting, and hear by epoll's edges how that went.
func TestDialNetworkGo(t *testing.T) {
	w := &world{servers: map[string]func(net.Conn){"tcp 192.0.2.1:7": echoes, "udp 192.0.2.1:7": echoes}}
	begun, ended := make(chan struct{}), make(chan error, 1)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	guest := hati.HostDir(filepath.Dir(self), "/guest", hati.ReadOnly)
	box := newBox(t, hati.Config{Mounts: []hati.Mount{guest}, Network: hati.DialNetwork(hati.NetworkFuncs{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "192.0.2.1:9" {
				close(begun)
				<-ctx.Done()
				ended <- ctx.Err()
				return nil, ctx.Err()
			}
			return w.dial(ctx, network, address)
		},
	})})
	cmd := box.Command("/guest/"+filepath.Base(self), "-test.run=^TestGoGuest$")
	cmd.Env = append(os.Environ(), guestVar+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-begun
		in.Close()
	}()
	out, err := cmd.Output()
	if want := "hello <nil> 192.0.2.1:7\ntrue\ntrue\n8 <nil>\nPASS\n"; err != nil || string(out) != want {
		t.Fatalf("%v: %s, want %s", err, out, want)
	}
	<-ended
}
