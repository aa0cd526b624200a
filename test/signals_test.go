package test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSignals compiles each program of guest/signals and guest/threads and compares what it sees
// of signals, timers, processes and identities natively and under hati.
func TestSignals(t *testing.T) {
	need(t, "gcc", "musl-gcc")
	list, _ := filepath.Glob("guest/signals/*.c")
	threads, _ := filepath.Glob("guest/threads/*.c")
	list = append(list, threads...)
	if len(list) == 0 {
		t.Fatal("no programs")
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
				program := filepath.Join(directory(t), name)
				args := append(cc[1:], "-O1", "-w", "-o", program, source, "-lpthread")
				if out, err := exec.Command(cc[0], args...).CombinedOutput(); err != nil {
					t.Fatalf("compiling: %v\n%s", err, out)
				}
				compare(t, nil, program)
			})
		}
	}
}
