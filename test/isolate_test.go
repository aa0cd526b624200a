package test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// confined skips a test where hati cannot confine itself.
func confined(t *testing.T) {
	t.Helper()
	if os.Getenv("HATI_RACE") != "" {
		t.Skip("built with cgo, hati cannot confine itself")
	}
	if _, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, 1); e != 0 {
		t.Skip("the host has no Landlock")
	}
}

// serve runs hati serve and returns the socket and the server's process.
func serve(t *testing.T, args ...string) (socket string, p *exec.Cmd) {
	t.Helper()
	confined(t)
	socket = filepath.Join(directory(t), "s")
	return socket, serveAgain(t, socket, args...)
}

// serveAgain is serve at a socket that is to be.
func serveAgain(t *testing.T, socket string, args ...string) (p *exec.Cmd) {
	t.Helper()
	p = exec.Command(hati, append([]string{"serve", "--listen", socket}, args...)...)
	var stderr strings.Builder
	p.Stderr = &stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		p.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		p.Process.Kill()
		<-ended
	})
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	w := os.NewFile(uintptr(watch), "inotify")
	defer w.Close()
	if _, err := unix.InotifyAddWatch(watch, filepath.Dir(socket), unix.IN_CREATE|unix.IN_ATTRIB); err != nil {
		t.Fatal(err)
	}
	appeared := make(chan struct{})
	go func() {
		defer close(appeared)
		buf := make([]byte, 4096)
		for {
			// The file may be that of a server that has ended.
			if c, err := net.Dial("unixpacket", socket); err == nil {
				c.Close()
				return
			}
			if _, err := w.Read(buf); err != nil {
				return
			}
		}
	}()
	select {
	case <-appeared:
	case <-ended:
		t.Fatal("the server has ended: ", stderr.String())
	case <-time.After(limit):
		t.Fatal("the server makes no socket")
	}
	return p
}

// What a program does to files of a server in another process is what it does to
// the host's own.
func TestServedFilesAreTheHosts(t *testing.T) {
	need(t, "python3")
	script := `set -e
echo one > a; echo two >> a; cat a; ln a b; ln -s b c; cat c; mkdir -p d/e; mv a d/e/x
cp /bin/ls d/ls; ./d/ls d; rm b; cat c || echo gone; stat -c '%F %s %h %a' d/e/x c
dd if=/dev/zero of=big bs=1M count=5 status=none; truncate -s 100 big; wc -c big
python3 - <<'P'
import mmap, os, fcntl
f = open("m", "w+b"); f.write(b"x" * 10000); f.flush()
m = mmap.mmap(f.fileno(), 0); m[5000:5005] = b"hello"; m.flush()
print(os.pread(f.fileno(), 7, 4999)); os.pwrite(f.fileno(), b"W", 0); print(m[0:2])
fcntl.lockf(f, fcntl.LOCK_EX); os.posix_fallocate(f.fileno(), 0, 20000); print(os.fstat(f.fileno()).st_size)
print(sorted(os.listdir(".")), os.access("m", os.W_OK))
for i in range(300): open("d/e/%d" % i, "w").close()
print(len(os.listdir("d/e")))
try: os.setxattr("m", "user.a", b"value"); print(os.getxattr("m", "user.a"), os.listxattr("m"))
except OSError as e: print(e.errno)
os.rename("m", "d/m"); print(os.pread(f.fileno(), 5, 5000))
P
`
	argv := []string{"sh", "-c", script}
	dir := filepath.Join(directory(t), "d")
	os.Mkdir(dir, 0o755)
	n := native(t, dir, "", argv...)
	nFiles := tree(t, dir)
	os.RemoveAll(dir)
	os.Mkdir(dir, 0o755)
	socket, _ := serve(t, "host", dir)
	h := under(t, dir, "", []string{"--mount", "lane:" + socket + ":" + dir}, argv...)
	if n != h {
		t.Errorf("=== natively: %v\n=== served: %v", n, h)
	}
	hFiles := tree(t, dir)
	for name, is := range nFiles {
		if hFiles[name] != is {
			t.Errorf("%s: %q natively, %q served", name, clip(is), clip(hFiles[name]))
		}
	}
	if len(hFiles) != len(nFiles) {
		t.Errorf("%d files natively, %d served", len(nFiles), len(hFiles))
	}
}

