package netconn_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/hati-os/hati/internal/netconn"
	"github.com/hati-os/hati/internal/servers/inet"
)

// A connection that is closed is not used any more: its number may be another's.
func TestClosed(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n := inet.Host()
	defer n.Close()
	closed := 0
	c, err := netconn.Dial(context.Background(), n, "tcp", l.Addr().String(), func() { closed++ })
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil || closed != 1 {
		t.Errorf("close: %v, %d times", err, closed)
	}
	for name, do := range map[string]func() error{
		"reset":       c.Reset,
		"close write": c.CloseWrite,
		"close read":  c.CloseRead,
		"deadline":    func() error { return c.SetDeadline(time.Now()) },
		"read":        func() error { _, err := c.Read(make([]byte, 1)); return err },
		"write":       func() error { _, err := c.Write([]byte("x")); return err },
	} {
		if err := do(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
