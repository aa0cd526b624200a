package loader

import (
	"encoding/binary"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
)

// Linux's bounds of arguments and environment.
const (
	MaxArgLen = 32 * abi.PageSize // of one string, with its NUL (MAX_ARG_STRLEN)
	minArgs   = 128 << 10         // of all, however small the stack (ARG_MAX)
	maxArgs   = 6 << 20           // of all, however large the stack
)

// ArgLimit returns how many bytes all argument and environment strings may
// have together with their NULs, the path, and 8 bytes for each pointer, when
// RLIMIT_STACK is stackLimit. One who copies them from a guest keeps within
// it while copying.
func ArgLimit(stackLimit uint64) uint64 {
	return max(min(maxArgs, stackLimit/4), minArgs)
}

// CheckArgs returns E2BIG for strings that are more than Linux takes.
func CheckArgs(argv, envp []string, path string, stackLimit uint64) error {
	limit := ArgLimit(stackLimit)
	pointers := 8 * (uint64(max(len(argv), 1)) + uint64(len(envp)))
	if limit <= pointers {
		return invalid(syscall.E2BIG, "%d arguments and %d variables", len(argv), len(envp))
	}
	limit -= pointers
	total := uint64(len(path) + 1)
	for _, list := range [...][]string{argv, envp} {
		for _, s := range list {
			if len(s) >= MaxArgLen {
				return invalid(syscall.E2BIG, "argument of %d bytes", len(s))
			}
			total += uint64(len(s) + 1)
		}
	}
	if total > limit {
		return invalid(syscall.E2BIG, "%d bytes of arguments", total)
	}
	return nil
}

// Aux is what the auxiliary vector says (getauxval(3)). SysinfoEhdr,
// Minsigstksz, RseqFeatureSize and RseqAlign are left out when 0.
type Aux struct {
	SysinfoEhdr, Minsigstksz   uint64
	Hwcap, Hwcap2              uint64
	Phdr                       uint64
	Phnum                      int
	Base, Entry                uint64
	UID, EUID, GID, EGID       uint32
	Secure                     bool
	RseqFeatureSize, RseqAlign uint64
}

// StackInput is what a new program finds on its stack. An empty Argv becomes
// one empty string, as on Linux. Limit is RLIMIT_STACK's.
type StackInput struct {
	Argv, Envp []string
	Path       string // AT_EXECFN
	Random     [16]byte
	Aux        Aux
	Limit      uint64
}

// StackImage is a new program's stack: Data lies at SP and ends at the top.
// The ranges are addresses: what /proc/PID's cmdline, environ and auxv show.
type StackImage struct {
	SP                uint64
	Data              []byte
	ArgStart, ArgEnd  uint64
	EnvStart, EnvEnd  uint64
	AuxStart, AuxEnd  uint64
	Path, RandomBytes uint64
}

// platform is AT_PLATFORM's string.
const platform = "x86_64"

