package cancel

import (
	"context"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Wait4 is wait4(2). A cancelled Wait4 has reaped no child.
func Wait4(ctx context.Context, pid int, wstatus *unix.WaitStatus, options int, rusage *unix.Rusage) (wpid int, err error) {
	var status int32 // the kernel writes an int, WaitStatus is one
	c := call{trap: unix.SYS_WAIT4}
	c.a[0], c.p[1], c.a[2], c.p[3] = uintptr(pid), unsafe.Pointer(&status), uintptr(options), unsafe.Pointer(rusage)
	wpid, err = c.n(c.do(ctx))
	if wstatus != nil {
		*wstatus = unix.WaitStatus(status)
	}
	return wpid, err
}

// Waitid is waitid(2). A cancelled Waitid has reaped no child.
func Waitid(ctx context.Context, idType int, id int, info *unix.Siginfo, options int, rusage *unix.Rusage) (err error) {
	c := call{trap: unix.SYS_WAITID}
	c.a[0], c.a[1], c.p[2], c.a[3] = uintptr(idType), uintptr(id), unsafe.Pointer(info), uintptr(options)
	c.p[4] = unsafe.Pointer(rusage)
	return c.do(ctx)
}
