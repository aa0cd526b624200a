package abi

// Sizes of the structures of input and output.
const (
	SizeIovec      = 16
	SizePollfd     = 8
	SizeEpollEvent = 12
	SizeFlock      = 32
	SizeFdSetWord  = 8
)

// MaxIovecs is the most that one call takes (UIO_MAXIOV).
const MaxIovecs = 1024

// MaxRW is the most that one read or write moves, whatever its length says
// (MAX_RW_COUNT).
const MaxRW = 0x7fffffff &^ 4095

// Iovec is struct iovec.
type Iovec struct {
	Base, Len uint64
}

// Encode writes v to b.
func (v Iovec) Encode(b []byte) { put2(b, int64(v.Base), int64(v.Len)) }

// Decode reads v from b.
func (v *Iovec) Decode(b []byte) {
	base, n := get2(b)
	v.Base, v.Len = uint64(base), uint64(n)
}

// Pollfd is struct pollfd.
type Pollfd struct {
	FD              int32
	Events, Revents uint16
}

// Encode writes p to b.
func (p Pollfd) Encode(b []byte) {
	b = b[:SizePollfd]
	le.PutUint32(b[0:], uint32(p.FD))
	le.PutUint16(b[4:], p.Events)
	le.PutUint16(b[6:], p.Revents)
}

// Decode reads p from b.
func (p *Pollfd) Decode(b []byte) {
	b = b[:SizePollfd]
	p.FD = int32(le.Uint32(b[0:]))
	p.Events = le.Uint16(b[4:])
	p.Revents = le.Uint16(b[6:])
}

// EpollEvent is struct epoll_event, which is packed on x86-64.
type EpollEvent struct {
	Events uint32
	Data   uint64
}

// Encode writes e to b.
func (e EpollEvent) Encode(b []byte) {
	b = b[:SizeEpollEvent]
	le.PutUint32(b[0:], e.Events)
	le.PutUint64(b[4:], e.Data)
}

// Decode reads e from b.
func (e *EpollEvent) Decode(b []byte) {
	b = b[:SizeEpollEvent]
	e.Events = le.Uint32(b[0:])
	e.Data = le.Uint64(b[4:])
}

// Flock is struct flock, fcntl(2)'s.
type Flock struct {
	Type, Whence int16
	Start, Len   int64
	PID          int32
}

// Encode writes f to b.
func (f *Flock) Encode(b []byte) {
	b = b[:SizeFlock]
	le.PutUint16(b[0:], uint16(f.Type))
	le.PutUint16(b[2:], uint16(f.Whence))
	le.PutUint32(b[4:], 0)
	le.PutUint64(b[8:], uint64(f.Start))
	le.PutUint64(b[16:], uint64(f.Len))
	le.PutUint32(b[24:], uint32(f.PID))
	le.PutUint32(b[28:], 0)
}

// Decode reads f from b.
func (f *Flock) Decode(b []byte) {
	b = b[:SizeFlock]
	f.Type = int16(le.Uint16(b[0:]))
	f.Whence = int16(le.Uint16(b[2:]))
	f.Start = int64(le.Uint64(b[8:]))
	f.Len = int64(le.Uint64(b[16:]))
	f.PID = int32(le.Uint32(b[24:]))
}
