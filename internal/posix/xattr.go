package posix

import (
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Limits of xattr(7).
const (
	xattrNameMax = 255
	xattrSizeMax = 64 << 10
	xattrListMax = 64 << 10
)

// xattrFile finds the file of a call: by path, or as an open one.
type xattrFile func(t *Task, a *Args) (located, error)

func xattrPath(t *Task, a *Args) (located, error) { return t.lookupArg(unix.AT_FDCWD, a[0], 0) }

func xattrLink(t *Task, a *Args) (located, error) {
	return t.lookupArg(unix.AT_FDCWD, a[0], unix.AT_SYMLINK_NOFOLLOW)
}

func xattrFD(t *Task, a *Args) (located, error) {
	d, err := t.fds.get(a.Int(0))
	if err != nil {
		return located{}, err
	}
	defer d.release()
	return *d.located(), nil
}

func xattrCalls(set, get, list, remove uintptr, find xattrFile) calls {
	on := func(f func(*Task, *Args, *located) (uint64, error)) call {
		return call{blocks: interruptible, fn: func(t *Task, a *Args) (uint64, error) {
			l, err := find(t, a)
			if err != nil {
				return 0, err
			}
			return f(t, a, &l)
		}}
	}
	return calls{set: on(setxattr), get: on(getxattr), list: on(listxattr), remove: on(removexattr)}
}

// xattrName copies a name and checks who may use it.
func (t *Task) xattrName(addr uint64, l *located, write bool) (string, error) {
	name, err := t.copyInString(addr, xattrNameMax+1, syscall.ERANGE)
	if err != nil {
		return "", err
	}
	if name == "" {
		return "", syscall.ERANGE
	}
	if write && l.mount().readOnly.Load() {
		return "", syscall.EROFS
	}
	c := t.creds.Load()
	denied := error(syscall.ENODATA)
	if write {
		denied = syscall.EPERM
	}
	switch space, rest, _ := strings.Cut(name, "."); {
	case space == "trusted":
		if !c.has(unix.CAP_SYS_ADMIN) {
			return "", denied
		}
		return name, nil
	case space == "security":
		if write && name != "security.capability" && !c.has(unix.CAP_SYS_ADMIN) {
			return "", syscall.EPERM
		}
		return name, nil
	case space == "system":
		return name, nil
	case space != "user":
		return "", syscall.EOPNOTSUPP
	case rest == "":
		return "", syscall.EINVAL
	}
	a, err := l.node.Stat(t.context())
	if err != nil {
		return "", err
	}
	if !a.IsRegular() && !a.IsDir() {
		return "", denied
	}
	if write && a.IsDir() && a.Mode&unix.S_ISVTX != 0 && !c.owns(&a) {
		return "", syscall.EPERM
	}
	want := uint32(mayRead)
	if write {
		want = mayWrite
	}
	return name, c.may(&a, want)
}

func setxattr(t *Task, a *Args, l *located) (uint64, error) {
	flags := a.Int(4)
	if flags&^(unix.XATTR_CREATE|unix.XATTR_REPLACE) != 0 {
		return 0, syscall.EINVAL
	}
	if a[3] > xattrSizeMax {
		return 0, syscall.E2BIG
	}
	name, err := t.xattrName(a[1], l, true)
	if err != nil {
		return 0, err
	}
	value := make([]byte, a[3]) // the server may keep it
	if err := t.copyIn(a[2], value); err != nil {
		return 0, err
	}
	if err := vfs.Setxattr(t.context(), l.node, name, value, flags); err != nil {
		return 0, err
	}
	t.changedAttr(l)
	return 0, nil
}

func getxattr(t *Task, a *Args, l *located) (uint64, error) {
	name, err := t.xattrName(a[1], l, false)
	if err != nil {
		return 0, err
	}
	value, err := vfs.Getxattr(t.context(), l.node, name)
	if err != nil {
		return 0, err
	}
	return t.copyOutSized(a[2], a[3], value)
}

// copyOutSized writes b to a buffer of n bytes: ERANGE if it is too small, only
// the size if n is 0.
func (t *Task) copyOutSized(addr, n uint64, b []byte) (uint64, error) {
	switch {
	case n == 0:
		return uint64(len(b)), nil
	case uint64(len(b)) > n:
		return 0, syscall.ERANGE
	}
	return uint64(len(b)), t.copyOut(addr, b)
}

func listxattr(t *Task, a *Args, l *located) (uint64, error) {
	names, err := vfs.Listxattr(t.context(), l.node)
	if err != nil {
		return 0, err
	}
	var b []byte
	for _, name := range names {
		if strings.HasPrefix(name, "trusted.") && !t.creds.Load().has(unix.CAP_SYS_ADMIN) {
			continue
		}
		b = append(append(b, name...), 0)
	}
	if len(b) > xattrListMax {
		return 0, syscall.E2BIG
	}
	return t.copyOutSized(a[1], a[2], b)
}

func removexattr(t *Task, a *Args, l *located) (uint64, error) {
	name, err := t.xattrName(a[1], l, true)
	if err != nil {
		return 0, err
	}
	if err := vfs.Removexattr(t.context(), l.node, name); err != nil {
		return 0, err
	}
	t.changedAttr(l)
	return 0, nil
}
