package remote_test

import (
	"os"
	"testing"

	"github.com/hati-os/hati/internal/servers/dev"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"github.com/hati-os/hati/vfs/vfstest"
)

func init() {
	kinds["dev"] = func(string) (vfs.FS, error) { return dev.New(dev.Options{}), nil }
}

// TestContractDev is the contract for device files, over every transport.
func TestContractDev(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			open := func(t *testing.T) vfs.FS { return tr.open(t, "dev").FS() }
			if tr.name == "process" {
				p := process(t, "dev")
				open = func(t *testing.T) vfs.FS { return dialTest(t, p.path) }
			}
			vfstest.Run(t, open, vfstest.Options{
				NoXattr: true, NoTmpfile: true, NoSeek: true, NoAllocate: true, NoShared: true, MaxFile: 1 << 20, BigDir: 1500,
			})
		})
	}
}

func dialTest(t *testing.T, path string) vfs.FS {
	t.Helper()
	c, err := remote.Dial(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.FS()
}

// TestContractNotLent is the contract for host files each of whose reads and writes
// asks the server.
func TestContractNotLent(t *testing.T) {
	ordinary := os.Geteuid() != 0
	bothLanes(t, func(t *testing.T, shared bool) {
		t.Parallel()
		vfstest.Run(t, func(t *testing.T) vfs.FS {
			a, b := pair(t, shared)
			fs := makeFS(t, "host")
			done := make(chan struct{})
			go func() {
				defer close(done)
				remote.Serve(ctx, b, fs, remote.ServeOptions{NoLend: true, SharedWrites: true, Unordered: true, Survives: true})
			}()
			t.Cleanup(func() { <-done })
			return newClient(t, a).FS()
		}, vfstest.Options{NoDevice: ordinary, NoChown: ordinary, BigDir: 1500})
	})
}
