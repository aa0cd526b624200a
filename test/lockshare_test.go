package test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLockOfTheHostInterrupted has a guest wait for a lock that a process of the
// host has, and interrupts it by a handled signal: nothing is held afterwards.
func TestLockOfTheHostInterrupted(t *testing.T) {
	need(t, "python3")
	const waiter = `
import fcntl, os, signal, struct, sys, threading
kind, f = sys.argv[1], open("f", "r+")
class Stop(Exception): pass
def stop(*_): raise Stop
signal.signal(signal.SIGUSR1, stop)
range = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 3, 5, 0)
def wait():
    if kind == "flock": fcntl.flock(f, fcntl.LOCK_EX)
    elif kind == "posix": fcntl.fcntl(f, fcntl.F_SETLKW, range)
    else: fcntl.fcntl(f, fcntl.F_OFD_SETLKW, range)
me = os.getpid()
r, w = os.pipe()
if os.fork() == 0:
    os.close(w)
    os.read(r, 1)
    # The parent is about to wait, or waits.
    while open("/proc/%d/stat" % me).read().split()[2] == "R": pass
    os.kill(me, signal.SIGUSR1)
    os._exit(0)
os.close(r)
try:
    os.write(w, b".")
    wait()
    print("locked", flush=True)
except Stop:
    print("interrupted", flush=True)
sys.stdin.read()
`
	const holder = `
import fcntl, struct, sys
f = open("f", "r+")
kind = sys.argv[1]
range = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
def take():
    if kind == "flock": fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else: fcntl.fcntl(f, fcntl.F_OFD_SETLK, range)
def drop():
    if kind == "flock": fcntl.flock(f, fcntl.LOCK_UN)
    else: fcntl.fcntl(f, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_UNLCK, 0, 0, 0, 0))
take()
print("has it", flush=True)
sys.stdin.readline()
drop()
take() # the waiter is still there, and has none
print("has it again", flush=True)
`
	for _, kind := range []string{"flock", "posix", "ofd", "flock isolated", "posix isolated", "ofd isolated"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			kind, isolated, _ := strings.Cut(kind, " ")
			flags := []string{"run"}
			if isolated != "" {
				confined(t)
				flags = append(flags, "--isolate")
			}
			dir := directory(t)
			if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			h := exec.Command("python3", "-c", holder, kind)
			w := exec.Command(hati, append(flags, "--mount", dir+":"+dir+":rw", "--", "python3", "-c", waiter, kind)...)
			say, hear := talk(t, h, dir)
			if got := hear(); got != "has it" {
				t.Fatal(got)
			}
			_, hearW := talk(t, w, dir)
			if got := hearW(); got != "interrupted" {
				t.Fatalf("the waiter: %s", got)
			}
			say("go on")
			if got := hear(); got != "has it again" {
				t.Fatalf("the holder: %s", got)
			}
		})
	}
}

// talk starts a program, to send it lines and to get its own.
func talk(t *testing.T, c *exec.Cmd, dir string) (say func(string), hear func() string) {
	t.Helper()
	c.Dir, c.Stderr = dir, os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); c.Wait() })
	r := bufio.NewReader(out)
	return func(s string) { in.Write([]byte(s + "\n")) },
		func() string { s, err := r.ReadString('\n'); return strings.TrimSpace(s + errText(err)) }
}

func errText(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

// TestDatabaseOfSeveral writes one database from two boxes and the host at once.
func TestDatabaseOfSeveral(t *testing.T) {
	need(t, "python3")
	const writer = `
import sqlite3, sys
db = sqlite3.connect("db", timeout=60, isolation_level=None)
for i in range(int(sys.argv[2])):
    db.execute("begin immediate")
    n, = db.execute("select n from total").fetchone()
    db.execute("insert into log values (?, ?, ?)", (sys.argv[1], i, "x" * 300))
    db.execute("update total set n = ?", (n + 1,))
    db.execute("commit")
print("done")
`
	const prepare = `
import sqlite3, sys
db = sqlite3.connect("db")
print(db.execute("pragma journal_mode=" + sys.argv[1]).fetchone()[0])
db.executescript("create table log (who, i, pad); create table total (n); insert into total values (0)")
`
	const check = `
import sqlite3
db = sqlite3.connect("db")
print(db.execute("pragma integrity_check").fetchone()[0], db.execute("select n from total").fetchone()[0],
      db.execute("select count(*) from log").fetchone()[0], db.execute("select count(distinct who || i) from log").fetchone()[0])
`
	for _, mode := range []string{"wal", "delete", "wal isolated", "delete isolated"} {
		t.Run(mode, func(t *testing.T) {
			mode, isolated, _ := strings.Cut(mode, " ")
			dir := directory(t)
			if r := native(t, dir, "", "python3", "-c", prepare, mode); r.out != mode+"\n" {
				t.Fatalf("%v", r)
			}
			results := make(chan result)
			flags := []string{"--mount", dir + ":" + dir + ":rw"}
			if isolated != "" {
				socket, _ := serve(t, "host", dir)
				flags[1] = "lane:" + socket + ":" + dir
			}
			for _, who := range []string{"box 1", "box 2", "host"} {
				flags := flags
				if isolated != "" && who == "box 2" {
					flags = []string{"--isolate", "--mount", dir + ":" + dir + ":rw"}
				}
				go func() {
					argv := []string{"python3", "-c", writer, who, "100"}
					if who == "host" {
						results <- native(t, dir, "", argv...)
					} else {
						results <- under(t, dir, "", flags, argv...)
					}
				}()
			}
			for range 3 {
				if r := <-results; r.out != "done\n" {
					t.Errorf("%v", r)
				}
			}
			if r := native(t, dir, "", "python3", "-c", check); r.out != "ok 300 300 300\n" {
				t.Errorf("%v", r)
			}
		})
	}
}
