package test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestIPC compares System V semaphores and message queues, and POSIX message
// queues.
func TestIPC(t *testing.T) {
	for _, name := range []string{"sysv", "mqueue"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			need(t, "gcc")
			program := filepath.Join(directory(t), name)
			if out, err := exec.Command("gcc", "-O1", "-w", "-o", program, "guest/ipc/"+name+".c", "-lrt").CombinedOutput(); err != nil {
				t.Fatalf("compiling: %v\n%s", err, out)
			}
			compare(t, nil, program)
		})
	}
}
