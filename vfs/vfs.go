// Package vfs is the contract between the POSIX server and the servers behind
// it: file systems, devices and everything else that a guest reaches through a
// path or a descriptor. A server implements [FS], [Node] and [File] and as many
// of the optional interfaces as it has abilities; what it lacks answers with
// the errno that Linux gives for a file system without that ability (the
// functions in ops.go know which).
//
// The package imports nothing of hati. POSIX knows servers only through it.
//
// # Conventions
//
// Context first: every method that may take time takes a ctx and gives up when
// ctx is done. A method that gives up returns the ctx's cause
// ([context.Cause]) and must have had no effect; a method that had an effect
// (bytes moved, a file made) returns its result, even when ctx ended meanwhile.
// Callers do not wait for a server that does not give up: they leave, with
// [ErrInDoubt], and what the call makes later is closed, unlocked, released.
//
// Errors are [syscall.Errno] values, possibly wrapped; anything else becomes
// EIO. End of file is (0, nil), as in POSIX, not io.EOF.
//
// All methods may be called concurrently. A server does its own locking and
// never calls back into POSIX while it holds a lock.
//
// Permissions are checked by POSIX from [Attr], before the server is asked.
package vfs

import (
	"context"
	"syscall"
)

// FS is a mounted server.
type FS interface {
	// Root returns the directory (or single file) that a mount shows.
	Root(ctx context.Context) (Node, error)
}

// Statfser is an FS that knows its own size (statfs(2)).
type Statfser interface {
	Statfs(ctx context.Context) (Statfs, error)
}

// Node is a file as a name leads to it: an inode. Nodes are comparable, and as
// long as one is held, every way to the same file yields an equal Node: POSIX
// keys locks, mounts, watches and sockets by it.
type Node interface {
	// Stat returns the attributes. It works on a file without a name, too.
	Stat(ctx context.Context) (Attr, error)
}

// Dir is a Node that is a directory. Lookup is asked for single names only:
// never "", ".", ".." or one with a slash.
type Dir interface {
	Node
	// Lookup returns the Node behind name, or ENOENT.
	Lookup(ctx context.Context, name string) (Node, error)
}

// Opener is a Node that can be opened. POSIX has checked permissions; O_CREAT,
// O_EXCL and O_NOFOLLOW are already done, O_TRUNC follows as a SetAttr.
// flags carries the access mode and O_APPEND, O_DIRECT, O_SYNC, O_NOATIME,
// O_NONBLOCK for servers that care.
type Opener interface {
	Open(ctx context.Context, flags int) (File, error)
}

// Readlinker is a symbolic link.
type Readlinker interface {
	Readlink(ctx context.Context) (string, error)
}

// Maker is a Dir in which files can be made.
type Maker interface {
	// Make creates name, of the kind that o.Mode's type bits say, and fails with
	// EEXIST when there is one.
	Make(ctx context.Context, name string, o MakeOptions) (Node, error)
}

// MakeOpener is a Maker that makes a regular file and opens it in one step, so
// that a mode without write permission does not stop the creator's descriptor.
type MakeOpener interface {
	MakeOpen(ctx context.Context, name string, o MakeOptions, flags int) (Node, File, error)
}

// Tmpfiler is a Dir that can hold files without a name (O_TMPFILE). Link gives
// one a name later.
type Tmpfiler interface {
	Tmpfile(ctx context.Context, o MakeOptions) (Node, error)
}

// Remover is a Dir from which names can be removed. With dir it is rmdir(2)
// (ENOTDIR, ENOTEMPTY), without it unlink(2) (EISDIR). Open files stay usable.
type Remover interface {
	Remove(ctx context.Context, name string, dir bool) error
}

// Renamer is a Dir whose names can move, in it or to another Dir of the same
// FS. flags are renameat2(2)'s (RENAME_NOREPLACE, RENAME_EXCHANGE).
type Renamer interface {
	Rename(ctx context.Context, name string, to Dir, toName string, flags uint) error
}

// Linker is a Dir that takes a second name for target, a Node of the same FS.
type Linker interface {
	Link(ctx context.Context, target Node, name string) error
}

// AttrSetter is a Node, or an open File, whose attributes can be changed.
type AttrSetter interface {
	SetAttr(ctx context.Context, s SetAttr) error
}

// Xattrer is a Node with extended attributes. A missing one is ENODATA. flags
// are setxattr(2)'s (XATTR_CREATE, XATTR_REPLACE).
type Xattrer interface {
	Getxattr(ctx context.Context, name string) ([]byte, error)
	Setxattr(ctx context.Context, name string, value []byte, flags int) error
	Listxattr(ctx context.Context) ([]string, error)
	Removexattr(ctx context.Context, name string) error
}

// File is an open file description's server side. POSIX keeps the offset and
// the flags. Close is called once, when the last descriptor and mapping of it
// are gone; it must not block and gets no ctx, since close always succeeds in
// freeing the number. An error from it is what close(2) may report.
type File interface {
	// Node returns what was opened.
	Node() Node
	Close() error
}

