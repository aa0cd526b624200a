package cancel_test

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// The other processor's code is vetted, its assembly against the Go declarations, and with HATI_HAMMER=1 run under
// qemu-user if that is there: all that needs neither ptrace nor this binary once more.
func TestArm64(t *testing.T) {
	if testing.Short() || runtime.GOARCH == "arm64" {
		t.Skip("builds for arm64")
	}
	command := func(name string, args ...string) {
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0", "HATI_HAMMER=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", cmd.Args, err, out)
		}
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	command("go", "vet", ".")
	if !hammer {
		return
	}
	qemu, err := exec.LookPath("qemu-aarch64")
	if err != nil {
		t.Skip("not run: ", err)
	}
	binary := t.TempDir() + "/arm64.test"
	command("go", "test", "-c", "-o", binary, ".")
	command(qemu, binary, "-test.short", "-test.run",
		"C03_Con|C03_P|C05|C06_Threads|C07_OnTop|C08|C10|C11|C18|Calls_DoTheir|Lock|TestC01_OneOutcome/^(read|flock|poll|writev|accept4|pread)$")
}
