package posix

import (
	"context"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/hati-os/hati/internal/servers/fuse"
	"github.com/hati-os/hati/internal/servers/proc"
	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Who has CAP_SYS_ADMIN in a box may mount FUSE daemons, file systems in memory,
// /proc, and directories a second time. What the box's configuration has mounted
// can be covered but not taken away, and not be seen past: as in a user
// namespace, where the mounts of the parent are locked.

func sysMount(t *Task, a *Args) (uint64, error) {
	l, err := t.lookupArg(unix.AT_FDCWD, a[1], 0)
	if err != nil {
		return 0, err
	}
	if !t.capable(unix.CAP_SYS_ADMIN) {
		return 0, syscall.EPERM
	}
	flags := a[3]
	if flags>>16&0xffff == 0xc0ed { // MS_MGC_VAL
		flags &= 0xffff
	}
	switch {
	case flags&unix.MS_REMOUNT != 0:
		return 0, t.remount(&l, flags, a[4])
	case flags&unix.MS_BIND != 0:
		from, err := t.mountSource(a[0])
		if err != nil {
			return 0, err
		}
		return 0, t.bind(&from, &l, flags)
	case flags&propagation != 0:
		return 0, propagate(&l, flags)
	case flags&unix.MS_MOVE != 0:
		from, err := t.mountSource(a[0])
		if err != nil {
			return 0, err
		}
		return 0, t.move(&from, &l)
	}
	kind, err := t.optionalString(a[2])
	if err != nil {
		return 0, err
	}
	source, err := t.optionalString(a[0])
	if err != nil {
		return 0, err
	}
	options, err := t.mountOptions(a[4])
	if err != nil {
		return 0, err
	}
	return 0, t.mountNew(&l, source, kind, flags, options)
}

// mountSource finds the place that is to be mounted elsewhere.
func (t *Task) mountSource(addr uint64) (located, error) {
	s, err := t.optionalString(addr)
	if err != nil {
		return located{}, err
	}
	if s == "" {
		return located{}, syscall.EINVAL
	}
	return t.lookupAt(unix.AT_FDCWD, s, 0)
}

// optionalString copies a string that may be missing.
func (t *Task) optionalString(addr uint64) (string, error) {
	if addr == 0 {
		return "", nil
	}
	return t.copyInString(addr, 4096, syscall.EINVAL)
}

// mountOptions copies mount(2)'s last argument.
func (t *Task) mountOptions(addr uint64) ([]string, error) {
	s, err := t.optionalString(addr)
	if err != nil || s == "" {
		return nil, err
	}
	return slices.DeleteFunc(strings.Split(s, ","), func(o string) bool { return o == "" }), nil
}

// mountNew mounts a new file system.
func (t *Task) mountNew(l *located, source, kind string, flags uint64, options []string) error {
	s := MountSpec{Source: source, Type: kind}
	extra := ""
	var err error
	switch base, _, _ := strings.Cut(kind, "."); base {
	case "fuse", "fuseblk":
		s.FS, extra, err = t.mountFUSE(base, options)
	case "tmpfs", "ramfs":
		if strings.Contains(kind, ".") {
			return syscall.ENODEV
		}
		s.FS, extra, err = t.mountTmpfs(options)
	case "proc":
		s.FS = proc.New(procView{t.k})
	case "":
		return syscall.EINVAL
	default:
		return syscall.ENODEV
	}
	if err != nil {
		return err
	}
	node, err := s.FS.Root(context.Background())
	if err != nil {
		return err
	}
	_, isDir := node.(vfs.Dir)
	if isDir != (l.d != nil && l.d.dir != nil) {
		if u, ok := s.FS.(vfs.Unmounter); ok {
			u.Unmount(true)
		}
		return syscall.ENOTDIR
	}
	return t.mountAt(l, node, s, flags, extra)
}

// mountAt mounts at l.
func (t *Task) mountAt(l *located, node vfs.Node, s MountSpec, flags uint64, extra string) error {
	p, err := t.mountPoint(l)
	if err != nil {
		return err
	}
	s.Path, s.ReadOnly = p, s.ReadOnly || flags&unix.MS_RDONLY != 0
	m := t.k.mounts.add(node, s)
	m.setFlags(flags)
	m.extra = extra
	return nil
}

// mountPoint returns l's place as seen from the box's root.
func (t *Task) mountPoint(l *located) (string, error) {
	d, name := l.d, ""
	if d == nil {
		d, name = l.parent, l.name
	} else if d.dir == nil && d != d.mount.root {
		return "", syscall.ENOTDIR // an open file: it has no place of its own
	}
	if d.place.Load().deleted || d.mount.detached.Load() {
		return "", syscall.ENOENT
	}
	if d == d.mount.root && name == "" {
		if d.mount.place() == "/" {
			return "", syscall.EBUSY
		}
		return d.mount.place(), nil
	}
	s, _ := d.from(nil)
	return path.Join(s, name), nil
}

// mountFUSE connects the daemon that has opened /dev/fuse.
func (t *Task) mountFUSE(kind string, options []string) (vfs.FS, string, error) {
	o := fuse.Options{Log: t.k.config.Log}
	fd, have := -1, 0
	for _, s := range options {
		key, value, _ := strings.Cut(s, "=")
		number := func(base int, bit int) uint32 {
			v, err := strconv.ParseUint(value, base, 32)
			if err != nil {
				have |= 1 << 31
			}
			have |= bit
			return uint32(v)
		}
		switch key {
		case "fd":
			fd = int(number(10, 1))
		case "rootmode":
			o.RootMode = number(8, 2)
		case "user_id":
			o.UID = number(10, 4)
		case "group_id":
			o.GID = number(10, 8)
		case "max_read":
			o.MaxRead = int(number(10, 0))
		case "blksize":
			if o.Blksize = number(10, 0); kind != "fuseblk" {
				return nil, "", syscall.EINVAL
			}
		case "default_permissions":
			o.DefaultPermissions = true
		case "allow_other":
			o.AllowOther = true
		case "subtype":
		default:
			return nil, "", syscall.EINVAL
		}
	}
	if have != 15 {
		return nil, "", syscall.EINVAL
	}
	d, err := t.fds.get(fd)
	if err != nil {
		return nil, "", syscall.EINVAL
	}
	defer d.release()
	dev, ok := d.file.(*fuse.Channel)
	if !ok {
		return nil, "", syscall.EINVAL
	}
	fs, err := dev.Mount(o)
	if err != nil {
		return nil, "", err
	}
	extra := ",user_id=" + utoa(uint64(o.UID)) + ",group_id=" + utoa(uint64(o.GID))
	if o.DefaultPermissions {
		extra += ",default_permissions"
	}
	if o.AllowOther {
		extra += ",allow_other"
	}
	if o.MaxRead != 0 {
		extra += ",max_read=" + utoa(uint64(o.MaxRead))
	}
	if o.Blksize != 0 && o.Blksize != 512 {
		extra += ",blksize=" + utoa(uint64(o.Blksize))
	}
	return fs, extra, nil
}

// mountTmpfs makes a file system in memory.
func (t *Task) mountTmpfs(options []string) (vfs.FS, string, error) {
	o := tmp.Options{}
	extra := ""
	for _, s := range options {
		key, value, _ := strings.Cut(s, "=")
		switch key {
		case "size":
			n, err := parseSize(value)
			if err != nil {
				return nil, "", syscall.EINVAL
			}
			o.Size = n
			extra += ",size=" + utoa(uint64(n)>>10) + "k"
		case "mode":
			m, err := strconv.ParseUint(value, 8, 32)
			if err != nil {
				return nil, "", syscall.EINVAL
			}
			o.Mode = uint32(m) & 0o7777
			extra += ",mode=" + value
		default:
			if !tmpfsIgnored(key) {
				return nil, "", syscall.EINVAL
			}
		}
	}
	return tmp.New(o), extra, nil
}

// tmpfsIgnored reports whether an option is about bounds and places that memory
// here has not.
func tmpfsIgnored(key string) bool {
	switch key {
	case "nr_inodes", "nr_blocks", "huge", "mpol", "inode32", "inode64", "noswap":
		return true
	}
	return false
}

// parseSize reads a size as tmpfs takes it: bytes, or with k, m or g.
func parseSize(s string) (int64, error) {
	shift := 0
	if i := len(s) - 1; i > 0 {
		switch s[i] | 0x20 {
		case 'k':
			shift = 10
		case 'm':
			shift = 20
		case 'g':
			shift = 30
		}
		if shift > 0 {
			s = s[:i]
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 1<<62>>shift {
		return 0, syscall.EINVAL
	}
	return n << shift, nil
}
