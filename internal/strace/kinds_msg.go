package strace

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
)

func errno(e uint32) syscall.Errno { return syscall.Errno(e) }

var (
	inMsghdr  = inStruct(abi.SizeMsghdr, func(p *printer, b []byte) { p.msghdr(b, ^uint64(0), -1) })
	outMsghdr = kind{
		// The room for the name is noted at the beginning: the call changes it.
		in: func(p *printer, i int) {
			p.room = -1
			if n, ok := p.word32(p.args[i] + abi.MsgNamelen); ok && p.args[i] != 0 {
				p.room = int64(int32(n))
			}
		},
		out: func(p *printer, i int) {
			if p.failed() {
				if p.room < 0 {
					p.ptr(p.args[i])
					return
				}
				p.str("{msg_namelen=")
				p.num(p.room)
				p.str("}")
				return
			}
			p.structure(p.args[i], abi.SizeMsghdr, func(p *printer, b []byte) { p.msghdr(b, p.ret, p.room) })
		},
	}
	inMmsghdrs = kind{in: func(p *printer, i int) { p.mmsghdrs(p.args[i], p.args[2], false) }}
	// What sendmmsg has sent of each is not known before the end, but strace
	// prints it as 0 then, and so it is left out here.
	outMmsghdrs = out(func(p *printer, v uint64) { p.mmsghdrs(v, p.ret, true) })
)

func (p *printer) mmsghdrs(a, n uint64, received bool) {
	p.array(a, n, abi.SizeMmsghdr, func(b []byte) {
		var m abi.Mmsghdr
		m.Decode(b)
		p.str("{msg_hdr=")
		if received {
			p.msghdr(b, uint64(m.Len), -1)
			p.field("msg_len", int64(m.Len))
		} else {
			p.msghdr(b, ^uint64(0), -1)
		}
		p.str("}")
	})
}

// msghdr prints a message with at most total bytes; room, unless negative, is
// the length that there was for the name.
func (p *printer) msghdr(b []byte, total uint64, room int64) {
	var m abi.Msghdr
	m.Decode(b)
	p.str("{msg_name=")
	if m.Name == 0 || m.Namelen <= 0 {
		p.ptr(m.Name)
	} else {
		p.sockaddr(m.Name, uint64(m.Namelen))
	}
	p.str(", msg_namelen=")
	if room >= 0 && room != int64(m.Namelen) {
		p.num(room)
		p.str(" => ")
	}
	p.num(int64(m.Namelen))
	p.str(", msg_iov=")
	p.iovec(m.Iov, m.Iovlen, total)
	p.str(", msg_iovlen=")
	p.unum(m.Iovlen)
	if m.Controllen > 0 {
		p.str(", msg_control=")
		p.control(m.Control, m.Controllen)
	}
	p.str(", msg_controllen=")
	p.unum(m.Controllen)
	p.str(", msg_flags=")
	p.flags(uint64(m.Flags), &msgFlags)
	p.str("}")
}

// control prints control messages, n bytes at a.
func (p *printer) control(a, n uint64) {
	var buf [1024]byte
	b := buf[:min(n, uint64(len(buf)))]
	if !p.fetch(a, b) {
		return
	}
	p.str("[")
	first := true
	for {
		h, data, rest, more, valid := abi.NextCmsg(b)
		if !more {
			break
		}
		if !first {
			p.str(", ")
		}
		first = false
		p.str("{cmsg_len=")
		p.unum(h.Len)
		p.str(", cmsg_level=")
		p.flags(uint64(uint32(h.Level)), &sockLevels)
		p.str(", cmsg_type=")
		unixMsg := h.Level == unix.SOL_SOCKET
		if unixMsg {
			p.flags(uint64(uint32(h.Type)), &scmTypes)
		} else {
			p.hex(uint64(uint32(h.Type)))
		}
		if !valid {
			p.str("}")
			break
		}
		if len(data) > 0 {
			p.str(", cmsg_data=")
			switch {
			case unixMsg && h.Type == unix.SCM_RIGHTS:
				p.str("[")
				for i := 0; i+4 <= len(data); i += 4 {
					if i > 0 {
						p.str(", ")
					}
					p.num(int64(int32(le.Uint32(data[i:]))))
				}
				p.str("]")
			case unixMsg && h.Type == unix.SCM_CREDENTIALS && len(data) >= abi.SizeUcred:
				p.ucred(data)
			default:
				p.buf = appendQuoted(p.buf, data[:min(len(data), maxString)], len(data) > maxString)
			}
		}
		p.str("}")
		b = rest
	}
	p.str("]")
}
