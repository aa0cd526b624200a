package test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"github.com/hati-os/hati/vfs/vfstest"
)

// TestContractServedNetwork is the contract of networks over a process that hati serve
// has confined.
func TestContractServedNetwork(t *testing.T) {
	for name, args := range map[string][]string{
		"host": {"net", "host"}, "host, not lent": {"--no-lend", "net", "host"},
		"loopback": {"net", "loopback"}, "loopback, not lent": {"--no-lend", "net", "loopback"},
	} {
		t.Run(name, func(t *testing.T) {
			socket, _ := serve(t, args...)
			vfstest.RunNetwork(t, func(t *testing.T) vfs.Network {
				n, err := remote.RedialNetwork(context.Background(), remote.NetworkDialer(socket))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { n.Close() })
				return n
			}, vfstest.NetworkOptions{})
		})
	}
}

// sockets uses a network in many ways, and says what it found.
const sockets = `
import array, errno, select, signal, socket, struct, threading
l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind(("127.0.0.1", 0))
l.listen(5)
def serve():
    while True:
        c, a = l.accept()
        with c:
            total = 0
            while d := c.recv(65536):
                c.sendall(d)
                total += len(d)
            if total == 0:
                return
t = threading.Thread(target=serve)
t.start()
for size in 1, 1000, 300000:
    c = socket.create_connection(l.getsockname())
    threading.Thread(target=lambda: (c.sendall(bytes(size)), c.shutdown(socket.SHUT_WR))).start()
    got = 0
    while d := c.recv(65536):
        got += len(d)
    print("echo", size, got)
    c.close()
socket.create_connection(l.getsockname()).close()
t.join()
def says(what, f):
    try:
        print(what, f())
    except OSError as e:
        print(what, errno.errorcode.get(e.errno, e))
port = l.getsockname()[1]
l.close()
says("refused", lambda: socket.create_connection(("127.0.0.1", port)))
l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
says("again", lambda: l.bind(("127.0.0.1", port)))
l.listen()
l.settimeout(0.01)
says("timeout", lambda: l.accept())
l.setblocking(False)
says("nonblocking", lambda: l.accept())
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(("127.0.0.1", 0))
v = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
e = select.epoll()
e.register(u, select.EPOLLIN | select.EPOLLET)
for n in range(3):
    v.sendto(b"x" * n, u.getsockname())
    print("epoll", e.poll(5)[0][1])
print("nothing", e.poll(0))
for n in range(3):
    d, a = u.recvfrom(100)
    print("datagram", len(d), a[1] == v.getsockname()[1])
u.setsockopt(socket.SOL_IP, 12, 1)
v.sendto(b"ttl", u.getsockname())
d, c, f, a = u.recvmsg(100, 100)
print("control", d, c[0][:2], len(c[0][2]), f)
says("no room", lambda: v.sendto(bytes(70000), u.getsockname()))
signal.signal(signal.SIGALRM, lambda *a: 1 / 0)
try:
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    u.recv(1)
except ZeroDivisionError:
    print("interrupted")
v.sendto(b"later", u.getsockname())
print(u.recv(10))
says("unknown", lambda: u.getsockopt(socket.SOL_SOCKET, 9999))
says("family", lambda: socket.socket(45, socket.SOCK_STREAM))
says("peer", lambda: u.getpeername())
c = socket.create_connection(l.getsockname())
while True:
    try:
        s, _ = l.accept()
        break
    except BlockingIOError:
        select.select([l], [], [])
c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
c.close()
says("reset", lambda: s.recv(1))
says("broken", lambda: s.send(b"x"))
`

// TestNetworkWays: a program finds the same natively and wherever the host's network is
// served.
func TestNetworkWays(t *testing.T) {
	confined(t)
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip(err)
	}
	want := native(t, directory(t), "", "python3", "-c", sockets)
	if want.status != 0 {
		t.Fatal(want)
	}
	lane, _ := serve(t, "net", "host")
	asked, _ := serve(t, "--no-lend", "net", "host")
	for name, flags := range map[string][]string{
		"here": {"--net", "host"}, "lane": {"--net", "lane:" + lane}, "lane, not lent": {"--net", "lane:" + asked},
		"isolated": {"--isolate", "--net", "host"}, "isolated, lane": {"--isolate", "--net", "lane:" + lane},
		"isolated, rules": {"--isolate", "--net", "host", "--allow", "127.0.0.0/8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := under(t, directory(t), "", flags, "python3", "-c", sockets)
			if got.status != 0 || got.out != want.out {
				t.Errorf("got %v\nwant %v", got, want)
			}
		})
	}
}

// TestIsolatedSockets: an isolated hati can make no socket, unless it has to.
func TestIsolatedSockets(t *testing.T) {
	confined(t)
	lane, _ := serve(t, "net", "loopback")
	for name, c := range map[string]struct {
		flags   []string
		filters string
	}{
		"loopback": {[]string{"--net", "loopback"}, "1"}, "none": {[]string{"--net", "none"}, "1"}, "default": {nil, "1"}, "lane": {[]string{"--net", "lane:" + lane}, "1"},
		"published": {[]string{"--net", "loopback", "--publish", "0:80"}, "0"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(hati, append(append([]string{"run", "--isolate"}, c.flags...), "--", "sh", "-c", "echo up; read x")...)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer cmd.Process.Kill()
			if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
				t.Fatalf("%q, %v", line, err)
			}
			tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", cmd.Process.Pid))
			if len(tasks) < 2 {
				t.Fatal("no threads")
			}
			for _, task := range tasks {
				status, _ := os.ReadFile(task)
				_, rest, _ := strings.Cut(string(status), "Seccomp_filters:\t")
				if got, _, _ := strings.Cut(rest, "\n"); got != c.filters && len(status) > 0 {
					t.Errorf("%s has %q filters, want %s", task, got, c.filters)
				}
			}
		})
	}
}

// TestNetworkServerAgain: connections go on when their server has died, and the next one
// makes new ones.
func TestNetworkServerAgain(t *testing.T) {
	confined(t)
	socket, p := serve(t, "net", "host")
	dir := directory(t)
	const script = `
import errno, os, socket
l = socket.socket()
l.bind(("127.0.0.1", 0))
l.listen()
c = socket.create_connection(l.getsockname())
s, _ = l.accept()
os.write(1, b"up\n")
os.read(0, 1)
c.sendall(b"hello")
print(s.recv(10))
for f in l.accept, lambda: c.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE), socket.socket:
    try:
        print(f())
    except OSError as e:
        print(errno.errorcode[e.errno])
os.write(1, b"gone\n")
os.read(0, 1)
with socket.socket() as n:
    n.bind(("127.0.0.1", 0))
    n.listen()
    d = socket.create_connection(n.getsockname())
    print("new")
`
	cmd := exec.Command(hati, "run", "--net", "lane:"+socket, "--", "python3", "-u", "-c", script)
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	lines := bufio.NewReader(out)
	want := func(line string) {
		t.Helper()
		if got, err := lines.ReadString('\n'); strings.TrimSpace(got) != line {
			t.Fatalf("%q, %v; want %q", got, err, line)
		}
	}
	want("up")
	p.Process.Kill()
	in.Write([]byte("x"))
	for _, line := range []string{"b'hello'", "ENOTCONN", "ENOTCONN", "ENOTCONN", "gone"} {
		want(line)
	}
	serveAgain(t, socket, "net", "host")
	in.Write([]byte("x"))
	want("new")
}
