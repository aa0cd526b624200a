package mountcatch

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Go runs f on a thread of its own, which ends with f: what f has done to it
// ([New]) is gone then.
func Go(f func()) {
	begun := make(chan struct{})
	go func() {
		runtime.LockOSThread() // for good: so the thread ends
		if unix.Gettid() != unix.Getpid() {
			close(begun)
			f()
			return
		}
		// The process's first thread never ends. While it is held, another takes f.
		Go(f)
		close(begun)
		runtime.UnlockOSThread()
	}()
	<-begun
}
