package posix

import (
	"syscall"

	"github.com/hati-os/hati/internal/servers/pipe"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// openNode opens a file of whatever kind that the caller may open.
func (t *Task) openNode(l *located, a *vfs.Attr, flags int) (*Description, error) {
	var f vfs.File
	var err error
	switch a.Type() {
	case unix.S_IFIFO:
		// A pipe, by way of /proc/self/fd, opens itself.
		if f, err = vfs.Open(t.context(), l.node, serverFlags(flags)); errnoOf(err) == syscall.ENXIO {
			return t.openFIFO(l, flags)
		}
	case unix.S_IFSOCK:
		return nil, syscall.ENXIO
	case unix.S_IFCHR, unix.S_IFBLK:
		if l.mount().has(unix.MS_NODEV) {
			return nil, syscall.EACCES
		}
		f, err = t.openDevice(l.node, a, flags)
	default:
		f, err = vfs.Open(t.context(), l.node, l.mount().openFlags(serverFlags(flags), a.IsDir()))
	}
	if err != nil {
		return nil, err
	}
	return t.openedFile(f, l, flags), nil
}

// openedFile makes a description of a file that its server has opened.
func (t *Task) openedFile(f vfs.File, l *located, flags int) *Description {
	d := newDescription(f, l.path(t.k.mounts), flags)
	if d.tty != nil && flags&unix.O_NOCTTY == 0 {
		t.openedTerminal(d)
	}
	return d
}

// openDevice opens a device: its node may know how, else the box's drivers do.
func (t *Task) openDevice(n vfs.Node, a *vfs.Attr, flags int) (vfs.File, error) {
	if o, ok := n.(vfs.Opener); ok {
		return o.Open(t.context(), serverFlags(flags))
	}
	if r := t.k.config.Devices; r != nil {
		return r.Open(t.context(), n, a.Type(), a.Rdev, serverFlags(flags))
	}
	return nil, syscall.ENXIO
}

// openFIFO opens a FIFO and waits for a partner, as fifo(7) has it.
func (t *Task) openFIFO(l *located, flags int) (*Description, error) {
	e, err := t.k.mounts.fifos.Open(l.node, serverFlags(flags))
	if err != nil {
		return nil, err
	}
	if flags&unix.O_NONBLOCK == 0 {
		if err := t.awaitPartner(e); err != nil {
			e.Close()
			return nil, err
		}
	}
	return newDescription(e, l.path(t.k.mounts), flags), nil
}

func (t *Task) awaitPartner(e *pipe.End) error {
	if e.Opened() {
		return nil
	}
	w := vfs.Waiter{
		Mask: vfs.EventsIn | vfs.EventsOut,
		Wake: func(*vfs.Waiter, vfs.Events) { t.wakeUp() },
	}
	e.Openings().Watch(&w)
	defer e.Openings().Unwatch(&w)
	for !e.Opened() {
		if err := t.sleep(noDeadline); err != nil {
			if e.Opened() {
				return nil
			}
			return err
		}
	}
	return nil
}

// openExec finds and opens a program for execve: search permission on the way,
// execute permission at the end (EACCES), a regular file. name is as the guest
// gave it; dirfd and flags are execveat's. It returns the file's attributes, too.
func (t *Task) openExec(dirfd int, name string, flags int) (Path, vfs.File, vfs.Attr, error) {
	l, err := t.lookupAt(dirfd, name, flags)
	if err != nil {
		return Path{}, nil, vfs.Attr{}, err
	}
	if _, ok := l.node.(vfs.Readlinker); ok {
		return Path{}, nil, vfs.Attr{}, syscall.ELOOP
	}
	a, err := l.node.Stat(t.context())
	if err != nil {
		return Path{}, nil, a, err
	}
	if err := t.creds.Load().executable(&a, l.mount()); err != nil {
		return Path{}, nil, a, err
	}
	f, err := vfs.Open(t.context(), l.node, unix.O_RDONLY)
	if err != nil {
		return Path{}, nil, a, err
	}
	return l.path(t.k.mounts), f, a, nil
}
