package hati_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hati-os/hati"
)

func newBox(t *testing.T, c hati.Config) *hati.Box {
	t.Helper()
	box, err := hati.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Close(); err != nil {
			t.Error(err)
		}
	})
	return box
}

func TestOutput(t *testing.T) {
	box := newBox(t, hati.Config{Hostname: "box"})
	out, err := box.Command("uname", "-n").Output()
	if err != nil || string(out) != "box\n" {
		t.Fatalf("%q %v", out, err)
	}
	both, err := box.Command("sh", "-c", "echo a; echo b >&2; exit 3").CombinedOutput()
	var x *hati.ExitError
	if string(both) != "a\nb\n" || !errors.As(err, &x) || x.ExitCode() != 3 || x.Error() != "exit status 3" {
		t.Fatalf("%q %v", both, err)
	}
	_, err = box.Command("sh", "-c", "echo why >&2; exit 1").Output()
	if !errors.As(err, &x) || string(x.Stderr) != "why\n" {
		t.Fatal(err)
	}
	err = box.Command("sh", "-c", "kill -9 $$").Run()
	if !errors.As(err, &x) || x.ExitCode() != -1 || x.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatal(err)
	}
}

func TestStreams(t *testing.T) {
	box := newBox(t, hati.Config{})
	cmd := box.Command("tr", "a-z", "A-Z")
	cmd.Stdin = strings.NewReader("hello")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil || out.String() != "HELLO" {
		t.Fatal(out.String(), err)
	}
	cmd = box.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		io.WriteString(in, "ping\n")
		var b [5]byte
		if _, err := io.ReadFull(r, b[:]); err != nil || string(b[:]) != "ping\n" {
			t.Fatal(string(b[:]), err)
		}
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	// One writer for both keeps their order.
	cmd = box.Command("sh", "-c", "for i in 1 2 3; do echo $i; echo $i >&2; done")
	out.Reset()
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil || out.String() != "1\n1\n2\n2\n3\n3\n" {
		t.Fatal(out.String(), err)
	}
}

func TestNotFound(t *testing.T) {
	box := newBox(t, hati.Config{})
	if err := box.Command("no-such-program").Run(); !errors.Is(err, hati.ErrNotFound) {
		t.Error(err)
	}
	if err := box.Command("/no/such").Run(); !errors.Is(err, syscall.ENOENT) {
		t.Error(err)
	}
	if err := box.Command("/etc").Run(); !errors.Is(err, syscall.EACCES) {
		t.Error(err)
	}
	cmd := box.Command("true")
	cmd.Dir = "/no/such/dir"
	if err := cmd.Run(); !errors.Is(err, syscall.ENOENT) {
		t.Error(err)
	}
}

func TestContextKills(t *testing.T) {
	box := newBox(t, hati.Config{})
	ctx, cancel := context.WithCancelCause(context.Background())
	cmd := box.CommandContext(ctx, "sh", "-c", "echo started; sleep 1000")
	r, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.ReadFull(r, make([]byte, 8))
	why := errors.New("why not")
	cancel(why)
	if err := cmd.Wait(); !errors.Is(err, why) {
		t.Fatal(err)
	}
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() {
		t.Fatal(ws)
	}
	ended, cancel2 := context.WithTimeout(context.Background(), 0)
	defer cancel2()
	if err := box.CommandContext(ended, "true").Run(); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestSignals(t *testing.T) {
	box := newBox(t, hati.Config{})
	cmd := box.Command("sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done")
	r, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.ReadFull(r, make([]byte, 6))
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var x *hati.ExitError
	if err := cmd.Wait(); !errors.As(err, &x) || x.ExitCode() != 7 {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
}

func TestMountsOfGo(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "f"), []byte("host"), 0o644)
	box := newBox(t, hati.Config{Mounts: []hati.Mount{
		hati.GoFS(fstest.MapFS{"a/b": {Data: []byte("go")}}, "/go"),
		hati.HostDir(dir, "/go/below", hati.Overlay),
		hati.Tmpfs("/scratch"),
	}})
	out, err := box.Command("sh", "-c", "cat /go/a/b /go/below/f; echo x >/scratch/y; echo z >/go/below/f; ls /go /scratch; echo no >/go/a/b").CombinedOutput()
	if err == nil || !strings.HasPrefix(string(out), "gohosta\nbelow\n") && !strings.Contains(string(out), "/go:\na\nbelow\n") || !strings.Contains(string(out), "Read-only") {
		t.Fatalf("%s %v", out, err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "f")); string(b) != "host" {
		t.Fatal("the overlay wrote through")
	}
}

// Close ends everything that runs, and leaves neither goroutines nor
// descriptors nor processes.
func TestCloseLeavesNothing(t *testing.T) {
	census := func() (int, int) {
		l, _ := os.ReadDir("/proc/self/fd")
		return runtime.NumGoroutine(), len(l)
	}
	one := func() {
		box, err := hati.New(hati.Config{})
		if err != nil {
			t.Fatal(err)
		}
		cmd := box.Command("sh", "-c", "sleep 1000 & echo started; sleep 1000")
		r, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		io.ReadFull(r, make([]byte, 8))
		if err := box.Close(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("a killed program ended well")
		}
		if err := box.Command("true").Run(); !errors.Is(err, hati.ErrClosed) {
			t.Fatal(err)
		}
	}
	one()
	g0, f0 := census()
	for range 5 {
		one()
	}
	// The runtime and finished goroutines take a moment to be gone.
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		runtime.GC()
		g, f := census()
		if g <= g0 && f <= f0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("goroutines %d then %d, descriptors %d then %d", g0, g, f0, f)
		}
	}
}

func Example() {
	box, err := hati.New(hati.Config{})
	if err != nil {
		panic(err)
	}
	defer box.Close()
	cmd := box.Command("sh", "-c", "echo $((6*7)) >/tmp/answer; cat /tmp/answer")
	cmd.Stdout = os.Stdout
	if err := cmd.Run(); err != nil {
		panic(err)
	}
	// Output: 42
}
