package test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestObjects compiles each program of guest/objects and compares what it sees
// of sockets, events and watches natively and under hati: with files in memory,
// and with files of the host.
func TestObjects(t *testing.T) {
	need(t, "gcc")
	list, err := filepath.Glob("guest/objects/*.c")
	if err != nil || len(list) == 0 {
		t.Fatal("no programs", err)
	}
	for _, source := range list {
		name := strings.TrimSuffix(filepath.Base(source), ".c")
		program := filepath.Join(directory(t), name)
		out, err := exec.Command("gcc", "-O1", "-w", "-o", program, source, "-lpthread").CombinedOutput()
		if err != nil {
			t.Fatalf("compiling: %v\n%s", err, out)
		}
		t.Run(name+"/memory", func(t *testing.T) {
			t.Parallel()
			compare(t, nil, program)
		})
		t.Run(name+"/host", func(t *testing.T) {
			t.Parallel()
			compare(t, nil, program, ".")
		})
		if name != "undisturbed" {
			continue
		}
		t.Run(name+"/isolate", func(t *testing.T) { // the host's files are in another process
			t.Parallel()
			compareWith(t, []string{"--isolate"}, nil, program, ".")
		})
	}
}
