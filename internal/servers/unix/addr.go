package unixsock

import (
	"encoding/binary"
	"strings"
	"syscall"
)

// Kind says what an Addr names.
type Kind uint8

// The kinds of addresses of unix(7).
const (
	Unnamed  Kind = iota // none: in bind(2), the wish for an automatic name
	Path                 // a file
	Abstract             // a name outside the file system
	Unspec               // AF_UNSPEC: dissolves a datagram socket's connection
)

// Addr is a sockaddr_un. Name is a path without the final NUL, or an abstract
// name without the leading one (it may hold any bytes and be empty).
type Addr struct {
	Kind Kind
	Name string
}

const (
	familyLen = 2
	pathMax   = 108
	// AddrMax is the size of a struct sockaddr_un.
	AddrMax = familyLen + pathMax
)

// ParseAddr decodes the address b, cut to the length that the caller gave.
// EINVAL: too short, too long, or another family. Whether Unnamed and Unspec
// are allowed depends on the call.
func ParseAddr(b []byte) (Addr, error) {
	if len(b) < familyLen {
		return Addr{}, syscall.EINVAL
	}
	family := binary.NativeEndian.Uint16(b)
	if family == syscall.AF_UNSPEC {
		return Addr{Kind: Unspec}, nil
	}
	if family != syscall.AF_UNIX || len(b) > AddrMax {
		return Addr{}, syscall.EINVAL
	}
	name := string(b[familyLen:])
	switch {
	case name == "":
		return Addr{}, nil
	case name[0] == 0:
		return Addr{Kind: Abstract, Name: name[1:]}, nil
	}
	name, _, _ = strings.Cut(name, "\x00")
	return Addr{Kind: Path, Name: name}, nil
}

// Append encodes a behind b, in the length that getsockname(2) tells: a path
// with its final NUL (so up to AddrMax+1), an unnamed address as the family
// alone.
func (a Addr) Append(b []byte) []byte {
	if a.Kind == Unspec {
		return binary.NativeEndian.AppendUint16(b, syscall.AF_UNSPEC)
	}
	b = binary.NativeEndian.AppendUint16(b, syscall.AF_UNIX)
	switch a.Kind {
	case Path:
		b = append(append(b, a.Name...), 0)
	case Abstract:
		b = append(append(b, 0), a.Name...)
	}
	return b
}

// String returns the address as /proc/net/unix shows it.
func (a Addr) String() string {
	if a.Kind == Abstract {
		return "@" + strings.ReplaceAll(a.Name, "\x00", "@")
	}
	return a.Name
}