// Stack builds the stack that ends at top, a multiple of 16, as the x86-64
// ABI and Linux lay it out:
//
//	SP: argc, argv, NULL, envp, NULL, auxiliary vector
//	    random bytes, platform, strings of argv, of envp, path, NULL :top
//
// The only error is E2BIG.
func Stack(top uint64, in *StackInput) (*StackImage, error) {
	argv := in.Argv
	if len(argv) == 0 {
		argv = []string{""}
	}
	if err := CheckArgs(argv, in.Envp, in.Path, in.Limit); err != nil {
		return nil, err
	}
	argBytes, envBytes := stringBytes(argv), stringBytes(in.Envp)
	strings := argBytes + envBytes + uint64(len(in.Path)+1) + 8
	aux := auxv(&in.Aux)
	words := 1 + uint64(len(argv)+1) + uint64(len(in.Envp)+1) + 2*uint64(len(aux))

	// From the top down.
	s := &StackImage{}
	s.ArgStart = top - strings
	s.ArgEnd = s.ArgStart + argBytes
	s.EnvStart, s.EnvEnd = s.ArgEnd, s.ArgEnd+envBytes
	s.Path = s.EnvEnd
	platformAddr := s.ArgStart&^15 - uint64(len(platform)+1)
	s.RandomBytes = platformAddr - uint64(len(in.Random))
	s.SP = (s.RandomBytes - 8*words) &^ 15
	s.AuxEnd = s.SP + 8*words
	s.AuxStart = s.AuxEnd - 16*uint64(len(aux))
	if s.SP > top {
		return nil, invalid(syscall.E2BIG, "stack up to %#x", top)
	}

	s.Data = make([]byte, top-s.SP)
	w := writer{s.Data, 0}
	w.word(uint64(len(argv)))
	w.pointers(argv, s.ArgStart)
	w.pointers(in.Envp, s.EnvStart)
	for _, a := range aux {
		switch a.key {
		case abi.AT_RANDOM:
			a.value = s.RandomBytes
		case abi.AT_EXECFN:
			a.value = s.Path
		case abi.AT_PLATFORM:
			a.value = platformAddr
		}
		w.word(a.key)
		w.word(a.value)
	}
	copy(s.Data[s.RandomBytes-s.SP:], in.Random[:])
	copy(s.Data[platformAddr-s.SP:], platform)
	w.pos = int(s.ArgStart - s.SP)
	w.strings(argv)
	w.strings(in.Envp)
	w.strings([]string{in.Path})
	return s, nil
}

type auxEntry struct{ key, value uint64 }

// auxv is the vector in Linux's order, without the addresses on the stack.
func auxv(a *Aux) []auxEntry {
	secure := uint64(0)
	if a.Secure {
		secure = 1
	}
	v := make([]auxEntry, 0, 24)
	optional := func(key, value uint64) {
		if value != 0 {
			v = append(v, auxEntry{key, value})
		}
	}
	optional(abi.AT_SYSINFO_EHDR, a.SysinfoEhdr)
	optional(abi.AT_MINSIGSTKSZ, a.Minsigstksz)
	v = append(v,
		auxEntry{abi.AT_HWCAP, a.Hwcap},
		auxEntry{abi.AT_PAGESZ, abi.PageSize},
		auxEntry{abi.AT_CLKTCK, abi.ClockTicks},
		auxEntry{abi.AT_PHDR, a.Phdr},
		auxEntry{abi.AT_PHENT, phdrSize},
		auxEntry{abi.AT_PHNUM, uint64(a.Phnum)},
		auxEntry{abi.AT_BASE, a.Base},
		auxEntry{abi.AT_FLAGS, 0},
		auxEntry{abi.AT_ENTRY, a.Entry},
		auxEntry{abi.AT_UID, uint64(a.UID)},
		auxEntry{abi.AT_EUID, uint64(a.EUID)},
		auxEntry{abi.AT_GID, uint64(a.GID)},
		auxEntry{abi.AT_EGID, uint64(a.EGID)},
		auxEntry{abi.AT_SECURE, secure},
		auxEntry{abi.AT_RANDOM, 0},
		auxEntry{abi.AT_HWCAP2, a.Hwcap2},
		auxEntry{abi.AT_EXECFN, 0},
		auxEntry{abi.AT_PLATFORM, 0},
	)
	optional(abi.AT_RSEQ_FEATURE_SIZE, a.RseqFeatureSize)
	optional(abi.AT_RSEQ_ALIGN, a.RseqAlign)
	return append(v, auxEntry{abi.AT_NULL, 0})
}

func stringBytes(list []string) (n uint64) {
	for _, s := range list {
		n += uint64(len(s) + 1)
	}
	return n
}

// writer fills the stack upwards; it is made to measure.
type writer struct {
	b   []byte
	pos int
}

func (w *writer) word(x uint64) {
	binary.LittleEndian.PutUint64(w.b[w.pos:], x)
	w.pos += 8
}

// pointers writes the addresses of strings that lie one after the other from
// addr on, and NULL.
func (w *writer) pointers(list []string, addr uint64) {
	for _, s := range list {
		w.word(addr)
		addr += uint64(len(s) + 1)
	}
	w.word(0)
}

func (w *writer) strings(list []string) {
	for _, s := range list {
		w.pos += copy(w.b[w.pos:], s) + 1
	}
}
