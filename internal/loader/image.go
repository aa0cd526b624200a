package loader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/bits"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
)

// Image is what the headers of an executable say. Addresses are as in the
// file; a Dyn image runs at these plus a bias.
type Image struct {
	Dyn       bool   // ET_DYN: position independent
	Entry     uint64 // where it starts
	Phdr      uint64 // where its program headers are in memory
	Phnum     int
	Interp    string // path of the interpreter, "" for none
	ExecStack bool   // it wants an executable stack
	Align     uint64 // of the bias: a power of two, at least a page
	Segments  []Segment

	low, high uint64 // the pages of the segments
}

// Segment is a PT_LOAD.
type Segment struct {
	Vaddr, Memsz uint64
	Off, Filesz  uint64
	Prot         int // PROT_ bits
}

const (
	ehdrSize = 64
	phdrSize = 56
	// Linux reads no more bytes of program headers.
	maxPhdrs = 65536

	emX86_64 = 62
)

// Parse reads the program in r, which has size bytes. Errors are ENOEXEC for
// anything that is not a program to run here, ENOENT for an empty interpreter
// path, EIO for one that the file does not hold, and those of r.
func Parse(r io.ReaderAt, size int64) (*Image, error) {
	return parse(r, size, true)
}

// ParseInterp reads an interpreter (ld.so): as Parse, but with ELIBBAD in
// place of ENOEXEC, EIO for a file shorter than an ELF header, and a PT_INTERP
// of its own ignored.
func ParseInterp(r io.ReaderAt, size int64) (*Image, error) {
	if size < ehdrSize {
		return nil, invalid(syscall.EIO, "interpreter of %d bytes", size)
	}
	img, err := parse(r, size, false)
	if errors.Is(err, syscall.ENOEXEC) {
		return nil, invalid(syscall.ELIBBAD, "interpreter: %v", err)
	}
	return img, err
}

