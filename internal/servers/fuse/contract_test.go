package fuse

import (
	"testing"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/vfstest"
)

// Other files of the suite's server have other device numbers and so on; what a
// daemon cannot have is left out.
func TestContract(t *testing.T) {
	for _, c := range []struct {
		name  string
		valid uint64
		minor uint32
	}{{"NothingKept", 0, minor}, {"Kept", 10, minor}, {"Old", 0, 38}} {
		t.Run(c.name, func(t *testing.T) {
			vfstest.Run(t, func(t *testing.T) vfs.FS {
				fs, _ := mount(t, tmp.New(tmp.Options{}), Options{}, func(d *daemon) { d.valid, d.minor = c.valid, c.minor })
				return fs
			}, vfstest.Options{NoShared: true, BigDir: 2000})
		})
	}
}
