package mountcatch

import "golang.org/x/sys/unix"

// filter hands mount and umount2 over, and with opens open and openat, too. The
// newer calls to mount are "not there", so that libraries fall back on mount.
func filter(opens bool) []unix.SockFilter {
	ask := []uint32{unix.SYS_MOUNT, unix.SYS_UMOUNT2}
	if opens {
		ask = append(ask, unix.SYS_OPEN, unix.SYS_OPENAT)
	}
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret   = unix.BPF_RET | unix.BPF_K
		nr    = 0 // offsets in struct seccomp_data
		arch  = 4
	)
	f := []unix.SockFilter{
		{Code: load, K: arch},
		{Code: equal, K: unix.AUDIT_ARCH_X86_64, Jt: 1},
		{Code: ret, K: unix.SECCOMP_RET_ALLOW},
		{Code: load, K: nr},
	}
	for _, n := range ask {
		f = append(f, unix.SockFilter{Code: equal, K: n, Jf: 1}, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	for _, n := range []uint32{unix.SYS_FSOPEN, unix.SYS_FSPICK} {
		f = append(f, unix.SockFilter{Code: equal, K: n, Jf: 1}, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)})
	}
	return append(f, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
}
