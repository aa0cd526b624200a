package tmp_test

import (
	"testing"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/vfstest"
)

func TestContract(t *testing.T) {
	vfstest.Run(t, func(*testing.T) vfs.FS { return tmp.New(tmp.Options{}) }, vfstest.Options{})
}

func TestContractLimited(t *testing.T) {
	vfstest.Run(t, func(*testing.T) vfs.FS { return tmp.New(tmp.Options{Size: 1 << 30}) }, vfstest.Options{BigDir: 2000})
}
