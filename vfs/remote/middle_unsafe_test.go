package remote_test

import (
	"sync/atomic"
	"unsafe"
)

// midWord is an aligned word of a lane's memory.
func midWord(mem []byte, off int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&mem[off]))
}
