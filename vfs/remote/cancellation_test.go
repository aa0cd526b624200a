package remote_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"github.com/hati-os/hati/vfs/vfstest"
)

// TestCancellation is the contract of cancellation over a lane in the process, over
// a ring, and through a process of its own: the suite's servers are puppets of the
// test, so there they are behind a relay, to which a ring leads and from which
// another one leads back.
func TestCancellation(t *testing.T) {
	for _, shared := range []bool{false, true} {
		name := map[bool]string{false: "lane", true: "ring"}[shared]
		t.Run(name, func(t *testing.T) {
			vfstest.RunCancellation(t, vfstest.Transport{
				Reach: func(t *testing.T, server vfs.FS, grace time.Duration) vfs.FS {
					a, b := pairWith(t, shared, grace)
					serveFS(t, b, server)
					return newClient(t, a).FS()
				},
				Leaves: true, Ioctls: true, Races: 1000,
			})
		})
	}
	t.Run("process", func(t *testing.T) {
		races := 1000
		if os.Getenv("HATI_HAMMER") != "" {
			races = 100_000
		}
		vfstest.RunCancellation(t, vfstest.Transport{Reach: throughProcess, Leaves: true, Ioctls: true, Races: races})
	})
}

// throughProcess reaches a server of this process by way of another one.
func throughProcess(t *testing.T, server vfs.FS, grace time.Duration) vfs.FS {
	dir, err := os.MkdirTemp("", "remote")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := remote.Listen(filepath.Join(dir, "origin"), 0o600, lane.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		remote.ServeListener(ctx, l, server, remote.ServeOptions{})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	t.Setenv("REMOTE_TEST_GRACE", grace.String())
	p := startProcess(t, "relay", dir, filepath.Join(dir, "origin"), filepath.Join(dir, "relay"))
	c, err := dialWith(p.path, grace)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.FS()
}

// dialWith is remote.Dial of one who has another grace time.
func dialWith(path string, grace time.Duration) (*remote.Client, error) {
	cfg := remote.Config(path)
	cfg.Grace = grace
	end, err := lane.Dial(ctx, path, cfg)
	if err != nil {
		return nil, err
	}
	return remote.New(ctx, end)
}
