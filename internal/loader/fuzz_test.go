package loader_test

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/loader"
)

// Most of what Parse may read: the ELF header, the program headers, the
// interpreter's path.
const mostRead = 64 + 65536 + 4096

func FuzzParse(f *testing.F) {
	for _, e := range []*elfFile{simple(), dynamic(), {}} {
		for _, n := range []int{0x2000, 400, 100, 64, 10, 0} {
			b := e.bytes()
			f.Add(b[:min(n, len(b))], uint64(0), uint64(0))
			f.Add(b[:min(n, len(b))], uint64(0x555555554000), uint64(0x7dffffff0000))
		}
	}
	// Segments over each other, in no order.
	e := simple()
	for i := range 12 {
		s := e.phs[i%2]
		s.vaddr += uint64(i*7%5) << 12
		s.memsz += uint64(i) << 11
		e.phs = append(e.phs, s)
	}
	f.Add(e.bytes(), uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, base, interpBase uint64) {
		file := newMeter(b)
		img, err := loader.Parse(file, int64(len(b)))
		if file.read > mostRead {
			t.Fatalf("read %d bytes", file.read)
		}
		interp, ierr := loader.ParseInterp(newMeter(b), int64(len(b)))
		if err != nil {
			if !errors.Is(err, syscall.ENOEXEC) && !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.EIO) {
				t.Fatalf("error %v", err)
			}
			if ierr != nil && !errors.Is(ierr, syscall.ELIBBAD) && !errors.Is(ierr, syscall.EIO) {
				t.Fatalf("as interpreter: error %v", ierr)
			}
			return
		}
		if ierr != nil {
			t.Fatalf("a program, but not an interpreter: %v", ierr)
		}
		if a := img.Align; a < 4096 || a&(a-1) != 0 {
			t.Fatalf("aligned to %#x", a)
		}
		low, _ := img.Span()
		bias := img.BiasFor(base)
		if img.Dyn && (bias+low)&(img.Align-1) != 0 {
			t.Fatalf("bias %#x is not aligned to %#x", bias, img.Align)
		}
		for _, i := range []*loader.Image{nil, interp} {
			p, err := loader.NewPlan(img, bias, i, interp.BiasFor(interpBase))
			if err == nil {
				checkPlan(t, p)
			} else if !errors.Is(err, syscall.ENOMEM) {
				t.Fatalf("error %v", err)
			}
		}
	})
}

func FuzzScript(f *testing.F) {
	for _, s := range scripts {
		f.Add([]byte(s.head))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		interp, args, ok, err := loader.Script(head)
		switch {
		case ok != bytes.HasPrefix(head, []byte("#!")):
			t.Fatalf("a script: %v", ok)
		case err != nil && !errors.Is(err, syscall.ENOEXEC):
			t.Fatalf("error %v", err)
		case (err != nil || !ok) && (interp != "" || args != nil):
			t.Fatalf("%q %q with %v %v", interp, args, ok, err)
		case len(args) > 1:
			t.Fatalf("%d arguments", len(args))
		case strings.ContainsAny(interp, " \t\n\x00"):
			t.Fatalf("interpreter %q", interp)
		case len(args) == 1 && strings.ContainsAny(args[0], "\n\x00"):
			t.Fatalf("argument %q", args[0])
		}
		n := min(len(head), loader.ScriptHead)
		if !bytes.Contains(head[:n], []byte(interp)) || len(args) == 1 && !bytes.Contains(head[:n], []byte(args[0])) {
			t.Fatalf("%q and %q are not in the file", interp, args)
		}
	})
}

func FuzzStack(f *testing.F) {
	f.Add("prog\narg", "A=1\nB=2", "/bin/prog", uint64(0x7fffffff0000), uint64(8<<20))
	f.Add("", "", "", uint64(0), uint64(0))
	f.Add(strings.Repeat("\n", 1<<15), "x", "p", uint64(1<<40), uint64(0))
	f.Fuzz(func(t *testing.T, argv, envp, path string, top, limit uint64) {
		top &^= 15
		split := func(s string) []string {
			return strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == 0 })
		}
		in := &loader.StackInput{Argv: split(argv), Envp: split(envp), Path: path, Limit: limit}
		s, err := loader.Stack(top, in)
		if err != nil {
			if !errors.Is(err, syscall.E2BIG) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if uint64(len(s.Data)) > loader.ArgLimit(limit)+1024 || s.SP+uint64(len(s.Data)) != top || s.SP%16 != 0 {
			t.Fatalf("stack of %d bytes at %#x, top %#x", len(s.Data), s.SP, top)
		}
		gotArgv, gotEnvp, _, _ := stackView{s, t}.program()
		if len(gotArgv) != max(len(in.Argv), 1) || len(gotEnvp) != len(in.Envp) {
			t.Fatalf("argv %q, envp %q", gotArgv, gotEnvp)
		}
		for i, a := range in.Argv {
			if gotArgv[i] != a {
				t.Fatalf("argument %d is %q, want %q", i, gotArgv[i], a)
			}
		}
	})
}
