package strace

import (
	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
)

func major(dev uint64) uint32 { return unix.Major(dev) }
func minor(dev uint64) uint32 { return unix.Minor(dev) }

var openArg = in(func(p *printer, v uint64) { p.openFlags(uint32(v)) })

func (p *printer) openFlags(v uint32) {
	p.flags(uint64(v&unix.O_ACCMODE), &openModes)
	if rest := v &^ unix.O_ACCMODE; rest != 0 {
		p.str("|")
		p.flags(uint64(rest), &openFlags)
	}
}

// createMode is the mode of a call whose flags are argument n: it counts only
// if the call makes a file.
func createMode(n int) kind {
	return kind{in: func(p *printer, i int) {
		if flags := p.args[n]; flags&unix.O_CREAT != 0 || flags&unix.O_TMPFILE == unix.O_TMPFILE {
			p.mode(uint32(p.args[i]) & 0xffff)
		}
	}}
}

// openHow is openat2's structure, whose size is argument 3.
var openHow = kind{in: func(p *printer, i int) {
	var b [abi.SizeOpenHowVer0]byte
	if p.args[3] < uint64(len(b)) || !p.read(p.args[i], b[:]) {
		p.ptr(p.args[i])
		return
	}
	var h abi.OpenHow
	if h.Decode(b[:]) != nil {
		p.ptr(p.args[i])
		return
	}
	p.str("{flags=")
	p.openFlags(uint32(h.Flags))
	if h.Mode != 0 || h.Flags&unix.O_CREAT != 0 {
		p.str(", mode=")
		p.mode(uint32(h.Mode))
	}
	p.str(", resolve=")
	p.flags(h.Resolve, &resolveFlags)
	p.str("}")
}}

var outStat = outStruct(abi.SizeStat, func(p *printer, b []byte) {
	var s abi.Stat
	s.Decode(b)
	p.str("{st_mode=")
	p.fileMode(s.Mode)
	if t := s.Mode & unix.S_IFMT; t == unix.S_IFCHR || t == unix.S_IFBLK {
		p.str(", st_rdev=")
		p.dev(s.Rdev)
	} else {
		p.str(", st_size=")
		p.num(s.Size)
	}
	p.str(", ...}")
})

// statxFlagsArg are statx's flags, of which two bits are a number.
var statxFlagsArg = in(func(p *printer, v uint64) {
	const mask = unix.AT_STATX_FORCE_SYNC | unix.AT_STATX_DONT_SYNC
	p.flags(v&mask, &statxSync)
	if rest := uint64(uint32(v)) &^ mask; rest != 0 {
		p.str("|")
		p.flags(rest, &statxFlags)
	}
})

var outStatx = outStruct(abi.SizeStatx, func(p *printer, b []byte) {
	var s abi.Statx
	s.Decode(b)
	p.str("{stx_mask=")
	p.flags(uint64(s.Mask), &statxMask)
	p.str(", stx_attributes=")
	p.flags(s.Attributes, &statxAttrs)
	p.str(", stx_mode=")
	p.fileMode(uint32(s.Mode))
	p.str(", stx_size=")
	p.unum(s.Size)
	p.str(", ...}")
})

var outStatfs = outStruct(abi.SizeStatfs, func(p *printer, b []byte) {
	var s abi.Statfs
	s.Decode(b)
	p.str("{f_type=")
	p.flags(uint64(s.Type), &fsTypes)
	p.field("f_bsize", s.Bsize)
	p.field("f_blocks", int64(s.Blocks))
	p.field("f_bfree", int64(s.Bfree))
	p.field("f_bavail", int64(s.Bavail))
	p.field("f_files", int64(s.Files))
	p.field("f_ffree", int64(s.Free))
	p.str(", f_fsid={val=[")
	p.hex(s.FSID & 0xffffffff)
	p.str(", ")
	p.hex(s.FSID >> 32)
	p.str("]}")
	p.field("f_namelen", s.Namelen)
	p.field("f_frsize", s.Frsize)
	p.str(", f_flags=")
	p.flags(uint64(s.Flags), &stFlags)
	p.str("}")
})

// field prints ", name=n".
func (p *printer) field(name string, n int64) {
	p.str(", ")
	p.str(name)
	p.str("=")
	p.num(n)
}

// outDirents is getdents64's buffer: strace counts the entries.
var outDirents = out(func(p *printer, v uint64) {
	p.ptr(v)
	const most = 1 << 20
	if p.ret > most {
		return
	}
	b := make([]byte, p.ret)
	if p.ret > 0 && !p.read(v, b) {
		return
	}
	n := 0
	for {
		_, rest, ok := abi.NextDirent64(b)
		if !ok {
			break
		}
		n, b = n+1, rest
	}
	p.str(" /* ")
	p.num(int64(n))
	p.str(" entries */")
})