func parse(r io.ReaderAt, size int64, interp bool) (*Image, error) {
	var h [ehdrSize]byte
	if short, err := readFull(r, h[:], 0); err != nil {
		return nil, err
	} else if short {
		return nil, invalid(syscall.ENOEXEC, "no ELF header")
	}
	le := binary.LittleEndian
	typ, machine := le.Uint16(h[16:]), le.Uint16(h[18:])
	phoff, phentsize, phnum := le.Uint64(h[32:]), le.Uint16(h[54:]), le.Uint16(h[56:])
	switch {
	// Class, byte order and version are nothing that Linux looks at, and tiny
	// programs keep code there.
	case string(h[:4]) != "\x7fELF":
		return nil, invalid(syscall.ENOEXEC, "not an ELF file")
	case typ != unix.ET_EXEC && typ != unix.ET_DYN:
		return nil, invalid(syscall.ENOEXEC, "ELF type %d", typ)
	case machine != emX86_64:
		return nil, invalid(syscall.ENOEXEC, "ELF machine %d", machine)
	case phentsize != phdrSize:
		return nil, invalid(syscall.ENOEXEC, "program headers of %d bytes", phentsize)
	case phnum == 0 || int(phnum)*phdrSize > maxPhdrs:
		return nil, invalid(syscall.ENOEXEC, "%d program headers", phnum)
	case phoff > math.MaxInt64-maxPhdrs:
		return nil, invalid(syscall.ENOEXEC, "program headers at %#x", phoff)
	}
	ph := make([]byte, int(phnum)*phdrSize)
	if short, err := readFull(r, ph, int64(phoff)); err != nil {
		return nil, err
	} else if short {
		return nil, invalid(syscall.ENOEXEC, "program headers past the end of the file")
	}
	img := &Image{
		Dyn: typ == unix.ET_DYN, Entry: le.Uint64(h[24:]), Phnum: int(phnum),
		Align: abi.PageSize, low: math.MaxUint64,
	}
	haveInterp := false
	for ; len(ph) > 0; ph = ph[phdrSize:] {
		p := phdr{
			typ: le.Uint32(ph), flags: le.Uint32(ph[4:]), off: le.Uint64(ph[8:]), vaddr: le.Uint64(ph[16:]),
			filesz: le.Uint64(ph[32:]), memsz: le.Uint64(ph[40:]), align: le.Uint64(ph[48:]),
		}
		var err error
		switch p.typ {
		case unix.PT_LOAD:
			err = img.load(p, phoff, size)
		case unix.PT_INTERP:
			if interp && !haveInterp {
				haveInterp = true
				img.Interp, err = interpPath(r, p)
			}
		case unix.PT_GNU_STACK:
			img.ExecStack = p.flags&unix.PF_X != 0
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case len(img.Segments) == 0:
		return nil, invalid(syscall.ENOEXEC, "nothing to load")
	case !img.Dyn && img.low < MinAddr:
		return nil, invalid(syscall.ENOEXEC, "segment at %#x", img.low)
	case img.Entry >= MaxAddr:
		return nil, invalid(syscall.ENOEXEC, "entry at %#x", img.Entry)
	}
	return img, nil
}

type phdr struct {
	typ, flags                       uint32
	off, vaddr, filesz, memsz, align uint64
}

// load checks a PT_LOAD and adds it.
func (img *Image) load(p phdr, phoff uint64, size int64) error {
	switch {
	case p.filesz > p.memsz:
		return invalid(syscall.ENOEXEC, "segment with %d bytes in the file, %d in memory", p.filesz, p.memsz)
	case p.memsz > MaxAddr || p.vaddr > MaxAddr-p.memsz:
		return invalid(syscall.ENOEXEC, "segment of %#x bytes at %#x", p.memsz, p.vaddr)
	case p.filesz > 0 && (p.off-p.vaddr)&pageMask != 0:
		return invalid(syscall.ENOEXEC, "segment at %#x from offset %#x", p.vaddr, p.off)
	case p.filesz > 0 && p.off > math.MaxInt64-2*MaxAddr:
		return invalid(syscall.ENOEXEC, "segment from offset %#x", p.off)
	case p.align > MaxAddr && bits.OnesCount64(p.align) == 1:
		return invalid(syscall.ENOEXEC, "segment aligned to %#x", p.align)
	}
	if p.memsz == 0 {
		return nil
	}
	if p.off <= phoff && phoff-p.off < p.filesz {
		img.Phdr = phoff - p.off + p.vaddr
	}
	// Linux leaves out those that are no power of two.
	if bits.OnesCount64(p.align) == 1 {
		img.Align = max(img.Align, p.align)
	}
	img.low = min(img.low, pageDown(p.vaddr))
	img.high = max(img.high, pageUp(p.vaddr+p.memsz))
	s := Segment{Vaddr: p.vaddr, Memsz: p.memsz, Off: p.off, Filesz: p.filesz}
	for _, f := range [...]struct{ flag, prot int }{
		{unix.PF_R, unix.PROT_READ}, {unix.PF_W, unix.PROT_WRITE}, {unix.PF_X, unix.PROT_EXEC},
	} {
		if p.flags&uint32(f.flag) != 0 {
			s.Prot |= f.prot
		}
	}
	// The rest of the last page is cleared: that needs a page of the file.
	if s.zeroTail() > 0 && pageDown(p.off+p.filesz) >= uint64(max(size, 0)) {
		return invalid(syscall.ENOEXEC, "segment from offset %#x in a file of %d bytes", p.off, size)
	}
	img.Segments = append(img.Segments, s)
	return nil
}

// interpPath reads the path in a PT_INTERP.
func interpPath(r io.ReaderAt, p phdr) (string, error) {
	if p.filesz < 2 || p.filesz > abi.PathMax {
		return "", invalid(syscall.ENOEXEC, "interpreter path of %d bytes", p.filesz)
	}
	if p.off > math.MaxInt64-abi.PathMax {
		return "", invalid(syscall.EIO, "interpreter path at %#x", p.off)
	}
	path := make([]byte, p.filesz)
	if short, err := readFull(r, path, int64(p.off)); err != nil {
		return "", err
	} else if short {
		return "", invalid(syscall.EIO, "interpreter path past the end of the file")
	}
	if path[len(path)-1] != 0 {
		return "", invalid(syscall.ENOEXEC, "interpreter path without an end")
	}
	path = path[:bytes.IndexByte(path, 0)]
	if len(path) == 0 {
		return "", invalid(syscall.ENOENT, "interpreter path is empty")
	}
	return string(path), nil
}

// Span returns the pages from the first segment's to the last one's, without
// a bias.
func (img *Image) Span() (low, high uint64) { return img.low, img.high }

// BiasFor returns the bias with which the image's lowest page lies at base,
// rounded down to the image's alignment. It is 0 unless the image is Dyn.
func (img *Image) BiasFor(base uint64) uint64 {
	if !img.Dyn {
		return 0
	}
	return base&^(img.Align-1) - img.low
}

// zeroTail returns how many bytes of the segment's last page from the file
// must be cleared. Those of a segment that cannot be written are left as they
// are: Linux tries, and ignores the fault.
func (s *Segment) zeroTail() uint64 {
	if s.Filesz == 0 || s.Memsz == s.Filesz || s.Prot&unix.PROT_WRITE == 0 {
		return 0
	}
	return -(s.Vaddr + s.Filesz) & pageMask
}
