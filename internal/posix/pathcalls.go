package posix

import (
	"maps"
	"syscall"

	"golang.org/x/sys/unix"
)

// pathCalls deal in names.
var pathCalls = calls{
	unix.SYS_GETCWD:     {fn: sysGetcwd},
	unix.SYS_CHDIR:      {fn: sysChdir, blocks: interruptible},
	unix.SYS_FCHDIR:     {fn: sysFchdir, blocks: interruptible},
	unix.SYS_CHROOT:     {fn: sysChroot, blocks: interruptible},
	unix.SYS_UMASK:      {fn: sysUmask},
	unix.SYS_GETDENTS:   {fn: sysGetdents, blocks: interruptible},
	unix.SYS_GETDENTS64: {fn: sysGetdents64, blocks: interruptible},
	unix.SYS_MKDIR:      {fn: sysMkdir, blocks: interruptible},
	unix.SYS_MKDIRAT:    {fn: sysMkdirat, blocks: interruptible},
	unix.SYS_MKNOD:      {fn: sysMknod, blocks: interruptible},
	unix.SYS_MKNODAT:    {fn: sysMknodat, blocks: interruptible},
	unix.SYS_RMDIR:      {fn: sysRmdir, blocks: interruptible},
	unix.SYS_UNLINK:     {fn: sysUnlink, blocks: interruptible},
	unix.SYS_UNLINKAT:   {fn: sysUnlinkat, blocks: interruptible},
	unix.SYS_RENAME:     {fn: sysRename, blocks: interruptible},
	unix.SYS_RENAMEAT:   {fn: sysRenameat, blocks: interruptible},
	unix.SYS_RENAMEAT2:  {fn: sysRenameat2, blocks: interruptible},
	unix.SYS_LINK:       {fn: sysLink, blocks: interruptible},
	unix.SYS_LINKAT:     {fn: sysLinkat, blocks: interruptible},
	unix.SYS_SYMLINK:    {fn: sysSymlink, blocks: interruptible},
	unix.SYS_SYMLINKAT:  {fn: sysSymlinkat, blocks: interruptible},
	unix.SYS_READLINK:   {fn: sysReadlink, blocks: interruptible},
	unix.SYS_READLINKAT: {fn: sysReadlinkat, blocks: interruptible},
	// What the configuration has mounted stays (mountcalls.go).
	unix.SYS_MOUNT:             {fn: sysMount, blocks: interruptible},
	unix.SYS_UMOUNT2:           {fn: sysUmount, blocks: interruptible},
	unix.SYS_PIVOT_ROOT:        {fn: sysNotPermitted},
	unix.SYS_NAME_TO_HANDLE_AT: {fn: func(*Task, *Args) (uint64, error) { return 0, syscall.EOPNOTSUPP }},
	unix.SYS_OPEN_BY_HANDLE_AT: {fn: sysNotPermitted},
}

func sysNotPermitted(*Task, *Args) (uint64, error) { return 0, syscall.EPERM }

// attrCalls deal in attributes.
var attrCalls = func() calls {
	c := calls{
		unix.SYS_STAT:       {fn: sysStat, blocks: interruptible},
		unix.SYS_LSTAT:      {fn: sysLstat, blocks: interruptible},
		unix.SYS_FSTAT:      {fn: sysFstat, blocks: interruptible},
		unix.SYS_NEWFSTATAT: {fn: sysNewfstatat, blocks: interruptible},
		unix.SYS_STATX:      {fn: sysStatx, blocks: interruptible},
		unix.SYS_ACCESS:     {fn: sysAccess, blocks: interruptible},
		unix.SYS_FACCESSAT:  {fn: sysFaccessat, blocks: interruptible},
		unix.SYS_FACCESSAT2: {fn: sysFaccessat2, blocks: interruptible},
		unix.SYS_STATFS:     {fn: sysStatfs, blocks: interruptible},
		unix.SYS_FSTATFS:    {fn: sysFstatfs, blocks: interruptible},
		unix.SYS_CHMOD:      {fn: sysChmod, blocks: interruptible},
		unix.SYS_FCHMOD:     {fn: sysFchmod, blocks: interruptible},
		unix.SYS_FCHMODAT:   {fn: sysFchmodat, blocks: interruptible},
		unix.SYS_FCHMODAT2:  {fn: sysFchmodat2, blocks: interruptible},
		unix.SYS_CHOWN:      {fn: sysChown, blocks: interruptible},
		unix.SYS_LCHOWN:     {fn: sysLchown, blocks: interruptible},
		unix.SYS_FCHOWN:     {fn: sysFchown, blocks: interruptible},
		unix.SYS_FCHOWNAT:   {fn: sysFchownat, blocks: interruptible},
		unix.SYS_UTIME:      {fn: sysUtime, blocks: interruptible},
		unix.SYS_UTIMES:     {fn: sysUtimes, blocks: interruptible},
		unix.SYS_FUTIMESAT:  {fn: sysFutimesat, blocks: interruptible},
		unix.SYS_UTIMENSAT:  {fn: sysUtimensat, blocks: interruptible},
	}
	maps.Copy(c, xattrCalls(unix.SYS_SETXATTR, unix.SYS_GETXATTR, unix.SYS_LISTXATTR, unix.SYS_REMOVEXATTR, xattrPath))
	maps.Copy(c, xattrCalls(unix.SYS_LSETXATTR, unix.SYS_LGETXATTR, unix.SYS_LLISTXATTR, unix.SYS_LREMOVEXATTR, xattrLink))
	maps.Copy(c, xattrCalls(unix.SYS_FSETXATTR, unix.SYS_FGETXATTR, unix.SYS_FLISTXATTR, unix.SYS_FREMOVEXATTR, xattrFD))
	return c
}()
