package loader_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/loader"
)

// ph is a program header to be written.
type ph struct {
	typ, flags                uint32
	off, vaddr, filesz, memsz uint64
	align                     uint64
}

// elfFile is an ELF file to be written: the header at 0, the program headers
// at 64, then what data says, up to size.
type elfFile struct {
	typ, machine     uint16
	entry, phoff     uint64
	phentsize, phnum uint16
	phs              []ph
	data             map[int]string
	size             int
}

const (
	rx = unix.PF_R | unix.PF_X
	rw = unix.PF_R | unix.PF_W
)

// simple is a small valid program, for tests to spoil.
func simple() *elfFile {
	return &elfFile{
		typ: unix.ET_EXEC, machine: unix.EM_X86_64, entry: 0x400100, phoff: 64, phentsize: 56,
		phs: []ph{
			{typ: unix.PT_LOAD, flags: rx, vaddr: 0x400000, filesz: 0x1000, memsz: 0x1000, align: 0x1000},
			{typ: unix.PT_LOAD, flags: rw, off: 0x1010, vaddr: 0x402010, filesz: 0x100, memsz: 0x3000, align: 0x1000},
			{typ: unix.PT_GNU_STACK, flags: rw},
		},
		size: 0x2000,
	}
}

// dynamic is a position independent program with an interpreter.
func dynamic() *elfFile {
	f := simple()
	f.typ, f.entry = unix.ET_DYN, 0x100
	f.phs[0].vaddr, f.phs[1].vaddr = 0, 0x2010
	f.phs[0].align = 0x200000
	f.phs = append(f.phs, ph{typ: unix.PT_INTERP, off: 0x400, filesz: 8})
	f.data = map[int]string{0x400: "/lib/ld\x00"}
	return f
}

func (f *elfFile) bytes() []byte {
	le := binary.LittleEndian
	b := make([]byte, max(f.size, 64+56*len(f.phs)))
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], f.typ)
	le.PutUint16(b[18:], f.machine)
	le.PutUint32(b[20:], 1)
	le.PutUint64(b[24:], f.entry)
	le.PutUint64(b[32:], f.phoff)
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[54:], f.phentsize)
	if f.phnum == 0 {
		f.phnum = uint16(len(f.phs))
	}
	le.PutUint16(b[56:], f.phnum)
	for i, p := range f.phs {
		h := b[64+56*i:]
		le.PutUint32(h[0:], p.typ)
		le.PutUint32(h[4:], p.flags)
		le.PutUint64(h[8:], p.off)
		le.PutUint64(h[16:], p.vaddr)
		le.PutUint64(h[32:], p.filesz)
		le.PutUint64(h[40:], p.memsz)
		le.PutUint64(h[48:], p.align)
	}
	for off, s := range f.data {
		copy(b[off:], s)
	}
	return b[:max(f.size, 64)]
}

// meter is a file that counts what is read of it.
type meter struct {
	*bytes.Reader
	read int
}

func (m *meter) ReadAt(p []byte, off int64) (int, error) {
	m.read += len(p)
	return m.Reader.ReadAt(p, off)
}

func newMeter(b []byte) *meter { return &meter{Reader: bytes.NewReader(b)} }

// checkPlan checks what holds of every plan.
func checkPlan(t *testing.T, p *loader.Plan) {
	t.Helper()
	for i, o := range p.Ops {
		switch {
		case o.Len == 0 || o.Addr%4096 != 0 || o.Len%4096 != 0:
			t.Fatalf("op %d maps no pages: %+v", i, o)
		case o.Addr < loader.MinAddr || o.Addr > loader.TopAddr || o.Len > loader.TopAddr-o.Addr:
			t.Fatalf("op %d is out of bounds: %+v", i, o)
		case o.From != loader.Anonymous && (o.Off < 0 || o.Off%4096 != 0 || o.Off+int64(o.Len) < 0):
			t.Fatalf("op %d maps no pages of the file: %+v", i, o)
		case o.From == loader.Anonymous && o.ZeroLen != 0:
			t.Fatalf("op %d clears zeros: %+v", i, o)
		case o.ZeroLen > 0 && (o.ZeroLen >= 4096 || o.Zero < o.Addr || o.Zero+o.ZeroLen != o.End() || o.Prot&unix.PROT_WRITE == 0):
			t.Fatalf("op %d clears other pages: %+v", i, o)
		}
		for j, q := range p.Ops[:i] {
			if o.Addr < q.End() && q.Addr < o.End() {
				t.Fatalf("ops %d and %d overlap: %+v, %+v", j, i, q, o)
			}
		}
	}
	if p.Start >= loader.TopAddr || p.Entry >= loader.TopAddr {
		t.Fatalf("starts at %#x, entry %#x", p.Start, p.Entry)
	}
	if p.Brk%4096 != 0 || p.Brk > loader.TopAddr {
		t.Fatalf("heap at %#x", p.Brk)
	}
}
