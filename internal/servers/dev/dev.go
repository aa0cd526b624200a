// Package dev is the file system of /dev: the memory devices, the terminals'
// names, and room for what root adds, as devtmpfs and devpts give them.
//
// Which driver answers for a device number is in a [Registry]. It is asked by
// the nodes of this file system, and POSIX asks it for device nodes that were
// made with mknod elsewhere, so both lead to the same driver. Anyone can
// register one.
//
// The package imports vfs, the tty server and x/sys.
//
// Lock order: tree.mu, then Registry.mu or Pts.names (leaves of this
// package). Devices are opened with no lock held.
package dev

import (
	"context"

	"github.com/hati-os/hati/internal/servers/tty"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Options say what a /dev is made of. The zero Options are usable.
type Options struct {
	// Dev is the st_dev of the file system, PtsDev that of /dev/pts; 0 means 0:5
	// and 0:6.
	Dev, PtsDev uint64
	// Registry holds the drivers; nil makes a new one. New registers the
	// package's own devices in it.
	Registry *Registry
	// TTY opens /dev/tty, the caller's controlling terminal: only POSIX knows
	// which that is. Without it opening gives ENXIO, as for a process that has
	// none.
	TTY Device
	// Console is /dev/console; without it there is no such name.
	Console Device
	// FUSE opens /dev/fuse; without it there is no such name.
	FUSE Device
	// Job is what terminals need of the processes; nil for terminals without.
	Job tty.Job
	// Owner returns the user (fsuid) of the calling process, to whom a terminal
	// that it makes will belong; nil means root.
	Owner func(ctx context.Context) uint32
	// Shm is the directory shown as /dev/shm; nil means an empty one of this
	// file system, on which a tmp server can be mounted.
	Shm vfs.Node
}

// FS is a /dev.
type FS struct {
	tree
	pts  *Pts
	root *dir
}

// New makes a /dev with the usual names in it.
func New(o Options) *FS {
	if o.Dev == 0 {
		o.Dev = unix.Mkdev(0, 5)
	}
	if o.PtsDev == 0 {
		o.PtsDev = unix.Mkdev(0, 6)
	}
	if o.Registry == nil {
		o.Registry = NewRegistry()
	}
	if o.TTY == nil {
		o.TTY = DeviceFunc(noDevice)
	}
	fs := &FS{tree: tree{dev: o.Dev, registry: o.Registry}, pts: newPts(&o)}
	fs.root = fs.newDir(unix.S_IFDIR|0o755, 0, 0)
	fs.root.parent = fs.root

	fs.device("null", 0o666, 0, unix.Mkdev(1, 3), DeviceFunc(openNull))
	fs.device("zero", 0o666, 0, unix.Mkdev(1, 5), DeviceFunc(openZero))
	fs.device("full", 0o666, 0, unix.Mkdev(1, 7), DeviceFunc(openFull))
	fs.device("random", 0o666, 0, unix.Mkdev(1, 8), DeviceFunc(openRandom))
	fs.device("urandom", 0o666, 0, unix.Mkdev(1, 9), DeviceFunc(openRandom))
	fs.device("tty", 0o666, ttyGID, unix.Mkdev(5, 0), o.TTY)
	if o.Console != nil {
		fs.device("console", 0o600, 0, unix.Mkdev(5, 1), o.Console)
	}

	if o.FUSE != nil {
		fs.device("fuse", 0o666, 0, unix.Mkdev(10, 229), o.FUSE)
	}
	fs.node("ptmx", 0o666, ttyGID, ptmxNumber)
	fs.root.put("pts", &fs.pts.root)

	fs.symlink("fd", "/proc/self/fd")
	fs.symlink("stdin", "/proc/self/fd/0")
	fs.symlink("stdout", "/proc/self/fd/1")
	fs.symlink("stderr", "/proc/self/fd/2")

	if o.Shm == nil {
		o.Shm = fs.newDir(unix.S_IFDIR|unix.S_ISVTX|0o777, 0, 0)
	}
	fs.root.put("shm", o.Shm)
	return fs
}

// ttyGID is the group that Linux distributions give terminals to.
const ttyGID = 5

// Root returns the directory.
func (fs *FS) Root(context.Context) (vfs.Node, error) { return fs.root, nil }

// Pts returns the file system of /dev/pts. Its root is there already; mounting
// it besides lets statfs and /proc/mounts tell that it is a devpts, which C
// libraries ask.
func (fs *FS) Pts() *Pts { return fs.pts }

// Registry returns the drivers that device nodes are opened with.
func (fs *FS) Registry() *Registry { return fs.registry }

// SetConsole makes a terminal from elsewhere /dev/console, so that it has a name
// here, whatever its own is. The last one is it.
func (fs *FS) SetConsole(n vfs.Node) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.root.put("console", n)
}

// Statfs answers as devtmpfs, which is a tmpfs (man 2 statfs).
func (fs *FS) Statfs(context.Context) (vfs.Statfs, error) {
	return vfs.Statfs{
		Type: unix.TMPFS_MAGIC, BlockSize: blockSize, NameMax: nameMax,
		Files: 1 << 16, FilesFree: 1<<16 - fs.lastIno.Load()%(1<<16),
		Blocks: maxFile / blockSize * 16, BlocksFree: maxFile / blockSize * 16,
		BlocksAvailable: maxFile / blockSize * 16,
	}, nil
}

// device registers d, unless the number has a driver already, and names it.
func (fs *FS) device(name string, mode, gid uint32, rdev uint64, d Device) {
	_ = fs.registry.Register(unix.S_IFCHR, rdev, d) // EEXIST: the caller's own driver stays
	fs.node(name, mode, gid, rdev)
}

// node names a device.
func (fs *FS) node(name string, mode, gid uint32, rdev uint64) {
	n := &special{inode: fs.newInode(unix.S_IFCHR|mode, 0, gid)}
	n.rdev = rdev
	fs.root.put(name, n)
}

func (fs *FS) symlink(name, target string) {
	n := &symlink{inode: fs.newInode(unix.S_IFLNK|0o777, 0, 0), target: target}
	fs.root.put(name, n)
}
