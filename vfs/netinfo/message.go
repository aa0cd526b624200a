// Package netinfo makes and reads what a [vfs.NetDescriber] says: the messages of
// rtnetlink(7) about links, addresses and routes. A network that is written in Go has
// a [Static] and is described.
//
// Nothing here has locks, and nothing changes what it is given. The package imports
// vfs and golang.org/x/sys only.
package netinfo

import (
	"encoding/binary"
	"iter"

	"golang.org/x/sys/unix"
)

// Message is one message of netlink(7). Its numbers are in the processor's order.
type Message struct {
	Type, Flags uint16
	Seq, PID    uint32
	Body        []byte
}

// Messages reads messages, one after the other, and ends before the first that is
// malformed.
func Messages(b []byte) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for len(b) >= unix.SizeofNlMsghdr {
			n := int64(binary.NativeEndian.Uint32(b))
			if n < unix.SizeofNlMsghdr || n > int64(len(b)) {
				return
			}
			m := Message{
				Type: binary.NativeEndian.Uint16(b[4:]), Flags: binary.NativeEndian.Uint16(b[6:]),
				Seq: binary.NativeEndian.Uint32(b[8:]), PID: binary.NativeEndian.Uint32(b[12:]),
				Body: b[unix.SizeofNlMsghdr:n:n],
			}
			if !yield(m) {
				return
			}
			b = b[min(align(n), int64(len(b))):]
		}
	}
}

// Append writes the message.
func (m Message) Append(b []byte) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.SizeofNlMsghdr+len(m.Body)))
	b = binary.NativeEndian.AppendUint16(b, m.Type)
	b = binary.NativeEndian.AppendUint16(b, m.Flags)
	b = binary.NativeEndian.AppendUint32(b, m.Seq)
	b = binary.NativeEndian.AppendUint32(b, m.PID)
	return pad(append(b, m.Body...))
}

// Attributes reads the attributes (struct rtattr) in b, their types without the flags
// of nesting and byte order. It ends before the first that is malformed.
func Attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			n := int64(binary.NativeEndian.Uint16(b))
			if n < unix.SizeofRtAttr || n > int64(len(b)) {
				return
			}
			typ := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if !yield(typ, b[unix.SizeofRtAttr:n:n]) {
				return
			}
			b = b[min(align(n), int64(len(b))):]
		}
	}
}

// AppendAttr writes an attribute.
func AppendAttr(b []byte, typ uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	return pad(append(b, value...))
}

func appendUint32(b []byte, typ uint16, v uint32) []byte {
	return AppendAttr(b, typ, binary.NativeEndian.AppendUint32(nil, v))
}

// appendString writes an attribute that ends with a zero byte.
func appendString(b []byte, typ uint16, s string) []byte {
	return AppendAttr(b, typ, append([]byte(s), 0))
}

func align(n int64) int64 { return (n + 3) &^ 3 }

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// Attr returns the first attribute of a type behind the first skip bytes of a body, nil
// when there is none.
func Attr(body []byte, skip int, typ uint16) []byte {
	for t, v := range Attributes(body[min(skip, len(body)):]) {
		if t == typ {
			return v
		}
	}
	return nil
}

func uint32Of(v []byte) uint32 {
	if len(v) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(v)
}

func stringOf(v []byte) string {
	for i, c := range v {
		if c == 0 {
			return string(v[:i])
		}
	}
	return string(v)
}
