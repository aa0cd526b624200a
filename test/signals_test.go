package test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSignals compiles each program of guest/signals and compares what it sees
// of signals, timers, processes and identities natively and under hati.
func TestSignals(t *testing.T) {
	need(t, "gcc", "musl-gcc")
	list, err := filepath.Glob("guest/signals/*.c")
	if err != nil || len(list) == 0 {
		t.Fatal("no programs", err)
	}
	for _, source := range list {
		name := strings.TrimSuffix(filepath.Base(source), ".c")
		for kind, cc := range map[string][]string{
			"static":  {"gcc", "-static"},
			"dynamic": {"gcc"},
			"musl":    {"musl-gcc", "-static"},
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				dir := directory(t)
				program := filepath.Join(dir, name)
				args := append(cc[1:], "-O1", "-w", "-o", program, source, "-lpthread")
				if out, err := exec.Command(cc[0], args...).CombinedOutput(); err != nil {
					t.Fatalf("compiling: %v\n%s", err, out)
				}
				sameOutput(t, dir, attempts[name], program)
			})
		}
	}
}

// attempts is how often the programs that measure time may be run: on a machine
// with too much to do even two native runs differ.
var attempts = map[string]int{"timers": 3}

// sameOutput compares two runs line by line.
func sameOutput(t *testing.T, dir string, attempts int, program string) {
	t.Helper()
	var diff []string
	for range max(attempts, 1) {
		n, h := native(t, dir, "", program), under(t, dir, "", []string{"--log", "info"}, program)
		if n.status != h.status || h.err != n.err {
			t.Fatalf("ends differently\n=== natively: %v\n=== under hati: %v", n, h)
		}
		if diff = differing(n.out, h.out); len(diff) == 0 {
			return
		}
	}
	t.Error("differs:\n" + strings.Join(diff, "\n"))
}

// differing are the lines that are not the same.
func differing(native, under string) (diff []string) {
	a, b := strings.Split(native, "\n"), strings.Split(under, "\n")
	for i := range max(len(a), len(b)) {
		if x, y := line(a, i), line(b, i); x != y {
			diff = append(diff, "natively:   "+x, "under hati: "+y)
		}
	}
	return diff
}

func line(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "(nothing)"
}
