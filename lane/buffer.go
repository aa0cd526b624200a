package lane

import (
	"math/bits"
	"sync"
)

// Buffers for payloads, by powers of two, so that a busy server allocates none.
var buffers [31]sync.Pool

type buffer struct{ b []byte }

func getBuffer(n int) []byte {
	class := bits.Len(uint(n - 1))
	if n <= 0 || class >= len(buffers) {
		return make([]byte, n)
	}
	if p, ok := buffers[class].Get().(*buffer); ok {
		b := p.b
		p.b = nil
		holders.Put(p)
		return b[:n]
	}
	return make([]byte, n, 1<<class)
}

// holders keeps the boxes in which buffers lie in their pools.
var holders = sync.Pool{New: func() any { return new(buffer) }}

func putBuffer(b []byte) {
	class := bits.Len(uint(cap(b) - 1))
	if cap(b) == 0 || class >= len(buffers) || cap(b) != 1<<class {
		return
	}
	p := holders.Get().(*buffer)
	p.b = b
	buffers[class].Put(p)
}
