package strace

import (
	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
)

// Flags of files. Where one flag contains another, the larger stands first.
var openModes = flagSet{other: "O_???", enum: true, names: []flag{
	{unix.O_RDONLY, "O_RDONLY"},
	{unix.O_WRONLY, "O_WRONLY"},
	{unix.O_RDWR, "O_RDWR"},
	{unix.O_ACCMODE, "O_ACCMODE"},
}}

var openFlags = flagSet{other: "O_???", names: []flag{
	{unix.O_CREAT, "O_CREAT"},
	{unix.O_EXCL, "O_EXCL"},
	{unix.O_NOCTTY, "O_NOCTTY"},
	{unix.O_TRUNC, "O_TRUNC"},
	{unix.O_APPEND, "O_APPEND"},
	{unix.O_NONBLOCK, "O_NONBLOCK"},
	{unix.O_SYNC, "O_SYNC"},
	{unix.O_DSYNC, "O_DSYNC"},
	{unix.O_DIRECT, "O_DIRECT"},
	{0o100000, "O_LARGEFILE"},
	{unix.O_NOFOLLOW, "O_NOFOLLOW"},
	{unix.O_NOATIME, "O_NOATIME"},
	{unix.O_CLOEXEC, "O_CLOEXEC"},
	{unix.O_PATH, "O_PATH"},
	{unix.O_TMPFILE, "O_TMPFILE"},
	{unix.O_DIRECTORY, "O_DIRECTORY"},
	{0o20000000, "__O_TMPFILE"},
	{0o20000, "FASYNC"},
}}

var accessModes = flagSet{other: "?_OK", names: []flag{
	{0, "F_OK"},
	{4, "R_OK"},
	{2, "W_OK"},
	{1, "X_OK"},
}}

