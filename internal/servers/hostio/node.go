package hostio

import (
	"context"
	"slices"
	"sync"
	"syscall"

	"github.com/hati-os/hati/internal/servers/hostwait"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// class is how a host file is served.
type class int

const (
	disk    class = iota // has offsets, or cannot be waited for
	pipe                 // a pipe or FIFO
	socket               // no second description can be had
	device               // likewise: opening some devices makes another one
	console              // a terminal
)

// node is a host file. It lives as long as files of it are open; afterwards it
// still knows its last attributes.
type node struct {
	class    class
	terminal *terminal // of a console
	excl     bool      // no new description must be made: each open is another file

	mu     sync.Mutex
	open   []opened // by the files that are open: the node keeps no pipe's end alive
	last   vfs.Attr
	rights [2]bool // to read, to write
}

// opened is the descriptor of an open file.
type opened struct{ fd, mode int }

// newNode makes the node of what fd refers to.
func newNode(fd int, st *unix.Stat_t) *node {
	n := &node{class: classOf(fd, st), excl: st.Rdev == ptmx, last: attrOf(st)}
	if n.class == console {
		n.terminal = newTerminal(n, fd)
	}
	return n
}

func classOf(fd int, st *unix.Stat_t) class {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFIFO:
		return pipe
	case unix.S_IFSOCK:
		return socket
	case unix.S_IFCHR:
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			return console
		}
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFBLK:
		return disk
	}
	if hostwait.Waitable(fd) {
		return device
	}
	return disk
}

// adopt makes a File of a descriptor that hati was given.
func (n *node) adopt(fd int) (File, error) {
	flags, err := statusFlags(fd)
	if err != nil {
		return nil, err
	}
	mode := flags & unix.O_ACCMODE
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rights[0] = n.rights[0] || mode != unix.O_WRONLY
	n.rights[1] = n.rights[1] || mode != unix.O_RDONLY
	return n.make(fd, flags, false)
}

// make makes a File with its own descriptor; the caller holds n.mu. A fresh one
// must not share fd's offset.
func (n *node) make(fd, flags int, fresh bool) (File, error) {
	mode := flags & unix.O_ACCMODE
	var own int
	var err error
	mine := false // the description is hati's and non-blocking
	switch {
	case n.class == disk && fresh:
		own, err = reopen(fd, flags)
	case n.class == console && !n.excl, n.class == pipe && nameless(fd):
		own, err = reopen(fd, mode|unix.O_NONBLOCK)
		if err != nil && n.class == console {
			own, err = reopenOwn(fd, mode|unix.O_NONBLOCK)
		}
		if err == nil {
			mine = true
			break
		}
		fallthrough
	default:
		own, err = dup(fd)
	}
	if err != nil {
		return nil, err
	}
	n.open = append(n.open, opened{own, mode})
	if n.class == disk {
		return &Disk{n: n, fd: own, flags: flags}, nil
	}
	s := newStream(n, own, flags, mine)
	if n.class == console {
		return &Console{s}, nil
	}
	return s, nil
}

// nameless reports whether a pipe came from pipe(2). A FIFO opened anew would
// not know that its writers have been and gone.
func nameless(fd int) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(fd, &st) == nil && st.Type == unix.PIPEFS_MAGIC
}

// close ends the file that has fd.
func (n *node) close(fd int) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.open) == 1 {
		if a, err := n.stat(); err == nil {
			n.last = a
		}
		if n.terminal != nil {
			n.terminal.restore(fd)
		}
	}
	n.open = slices.DeleteFunc(n.open, func(o opened) bool { return o.fd == fd })
	return unix.Close(fd)
}

// find returns a descriptor, if possible with one of the access modes; the
// caller holds n.mu.
func (n *node) find(modes ...int) (fd int, ok bool) {
	for _, m := range modes {
		for _, o := range n.open {
			if o.mode == m {
				return o.fd, true
			}
		}
	}
	return -1, false
}

// any returns some descriptor; the caller holds n.mu.
func (n *node) any() int {
	if len(n.open) == 0 {
		return -1
	}
	return n.open[0].fd
}

func (n *node) stat() (vfs.Attr, error) {
	fd := n.any()
	if fd < 0 {
		return n.last, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return vfs.Attr{}, err
	}
	return attrOf(&st), nil
}

// Stat tells the host's attributes.
func (n *node) Stat(context.Context) (vfs.Attr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stat()
}

// Open opens the file again, as through /proc/self/fd/N, with no more rights
// than hati was given: EACCES. A socket is ENXIO.
func (n *node) Open(_ context.Context, flags int) (vfs.File, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	mode := flags & unix.O_ACCMODE
	if n.class == socket || mode > unix.O_RDWR {
		return nil, syscall.ENXIO
	}
	if mode != unix.O_WRONLY && !n.rights[0] || mode != unix.O_RDONLY && !n.rights[1] {
		return nil, syscall.EACCES
	}
	return n.again(flags)
}

// again makes another file with the given flags; the caller holds n.mu.
func (n *node) again(flags int) (vfs.File, error) {
	// The right descriptor, should it have to be shared.
	fd, ok := n.find(flags&unix.O_ACCMODE, unix.O_RDWR)
	if !ok {
		fd = n.any()
	}
	if fd < 0 {
		return nil, syscall.ENXIO
	}
	f, err := n.make(fd, flags&(unix.O_ACCMODE|unix.O_APPEND|unix.O_SYNC|unix.O_DSYNC), true)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// SetAttr passes on sizes and times, which whoever may write may set. Owner and
// permissions are the host user's: EPERM.
func (n *node) SetAttr(_ context.Context, s vfs.SetAttr) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	fd, ok := n.find(unix.O_WRONLY, unix.O_RDWR)
	switch {
	case s.Valid&(vfs.SetMode|vfs.SetUID|vfs.SetGID) != 0, !ok:
		return syscall.EPERM
	case s.Valid&vfs.SetSize != 0 && n.class != disk:
		return syscall.EINVAL
	}
	if s.Valid&vfs.SetSize != 0 {
		if _, err := hostwait.Retry(func() (int, error) { return 0, unix.Ftruncate(fd, s.Size) }); err != nil {
			return err
		}
	}
	return setTimes(fd, s)
}

func attrOf(st *unix.Stat_t) vfs.Attr {
	return vfs.Attr{Dev: st.Dev, Ino: st.Ino, Rdev: st.Rdev, Mode: st.Mode, Nlink: uint32(st.Nlink),
		UID: st.Uid, GID: st.Gid, Blksize: uint32(st.Blksize), Size: st.Size, Blocks: st.Blocks,
		Atime: syscall.Timespec(st.Atim), Mtime: syscall.Timespec(st.Mtim), Ctime: syscall.Timespec(st.Ctim)}
}
