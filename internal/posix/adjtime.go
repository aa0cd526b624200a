package posix

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// What adjtimex(2)'s modes are, apart from changes.
const (
	adjAdjtime    = 0x8000 // as adjtime(3)
	adjReadOnly   = 0x2000
	adjSingleshot = 0x0001
	sizeTimex     = 208
)

// sysAdjtimex tells how the host's clock is kept; nobody changes that.
func sysAdjtimex(t *Task, a *Args) (uint64, error) { return t.adjtimex(a[0]) }

func sysClockAdjtime(t *Task, a *Args) (uint64, error) {
	switch id := int32(a[0]); {
	case id == unix.CLOCK_REALTIME:
		return t.adjtimex(a[1])
	case id >= 0 && id <= unix.CLOCK_TAI && id != 10: // 10 was never used
		return 0, syscall.EOPNOTSUPP
	}
	return 0, syscall.EINVAL
}

func (t *Task) adjtimex(addr uint64) (uint64, error) {
	var b [sizeTimex]byte
	if err := t.copyIn(addr, b[:]); err != nil {
		return 0, err
	}
	modes := binary.LittleEndian.Uint32(b[:])
	switch {
	case modes&adjAdjtime != 0 && modes&adjSingleshot == 0:
		return 0, syscall.EINVAL
	case modes&adjAdjtime != 0 && modes&adjReadOnly == 0, modes != 0 && modes&adjAdjtime == 0:
		return 0, syscall.EPERM
	}
	x := unix.Timex{Modes: modes}
	state, err := unix.Adjtimex(&x)
	if err != nil {
		return 0, err
	}
	for i, v := range []int64{int64(modes), x.Offset, x.Freq, x.Maxerror, x.Esterror, int64(x.Status), x.Constant, x.Precision,
		x.Tolerance, x.Time.Sec, x.Time.Usec, x.Tick, x.Ppsfreq, x.Jitter, int64(x.Shift), x.Stabil, x.Jitcnt, x.Calcnt,
		x.Errcnt, x.Stbcnt, int64(x.Tai)} {
		binary.LittleEndian.PutUint64(b[8*i:], uint64(v))
	}
	return uint64(state), t.copyOut(addr, b[:])
}
