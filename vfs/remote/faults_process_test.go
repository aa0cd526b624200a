package remote_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/vfs/remote"
)

// outsideSite is a server in a process of its own. Its files are the host's, so
// they outlive it.
type outsideSite struct {
	judge
	faulttest.Outside[*serverProcess]
}

func newOutsideSite(t *testing.T, kills bool) *outsideSite {
	dir := t.TempDir()
	s := &outsideSite{}
	s.Kills = kills
	s.Start = func() *serverProcess { return processAt(t, "shared", dir) }
	s.Begin()
	return s
}

func (s *outsideSite) Dial() (faulttest.Way, error) {
	p, ok := s.Process()
	if !ok {
		return nil, fmt.Errorf("the server did not start again: %w", syscall.ENOENT)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := remote.Dial(ctx, p.path)
	return way{c}, err
}

func (s *outsideSite) Census(testing.TB) {}

// Signal implements faulttest.Process.
func (p *serverProcess) Signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

func processAt(t testing.TB, kind, dir string) *serverProcess {
	t.Helper()
	sub, err := os.MkdirTemp("", "remote")
	if err != nil {
		t.Fatal(err)
	}
	return startProcess(t, kind, sub, dir, filepath.Join(sub, "s"))
}
