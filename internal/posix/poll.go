package posix

import (
	"encoding/binary"
	"math/bits"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

var pollCalls = calls{
	unix.SYS_POLL:          {fn: sysPoll, blocks: interruptible, restart: restartHand},
	unix.SYS_PPOLL:         {fn: sysPpoll, blocks: interruptible, restart: restartHand},
	unix.SYS_SELECT:        {fn: sysSelect, blocks: interruptible, restart: restartHand},
	unix.SYS_PSELECT6:      {fn: sysPselect, blocks: interruptible, restart: restartHand},
	unix.SYS_EPOLL_CREATE:  {fn: sysEpollCreate},
	unix.SYS_EPOLL_CREATE1: {fn: sysEpollCreate1},
	unix.SYS_EPOLL_CTL:     {fn: sysEpollCtl},
	unix.SYS_EPOLL_WAIT:    {fn: sysEpollWait, blocks: interruptible, restart: restartNever},
	unix.SYS_EPOLL_PWAIT:   {fn: sysEpollPwait, blocks: interruptible, restart: restartNever},
	unix.SYS_EPOLL_PWAIT2:  {fn: sysEpollPwait2, blocks: interruptible, restart: restartNever},
}

// pollEnd is when a wait ends: now, at a time, or never (zero).
type pollEnd struct {
	now bool
	at  time.Time
}

func endAfter(d time.Duration) pollEnd {
	if d <= 0 {
		return pollEnd{now: true}
	}
	return pollEnd{at: time.Now().Add(d)}
}

// millis is poll's timeout argument.
func millis(ms int) pollEnd {
	if ms < 0 {
		return pollEnd{}
	}
	return endAfter(time.Duration(ms) * time.Millisecond)
}

// The masks of pselect6, ppoll and epoll_pwait end with the call, or after the
// handler of the signal that ended it.

// relativeDeadline reads a timespec; address 0 means forever.
func (t *Task) relativeDeadline(at uint64) (pollEnd, error) {
	if at == 0 {
		return pollEnd{}, nil
	}
	var b [16]byte
	if err := t.copyIn(at, b[:]); err != nil {
		return pollEnd{}, err
	}
	var ts abi.Timespec
	ts.Decode(b[:])
	if !ts.Valid() {
		return pollEnd{}, syscall.EINVAL
	}
	return endAfter(ts.Duration()), nil
}

// remaining is the time left, for those calls that write it back.
func (e pollEnd) remaining() time.Duration {
	if e.now {
		return 0
	}
	return max(0, time.Until(e.at))
}

// pollEntry is a file to wait for.
type pollEntry struct {
	desc    *Description // nil: no file, nothing to report
	poll    vfs.Pollable // nil: always ready
	want    vfs.Events   // to watch for
	report  vfs.Events   // that end the wait
	got     vfs.Events
	waiter  vfs.Waiter
	watched bool
}

// look asks all files once.
func look(list []pollEntry) (n int) {
	for i := range list {
		e := &list[i]
		if e.desc == nil {
			if e.got != 0 {
				n++
			}
			continue
		}
		if e.got = readyNow(e.poll, e.want|vfs.EventErr|vfs.EventHup) & e.report; e.got != 0 {
			n++
		}
	}
	return n
}

// readyNow is what p, nil when it always is, has of events.
func readyNow(p vfs.Pollable, events vfs.Events) vfs.Events {
	if p == nil {
		return events & (vfs.EventsIn | vfs.EventsOut)
	}
	return p.Poll(events)
}

// waitFor waits until one of the files has something, and returns how many do.
func (t *Task) waitFor(list []pollEntry, end pollEnd) (int, error) {
	for i := range list {
		if d := list[i].desc; d != nil {
			if p, ok := d.file.(vfs.Poller); ok {
				if _, err := p.PollNow(t.context(), list[i].want); err != nil {
					return 0, err
				}
			}
			list[i].poll = t.pollable(d.file)
		}
	}
	n := look(list)
	if n > 0 || end.now {
		return n, nil
	}
	wake := func(*vfs.Waiter, vfs.Events) { t.wakeUp() }
	defer func() {
		for i := range list {
			if list[i].watched {
				list[i].poll.Unwatch(&list[i].waiter)
			}
		}
	}()
	for i := range list {
		e := &list[i]
		if e.poll != nil {
			e.waiter = vfs.Waiter{Mask: e.want, Wake: wake}
			e.watched = true
			e.poll.Watch(&e.waiter)
		}
	}
	for {
		if n := look(list); n > 0 {
			return n, nil
		}
		if err := t.sleep(end.at); err == errTimeout {
			return look(list), nil
		} else if err != nil {
			return 0, err
		}
	}
}

func releaseAll(list []pollEntry) {
	for i := range list {
		if list[i].desc != nil {
			list[i].desc.release()
		}
	}
}

func sysPoll(t *Task, a *Args) (uint64, error) {
	return t.poll(a[0], a.Uint(1), millis(a.Int(2)))
}

// poll waits, and after a stop goes on with the time that is left.
func (t *Task) poll(at uint64, count uint32, end pollEnd) (uint64, error) {
	n, err := t.pollOnce(at, count, end)
	if vfs.Interrupted(err) {
		return t.restartBlock(func(t *Task) (uint64, error) { return t.poll(at, count, end) })
	}
	return n, err
}

func (t *Task) pollOnce(at uint64, count uint32, end pollEnd) (uint64, error) {
	if uint64(count) > t.proc.limit(unix.RLIMIT_NOFILE) {
		return 0, syscall.EINVAL
	}
	buf := make([]byte, 8*count)
	if err := t.copyIn(at, buf); err != nil {
		return 0, err
	}
	list := make([]pollEntry, count)
	defer func() { releaseAll(list) }()
	for i := range list {
		var p abi.Pollfd
		p.Decode(buf[8*i:])
		if p.FD < 0 {
			continue
		}
		d, err := t.fds.get(int(p.FD))
		if err != nil {
			list[i].got = unix.POLLNVAL
			continue
		}
		want := vfs.Events(uint16(p.Events))
		list[i].desc, list[i].want, list[i].report = d, want, want|vfs.EventErr|vfs.EventHup
	}
	n, err := t.waitFor(list, end)
	if err != nil {
		return 0, err
	}
	for i := range list {
		binary.LittleEndian.PutUint16(buf[8*i+6:], uint16(list[i].got))
	}
	return uint64(n), t.copyOut(at, buf)
}

func sysPpoll(t *Task, a *Args) (uint64, error) {
	end, err := t.relativeDeadline(a[2])
	if err != nil {
		return 0, err
	}
	return t.withSigmask(a[3], a[4], func() (uint64, error) {
		n, err := t.pollOnce(a[0], a.Uint(1), end)
		return n, t.writeRemaining(a[2], end, err)
	})
}

// writeRemaining stores the time left, as ppoll and pselect do. A call that is
// to be restarted cannot be when that fails.
func (t *Task) writeRemaining(at uint64, end pollEnd, err error) error {
	if at == 0 || err != nil && !vfs.Interrupted(err) {
		return err
	}
	var b [16]byte
	abi.TimespecOf(end.remaining()).Encode(b[:])
	if t.copyOut(at, b[:]) != nil && vfs.Interrupted(err) {
		return syscall.EINTR
	}
	return err
}

func sysSelect(t *Task, a *Args) (uint64, error) {
	var end pollEnd
	if a[4] != 0 {
		var b [16]byte
		if err := t.copyIn(a[4], b[:]); err != nil {
			return 0, err
		}
		sec, usec := int64(binary.LittleEndian.Uint64(b[:])), int64(binary.LittleEndian.Uint64(b[8:]))
		if sec < 0 || usec < 0 {
			return 0, syscall.EINVAL
		}
		ts := abi.Timespec{Sec: sec + usec/1e6, Nsec: usec % 1e6 * 1e3}
		end = endAfter(ts.Duration())
	}
	n, err := t.selectOnce(a.Int(0), a[1], a[2], a[3], end)
	if a[4] != 0 && (err == nil || vfs.Interrupted(err)) {
		left := end.remaining()
		var b [16]byte
		binary.LittleEndian.PutUint64(b[:], uint64(left/time.Second))
		binary.LittleEndian.PutUint64(b[8:], uint64(left%time.Second/time.Microsecond))
		if t.copyOut(a[4], b[:]) != nil && err != nil {
			err = syscall.EINTR
		}
	}
	return n, err
}

func sysPselect(t *Task, a *Args) (uint64, error) {
	end, err := t.relativeDeadline(a[4])
	if err != nil {
		return 0, err
	}
	var mask, size uint64
	if a[5] != 0 {
		var b [16]byte
		if err := t.copyIn(a[5], b[:]); err != nil {
			return 0, err
		}
		mask, size = binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])
	}
	return t.withSigmask(mask, size, func() (uint64, error) {
		n, err := t.selectOnce(a.Int(0), a[1], a[2], a[3], end)
		return n, t.writeRemaining(a[4], end, err)
	})
}

