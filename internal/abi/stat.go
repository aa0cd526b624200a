package abi

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/vfs"
)

// Sizes of the structures that describe files.
const (
	SizeStat   = 144
	SizeStatx  = 256
	SizeStatfs = 120
)

// Stat is struct stat.
type Stat struct {
	Dev, Ino, Nlink     uint64
	Mode, UID, GID      uint32
	Rdev                uint64
	Size                int64
	Blksize, Blocks     int64
	Atime, Mtime, Ctime Timespec
}

// StatOf returns a as stat(2) tells it.
func StatOf(a *vfs.Attr) Stat {
	return Stat{
		Dev: a.Dev, Ino: a.Ino, Nlink: uint64(a.Nlink),
		Mode: a.Mode, UID: a.UID, GID: a.GID, Rdev: a.Rdev,
		Size: a.Size, Blksize: int64(a.Blksize), Blocks: a.Blocks,
		Atime: Timespec(a.Atime), Mtime: Timespec(a.Mtime), Ctime: Timespec(a.Ctime),
	}
}

// Encode writes s to b.
func (s *Stat) Encode(b []byte) {
	b = b[:SizeStat]
	le.PutUint64(b[0:], s.Dev)
	le.PutUint64(b[8:], s.Ino)
	le.PutUint64(b[16:], s.Nlink)
	le.PutUint32(b[24:], s.Mode)
	le.PutUint32(b[28:], s.UID)
	le.PutUint32(b[32:], s.GID)
	le.PutUint32(b[36:], 0)
	le.PutUint64(b[40:], s.Rdev)
	le.PutUint64(b[48:], uint64(s.Size))
	le.PutUint64(b[56:], uint64(s.Blksize))
	le.PutUint64(b[64:], uint64(s.Blocks))
	s.Atime.Encode(b[72:])
	s.Mtime.Encode(b[88:])
	s.Ctime.Encode(b[104:])
	clear(b[120:])
}

// Decode reads s from b.
func (s *Stat) Decode(b []byte) {
	b = b[:SizeStat]
	s.Dev = le.Uint64(b[0:])
	s.Ino = le.Uint64(b[8:])
	s.Nlink = le.Uint64(b[16:])
	s.Mode = le.Uint32(b[24:])
	s.UID = le.Uint32(b[28:])
	s.GID = le.Uint32(b[32:])
	s.Rdev = le.Uint64(b[40:])
	s.Size = int64(le.Uint64(b[48:]))
	s.Blksize = int64(le.Uint64(b[56:]))
	s.Blocks = int64(le.Uint64(b[64:]))
	s.Atime.Decode(b[72:])
	s.Mtime.Decode(b[88:])
	s.Ctime.Decode(b[104:])
}

// Statx is struct statx of Linux 6.18. Device numbers are as stat(2) has them.
type Statx struct {
	Mask, Blksize                          uint32
	Attributes, AttributesMask             uint64
	Nlink, UID, GID                        uint32
	Mode                                   uint16
	Ino, Size, Blocks                      uint64
	Atime, Btime, Ctime, Mtime             Timespec
	Rdev, Dev                              uint64
	MntID                                  uint64
	DioMemAlign, DioOffsetAlign            uint32
	Subvol                                 uint64
	AtomicWriteUnitMin, AtomicWriteUnitMax uint32
	AtomicWriteSegmentsMax                 uint32
	DioReadOffsetAlign                     uint32
	AtomicWriteUnitMaxOpt                  uint32
}

// StatxOf returns a as statx(2) tells it: the basic fields, and the time of
// birth if a has one. The caller adds MntID and attributes, with their bits in
// Mask.
func StatxOf(a *vfs.Attr) Statx {
	s := Statx{
		Mask:  unix.STATX_BASIC_STATS,
		Nlink: a.Nlink, UID: a.UID, GID: a.GID, Mode: uint16(a.Mode),
		Ino: a.Ino, Size: uint64(a.Size), Blocks: uint64(a.Blocks), Blksize: a.Blksize,
		Atime: Timespec(a.Atime), Mtime: Timespec(a.Mtime), Ctime: Timespec(a.Ctime),
		Rdev: a.Rdev, Dev: a.Dev,
	}
	if a.Btime != (syscall.Timespec{}) {
		s.Mask |= unix.STATX_BTIME
		s.Btime = Timespec(a.Btime)
	}
	return s
}