func TestServeKinds(t *testing.T) {
	dir := directory(t)
	os.WriteFile(filepath.Join(dir, "f"), []byte("text\n"), 0o644)
	for _, c := range []struct {
		name   string
		args   []string
		script string
		want   string
	}{
		{"read-only", []string{"host", dir, "--read-only"}, "cat /mnt/f; echo x 2>/dev/null > /mnt/g || echo refused", "text\nrefused\n"},
		{"tmp", []string{"tmp"}, "echo hi > /mnt/x && cat /mnt/x", "hi\n"},
		{"file", []string{"host", filepath.Join(dir, "f")}, "cat /mnt", "text\n"},
	} {
		socket, _ := serve(t, c.args...)
		r := under(t, dir, "", []string{"--mount", "lane:" + socket + ":/mnt"}, "sh", "-c", c.script)
		if r.out != c.want || r.status != 0 {
			t.Errorf("%s: %v", c.name, r)
		}
	}
	// A socket whose server is gone is replaced; one in use is not.
	socket, p := serve(t, "tmp")
	again := func() *exec.Cmd { return exec.Command(hati, "serve", "tmp", "--listen", socket) }
	if out, err := again().CombinedOutput(); err == nil || !strings.Contains(string(out), "in use") {
		t.Errorf("a second server at the socket: %v, %s", err, out)
	}
	fd := pidfd(t, p.Process.Pid)
	p.Process.Kill()
	fd.wait(t)
	next := again()
	next.Stdout = nil
	if err := next.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		next.Process.Kill()
		next.Wait()
	}()
	r := result{status: -1}
	for r.status != 0 { // until it listens
		if r = under(t, dir, "", []string{"--mount", "lane:" + socket + ":/mnt"}, "true"); r.status != 0 && !strings.Contains(r.err, "refused") && !strings.Contains(r.err, "no such file") {
			t.Fatal(r)
		}
	}
}

// A server that dies leaves its guests with errors, and no guest stuck.
func TestServerDies(t *testing.T) {
	dir := directory(t)
	socket, p := serve(t, "tmp")
	cmd := exec.Command(hati, "run", "--mount", "lane:"+socket+":/mnt", "--", "sh", "-c",
		"exec 3>/mnt/f; echo ready; read x; echo data >&3; cat /mnt/f; ls /mnt; echo end")
	cmd.Dir = dir
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	if line, _ := r.ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q %s", line, stderr.String())
	}
	fd := pidfd(t, p.Process.Pid)
	p.Process.Kill()
	fd.wait(t)
	fmt.Fprintln(in)
	line, _ := r.ReadString('\n')
	cmd.Wait()
	if line != "end\n" || !strings.Contains(stderr.String(), "endpoint is not connected") {
		t.Errorf("%q, %s", line, stderr.String())
	}
}

// isolated starts a guest under --isolate that says ready, and returns hati and
// its servers.
func isolated(t *testing.T) (cmd *exec.Cmd, servers []int) {
	t.Helper()
	confined(t)
	cmd = exec.Command(hati, "run", "--isolate", "--", "sh", "-c", "echo ready; exec sleep 1000")
	out, _ := cmd.StdoutPipe()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		cmd.Wait()
		t.Fatalf("%q %s", line, stderr.String())
	}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", cmd.Process.Pid))
	for _, name := range tasks {
		b, _ := os.ReadFile(name)
		for _, f := range strings.Fields(string(b)) {
			if line, _ := os.ReadFile("/proc/" + f + "/cmdline"); string(line) == "hati-server\x00" {
				pid, _ := strconv.Atoi(f)
				servers = append(servers, pid)
			}
		}
	}
	if len(servers) == 0 {
		t.Fatal("there are no servers")
	}
	return cmd, servers
}

