package test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestLoopback compares what programs are told of addresses natively and on a loopback
// of their own.
func TestLoopback(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	guests, err := filepath.Abs("guest/net")
	if err != nil {
		t.Fatal(err)
	}
	script := []string{"python3", filepath.Join(guests, "loopback.py")}
	n := native(t, guests, "", script...)
	h := under(t, guests, "", []string{"--net", "loopback", "--mount", guests + ":" + guests}, script...)
	if n.status != 0 {
		t.Fatal(n)
	}
	if n == h {
		return
	}
	was, is := strings.Split(n.out, "\n"), strings.Split(h.out, "\n")
	for i := range min(len(was), len(is)) {
		if was[i] != is[i] {
			t.Errorf("line %d\nnatively:   %s\nunder hati: %s", i+1, was[i], is[i])
		}
	}
	t.Errorf("status %d, %d\n%s", n.status, h.status, h.err)
}

// guest is a program that runs in a box until its input ends.
type guest struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// inBox starts a python program under a command, which is hati run and its flags.
func inBox(t *testing.T, argv []string, program string) *guest {
	t.Helper()
	need(t, "python3")
	cmd := exec.Command(argv[0], append(argv[1:], "--", "python3", "-c", program)...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g := &guest{cmd, in, bufio.NewReader(out)}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return g
}

func (g *guest) line(t *testing.T) string {
	t.Helper()
	s, err := g.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(s, "\n")
}

// server listens at a port, tells so, and says its name to who comes.
const server = `
import socket, sys, threading
l = socket.create_server(('', %d))
print('ready', flush=True)
def serve():
    while True:
        c, peer = l.accept()
        c.sendall(b'%s')
        while c.recv(100): pass
        c.close()
threading.Thread(target=serve, daemon=True).start()
for line in sys.stdin:
    try:
        c = socket.create_connection(('127.0.0.1', int(line)))
        print(c.recv(100).decode(), flush=True)
    except OSError as e:
        print(e.errno, flush=True)
`

// Two boxes and the host have one port each for themselves.
func TestLoopbackOfEach(t *testing.T) {
	t.Parallel()
	host, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	taken := host.Addr().(*net.TCPAddr).Port
	only, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer only.Close()
	run := []string{hati, "run", "--net", "loopback"}
	a := inBox(t, run, fmt.Sprintf(server, taken, "a"))
	b := inBox(t, run, fmt.Sprintf(server, taken, "b"))
	for name, g := range map[string]*guest{"a": a, "b": b} {
		if s := g.line(t); s != "ready" {
			t.Fatal(s)
		}
		fmt.Fprintln(g.in, taken)
		if s := g.line(t); s != name {
			t.Errorf("%s reached %s", name, s)
		}
		fmt.Fprintln(g.in, only.Addr().(*net.TCPAddr).Port)
		if s := g.line(t); s != fmt.Sprint(int(syscall.ECONNREFUSED)) {
			t.Errorf("%s reached the host: %s", name, s)
		}
	}
}

// An ordinary user's box has low ports for its superuser, and its users have not.
func TestLoopbackLowPorts(t *testing.T) {
	t.Parallel()
	run := []string{hati, "run", "--net", "loopback"}
	if os.Geteuid() == 0 {
		need(t, "setpriv")
		run = append([]string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}, run...)
		home := filepath.Dir(cacheDir())
		if info, err := os.Stat(home); err != nil || info.Mode()&1 == 0 || !reachable(home) {
			t.Skip("an ordinary user cannot start the command below " + home)
		}
	}
	const low = "import socket, sys\ntry: print(socket.create_server(('', 80)).getsockname(), flush=True)\nexcept OSError as e: print(e.errno, flush=True)"
	if s := inBox(t, append(run, "--user", "0:0"), low).line(t); s != "('0.0.0.0', 80)" {
		t.Error(s)
	}
	if s := inBox(t, append(run, "--user", "1000:1000"), low).line(t); s != fmt.Sprint(int(syscall.EACCES)) {
		t.Error(s)
	}
}

// reachable reports whether everybody may go through a directory's parents.
func reachable(dir string) bool {
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode()&1 == 0 {
			return false
		}
	}
	return true
}

// freePort is a port of 127.0.0.1 that nobody has, and that nobody gets who does not ask
// for it.
func freePort(t *testing.T) int {
	t.Helper()
	need(t, "python3")
	r := native(t, "guest/net", "", "python3", "port.py")
	port, err := strconv.Atoi(strings.TrimSpace(r.out))
	if err != nil {
		t.Fatal(r)
	}
	return port
}

func TestPublish(t *testing.T) {
	t.Parallel()
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: freePort(t)}
	g := inBox(t, []string{hati, "run", "--user", "0:0", "--net", "loopback", "--publish", fmt.Sprintf("%d:80", addr.Port)}, fmt.Sprintf(server, 80, "inside"))
	if s := g.line(t); s != "ready" {
		t.Fatal(s)
	}
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.(*net.TCPConn).CloseWrite()
	if b, err := io.ReadAll(c); string(b) != "inside" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	g.in.Close()
	if err := g.cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", addr.String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
	for flags, want := range map[string]string{
		"--net host --publish 8080:80": "hati: publish 127.0.0.1:8080:80: programs that have the host's network listen on the host themselves",
		"--net none --publish 8080:80": "hati: publish 127.0.0.1:8080:80: the box has no network",
		"--net loopback --publish 80":  `hati: publish "80": there are no two ports`,
	} {
		if r := under(t, "", "", strings.Fields(flags), "true"); r.status != 125 || !strings.HasPrefix(r.err, want) {
			t.Errorf("%s: %v", flags, r)
		}
	}
}