// Encode writes s to b.
func (s *Statx) Encode(b []byte) {
	b = b[:SizeStatx]
	clear(b)
	le.PutUint32(b[0:], s.Mask)
	le.PutUint32(b[4:], s.Blksize)
	le.PutUint64(b[8:], s.Attributes)
	le.PutUint32(b[16:], s.Nlink)
	le.PutUint32(b[20:], s.UID)
	le.PutUint32(b[24:], s.GID)
	le.PutUint16(b[28:], s.Mode)
	le.PutUint64(b[32:], s.Ino)
	le.PutUint64(b[40:], s.Size)
	le.PutUint64(b[48:], s.Blocks)
	le.PutUint64(b[56:], s.AttributesMask)
	putStatxTime(b[64:], s.Atime)
	putStatxTime(b[80:], s.Btime)
	putStatxTime(b[96:], s.Ctime)
	putStatxTime(b[112:], s.Mtime)
	le.PutUint32(b[128:], unix.Major(s.Rdev))
	le.PutUint32(b[132:], unix.Minor(s.Rdev))
	le.PutUint32(b[136:], unix.Major(s.Dev))
	le.PutUint32(b[140:], unix.Minor(s.Dev))
	le.PutUint64(b[144:], s.MntID)
	le.PutUint32(b[152:], s.DioMemAlign)
	le.PutUint32(b[156:], s.DioOffsetAlign)
	le.PutUint64(b[160:], s.Subvol)
	le.PutUint32(b[168:], s.AtomicWriteUnitMin)
	le.PutUint32(b[172:], s.AtomicWriteUnitMax)
	le.PutUint32(b[176:], s.AtomicWriteSegmentsMax)
	le.PutUint32(b[180:], s.DioReadOffsetAlign)
	le.PutUint32(b[184:], s.AtomicWriteUnitMaxOpt)
}

// Decode reads s from b.
func (s *Statx) Decode(b []byte) {
	b = b[:SizeStatx]
	*s = Statx{
		Mask: le.Uint32(b[0:]), Blksize: le.Uint32(b[4:]),
		Attributes: le.Uint64(b[8:]), AttributesMask: le.Uint64(b[56:]),
		Nlink: le.Uint32(b[16:]), UID: le.Uint32(b[20:]), GID: le.Uint32(b[24:]),
		Mode: le.Uint16(b[28:]),
		Ino:  le.Uint64(b[32:]), Size: le.Uint64(b[40:]), Blocks: le.Uint64(b[48:]),
		Atime: statxTime(b[64:]), Btime: statxTime(b[80:]),
		Ctime: statxTime(b[96:]), Mtime: statxTime(b[112:]),
		Rdev:  unix.Mkdev(le.Uint32(b[128:]), le.Uint32(b[132:])),
		Dev:   unix.Mkdev(le.Uint32(b[136:]), le.Uint32(b[140:])),
		MntID: le.Uint64(b[144:]), DioMemAlign: le.Uint32(b[152:]),
		DioOffsetAlign: le.Uint32(b[156:]), Subvol: le.Uint64(b[160:]),
		AtomicWriteUnitMin: le.Uint32(b[168:]), AtomicWriteUnitMax: le.Uint32(b[172:]),
		AtomicWriteSegmentsMax: le.Uint32(b[176:]), DioReadOffsetAlign: le.Uint32(b[180:]),
		AtomicWriteUnitMaxOpt: le.Uint32(b[184:]),
	}
}

func putStatxTime(b []byte, t Timespec) {
	le.PutUint64(b, uint64(t.Sec))
	le.PutUint32(b[8:], uint32(t.Nsec))
}

func statxTime(b []byte) Timespec {
	return Timespec{int64(le.Uint64(b)), int64(le.Uint32(b[8:]))}
}

// Statfs is struct statfs.
type Statfs struct {
	Type, Bsize                        int64
	Blocks, Bfree, Bavail, Files, Free uint64
	FSID                               uint64
	Namelen, Frsize, Flags             int64
}

// StatfsOf returns f as statfs(2) tells it.
func StatfsOf(f *vfs.Statfs) Statfs {
	return Statfs{
		Type: int64(f.Type), Bsize: int64(f.BlockSize), Frsize: int64(f.BlockSize),
		Blocks: f.Blocks, Bfree: f.BlocksFree, Bavail: f.BlocksAvailable,
		Files: f.Files, Free: f.FilesFree, FSID: f.FSID,
		Namelen: int64(f.NameMax), Flags: int64(f.Flags),
	}
}

// Encode writes s to b.
func (s *Statfs) Encode(b []byte) {
	b = b[:SizeStatfs]
	le.PutUint64(b[0:], uint64(s.Type))
	le.PutUint64(b[8:], uint64(s.Bsize))
	le.PutUint64(b[16:], s.Blocks)
	le.PutUint64(b[24:], s.Bfree)
	le.PutUint64(b[32:], s.Bavail)
	le.PutUint64(b[40:], s.Files)
	le.PutUint64(b[48:], s.Free)
	le.PutUint64(b[56:], s.FSID)
	le.PutUint64(b[64:], uint64(s.Namelen))
	le.PutUint64(b[72:], uint64(s.Frsize))
	le.PutUint64(b[80:], uint64(s.Flags))
	clear(b[88:])
}

// Decode reads s from b.
func (s *Statfs) Decode(b []byte) {
	b = b[:SizeStatfs]
	*s = Statfs{
		Type: int64(le.Uint64(b[0:])), Bsize: int64(le.Uint64(b[8:])),
		Blocks: le.Uint64(b[16:]), Bfree: le.Uint64(b[24:]), Bavail: le.Uint64(b[32:]),
		Files: le.Uint64(b[40:]), Free: le.Uint64(b[48:]), FSID: le.Uint64(b[56:]),
		Namelen: int64(le.Uint64(b[64:])), Frsize: int64(le.Uint64(b[72:])),
		Flags: int64(le.Uint64(b[80:])),
	}
}