func status(t *testing.T, pid int, field string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\n"+field+":\t")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// The servers that hati starts are confined, and end with it, however it ends and
// whatever they do.
func TestIsolatedServers(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		cmd, servers := isolated(t)
		if got := status(t, cmd.Process.Pid, "NoNewPrivs"); got != "1" {
			t.Errorf("hati: NoNewPrivs %s", got)
		}
		var ends []procFD
		for _, pid := range servers {
			if nnp, filter := status(t, pid, "NoNewPrivs"), status(t, pid, "Seccomp"); nnp != "1" || filter != "2" {
				t.Errorf("server: NoNewPrivs %s, Seccomp %s", nnp, filter)
			}
			ends = append(ends, pidfd(t, pid))
			if stopped {
				syscall.Kill(pid, syscall.SIGSTOP)
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
		for _, fd := range ends {
			fd.wait(t)
		}
	}
}

// Under --isolate programs run as without it.
func TestIsolateRuns(t *testing.T) {
	confined(t)
	need(t, "python3")
	dir := directory(t)
	r := under(t, dir, "in\n", []string{"--isolate", "--mount", dir + ":" + dir + ":rw"}, "sh", "-c",
		`cat; echo out > f; cat f; (sleep 0.01; echo child) & wait; python3 -c 'import os, threading; print(os.uname().sysname)'; ls /proc/self/fd | wc -l; echo x > /dev/null; cat /proc/self/comm; ps > /dev/null`)
	if r.status != 0 || !strings.HasPrefix(r.out, "in\nout\nchild\nLinux\n") {
		t.Error(r)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "f")); string(b) != "out\n" {
		t.Errorf("the host's file holds %q", b)
	}
}

// A box that has a network has it with --isolate, too.
func TestIsolateNetwork(t *testing.T) {
	confined(t)
	need(t, "python3")
	const script = `
import socket
l = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(l.getsockname())
c.send(b"x")
print(l.accept()[0].recv(1))`
	for _, network := range [][]string{{"loopback"}, {"host"}, {"host", "--allow", "127.0.0.1"}} {
		r := under(t, directory(t), "", append([]string{"--isolate", "--net"}, network...), "python3", "-c", script)
		if r.out != "b'x'\n" {
			t.Errorf("--net %s: %v", network, r)
		}
	}
}

type procFD int

// pidfd refers to a process, whatever becomes of its number.
func pidfd(t *testing.T, pid int) procFD {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return procFD(fd)
}

// wait waits until the process has ended.
func (p procFD) wait(t *testing.T) {
	t.Helper()
	f := []unix.PollFd{{Fd: int32(p), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(f, int(limit.Milliseconds()))
		if n == 1 {
			return
		}
		if err != unix.EINTR {
			t.Fatal("the process does not end: ", err)
		}
	}
}

// What is hidden in a box is hidden under --isolate, too.
func TestIsolateHidesSecrets(t *testing.T) {
	confined(t)
	home := directory(t)
	os.Mkdir(filepath.Join(home, ".ssh"), 0o700)
	os.WriteFile(filepath.Join(home, ".ssh", "key"), []byte("secret"), 0o600)
	os.WriteFile(filepath.Join(home, "open"), []byte("plain\n"), 0o600)
	cmd := exec.Command(hati, "run", "--isolate", "--", "sh", "-c", `cat "$HOME/open"; ls -A "$HOME/.ssh"; cat "$HOME/.ssh/key"`)
	cmd.Env = append(os.Environ(), "HOME="+home)
	out, _ := cmd.CombinedOutput()
	if s := string(out); !strings.HasPrefix(s, "plain\n") || !strings.Contains(s, "No such file") || strings.Contains(s, "secret") {
		t.Errorf("%s", s)
	}
}

// TestIsolatedFUSE: a FUSE daemon is started by a process beside the isolated hati.
func TestIsolatedFUSE(t *testing.T) {
	confined(t)
	need(t, "bindfs")
	dir := directory(t)
	if err := os.WriteFile(filepath.Join(dir, "there"), []byte("read\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := under(t, dir, "", []string{"--isolate", "--mount", "fuse:bindfs -f " + dir + ":/mnt"},
		"sh", "-c", "cat /mnt/there; echo written >/mnt/new; mv /mnt/new /mnt/moved; ls /mnt")
	if r.out != "read\nmoved\nthere\n" || r.status != 0 {
		t.Errorf("%v", r)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "moved")); string(b) != "written\n" {
		t.Errorf("%q, %v", b, err)
	}
	if out, err := exec.Command("pgrep", "-f", "bindfs -f "+dir).Output(); err == nil {
		t.Errorf("still there: %s", out)
	}
	r = under(t, dir, "", []string{"--isolate", "--mount", "fuse:false:/mnt"}, "true")
	if r.status != 125 || !strings.Contains(r.err, "the daemon ended before it mounted anything (exit status 1)") {
		t.Errorf("%v", r)
	}
}
