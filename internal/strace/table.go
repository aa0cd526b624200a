package strace

import "golang.org/x/sys/unix"

// signatures says of each system call what its arguments are. Those that
// programs rarely make are left out.
var signatures = merge(fileCalls, descriptorCalls, memoryCalls, processCalls, signalCalls, timeCalls, socketCalls)

type calls map[int]signature

func merge(tables ...calls) (all [512]signature) {
	for _, t := range tables {
		for nr, s := range t {
			if s.ret == nil {
				s.ret = decimal
			}
			all[nr] = s
		}
	}
	return all
}

// args is a call whose result is a number; args0 one without arguments.
func args(k ...kind) signature { return signature{args: k, ret: decimal} }

// addr is a call whose result is an address.
func addr(k ...kind) signature { return signature{args: k, ret: hexadecimal} }

var fileCalls = calls{
	unix.SYS_OPEN:         args(pathArg, openArg, createMode(1)),
	unix.SYS_OPENAT:       args(dirfdArg, pathArg, openArg, createMode(2)),
	unix.SYS_OPENAT2:      args(dirfdArg, pathArg, openHow, ulongArg),
	unix.SYS_CREAT:        args(pathArg, modeArg),
	unix.SYS_STAT:         args(pathArg, outStat),
	unix.SYS_LSTAT:        args(pathArg, outStat),
	unix.SYS_FSTAT:        args(fdArg, outStat),
	unix.SYS_NEWFSTATAT:   args(dirfdArg, pathArg, outStat, of32(&atFlags)),
	unix.SYS_STATX:        args(dirfdArg, pathArg, statxFlagsArg, of32(&statxMask), outStatx),
	unix.SYS_STATFS:       args(pathArg, outStatfs),
	unix.SYS_FSTATFS:      args(fdArg, outStatfs),
	unix.SYS_ACCESS:       args(pathArg, of32(&accessModes)),
	unix.SYS_FACCESSAT:    args(dirfdArg, pathArg, of32(&accessModes)),
	unix.SYS_FACCESSAT2:   args(dirfdArg, pathArg, of32(&accessModes), of32(&accessFlags)),
	unix.SYS_GETCWD:       args(outPath, ulongArg),
	unix.SYS_CHDIR:        args(pathArg),
	unix.SYS_FCHDIR:       args(fdArg),
	unix.SYS_CHROOT:       args(pathArg),
	unix.SYS_MKDIR:        args(pathArg, modeArg),
	unix.SYS_MKDIRAT:      args(dirfdArg, pathArg, modeArg),
	unix.SYS_RMDIR:        args(pathArg),
	unix.SYS_MKNOD:        args(pathArg, fileMode, nodDev(1)),
	unix.SYS_MKNODAT:      args(dirfdArg, pathArg, fileMode, nodDev(2)),
	unix.SYS_UNLINK:       args(pathArg),
	unix.SYS_UNLINKAT:     args(dirfdArg, pathArg, of32(&atFlags)),
	unix.SYS_RENAME:       args(pathArg, pathArg),
	unix.SYS_RENAMEAT:     args(dirfdArg, pathArg, dirfdArg, pathArg),
	unix.SYS_RENAMEAT2:    args(dirfdArg, pathArg, dirfdArg, pathArg, of32(&renameFlags)),
	unix.SYS_LINK:         args(pathArg, pathArg),
	unix.SYS_LINKAT:       args(dirfdArg, pathArg, dirfdArg, pathArg, of32(&atFlags)),
	unix.SYS_SYMLINK:      args(pathArg, pathArg),
	unix.SYS_SYMLINKAT:    args(pathArg, dirfdArg, pathArg),
	unix.SYS_READLINK:     args(pathArg, outString, ulongArg),
	unix.SYS_READLINKAT:   args(dirfdArg, pathArg, outString, ulongArg),
	unix.SYS_CHMOD:        args(pathArg, modeArg),
	unix.SYS_FCHMOD:       args(fdArg, modeArg),
	unix.SYS_FCHMODAT:     args(dirfdArg, pathArg, modeArg),
	unix.SYS_FCHMODAT2:    args(dirfdArg, pathArg, modeArg, of32(&atFlags)),
	unix.SYS_CHOWN:        args(pathArg, idArg, idArg),
	unix.SYS_LCHOWN:       args(pathArg, idArg, idArg),
	unix.SYS_FCHOWN:       args(fdArg, idArg, idArg),
	unix.SYS_FCHOWNAT:     args(dirfdArg, pathArg, idArg, idArg, of32(&atFlags)),
	unix.SYS_TRUNCATE:     args(pathArg, longArg),
	unix.SYS_FTRUNCATE:    args(fdArg, longArg),
	unix.SYS_FALLOCATE:    args(fdArg, of32(&fallocFlags), longArg, longArg),
	unix.SYS_FADVISE64:    args(fdArg, longArg, longArg, of32(&fadvise)),
	unix.SYS_UTIME:        args(pathArg, ptrArg),
	unix.SYS_UTIMES:       args(pathArg, inTimevals),
	unix.SYS_FUTIMESAT:    args(dirfdArg, pathArg, inTimevals),
	unix.SYS_UTIMENSAT:    args(dirfdArg, pathArg, inTimes, of32(&atFlags)),
	unix.SYS_UMASK:        {args: []kind{modeArg}, ret: octal},
	unix.SYS_GETDENTS64:   args(fdArg, outDirents, uintArg),
	unix.SYS_GETDENTS:     args(fdArg, ptrArg, uintArg),
	unix.SYS_SETXATTR:     args(pathArg, strArg, inBuf(3), ulongArg, of32(&xattrFlags)),
	unix.SYS_LSETXATTR:    args(pathArg, strArg, inBuf(3), ulongArg, of32(&xattrFlags)),
	unix.SYS_FSETXATTR:    args(fdArg, strArg, inBuf(3), ulongArg, of32(&xattrFlags)),
	unix.SYS_GETXATTR:     args(pathArg, strArg, outXattr, ulongArg),
	unix.SYS_LGETXATTR:    args(pathArg, strArg, outXattr, ulongArg),
	unix.SYS_FGETXATTR:    args(fdArg, strArg, outXattr, ulongArg),
	unix.SYS_LISTXATTR:    args(pathArg, outXattr, ulongArg),
	unix.SYS_LLISTXATTR:   args(pathArg, outXattr, ulongArg),
	unix.SYS_FLISTXATTR:   args(fdArg, outXattr, ulongArg),
	unix.SYS_REMOVEXATTR:  args(pathArg, strArg),
	unix.SYS_LREMOVEXATTR: args(pathArg, strArg),
	unix.SYS_FREMOVEXATTR: args(fdArg, strArg),
	unix.SYS_SYNC:         args(),
	unix.SYS_SYNCFS:       args(fdArg),
	unix.SYS_FSYNC:        args(fdArg),
	unix.SYS_FDATASYNC:    args(fdArg),

	unix.SYS_SYNC_FILE_RANGE:   args(fdArg, longArg, longArg, of32(&syncRangeFlags)),
	unix.SYS_MOUNT:             args(pathArg, pathArg, strArg, of(&mountFlags), strArg),
	unix.SYS_UMOUNT2:           args(pathArg, of32(&umountFlags)),
	unix.SYS_PIVOT_ROOT:        args(pathArg, pathArg),
	unix.SYS_INOTIFY_INIT:      args(),
	unix.SYS_INOTIFY_INIT1:     args(of32(&inotifyInit)),
	unix.SYS_INOTIFY_ADD_WATCH: args(fdArg, pathArg, of32(&inotifyMask)),
	unix.SYS_INOTIFY_RM_WATCH:  args(fdArg, intArg),
}

