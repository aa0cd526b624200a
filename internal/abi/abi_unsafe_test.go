package abi_test

import (
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
)

func TestStatFromAttr(t *testing.T) {
	a := vfs.Attr{
		Dev: 0x801, Ino: 7, Mode: syscall.S_IFREG | 0o644, Nlink: 2, UID: 3, GID: 4, Blksize: 4096,
		Size: 100, Blocks: 8, Atime: syscall.Timespec{Sec: 1, Nsec: 2},
	}
	var b [abi.SizeStat]byte
	s := abi.StatOf(&a)
	s.Encode(b[:])
	host := (*unix.Stat_t)(unsafe.Pointer(&b))
	if host.Ino != 7 || host.Mode != a.Mode || host.Nlink != 2 || host.Blocks != 8 || host.Atim.Nsec != 2 {
		t.Errorf("stat is %+v", host)
	}
	x := abi.StatxOf(&a)
	if x.Mask != unix.STATX_BASIC_STATS {
		t.Errorf("mask %#x for a file without a time of birth", x.Mask)
	}
	a.Btime.Sec = 9
	if x = abi.StatxOf(&a); x.Mask != unix.STATX_BASIC_STATS|unix.STATX_BTIME || x.Btime.Sec != 9 {
		t.Errorf("mask %#x, born %v", x.Mask, x.Btime)
	}
}

// TestRegsOverlay holds the order of the fields to that in memory.
func TestRegsOverlay(t *testing.T) {
	var r abi.Regs
	if s := unsafe.Sizeof(r); s != abi.SizeRegs {
		t.Fatalf("Regs take %d bytes", s)
	}
	for reg, off := range map[int]uintptr{
		abi.REG_R8: unsafe.Offsetof(r.R8), abi.REG_RDI: unsafe.Offsetof(r.RDI), abi.REG_RAX: unsafe.Offsetof(r.RAX),
		abi.REG_RSP: unsafe.Offsetof(r.RSP), abi.REG_RIP: unsafe.Offsetof(r.RIP), abi.REG_EFL: unsafe.Offsetof(r.EFLAGS),
		abi.REG_CSGSFS: unsafe.Offsetof(r.CSGSFS), abi.REG_CR2: unsafe.Offsetof(r.CR2),
	} {
		if off != uintptr(reg)*8 {
			t.Errorf("register %d lies at %d", reg, off)
		}
	}
	for i := range uint64(abi.NGREG) {
		(*[abi.NGREG]uint64)(unsafe.Pointer(&r))[i] = i
	}
	var b [abi.SizeRegs]byte
	r.Encode(b[:])
	for i := range abi.NGREG {
		if b[8*i] != byte(i) {
			t.Errorf("Encode puts register %d elsewhere", i)
		}
	}
	r.SetSegments(abi.UserCS, 1, 2, abi.UserSS)
	if cs, gs, fs, ss := r.Segments(); cs != abi.UserCS || gs != 1 || fs != 2 || ss != abi.UserSS {
		t.Errorf("segments %x %x %x %x", cs, gs, fs, ss)
	}
}
