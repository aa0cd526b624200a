package posix

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

func sysSchedGetaffinity(t *Task, a *Args) (uint64, error) {
	n := a.Uint(1)
	if n%8 != 0 {
		return 0, syscall.EINVAL
	}
	t.k.mu.Lock()
	o, err := t.threadByID(a.Int(0))
	tid := 0
	if err == nil {
		tid, _ = o.hostThread() // or what the server may use
	}
	t.k.mu.Unlock()
	if err != nil {
		return 0, err
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(tid, &set); err != nil {
		return 0, err
	}
	var b [len(set) * 8]byte
	last := 0
	for i, w := range set {
		binary.LittleEndian.PutUint64(b[8*i:], uint64(w))
		if w != 0 {
			last = i
		}
	}
	if int(n) < 8*(last+1) {
		return 0, syscall.EINVAL
	}
	// As large as the kernel's own set, which the host's has all in its first words.
	size := min(int(n), 8*(last+1))
	return uint64(size), t.copyOut(a[2], b[:size])
}

func sysSchedSetaffinity(t *Task, a *Args) (uint64, error) {
	var set unix.CPUSet
	var b [len(set) * 8]byte
	n := min(int(a.Uint(1)), len(b))
	if err := t.copyIn(a[2], b[:n]); err != nil {
		return 0, err
	}
	for i := range set {
		w := binary.LittleEndian.Uint64(b[8*i:])
		for bit := range 64 {
			if w&(1<<bit) != 0 {
				set.Set(64*i + bit)
			}
		}
	}
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	o, err := t.threadByID(a.Int(0))
	if err != nil {
		return 0, err
	}
	if !t.maySchedule(o, unix.CAP_SYS_NICE) {
		return 0, syscall.EPERM
	}
	if tid, ok := o.hostThread(); ok {
		if err := unix.SchedSetaffinity(tid, &set); err != nil {
			return 0, err
		}
	}
	o.sched.affinity = &set
	return 0, nil
}