// Reader is a File that can be read. At most len(p) bytes from off on; streams
// ignore off. (0, nil) is the end of the file.
type Reader interface {
	Read(ctx context.Context, p []byte, off int64) (int, error)
}

// Writer is a File that can be written.
type Writer interface {
	Write(ctx context.Context, p []byte, off int64) (int, error)
}

// Appender is a Writer that can write at the end, whatever others do
// (O_APPEND). end is the file's offset after the bytes written.
type Appender interface {
	Append(ctx context.Context, p []byte) (n int, end int64, err error)
}

// Streamer marks a File without offsets when IsStream is true: lseek, pread
// and pwrite fail with ESPIPE.
type Streamer interface {
	IsStream() bool
}

// DirReader is an open directory. It returns up to max entries that follow
// cookie; 0 is the start and each entry's Next continues after it. Cookies stay
// valid while names come and go: an entry that stays is returned exactly once.
// "." and ".." are not returned; cookies 1 and 2 are reserved for them, so Next
// is 3 or more. An empty result is the end.
type DirReader interface {
	ReadDir(ctx context.Context, cookie uint64, max int) ([]Dirent, error)
}

// Seeker is a File that knows its holes. It answers lseek's SEEK_DATA, or with
// hole SEEK_HOLE, from off on; ENXIO past the end.
type Seeker interface {
	SeekData(ctx context.Context, off int64, hole bool) (int64, error)
}

// Syncer is a File with something to flush (fsync, fdatasync).
type Syncer interface {
	Sync(ctx context.Context, dataOnly bool) error
}

// Flusher is a File that wants to hear of every close(2) of a descriptor, not
// only of the last (FUSE's FLUSH). Its error is close's result.
type Flusher interface {
	Flush(ctx context.Context) error
}

// Allocator is a File with fallocate(2); mode holds the FALLOC_FL_ bits.
type Allocator interface {
	Allocate(ctx context.Context, mode uint32, off, length int64) error
}

// RangeCopier is a File that can copy to another one of the same server
// (copy_file_range); EXDEV or EOPNOTSUPP make POSIX copy by itself.
type RangeCopier interface {
	CopyRange(ctx context.Context, off int64, to File, toOff int64, n int64) (int64, error)
}

// Ioctler is a File with ioctls of its own; ENOTTY for unknown commands.
type Ioctler interface {
	Ioctl(ctx context.Context, cmd uint32, arg IoctlArg) (uintptr, error)
}

// IoctlArg is ioctl's third argument: a value, or an address in the caller's
// memory that can be read and written.
type IoctlArg interface {
	Value() uint64
	// ReadAt and WriteAt copy from and to the caller's memory at Value()+off;
	// EFAULT when it is not there.
	ReadAt(p []byte, off int) error
	WriteAt(p []byte, off int) error
}

// Pollable is a File that is not always ready. Its Read, Write and Append never
// wait: they return EAGAIN, and POSIX waits for readiness and tries again, so
// a cancelled wait cannot have had an effect. A File that is not Pollable counts
// as always ready, and its methods may wait for ctx themselves.
type Pollable interface {
	// Poll returns those events of mask that hold now. EventErr and EventHup are
	// returned whether asked for or not.
	Poll(mask Events) Events
	// Watch has w called when events of w.Mask may have come; Unwatch ends that.
	// Embed a [Queue] to have both.
	Watch(w *Waiter)
	Unwatch(w *Waiter)
}

// Mapper is a File that can be mapped by mmap(2) without copying: it names a
// host descriptor whose pages are the file's.
type Mapper interface {
	// Map returns the object behind the file, for private or shared mapping with
	// the access in prot (PROT_ bits). It may change the file's storage to make
	// that possible, but not the bytes. ENODEV says that it cannot be mapped
	// after all; then POSIX maps a copy where that will do.
	Map(ctx context.Context, prot int, shared bool) (Mapping, error)
}

// Mapping is a host memory object. The descriptor belongs to the server; it is
// valid until Release, and given only to processes of this box. Offset is where
// the file begins in it. Stores is not nil for a shared map that can be written
// and whose server does not see by itself what is stored there.
type Mapping struct {
	FD      int
	Offset  int64
	Release func()
	Stores  Stores
}

// Stores is what a server hears of a shared map that can be written. The File
// stays open until Close. A range with n < 0 has no end. The waits of these
// methods only the caller's end may end: munmap(2) and msync(2) know no EINTR.
type Stores interface {
	// WriteBack has what was stored in a range up to now reach the file, and
	// waits for that (munmap, exit).
	WriteBack(ctx context.Context, off, n int64) error
	// Sync is WriteBack, and then what fdatasync does (msync).
	Sync(ctx context.Context, off, n int64) error
	// Close: the map is gone. What has not been written back will be; nobody waits
	// for that.
	Close()
}

