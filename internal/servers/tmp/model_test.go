package tmp_test

import (
	"testing"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/vfstest/model"
)

func TestAsTheHost(t *testing.T) {
	model.Run(t, false, func(string) (vfs.FS, func()) { return tmp.New(tmp.Options{}), func() {} })
}
