package fuse

import (
	"context"
	"testing"
	"time"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"github.com/hati-os/hati/vfs/vfstest"
)

// lanes puts a lane before a file system, with a grace time that is the usual one if it
// is 0.
type lanes func(t *testing.T, fs vfs.FS, grace time.Duration) vfs.FS

// overLanes runs f with two of them: in the process, and over shared memory.
func overLanes(t *testing.T, f func(t *testing.T, across lanes)) {
	for _, c := range []struct {
		name string
		pair func(lane.Config) (client, server *lane.Lane, err error)
	}{
		{"lane", func(config lane.Config) (*lane.Lane, *lane.Lane, error) {
			a, b := lane.Pair(config)
			return a, b, nil
		}},
		{"ring", lane.PairShared},
	} {
		t.Run(c.name, func(t *testing.T) {
			f(t, func(t *testing.T, fs vfs.FS, grace time.Duration) vfs.FS {
				t.Helper()
				config := remote.Config("test")
				config.Grace = grace
				a, b, err := c.pair(config)
				if err != nil {
					t.Fatal(err)
				}
				served := make(chan struct{})
				go func() {
					defer close(served)
					remote.Serve(context.Background(), b, fs, remote.ServeOptions{})
				}()
				client, err := remote.New(context.Background(), a)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					client.Close()
					<-served
				})
				return client.FS()
			})
		})
	}
}

// TestContractServed is the contract of a daemon's files that somebody else serves, as
// hati serve fuse does.
func TestContractServed(t *testing.T) {
	overLanes(t, func(t *testing.T, across lanes) {
		vfstest.Run(t, func(t *testing.T) vfs.FS {
			fs, _ := mount(t, tmp.New(tmp.Options{}), Options{}, func(d *daemon) { d.valid = 10 })
			return across(t, fs, 0)
		}, vfstest.Options{NoShared: true, BigDir: 2000})
	})
}
