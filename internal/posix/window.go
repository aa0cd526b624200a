package posix

import (
	"bytes"
	"encoding/binary"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/loader"
)

// window reads what lies close together in guest memory, like the arguments of
// execve, with one copy for each page instead of one for each piece.
type window struct {
	t    *Task
	page []byte // buffer of a page
	base uint64 // where page is from
	full bool   // page holds something
}

// from returns the guest's bytes from addr to the end of its page. They are
// valid until the next call.
func (w *window) from(addr uint64) ([]byte, error) {
	if base := addr &^ (abi.PageSize - 1); !w.full || base != w.base {
		w.full = false
		if err := w.t.copyIn(base, w.page); err != nil {
			return nil, err
		}
		w.base, w.full = base, true
	}
	return w.page[addr-w.base:], nil
}

// string returns the NUL-terminated string at addr, of less than max bytes;
// E2BIG for a longer one.
func (w *window) string(addr uint64, max int) (string, error) {
	var head []byte
	for len(head) < max {
		b, err := w.from(addr + uint64(len(head)))
		if err != nil {
			return "", err
		}
		b = b[:min(len(b), max-len(head))]
		if i := bytes.IndexByte(b, 0); i < 0 {
			head = append(head, b...)
		} else if head == nil {
			return string(b[:i]), nil
		} else {
			return string(append(head, b[:i]...)), nil
		}
	}
	return "", syscall.E2BIG
}

// pointer returns the pointer at addr.
func (w *window) pointer(addr uint64) (uint64, error) {
	b, err := w.from(addr)
	if err != nil {
		return 0, err
	}
	if len(b) < 8 { // it is not aligned
		return w.t.copyInUint64(addr)
	}
	return binary.LittleEndian.Uint64(b), nil
}

// copyInStrings copies a NULL-terminated array of strings within a budget of
// bytes, of which each pointer takes 8.
func (t *Task) copyInStrings(at uint64, budget *uint64) ([]string, error) {
	if at == 0 {
		return nil, nil
	}
	buf := t.buffer(2 * abi.PageSize)
	array := window{t: t, page: buf[:abi.PageSize]}
	text := window{t: t, page: buf[abi.PageSize:]}
	var list []string
	for ; ; at += 8 {
		ptr, err := array.pointer(at)
		if err != nil {
			return nil, err
		}
		if ptr == 0 {
			return list, nil
		}
		s, err := text.string(ptr, loader.MaxArgLen)
		if err != nil {
			return nil, err
		}
		need := uint64(len(s) + 9)
		if need > *budget {
			return nil, syscall.E2BIG
		}
		*budget -= need
		list = append(list, s)
	}
}
