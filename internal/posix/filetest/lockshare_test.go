package filetest

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hati-os/hati"
)

// party is a locker somewhere.
type party struct {
	in   io.WriteCloser
	out  *bufio.Reader
	kill context.CancelFunc
	wait func() error
}

func (p *party) send(t *testing.T, cmd string) {
	t.Helper()
	if _, err := io.WriteString(p.in, cmd+"\n"); err != nil {
		t.Fatal(err)
	}
}

func (p *party) receive(t *testing.T) string {
	t.Helper()
	s, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(s)
}

func (p *party) do(t *testing.T, cmd string) string {
	t.Helper()
	p.send(t, cmd)
	return p.receive(t)
}

func (p *party) expect(t *testing.T, cmd, want string) {
	t.Helper()
	if got := p.do(t, cmd); got != want {
		t.Fatalf("%s: %s, want %s", cmd, got, want)
	}
}

// place is where a party runs: nil is the host.
type place = *hati.Box

func newPlace(t *testing.T, exe, dir string) place {
	t.Helper()
	box, err := hati.New(hati.Config{Mounts: []hati.Mount{
		hati.HostDir(dir, "/work", hati.ReadWrite), hati.HostDir(filepath.Dir(exe), "/guest", hati.ReadOnly),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	return box
}

func newParty(t *testing.T, exe, dir string, where place) *party {
	t.Helper()
	ctx, kill := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(kill)
	p := &party{kill: kill}
	var out io.ReadCloser
	var errs [2]error
	var start func() error
	if where == nil {
		c := exec.CommandContext(ctx, exe)
		c.Dir, c.Env, c.Stderr = dir, append(os.Environ(), scenarioVar+"=locker"), os.Stderr
		p.in, errs[0] = c.StdinPipe()
		out, errs[1] = c.StdoutPipe()
		start, p.wait = c.Start, c.Wait
	} else {
		c := where.CommandContext(ctx, "/guest/"+filepath.Base(exe))
		c.Dir, c.Env, c.Stderr = "/work", []string{scenarioVar + "=locker"}, os.Stderr
		p.in, errs[0] = c.StdinPipe()
		out, errs[1] = c.StdoutPipe()
		start, p.wait = c.Start, c.Wait
	}
	must(errs[0])
	must(errs[1])
	if err := start(); err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	return p
}

// lockScript is what three parties do: those before a command.
var lockScript = strings.Split(strings.TrimSpace(`
a open 1|a open 2|b open 1|b open 2|c open 1
a set w 10 20 1|b get w 0 0 1|b set r 29 1 1|b set w 30 5 1|c set r 10 1 1
a set u 15 5 1|b set w 15 5 1|b set w 14 1 1|c set r 15 1 1|c set r 30 5 1|b set u 0 0 1
a set r 10 3 1|b set r 10 3 1|c set r 10 3 1|b set w 10 3 1|c oset r 10 3 1|b oset w 12 1 1
b set u 10 3 1|c set u 10 3 1|a set w 10 3 1|c oset u 10 3 1|a set w 10 3 1|b set r 10 3 1
a close 2|b set w 0 0 1|a open 2|b set u 0 0 1
a oset w 0 10 1|a oset w 0 10 2|a set w 0 10 2|b set w 0 10 1|b oset r 5 1 1|a dup 1|a close 1|b oset r 5 0 1|c set w 9 1 1
a close 1dup|b oset r 5 0 1|c set w 9 1 1|c set r 9 1 1|b oset u 0 0 1|c set u 0 0 1|a open 1
a flock x 1|a flock xn 2|a set w 0 0 1|b flock sn 1|c flock xn 1|a flock s 1|b flock sn 1|a flock xn 1|b flock xn 1
b flock u 1|c flock xn 1|c flock u 1|a flock x 1|b flock sn 1|a close 1|b flock xn 1|b flock u 1|a open 1
a set w 0 10 1|b ~wait w 5 10 1|a set u 0 10 1|b =|a set r 0 1 1|b set u 0 0 1
c oset w 100 1 1|a ~wait r 0 0 1|c oset u 0 0 1|a =|b set w 50 1 1|a set u 0 0 1
a flock x 1|b ~flock s 1|a flock u 1|b =|c ~owait w 7 7 1|c =|a set r 7 1 1
b set u 0 0 1|c oset u 8 2 1|a set w 8 2 1|b set w 7 1 1|c oset r 0 0 1|a set u 0 0 1|c oset r 0 0 1|b oset r 0 0 1
c ~owait w 0 5 1|b oset u 0 0 1|c =|b set r 4 1 1|b set r 6 1 1|c oset r 4 1 1|b set r 4 1 1`), "\n")

var anyPID = regexp.MustCompile(`pid .*`)

// TestSharedLocks has three parties lock a file from several places, and all
// must be told what three processes of the host are told.
func TestSharedLocks(t *testing.T) {
	exe, err := guestProgram()
	if err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, where string) (log []string) {
		dir := t.TempDir()
		must(os.WriteFile(filepath.Join(dir, "f"), nil, 0o644))
		places := map[rune]place{'h': nil}
		parties := map[string]*party{}
		for i, c := range where {
			if _, ok := places[c]; !ok {
				places[c] = newPlace(t, exe, dir)
			}
			parties[string(rune('a'+i))] = newParty(t, exe, dir, places[c])
		}
		defer func() {
			if t.Failed() {
				t.Log(strings.Join(log, "\n"))
			}
		}()
		for _, step := range strings.Split(strings.Join(lockScript, "|"), "|") {
			who, cmd, _ := strings.Cut(step, " ")
			p := parties[who]
			switch {
			case strings.HasPrefix(cmd, "~"):
				p.send(t, cmd[1:])
			case cmd == "=":
				log = append(log, step+" "+p.receive(t))
			default:
				log = append(log, step+" -> "+anyPID.ReplaceAllString(p.do(t, cmd), ""))
			}
		}
		// What a party had goes with it: the next one may lock it all.
		for _, who := range []string{"c", "a"} {
			parties[who].do(t, "set u 0 0 1")
			parties[who].do(t, "oset u 0 0 1")
		}
		parties["b"].do(t, "oset u 0 0 1")
		parties["b"].do(t, "set w 0 0 1")
		parties["a"].send(t, "wait w 0 0 1")
		parties["b"].in.Close()
		log = append(log, "b ends: "+parties["a"].receive(t))
		parties["c"].send(t, "wait w 0 0 1")
		parties["a"].kill()
		log = append(log, "a is killed: "+parties["c"].receive(t))
		return log
	}
	want := run(t, "hhh")
	if !slices.ContainsFunc(want, func(s string) bool { return strings.HasSuffix(s, "EAGAIN") }) {
		t.Fatalf("nobody was refused: %q", want)
	}
	for _, where := range []string{"1hh", "h1h", "hh1", "11h", "h11", "112", "121", "123", "1h2"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			diff(t, strings.Join(want, "\n"), strings.Join(run(t, where), "\n"))
		})
	}
}