var descriptorCalls = calls{
	unix.SYS_READ:            args(fdArg, outBuf, ulongArg),
	unix.SYS_WRITE:           args(fdArg, inBuf(2), ulongArg),
	unix.SYS_PREAD64:         args(fdArg, outBuf, ulongArg, longArg),
	unix.SYS_PWRITE64:        args(fdArg, inBuf(2), ulongArg, longArg),
	unix.SYS_READV:           args(fdArg, outIovec(2), ulongArg),
	unix.SYS_WRITEV:          args(fdArg, inIovec(2), ulongArg),
	unix.SYS_PREADV:          args(fdArg, outIovec(2), ulongArg, longArg),
	unix.SYS_PWRITEV:         args(fdArg, inIovec(2), ulongArg, longArg),
	unix.SYS_PREADV2:         {args: []kind{fdArg, outIovec(2), ulongArg, longArg, none, of32(&rwfFlags)}},
	unix.SYS_PWRITEV2:        {args: []kind{fdArg, inIovec(2), ulongArg, longArg, none, of32(&rwfFlags)}},
	unix.SYS_CLOSE:           args(fdArg),
	unix.SYS_CLOSE_RANGE:     args(uintArg, uintArg, of32(&closeRangeFlags)),
	unix.SYS_LSEEK:           args(fdArg, longArg, of32(&whence)),
	unix.SYS_DUP:             args(fdArg),
	unix.SYS_DUP2:            args(fdArg, fdArg),
	unix.SYS_DUP3:            args(fdArg, fdArg, of32(&openFlags)),
	unix.SYS_FCNTL:           {args: []kind{fdArg, of32(&fcntlCmds), fcntlArg}, ret: fcntlResult},
	unix.SYS_FLOCK:           args(fdArg, of32(&flockOps)),
	unix.SYS_IOCTL:           args(fdArg, ioctlCmd, ioctlArg),
	unix.SYS_PIPE:            args(outInts),
	unix.SYS_PIPE2:           args(outInts, of32(&openFlags)),
	unix.SYS_SENDFILE:        args(fdArg, fdArg, inOff, ulongArg),
	unix.SYS_SPLICE:          args(fdArg, inOff, fdArg, inOff, ulongArg, of32(&spliceFlags)),
	unix.SYS_TEE:             args(fdArg, fdArg, ulongArg, of32(&spliceFlags)),
	unix.SYS_VMSPLICE:        args(fdArg, inIovec(2), ulongArg, of32(&spliceFlags)),
	unix.SYS_COPY_FILE_RANGE: args(fdArg, inOff, fdArg, inOff, ulongArg, uintArg),
	unix.SYS_READAHEAD:       args(fdArg, longArg, ulongArg),
	unix.SYS_POLL:            args(pollfds, uintArg, intArg),
	unix.SYS_PPOLL:           args(pollfds, uintArg, pollTimeout, inSigset(4), ulongArg),
	unix.SYS_SELECT:          args(intArg, fdSet(false), fdSet(false), fdSet(true), selectTimeout),
	unix.SYS_PSELECT6:        args(intArg, fdSet(false), fdSet(false), fdSet(true), pollTimeout, pselectMask),
	unix.SYS_EPOLL_CREATE:    args(intArg),
	unix.SYS_EPOLL_CREATE1:   args(of32(&epollFlags)),
	unix.SYS_EPOLL_CTL:       args(fdArg, of32(&epollOps), fdArg, inEpollEvent),
	unix.SYS_EPOLL_WAIT:      args(fdArg, outEpollEvents, intArg, intArg),
	unix.SYS_EPOLL_PWAIT:     args(fdArg, outEpollEvents, intArg, intArg, inSigset(5), ulongArg),
	unix.SYS_EPOLL_PWAIT2:    args(fdArg, outEpollEvents, intArg, inTimespec, inSigset(5), ulongArg),
	unix.SYS_EVENTFD:         args(uintArg),
	unix.SYS_EVENTFD2:        args(uintArg, of32(&eventfdFlags)),
	unix.SYS_SIGNALFD:        args(fdArg, inSigset(2), ulongArg),
	unix.SYS_SIGNALFD4:       args(fdArg, inSigset(2), ulongArg, of32(&signalfdFlags)),
	unix.SYS_MEMFD_CREATE:    args(strArg, of32(&memfdFlags)),
}