// inIovec is a vector of buffers to be written, whose count is argument n;
// outIovec one that was read into, as many bytes as the result says.
func inIovec(n int) kind {
	return kind{in: func(p *printer, i int) { p.iovec(p.args[i], p.args[n], ^uint64(0)) }}
}

func outIovec(n int) kind {
	return kind{out: func(p *printer, i int) {
		if p.failed() {
			p.iovecAddresses(p.args[i], p.args[n])
			return
		}
		p.iovec(p.args[i], p.args[n], p.ret)
	}}
}

func (p *printer) iovec(a, n, total uint64) {
	p.array(a, n, abi.SizeIovec, func(b []byte) {
		var v abi.Iovec
		v.Decode(b)
		p.str("{iov_base=")
		if k := min(v.Len, total); k == 0 && v.Base != 0 {
			p.str(`""`)
		} else {
			p.bytes(v.Base, k)
		}
		if total != ^uint64(0) {
			total -= min(v.Len, total)
		}
		p.str(", iov_len=")
		p.unum(v.Len)
		p.str("}")
	})
}

func (p *printer) iovecAddresses(a, n uint64) {
	p.array(a, n, abi.SizeIovec, func(b []byte) {
		var v abi.Iovec
		v.Decode(b)
		p.str("{iov_base=")
		p.ptr(v.Base)
		p.str(", iov_len=")
		p.unum(v.Len)
		p.str("}")
	})
}

// flockArg is fcntl's lock; whole says whether the kernel has filled it.
func (p *printer) flock(a uint64, get bool) {
	p.structure(a, abi.SizeFlock, func(p *printer, b []byte) {
		var f abi.Flock
		f.Decode(b)
		p.str("{l_type=")
		p.flags(uint64(uint16(f.Type)), &lockTypes)
		p.str(", l_whence=")
		p.flags(uint64(uint16(f.Whence)), &whence)
		p.field("l_start", f.Start)
		p.field("l_len", f.Len)
		if get {
			p.field("l_pid", int64(f.PID))
		}
		p.str("}")
	})
}

// fcntlArg is fcntl's third argument, whose meaning is the command's.
var fcntlArg = kind{
	in: func(p *printer, i int) {
		v := p.args[i]
		switch int32(p.args[1]) {
		case unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_SETPIPE_SZ, unix.F_SETOWN:
			p.num(int64(int32(v)))
		case 10: // F_SETSIG
			p.signal(int32(v))
		case unix.F_SETFD:
			p.flags(uint64(uint32(v)), &fdFlags)
		case unix.F_SETFL:
			p.openFlags(uint32(v))
		case unix.F_ADD_SEALS:
			p.flags(uint64(uint32(v)), &sealFlags)
		case unix.F_SETLEASE:
			p.flags(uint64(uint32(v)), &lockTypes)
		case unix.F_SETLK, unix.F_SETLKW, unix.F_OFD_SETLK, unix.F_OFD_SETLKW:
			p.flock(v, false)
		case unix.F_GETFD, unix.F_GETFL, unix.F_GETOWN, 11, unix.F_GETLEASE, unix.F_GETPIPE_SZ, unix.F_GET_SEALS,
			unix.F_GETLK, unix.F_OFD_GETLK:
		default:
			p.hex(v)
		}
	},
	out: func(p *printer, i int) {
		switch int32(p.args[1]) {
		case unix.F_GETLK, unix.F_OFD_GETLK:
			if p.failed() {
				p.ptr(p.args[i])
			} else {
				p.flock(p.args[i], true)
			}
		}
	},
}

// fcntlResult shows flags where the command asks for them.
func fcntlResult(p *printer, line []byte) []byte {
	var set *flagSet
	mode := false
	switch int32(p.args[1]) {
	case unix.F_GETFD:
		set = &fdFlags
	case unix.F_GETFL:
		set, mode = &openFlags, true
	case unix.F_GET_SEALS:
		set = &sealFlags
	case unix.F_GETLEASE:
		set = &lockTypes
	}
	if p.failed() || set == nil || p.ret == 0 && !mode {
		return decimal(p, line)
	}
	line = appendHex(line, p.ret)
	p.note(func() {
		p.str("flags ")
		if mode {
			p.openFlags(uint32(p.ret))
		} else {
			p.flags(p.ret, set)
		}
	})
	return line
}