// TestSharedLockWaiters kills those who wait for a lock of another place, and
// those who have one.
func TestSharedLockWaiters(t *testing.T) {
	exe, err := guestProgram()
	if err != nil {
		t.Fatal(err)
	}
	for _, lock := range []struct{ try, wait string }{
		{"flock xn 1", "flock x 1"}, {"set w 3 9 1", "wait w 5 1 1"}, {"oset w 3 9 1", "owait w 5 1 1"},
	} {
		t.Run(lock.try, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			must(os.WriteFile(filepath.Join(dir, "f"), nil, 0o644))
			box1, box2 := newPlace(t, exe, dir), newPlace(t, exe, dir)
			for _, holder := range []place{nil, box2} {
				h, w := newParty(t, exe, dir, holder), newParty(t, exe, dir, box1)
				next, last := newParty(t, exe, dir, box1), newParty(t, exe, dir, nil)
				for _, p := range []*party{h, w, next, last} {
					p.expect(t, "open 1", "ok")
				}
				h.expect(t, lock.try, "ok")
				w.send(t, lock.wait)
				awaitLocking(t, box1)
				next.expect(t, lock.try, "EAGAIN")
				w.kill()
				w.wait()
				// The killed one has left nothing: who has it goes, all is free.
				next.send(t, lock.wait)
				h.kill()
				h.wait()
				if got := next.receive(t); got != "ok" {
					t.Fatalf("after the holder: %s", got)
				}
				last.expect(t, lock.try, "EAGAIN")
				last.send(t, lock.wait)
				if holder == nil {
					next.kill()
				} else {
					must(box1.Close())
				}
				if got := last.receive(t); got != "ok" {
					t.Fatalf("after the box: %s", got)
				}
				last.kill()
			}
		})
	}
}

// awaitLocking returns when a program in the box waits for a lock.
func awaitLocking(t *testing.T, box *hati.Box) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		for _, o := range box.Operations() {
			if o.State == hati.OperationWaiting && (strings.HasPrefix(o.Call, "flock") || strings.HasPrefix(o.Call, "fcntl")) {
				return
			}
		}
		runtime.Gosched()
	}
	t.Fatal("nobody waits")
}
