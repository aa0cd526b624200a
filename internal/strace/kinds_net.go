package strace

import (
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
)

// sockaddr prints the n bytes of an address at a.
func (p *printer) sockaddr(a, n uint64) {
	var buf [128]byte
	n = min(n, uint64(len(buf)))
	b := buf[:n]
	if n < 2 || !p.read(a, b) {
		p.ptr(a)
		return
	}
	family := le.Uint16(b)
	p.str("{sa_family=")
	p.flags(uint64(family), &families)
	switch {
	case family == unix.AF_UNIX && n > 2:
		p.str(", sun_path=")
		path := b[2:]
		if path[0] == 0 {
			p.str("@")
			path = path[1:]
		} else {
			for i, c := range path {
				if c == 0 {
					path = path[:i]
					break
				}
			}
		}
		p.buf = appendQuoted(p.buf, path, false)
	case family == unix.AF_INET && n >= 8:
		p.port(", sin_port", b)
		p.str(`, sin_addr=inet_addr("`)
		p.str(netip.AddrFrom4([4]byte(b[4:8])).String())
		p.str(`")`)
	case family == unix.AF_INET6 && n >= 24:
		p.port(", sin6_port", b)
		p.str(", sin6_flowinfo=htonl(")
		p.unum(uint64(b[4])<<24 | uint64(b[5])<<16 | uint64(b[6])<<8 | uint64(b[7]))
		p.str(`), inet_pton(AF_INET6, "`)
		p.str(netip.AddrFrom16([16]byte(b[8:24])).String())
		p.str(`", &sin6_addr)`)
		if n >= 28 {
			p.str(", sin6_scope_id=")
			p.unum(uint64(le.Uint32(b[24:])))
		}
	case family == unix.AF_NETLINK && n >= 12:
		p.field("nl_pid", int64(le.Uint32(b[4:])))
		p.str(", nl_groups=")
		p.buf = append(p.buf, "00000000"[len(strconv.FormatUint(uint64(le.Uint32(b[8:])), 16)):]...)
		p.buf = strconv.AppendUint(p.buf, uint64(le.Uint32(b[8:])), 16)
	case n > 2:
		p.str(", sa_data=")
		p.buf = appendQuoted(p.buf, b[2:], false)
	}
	p.str("}")
}

func (p *printer) port(name string, b []byte) {
	p.str(name)
	p.str("=htons(")
	p.unum(uint64(b[2])<<8 | uint64(b[3]))
	p.str(")")
}

// inSockaddr is an address whose length is argument n.
func inSockaddr(n int) kind {
	return kind{in: func(p *printer, i int) {
		if int32(p.args[n]) < 0 {
			p.ptr(p.args[i])
			return
		}
		p.sockaddr(p.args[i], p.args[n])
	}}
}

// outSockaddr is an address that the call fills in; its length is at the
// address that argument n is.
func outSockaddr(n int) kind {
	return out(func(p *printer, v uint64) {
		size, ok := p.word32(p.args[n])
		if !ok || v == 0 {
			p.ptr(v)
			return
		}
		p.sockaddr(v, uint64(size))
	})
}

// inOutLen is a length at an address: what it was, and what it has become.
var inOutLen = kind{
	in: func(p *printer, i int) {
		p.room = -1
		if n, ok := p.word32(p.args[i]); ok {
			p.room = int64(int32(n))
		}
	},
	out: func(p *printer, i int) {
		n, ok := p.word32(p.args[i])
		if !ok || p.room == -1 {
			p.ptr(p.args[i])
			return
		}
		p.str("[")
		p.num(p.room)
		if now := int64(int32(n)); now != p.room && !p.failed() {
			p.str(" => ")
			p.num(now)
		}
		p.str("]")
	},
}

var (
	sockTypeArg = in(func(p *printer, v uint64) {
		p.flags(v&0xf, &sockTypes)
		if rest := uint64(uint32(v)) &^ 0xf; rest != 0 {
			p.str("|")
			p.flags(rest, &sockFlags)
		}
	})
	sockProtoArg = kind{in: func(p *printer, i int) {
		switch v := p.args[i]; p.args[0] {
		case unix.AF_INET, unix.AF_INET6:
			p.flags(v, &ipProtos)
		case unix.AF_NETLINK:
			p.flags(v, &netlinkProtos)
		default:
			p.num(int64(int32(v)))
		}
	}}
	sockOptArg = kind{in: func(p *printer, i int) {
		set := &flagSet{enum: true}
		switch p.args[1] {
		case unix.SOL_SOCKET:
			set = &sockOpts
		case unix.SOL_TCP:
			set = &tcpOpts
		case unix.SOL_IP:
			set = &ipOpts
		case unix.SOL_IPV6:
			set = &ip6Opts
		}
		p.flags(p.args[i], set)
	}}
	inOptval  = kind{in: func(p *printer, i int) { p.optval(p.args[i], p.args[4]) }}
	outOptval = out(func(p *printer, v uint64) {
		n, ok := p.word32(p.args[4])
		if !ok {
			p.ptr(v)
			return
		}
		p.optval(v, uint64(n))
	})
)

// optval prints the value of an option, n bytes at a.
func (p *printer) optval(a, n uint64) {
	level, opt := p.args[1], p.args[2]
	var b [16]byte
	switch {
	case level == unix.SOL_SOCKET && opt == unix.SO_ERROR && n == 4 && p.read(a, b[:4]):
		p.str("[")
		if e := le.Uint32(b[:]); e == 0 {
			p.str("0")
		} else {
			p.str(abi.ErrnoName(errno(e)))
		}
		p.str("]")
	case level == unix.SOL_SOCKET && opt == unix.SO_PEERCRED && n == abi.SizeUcred && p.read(a, b[:abi.SizeUcred]):
		p.ucred(b[:])
	case level == unix.SOL_SOCKET && opt == unix.SO_LINGER && n == 8 && p.read(a, b[:8]):
		p.str("{l_onoff=")
		p.num(int64(int32(le.Uint32(b[:]))))
		p.field("l_linger", int64(int32(le.Uint32(b[4:]))))
		p.str("}")
	case level == unix.SOL_SOCKET && (opt == 20 || opt == 21) && n == 16 && p.read(a, b[:]):
		p.timeval(b[:])
	case n == 4:
		p.intAt(a)
	default:
		p.bytes(a, n)
	}
}

func (p *printer) ucred(b []byte) {
	var c abi.Ucred
	c.Decode(b)
	p.str("{pid=")
	p.num(int64(c.PID))
	p.str(", uid=")
	p.id(c.UID)
	p.str(", gid=")
	p.id(c.GID)
	p.str("}")
}
