package tmp

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Getxattr returns an extended attribute.
func (i *inode) Getxattr(_ context.Context, name string) ([]byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	v, ok := i.xattrs[name]
	if !ok {
		return nil, syscall.ENODATA
	}
	return bytes.Clone(v), nil
}

// xattrMax bounds the names and values of one file: they are in the server's own
// memory.
const xattrMax = 128 << 10

// Setxattr sets an extended attribute; ENOSPC when the file has too much.
func (i *inode) Setxattr(_ context.Context, name string, value []byte, flags int) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	old, ok := i.xattrs[name]
	size := i.xattrSize + len(name) + len(value)
	if ok {
		size -= len(name) + len(old)
	}
	switch {
	case ok && flags&unix.XATTR_CREATE != 0:
		return syscall.EEXIST
	case !ok && flags&unix.XATTR_REPLACE != 0:
		return syscall.ENODATA
	case size > xattrMax:
		return syscall.ENOSPC
	}
	if i.xattrs == nil {
		i.xattrs = map[string][]byte{}
	}
	i.xattrs[strings.Clone(name)] = append([]byte{}, value...)
	i.xattrSize = size
	i.ctime = now()
	return nil
}

// Listxattr returns the names, sorted.
func (i *inode) Listxattr(context.Context) ([]string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Sorted(maps.Keys(i.xattrs)), nil
}

// Removexattr removes an extended attribute.
func (i *inode) Removexattr(_ context.Context, name string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	old, ok := i.xattrs[name]
	if !ok {
		return syscall.ENODATA
	}
	delete(i.xattrs, name)
	i.xattrSize -= len(name) + len(old)
	i.ctime = now()
	return nil
}
