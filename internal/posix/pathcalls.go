package posix

import "golang.org/x/sys/unix"

var pathCalls = calls{
	unix.SYS_GETCWD: {fn: sysGetcwd},
	unix.SYS_CHDIR:  {fn: sysChdir, blocks: interruptible},
	unix.SYS_FCHDIR: {fn: sysFchdir, blocks: interruptible},
	unix.SYS_CHROOT: {fn: sysChroot, blocks: interruptible},
	unix.SYS_UMASK:  {fn: sysUmask},
}

var attrCalls = calls{}
