package posix

import (
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
)

// copyInTimespec copies a time to wait.
func (t *Task) copyInTimespec(addr uint64) (time.Duration, error) {
	var b [abi.SizeTimespec]byte
	if err := t.copyIn(addr, b[:]); err != nil {
		return 0, err
	}
	var ts abi.Timespec
	ts.Decode(b[:])
	if !ts.Valid() {
		return 0, syscall.EINVAL
	}
	return ts.Duration(), nil
}
