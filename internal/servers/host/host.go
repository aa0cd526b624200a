// Package host serves a directory of the host, or a single file, as a [vfs.FS],
// read-only or read-write, and never anything outside of it.
//
// It may import vfs, cancel, the standard library and golang.org/x/sys only.
//
// # Confinement
//
// Every host call names one component, relative to the descriptor of a
// directory that was reached in the same way, and never follows a symbolic link
// or an automatic one; so a link or a "..", also one that another process puts
// in place while we walk, cannot lead out. A directory's descriptor is used only
// after device and inode number have been found to be those that the lookup
// saw. Symbolic links are text here; POSIX follows them. As with a bind mount, a
// directory that a host process moves out of the tree stays usable for those who
// already hold it, and cannot be found by a new lookup.
//
// Only regular files and directories are ever opened. FIFOs, sockets and
// devices can be seen, made and removed, but opening one is ENXIO.
//
// # Nodes and descriptors
//
// A node is known by device, inode number and type, and held in a table by weak
// pointers, so the same file yields the same node for as long as somebody holds
// it. It remembers one directory and name that lead to it and no descriptor,
// except that directories in use keep an O_PATH descriptor in a bounded cache.
// When the name has gone (a host process took it), a node goes on through any
// open file of it; without one the answer is ENOENT, or ESTALE when the name now
// leads to another file. ESTALE means: walk the path again.
//
// Numbers of devices, files and owners are the host's. Locks are POSIX's; those
// of files that can be written are the host's, too (see lock.go).
// What the host has no descriptor call for goes by /proc/self/fd.
//
// # Lock order
//
// FS.names, then slot.mu, then cache.mu; dirFile.mu, then FS.names; node.mu and
// the table's shards are leaves, file.posMu holds host calls only. FS.names is held exclusively by renames, so that a node
// never lacks a name that leads to it, and shared by those who correct a name.
package host

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Options say how a directory is served.
type Options struct {
	// ReadOnly refuses every change with EROFS.
	ReadOnly bool

	// Hidden are absolute paths in the served tree. A hidden directory looks
	// empty; any other hidden file looks absent (ENOENT). They cannot be made,
	// removed or renamed by way of this FS, nor can the directories that lead
	// to them be renamed (EACCES, EBUSY). What exists at the start is also
	// recognised by its identity, by whatever way it is reached.
	Hidden []string

	// MaxDirs bounds the directory descriptors kept between calls. 0 means a
	// sixteenth of RLIMIT_NOFILE, at least 64 and at most 1000.
	MaxDirs int
}

// FS is a served directory, or a single file. It implements [vfs.FS] and
// [vfs.Statfser]; its methods may be called concurrently.
type FS struct {
	readOnly bool
	root     *dir     // nil when a file is served
	file     *regular // the file, if one is served
	pin      opened   // keeps the file at hand, whatever becomes of its name
	table    *table
	dirs     *cache
	veils    *secrets // nil when nothing is hidden
	kept     []*dir   // directories on the way to hidden files

	names sync.RWMutex  // see the package comment
	moves atomic.Uint64 // renames done; changes only under names

	closed sync.Once
}

// What each kind of node and file can do.
var (
	_ interface {
		vfs.Dir
		vfs.Opener
		vfs.Maker
		vfs.MakeOpener
		vfs.Tmpfiler
		vfs.Remover
		vfs.Renamer
		vfs.Linker
		vfs.AttrSetter
		vfs.Xattrer
	} = (*dir)(nil)
	_ interface {
		vfs.Opener
		vfs.AttrSetter
		vfs.Xattrer
	} = (*regular)(nil)
	_ vfs.Readlinker = (*symlink)(nil)
	_ interface {
		vfs.Reader
		vfs.Writer
		vfs.Appender
		vfs.Seeker
		vfs.Syncer
		vfs.Allocator
		vfs.RangeCopier
		vfs.Mapper
		vfs.AttrSetter
		vfs.LockSharer
	} = (*file)(nil)
	_ vfs.DirReader = (*dirFile)(nil)
	_ vfs.Statfser  = (*FS)(nil)
)

