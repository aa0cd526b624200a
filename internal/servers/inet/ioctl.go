package inet

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// ioctls of a socket itself, and the size of what they write; none reads anything.
var ioctls = map[uint32]int{
	unix.SIOCINQ:          4,
	unix.SIOCOUTQ:         4,
	unix.SIOCOUTQNSD:      4,
	unix.SIOCATMARK:       4,
	unix.SIOCGSTAMP_OLD:   16,
	unix.SIOCGSTAMPNS_OLD: 16,
}

// Ioctl implements vfs.Ioctler.
func (s *Socket) Ioctl(_ context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	size, ok := ioctls[cmd]
	if !ok {
		return 0, syscall.ENOTTY
	}
	b := make([]byte, size)
	if err := ioctl(s.fd, cmd, b); err != nil {
		return 0, err
	}
	return 0, arg.WriteAt(b, 0)
}
