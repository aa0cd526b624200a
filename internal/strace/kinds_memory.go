package strace

import (
	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
)

// mapFlagsArg are mmap's flags: a type and bits.
var mapFlagsArg = in(func(p *printer, v uint64) {
	p.flags(v&unix.MAP_TYPE, &mapTypes)
	if rest := v &^ unix.MAP_TYPE; rest != 0 {
		p.str("|")
		p.flags(rest, &mapFlags)
	}
})

// Of futex: what its arguments mean is the operation's.
var (
	futexOpArg = in(func(p *printer, v uint64) {
		op := uint32(v)
		name := futexOps.name(uint64(op &^ (abi.FUTEX_PRIVATE_FLAG | abi.FUTEX_CLOCK_REALTIME)))
		if name == "" {
			p.flags(uint64(op), &futexOps)
			return
		}
		p.str(name)
		if op&abi.FUTEX_PRIVATE_FLAG != 0 {
			p.str("_PRIVATE")
		}
		if op&abi.FUTEX_CLOCK_REALTIME != 0 {
			p.str("|FUTEX_CLOCK_REALTIME")
		}
	})
	futexValArg = kind{in: func(p *printer, i int) {
		if futexTakes(p.args[1]).val {
			p.unum(uint64(uint32(p.args[i])))
		}
	}}
	futexTimeoutArg = kind{in: func(p *printer, i int) {
		takes := futexTakes(p.args[1])
		switch {
		case takes.timeout:
			p.structure(p.args[i], abi.SizeTimespec, (*printer).timespec)
		case takes.val2:
			p.unum(uint64(uint32(p.args[i])))
		}
	}}
	futexAddr2Arg = kind{in: func(p *printer, i int) {
		if futexTakes(p.args[1]).addr2 {
			p.ptr(p.args[i])
		}
	}}
	futexVal3Arg = kind{in: func(p *printer, i int) {
		takes := futexTakes(p.args[1])
		v := uint32(p.args[i])
		switch {
		case takes.bitset && v == abi.FUTEX_BITSET_MATCH_ANY:
			p.str("FUTEX_BITSET_MATCH_ANY")
		case takes.bitset:
			p.hex(uint64(v))
		case takes.wakeOp:
			p.wakeOp(v)
		case takes.val3:
			p.unum(uint64(v))
		}
	}}
)

type futexArgs struct{ val, timeout, val2, addr2, val3, bitset, wakeOp bool }

func futexTakes(op uint64) futexArgs {
	switch uint32(op) &^ (abi.FUTEX_PRIVATE_FLAG | abi.FUTEX_CLOCK_REALTIME) {
	case abi.FUTEX_WAIT:
		return futexArgs{val: true, timeout: true}
	case abi.FUTEX_WAKE, abi.FUTEX_FD:
		return futexArgs{val: true}
	case abi.FUTEX_REQUEUE:
		return futexArgs{val: true, val2: true, addr2: true}
	case abi.FUTEX_CMP_REQUEUE, abi.FUTEX_CMP_REQUEUE_PI:
		return futexArgs{val: true, val2: true, addr2: true, val3: true}
	case abi.FUTEX_WAKE_OP:
		return futexArgs{val: true, val2: true, addr2: true, wakeOp: true}
	case abi.FUTEX_LOCK_PI, abi.FUTEX_LOCK_PI2:
		return futexArgs{timeout: true}
	case abi.FUTEX_UNLOCK_PI, abi.FUTEX_TRYLOCK_PI:
		return futexArgs{}
	case abi.FUTEX_WAIT_BITSET:
		return futexArgs{val: true, timeout: true, bitset: true}
	case abi.FUTEX_WAKE_BITSET:
		return futexArgs{val: true, bitset: true}
	case abi.FUTEX_WAIT_REQUEUE_PI:
		return futexArgs{val: true, timeout: true, addr2: true}
	}
	return futexArgs{val: true, timeout: true, addr2: true, val3: true}
}

// wakeOp prints FUTEX_WAKE_OP's operation and comparison.
func (p *printer) wakeOp(v uint32) {
	ops := [...]string{"FUTEX_OP_SET", "FUTEX_OP_ADD", "FUTEX_OP_OR", "FUTEX_OP_ANDN", "FUTEX_OP_XOR"}
	cmps := [...]string{"FUTEX_OP_CMP_EQ", "FUTEX_OP_CMP_NE", "FUTEX_OP_CMP_LT", "FUTEX_OP_CMP_LE", "FUTEX_OP_CMP_GT", "FUTEX_OP_CMP_GE"}
	if v>>31&1 != 0 {
		p.str("FUTEX_OP_OPARG_SHIFT<<28|")
	}
	part := func(names []string, i uint32, shift string) {
		if int(i) < len(names) {
			p.str(names[i])
		} else {
			p.hex(uint64(i))
		}
		p.str(shift)
	}
	part(ops[:], v>>28&7, "<<28|")
	p.hex(uint64(v >> 12 & 0xfff))
	p.str("<<12|")
	part(cmps[:], v>>24&15, "<<24|")
	p.hex(uint64(v & 0xfff))
}

