package mountcatch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const device = "/dev/fuse"

// pollFile is what daemons on go-fuse open in their mount point once they have
// mounted: not for what is in it, so one that is there will do.
const pollFile = ".go-fuse-epoll-hack"

// Mount is what a program has mounted.
type Mount struct {
	Source  string
	Type    string   // "fuse", "fuseblk", with the subtype after a dot
	Flags   uint64   // MS_ bits
	Options []string // those for the file system, but for fd
}

// Catcher waits for the mount of the programs that were started with its filter.
type Catcher struct {
	dir      string
	channel  *os.File
	listener *os.File
	flags    uint64 // of the mount
	mounted  chan Mount
	once     sync.Once
}

// New makes the catcher of a mount at dir, an existing directory. channel
// becomes the descriptor of the program that mounts; the Catcher closes it.
//
// It is called from a function that [Go] runs, and programs that this function
// starts afterwards are caught. The error is [errors.ErrUnsupported] where the
// kernel or the sandbox around this process does not allow it.
func New(dir string, channel *os.File) (*Catcher, error) {
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return start(dir, channel, err != nil)
}

// start is New; opens says whether the device is one that this user cannot open,
// so that opening it is to be caught, too.
func start(dir string, channel *os.File, opens bool) (*Catcher, error) {
	c := &Catcher{dir: dir, channel: channel, mounted: make(chan Mount, 1)}
	fd, err := install(filter(opens))
	if err != nil {
		return nil, fmt.Errorf("mountcatch: installing the filter: %w: %w", errors.ErrUnsupported, err)
	}
	c.listener = os.NewFile(uintptr(fd), "seccomp listener")
	go c.serve()
	return c, nil
}

// Mounted gives what was mounted, once, and is closed when nothing can be any
// more: all programs have ended, or Close was called.
func (c *Catcher) Mounted() <-chan Mount { return c.mounted }

// Close ends the catching, and removes the directory: mounts of programs that
// still run fail (ENOSYS).
func (c *Catcher) Close() {
	c.listener.Close()
	_ = os.Remove(filepath.Join(c.dir, pollFile)) // nobody to tell
	_ = os.Remove(c.dir)
}

// serve answers until the last program has ended.
func (c *Catcher) serve() {
	defer c.once.Do(c.done)
	raw, err := c.listener.SyscallConn()
	if err != nil {
		return
	}
	for {
		var n notif
		var e error
		err := raw.Read(func(fd uintptr) bool {
			if !pending(int(fd)) {
				return false
			}
			e = receive(int(fd), &n)
			return true
		})
		switch {
		case err != nil: // closed
			return
		case e == unix.ENOENT || e == unix.EINTR:
			continue // who asked is dead
		case e != nil:
			c.listener.Close()
			return
		}
		var r response
		_ = raw.Control(func(fd uintptr) {
			r = c.answer(int(fd), &n)
			r.id = n.id
			_ = respond(int(fd), &r) // or who asked is dead
		})
	}
}

// done lets go of the channel, so that its other end hears when the program has
// closed it.
func (c *Catcher) done() {
	close(c.mounted)
	c.channel.Close()
}

var asItIs = response{flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}

func failed(e syscall.Errno) response { return response{errno: -int32(e)} }

// answer decides about a call.
func (c *Catcher) answer(fd int, n *notif) response {
	switch n.nr {
	case unix.SYS_MOUNT:
		return c.mount(fd, n)
	case unix.SYS_UMOUNT2:
		if name, err := readString(n.pid, n.args[0]); err == nil && c.is(n.pid, name) {
			return response{}
		}
		return asItIs
	}
	return c.open(fd, n)
}

// mount answers the mount of a FUSE file system at the directory.
func (c *Catcher) mount(fd int, n *notif) response {
	const other = unix.MS_BIND | unix.MS_MOVE | unix.MS_SHARED | unix.MS_PRIVATE | unix.MS_SLAVE | unix.MS_UNBINDABLE
	if n.args[3]&unix.MS_REMOUNT != 0 {
		return c.remount(n)
	}
	kind, err := readString(n.pid, n.args[2])
	if base, _, _ := strings.Cut(kind, "."); err != nil || n.args[3]&other != 0 || base != "fuse" && base != "fuseblk" {
		return asItIs
	}
	m := Mount{Type: kind, Flags: n.args[3]}
	m.Source, _ = readString(n.pid, n.args[0]) // may be NULL
	options, err := readString(n.pid, n.args[4])
	if err != nil {
		return failed(unix.EINVAL)
	}
	at := -1
	for _, o := range strings.Split(options, ",") {
		if v, ok := strings.CutPrefix(o, "fd="); ok {
			if at, err = strconv.Atoi(v); err != nil {
				return failed(unix.EINVAL)
			}
		} else if o != "" {
			m.Options = append(m.Options, o)
		}
	}
	target, err := readString(n.pid, n.args[1])
	if err != nil || at < 0 || !c.is(n.pid, target) {
		return failed(unix.EINVAL)
	}
	if _, err := give(fd, n.id, c.channel, at); err != nil {
		return failed(unix.EBUSY) // a second mount: the channel is gone
	}
	if f, err := os.OpenFile(filepath.Join(c.dir, pollFile), os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		f.Close()
	}
	c.flags = m.Flags
	c.mounted <- m
	c.once.Do(c.done)
	return response{}
}

// remount answers a remount of the directory, which programs do to have Linux
// forget names: there are none to forget. Flags are not changed by it.
func (c *Catcher) remount(n *notif) response {
	target, err := readString(n.pid, n.args[1])
	if err != nil || !c.is(n.pid, target) {
		return asItIs
	}
	if n.args[3]&unix.MS_RDONLY != c.flags&unix.MS_RDONLY {
		return failed(unix.EINVAL)
	}
	return response{}
}

// open gives the channel to who opens a /dev/fuse that is not there, or not for
// this user.
func (c *Catcher) open(fd int, n *notif) response {
	at, flags := n.args[0], n.args[1]
	if n.nr == unix.SYS_OPENAT {
		at, flags = n.args[1], n.args[2]
	}
	if flags&unix.O_ACCMODE != unix.O_RDWR {
		return asItIs
	}
	if name, err := readString(n.pid, at); err != nil || name != device {
		return asItIs
	}
	got, err := give(fd, n.id, c.channel, -1)
	if err != nil {
		return asItIs
	}
	return response{val: int64(got)}
}

// is reports whether the program's name for a file means the directory.
func (c *Catcher) is(pid uint32, name string) bool {
	if !filepath.IsAbs(name) {
		name = fmt.Sprintf("/proc/%d/cwd/%s", pid, name)
	} else if filepath.Clean(name) == c.dir {
		return true
	}
	a, err := os.Stat(name)
	if err != nil {
		return false
	}
	b, err := os.Stat(c.dir)
	return err == nil && os.SameFile(a, b)
}

// readString copies a string out of a program.
func readString(pid uint32, addr uint64) (string, error) {
	const page = 4096
	var s []byte
	var buf [page]byte
	for len(s) < 2*page {
		// Not past the page's end: the next may not be there.
		b := buf[:page-addr%page]
		n, err := unix.ProcessVMReadv(int(pid),
			[]unix.Iovec{{Base: &b[0], Len: uint64(len(b))}}, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(b)}}, 0)
		if err != nil {
			return "", err
		}
		for i, ch := range b[:n] {
			if ch == 0 {
				return string(append(s, b[:i]...)), nil
			}
		}
		s = append(s, b[:n]...)
		addr += uint64(n)
	}
	return "", io.ErrShortBuffer
}
