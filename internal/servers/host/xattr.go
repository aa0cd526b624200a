package host

import (
	"context"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Extended attributes are the host's, with the host's rules for its user. All
// go by paths below /proc/self/fd, which leads to O_PATH descriptors too.

// xattrMax is XATTR_SIZE_MAX and XATTR_LIST_MAX.
const xattrMax = 64 << 10

// Getxattr returns an attribute's value, or ENODATA.
func (n *node) Getxattr(ctx context.Context, name string) ([]byte, error) {
	if n.veiled {
		return nil, syscall.ENODATA
	}
	return n.readXattr(
		func(path string, buf []byte) (int, error) { return unix.Getxattr(path, name, buf) },
		func(path string, buf []byte) (int, error) { return unix.Lgetxattr(path, name, buf) })
}

// Listxattr returns the names of the attributes.
func (n *node) Listxattr(ctx context.Context) ([]string, error) {
	if n.veiled {
		return nil, nil
	}
	list, err := n.readXattr(unix.Listxattr, unix.Llistxattr)
	if len(list) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00"), nil
}

type xattrRead func(path string, buf []byte) (int, error)

// readXattr reads by n's directory when there is no descriptor: ls asks for
// attributes of every file, and a reference to each would cost three calls more.
func (n *node) readXattr(follow, nofollow xattrRead) (value []byte, err error) {
	if n.kind != unix.S_IFDIR && n.open.Load() == nil {
		err = n.at(func(dirfd int, name string) (err error) {
			value, err = nofollow.all(procPath(dirfd) + "/" + name)
			return err
		})
		return value, err
	}
	err = n.withFD(func(fd int) (err error) {
		value, err = follow.all(procPath(fd))
		return err
	})
	return value, err
}

// all reads a value of whatever size.
func (read xattrRead) all(path string) ([]byte, error) {
	for buf := make([]byte, 256); ; {
		n, err := read(path, buf)
		switch {
		case err == unix.EINTR:
		case err == unix.ERANGE && len(buf) < xattrMax:
			buf = make([]byte, xattrMax)
		case err != nil:
			return nil, err
		default:
			return buf[:n:n], nil
		}
	}
}

// Setxattr sets an attribute.
func (n *node) Setxattr(ctx context.Context, name string, value []byte, flags int) error {
	return n.writeXattr(func(path string) error { return unix.Setxattr(path, name, value, flags) })
}

// Removexattr removes an attribute.
func (n *node) Removexattr(ctx context.Context, name string) error {
	return n.writeXattr(func(path string) error { return unix.Removexattr(path, name) })
}

func (n *node) writeXattr(write func(path string) error) error {
	if err := n.fs.writable(); err != nil {
		return err
	}
	if n.veiled {
		return syscall.EACCES
	}
	return n.withFD(func(fd int) error {
		for {
			if err := write(procPath(fd)); err != unix.EINTR {
				return err
			}
		}
	})
}
