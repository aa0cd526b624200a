package strace

import (
	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
)

// named is a number with a name from set, which is noted.
func named(set *flagSet) result {
	return func(p *printer, line []byte) []byte {
		if name := set.name(p.ret); name != "" && !p.failed() {
			p.note(func() { p.str(name) })
		}
		return decimal(p, line)
	}
}

// signalResult is the number of a signal.
func signalResult(p *printer, line []byte) []byte {
	if !p.failed() {
		p.note(func() { p.signal(int32(p.ret)) })
	}
	return decimal(p, line)
}

// prctlResult has names for some commands.
func prctlResult(p *printer, line []byte) []byte {
	if int32(p.args[0]) == unix.PR_GET_DUMPABLE {
		return named(&dumpModes)(p, line)
	}
	return decimal(p, line)
}

// membarrierCPU counts only with a flag that says so.
var membarrierCPU = kind{in: func(p *printer, i int) {
	if p.args[1]&abi.MEMBARRIER_CMD_FLAG_CPU != 0 {
		p.num(int64(int32(p.args[i])))
	}
}}

// membarrierResult is a set of commands for those that ask for one.
func membarrierResult(p *printer, line []byte) []byte {
	if p.failed() || p.ret == 0 {
		return decimal(p, line)
	}
	p.note(func() { p.flags(p.ret, &membarriers) })
	return appendHex(line, p.ret)
}

// personaArg is a personality, or the question for it.
var personaArg = in(func(p *printer, v uint64) {
	if uint32(v) == 0xffffffff {
		p.hex(v)
		return
	}
	p.flags(uint64(uint32(v)), &personalities)
})

func personaResult(p *printer, line []byte) []byte {
	if p.failed() {
		return decimal(p, line)
	}
	p.note(func() { p.flags(p.ret, &personalities) })
	return appendHex(line, p.ret)
}
