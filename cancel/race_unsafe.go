//go:build race

package cancel

import (
	"runtime"
	"unsafe"
)

// The race detector does not see what the kernel does with memory; it is told, in the way package syscall tells it.
// As there, whatever was written to any descriptor happens before what is read from any.
var raceIO int64

// raceFilled says that the kernel has written n bytes to p.
func raceFilled(p []byte, n int) {
	if n > 0 {
		runtime.RaceWriteRange(unsafe.Pointer(unsafe.SliceData(p)), n)
	}
	if n >= 0 {
		runtime.RaceAcquire(unsafe.Pointer(&raceIO))
	}
}

// raceTaken says that the kernel has read n bytes of p.
func raceTaken(p []byte, n int) {
	if n > 0 {
		runtime.RaceReadRange(unsafe.Pointer(unsafe.SliceData(p)), n)
	}
}

// raceSent comes before a write.
func raceSent() {
	runtime.RaceReleaseMerge(unsafe.Pointer(&raceIO))
}
