package overlay_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/internal/servers/iofs"
	"github.com/hati-os/hati/internal/servers/overlay"
	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/vfstest"
)

var ctx = context.Background()

func serve(t testing.TB, dir string, o host.Options) *host.FS {
	t.Helper()
	fs, err := host.New(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	return fs
}

func over(t testing.TB, lower vfs.FS) *overlay.FS {
	t.Helper()
	fs, err := overlay.New(tmp.New(tmp.Options{}), lower, overlay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestContract(t *testing.T) {
	t.Run("empty tmp", func(t *testing.T) {
		vfstest.Run(t, func(t *testing.T) vfs.FS { return over(t, tmp.New(tmp.Options{})) }, vfstest.Options{})
	})
	t.Run("host directory", func(t *testing.T) {
		vfstest.Run(t, func(t *testing.T) vfs.FS {
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755); err != nil {
				t.Fatal(err)
			}
			return vfstest.At(over(t, serve(t, dir, host.Options{ReadOnly: true})), "a/b")
		}, vfstest.Options{BigDir: 2000})
	})
	t.Run("host above", func(t *testing.T) {
		ordinary := os.Geteuid() != 0
		vfstest.Run(t, func(t *testing.T) vfs.FS {
			lower := tmp.New(tmp.Options{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())})
			fs, err := overlay.New(serve(t, t.TempDir(), host.Options{}), lower, overlay.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return fs
		}, vfstest.Options{BigDir: 1000, NoOneDev: true, NoDevice: ordinary, NoChown: ordinary})
	})
}

// TestContractLower: what is below shows as it is.
func TestContractLower(t *testing.T) {
	dir := t.TempDir()
	if err := vfstest.WriteSample(dir); err != nil {
		t.Fatal(err)
	}
	for name, lower := range map[string]vfs.FS{
		"host": serve(t, dir, host.Options{ReadOnly: true}), "iofs": iofs.New(vfstest.Sample()),
	} {
		t.Run(name, func(t *testing.T) {
			vfstest.Run(t, func(t *testing.T) vfs.FS { return over(t, lower) }, vfstest.Options{Sample: true})
		})
	}
}
