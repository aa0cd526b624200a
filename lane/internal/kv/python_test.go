package kv_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/lane/internal/kv"
)

// A client in another language, written from docs/lane-protocol.md.
func TestPythonClient(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	path := filepath.Join(t.TempDir(), "s")
	ln, err := lane.Listen(path, 0o600, lane.Config{Protocol: kv.ProtocolName, Version: kv.ProtocolVersion, Oldest: kv.ProtocolOldest})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ln.Serve(ctx, kv.Handler(kv.NewStore()), lane.ServeOptions{}, nil)
	}()
	defer func() { cancel(); <-ended }()
	cmd := exec.Command(python, "kv.py", path)
	cmd.Dir = "../../python"
	cmd.Env = append(cmd.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "ok\n" {
		t.Fatalf("%v\n%s", err, out)
	}
}
