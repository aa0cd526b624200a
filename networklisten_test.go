package hati_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hati-os/hati"
)

// What breaks off outside breaks off inside, and the other way round.
func TestDialNetworkReset(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan error, 1)
	go func() {
		for i := range 2 {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, err = bufio.NewReader(c).ReadString('\n')
			if i == 0 {
				_ = c.(*net.TCPConn).SetLinger(0)
			} else {
				fmt.Fprintln(c, "go")
				_, err = c.Read(make([]byte, 1))
				heard <- err
			}
			c.Close()
		}
	}()
	out := python(t, hati.NetworkFuncs{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, l.Addr().String())
	}}, `
import socket, struct, errno
s = socket.create_connection(("192.0.2.1", 1))
s.send(b"x\n")
try: print(s.recv(1))
except OSError as e: print(errno.errorcode[e.errno])
s = socket.create_connection(("192.0.2.1", 1))
s.send(b"x\n")
s.recv(3)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.close()
`)
	if out != "ECONNRESET\n" {
		t.Errorf("inside: %s", out)
	}
	if err := <-heard; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("outside: %v", err)
	}
}

// Programs that listen are heard outside, but for those at the loopback.
func TestDialNetworkListen(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	listeners := make(chan net.Listener, 9)
	box := newBox(t, hati.Config{Network: hati.DialNetwork(hati.NetworkFuncs{
		ListenContext: func(ctx context.Context, network, address string) (net.Listener, error) {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, network+" "+address)
			if strings.HasSuffix(address, ":8081") {
				return nil, syscall.EADDRINUSE
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			listeners <- l
			return l, err
		},
	})})
	cmd := box.Command("python3", "-IS", "-c", `
import socket, errno
for a in [("127.0.0.1", 8080), ("", 8081)]:
    with socket.socket() as s:
        s.bind(a)
        try: s.listen(); print("ok")
        except OSError as e: print(errno.errorcode[e.errno])
s = socket.socket(socket.AF_INET6)
s.bind(("::", 8000))
s.listen()
s.listen(5)
for i in range(3):
    c, peer = s.accept()
    print(peer == c.getpeername(), peer[0], c.getsockname()[:2])
    c.sendall(c.recv(100) + b" from inside")
    c.close()
`)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l := <-listeners
	for i := range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "%d", i)
		b, err := io.ReadAll(c)
		if err != nil || string(b) != fmt.Sprintf("%d from inside", i) {
			t.Errorf("%q, %v", b, err)
		}
		c.Close()
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	want := "ok\nEADDRINUSE\n" + strings.Repeat("True ::ffff:127.0.0.1 ('::ffff:10.0.2.15', 8000)\n", 3)
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
	if s := strings.Join(asked, ", "); s != "tcp 0.0.0.0:8081, tcp [::]:8000" {
		t.Errorf("asked %s", s)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}
