package posix

import (
	"bytes"
	"encoding/binary"
	"syscall"
)

// Args are a system call's arguments.
type Args [6]uint64

// Int returns argument i as a C int.
func (a *Args) Int(i int) int { return int(int32(a[i])) }

// Uint returns argument i as a C unsigned int.
func (a *Args) Uint(i int) uint32 { return uint32(a[i]) }

// userLimit is the end of the addresses a guest can use.
const userLimit = 1<<47 - 4096

// copyIn copies guest memory at addr to p: all of it, or EFAULT.
func (t *Task) copyIn(addr uint64, p []byte) error {
	if _, err := t.thread.Space().Read(addr, p); err != nil {
		return syscall.EFAULT
	}
	return nil
}

// copyOut copies p to guest memory at addr: all of it, or EFAULT.
func (t *Task) copyOut(addr uint64, p []byte) error {
	if _, err := t.thread.Space().Write(addr, p); err != nil {
		return syscall.EFAULT
	}
	return nil
}

// copyOutSome copies as much of p as the guest's memory takes.
func (t *Task) copyOutSome(addr uint64, p []byte) (int, error) {
	return t.thread.Space().Write(addr, p)
}

// copyInString copies a NUL-terminated string of less than max bytes; tooLong
// is the error for a longer one.
func (t *Task) copyInString(addr uint64, max int, tooLong error) (string, error) {
	var first [128]byte
	buf := first[:0]
	for len(buf) < max {
		n := 128
		if len(buf) > 0 {
			n = 4096
		}
		// Not beyond the page: the next one need not exist.
		at := addr + uint64(len(buf))
		n = min(n, int(4096-at%4096), max-len(buf))
		old := len(buf)
		if cap(buf) < old+n {
			buf = append(make([]byte, 0, max), buf...)
		}
		buf = buf[:old+n]
		if err := t.copyIn(at, buf[old:]); err != nil {
			return "", err
		}
		if i := bytes.IndexByte(buf[old:], 0); i >= 0 {
			return string(buf[:old+i]), nil
		}
	}
	return "", tooLong
}

// copyInPath copies a path. Programs name the same one several times in a row:
// it is the same string then.
func (t *Task) copyInPath(addr uint64) (string, error) {
	var short [128]byte
	b := short[:min(uint64(len(short)), 4096-addr%4096)]
	if err := t.copyIn(addr, b); err != nil {
		return "", err
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		if string(b[:i]) != t.lastPath {
			t.lastPath = string(b[:i])
		}
		t.op.names(t.lastPath)
		return t.lastPath, nil
	}
	s, err := t.copyInString(addr, 4096, syscall.ENAMETOOLONG)
	t.op.names(s)
	return s, err
}

func (t *Task) copyInUint64(addr uint64) (uint64, error) {
	var b [8]byte
	err := t.copyIn(addr, b[:])
	return binary.LittleEndian.Uint64(b[:]), err
}

func (t *Task) copyInUint32(addr uint64) (uint32, error) {
	var b [4]byte
	err := t.copyIn(addr, b[:])
	return binary.LittleEndian.Uint32(b[:]), err
}

func (t *Task) copyOutUint64(addr, v uint64) error {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	return t.copyOut(addr, b[:])
}

func (t *Task) copyOutUint32(addr uint64, v uint32) error {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], v)
	return t.copyOut(addr, b[:])
}

// buffer returns n bytes that are the task's until its next call of buffer.
// Large ones are not kept.
func (t *Task) buffer(n int) []byte {
	const keep = 256 << 10
	if n > keep {
		return make([]byte, n)
	}
	if cap(t.buf) < n {
		t.buf = make([]byte, max(n, 4096))
	}
	return t.buf[:n]
}
