package cancel_test

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

func mountFUSE(dev int, dir string) error {
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d", dev, os.Getuid(), os.Getgid())
	return unix.Mount("test", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options)
}

func pointer[T any](p *T) unsafe.Pointer { return unsafe.Pointer(p) }
