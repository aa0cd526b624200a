package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	box "github.com/hati-os/hati"
	"github.com/hati-os/hati/internal/faulttest"
)

// compiled builds a program of guest/ and returns its path.
func compiled(t *testing.T, source string, flags ...string) string {
	t.Helper()
	need(t, "gcc")
	program := filepath.Join(directory(t), strings.TrimSuffix(filepath.Base(source), ".c"))
	args := append([]string{"-O1", "-w", "-o", program, "guest/" + source, "-lpthread"}, flags...)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("compiling: %v\n%s", err, out)
	}
	return program
}

func TestThreadsThatFork(t *testing.T) {
	compare(t, nil, compiled(t, "stress/forks.c"))
}

func TestThousandGoroutines(t *testing.T) {
	need(t, "go")
	program := filepath.Join(directory(t), "goroutines")
	cmd := exec.Command("go", "build", "-o", program, "./guest/stress/goroutines")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	compare(t, nil, program)
}

// TestManyProcesses runs 10,000 processes in one run, after which the server
// has what it had before: no zombie, descriptor, thread or memory more.
func TestManyProcesses(t *testing.T) {
	many := compiled(t, "stress/many.c", "-static")
	run := func(n string) (string, census) {
		b, err := box.New(box.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		var out bytes.Buffer
		cmd := b.Command(many, n)
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String(), count(t)
	}
	_, before := run("1000")
	got, after := run("10000")
	if want := native(t, "/", "", many, "10000").out; got != want {
		t.Errorf("natively %qunder hati %q", want, got)
	}
	t.Logf("before %+v, after %+v", before, after)
	// Goroutines that have finished take a moment to be gone, and what the collector
	// has found is cleaned up by one.
	faulttest.Eventually(t, "nothing but memory is left over", func() bool {
		after = count(t)
		return after.descriptors <= before.descriptors && after.children <= before.children && after.goroutines <= before.goroutines
	})
	// Less than 100 bytes for each process: tables that grow and the like.
	if after.heap > before.heap+1<<20 {
		t.Errorf("memory is left over: before %+v, after %+v", before, after)
	}
}

// census is what this program has, and thereby the server in it.
type census struct {
	descriptors, children, goroutines int
	heap                              uint64 // bytes
}

func count(t *testing.T) census {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return census{len(fds), len(children()), runtime.NumGoroutine(), m.HeapAlloc}
}
