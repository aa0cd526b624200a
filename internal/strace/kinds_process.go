package strace

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
)

// inArgv is an array of strings; inEnviron one of which only the number is
// printed.
var inArgv = in(func(p *printer, v uint64) {
	if v == 0 {
		p.str("NULL")
		return
	}
	start := len(p.buf)
	p.str("[")
	for i := range uint64(maxArray + 1) {
		s, ok := p.word(v + 8*i)
		if !ok && i == 0 {
			p.buf = p.buf[:start]
			p.ptr(v)
			return
		}
		if s == 0 && ok {
			break
		}
		if i > 0 {
			p.str(", ")
		}
		if !ok || i == maxArray {
			p.str("...")
			break
		}
		p.cstring(s, maxString)
	}
	p.str("]")
})

var inEnviron = in(func(p *printer, v uint64) {
	p.ptr(v)
	if v == 0 {
		return
	}
	n, ok := p.countWords(v)
	switch {
	case !ok:
	case n == 1:
		p.comment("1 var")
	default:
		p.str(" /* ")
		p.unum(n)
		p.str(" vars */")
	}
})

// countWords counts the words at a up to one that is 0.
func (p *printer) countWords(a uint64) (n uint64, ok bool) {
	var b [512]byte
	const most = 1 << 16
	for n < most {
		at := a + 8*n
		// To the end of the page at most, as the next may not be there.
		chunk := b[:min(uint64(len(b)), max(8, (abi.PageSize-at%abi.PageSize)&^7))]
		if !p.read(at, chunk) {
			return 0, false
		}
		for ; len(chunk) > 0; chunk = chunk[8:] {
			if le.Uint64(chunk) == 0 {
				return n, true
			}
			n++
		}
	}
	return 0, false
}

// outStatus is what wait4 says of a child.
var outStatus = out(func(p *printer, v uint64) {
	w, ok := p.word32(v)
	if !ok || p.ret == 0 {
		p.ptr(v)
		return
	}
	s := syscall.WaitStatus(w)
	p.str("[{")
	switch {
	case s.Exited():
		p.str("WIFEXITED(s) && WEXITSTATUS(s) == ")
		p.num(int64(s.ExitStatus()))
	case s.Stopped():
		p.str("WIFSTOPPED(s) && WSTOPSIG(s) == ")
		p.signal(int32(s.StopSignal()))
	case s.Continued():
		p.str("WIFCONTINUED(s)")
	case s.Signaled():
		p.str("WIFSIGNALED(s) && WTERMSIG(s) == ")
		p.signal(int32(s.Signal()))
		if s.CoreDump() {
			p.str(" && WCOREDUMP(s)")
		}
	default:
		p.hex(uint64(w))
	}
	p.str("}]")
})

var outRusage = outStruct(abi.SizeRusage, func(p *printer, b []byte) {
	p.str("{ru_utime=")
	p.timeval(b)
	p.str(", ru_stime=")
	p.timeval(b[16:])
	p.str(", ...}")
})

var (
	inRlimit  = inStruct(abi.SizeRlimit, (*printer).rlimit)
	outRlimit = outStruct(abi.SizeRlimit, (*printer).rlimit)
)

func (p *printer) rlimit(b []byte) {
	var r abi.Rlimit
	r.Decode(b)
	one := func(v uint64) {
		switch {
		case v == ^uint64(0):
			p.str("RLIM64_INFINITY")
		case v > 1024 && v%1024 == 0:
			p.unum(v / 1024)
			p.str("*1024")
		default:
			p.unum(v)
		}
	}
	p.str("{rlim_cur=")
	one(r.Cur)
	p.str(", rlim_max=")
	one(r.Max)
	p.str("}")
}

var outUtsname = outStruct(130, func(p *printer, b []byte) {
	name := func(b []byte) {
		for i, c := range b {
			if c == 0 {
				b = b[:i]
				break
			}
		}
		p.buf = appendQuoted(p.buf, b, false)
	}
	p.str("{sysname=")
	name(b[:65])
	p.str(", nodename=")
	name(b[65:])
	p.str(", ...}")
})

var outSysinfo = outStruct(abi.SizeSysinfo, func(p *printer, b []byte) {
	word := func(i int) uint64 { return le.Uint64(b[8*i:]) }
	p.str("{uptime=")
	p.unum(word(0))
	p.str(", loads=[")
	p.unum(word(1))
	p.str(", ")
	p.unum(word(2))
	p.str(", ")
	p.unum(word(3))
	p.str("]")
	for i, name := range [...]string{"totalram", "freeram", "sharedram", "bufferram", "totalswap", "freeswap"} {
		p.field(name, int64(word(4+i)))
	}
	p.field("procs", int64(le.Uint16(b[80:])))
	p.field("totalhigh", int64(word(11)))
	p.field("freehigh", int64(word(12)))
	p.field("mem_unit", int64(le.Uint32(b[104:])))
	p.str("}")
})

