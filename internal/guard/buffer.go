package guard

import "sync"

// Bytes cross in buffers of the guard's own. One that an abandoned server has is
// not used again.
var buffers = [...]struct {
	size int
	pool sync.Pool
}{{size: 4 << 10}, {size: 64 << 10}, {size: 256 << 10}, {size: 1 << 20}}

// buffer returns n bytes, of whatever value; giveBack takes p.
func buffer(n int) (b []byte, p *[]byte) {
	for i := range buffers {
		c := &buffers[i]
		if n > c.size {
			continue
		}
		p, _ = c.pool.Get().(*[]byte)
		if p == nil {
			b := make([]byte, c.size)
			p = &b
		}
		return (*p)[:n], p
	}
	return make([]byte, n), nil
}

func giveBack(p *[]byte) {
	if p == nil {
		return
	}
	for i := range buffers {
		if len(*p) == buffers[i].size {
			buffers[i].pool.Put(p)
		}
	}
}
