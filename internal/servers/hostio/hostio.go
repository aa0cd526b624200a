// Package hostio makes files of what the host gave hati as standard input,
// output and error: regular files, pipes, sockets, devices and terminals.
//
// Such a descriptor is one of several of an open file description that the
// user's shell holds too, so nothing of the description may change: not
// O_NONBLOCK, not a terminal's modes for longer than the box lives. Pipes and
// terminals are opened anew, which gives a description of hati's own; what
// cannot be is asked for readiness before each transfer. Regular files keep the
// shared offset, since the shell goes on writing where the guest stopped.
//
// The package imports vfs, hostwait, cancel and x/sys. Nothing in it reads ahead: bytes that the
// guest did not ask for stay with the host.
//
// Lock order: node.mu and a Watcher's lock are never held together; below that
// lies the lock of its [vfs.Queue].
package hostio

import (
	"fmt"
	"strconv"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// File is what every file of this package can tell besides [vfs.File].
type File interface {
	vfs.File
	// Flags returns the host description's access mode and O_APPEND, with which
	// the guest's description should begin.
	Flags() int
}

// Open makes a file of each host descriptor, in order: a [Console] of a
// terminal, a [Stream] of what can be waited for, a [Disk] of anything else.
// Descriptors of the same host file share a node, and those of the same
// terminal a [vfs.Line]. The descriptors are duplicated and stay the caller's.
// The caller owns the files; with an error there are none.
func Open(fds ...int) ([]File, error) {
	type identity struct{ dev, ino uint64 }
	nodes := make(map[identity]*node)
	var files []File
	for _, fd := range fds {
		f, err := func() (File, error) {
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil {
				return nil, err
			}
			id := identity{st.Dev, st.Ino}
			if st.Rdev == ptmx {
				id.ino, id.dev = 0, uint64(fd) // masters share an inode and are different terminals
			}
			n := nodes[id]
			if n == nil {
				n = newNode(fd, &st)
				nodes[id] = n
			}
			return n.adopt(fd)
		}()
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return nil, fmt.Errorf("hostio: descriptor %d: %w", fd, err)
		}
		files = append(files, f)
	}
	return files, nil
}

// ptmx is the number of the device that makes a new terminal of every open.
var ptmx = unix.Mkdev(5, 2)

// reopen gives a description of the same file as fd that is hati's own. It
// fails where hati may not open the file by name.
func reopen(fd, flags int) (int, error) {
	return unix.Open("/proc/self/fd/"+strconv.Itoa(fd), flags|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
}

// reopenOwn is reopen for a terminal that belongs to another user (after su or
// sudo): as controlling terminal everyone may open it.
func reopenOwn(fd, flags int) (int, error) {
	own, err := unix.Open("/dev/tty", flags|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return -1, err
	}
	a, err1 := unix.IoctlGetInt(fd, unix.TIOCGDEV)
	b, err2 := unix.IoctlGetInt(own, unix.TIOCGDEV)
	if err1 != nil || err2 != nil || a != b {
		unix.Close(own)
		return -1, unix.ENXIO
	}
	return own, nil
}

func dup(fd int) (int, error) {
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
}

// statusFlags returns what F_GETFL says, as far as it is meant for guests.
func statusFlags(fd int) (int, error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return flags & (unix.O_ACCMODE | unix.O_APPEND), err
}

// counted is a count without the -1 of a failure.
func counted(n int, err error) (int, error) { return max(n, 0), err }