// Of clone: its arguments are printed with their names, in another order.
var (
	cloneFlagsArg = in(func(p *printer, v uint64) {
		p.str("flags=")
		p.cloneFlags(v &^ 0xff)
		if sig := int32(v & 0xff); sig != 0 {
			if v&^0xff != 0 {
				p.str("|")
			} else {
				p.buf = p.buf[:len(p.buf)-1]
			}
			p.signal(sig)
		}
	})
	cloneStackArg = in(func(p *printer, v uint64) {
		p.str("child_stack=")
		p.ptr(v)
	})
	cloneParentArg = kind{out: func(p *printer, i int) {
		if p.args[0]&(unix.CLONE_PARENT_SETTID|unix.CLONE_PIDFD) == 0 {
			return
		}
		p.str("parent_tid=")
		if p.failed() {
			p.ptr(p.args[i])
		} else {
			p.intAt(p.args[i])
		}
	}}
	cloneTLSArg = kind{in: func(p *printer, i int) {
		if p.args[0]&unix.CLONE_SETTLS != 0 {
			p.str("tls=")
			p.hex(p.args[i])
		}
	}}
	cloneChildArg = kind{in: func(p *printer, i int) {
		if p.args[0]&(unix.CLONE_CHILD_SETTID|unix.CLONE_CHILD_CLEARTID) != 0 {
			p.str("child_tidptr=")
			p.ptr(p.args[i])
		}
	}}
)

func (p *printer) cloneFlags(v uint64) { p.flags(v, &cloneFlags) }

// clone3Args is clone_args, whose size is argument 1.
var clone3Args = kind{
	in: func(p *printer, i int) {
		var b [abi.SizeCloneArgsVer2]byte
		n := min(p.args[1], uint64(len(b)))
		var a abi.CloneArgs
		if !p.read(p.args[i], b[:n]) || a.Decode(b[:n]) != nil {
			p.ptr(p.args[i])
			return
		}
		p.str("{flags=")
		p.cloneFlags(a.Flags)
		optional := func(flag uint64, name string, v uint64) {
			if a.Flags&flag != 0 {
				p.str(name)
				p.ptr(v)
			}
		}
		optional(unix.CLONE_PIDFD, ", pidfd=", a.Pidfd)
		optional(unix.CLONE_CHILD_SETTID|unix.CLONE_CHILD_CLEARTID, ", child_tid=", a.ChildTID)
		optional(unix.CLONE_PARENT_SETTID, ", parent_tid=", a.ParentTID)
		p.str(", exit_signal=")
		if a.ExitSignal == 0 {
			p.str("0")
		} else {
			p.signal(int32(a.ExitSignal))
		}
		p.str(", stack=")
		p.ptr(a.Stack)
		p.str(", stack_size=")
		p.hex(a.StackSize)
		optional(unix.CLONE_SETTLS, ", tls=", a.TLS)
		if a.SetTIDSize > 0 {
			p.str(", set_tid=")
			p.array(a.SetTID, a.SetTIDSize, 4, func(b []byte) { p.num(int64(int32(le.Uint32(b)))) })
			p.str(", set_tid_size=")
			p.unum(a.SetTIDSize)
		}
		optional(unix.CLONE_INTO_CGROUP, ", cgroup=", a.Cgroup)
		p.str("}")
	},
	out: func(p *printer, i int) {
		var b [abi.SizeCloneArgsVer0]byte
		var a abi.CloneArgs
		if p.failed() || !p.read(p.args[i], b[:]) || a.Decode(b[:]) != nil {
			return
		}
		if a.Flags&unix.CLONE_PARENT_SETTID != 0 {
			p.str(" => {parent_tid=")
			p.intAt(a.ParentTID)
			p.str("}")
		}
	},
}

// outCPUs is sched_getaffinity's mask, as long as the result; inCPUs
// sched_setaffinity's, as long as argument 1.
var (
	outCPUs = out(func(p *printer, v uint64) { p.cpus(v, p.ret) })
	inCPUs  = kind{in: func(p *printer, i int) { p.cpus(p.args[i], p.args[1]) }}
)

func (p *printer) cpus(a, n uint64) {
	var b [128]byte
	n = min(n, uint64(len(b)))
	if !p.fetch(a, b[:n]) {
		return
	}
	p.str("[")
	first := true
	for i := range 8 * int(n) {
		if b[i/8]>>(i%8)&1 == 0 {
			continue
		}
		if !first {
			p.str(" ")
		}
		first = false
		p.num(int64(i))
	}
	p.str("]")
}

var (
	inSchedParam  = inStruct(abi.SizeSchedParam, (*printer).schedParam)
	outSchedParam = outStruct(abi.SizeSchedParam, (*printer).schedParam)
)

func (p *printer) schedParam(b []byte) {
	p.str("[")
	p.num(int64(int32(le.Uint32(b))))
	p.str("]")
}

// groups is a list of user or group ids, as many as argument 0 says.
var inGroups = kind{in: func(p *printer, i int) { p.ids(p.args[i], p.args[0]) }}

var outGroups = kind{out: func(p *printer, i int) {
	if p.failed() {
		p.ptr(p.args[i])
		return
	}
	p.ids(p.args[i], p.ret)
}}

func (p *printer) ids(a, n uint64) {
	p.array(a, n, 4, func(b []byte) { p.id(le.Uint32(b)) })
}
