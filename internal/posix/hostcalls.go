package posix

import "golang.org/x/sys/unix"

// hostCalls concern only the guest's own memory or processor. The stub makes
// them without asking; they come here when a trace wants to see them.
var hostCalls = func() calls {
	m := calls{}
	for _, nr := range []uintptr{
		unix.SYS_MPROTECT, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_MLOCK, unix.SYS_MLOCK2,
		unix.SYS_MUNLOCK, unix.SYS_MLOCKALL, unix.SYS_MUNLOCKALL,
		unix.SYS_PKEY_ALLOC, unix.SYS_PKEY_FREE, unix.SYS_PKEY_MPROTECT, unix.SYS_ARCH_PRCTL,
	} {
		m[nr] = call{fn: func(t *Task, a *Args) (uint64, error) { return t.onHost(nr, a[:]...) }}
	}
	return m
}()
