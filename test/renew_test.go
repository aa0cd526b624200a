package test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// evaluator is a guest that is told line by line what to do, by a shell that evaluates
// what it reads.
type evaluator struct {
	*testing.T
	cmd *exec.Cmd
	in  *os.File
	out *bufio.Reader
}

func newEvaluator(t *testing.T, flags ...string) *evaluator {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"run"}, flags...)
	cmd := exec.Command(hati, append(args, "--", "sh", "-c", `while read -r line; do eval "$line"; echo "= $?"; done`)...)
	cmd.Stdin = r
	out, _ := cmd.StdoutPipe()
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	k := &evaluator{t, cmd, w, bufio.NewReader(out)}
	t.Cleanup(func() {
		w.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return k
}

// do has the guest evaluate a line, and returns what it prints and the status.
func (k *evaluator) do(line string) string {
	k.Helper()
	fmt.Fprintln(k.in, line)
	var all strings.Builder
	for {
		s, err := k.out.ReadString('\n')
		all.WriteString(s)
		if err != nil {
			k.Fatalf("%s: %v, %s", line, err, all.String())
		}
		if strings.HasPrefix(s, "= ") {
			return all.String()
		}
	}
}

// want has it do something and checks what comes.
func (k *evaluator) want(line, want string) {
	k.Helper()
	if got := k.do(line); !strings.Contains(got, want) {
		k.Errorf("%s: %q, not %q", line, got, want)
	}
}

// A mount whose server died is there again when the server is: working directories
// and open files, too, for files that outlive it.
func TestServerRestarted(t *testing.T) {
	dir := filepath.Join(directory(t), "d")
	os.MkdirAll(filepath.Join(dir, "sub"), 0o755)
	os.WriteFile(filepath.Join(dir, "sub/f"), []byte("one\ntwo\nthree\n"), 0o644)
	socket, p := serve(t, "host", dir)
	k := newEvaluator(t, "--mount", "lane:"+socket+":/mnt")
	k.want("cd /mnt/sub && exec 3<f 4>>log && read -r x <&3 && echo $x", "one\n= 0")
	k.want("exec 5>locked && flock 5 && echo locked", "locked\n= 0")
	for round := range 3 {
		fd := pidfd(t, p.Process.Pid)
		p.Process.Kill()
		fd.wait(t)
		k.want("ls /mnt", "endpoint is not connected")
		k.want("cat f", "endpoint is not connected")
		k.want("echo x >&4", "I/O error") // which dash says of every errno
		os.Remove(socket)
		p = serveAgain(t, socket, "host", dir)
		if round == 0 {
			k.want("cat <&3", "two\nthree\n= 0")
		}
		k.want("echo x >&4", "= 0")
		k.want("ls", "f\nlocked\nlog\n= 0")
		k.want("pwd; cat ../sub/f", "/mnt/sub\none\ntwo\nthree\n= 0")
		k.want("flock -n f true", "= 0")
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "sub/log")); string(b) != "x\nx\nx\n" {
		t.Errorf("the log holds %q", b)
	}
}

// Of a server whose files died with it, the mount is there again, empty; what was
// in use is stale.
func TestForgetfulServerRestarted(t *testing.T) {
	socket, p := serve(t, "tmp")
	k := newEvaluator(t, "--mount", "lane:"+socket+":/mnt")
	k.want("mkdir /mnt/sub; cd /mnt/sub && echo text > f && exec 3<f", "= 0")
	fd := pidfd(t, p.Process.Pid)
	p.Process.Kill()
	fd.wait(t)
	k.want("ls /mnt", "endpoint is not connected")
	os.Remove(socket)
	serveAgain(t, socket, "tmp")
	k.want("ls -A /mnt && echo empty", "empty\n= 0")
	k.want("ls", "Stale file handle")
	k.want("cat <&3", "Stale file handle") // from fstat(2)
	k.want("read -r x <&3 || echo unreadable", "unreadable")
	k.want("mkdir /mnt/sub && cd /mnt/sub && echo new > f && cat f", "new\n= 0")
}

// A server of --isolate that dies is started anew when its files are next used.
func TestIsolatedServerRestarted(t *testing.T) {
	confined(t)
	dir := filepath.Join(directory(t), "d")
	os.MkdirAll(filepath.Join(dir, "sub"), 0o755)
	os.WriteFile(filepath.Join(dir, "sub/f"), []byte("one\ntwo\n"), 0o644)
	home := directory(t)
	os.Mkdir(filepath.Join(home, ".ssh"), 0o700)
	os.WriteFile(filepath.Join(home, ".ssh/key"), []byte("secret"), 0o600)
	t.Setenv("HOME", home)
	k := newEvaluator(t, "--isolate", "--mount", dir+":/mnt:rw")
	k.want("cd /mnt/sub && exec 3<f && read -r x <&3 && echo $x", "one\n= 0")
	for round := range 3 {
		servers := namedChildren(k.cmd.Process.Pid, "hati-server")
		for _, keeper := range namedChildren(k.cmd.Process.Pid, "hati-keeper") {
			servers = append(servers, namedChildren(keeper, "hati-server")...)
		}
		if len(servers) < 2 {
			t.Fatalf("round %d: servers %v", round, servers)
		}
		for _, pid := range servers {
			fd := pidfd(t, pid)
			syscall.Kill(pid, syscall.SIGKILL)
			fd.wait(t)
		}
		if round == 0 {
			k.want("cat <&3", "two\n= 0")
		}
		k.want("cat f", "one\ntwo\n= 0")
		k.want("echo new > g && cat g && rm g", "new\n= 0")
		k.want("/bin/ls /usr/bin/env", "/usr/bin/env\n= 0")
		k.want("echo x > /var/tmp/file && cat /var/tmp/file", "x\n= 0")
		k.want("cat $HOME/.ssh/key", "No such file")
	}
}

// namedChildren returns the living children of a process with that command line.
func namedChildren(pid int, name string) (list []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		b, _ := os.ReadFile(task)
		for _, f := range strings.Fields(string(b)) {
			if line, _ := os.ReadFile("/proc/" + f + "/cmdline"); string(line) == name+"\x00" {
				child, _ := strconv.Atoi(f)
				list = append(list, child)
			}
		}
	}
	return list
}
