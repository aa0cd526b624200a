package main

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
)

// watched tells when a read has begun, and how its ctx ended.
type watched struct {
	files Root
	began chan struct{}
	ended chan error
}

func (w watched) Root(context.Context) (vfs.Node, error) { return w, nil }

func (w watched) Stat(ctx context.Context) (vfs.Attr, error) { return w.files.Stat(ctx) }

func (w watched) Lookup(ctx context.Context, name string) (vfs.Node, error) {
	if _, err := w.files.Lookup(ctx, name); err != nil {
		return nil, err
	}
	return watchedSlow{Slow{}, w}, nil
}

type watchedSlow struct {
	Slow
	w watched
}

func (s watchedSlow) Open(context.Context, int) (vfs.File, error) { return s, nil }
func (s watchedSlow) Node() vfs.Node                              { return s }

func (s watchedSlow) Read(ctx context.Context, p []byte, off int64) (int, error) {
	s.w.began <- struct{}{}
	n, err := s.Slow.Read(ctx, p, off)
	s.w.ended <- context.Cause(ctx)
	return n, err
}

func TestInProcessAndOnItsOwn(t *testing.T) {
	w := watched{began: make(chan struct{}, 4), ended: make(chan error, 4)}
	dir, err := os.MkdirTemp("", "first")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	l, err := remote.Listen(socket, 0o600, lane.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- remote.ServeListener(ctx, l, w, remote.ServeOptions{}) }()
	defer func() {
		cancel()
		<-served
	}()
	for name, mount := range map[string]hati.Mount{
		"in process": hati.Server(w, "/mnt"), "on its own": hati.LaneServer(socket, "/mnt"),
	} {
		t.Run(name, func(t *testing.T) {
			box, err := hati.New(hati.Config{Mounts: []hati.Mount{mount}})
			if err != nil {
				t.Fatal(err)
			}
			defer box.Close()
			delay = 0
			out, err := box.Command("cat", "/mnt/slow").Output()
			if string(out) != "worth the wait\n" || err != nil {
				t.Errorf("%q, %v", out, err)
			}
			for len(w.began) > 0 {
				<-w.began
				<-w.ended
			}
			delay = time.Hour
			cmd := box.Command("cat", "/mnt/slow")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-w.began
			cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err == nil || err.Error() != "signal: terminated" {
				t.Errorf("cat: %v", err)
			}
			if cause := <-w.ended; cause == nil {
				t.Error("the read was not cancelled")
			}
		})
	}
}
