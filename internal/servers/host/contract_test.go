package host_test

import (
	"os"
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/vfstest"
)

func TestContract(t *testing.T) {
	ordinary := os.Geteuid() != 0
	vfstest.Run(t, func(t *testing.T) vfs.FS {
		return serve(t, t.TempDir(), host.Options{})
	}, vfstest.Options{NoDevice: ordinary, NoChown: ordinary})
}

func TestContractReadOnly(t *testing.T) {
	dir := t.TempDir()
	if err := vfstest.WriteSample(dir); err != nil {
		t.Fatal(err)
	}
	vfstest.Run(t, func(t *testing.T) vfs.FS {
		return serve(t, dir, host.Options{ReadOnly: true})
	}, vfstest.Options{ReadOnly: true})
}