var atFlags = flagSet{other: "AT_???", names: []flag{
	{unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"},
	{unix.AT_REMOVEDIR, "AT_REMOVEDIR"},
	{unix.AT_SYMLINK_FOLLOW, "AT_SYMLINK_FOLLOW"},
	{unix.AT_NO_AUTOMOUNT, "AT_NO_AUTOMOUNT"},
	{unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"},
	{unix.AT_RECURSIVE, "AT_RECURSIVE"},
}}

var accessFlags = flagSet{other: "AT_???", names: []flag{
	{unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"},
	{unix.AT_EACCESS, "AT_EACCESS"},
	{unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"},
}}

var statxSync = flagSet{other: "AT_STATX_???", enum: true, names: []flag{
	{unix.AT_STATX_SYNC_AS_STAT, "AT_STATX_SYNC_AS_STAT"},
	{unix.AT_STATX_FORCE_SYNC, "AT_STATX_FORCE_SYNC"},
	{unix.AT_STATX_DONT_SYNC, "AT_STATX_DONT_SYNC"},
}}

var statxFlags = flagSet{other: "AT_???", names: []flag{
	{unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"},
	{unix.AT_REMOVEDIR, "AT_REMOVEDIR"},
	{unix.AT_SYMLINK_FOLLOW, "AT_SYMLINK_FOLLOW"},
	{unix.AT_NO_AUTOMOUNT, "AT_NO_AUTOMOUNT"},
	{unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"},
}}

var statxMask = flagSet{other: "STATX_???", names: []flag{
	{unix.STATX_ALL, "STATX_ALL"},
	{unix.STATX_BASIC_STATS, "STATX_BASIC_STATS"},
	{unix.STATX_TYPE, "STATX_TYPE"},
	{unix.STATX_MODE, "STATX_MODE"},
	{unix.STATX_NLINK, "STATX_NLINK"},
	{unix.STATX_UID, "STATX_UID"},
	{unix.STATX_GID, "STATX_GID"},
	{unix.STATX_ATIME, "STATX_ATIME"},
	{unix.STATX_MTIME, "STATX_MTIME"},
	{unix.STATX_CTIME, "STATX_CTIME"},
	{unix.STATX_INO, "STATX_INO"},
	{unix.STATX_SIZE, "STATX_SIZE"},
	{unix.STATX_BLOCKS, "STATX_BLOCKS"},
	{unix.STATX_BTIME, "STATX_BTIME"},
	{unix.STATX_MNT_ID, "STATX_MNT_ID"},
	{unix.STATX_DIOALIGN, "STATX_DIOALIGN"},
	{unix.STATX_MNT_ID_UNIQUE, "STATX_MNT_ID_UNIQUE"},
	{unix.STATX_SUBVOL, "STATX_SUBVOL"},
	{unix.STATX_WRITE_ATOMIC, "STATX_WRITE_ATOMIC"},
	{unix.STATX_DIO_READ_ALIGN, "STATX_DIO_READ_ALIGN"},
}}

var statxAttrs = flagSet{other: "STATX_ATTR_???", names: []flag{
	{unix.STATX_ATTR_COMPRESSED, "STATX_ATTR_COMPRESSED"},
	{unix.STATX_ATTR_IMMUTABLE, "STATX_ATTR_IMMUTABLE"},
	{unix.STATX_ATTR_APPEND, "STATX_ATTR_APPEND"},
	{unix.STATX_ATTR_NODUMP, "STATX_ATTR_NODUMP"},
	{unix.STATX_ATTR_ENCRYPTED, "STATX_ATTR_ENCRYPTED"},
	{unix.STATX_ATTR_AUTOMOUNT, "STATX_ATTR_AUTOMOUNT"},
	{unix.STATX_ATTR_MOUNT_ROOT, "STATX_ATTR_MOUNT_ROOT"},
	{unix.STATX_ATTR_VERITY, "STATX_ATTR_VERITY"},
	{unix.STATX_ATTR_DAX, "STATX_ATTR_DAX"},
}}

var whence = flagSet{other: "SEEK_???", enum: true, names: []flag{
	{0, "SEEK_SET"},
	{1, "SEEK_CUR"},
	{2, "SEEK_END"},
	{3, "SEEK_DATA"},
	{4, "SEEK_HOLE"},
}}

var renameFlags = flagSet{other: "RENAME_??", names: []flag{
	{unix.RENAME_NOREPLACE, "RENAME_NOREPLACE"},
	{unix.RENAME_EXCHANGE, "RENAME_EXCHANGE"},
	{unix.RENAME_WHITEOUT, "RENAME_WHITEOUT"},
}}

var resolveFlags = flagSet{other: "RESOLVE_???", names: []flag{
	{unix.RESOLVE_NO_XDEV, "RESOLVE_NO_XDEV"},
	{unix.RESOLVE_NO_MAGICLINKS, "RESOLVE_NO_MAGICLINKS"},
	{unix.RESOLVE_NO_SYMLINKS, "RESOLVE_NO_SYMLINKS"},
	{unix.RESOLVE_BENEATH, "RESOLVE_BENEATH"},
	{unix.RESOLVE_IN_ROOT, "RESOLVE_IN_ROOT"},
	{abi.RESOLVE_CACHED, "RESOLVE_CACHED"},
}}

var fallocFlags = flagSet{other: "FALLOC_FL_???", names: []flag{
	{unix.FALLOC_FL_KEEP_SIZE, "FALLOC_FL_KEEP_SIZE"},
	{unix.FALLOC_FL_PUNCH_HOLE, "FALLOC_FL_PUNCH_HOLE"},
	{unix.FALLOC_FL_NO_HIDE_STALE, "FALLOC_FL_NO_HIDE_STALE"},
	{unix.FALLOC_FL_COLLAPSE_RANGE, "FALLOC_FL_COLLAPSE_RANGE"},
	{unix.FALLOC_FL_ZERO_RANGE, "FALLOC_FL_ZERO_RANGE"},
	{unix.FALLOC_FL_INSERT_RANGE, "FALLOC_FL_INSERT_RANGE"},
	{unix.FALLOC_FL_UNSHARE_RANGE, "FALLOC_FL_UNSHARE_RANGE"},
}}

var fadvise = flagSet{other: "POSIX_FADV_???", enum: true, names: []flag{
	{0, "POSIX_FADV_NORMAL"},
	{1, "POSIX_FADV_RANDOM"},
	{2, "POSIX_FADV_SEQUENTIAL"},
	{3, "POSIX_FADV_WILLNEED"},
	{4, "POSIX_FADV_DONTNEED"},
	{5, "POSIX_FADV_NOREUSE"},
}}

var flockOps = flagSet{other: "LOCK_???", names: []flag{
	{unix.LOCK_SH, "LOCK_SH"},
	{unix.LOCK_EX, "LOCK_EX"},
	{unix.LOCK_NB, "LOCK_NB"},
	{unix.LOCK_UN, "LOCK_UN"},
}}

var fcntlCmds = flagSet{other: "F_???", enum: true, names: []flag{
	{unix.F_DUPFD, "F_DUPFD"},
	{unix.F_GETFD, "F_GETFD"},
	{unix.F_SETFD, "F_SETFD"},
	{unix.F_GETFL, "F_GETFL"},
	{unix.F_SETFL, "F_SETFL"},
	{unix.F_GETLK, "F_GETLK"},
	{unix.F_SETLK, "F_SETLK"},
	{unix.F_SETLKW, "F_SETLKW"},
	{unix.F_SETOWN, "F_SETOWN"},
	{unix.F_GETOWN, "F_GETOWN"},
	{10, "F_SETSIG"},
	{11, "F_GETSIG"},
	{unix.F_SETOWN_EX, "F_SETOWN_EX"},
	{unix.F_GETOWN_EX, "F_GETOWN_EX"},
	{unix.F_OFD_GETLK, "F_OFD_GETLK"},
	{unix.F_OFD_SETLK, "F_OFD_SETLK"},
	{unix.F_OFD_SETLKW, "F_OFD_SETLKW"},
	{unix.F_SETLEASE, "F_SETLEASE"},
	{unix.F_GETLEASE, "F_GETLEASE"},
	{unix.F_NOTIFY, "F_NOTIFY"},
	{1029, "F_CANCELLK"},
	{unix.F_DUPFD_CLOEXEC, "F_DUPFD_CLOEXEC"},
	{unix.F_SETPIPE_SZ, "F_SETPIPE_SZ"},
	{unix.F_GETPIPE_SZ, "F_GETPIPE_SZ"},
	{unix.F_ADD_SEALS, "F_ADD_SEALS"},
	{unix.F_GET_SEALS, "F_GET_SEALS"},
	{unix.F_GET_RW_HINT, "F_GET_RW_HINT"},
	{unix.F_SET_RW_HINT, "F_SET_RW_HINT"},
	{unix.F_GET_FILE_RW_HINT, "F_GET_FILE_RW_HINT"},
	{unix.F_SET_FILE_RW_HINT, "F_SET_FILE_RW_HINT"},
	{abi.F_GETOWNER_UIDS, "F_GETOWNER_UIDS"},
}}

var fdFlags = flagSet{other: "FD_???", names: []flag{
	{unix.FD_CLOEXEC, "FD_CLOEXEC"},
}}

var lockTypes = flagSet{other: "F_???", enum: true, names: []flag{
	{unix.F_RDLCK, "F_RDLCK"},
	{unix.F_WRLCK, "F_WRLCK"},
	{unix.F_UNLCK, "F_UNLCK"},
	{unix.F_EXLCK, "F_EXLCK"},
	{unix.F_SHLCK, "F_SHLCK"},
}}

var sealFlags = flagSet{other: "F_SEAL_???", names: []flag{
	{unix.F_SEAL_SEAL, "F_SEAL_SEAL"},
	{unix.F_SEAL_SHRINK, "F_SEAL_SHRINK"},
	{unix.F_SEAL_GROW, "F_SEAL_GROW"},
	{unix.F_SEAL_WRITE, "F_SEAL_WRITE"},
	{unix.F_SEAL_FUTURE_WRITE, "F_SEAL_FUTURE_WRITE"},
	{unix.F_SEAL_EXEC, "F_SEAL_EXEC"},
}}

var memfdFlags = flagSet{other: "MFD_???", names: []flag{
	{unix.MFD_CLOEXEC, "MFD_CLOEXEC"},
	{unix.MFD_ALLOW_SEALING, "MFD_ALLOW_SEALING"},
	{unix.MFD_HUGETLB, "MFD_HUGETLB"},
	{unix.MFD_NOEXEC_SEAL, "MFD_NOEXEC_SEAL"},
	{unix.MFD_EXEC, "MFD_EXEC"},
}}

var xattrFlags = flagSet{other: "XATTR_???", names: []flag{
	{unix.XATTR_CREATE, "XATTR_CREATE"},
	{unix.XATTR_REPLACE, "XATTR_REPLACE"},
}}

var spliceFlags = flagSet{other: "SPLICE_F_???", names: []flag{
	{unix.SPLICE_F_MOVE, "SPLICE_F_MOVE"},
	{unix.SPLICE_F_NONBLOCK, "SPLICE_F_NONBLOCK"},
	{unix.SPLICE_F_MORE, "SPLICE_F_MORE"},
	{unix.SPLICE_F_GIFT, "SPLICE_F_GIFT"},
}}

var rwfFlags = flagSet{other: "RWF_???", names: []flag{
	{unix.RWF_HIPRI, "RWF_HIPRI"},
	{unix.RWF_DSYNC, "RWF_DSYNC"},
	{unix.RWF_SYNC, "RWF_SYNC"},
	{unix.RWF_NOWAIT, "RWF_NOWAIT"},
	{unix.RWF_APPEND, "RWF_APPEND"},
	{unix.RWF_NOAPPEND, "RWF_NOAPPEND"},
}}

var syncRangeFlags = flagSet{other: "SYNC_FILE_RANGE_???", names: []flag{
	{unix.SYNC_FILE_RANGE_WAIT_BEFORE, "SYNC_FILE_RANGE_WAIT_BEFORE"},
	{unix.SYNC_FILE_RANGE_WRITE, "SYNC_FILE_RANGE_WRITE"},
	{unix.SYNC_FILE_RANGE_WAIT_AFTER, "SYNC_FILE_RANGE_WAIT_AFTER"},
}}

var closeRangeFlags = flagSet{other: "CLOSE_RANGE_???", names: []flag{
	{unix.CLOSE_RANGE_UNSHARE, "CLOSE_RANGE_UNSHARE"},
	{unix.CLOSE_RANGE_CLOEXEC, "CLOSE_RANGE_CLOEXEC"},
}}

var inotifyInit = flagSet{other: "IN_???", names: []flag{
	{unix.IN_NONBLOCK, "IN_NONBLOCK"},
	{unix.IN_CLOEXEC, "IN_CLOEXEC"},
}}

var inotifyMask = flagSet{other: "IN_???", names: []flag{
	{unix.IN_ACCESS, "IN_ACCESS"},
	{unix.IN_MODIFY, "IN_MODIFY"},
	{unix.IN_ATTRIB, "IN_ATTRIB"},
	{unix.IN_CLOSE_WRITE, "IN_CLOSE_WRITE"},
	{unix.IN_CLOSE_NOWRITE, "IN_CLOSE_NOWRITE"},
	{unix.IN_OPEN, "IN_OPEN"},
	{unix.IN_MOVED_FROM, "IN_MOVED_FROM"},
	{unix.IN_MOVED_TO, "IN_MOVED_TO"},
	{unix.IN_CREATE, "IN_CREATE"},
	{unix.IN_DELETE, "IN_DELETE"},
	{unix.IN_DELETE_SELF, "IN_DELETE_SELF"},
	{unix.IN_MOVE_SELF, "IN_MOVE_SELF"},
	{unix.IN_UNMOUNT, "IN_UNMOUNT"},
	{unix.IN_Q_OVERFLOW, "IN_Q_OVERFLOW"},
	{unix.IN_IGNORED, "IN_IGNORED"},
	{unix.IN_ONLYDIR, "IN_ONLYDIR"},
	{unix.IN_DONT_FOLLOW, "IN_DONT_FOLLOW"},
	{unix.IN_EXCL_UNLINK, "IN_EXCL_UNLINK"},
	{unix.IN_MASK_CREATE, "IN_MASK_CREATE"},
	{unix.IN_MASK_ADD, "IN_MASK_ADD"},
	{unix.IN_ISDIR, "IN_ISDIR"},
	{unix.IN_ONESHOT, "IN_ONESHOT"},
}}

var fsTypes = flagSet{other: "", enum: true, names: []flag{
	{unix.EXT2_SUPER_MAGIC, "EXT2_SUPER_MAGIC"},
	{unix.EXT4_SUPER_MAGIC, "EXT4_SUPER_MAGIC"},
	{unix.TMPFS_MAGIC, "TMPFS_MAGIC"},
	{unix.PROC_SUPER_MAGIC, "PROC_SUPER_MAGIC"},
	{unix.SYSFS_MAGIC, "SYSFS_MAGIC"},
	{unix.DEVPTS_SUPER_MAGIC, "DEVPTS_SUPER_MAGIC"},
	{unix.OVERLAYFS_SUPER_MAGIC, "OVERLAYFS_SUPER_MAGIC"},
	{unix.XFS_SUPER_MAGIC, "XFS_SUPER_MAGIC"},
	{unix.BTRFS_SUPER_MAGIC, "BTRFS_SUPER_MAGIC"},
	{unix.FUSE_SUPER_MAGIC, "FUSE_SUPER_MAGIC"},
	{unix.PIPEFS_MAGIC, "PIPEFS_MAGIC"},
	{unix.SOCKFS_MAGIC, "SOCKFS_MAGIC"},
	{unix.NFS_SUPER_MAGIC, "NFS_SUPER_MAGIC"},
	{unix.RAMFS_MAGIC, "RAMFS_MAGIC"},
	{unix.CGROUP2_SUPER_MAGIC, "CGROUP2_SUPER_MAGIC"},
	{unix.ANON_INODE_FS_MAGIC, "ANON_INODE_FS_MAGIC"},
	{unix.V9FS_MAGIC, "V9FS_MAGIC"},
}}

var stFlags = flagSet{other: "ST_???", names: []flag{
	{0x20, "ST_VALID"},
	{1, "ST_RDONLY"},
	{2, "ST_NOSUID"},
	{4, "ST_NODEV"},
	{8, "ST_NOEXEC"},
	{0x10, "ST_SYNCHRONOUS"},
	{0x40, "ST_MANDLOCK"},
	{0x400, "ST_NOATIME"},
	{0x800, "ST_NODIRATIME"},
	{0x1000, "ST_RELATIME"},
	{0x2000, "ST_NOSYMFOLLOW"},
}}

var mountFlags = flagSet{other: "MS_???", names: []flag{
	{unix.MS_RDONLY, "MS_RDONLY"},
	{unix.MS_NOSUID, "MS_NOSUID"},
	{unix.MS_NODEV, "MS_NODEV"},
	{unix.MS_NOEXEC, "MS_NOEXEC"},
	{unix.MS_SYNCHRONOUS, "MS_SYNCHRONOUS"},
	{unix.MS_REMOUNT, "MS_REMOUNT"},
	{unix.MS_MANDLOCK, "MS_MANDLOCK"},
	{unix.MS_DIRSYNC, "MS_DIRSYNC"},
	{unix.MS_NOATIME, "MS_NOATIME"},
	{unix.MS_NODIRATIME, "MS_NODIRATIME"},
	{unix.MS_BIND, "MS_BIND"},
	{unix.MS_MOVE, "MS_MOVE"},
	{unix.MS_REC, "MS_REC"},
	{unix.MS_SILENT, "MS_SILENT"},
	{unix.MS_POSIXACL, "MS_POSIXACL"},
	{unix.MS_UNBINDABLE, "MS_UNBINDABLE"},
	{unix.MS_PRIVATE, "MS_PRIVATE"},
	{unix.MS_SLAVE, "MS_SLAVE"},
	{unix.MS_SHARED, "MS_SHARED"},
	{unix.MS_RELATIME, "MS_RELATIME"},
	{unix.MS_KERNMOUNT, "MS_KERNMOUNT"},
	{unix.MS_I_VERSION, "MS_I_VERSION"},
	{unix.MS_STRICTATIME, "MS_STRICTATIME"},
	{unix.MS_LAZYTIME, "MS_LAZYTIME"},
}}

var umountFlags = flagSet{other: "MNT_???", names: []flag{
	{unix.MNT_FORCE, "MNT_FORCE"},
	{unix.MNT_DETACH, "MNT_DETACH"},
	{unix.MNT_EXPIRE, "MNT_EXPIRE"},
	{unix.UMOUNT_NOFOLLOW, "UMOUNT_NOFOLLOW"},
}}
