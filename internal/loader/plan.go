package loader

import (
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Source says what an Op maps.
type Source uint8

// The sources.
const (
	Anonymous Source = iota
	MainFile
	InterpFile
)

// Op is one mapping to make: Len bytes at Addr, both multiples of the page,
// private and fixed. The bytes are those of the file From at Off, or zeros.
// When it is made, the ZeroLen bytes at Zero, at the end of it, are to be
// cleared; ZeroLen is not 0 for pages only that can be written.
type Op struct {
	Addr, Len     uint64
	Prot          int // PROT_ bits
	From          Source
	Off           int64
	Zero, ZeroLen uint64
}

// End is the first address after the mapping.
func (o Op) End() uint64 { return o.Addr + o.Len }

// Plan is how a program is put into an empty address space. No two Ops share
// a page.
type Plan struct {
	Ops       []Op
	Start     uint64 // where execution begins: the interpreter's entry, if there is one
	Entry     uint64 // the program's own (AT_ENTRY)
	Phdr      uint64 // AT_PHDR
	Phnum     int    // AT_PHNUM
	Base      uint64 // AT_BASE: the interpreter's bias, or 0
	Brk       uint64 // where the heap begins, a multiple of the page
	ExecStack bool

	// What /proc/PID/stat tells.
	StartCode, EndCode, StartData, EndData uint64

	// BrkAway: the program is position independent and without interpreter, as
	// ld.so is when it is run itself. Linux puts it among the mappings, where
	// a heap could not grow, and has the heap elsewhere (where programs with an
	// interpreter are put) rather than at Brk.
	BrkAway bool
}

// NewPlan lays main out, moved by bias, and its interpreter, unless nil, by
// interpBias. The biases are multiples of the page (see Image.BiasFor). What
// does not fit between MinAddr and MaxAddr (TopAddr for a Dyn image), or overlaps, is ENOMEM.
func NewPlan(main *Image, bias uint64, interp *Image, interpBias uint64) (*Plan, error) {
	low, high, err := main.at(bias)
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Start: main.Entry + bias, Entry: main.Entry + bias,
		Phdr: main.Phdr + bias, Phnum: main.Phnum,
		Brk: high, ExecStack: main.ExecStack,
		BrkAway: main.Dyn && interp == nil,
	}
	n := len(main.Segments)
	if interp != nil {
		n += len(interp.Segments)
	}
	p.Ops = make([]Op, 0, 2*n)
	for i := range main.Segments {
		p.add(&main.Segments[i], bias, MainFile)
	}
	p.bounds(main, bias)
	if interp != nil {
		ilow, ihigh, err := interp.at(interpBias)
		if err != nil {
			return nil, err
		}
		if ilow < high && low < ihigh {
			return nil, invalid(syscall.ENOMEM, "interpreter at %#x overlaps the program at %#x", ilow, low)
		}
		for i := range interp.Segments {
			p.add(&interp.Segments[i], interpBias, InterpFile)
		}
		p.Start, p.Base = interp.Entry+interpBias, interpBias
	}
	p.Ops = slices.DeleteFunc(p.Ops, func(o Op) bool { return o.Len == 0 })
	return p, nil
}

// at checks that the image may lie at bias, and returns its pages there.
func (img *Image) at(bias uint64) (low, high uint64, err error) {
	low, high = img.low+bias, img.high+bias
	switch {
	case bias&pageMask != 0 || !img.Dyn && bias != 0:
		return 0, 0, invalid(syscall.EINVAL, "bias %#x", bias)
	case low < MinAddr || high > img.limit() || low >= high:
		return 0, 0, invalid(syscall.ENOMEM, "program from %#x to %#x", low, high)
	case img.Entry+bias >= img.limit():
		return 0, 0, invalid(syscall.ENOMEM, "entry at %#x", img.Entry+bias)
	}
	return low, high, nil
}

// limit is the end of the addresses that the image may have: those that chose
// their own stay clear of what else is in a guest process.
func (img *Image) limit() uint64 {
	if img.Dyn {
		return TopAddr
	}
	return MaxAddr
}

// add appends the mappings of s: the pages from the file, and anonymous ones
// after them, which Linux makes writable whatever the segment says.
func (p *Plan) add(s *Segment, bias uint64, from Source) {
	addr := s.Vaddr + bias
	start, mid, end := pageDown(addr), pageDown(addr), pageUp(addr+s.Memsz)
	if s.Filesz > 0 {
		mid = pageUp(addr + s.Filesz)
		op := Op{Addr: start, Len: mid - start, Prot: s.Prot, From: from, Off: int64(pageDown(s.Off))}
		if n := s.zeroTail(); n > 0 {
			op.Zero, op.ZeroLen = mid-n, n
		}
		p.place(op)
	}
	if end > mid {
		p.place(Op{Addr: mid, Len: end - mid, Prot: unix.PROT_READ | unix.PROT_WRITE | s.Prot&unix.PROT_EXEC})
	}
}

// place appends op and takes its pages from the Ops before it, which may leave
// empty ones: segments may share pages, and the later one has them.
func (p *Plan) place(op Op) {
	old := len(p.Ops)
	for i := 0; i < old; i++ {
		o := p.Ops[i]
		if o.End() <= op.Addr || op.End() <= o.Addr {
			continue
		}
		p.Ops[i] = o.clip(o.Addr, op.Addr)
		if rest := o.clip(op.End(), o.End()); rest.Len > 0 {
			p.Ops = append(p.Ops, rest)
		}
	}
	p.Ops = append(p.Ops, op)
}

// clip returns what of o lies between low and high, which are pages in or
// around o.
func (o Op) clip(low, high uint64) Op {
	low, high = max(low, o.Addr), min(high, o.End())
	if low >= high {
		return Op{}
	}
	if o.From != Anonymous {
		o.Off += int64(low - o.Addr)
	}
	// What is to be cleared lies in the last page.
	if high < o.End() {
		o.Zero, o.ZeroLen = 0, 0
	}
	o.Addr, o.Len = low, high-low
	return o
}

// bounds computes where the code and the data are.
func (p *Plan) bounds(img *Image, bias uint64) {
	first := true
	for i := range img.Segments {
		s := &img.Segments[i]
		begin, end := s.Vaddr+bias, s.Vaddr+bias+s.Filesz
		if s.Prot&unix.PROT_EXEC != 0 {
			if p.StartCode == 0 || begin < p.StartCode {
				p.StartCode = begin
			}
			p.EndCode = max(p.EndCode, end)
		}
		if first || begin > p.StartData {
			p.StartData = begin
		}
		p.EndData = max(p.EndData, end)
		first = false
	}
}
