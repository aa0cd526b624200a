package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// psBox is what hati ps --json tells of a box.
type psBox struct {
	PID        int
	Command    []string
	Processes  []struct{ Name, State string }
	Operations []struct{ Program, Call, Object, State string }
}

// TestC21_Ps: another hati lists what a box does, until it ends; sockets that are
// left over go, and guests cannot reach any.
func TestC21_Ps(t *testing.T) {
	run, err := os.MkdirTemp("", "hati-ps-") // short: it becomes a socket's name
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(run)
	env := append(os.Environ(), "XDG_RUNTIME_DIR="+run)
	command := func(args ...string) *exec.Cmd {
		c := exec.Command(hati, args...)
		c.Env = env
		return c
	}
	ps := func() (all []psBox) {
		t.Helper()
		out, err := command("ps", "--json").Output()
		if err == nil {
			err = json.Unmarshal(out, &all)
		}
		if err != nil {
			t.Fatalf("ps: %v\n%s", err, out)
		}
		return all
	}
	if all := ps(); len(all) != 0 {
		t.Errorf("boxes before the first: %+v", all)
	}
	box := command("run", "--", "cat")
	in, err := box.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := box.Start(); err != nil {
		t.Fatal(err)
	}
	defer box.Wait()
	defer box.Process.Kill()
	var got psBox
	deadline := time.Now().Add(limit)
	for got.PID == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("never listed: %+v", ps())
		}
		for _, b := range ps() {
			if len(b.Operations) > 0 && strings.HasPrefix(b.Operations[0].Call, "read(0") && b.Operations[0].State == "waiting" {
				got = b
			}
		}
		runtime.Gosched()
	}
	if got.PID != box.Process.Pid || strings.Join(got.Command, " ") != "cat" || len(got.Processes) != 1 ||
		got.Processes[0].Name != "cat" || got.Operations[0].Program != "cat" {
		t.Errorf("%+v", got)
	}
	for _, args := range [][]string{{"ps"}, {"ps", "--ops"}} {
		if out, err := command(args...).CombinedOutput(); err != nil || !strings.Contains(string(out), "cat") {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	socket := filepath.Join(run, "hati", got.name()+".sock")
	if i, err := os.Stat(filepath.Dir(socket)); err != nil || i.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", i.Mode(), err)
	}
	t.Run("Guest", func(t *testing.T) {
		need(t, "python3")
		const script = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ntry: s.connect(sys.argv[1])\nexcept OSError as e: print(e.errno)\nelse: print('reached')"
		out, err := command("run", "--mount", run+":"+run+":rw", "--", "python3", "-c", script, socket).CombinedOutput()
		if err != nil || string(out) != "111\n" { // ECONNREFUSED
			t.Errorf("%s, %v", out, err)
		}
	})
	// hati is killed, and its socket stays.
	box.Process.Kill()
	box.Wait()
	in.Close()
	if all := ps(); len(all) != 0 {
		t.Errorf("after its end: %+v", all)
	}
	if left, _ := os.ReadDir(filepath.Dir(socket)); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
	// One that ends by itself takes it along; one without a directory runs, too.
	if out, err := command("run", "--", "true").CombinedOutput(); err != nil || len(out) != 0 {
		t.Errorf("%s, %v", out, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(socket)); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
	os.Chmod(filepath.Dir(socket), 0o755)
	if out, err := command("run", "--", "true").CombinedOutput(); err != nil || len(out) != 0 {
		t.Errorf("%s, %v", out, err)
	}
	if out, err := command("ps").CombinedOutput(); err == nil || !strings.Contains(string(out), "closed to others") {
		t.Errorf("%s, %v", out, err)
	}
}

func (b *psBox) name() string {
	s, _ := json.Marshal(b.PID)
	return string(s)
}
