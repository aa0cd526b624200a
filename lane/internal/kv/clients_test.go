package kv_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Clients in other languages, written from docs/lane-protocol.md.
func TestPythonClient(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	cmd := exec.Command(python, "kv.py", serveKV(t, config))
	cmd.Dir = "../../python"
	cmd.Env = append(cmd.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "ok\n" {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestCClient(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no cc")
	}
	path, client := serveKV(t, config), filepath.Join(t.TempDir(), "kv")
	if out, err := exec.Command(cc, "-Wall", "-o", client, "../../c/kv.c").CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command(client, path).CombinedOutput(); err != nil || string(out) != "ok\n" {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, _ := exec.Command(client, "77", path).CombinedOutput(); !strings.HasPrefix(string(out), "refused: ") || !strings.Contains(string(out), "77") {
		t.Fatalf("an unknown version: %s", out)
	}
}
