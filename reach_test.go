package hati_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati"
)

// All addresses of IPv4 are none of IPv6.
func TestPublishIPv4(t *testing.T) {
	box := newBox(t, hati.Config{})
	p, err := box.Publish(hati.Publish{Listen: netip.MustParseAddrPort("0.0.0.0:0"), Port: 80})
	if err != nil {
		t.Fatal(err)
	}
	if a := p.Addr().String(); !strings.HasPrefix(a, "0.0.0.0:") {
		t.Errorf("it listens at %s", a)
	}
}

// echoServer listens at the port in its arguments, TCP and UDP, and answers each connection,
// once that has said all, with who it was and what it said. It ends with its input.
const echoServer = `
import socket, sys, threading
port = int(sys.argv[1])
l = socket.create_server((sys.argv[2], port), family=socket.AF_INET6 if ':' in sys.argv[2] else socket.AF_INET)
u = socket.socket(l.family, socket.SOCK_DGRAM)
u.bind((sys.argv[2], port))
def tcp():
    while True:
        c, peer = l.accept()
        b = b''
        while True:
            try: x = c.recv(65536)
            except OSError as e:
                print(e.errno, flush=True); break
            if not x:
                c.sendall(peer[0].encode() + b' ' + b)
                break
            b += x
        c.close()
def udp():
    while True:
        b, peer = u.recvfrom(65536)
        u.sendto(peer[0].encode() + b' ' + b, peer)
threading.Thread(target=tcp, daemon=True).start()
threading.Thread(target=udp, daemon=True).start()
print('ready', flush=True)
sys.stdin.read()
`

// echoing starts echoServer in a box. What it prints comes out of the reader.
func echoing(t *testing.T, box *hati.Box, port, host string) *bufio.Reader {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is missing")
	}
	cmd := box.Command("python3", "-c", echoServer, port, host)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	out := bufio.NewReader(stdout)
	if line, err := out.ReadString('\n'); line != "ready\n" {
		t.Fatal(line, err)
	}
	return out
}

