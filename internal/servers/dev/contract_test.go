package dev_test

import (
	"testing"

	"github.com/hati-os/hati/internal/servers/dev"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/vfstest"
)

func TestContract(t *testing.T) {
	vfstest.Run(t, func(*testing.T) vfs.FS { return dev.New(dev.Options{}) }, vfstest.Options{
		NoXattr: true, NoTmpfile: true, NoSeek: true, NoAllocate: true, NoShared: true, MaxFile: 1 << 20, BigDir: 3000,
	})
}