// prctlArgs are those of the commands that have some; all others' are numbers.
func prctlArg(n int) kind {
	return kind{
		in: func(p *printer, i int) {
			v := p.args[i]
			switch op := int32(p.args[0]); {
			case op == unix.PR_SET_NAME && n == 1:
				p.cstring(v, abi.TaskCommLen-1)
			case op == unix.PR_SET_PDEATHSIG && n == 1:
				if v == 0 {
					p.str("0")
				} else {
					p.signal(int32(v))
				}
			case n > prctlCount(op):
			case prctlOut(op):
			case op == unix.PR_SET_VMA && n == 1 && v == unix.PR_SET_VMA_ANON_NAME:
				p.str("PR_SET_VMA_ANON_NAME")
			case op == unix.PR_SET_VMA && n == 3:
				p.unum(v)
			case op == unix.PR_SET_VMA && n == 4:
				p.cstring(v, abi.AnonNameLen)
			case op == unix.PR_SET_VMA:
				p.hex(v)
			case op == unix.PR_CAPBSET_READ || op == unix.PR_CAPBSET_DROP:
				p.flags(v, &capabilities)
			case op == unix.PR_SET_DUMPABLE:
				p.flags(v, &dumpModes)
			case op == unix.PR_SET_NO_NEW_PRIVS || op == unix.PR_SET_CHILD_SUBREAPER || op == unix.PR_SET_TIMERSLACK:
				p.unum(v)
			default:
				p.hex(v)
			}
		},
		out: func(p *printer, i int) {
			op := int32(p.args[0])
			switch {
			case n != 1 || !prctlOut(op):
			case p.failed():
				p.ptr(p.args[i])
			case op == unix.PR_GET_NAME:
				p.cstring(p.args[i], abi.TaskCommLen-1)
			case op == unix.PR_GET_TID_ADDRESS:
				p.ptrAt(p.args[i])
			default:
				p.intAt(p.args[i])
			}
		},
	}
}

func prctlOut(op int32) bool {
	switch op {
	case unix.PR_GET_NAME, unix.PR_GET_PDEATHSIG, unix.PR_GET_CHILD_SUBREAPER, unix.PR_GET_TID_ADDRESS, unix.PR_GET_TSC:
		return true
	}
	return false
}

// prctlCount is how many arguments a command has.
func prctlCount(op int32) int {
	switch op {
	case unix.PR_GET_DUMPABLE, unix.PR_GET_KEEPCAPS, unix.PR_GET_SECCOMP, unix.PR_GET_SECUREBITS, unix.PR_GET_TIMERSLACK, unix.PR_GET_TIMING:
		return 0
	case unix.PR_SET_DUMPABLE, unix.PR_SET_KEEPCAPS, unix.PR_CAPBSET_READ, unix.PR_CAPBSET_DROP, unix.PR_SET_TIMERSLACK,
		unix.PR_SET_CHILD_SUBREAPER, unix.PR_GET_CHILD_SUBREAPER, unix.PR_GET_NAME, unix.PR_SET_NAME, unix.PR_SET_PDEATHSIG,
		unix.PR_GET_PDEATHSIG, unix.PR_GET_TID_ADDRESS, unix.PR_GET_TSC, unix.PR_SET_TSC, unix.PR_SET_SECUREBITS, unix.PR_SET_PTRACER:
		return 1
	}
	return 4
}

// ptrAt prints the address at v: [0x7f0000001000].
func (p *printer) ptrAt(v uint64) {
	if a, ok := p.word(v); ok {
		p.str("[")
		p.ptr(a)
		p.str("]")
		return
	}
	p.ptr(v)
}

// archPrctlArg is an address, of a result for the commands that get one.
var archPrctlArg = kind{
	in: func(p *printer, i int) {
		switch p.args[0] {
		case abi.ARCH_GET_FS, abi.ARCH_GET_GS, abi.ARCH_GET_XCOMP_SUPP, abi.ARCH_GET_XCOMP_PERM, abi.ARCH_SHSTK_STATUS:
		default:
			p.hex(p.args[i])
		}
	},
	out: func(p *printer, i int) {
		switch p.args[0] {
		case abi.ARCH_GET_FS, abi.ARCH_GET_GS, abi.ARCH_GET_XCOMP_SUPP, abi.ARCH_GET_XCOMP_PERM, abi.ARCH_SHSTK_STATUS:
			if p.failed() {
				p.ptr(p.args[i])
			} else {
				p.ptrAt(p.args[i])
			}
		}
	},
}
