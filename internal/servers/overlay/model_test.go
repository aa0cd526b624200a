package overlay_test

import (
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/internal/servers/overlay"
	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/vfstest/model"
)

func TestAsTheHost(t *testing.T) {
	model.Run(t, true, func(dir string) (vfs.FS, func()) {
		lower, err := host.New(dir, host.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		fs, err := overlay.New(tmp.New(tmp.Options{}), lower, overlay.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return fs, func() { lower.Close() }
	})
}
