package posix

import (
	"syscall"

	"golang.org/x/sys/unix"
)

var priorityCalls = calls{
	unix.SYS_GETPRIORITY: {fn: sysGetpriority},
	unix.SYS_SETPRIORITY: {fn: sysSetpriority},
	unix.SYS_IOPRIO_GET:  {fn: sysIoprioGet},
	unix.SYS_IOPRIO_SET:  {fn: sysIoprioSet},
}

// eachScheduled calls f for the threads that getpriority's or ioprio_get's arguments
// choose. k.mu is held.
func (t *Task) eachScheduled(which, who, first int, f func(*Task)) error {
	switch which - first {
	case unix.PRIO_PROCESS:
		o, err := t.threadByID(who)
		if err != nil {
			return err
		}
		f(o)
	case unix.PRIO_PGRP:
		g := t.proc.group
		if who != 0 {
			g = t.k.groups[who]
		}
		if g == nil {
			return syscall.ESRCH
		}
		for _, p := range g.members {
			for _, o := range p.tasks {
				f(o)
			}
		}
	case unix.PRIO_USER:
		uid := uint32(who)
		if who == 0 {
			uid = t.creds.Load().UID
		}
		found := false
		for _, p := range t.k.processes {
			for _, o := range p.tasks {
				if o.creds.Load().UID == uid {
					found = true
					f(o)
				}
			}
		}
		if !found {
			return syscall.ESRCH
		}
	default:
		return syscall.EINVAL
	}
	return nil
}

func sysGetpriority(t *Task, a *Args) (uint64, error) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	best := -1
	err := t.eachScheduled(a.Int(0), a.Int(1), 0, func(o *Task) { best = max(best, 20-o.sched.nice) })
	if err == nil && best < 0 {
		err = syscall.ESRCH
	}
	return uint64(best), err
}

func sysSetpriority(t *Task, a *Args) (uint64, error) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	var last error
	n := 0
	err := t.eachScheduled(a.Int(0), a.Int(1), 0, func(o *Task) {
		n++
		if err := t.renice(o, a.Int(2)); err != nil {
			last = err
		}
	})
	switch {
	case err != nil:
		return 0, err
	case n == 0:
		return 0, syscall.ESRCH
	}
	return 0, last
}

// renice sets a thread's nice value, in the host, too, where that can make it
// slower. k.mu is held.
func (t *Task) renice(o *Task, nice int) error {
	nice = min(max(nice, -20), 19)
	if !t.maySchedule(o, unix.CAP_SYS_NICE) {
		return syscall.EPERM
	}
	limit := o.proc.limits[rlimitNice].Cur
	if nice < o.sched.nice && uint64(20-nice) > limit && !t.capable(unix.CAP_SYS_NICE) {
		return syscall.EACCES
	}
	o.sched.nice = nice
	if tid, ok := o.hostThread(); ok {
		_ = unix.Setpriority(unix.PRIO_PROCESS, tid, max(nice, hostNice()))
	}
	return nil
}

const ioprioClassShift = 13

func sysIoprioGet(t *Task, a *Args) (uint64, error) {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	best := -1
	err := t.eachScheduled(a.Int(0), a.Int(1), 1, func(o *Task) {
		if best < 0 || o.sched.ioprio < best {
			best = o.sched.ioprio
		}
	})
	if err == nil && best < 0 {
		err = syscall.ESRCH
	}
	return uint64(best), err
}

func sysIoprioSet(t *Task, a *Args) (uint64, error) {
	prio := a.Int(2)
	switch class, data := prio>>ioprioClassShift, prio&(1<<ioprioClassShift-1); class {
	case 0:
		if data != 0 {
			return 0, syscall.EINVAL
		}
	case 1:
		if !t.capable(unix.CAP_SYS_ADMIN) {
			return 0, syscall.EPERM
		}
	case 2, 3:
	default:
		return 0, syscall.EINVAL
	}
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	var last error
	err := t.eachScheduled(a.Int(0), a.Int(1), 1, func(o *Task) {
		if !t.maySchedule(o, unix.CAP_SYS_NICE) {
			last = syscall.EPERM
			return
		}
		o.sched.ioprio = prio
	})
	if err == nil {
		err = last
	}
	return 0, err
}
