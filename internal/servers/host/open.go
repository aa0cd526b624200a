package host

import (
	"context"
	"strconv"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// openFlags are the flags that reach the host. O_APPEND is done write by write,
// and O_DIRECT would ask for aligned buffers, which ours are not.
const openFlags = unix.O_ACCMODE | unix.O_SYNC | unix.O_DSYNC | unix.O_NOATIME

// opened is one open file of a node, in the node's list.
type opened struct {
	handle
	node       *node
	prev, next *opened
}

// attach puts o, whose descriptor is fd, into n's list.
func (n *node) attach(o *opened, fd int) {
	o.adopt(fd, 1)
	o.node = n
	n.mu.Lock()
	if o.next = n.files; o.next != nil {
		o.next.prev = o
	}
	n.files = o
	n.open.Store(&o.handle)
	n.mu.Unlock()
}

// detach takes o out of its node's list and closes it.
func (o *opened) detach() error {
	n := o.node
	var a *anchor
	n.mu.Lock()
	if o.next != nil {
		o.next.prev = o.prev
	}
	if o.prev != nil {
		o.prev.next = o.next
	} else if n.files = o.next; n.files != nil {
		n.open.Store(&n.files.handle)
	} else {
		n.open.Store(nil)
		a, n.anchor = n.anchor, nil
	}
	n.mu.Unlock()
	if a != nil {
		n.letGo(a)
	}
	return o.put()
}

// Node returns what was opened.
func (o *opened) Node() vfs.Node { return o.node.self }

// Open opens a regular file.
func (r *regular) Open(ctx context.Context, flags int) (vfs.File, error) {
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		if err := r.fs.writable(); err != nil {
			return nil, err
		}
	}
	fd, err := r.openFD(ctx, flags)
	if err != nil {
		return nil, err
	}
	return r.newFile(fd, flags), nil
}

func (r *regular) newFile(fd, flags int) *file {
	f := &file{access: flags & unix.O_ACCMODE}
	r.attach(&f.opened, fd)
	return f
}

func (r *regular) openFD(ctx context.Context, flags int) (int, error) {
	fd := -1
	err := r.at(func(dirfd int, name string) (err error) {
		fd, err = r.openName(ctx, dirfd, name, flags)
		return err
	})
	if err != syscall.ENOENT && err != syscall.ESTALE {
		return fd, err
	}
	// The name has gone, or never was: go by what is open, if something is.
	r.mu.Lock()
	h, mine := r.open.Load(), r.anchor != nil
	if mine {
		h = &r.anchor.handle
	}
	var old int
	ok := h != nil
	if ok {
		old, ok = h.get()
	}
	r.mu.Unlock()
	if !ok {
		return -1, err
	}
	defer h.put()
	fd, err = r.fs.reopen(ctx, old, flags)
	if err == syscall.EACCES && mine {
		// The maker of a nameless file may open it whatever its mode.
		return unix.FcntlInt(uintptr(old), unix.F_DUPFD_CLOEXEC, 0)
	}
	return fd, err
}

// openName opens name in dirfd if it still is r. Whatever somebody put in r's
// place meanwhile, opening it does not wait.
func (r *regular) openName(ctx context.Context, dirfd int, name string, flags int) (int, error) {
	const careful = unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_NOCTTY
	fd, err := r.fs.open(ctx, dirfd, name, flags&openFlags|careful, 0)
	switch err {
	case nil:
	case syscall.EPERM:
		if flags&unix.O_APPEND != 0 { // an append-only file wants to be told
			fd, err = r.fs.open(ctx, dirfd, name, flags&openFlags|careful|unix.O_APPEND, 0)
		}
		if err == syscall.EPERM && flags&unix.O_NOATIME != 0 {
			// POSIX allowed it; the host's user does not own the file.
			return r.openName(ctx, dirfd, name, flags&^unix.O_NOATIME)
		}
		if err != nil {
			return -1, err
		}
	case syscall.EAGAIN:
		// A lease of a host process, which breaks if we wait. That can be done
		// safely by a reference to the file.
		return r.openWaiting(ctx, dirfd, name, flags)
	case syscall.ELOOP, syscall.EISDIR, syscall.ENXIO, syscall.ENODEV:
		return -1, syscall.ESTALE // no regular file any more
	default:
		return -1, err
	}
	return r.checked(fd)
}

func (r *regular) openWaiting(ctx context.Context, dirfd int, name string, flags int) (int, error) {
	ref, err := r.fs.openPath(dirfd, name, 0)
	if err != nil {
		return -1, err
	}
	if ref, err = r.checked(ref); err != nil {
		return -1, err
	}
	defer unix.Close(ref)
	fd, err := r.fs.reopen(ctx, ref, flags)
	return fd, vfs.Waits(err)
}

// reopen opens the regular file behind fd anew.
func (fs *FS) reopen(ctx context.Context, fd, flags int) (int, error) {
	return fs.open(ctx, unix.AT_FDCWD, procPath(fd), flags&openFlags, 0)
}

// procPath is a path to the file behind fd: the way to do by descriptor what
// the host has no call for, or none that takes O_PATH descriptors.
func procPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// Open opens a directory for reading.
func (d *dir) Open(ctx context.Context, flags int) (vfs.File, error) {
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		return nil, syscall.EISDIR
	}
	ref, err := d.acquire()
	if err != nil {
		return nil, err
	}
	defer d.slot.put()
	fd, err := d.fs.open(ctx, ref, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	f := &dirFile{}
	d.attach(&f.opened, fd)
	return f, nil
}
