package cancel

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sigaction is the kernel's struct for rt_sigaction(2); amd64 and arm64 have the same.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const (
	saSiginfo  = 0x4
	saRestorer = 0x04000000
	saOnstack  = 0x08000000
	saRestart  = 0x10000000
)

// systemCall is the instruction that ends the range.
var systemCall = map[string][]byte{"amd64": {0x0f, 0x05}, "arm64": {0x01, 0x00, 0x00, 0xd4}}

func rtSigaction(sig int32, act, old *sigaction) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(act)), uintptr(unsafe.Pointer(old)), unsafe.Sizeof(act.mask), 0, 0)
	if errno != 0 {
		return fmt.Errorf("%w: rt_sigaction: %w", ErrSignal, errno)
	}
	return nil
}

// install measures the range and puts the handler in place.
func install() error {
	begin, out, body, _, _, _ := codeAddrs()
	code := unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&begin))), 32)
	i := bytes.Index(code, systemCall[goarch])
	if i < 0 {
		return fmt.Errorf("%w: no system call in the range: %w", ErrSignal, unix.ENOSYS)
	}
	rangeBegin, rangeEnd = begin, begin+uintptr(i+len(systemCall[goarch]))
	for i, entry := range []uintptr{body, begin, out} {
		extents[i] = extentOf(entry)
	}
	ownPID = uint32(os.Getpid())
	findTID()
	return keepHandler()
}

// extentOf returns where the function that begins at entry is.
func extentOf(entry uintptr) extent {
	f, end := runtime.FuncForPC(entry), entry+1
	for runtime.FuncForPC(end) == f {
		end++
	}
	return extent{entry, end}
}

// keepHandler installs the handler unless it is there. Every cancel asks, because C code or os/signal can have
// replaced it.
func keepHandler() error {
	_, _, _, handler, restorer, _ := codeAddrs()
	sig := cancelSignal.Load()
	var old sigaction
	if err := rtSigaction(sig, nil, &old); err != nil {
		return err
	}
	if old.handler == handler {
		return nil
	}
	atomic.StoreUintptr(&oldHandler, old.handler)
	// SA_RESTART: what is interrupted without being cancelled goes on. The full mask: no other handler runs on top of
	// ours, and the kernel itself has wound back a restartable call to the range when ours runs.
	return rtSigaction(sig, &sigaction{
		handler:  handler,
		flags:    saSiginfo | saOnstack | saRestart | saRestorer,
		restorer: restorer,
		mask:     ^uint64(0),
	}, nil)
}

// wake wakes the op's owner if it waits for the state to change.
func wake(state *atomic.Uint32) {
	_, _, _ = unix.RawSyscall(unix.SYS_FUTEX, uintptr(unsafe.Pointer(state)), 1|128, 1) // FUTEX_WAKE_PRIVATE
}
