package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// compilers are the C libraries whose pthread_cancel is tested: musl's is exact
// where the system is, glibc's before 2.41 is not.
var compilers = map[string][]string{
	"musl":    {"musl-gcc", "-static"},
	"static":  {"gcc", "-static"},
	"dynamic": {"gcc"},
}

// cancelProgramOf compiles a program of guest/cancel with one of compilers.
func cancelProgramOf(t *testing.T, kind, name string) string {
	t.Helper()
	cc := compilers[kind]
	need(t, cc[0])
	program := filepath.Join(directory(t), name)
	args := append(cc[1:len(cc):len(cc)], "-O1", "-w", "-o", program, "guest/cancel/"+name+".c", "-lpthread")
	if out, err := exec.Command(cc[0], args...).CombinedOutput(); err != nil {
		t.Fatalf("compiling: %v\n%s", err, out)
	}
	return program
}

// asMusl runs a program of guest/cancel compiled with glibc under hati: it must
// print what musl's prints natively. Natively it need not: that is only told.
func asMusl(t *testing.T, name string, args ...string) {
	t.Helper()
	want := native(t, directory(t), "", append([]string{cancelProgramOf(t, "musl", name)}, args...)...)
	for _, kind := range []string{"static", "dynamic"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := directory(t)
			argv := append([]string{cancelProgramOf(t, kind, name)}, args...)
			if got := under(t, dir, "", []string{"--log", "info"}, argv...); got != want {
				t.Errorf("under hati: %v\n=== musl: %v", got, want)
			}
			var differs []string
			is := native(t, dir, "", argv...)
			for i, l := range strings.Split(want.out, "\n") {
				if x := line(strings.Split(is.out, "\n"), i); x != l {
					differs = append(differs, x)
				}
			}
			if differs != nil {
				t.Logf("natively:\n%s", strings.Join(differs, "\n"))
			}
		})
	}
}

// TestC03_PthreadCancelGlibc: nothing that a call of an unmodified glibc program
// has taken is lost by cancelling it.
func TestC03_PthreadCancelGlibc(t *testing.T) {
	t.Parallel()
	each := "300"
	switch {
	case os.Getenv("HATI_HAMMER") != "":
		each = "100000"
	case testing.Short():
		each = "50"
	}
	asMusl(t, "races", each, each)
}

// TestC03_PthreadCancelHandlers: a cancellation waits for the handler that runs
// over the call.
func TestC03_PthreadCancelHandlers(t *testing.T) {
	t.Parallel()
	asMusl(t, "windows")
}

// TestC02_PthreadCancelPoints is TestC02_CancellationPoints for glibc.
func TestC02_PthreadCancelPoints(t *testing.T) {
	for _, kind := range []string{"static", "dynamic"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			compare(t, nil, cancelProgramOf(t, kind, "points"))
		})
	}
}

// TestPthreadCancelSteps: programs see nothing of the steps, and can make their
// own.
func TestPthreadCancelSteps(t *testing.T) {
	for kind := range compilers {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			compare(t, nil, cancelProgramOf(t, kind, "step"))
		})
	}
}

// TestPthreadCancelComputing tells how long a thread that computes lives on.
func TestPthreadCancelComputing(t *testing.T) {
	for kind := range compilers {
		t.Run(kind, func(t *testing.T) {
			program := cancelProgramOf(t, kind, "async")
			r := under(t, directory(t), "", nil, program)
			if r.status != 0 || strings.Count(r.out, "\n") != 2 {
				t.Fatal(r)
			}
			t.Logf("median and 99 %%, us: %q, natively %q", r.out, native(t, directory(t), "", program).out)
		})
	}
}
