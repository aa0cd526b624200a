package tmp

import (
	"bytes"
	"context"
	"maps"
	"slices"
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

// Setxattr sets an extended attribute.
func (i *inode) Setxattr(_ context.Context, name string, value []byte, flags int) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	_, ok := i.xattrs[name]
	switch {
	case ok && flags&unix.XATTR_CREATE != 0:
		return syscall.EEXIST
	case !ok && flags&unix.XATTR_REPLACE != 0:
		return syscall.ENODATA
	}
	if i.xattrs == nil {
		i.xattrs = map[string][]byte{}
	}
	i.xattrs[name] = append([]byte{}, value...)
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
	if _, ok := i.xattrs[name]; !ok {
		return syscall.ENODATA
	}
	delete(i.xattrs, name)
	i.ctime = now()
	return nil
}
