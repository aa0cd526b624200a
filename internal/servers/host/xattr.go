package host

import (
	"context"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Extended attributes are the host's, with the host's rules for its user. All
// go by /proc/self/fd, which takes O_PATH descriptors and symbolic links.

// xattrMax is XATTR_SIZE_MAX and XATTR_LIST_MAX.
const xattrMax = 64 << 10

// Getxattr returns an attribute's value, or ENODATA.
func (n *node) Getxattr(ctx context.Context, name string) ([]byte, error) {
	if n.veiled {
		return nil, syscall.ENODATA
	}
	return n.readXattr(func(path string, buf []byte) (int, error) { return unix.Getxattr(path, name, buf) })
}

// Listxattr returns the names of the attributes.
func (n *node) Listxattr(ctx context.Context) ([]string, error) {
	if n.veiled {
		return nil, nil
	}
	list, err := n.readXattr(unix.Listxattr)
	if len(list) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00"), nil
}

func (n *node) readXattr(read func(path string, buf []byte) (int, error)) (value []byte, err error) {
	err = n.withFD(func(fd int) error {
		path := procPath(fd)
		for buf := make([]byte, 256); ; {
			got, err := read(path, buf)
			switch {
			case err == unix.EINTR:
			case err == unix.ERANGE && len(buf) < xattrMax:
				buf = make([]byte, xattrMax)
			case err != nil:
				return err
			default:
				value = buf[:got:got]
				return nil
			}
		}
	})
	return value, err
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