// Locker is a File or a Node whose locks are kept by its server, for files
// shared beyond this box. Without it, or when it says ENOSYS, POSIX keeps them.
// SetLock waits for ctx if wait is set, else fails with EAGAIN. Unlocking at
// close goes by the file that is closed.
type Locker interface {
	GetLock(ctx context.Context, l Lock) (Lock, error)
	SetLock(ctx context.Context, l Lock, wait bool) error
}

// LockSharer is a File whose locks POSIX keeps, as it does for any file, and
// which others beyond this box see and have, too.
type LockSharer interface {
	// SharedLocks returns who keeps the locks of both sides, nil if there is only
	// one side. A lock that the box's own rules allow is set there as well, and
	// not held before; waiting and PIDs within the box are left to POSIX. It must
	// not wait for anything unless SetLock is told to. It is only asked for locks
	// beyond the box; those have no PID that means something in it: 0, or -1 for
	// a lock of an open file description.
	SharedLocks() Locker
}

// Poller is a File that is not Pollable, because reading and writing wait at its
// server, but whose server can be asked whether they would (poll(2)).
type Poller interface {
	// PollNow asks for those events of mask that hold now; EventErr and EventHup
	// are returned whether asked for or not.
	PollNow(ctx context.Context, mask Events) (Events, error)
	// Pollable returns what to watch after that; nil for a file that is always
	// ready.
	Pollable() Pollable
}

// Accesser is a Node whose server wants to be asked by access(2) and chdir(2),
// since its files' attributes do not tell (Attr.OwnAccess). mask is access(2)'s.
type Accesser interface {
	Access(ctx context.Context, mask uint32) error
}

// Messenger is a File, a stream, each of whose reads and writes moves one message.
// A splice moves one as a whole, and a write that fails with EPIPE raises no SIGPIPE.
type Messenger interface {
	Message() bool
}

// Unmounter is an FS that hears of its end: its last mount is gone and nothing
// of it is open. With force nothing is to be waited for.
type Unmounter interface {
	Unmount(force bool)
}

// Jumper is a magic link of /proc: following it does not go by a path. The
// result is POSIX's own (what it put into the proc server).
type Jumper interface {
	Jump(ctx context.Context) (any, error)
}

// Attr is what stat(2) tells. Mode holds the type and permission bits.
type Attr struct {
	Dev, Ino, Rdev             uint64
	Mode                       uint32
	Nlink, UID, GID            uint32
	Blksize                    uint32
	Size, Blocks               int64 // Blocks counts 512 bytes
	Atime, Mtime, Ctime, Btime syscall.Timespec
	// OwnAccess: the server decides itself who may do what with the file. POSIX
	// then does not look at Mode for it, except that a program must be executable
	// for somebody.
	OwnAccess bool
}

// Type returns the S_IFMT bits of the mode.
func (a *Attr) Type() uint32 { return a.Mode & syscall.S_IFMT }

// IsDir reports whether the file is a directory.
func (a *Attr) IsDir() bool { return a.Type() == syscall.S_IFDIR }

// IsRegular reports whether the file is a regular one.
func (a *Attr) IsRegular() bool { return a.Type() == syscall.S_IFREG }

// IsSymlink reports whether the file is a symbolic link.
func (a *Attr) IsSymlink() bool { return a.Type() == syscall.S_IFLNK }

// MakeOptions describe a file to be made. Mode has the type bits and the final
// permissions (the umask is already applied); Target is a symbolic link's text.
type MakeOptions struct {
	Mode     uint32
	UID, GID uint32
	Rdev     uint64
	Target   string
}

// Valid bits of [SetAttr].
const (
	SetMode = 1 << iota
	SetUID
	SetGID
	SetSize
	SetAtime
	SetMtime
)

// SetAttr is a change of attributes; Valid says which fields count. All or
// nothing is applied; ctime changes by itself. POSIX has done the permission
// checks and the clearing of set-id bits.
type SetAttr struct {
	Valid        uint32
	Mode         uint32 // permission bits only
	UID, GID     uint32
	Size         int64
	Atime, Mtime syscall.Timespec
}

// Dirent is a directory entry. Type is the S_IFMT bits, 0 when unknown.
type Dirent struct {
	Name string
	Ino  uint64
	Type uint32
	Next uint64
}

// Statfs is what statfs(2) tells.
type Statfs struct {
	Type                                uint32
	BlockSize                           uint32
	Blocks, BlocksFree, BlocksAvailable uint64
	Files, FilesFree                    uint64
	NameMax                             uint32
	Flags                               uint64
	FSID                                uint64
}

// Lock is a byte-range lock (or with Flock a whole-file one). Owner is opaque
// and unique to the lock owner: a process or an open file description. End is
// inclusive; the largest int64 is the end of the file.
type Lock struct {
	Type       int16 // F_RDLCK, F_WRLCK, F_UNLCK
	Flock      bool
	Owner      uint64
	PID        int32
	Start, End int64
}
