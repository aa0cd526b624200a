package strace

import (
	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
)

// ioctlCmd prints a command's name, or what its number is made of.
var ioctlCmd = in(func(p *printer, v uint64) {
	v = uint64(uint32(v))
	if name := ioctls.name(v); name != "" {
		p.str(name)
		return
	}
	p.str("_IOC(")
	dirs := [...]string{"_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE"}
	p.str(dirs[v>>30])
	for _, part := range [...]uint64{v >> 8 & 0xff, v & 0xff, v >> 16 & 0x3fff} {
		p.str(", ")
		p.hex(part)
	}
	p.str(")")
})

// ioctlArg is what the command makes of it.
var ioctlArg = kind{
	in: func(p *printer, i int) {
		v := p.args[i]
		switch uint32(p.args[1]) {
		case abi.FIOCLEX, abi.FIONCLEX, unix.TIOCEXCL, unix.TIOCNXCL, unix.TIOCNOTTY:
		case unix.TIOCSPGRP, 0x5421, abi.FIOASYNC, unix.TIOCSPTLCK, unix.TIOCPKT:
			p.intAt(v)
		case unix.TCSBRK, unix.TCSBRKP, unix.TIOCSCTTY, unix.FICLONE:
			p.num(int64(int32(v)))
		case unix.TIOCGPTPEER:
			p.hex(v)
		case unix.TCXONC:
			p.flags(v, &flagSet{enum: true, names: []flag{{0, "TCOOFF"}, {1, "TCOON"}, {2, "TCIOFF"}, {3, "TCION"}}})
		case unix.TCFLSH:
			p.flags(v, &flagSet{enum: true, names: []flag{{0, "TCIFLUSH"}, {1, "TCOFLUSH"}, {2, "TCIOFLUSH"}}})
		case unix.TIOCSWINSZ:
			p.structure(v, 8, (*printer).winsize)
		case unix.TCSETS, unix.TCSETSW, unix.TCSETSF:
			p.structure(v, 36, (*printer).termios)
		default:
			if !ioctlGets(p.args[1]) {
				p.ptr(v)
			}
		}
	},
	out: func(p *printer, i int) {
		v := p.args[i]
		if !ioctlGets(p.args[1]) {
			return
		}
		if p.failed() {
			p.ptr(v)
			return
		}
		switch uint32(p.args[1]) {
		case unix.TIOCGWINSZ:
			p.structure(v, 8, (*printer).winsize)
		case unix.TCGETS:
			p.structure(v, 36, (*printer).termios)
		default:
			p.intAt(v)
		}
	},
}

// ioctlGets reports whether a command fills in what can be printed.
func ioctlGets(cmd uint64) bool {
	switch uint32(cmd) {
	case unix.TIOCGWINSZ, unix.TCGETS, unix.TIOCGPGRP, unix.TIOCGSID, unix.TIOCOUTQ, 0x541b, unix.TIOCGPTN, unix.TIOCGETD:
		return true
	}
	return false
}

func (p *printer) winsize(b []byte) {
	for i, name := range [...]string{"{ws_row=", ", ws_col=", ", ws_xpixel=", ", ws_ypixel="} {
		p.str(name)
		p.unum(uint64(le.Uint16(b[2*i:])))
	}
	p.str("}")
}

// termios prints the four words of flags. Parts of two of them are numbers.
func (p *printer) termios(b []byte) {
	word := func(i int) uint64 { return uint64(le.Uint32(b[4*i:])) }
	flags := func(v uint64, s *flagSet) {
		if v != 0 {
			p.flags(v, s)
		}
	}
	p.str("{c_iflag=")
	flags(word(0), &termIflags)

	o := word(1)
	p.str(", c_oflag=")
	for _, f := range [...]struct {
		name  string
		mask  uint64
		shift int
	}{{"NL", unix.NLDLY, 8}, {"|CR", unix.CRDLY, 9}, {"|TAB", unix.TABDLY, 11}, {"|BS", unix.BSDLY, 13}, {"|VT", unix.VTDLY, 14}, {"|FF", unix.FFDLY, 15}} {
		p.str(f.name)
		p.unum(o & f.mask >> f.shift)
		o &^= f.mask
	}
	if o != 0 {
		p.str("|")
		p.flags(o, &termOflags)
	}

	c := word(2)
	p.str(", c_cflag=")
	p.flags(c&unix.CBAUD, &termSpeeds)
	p.str("|CS")
	p.unum(5 + c&unix.CSIZE>>4)
	if rest := c &^ (unix.CBAUD | unix.CSIZE); rest != 0 {
		p.str("|")
		p.flags(rest, &termCflags)
	}

	p.str(", c_lflag=")
	flags(word(3), &termLflags)
	p.str(", ...}")
}
