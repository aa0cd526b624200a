package remote_test

import (
	"testing"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/vfstest"
)

// TestCancellation is the contract of cancellation over a lane in the process and
// over a ring.
func TestCancellation(t *testing.T) {
	for _, shared := range []bool{false, true} {
		name := map[bool]string{false: "lane", true: "ring"}[shared]
		t.Run(name, func(t *testing.T) {
			vfstest.RunCancellation(t, vfstest.Transport{
				Reach: func(t *testing.T, server vfs.FS) vfs.FS {
					a, b := pair(t, shared)
					serveFS(t, b, server)
					return newClient(t, a).FS()
				},
				Leaves: true, Ioctls: true, Races: 1000,
			})
		})
	}
}
