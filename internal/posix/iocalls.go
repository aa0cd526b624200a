package posix

import "golang.org/x/sys/unix"

// ioCalls move bytes. On a file that is always ready they may still wait for
// its server.
var ioCalls = calls{
	unix.SYS_READ:            {fn: sysRead, blocks: interruptible},
	unix.SYS_WRITE:           {fn: sysWrite, blocks: interruptible},
	unix.SYS_PREAD64:         {fn: sysPread, blocks: interruptible},
	unix.SYS_PWRITE64:        {fn: sysPwrite, blocks: interruptible},
	unix.SYS_READV:           {fn: sysReadv, blocks: interruptible},
	unix.SYS_WRITEV:          {fn: sysWritev, blocks: interruptible},
	unix.SYS_PREADV:          {fn: sysPreadv, blocks: interruptible},
	unix.SYS_PWRITEV:         {fn: sysPwritev, blocks: interruptible},
	unix.SYS_PREADV2:         {fn: sysPreadv2, blocks: interruptible},
	unix.SYS_PWRITEV2:        {fn: sysPwritev2, blocks: interruptible},
	unix.SYS_LSEEK:           {fn: sysLseek, blocks: killable},
	unix.SYS_SENDFILE:        {fn: sysSendfile, blocks: interruptible},
	unix.SYS_COPY_FILE_RANGE: {fn: sysCopyFileRange, blocks: interruptible},
	unix.SYS_FSYNC:           {fn: sysFsync, blocks: interruptible},
	unix.SYS_FDATASYNC:       {fn: sysFdatasync, blocks: interruptible},
	unix.SYS_SYNC_FILE_RANGE: {fn: sysSyncFileRange, blocks: interruptible},
	unix.SYS_SYNC:            {fn: sysSync, blocks: interruptible},
	unix.SYS_SYNCFS:          {fn: sysSyncfs, blocks: interruptible},
	unix.SYS_FTRUNCATE:       {fn: sysFtruncate, blocks: interruptible},
	unix.SYS_TRUNCATE:        {fn: sysTruncate, blocks: interruptible},
	unix.SYS_FALLOCATE:       {fn: sysFallocate, blocks: interruptible},
	unix.SYS_FADVISE64:       {fn: sysFadvise},
	unix.SYS_READAHEAD:       {fn: sysReadahead},
}
