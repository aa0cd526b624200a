package guard_test

import (
	"context"
	"testing"
	"time"

	"github.com/hati-os/hati/internal/guard"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/vfstest"
)

func reach(t *testing.T, server vfs.FS, grace time.Duration) vfs.FS {
	g := guard.New(server, guard.Options{Grace: grace})
	t.Cleanup(func() { g.Close() })
	return g.FS()
}

// TestCancellation is the suite for callers that are Go programs.
func TestCancellation(t *testing.T) {
	vfstest.RunCancellation(t, vfstest.Transport{Reach: reach, Leaves: true})
}

// TestCancellationBare is the suite for a server that is called directly, and
// keeps the contract.
func TestCancellationBare(t *testing.T) {
	vfstest.RunCancellation(t, vfstest.Transport{Reach: func(_ *testing.T, s vfs.FS, _ time.Duration) vfs.FS { return s }})
}

// TestCancellationActor is the suite for callers that are tasks.
func TestCancellationActor(t *testing.T) {
	vfstest.RunCancellation(t, vfstest.Transport{Reach: reach, Leaves: true, Via: viaActor})
}

func viaActor(ctx context.Context, call func(context.Context) error) (err error) {
	asActor(ctx, func(c context.Context, a *guard.Actor) {
		stop := context.AfterFunc(ctx, a.Cancelled)
		defer stop()
		err = call(c)
	})
	return err
}
