package guard_test

import (
	"testing"

	"github.com/hati-os/hati/internal/guard"
	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/internal/servers/iofs"
	"github.com/hati-os/hati/internal/servers/overlay"
	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/vfstest"
)

// TestContract: a server behind a guard is the same server.
func TestContract(t *testing.T) {
	guarded := func(t *testing.T, server vfs.FS) vfs.FS {
		g := guard.New(server, guard.Options{})
		t.Cleanup(func() { g.Close() })
		return g.FS()
	}
	t.Run("tmp", func(t *testing.T) {
		vfstest.Run(t, func(t *testing.T) vfs.FS { return guarded(t, tmp.New(tmp.Options{})) }, vfstest.Options{BigDir: 2000})
	})
	t.Run("iofs", func(t *testing.T) {
		vfstest.Run(t, func(t *testing.T) vfs.FS { return guarded(t, iofs.New(vfstest.Sample())) }, vfstest.Options{ReadOnly: true})
	})
	t.Run("overlay of guarded", func(t *testing.T) {
		vfstest.Run(t, func(t *testing.T) vfs.FS {
			h, err := host.New(t.TempDir(), host.Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { h.Close() })
			o, err := overlay.New(tmp.New(tmp.Options{}), guarded(t, h), overlay.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return o
		}, vfstest.Options{BigDir: 2000})
	})
}
