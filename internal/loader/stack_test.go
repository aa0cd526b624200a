package loader_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/loader"
)

// stackView reads a stack as a program does.
type stackView struct {
	*loader.StackImage
	t *testing.T
}

func (v stackView) word(addr uint64) uint64 {
	v.t.Helper()
	if addr < v.SP || addr+8 > v.SP+uint64(len(v.Data)) {
		v.t.Fatalf("%#x is not on the stack", addr)
	}
	return binary.LittleEndian.Uint64(v.Data[addr-v.SP:])
}

func (v stackView) str(addr uint64) string {
	v.t.Helper()
	if addr < v.SP || addr >= v.SP+uint64(len(v.Data)) {
		v.t.Fatalf("%#x is not on the stack", addr)
	}
	b := v.Data[addr-v.SP:]
	n := bytes.IndexByte(b, 0)
	if n < 0 {
		v.t.Fatalf("the string at %#x has no end", addr)
	}
	return string(b[:n])
}

// program reads argv, envp and the auxiliary vector.
func (v stackView) program() (argv, envp []string, aux map[uint64]uint64, keys []uint64) {
	v.t.Helper()
	argc := v.word(v.SP)
	p := v.SP + 8
	list := func() (l []string) {
		for ; v.word(p) != 0; p += 8 {
			l = append(l, v.str(v.word(p)))
		}
		p += 8
		return l
	}
	argv, envp = list(), list()
	if uint64(len(argv)) != argc {
		v.t.Errorf("argc %d, %d arguments", argc, len(argv))
	}
	if p != v.AuxStart {
		v.t.Errorf("auxiliary vector at %#x, not %#x", p, v.AuxStart)
	}
	aux = map[uint64]uint64{}
	for {
		key, value := v.word(p), v.word(p+8)
		p += 16
		if key == abi.AT_NULL {
			break
		}
		aux[key] = value
		keys = append(keys, key)
	}
	if p != v.AuxEnd {
		v.t.Errorf("auxiliary vector ends at %#x, not %#x", p, v.AuxEnd)
	}
	return argv, envp, aux, keys
}

func TestStack(t *testing.T) {
	const top = 0x7fff_ffff_0000
	for _, argv := range [][]string{{"prog"}, {"prog", "", "long argument"}, {}, {"a", "b", "c", "d", "e"}} {
		for _, envp := range [][]string{nil, {"A=1"}, {"A=1", "", "B=2"}} {
			in := &loader.StackInput{
				Argv: argv, Envp: envp, Path: "/bin/prog", Random: [16]byte{1, 2, 15: 16}, Limit: 8 << 20,
				Aux: loader.Aux{SysinfoEhdr: 0x1000, Minsigstksz: 3632, Hwcap: 5, Hwcap2: 6, Phdr: 0x40, Phnum: 7,
					Base: 8, Entry: 9, UID: 10, EUID: 11, GID: 12, EGID: 13, Secure: true, RseqFeatureSize: 28, RseqAlign: 32},
			}
			s, err := loader.Stack(top, in)
			if err != nil {
				t.Fatal(err)
			}
			if s.SP%16 != 0 || s.SP+uint64(len(s.Data)) != top {
				t.Errorf("stack of %d bytes at %#x", len(s.Data), s.SP)
			}
			v := stackView{s, t}
			gotArgv, gotEnvp, aux, keys := v.program()
			if len(argv) == 0 {
				argv = []string{""}
			}
			if !slices.Equal(gotArgv, argv) || !slices.Equal(gotEnvp, envp) {
				t.Errorf("argv %q, envp %q", gotArgv, gotEnvp)
			}
			if v.str(aux[abi.AT_EXECFN]) != "/bin/prog" || v.str(aux[abi.AT_PLATFORM]) != "x86_64" ||
				v.word(aux[abi.AT_RANDOM]) != 0x0201 || aux[abi.AT_EXECFN] != s.Path || aux[abi.AT_RANDOM] != s.RandomBytes {
				t.Errorf("auxiliary vector %v", aux)
			}
			for _, k := range []uint64{abi.AT_EXECFN, abi.AT_PLATFORM, abi.AT_RANDOM} {
				delete(aux, k)
			}
			want := map[uint64]uint64{33: 0x1000, 51: 3632, 16: 5, 26: 6, 3: 0x40, 4: 56, 5: 7, 6: 4096, 7: 8, 8: 0, 9: 9,
				11: 10, 12: 11, 13: 12, 14: 13, 17: 100, 23: 1, 27: 28, 28: 32}
			if !maps.Equal(aux, want) {
				t.Errorf("auxiliary vector %v, want %v", aux, want)
			}
			if !slices.Equal(keys, []uint64{33, 51, 16, 6, 17, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14, 23, 25, 26, 31, 15, 27, 28}) {
				t.Errorf("in the order %v", keys)
			}
			cmdline := string(s.Data[s.ArgStart-s.SP : s.ArgEnd-s.SP])
			environ := string(s.Data[s.EnvStart-s.SP : s.EnvEnd-s.SP])
			if cmdline != strings.Join(argv, "\x00")+"\x00" || len(envp) > 0 && environ != strings.Join(envp, "\x00")+"\x00" {
				t.Errorf("cmdline %q, environ %q", cmdline, environ)
			}
		}
	}
	s, err := loader.Stack(top, &loader.StackInput{Argv: []string{"x"}})
	if err != nil {
		t.Fatal(err)
	}
	_, _, aux, _ := stackView{s, t}.program()
	for _, k := range []uint64{abi.AT_SYSINFO_EHDR, abi.AT_MINSIGSTKSZ, abi.AT_RSEQ_ALIGN, abi.AT_RSEQ_FEATURE_SIZE} {
		if _, ok := aux[k]; ok {
			t.Errorf("key %d without a value", k)
		}
	}
	for top := uint64(0); top <= 256; top += 16 {
		if _, err := loader.Stack(top, &loader.StackInput{}); !errors.Is(err, syscall.E2BIG) {
			t.Errorf("a stack ends at %d: %v", top, err)
		}
	}
}