// The events behind select's three sets, in and out.
var selectEvents = [3]struct{ want, got vfs.Events }{
	{vfs.EventsIn | vfs.EventRdBand, vfs.EventsIn | vfs.EventRdBand | vfs.EventHup | vfs.EventErr},
	{vfs.EventsOut | vfs.EventWrBand, vfs.EventsOut | vfs.EventWrBand | vfs.EventErr},
	{vfs.EventPri, vfs.EventPri},
}

func (t *Task) selectOnce(n int, in, out, ex uint64, end pollEnd) (uint64, error) {
	if n < 0 {
		return 0, syscall.EINVAL
	}
	n = min(n, t.fds.size())
	size := (n + 63) / 64 * 8
	sets, at := [3][]byte{}, [3]uint64{in, out, ex}
	for i := range sets {
		sets[i] = make([]byte, size)
		if at[i] != 0 {
			if err := t.copyIn(at[i], sets[i]); err != nil {
				return 0, err
			}
		}
	}
	var list []pollEntry
	var fds []int
	defer func() { releaseAll(list) }()
	for fd := range n {
		e := pollEntry{}
		for i := range sets {
			if sets[i][fd/8]&(1<<(fd%8)) != 0 {
				e.want |= selectEvents[i].want
				e.report |= selectEvents[i].got
			}
		}
		if e.want == 0 {
			continue
		}
		d, err := t.fds.get(fd)
		if err != nil {
			return 0, err
		}
		e.desc = d
		list, fds = append(list, e), append(fds, fd)
	}
	if _, err := t.waitFor(list, end); err != nil {
		return 0, err
	}
	total := 0
	for i := range sets {
		res := make([]byte, size)
		for j, fd := range fds {
			if sets[i][fd/8]&(1<<(fd%8)) != 0 && list[j].got&selectEvents[i].got != 0 {
				res[fd/8] |= 1 << (fd % 8)
			}
		}
		for _, b := range res {
			total += bits.OnesCount8(b)
		}
		if at[i] != 0 {
			if err := t.copyOut(at[i], res); err != nil {
				return 0, err
			}
		}
	}
	return uint64(total), nil
}
