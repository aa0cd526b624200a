// Package confine takes rights away from the calling process, for good: which
// files it may open (Landlock) and which host calls it may make (seccomp): those of
// a file server or a network's, or all but new sockets. What it has open already
// stays usable.
//
// It imports the standard library and golang.org/x/sys. It has no locks and no
// state; all but FilesOfThread concern all threads of the process and everything
// that it starts afterwards.
package confine

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrUnsupported: the host's kernel, or the way in which this program was built,
// does not allow it.
var ErrUnsupported = errors.New("not supported")

// NoNewPrivileges makes all threads, and what they start, unable to gain rights by
// exec (no_new_privs).
func NoNewPrivileges() error {
	return everyThread(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
}

// everyThread makes a call on all threads of the process. With cgo there are
// threads that Go does not know.
func everyThread(nr, a, b, c uintptr) error {
	_, _, e := syscall.AllThreadsSyscall(nr, a, b, c)
	if e == syscall.ENOTSUP {
		return fmt.Errorf("%w: this program was built with cgo (build it with CGO_ENABLED=0)", ErrUnsupported)
	}
	if e != 0 {
		return e
	}
	return nil
}
