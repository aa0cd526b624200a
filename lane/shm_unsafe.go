package lane

import (
	"sync/atomic"
	"unsafe"
)

// word returns the 64-bit word at off, which is a multiple of 8 inside m.
func word(m []byte, off int) *atomic.Uint64 {
	_ = m[off+7]
	return (*atomic.Uint64)(unsafe.Pointer(&m[off]))
}

// word32 returns the 32-bit word at off, which is a multiple of 4 inside m.
func word32(m []byte, off int) *atomic.Uint32 {
	_ = m[off+3]
	return (*atomic.Uint32)(unsafe.Pointer(&m[off]))
}
