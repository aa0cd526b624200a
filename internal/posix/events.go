package posix

import (
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/servers/event"
	"golang.org/x/sys/unix"
)

// eventCalls are eventfd(2) and timerfd_create(2).
var eventCalls = calls{
	unix.SYS_EVENTFD:         {fn: func(t *Task, a *Args) (uint64, error) { return t.eventfd(a.Uint(0), 0) }},
	unix.SYS_EVENTFD2:        {fn: func(t *Task, a *Args) (uint64, error) { return t.eventfd(a.Uint(0), a.Int(1)) }},
	unix.SYS_TIMERFD_CREATE:  {fn: sysTimerfdCreate},
	unix.SYS_TIMERFD_SETTIME: {fn: sysTimerfdSettime},
	unix.SYS_TIMERFD_GETTIME: {fn: sysTimerfdGettime},
}

// eventFile is an eventfd with what /proc says of it.
type eventFile struct {
	*event.Counter
	id        uint32
	semaphore bool
}

var lastEvent atomic.Uint32

// FDInfo is for /proc.
func (f *eventFile) FDInfo() string {
	n := 0
	if f.semaphore {
		n = 1
	}
	return fmt.Sprintf("eventfd-count: %16x\neventfd-id: %d\neventfd-semaphore: %d\n", f.Count(), f.id, n)
}

func (t *Task) eventfd(count uint32, flags int) (uint64, error) {
	if flags&^(unix.EFD_SEMAPHORE|unix.EFD_CLOEXEC|unix.EFD_NONBLOCK) != 0 {
		return 0, syscall.EINVAL
	}
	semaphore := flags&unix.EFD_SEMAPHORE != 0
	f := &eventFile{event.NewCounter(count, semaphore), lastEvent.Add(1), semaphore}
	return t.installObject(f, unix.O_RDWR|flags&^unix.EFD_SEMAPHORE, "anon_inode:[eventfd]")
}

// timerFile is a timerfd with what /proc says of it.
type timerFile struct {
	*event.Timer
	clock int
}

// FDInfo is for /proc.
func (f *timerFile) FDInfo() string {
	i := f.Info()
	return fmt.Sprintf("clockid: %d\nticks: %d\nsettime flags: 0%o\nit_value: (%d, %d)\nit_interval: (%d, %d)\n",
		i.Clock, i.Ticks, i.Flags, i.Spec.Value.Sec, i.Spec.Value.Nsec, i.Spec.Interval.Sec, i.Spec.Interval.Nsec)
}

// wakes reports whether the timer is to wake the machine, for which one needs
// CAP_WAKE_ALARM.
func wakes(clock int) bool {
	return clock == unix.CLOCK_REALTIME_ALARM || clock == unix.CLOCK_BOOTTIME_ALARM
}

func sysTimerfdCreate(t *Task, a *Args) (uint64, error) {
	clock, flags := a.Int(0), a.Int(1)
	if flags&^(unix.TFD_CLOEXEC|unix.TFD_NONBLOCK) != 0 {
		return 0, syscall.EINVAL
	}
	f, err := event.NewTimer(clock)
	if err != nil {
		return 0, err
	}
	if wakes(clock) && !t.capable(unix.CAP_WAKE_ALARM) {
		return 0, syscall.EPERM
	}
	return t.installObject(&timerFile{f, clock}, unix.O_RDWR|flags, "anon_inode:[timerfd]")
}

// timerfd returns the timer behind fd, with a reference to its description.
func (t *Task) timerfd(fd int) (*Description, *timerFile, error) {
	return fileOfKind[*timerFile](t, fd, syscall.EINVAL)
}

func sysTimerfdSettime(t *Task, a *Args) (uint64, error) {
	var b [2 * abi.SizeTimespec]byte
	if err := t.copyIn(a[2], b[:]); err != nil {
		return 0, err
	}
	spec := decodeItimerspec(b[:])
	flags := a.Int(1)
	if flags&^(unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET) != 0 || !validTimespec(spec.Value) || !validTimespec(spec.Interval) {
		return 0, syscall.EINVAL
	}
	d, f, err := t.timerfd(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	if wakes(f.clock) && !t.capable(unix.CAP_WAKE_ALARM) {
		return 0, syscall.EPERM
	}
	old, err := f.Settime(flags, spec)
	if err != nil || a[3] == 0 {
		return 0, err
	}
	encodeItimerspec(b[:], old)
	return 0, t.copyOut(a[3], b[:])
}

func sysTimerfdGettime(t *Task, a *Args) (uint64, error) {
	d, f, err := t.timerfd(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	var b [2 * abi.SizeTimespec]byte
	encodeItimerspec(b[:], f.Gettime())
	return 0, t.copyOut(a[1], b[:])
}

func validTimespec(ts unix.Timespec) bool { return abi.Timespec(ts).Valid() }

func decodeItimerspec(b []byte) unix.ItimerSpec {
	var interval, value abi.Timespec
	interval.Decode(b)
	value.Decode(b[abi.SizeTimespec:])
	return unix.ItimerSpec{Interval: unix.Timespec(interval), Value: unix.Timespec(value)}
}

func encodeItimerspec(b []byte, s unix.ItimerSpec) {
	abi.Timespec(s.Interval).Encode(b)
	abi.Timespec(s.Value).Encode(b[abi.SizeTimespec:])
}
