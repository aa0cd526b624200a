package posix

import (
	"syscall"

	"github.com/hati-os/hati/internal/abi"
)

// userVec is a place in the guest's memory to copy to or from, in one piece or
// in several. It moves on with each copy.
type userVec struct {
	t    *Task
	cur  abi.Iovec   // what is left of the current piece
	rest []abi.Iovec // those after it
	left int         // bytes in all
}

// oneVec is a single piece, cut to what one call moves.
func (t *Task) oneVec(addr, n uint64) userVec {
	n = min(n, abi.MaxRW)
	return userVec{t: t, cur: abi.Iovec{Base: addr, Len: n}, left: int(n)}
}

// copyInVec reads an array of n iovecs: EINVAL if there are too many or one is
// longer than a ssize_t.
func (t *Task) copyInVec(addr, n uint64) (userVec, error) {
	v := userVec{t: t}
	if n > abi.MaxIovecs {
		return v, syscall.EINVAL
	}
	b := t.buffer(int(n) * abi.SizeIovec)
	if err := t.copyIn(addr, b); err != nil {
		return v, err
	}
	if n > 1 {
		v.rest = make([]abi.Iovec, 0, n-1)
	}
	for i := range int(n) {
		var p abi.Iovec
		p.Decode(b[i*abi.SizeIovec:])
		if int64(p.Len) < 0 {
			return v, syscall.EINVAL
		}
		if p.Len > uint64(abi.MaxRW-v.left) {
			p.Len = uint64(abi.MaxRW - v.left)
		}
		if p.Len > 0 && (p.Base >= 1<<47 || p.Base+p.Len > 1<<47) {
			return v, syscall.EFAULT
		}
		v.left += int(p.Len)
		if i == 0 {
			v.cur = p
		} else {
			v.rest = append(v.rest, p)
		}
	}
	return v, nil
}

// copyOut copies p, at most v.left bytes, to the guest: as much as its memory
// takes, with EFAULT if that is not all.
func (v *userVec) copyOut(p []byte) (int, error) { return v.move(p, true) }

// copyIn fills p from the guest, likewise.
func (v *userVec) copyIn(p []byte) (int, error) { return v.move(p, false) }

// skip passes over n bytes.
func (v *userVec) skip(n int) {
	for n > 0 && v.left > 0 {
		for v.cur.Len == 0 {
			v.cur, v.rest = v.rest[0], v.rest[1:]
		}
		m := min(uint64(n), v.cur.Len)
		v.cur.Base += m
		v.cur.Len -= m
		v.left -= int(m)
		n -= int(m)
	}
}

func (v *userVec) move(p []byte, out bool) (int, error) {
	n := 0
	for n < len(p) {
		for v.cur.Len == 0 {
			if len(v.rest) == 0 {
				return n, syscall.EFAULT
			}
			v.cur, v.rest = v.rest[0], v.rest[1:]
		}
		part := p[n:min(len(p), n+int(min(v.cur.Len, abi.MaxRW)))]
		var m int
		var err error
		if out {
			m, err = v.t.copyOutSome(v.cur.Base, part)
		} else {
			m, err = v.t.thread.Space().Read(v.cur.Base, part)
		}
		n += m
		v.left -= m
		v.cur.Base += uint64(m)
		v.cur.Len -= uint64(m)
		if err != nil {
			return n, syscall.EFAULT
		}
	}
	return n, nil
}
