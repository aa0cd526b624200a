package fuse

import (
	"encoding/binary"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// The wire format is that of the host's uapi/linux/fuse.h: little-endian
// structures (the processor's order), each padded to 8 bytes.

// The version spoken here. Daemons with a smaller minor are served as theirs.
const (
	major    = 7
	minor    = 45
	minMinor = 12 // older ones have other sizes for nearly everything
)

const (
	inHeaderSize  = 40
	outHeaderSize = 16
	entrySize     = 128
	attrSize      = 88
	attrOutSize   = 104
	openOutSize   = 16
	minReadBuffer = 8192
	pageSize      = 4096
	rootID        = 1
	nameMax       = 1024
)

// Operations.
const (
	opLookup        = 1
	opForget        = 2
	opGetattr       = 3
	opSetattr       = 4
	opReadlink      = 5
	opSymlink       = 6
	opMknod         = 8
	opMkdir         = 9
	opUnlink        = 10
	opRmdir         = 11
	opRename        = 12
	opLink          = 13
	opOpen          = 14
	opRead          = 15
	opWrite         = 16
	opStatfs        = 17
	opRelease       = 18
	opFsync         = 20
	opSetxattr      = 21
	opGetxattr      = 22
	opListxattr     = 23
	opRemovexattr   = 24
	opFlush         = 25
	opInit          = 26
	opOpendir       = 27
	opReaddir       = 28
	opReleasedir    = 29
	opFsyncdir      = 30
	opGetlk         = 31
	opSetlk         = 32
	opSetlkw        = 33
	opAccess        = 34
	opCreate        = 35
	opInterrupt     = 36
	opDestroy       = 38
	opIoctl         = 39
	opPoll          = 40
	opNotifyReply   = 41
	opBatchForget   = 42
	opFallocate     = 43
	opReaddirplus   = 44
	opRename2       = 45
	opLseek         = 46
	opCopyFileRange = 47
	opTmpfile       = 51
	opStatx         = 52
	opCopyRange64   = 53
	opLast          = 54
)

// Flags of INIT.
const (
	initAsyncRead      = 1 << 0
	initPosixLocks     = 1 << 1
	initAtomicTrunc    = 1 << 3
	initExport         = 1 << 4
	initBigWrites      = 1 << 5
	initDontMask       = 1 << 6
	initFlockLocks     = 1 << 10
	initIoctlDir       = 1 << 11
	initAutoInval      = 1 << 12
	initReaddirplus    = 1 << 13
	initReaddirAuto    = 1 << 14
	initAsyncDIO       = 1 << 15
	initNoOpen         = 1 << 17
	initParallelDirops = 1 << 18
	initHandleKillpriv = 1 << 19
	initAbortError     = 1 << 21
	initMaxPages       = 1 << 22
	initCacheSymlinks  = 1 << 23
	initNoOpendir      = 1 << 24
	initExplicitInval  = 1 << 25
	initSetxattrExt    = 1 << 29
	initExt            = 1 << 30
	initExpireOnly     = 1 << 35
	initDirectMmap     = 1 << 36
	initPassthrough    = 1 << 37
)

// Flags of an open file.
const (
	openDirectIO       = 1 << 0
	openKeepCache      = 1 << 1
	openNonseekable    = 1 << 2
	openCacheDir       = 1 << 3
	openStream         = 1 << 4
	openNoFlush        = 1 << 5
	openParallelDirect = 1 << 6
	openPassthrough    = 1 << 7
)

// Bits of SETATTR.
const (
	attrMode  = 1 << 0
	attrUID   = 1 << 1
	attrGID   = 1 << 2
	attrSize_ = 1 << 3
	attrAtime = 1 << 4
	attrMtime = 1 << 5
	attrFH    = 1 << 6
)

// Codes of notifications.
const (
	notifyPoll       = 1
	notifyInvalInode = 2
	notifyInvalEntry = 3
	notifyStore      = 4
	notifyRetrieve   = 5
	notifyDelete     = 6
	notifyResend     = 7
	notifyIncEpoch   = 8
	notifyPrune      = 9
)

const (
	releaseFlush       = 1 << 0
	releaseFlockUnlock = 1 << 1
	getattrFH          = 1 << 0
	lkFlock            = 1 << 0
	writeLockOwner     = 1 << 1
	writeKillPriv      = 1 << 2
	readLockOwner      = 1 << 1
	ioctlDir           = 1 << 4
	pollSchedule       = 1 << 0
	fsyncData          = 1 << 0
	expireOnly         = 1 << 0
)

var le = binary.LittleEndian

// encoder appends fields to a request.
type encoder struct{ b []byte }

func (e *encoder) u32(v ...uint32) *encoder {
	for _, x := range v {
		e.b = le.AppendUint32(e.b, x)
	}
	return e
}

func (e *encoder) u64(v ...uint64) *encoder {
	for _, x := range v {
		e.b = le.AppendUint64(e.b, x)
	}
	return e
}

// str appends a name and its zero.
func (e *encoder) str(s string) *encoder {
	e.b = append(append(e.b, s...), 0)
	return e
}

// decoder takes fields from a reply. Reading past the end gives zeros and sets
// bad.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n int) []byte {
	if n < 0 || len(d.b) < n {
		d.bad, d.b = true, nil
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) u16() uint16 {
	if p := d.take(2); p != nil {
		return le.Uint16(p)
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if p := d.take(4); p != nil {
		return le.Uint32(p)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if p := d.take(8); p != nil {
		return le.Uint64(p)
	}
	return 0
}

// outHeader begins each reply and notification.
type outHeader struct {
	len    uint32
	error  int32
	unique uint64
}

func parseOut(msg []byte) (h outHeader, body []byte, err error) {
	if len(msg) < outHeaderSize {
		return h, nil, syscall.EINVAL
	}
	h = outHeader{le.Uint32(msg), int32(le.Uint32(msg[4:])), le.Uint64(msg[8:])}
	if int(h.len) != len(msg) {
		return h, nil, syscall.EINVAL
	}
	return h, msg[outHeaderSize:], nil
}

// attr is struct fuse_attr.
func (d *decoder) attr() (a vfs.Attr) {
	a.Ino, a.Size, a.Blocks = d.u64(), int64(d.u64()), int64(d.u64())
	a.Atime.Sec, a.Mtime.Sec, a.Ctime.Sec = int64(d.u64()), int64(d.u64()), int64(d.u64())
	a.Atime.Nsec, a.Mtime.Nsec, a.Ctime.Nsec = nsec(d.u32()), nsec(d.u32()), nsec(d.u32())
	a.Mode, a.Nlink, a.UID, a.GID = d.u32(), d.u32(), d.u32(), d.u32()
	a.Rdev = rdevIn(d.u32())
	a.Blksize = d.u32()
	d.u32() // flags
	if a.Blksize == 0 || a.Blksize > 1<<30 {
		a.Blksize = pageSize
	}
	if !validType(a.Mode) || a.Size < 0 || a.Blocks < 0 {
		d.bad = true
	}
	return a
}

func nsec(v uint32) int64 { return int64(min(v, 999999999)) }

func validType(mode uint32) bool {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK, unix.S_IFCHR, unix.S_IFBLK, unix.S_IFIFO, unix.S_IFSOCK:
		return true
	}
	return false
}

// Device numbers travel in 32 bits.
func rdevIn(v uint32) uint64 {
	return unix.Mkdev(v>>8&0xfff, v&0xff|v>>12&0xfff00)
}

func rdevOut(v uint64) uint32 {
	ma, mi := unix.Major(v), unix.Minor(v)
	return mi&0xff | ma<<8 | mi&^0xff<<12
}

// entry is struct fuse_entry_out.
type entry struct {
	id, generation        uint64
	entryValid, attrValid time.Duration
	attr                  vfs.Attr
}

func (d *decoder) entry() (e entry) {
	e.id, e.generation = d.u64(), d.u64()
	ev, av := d.u64(), d.u64()
	e.entryValid, e.attrValid = validity(ev, d.u32()), validity(av, d.u32())
	if e.id == 0 {
		d.take(attrSize) // a negative entry: there are no attributes
		return e
	}
	e.attr = d.attr()
	return e
}

// validity is a time to keep something. A very long one is forever.
func validity(sec uint64, ns uint32) time.Duration {
	const most = 100 * 365 * 24 * 3600
	return time.Duration(min(sec, most))*time.Second + time.Duration(min(ns, 999999999))
}

// open is struct fuse_open_out.
type openOut struct {
	fh      uint64
	flags   uint32
	backing int32
}

func (d *decoder) open() openOut { return openOut{d.u64(), d.u32(), int32(d.u32())} }
