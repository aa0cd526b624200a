package cancel_test

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

var fsContests = []contest{
	{"open", 1, func(t *testing.T) contestant {
		name := t.TempDir() + "/fifo"
		check(unix.Mkfifo(name, 0o600))
		var other int
		return contestant{
			call: func(ctx context.Context) error {
				fd, err := cancel.Open(ctx, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
				if err == nil {
					check(unix.Close(fd))
				}
				return err
			},
			complete: func() { other = must(unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)) },
			settle:   func(bool) { check(unix.Close(other)) },
		}
	}},
	{"flock", 1, func(t *testing.T) contestant {
		name := t.TempDir() + "/lock"
		mine, other := file(t, name), file(t, name)
		check(unix.Flock(other, unix.LOCK_EX))
		return contestant{
			call:     func(ctx context.Context) error { return cancel.Flock(ctx, mine, unix.LOCK_EX) },
			complete: func() { check(unix.Flock(other, unix.LOCK_UN)) },
			settle: func(done bool) {
				if err := unix.Flock(other, unix.LOCK_EX|unix.LOCK_NB); err != nil != done {
					t.Fatalf("done %v, the other one's lock: %v", done, err)
				}
				if done {
					check(unix.Flock(mine, unix.LOCK_UN))
					check(unix.Flock(other, unix.LOCK_EX))
				}
			},
		}
	}},
	{"fcntl", 1, func(t *testing.T) contestant {
		name := t.TempDir() + "/lock"
		mine, other := file(t, name), file(t, name)
		set := func(fd int, cmd int, kind int16) error {
			return unix.FcntlFlock(uintptr(fd), cmd, &unix.Flock_t{Type: kind})
		}
		check(set(other, unix.F_OFD_SETLK, unix.F_WRLCK))
		return contestant{
			call: func(ctx context.Context) error {
				return cancel.FcntlFlock(ctx, uintptr(mine), unix.F_OFD_SETLKW, &unix.Flock_t{Type: unix.F_WRLCK})
			},
			complete: func() { check(set(other, unix.F_OFD_SETLK, unix.F_UNLCK)) },
			settle: func(done bool) {
				if err := set(other, unix.F_OFD_SETLK, unix.F_WRLCK); err != nil != done {
					t.Fatalf("done %v, the other one's lock: %v", done, err)
				}
				if done {
					check(set(mine, unix.F_OFD_SETLK, unix.F_UNLCK))
					check(set(other, unix.F_OFD_SETLK, unix.F_WRLCK))
				}
			},
		}
	}},
	{"openat2", 1, func(t *testing.T) contestant {
		name := t.TempDir() + "/fifo"
		check(unix.Mkfifo(name, 0o600))
		how := unix.OpenHow{Flags: unix.O_WRONLY | unix.O_CLOEXEC}
		var other int
		return contestant{
			call: func(ctx context.Context) error {
				fd, err := cancel.Openat2(ctx, unix.AT_FDCWD, name, &how)
				if err == unix.ENOSYS {
					t.Skip(err)
				}
				if err == nil {
					check(unix.Close(fd))
				}
				return err
			},
			complete: func() { other = must(unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)) },
			settle:   func(bool) { check(unix.Close(other)) },
		}
	}},
	{"lock", 1, func(t *testing.T) contestant {
		name := t.TempDir() + "/lock"
		other := file(t, name)
		check(unix.Flock(other, unix.LOCK_EX))
		return contestant{
			call: func(ctx context.Context) error {
				l, err := cancel.Lock(ctx, name)
				if err == nil {
					check(l.Unlock())
				}
				return err
			},
			complete: func() { check(unix.Flock(other, unix.LOCK_UN)) },
			// Either way nobody has it now.
			settle: func(bool) { check(unix.Flock(other, unix.LOCK_EX|unix.LOCK_NB)) },
		}
	}},
}
