package fuse

import (
	"context"
	"testing"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"github.com/hati-os/hati/vfs/vfstest"
)

// overLanes runs f with what puts a lane before a file system: one in the process, and
// one over shared memory.
func overLanes(t *testing.T, f func(t *testing.T, across func(*testing.T, vfs.FS) vfs.FS)) {
	config := remote.Config("test")
	for _, c := range []struct {
		name string
		pair func() (client, server *lane.Lane, err error)
	}{
		{"lane", func() (*lane.Lane, *lane.Lane, error) {
			a, b := lane.Pair(config)
			return a, b, nil
		}},
		{"ring", func() (*lane.Lane, *lane.Lane, error) { return lane.PairShared(config) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f(t, func(t *testing.T, fs vfs.FS) vfs.FS {
				t.Helper()
				a, b, err := c.pair()
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
	overLanes(t, func(t *testing.T, across func(*testing.T, vfs.FS) vfs.FS) {
		vfstest.Run(t, func(t *testing.T) vfs.FS {
			fs, _ := mount(t, tmp.New(tmp.Options{}), Options{}, func(d *daemon) { d.valid = 10 })
			return across(t, fs)
		}, vfstest.Options{NoShared: true, BigDir: 2000})
	})
}
