package machine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// stub is the stub's code and the places in it, as guest addresses.
type stub struct {
	text                                      []byte
	start, handler, clone, begin, end, cancel uint64
}

// The labels of stub_amd64.h.
const (
	labelStart = 1 + iota
	labelHandler
	labelClone
	labelBegin
	labelEnd
	labelCancel
	labelLast
)

var errStub = errors.New("machine: the stub's code was not found in the program text")

// findStub copies the stub out of the program's own text and finds its labels:
// no-ops that carry a number.
func findStub() (*stub, error) {
	code := stubText()
	var at [labelLast + 1]uint64
	for i := 1; i <= labelLast; i++ {
		mark := binary.LittleEndian.AppendUint32([]byte{0x0f, 0x1f, 0x84, 0x00}, 0x68740000+uint32(i))
		off := bytes.Index(code, mark)
		if off < 0 || bytes.Contains(code[off+1:], mark) {
			return nil, fmt.Errorf("%w (label %d)", errStub, i)
		}
		at[i] = textBase + uint64(off)
	}
	// An interrupted program counter that was rewound points at the cancel label
	// or at the range's begin; the range's end is the instruction after the call.
	return &stub{
		text:  bytes.Clone(code[:at[labelLast]-textBase+8]),
		start: at[labelStart], handler: at[labelHandler], clone: at[labelClone],
		begin: at[labelBegin], end: at[labelEnd], cancel: at[labelCancel],
	}, nil
}

// elf makes a static executable of the stub alone.
func (s *stub) elf() []byte {
	const headers = 64 + 2*56
	le := binary.LittleEndian
	b := make([]byte, textSize, 2*textSize)
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2)  // ET_EXEC
	le.PutUint16(b[18:], 62) // EM_X86_64
	le.PutUint32(b[20:], 1)  // version
	le.PutUint64(b[24:], s.start)
	le.PutUint64(b[32:], 64) // program headers
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 2)

	p := b[64:]
	le.PutUint32(p[0:], 1)        // PT_LOAD
	le.PutUint32(p[4:], 5)        // read, execute
	le.PutUint64(p[8:], textSize) // offset
	le.PutUint64(p[16:], textBase)
	le.PutUint64(p[24:], textBase)
	le.PutUint64(p[32:], textSize)
	le.PutUint64(p[40:], textSize)
	le.PutUint64(p[48:], 0x1000)

	p = b[64+56:]
	le.PutUint32(p[0:], 0x6474e551) // PT_GNU_STACK, not executable
	le.PutUint32(p[4:], 6)
	le.PutUint64(p[48:], 16)

	b = append(b, s.text...)
	for len(b) < 2*textSize {
		b = append(b, 0xcc)
	}
	return b
}