// New serves the directory path, or the regular file path: then that file alone,
// as a bind mount would. Symbolic links in path are followed. Close the FS when
// it is no longer used.
func New(path string, o Options) (*FS, error) {
	fs, err := serve(path, o)
	if err != nil {
		return nil, fmt.Errorf("serve %s of the host: %w", path, err)
	}
	return fs, nil
}

func serve(path string, o Options) (*FS, error) {
	fd, err := hostOpen(context.Background(), unix.AT_FDCWD, path, unix.O_PATH, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Statx_t
	if err := statx(fd, "", unix.AT_EMPTY_PATH, &st); err != nil {
		unix.Close(fd)
		return nil, err
	}
	if o.MaxDirs <= 0 {
		o.MaxDirs = defaultDirs()
	}
	fs := &FS{readOnly: o.ReadOnly, table: newTable(), dirs: &cache{max: o.MaxDirs}}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		fs.root = fs.table.intern(fs, place{}, &st, false).self.(*dir)
		fs.root.slot.adopt(fd, 1)
	case unix.S_IFREG:
		fs.file = fs.table.intern(fs, place{}, &st, false).self.(*regular)
		fs.file.attach(&fs.pin, fd)
	default:
		unix.Close(fd)
		return nil, fmt.Errorf("neither a directory nor a regular file: %w", syscall.EINVAL)
	}
	if len(o.Hidden) == 0 {
		return fs, nil
	}
	if fs.root == nil {
		err = fmt.Errorf("nothing to hide in a file: %w", syscall.EINVAL)
	} else {
		err = fs.hide(path, o.Hidden)
	}
	if err != nil {
		fs.Close()
		return nil, err
	}
	return fs, nil
}

// Root returns what is served.
func (fs *FS) Root(ctx context.Context) (vfs.Node, error) {
	if fs.root == nil {
		return fs.file, nil
	}
	return fs.root, nil
}

// top is the handle of what is served.
func (fs *FS) top() *handle {
	if fs.root == nil {
		return &fs.pin.handle
	}
	return &fs.root.slot.handle
}

// Statfs describes the host file system that holds the root (statfs(2)).
func (fs *FS) Statfs(ctx context.Context) (vfs.Statfs, error) {
	h := fs.top()
	fd, ok := h.get()
	if !ok {
		return vfs.Statfs{}, syscall.ESTALE
	}
	defer h.put()
	var s unix.Statfs_t
	err := hostSpace(ctx, func() error { return unix.Fstatfs(fd, &s) })
	if err != nil {
		return vfs.Statfs{}, err
	}
	flags := uint64(s.Flags)
	if fs.readOnly {
		flags |= unix.ST_RDONLY
	}
	return vfs.Statfs{
		Type: uint32(s.Type), BlockSize: uint32(s.Bsize),
		Blocks: s.Blocks, BlocksFree: s.Bfree, BlocksAvailable: s.Bavail,
		Files: s.Files, FilesFree: s.Ffree,
		NameMax: uint32(s.Namelen), Flags: flags,
		FSID: uint64(uint32(s.Fsid.Val[0])) | uint64(uint32(s.Fsid.Val[1]))<<32,
	}, nil
}

// Close gives the directory descriptors back. Open files stay usable; every
// other use of the FS fails with ESTALE from then on.
func (fs *FS) Close() error {
	fs.closed.Do(func() {
		fs.dirs.close()
		if fs.root != nil {
			fs.root.slot.put()
		} else {
			fs.pin.detach()
		}
	})
	return nil
}

// writable is nil when changes are allowed.
func (fs *FS) writable() error {
	if fs.readOnly {
		return syscall.EROFS
	}
	return nil
}

// defaultDirs is the bound of the directory cache.
func defaultDirs() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 64
	}
	return int(min(max(l.Cur/16, 64), 1000))
}
