package strace

import "encoding/binary"

var le = binary.LittleEndian

// flagSet names the bits, or the values, of an argument.
type flagSet struct {
	names []flag
	other string // "O_???": what values without a name are called
	enum  bool   // values, not bits
}

type flag struct {
	value uint64
	name  string
}

// append prints v: the names that it has, and the rest in hexadecimal.
func (s *flagSet) append(b []byte, v uint64) []byte {
	start := len(b)
	for _, f := range s.names {
		if f.value == v {
			return append(b, f.name...)
		}
	}
	if s.enum {
		return s.unnamed(b, v)
	}
	for _, f := range s.names {
		if f.value != 0 && v&f.value == f.value {
			if len(b) > start {
				b = append(b, '|')
			}
			b = append(b, f.name...)
			v &^= f.value
		}
	}
	switch {
	case v == 0 && len(b) == start:
		return append(b, '0')
	case v == 0:
		return b
	case len(b) == start:
		return s.unnamed(b, v)
	}
	return appendHex(append(b, '|'), v)
}

func (s *flagSet) unnamed(b []byte, v uint64) []byte {
	b = appendHex(b, v)
	if s.other != "" {
		b = append(b, " /* "...)
		b = append(b, s.other...)
		b = append(b, " */"...)
	}
	return b
}

// name returns the name of v, or "".
func (s *flagSet) name(v uint64) string {
	for _, f := range s.names {
		if f.value == v {
			return f.name
		}
	}
	return ""
}