// asks says something over a connection, and returns the answer.
func asks(c net.Conn, text string) (string, error) {
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

func TestDial(t *testing.T) {
	box := newBox(t, hati.Config{Network: hati.LoopbackNetwork(), User: &hati.User{}})
	echoing(t, box, "80", "127.0.0.1")
	ctx := t.Context()
	long := strings.Repeat("much ", 1<<18)
	for _, address := range []string{"localhost:80", "127.0.0.1:80", "127.0.0.1:http"} {
		c, err := box.Dial(ctx, "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		got, err := asks(c, long)
		if got != "127.0.0.1 "+long || err != nil {
			t.Errorf("%s: %d bytes, %v", address, len(got), err)
		}
		if s := c.RemoteAddr().String(); s != "127.0.0.1:80" {
			t.Error(s)
		}
		if err := errors.Join(c.Close(), c.Close()); err != nil {
			t.Error(err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}
	u, err := box.Dial(ctx, "udp", "localhost:80")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	b := make([]byte, 100)
	_, err = io.WriteString(u, "datagram")
	n, err2 := u.Read(b)
	if string(b[:n]) != "127.0.0.1 datagram" || err != nil || err2 != nil {
		t.Errorf("%q %v %v", b[:n], err, err2)
	}
	u.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := u.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	u.SetReadDeadline(time.Time{})
	go io.WriteString(u, "again")
	if n, err := u.Read(b); string(b[:n]) != "127.0.0.1 again" || err != nil {
		t.Errorf("%q %v", b[:n], err)
	}
	gone, cancel := context.WithCancelCause(ctx)
	why := errors.New("not wanted any more")
	cancel(why)
	for _, c := range []struct {
		ctx              context.Context
		network, address string
		want             error
	}{
		{ctx, "tcp", "localhost:81", syscall.ECONNREFUSED},
		{ctx, "tcp6", "localhost:80", syscall.ECONNREFUSED},
		{ctx, "tcp", "192.0.2.1:80", syscall.ENETUNREACH},
		{ctx, "tcp", "example.com:80", nil},
		{ctx, "tcp4", "[::1]:80", nil},
		{ctx, "unix", "/x", nil},
		{ctx, "tcp", "localhost", nil},
		{gone, "tcp", "localhost:80", why},
	} {
		conn, err := box.Dial(c.ctx, c.network, c.address)
		if err == nil || conn != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s %s: %v", c.network, c.address, err)
		}
	}
}

// A connection for which there is no room waits, and ctx ends that.
func TestDialCancelled(t *testing.T) {
	box := newBox(t, hati.Config{Network: hati.LoopbackNetwork(), User: &hati.User{}})
	cmd := box.Command("python3", "-c", "import socket, sys\nl = socket.socket(); l.bind(('', 80)); l.listen(0)\nprint(flush=True)\nsys.stdin.read()")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer cmd.Wait()
	defer in.Close()
	bufio.NewReader(out).ReadString('\n')
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("not wanted any more")
	const calls = 8
	results := make(chan error, calls)
	for range calls {
		go func() {
			c, err := box.Dial(ctx, "tcp", "localhost:80")
			if err == nil {
				defer c.Close()
			}
			results <- err
		}()
	}
	if err := <-results; err != nil { // the backlog has room for one
		t.Fatal(err)
	}
	cancel(why)
	for range calls - 1 {
		if err := <-results; err != nil && !errors.Is(err, why) {
			t.Error(err)
		}
	}
}

func TestDialNoNetwork(t *testing.T) {
	box := newBox(t, hati.Config{Network: hati.NoNetwork()})
	if _, err := box.Dial(t.Context(), "tcp", "localhost:1"); !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Error(err)
	}
	if _, err := box.Publish(hati.Publish{Port: 80}); !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Error(err)
	}
}

func TestPublish(t *testing.T) {
	box := newBox(t, hati.Config{Network: hati.LoopbackNetwork(), User: &hati.User{}})
	out := echoing(t, box, "80", "::1")
	p, err := box.Publish(hati.Publish{Port: 80})
	if err != nil {
		t.Fatal(err)
	}
	dial := func() *net.TCPConn {
		t.Helper()
		c, err := net.Dial("tcp", p.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c.(*net.TCPConn)
	}
	var all sync.WaitGroup
	for i := range 10 {
		c := dial()
		all.Go(func() {
			text := strings.Repeat(fmt.Sprint(i), 200000)
			if got, err := asks(c, text); got != "::1 "+text || err != nil {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	all.Wait()
	// A reset arrives as one.
	c := dial()
	io.WriteString(c, "x")
	c.SetLinger(0)
	c.Close()
	if line, err := out.ReadString('\n'); line != fmt.Sprintln(int(syscall.ECONNRESET)) {
		t.Error(line, err)
	}
	// Another kind of listener.
	unixListener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := box.Publish(hati.Publish{Listener: unixListener, Port: 80}); err != nil {
		t.Fatal(err)
	}
	u, err := net.Dial("unix", unixListener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if got, err := asks(u, "by a file"); got != "::1 by a file" || err != nil {
		t.Error(got, err)
	}
	// The port is the host's, and nobody listens at another one of the box.
	if _, err := hati.New(hati.Config{Network: hati.LoopbackNetwork(), Publish: []hati.Publish{{Listen: p.Addr().(*net.TCPAddr).AddrPort(), Port: 80}}}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Error(err)
	}
	p2, err := box.Publish(hati.Publish{Port: 81})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", p2.Addr().String()); err == nil { // else it was reset at once
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Error(n, err)
		}
		c.Close()
	}
	if err := p2.Close(); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", p2.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
}

func TestPublishNotHost(t *testing.T) {
	for _, n := range []hati.Network{hati.HostNetwork(), hati.HostNetworkRules(hati.NetworkRules{})} {
		_, err := hati.New(hati.Config{Network: n, Publish: []hati.Publish{{Port: 80}}})
		if !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "listen on the host themselves") {
			t.Error(err)
		}
	}
}

// A box that cannot be made closes the listeners that it was given.
func TestPublishNotMade(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, err = hati.New(hati.Config{Mounts: []hati.Mount{hati.HostDir("/no/such/directory", "/mnt", hati.ReadOnly)}, Publish: []hati.Publish{{Listener: l, Port: 80}}})
	if err == nil {
		t.Fatal("there is a box")
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener: %v (the box: %v)", err, err)
	}
}

// The end of a box ends what goes in and out.
func TestReachEnds(t *testing.T) {
	before := descriptors(t)
	for range 3 {
		box, err := hati.New(hati.Config{Network: hati.LoopbackNetwork(), User: &hati.User{}})
		if err != nil {
			t.Fatal(err)
		}
		p, err := box.Publish(hati.Publish{Port: 80})
		if err != nil {
			t.Fatal(err)
		}
		t.Run("box", func(t *testing.T) {
			echoing(t, box, "80", "127.0.0.1")
			inside, err := box.Dial(t.Context(), "tcp", "localhost:80")
			if err != nil {
				t.Fatal(err)
			}
			outside, err := net.Dial("tcp", p.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer outside.Close()
			io.WriteString(outside, "x")
			reads := make(chan error, 2)
			for _, c := range []net.Conn{inside, outside} {
				go func() {
					_, err := c.Read(make([]byte, 1))
					reads <- err
				}()
			}
			if err := box.Close(); err != nil {
				t.Error(err)
			}
			for range 2 {
				if err := <-reads; err == nil {
					t.Error("something was read")
				}
			}
			if _, err := box.Dial(t.Context(), "tcp", "localhost:80"); !errors.Is(err, hati.ErrClosed) {
				t.Error(err)
			}
			if _, err := box.Publish(hati.Publish{Port: 80}); !errors.Is(err, hati.ErrClosed) {
				t.Error(err)
			}
			if _, err := net.Dial("tcp", p.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Error(err)
			}
		})
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

// descriptors counts the sockets of this process.
func descriptors(t *testing.T) (n int) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if to, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

func TestParsePublish(t *testing.T) {
	for _, c := range []struct {
		text string
		want string
	}{
		{"8080:80", "127.0.0.1:8080:80"},
		{"0:80", "127.0.0.1:0:80"},
		{"0.0.0.0:8080:80/tcp", "0.0.0.0:8080:80"},
		{"[::1]:8080:80", "[::1]:8080:80"},
		{"80", ""}, {"8080:0", ""}, {"8080:80/udp", ""}, {"::1:8080:80", ""}, {"host:8080:80", ""}, {"1:2:3:4", ""}, {"65536:80", ""}, {"", ""},
		{"[127.0.0.1]:8080:80", ""}, {":8080:80", ""},
	} {
		p, err := hati.ParsePublish(c.text)
		if (err == nil) != (c.want != "") || err == nil && p.String() != c.want {
			t.Errorf("%q: %v %v", c.text, p, err)
		}
	}
	if (hati.Publish{Listen: netip.MustParseAddrPort("[::1]:1"), Port: 2}).String() != "[::1]:1:2" {
		t.Error("String")
	}
}