func TestArgLimits(t *testing.T) {
	for stack, want := range map[uint64]uint64{
		0: 128 << 10, 512 << 10: 128 << 10, 8 << 20: 2 << 20, 24 << 20: 6 << 20, 1 << 40: 6 << 20, ^uint64(0): 6 << 20,
	} {
		if got := loader.ArgLimit(stack); got != want {
			t.Errorf("limit of a stack of %d is %d, want %d", stack, got, want)
		}
	}
	longest := strings.Repeat("x", loader.MaxArgLen-1)
	many := func(n int, s string) []string { return slices.Repeat([]string{s}, n) }
	for _, c := range []struct {
		name       string
		argv, envp []string
		limit      uint64
		want       error
	}{
		{"longest argument", []string{longest}, nil, 8 << 20, nil},
		{"too long an argument", []string{longest + "x"}, nil, 8 << 20, syscall.E2BIG},
		{"too long a variable", nil, []string{longest + "x"}, 8 << 20, syscall.E2BIG},
		{"longest argument on a small stack", []string{longest}, nil, 0, syscall.E2BIG},
		// 128 KiB = 13107 * (8 + 2) + 2, and "p" with its NUL are 2.
		{"all of the limit", many(13107, "x"), nil, 0, nil},
		{"one byte over the limit", append(many(13106, "x"), "xx"), nil, 0, syscall.E2BIG},
		{"both count", many(6553, "x"), append(many(6553, "x"), "xx"), 0, syscall.E2BIG},
		{"pointers alone", many(1<<14, ""), nil, 0, syscall.E2BIG},
		{"no argument counts as one", nil, many(13106, "x"), 0, nil},
	} {
		if err := loader.CheckArgs(c.argv, c.envp, "p", c.limit); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if _, err := loader.Stack(1<<40, &loader.StackInput{Argv: c.argv, Envp: c.envp, Path: "p", Limit: c.limit}); !errors.Is(err, c.want) {
			t.Errorf("%s: stack: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestArgLimitsAsTheHost looks for the host's limits at ours.
func TestArgLimitsAsTheHost(t *testing.T) {
	const path = "/bin/true"
	for _, n := range []int{loader.MaxArgLen - 1, loader.MaxArgLen} {
		arg := strings.Repeat("x", n)
		ours := loader.CheckArgs([]string{path, arg}, nil, path, 8<<20)
		host := exec.Command(path, arg).Run()
		if (ours == nil) != (host == nil) || ours != nil && !errors.Is(host, syscall.E2BIG) {
			t.Errorf("argument of %d bytes: %v, the host says %v", n, ours, host)
		}
	}
}
