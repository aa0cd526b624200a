package abi

import "bytes"

// Where the name begins in a directory entry.
const (
	direntHeader   = 18
	dirent64Header = 19
)

// Dirent64Size is the space that an entry with a name of n bytes takes in
// getdents64(2)'s buffer.
func Dirent64Size(n int) int { return (dirent64Header + n + 1 + 7) &^ 7 }

// DirentSize is the space that an entry with a name of n bytes takes in
// getdents(2)'s buffer.
func DirentSize(n int) int { return (direntHeader + n + 2 + 7) &^ 7 }

// AppendDirent64 appends a linux_dirent64 to buf, unless buf would become
// longer than limit: then it returns buf as it was and false. next is the
// cookie at which reading goes on (d_off), mode has the S_IFMT bits or 0. It
// allocates only when buf has no room left.
func AppendDirent64(buf []byte, limit int, ino, next uint64, mode uint32, name string) ([]byte, bool) {
	size := Dirent64Size(len(name))
	if size > 0xffff || size > limit-len(buf) {
		return buf, false
	}
	end := len(buf) + size
	buf = le.AppendUint64(buf, ino)
	buf = le.AppendUint64(buf, next)
	buf = le.AppendUint16(buf, uint16(size))
	buf = append(buf, direntType(mode))
	buf = append(buf, name...)
	for len(buf) < end {
		buf = append(buf, 0)
	}
	return buf, true
}

// AppendDirent is AppendDirent64 for a linux_dirent of the older getdents(2),
// whose last byte is the type.
func AppendDirent(buf []byte, limit int, ino, next uint64, mode uint32, name string) ([]byte, bool) {
	size := DirentSize(len(name))
	if size > 0xffff || size > limit-len(buf) {
		return buf, false
	}
	end := len(buf) + size
	buf = le.AppendUint64(buf, ino)
	buf = le.AppendUint64(buf, next)
	buf = le.AppendUint16(buf, uint16(size))
	buf = append(buf, name...)
	for len(buf) < end-1 {
		buf = append(buf, 0)
	}
	return append(buf, direntType(mode)), true
}

// Dirent is an entry as getdents64(2) returns it. Type is DT_'s number.
type Dirent struct {
	Ino, Next uint64
	Type      uint8
	Name      []byte
}

// NextDirent64 takes the first entry off b, the result of getdents64(2). ok is
// false at the end and at an entry that is none. Name lies in b.
func NextDirent64(b []byte) (d Dirent, rest []byte, ok bool) {
	if len(b) < dirent64Header {
		return d, nil, false
	}
	size := int(le.Uint16(b[16:]))
	if size < dirent64Header || size > len(b) {
		return d, nil, false
	}
	name := b[dirent64Header:size]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	return Dirent{Ino: le.Uint64(b), Next: le.Uint64(b[8:]), Type: b[18], Name: name}, b[size:], true
}

// direntType is the DT_ number of a mode: its type bits, shifted.
func direntType(mode uint32) uint8 { return uint8(mode >> 12 & 15) }
