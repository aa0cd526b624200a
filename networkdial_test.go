package hati_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati"
)

// world is an outside in memory: servers by their address.
type world struct {
	mu      sync.Mutex
	servers map[string]func(net.Conn)
	dialed  []string
	wg      sync.WaitGroup
}

func (w *world) dial(_ context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dialed = append(w.dialed, network+" "+address)
	serve := w.servers[network+" "+address]
	if serve == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	var a, b net.Conn
	if network == "udp" {
		a, b = messagePipe(syscall.SOCK_SEQPACKET)
	} else {
		a, b = messagePipe(syscall.SOCK_STREAM)
	}
	w.wg.Add(1)
	go func() {
		defer w.wg.Done()
		defer b.Close()
		serve(b)
	}()
	return a, nil
}

// messagePipe is a pair of AF_UNIX sockets: they half-close, or keep messages apart.
func messagePipe(typ int) (a, b net.Conn) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, typ|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	var c [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pipe")
		if c[i], err = net.FileConn(f); err != nil {
			panic(err)
		}
		f.Close()
	}
	return c[0], c[1]
}

func echoes(c net.Conn) { _, _ = io.Copy(c, c) }

// python runs a script in a box with a network of f.
func python(t *testing.T, f hati.NetworkFuncs, script string, args ...string) string {
	t.Helper()
	box := newBox(t, hati.Config{Network: hati.DialNetwork(f)})
	out, err := box.Command("python3", append([]string{"-IS", "-c", script}, args...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if err := box.Close(); err != nil {
		t.Error(err)
	}
	return string(out)
}

func TestDialNetworkStream(t *testing.T) {
	var last int64
	w := &world{servers: map[string]func(net.Conn){
		"tcp 192.0.2.1:7": echoes,
		// It answers when it has heard all.
		"tcp [2001:db8::1]:9": func(c net.Conn) {
			b, _ := io.ReadAll(c)
			fmt.Fprintf(c, "%d bytes", len(b))
		},
		"tcp 192.0.2.1:10": func(c net.Conn) { fmt.Fprint(c, "bye") },
		"tcp 192.0.2.1:11": func(c net.Conn) { last, _ = io.Copy(io.Discard, c) },
	}}
	out := python(t, hati.NetworkFuncs{DialContext: w.dial}, `
import socket, select, errno, os
def tcp(to, family=socket.AF_INET):
    s = socket.socket(family)
    s.connect(to)
    return s
s = tcp(("192.0.2.1", 7))
print(s.getpeername(), s.getsockname()[0], s.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 7)
s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
print(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE))
s.sendall(b"hello")
print(s.recv(10))
s.shutdown(socket.SHUT_WR)
print(s.recv(10))
try: tcp_again = s.connect(("192.0.2.1", 7))
except OSError as e: print(errno.errorcode[e.errno])
s.close()
with tcp(("2001:db8::1", 9), socket.AF_INET6) as s:
    print(s.getpeername())
    s.sendall(b"x" * 3000000)
    s.shutdown(socket.SHUT_WR)
    print(s.recv(100))
with tcp(("::ffff:192.0.2.1", 10), socket.AF_INET6) as s:
    print(s.getpeername()[0], s.recv(10), s.recv(10))
for to in [("192.0.2.1", 8), ("192.0.2.2", 7)]:
    try: tcp(to)
    except OSError as e: print(errno.errorcode[e.errno])
# without waiting
s = socket.socket()
s.setblocking(False)
print(errno.errorcode[s.connect_ex(("192.0.2.1", 7))])
print(len(select.select([], [s], [])[1]), s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
print(s.connect_ex(("192.0.2.1", 7)), errno.errorcode[s.connect_ex(("192.0.2.1", 7))])
s = socket.socket()
s.setblocking(False)
s.connect_ex(("192.0.2.1", 8))
p = select.poll()
p.register(s, select.POLLOUT)
print(p.poll()[0][1] & (select.POLLERR | select.POLLHUP | select.POLLOUT))
print(errno.errorcode[s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)], s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
# inside
l = socket.socket()
l.bind(("", 8080))
l.listen()
for a in ["127.0.0.1", "10.0.2.15"]:
    c = socket.create_connection((a, 8080))
    d, peer = l.accept()
    d.sendall(b"inside")
    print(c.recv(10))
# a second life
s = tcp(("192.0.2.1", 7))
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.connect(s.fileno(), bytes(16), 16))
s.connect(("192.0.2.1", 10))
print(s.recv(5))
# the last words are heard
tcp(("192.0.2.1", 11)).sendall(b"x" * 3000000)
`)
	want := `('192.0.2.1', 7) 10.0.2.15 1
7
b'hello'
b''
EISCONN
('2001:db8::1', 9, 0, 0)
b'3000000 bytes'
::ffff:192.0.2.1 b'bye' b''
ECONNREFUSED
ECONNREFUSED
EINPROGRESS
1 0
0 EISCONN
28
ECONNREFUSED 0
b'inside'
b'inside'
0
b'bye'
`
	if out != want {
		t.Errorf("%s\nwant\n%s", out, want)
	}
	w.wg.Wait() // the box has closed them all
	if last != 3000000 {
		t.Errorf("of the last words %d bytes came", last)
	}
}

// What a dial says is what connect says.
func TestDialNetworkErrors(t *testing.T) {
	errs := map[string]error{
		"192.0.2.1:1": syscall.ENETUNREACH,
		"192.0.2.1:2": fmt.Errorf("proxy: %w", &net.OpError{Op: "dial", Err: syscall.EACCES}),
		"192.0.2.1:3": context.DeadlineExceeded,
		"192.0.2.1:4": &net.DNSError{Err: "no such host"},
		"192.0.2.1:5": errors.New("whatever"),
		"192.0.2.1:6": syscall.EAGAIN,
		"192.0.2.1:8": nil, // and no connection
	}
	out := python(t, hati.NetworkFuncs{DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
		if address == "192.0.2.1:7" {
			panic("no")
		}
		return nil, errs[address]
	}}, `
import socket, errno
for port in range(1, 9):
    with socket.socket() as s: print(errno.errorcode[s.connect_ex(("192.0.2.1", port))])
for to in [("192.0.2.1", 1), ("224.0.0.1", 1)]:
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        try: s.sendto(b"x", to); print("ok")
        except OSError as e: print(errno.errorcode[e.errno])
`)
	if want := "ENETUNREACH EACCES ETIMEDOUT EHOSTUNREACH EHOSTUNREACH EHOSTUNREACH EIO EHOSTUNREACH ok ENETUNREACH"; strings.Join(strings.Fields(out), " ") != want {
		t.Errorf("%s, want %s", out, want)
	}
	out = python(t, hati.NetworkFuncs{}, `
import socket, errno
with socket.socket() as s: print(errno.errorcode[s.connect_ex(("192.0.2.1", 1))])
`)
	if out != "ENETUNREACH\n" {
		t.Errorf("without DialContext: %s", out)
	}
}

func TestDialNetworkDatagrams(t *testing.T) {
	w := &world{servers: map[string]func(net.Conn){}}
	for i := range 100 {
		w.servers[fmt.Sprintf("udp 192.0.2.1:%d", 1000+i)] = func(c net.Conn) {
			buf := make([]byte, 70000)
			for {
				n, err := c.Read(buf)
				if err != nil || n == 0 {
					return
				}
				fmt.Fprintf(c, "%d %d", 1000+i, n)
			}
		}
	}
	w.servers["udp [2001:db8::1]:1000"] = w.servers["udp 192.0.2.1:1000"]
	out := python(t, hati.NetworkFuncs{DialContext: w.dial}, `
import socket, errno, select
s = socket.socket(type=socket.SOCK_DGRAM)
for port in range(1000, 1100):
    for n in (1, 100, 60000):
        s.sendto(b"x" * n, ("192.0.2.1", port))
        assert s.recvfrom(100) == (b"%d %d" % (port, n), ("192.0.2.1", port))
s.connect(("192.0.2.1", 1005))
print(s.getpeername(), s.getsockname()[0])
s.send(b"xx")
print(s.recv(100))
s.sendto(b"xxx", ("192.0.2.1", 1006)) # whose answer is not heard
s.send(b"xxxx")
print(s.recv(100))
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s6:
    s6.sendto(b"1", ("2001:db8::1", 1000))
    print(s6.recvfrom(10))
    s6.sendto(b"12", ("::ffff:192.0.2.1", 1001))
    print(s6.recvfrom(10))
# nobody there: one who is connected hears of it
s = socket.socket(type=socket.SOCK_DGRAM)
s.connect(("192.0.2.9", 1))
s.send(b"x")
try: print(s.recv(1))
except OSError as e: print(errno.errorcode[e.errno])
# inside
a, b = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(2)]
a.bind(("", 5353))
b.sendto(b"q", ("127.0.0.1", 5353))
q, peer = a.recvfrom(10)
a.sendto(b"a", peer)
print(q, b.recvfrom(10))
# the last word is heard
s = socket.socket(type=socket.SOCK_DGRAM)
s.sendto(b"bye", ("192.0.2.77", 514))
`)
	want := `('192.0.2.1', 1005) 10.0.2.15
b'1005 2'
b'1005 4'
(b'1000 1', ('2001:db8::1', 1000, 0, 0))
(b'1001 2', ('::ffff:192.0.2.1', 1001, 0, 0))
ECONNREFUSED
b'q' (b'a', ('127.0.0.1', 5353))
`
	if out != want {
		t.Errorf("%s\nwant\n%s", out, want)
	}
	w.wg.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if last := w.dialed[len(w.dialed)-1]; last != "udp 192.0.2.77:514" {
		t.Errorf("the last is %s", last)
	}
}

// A dial that hangs ends with whatever the guest does to end it, and the guest does not
// hang.
func TestDialNetworkCancel(t *testing.T) {
	const connect = `
import socket, signal, select, time, sys, os
s = socket.socket()
`
	for name, c := range map[string]struct {
		script string
		end    func(*hati.Box, *hati.Cmd, context.CancelFunc)
		want   string // nothing of who is ended
	}{
		"killed":  {"s.connect(('192.0.2.1', 1))", func(_ *hati.Box, c *hati.Cmd, _ context.CancelFunc) { c.Process.Kill() }, ""},
		"context": {"s.connect(('192.0.2.1', 1))", func(_ *hati.Box, _ *hati.Cmd, cancel context.CancelFunc) { cancel() }, ""},
		"box":     {"s.connect(('192.0.2.1', 1))", func(b *hati.Box, _ *hati.Cmd, _ context.CancelFunc) { b.Close() }, ""},
		"close": {`
s.setblocking(False)
s.connect_ex(('192.0.2.1', 1))
print(select.select([s], [s], [s], 0))
s.close()
sys.stdin.read()`, nil, "([], [], [])\n"},
		"disconnect": {`
import ctypes
s.setblocking(False)
s.connect_ex(('192.0.2.1', 1))
print(ctypes.CDLL(None).connect(s.fileno(), bytes(16), 16))
sys.stdin.read()`, nil, "0\n"},
		"shutdown": {`
s.setblocking(False)
s.connect_ex(('192.0.2.1', 1))
s.shutdown(socket.SHUT_RDWR)
print(os.strerror(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)))
sys.stdin.read()`, nil, "Software caused connection abort\n"},
		// It goes on after a signal, which comes when the dial has begun.
		"signal": {`
class Alarm(Exception): pass
def alarm(*_): raise Alarm
signal.signal(signal.SIGALRM, alarm)
try: s.connect(('192.0.2.1', 1))
except Alarm: print("alarm")
s.setblocking(False)
print(os.strerror(s.connect_ex(('192.0.2.1', 1))))
s.close()
sys.stdin.read()`, func(_ *hati.Box, c *hati.Cmd, _ context.CancelFunc) { c.Process.Signal(syscall.SIGALRM) }, "alarm\nOperation already in progress\n"},
		"timeout": {`
s.settimeout(0.01)
try: s.connect(('192.0.2.1', 1))
except TimeoutError as e: print(e)
s.close()
sys.stdin.read()`, nil, "timed out\n"},
	} {
		t.Run(name, func(t *testing.T) {
			begun, ended := make(chan bool, 9), make(chan error, 9)
			box := newBox(t, hati.Config{Network: hati.DialNetwork(hati.NetworkFuncs{
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					begun <- true
					<-ctx.Done()
					ended <- ctx.Err()
					return nil, ctx.Err()
				},
			})})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			cmd := box.CommandContext(ctx, "python3", "-IS", "-c", connect+c.script)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-begun
			if c.end != nil {
				c.end(box, cmd, cancel)
			}
			<-ended // while the program goes on, if nobody has ended it
			in.Close()
			if err := cmd.Wait(); (err != nil) != (c.want == "") {
				t.Error(err)
			}
			if out.String() != c.want {
				t.Errorf("%s, want %s", out.String(), c.want)
			}
			if len(begun) > 0 {
				t.Error("dialed again")
			}
		})
	}
}

// A function that does not care about its ctx does not keep the box from ending.
func TestDialNetworkDeaf(t *testing.T) {
	hang := make(chan bool)
	begun := make(chan bool)
	defer close(hang)
	box := newBox(t, hati.Config{Network: hati.DialNetwork(hati.NetworkFuncs{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			close(begun)
			<-hang
			a, _ := net.Pipe()
			return a, nil
		},
	})})
	cmd := box.Command("python3", "-IS", "-c", "import socket; socket.create_connection(('192.0.2.1', 1))")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-begun
	start := time.Now()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if err := box.Close(); err == nil || time.Since(start) > 10*time.Second {
		t.Errorf("%v, after %v", err, time.Since(start))
	}
}
