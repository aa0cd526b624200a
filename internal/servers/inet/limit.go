package inet

import (
	"math"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// sockets counts the sockets of all networks of this program, which are descriptors of
// its own.
var sockets atomic.Int64

// most is how many there may be: half of all descriptors that this program can have;
// the rest is for what guests cannot do without.
var most = sync.OnceValue(func() int64 {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 512
	}
	return int64(min(r.Cur/2, math.MaxInt64))
})

// reserve counts one more socket, before it is made or accepted: ENFILE when there
// are too many.
func reserve() error {
	if sockets.Add(1) > most() {
		sockets.Add(-1)
		return syscall.ENFILE
	}
	return nil
}

func unreserve() { sockets.Add(-1) }

// reservePair is reserve for a gateway and what is behind it.
func reservePair() error {
	if reserve() != nil {
		return syscall.ENOBUFS
	}
	if reserve() != nil {
		unreserve()
		return syscall.ENOBUFS
	}
	return nil
}

func unreservePair() { sockets.Add(-2) }
