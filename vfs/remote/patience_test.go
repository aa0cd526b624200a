package remote_test

import (
	"context"
	"errors"
	"testing"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
)

// gated is a file system whose root's attributes are waited for: each Stat says that it has
// begun, and goes on when it may.
type gated struct {
	vfs.FS
	begun, may chan bool
}

type gatedNode struct {
	vfs.Dir
	fs *gated
}

func (g *gated) Root(ctx context.Context) (vfs.Node, error) {
	n, err := g.FS.Root(ctx)
	return &gatedNode{n.(vfs.Dir), g}, err
}

func (n *gatedNode) Stat(ctx context.Context) (vfs.Attr, error) {
	n.fs.begun <- true
	<-n.fs.may
	return n.Dir.Stat(ctx)
}

// A handled signal ends no call to a server that is prompt, before it begins or after; what
// ends the caller for good does, and a server that hangs loses the call.
func TestPrompt(t *testing.T) {
	bothLanes(t, func(t *testing.T, shared bool) {
		t.Parallel()
		a, b := pair(t, shared)
		g := &gated{tmp.New(tmp.Options{}), make(chan bool), make(chan bool, 1)}
		served := make(chan struct{})
		go func() {
			defer close(served)
			remote.Serve(ctx, b, g, remote.ServeOptions{Prompt: true})
		}()
		t.Cleanup(func() { <-served })
		client := newClient(t, a)
		root, err := client.FS().Root(ctx)
		if err != nil {
			t.Fatal(err)
		}
		stat := func(ctx context.Context) <-chan error {
			done := make(chan error, 1)
			go func() {
				_, err := root.Stat(ctx)
				done <- err
			}()
			return done
		}
		ended, end := context.WithCancelCause(ctx)
		end(vfs.ErrInterrupted)
		done := stat(ended)
		<-g.begun
		g.may <- true
		if err := <-done; err != nil {
			t.Errorf("a signal before it: %v", err)
		}

		middle, end := context.WithCancelCause(ctx)
		done = stat(middle)
		<-g.begun
		end(vfs.ErrInterrupted)
		g.may <- true
		if err := <-done; err != nil {
			t.Errorf("a signal meanwhile: %v", err)
		}

		for _, cause := range []error{vfs.ErrKilled, vfs.ErrInterrupted} { // the second takes a while
			over, end := context.WithCancelCause(ctx)
			done = stat(over)
			<-g.begun
			end(cause)
			if err := <-done; !errors.Is(err, vfs.ErrInDoubt) {
				t.Errorf("%v, and no answer: %v", cause, err)
			}
			g.may <- true
		}
	})
}
