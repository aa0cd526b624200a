package test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestOwnedSockets compares what goes through connections that the guest's own process
// serves after a while.
func TestOwnedSockets(t *testing.T) {
	t.Parallel()
	need(t, "gcc")
	dir := directory(t)
	program := filepath.Join(dir, "owned")
	if out, err := exec.Command("gcc", "-O1", "-w", "-o", program, "guest/net/owned.c", "-lpthread").CombinedOutput(); err != nil {
		t.Fatalf("compiling: %v\n%s", err, out)
	}
	want := native(t, dir, "", program)
	if got := under(t, dir, "", []string{"--net", "host", "--mount", dir + ":" + dir}, program); got != want {
		t.Errorf("=== natively: %v\n=== under hati: %v", want, got)
	}
}
