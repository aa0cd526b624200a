package remote_test

import (
	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
)

func newTestFS() vfs.FS { return tmp.New(tmp.Options{}) }
