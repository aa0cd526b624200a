package loader_test

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/loader"
)

// programs are files of this machine, and small ones built for the test.
func programs(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, f := range []string{"/bin/true", "/bin/bash", "/bin/cat", "/lib64/ld-linux-x86-64.so.2"} {
		if _, err := os.Stat(f); err == nil {
			list = append(list, f)
		}
	}
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Log("no C compiler: fewer programs")
		return list
	}
	dir := t.TempDir()
	src := filepath.Join(dir, "p.c")
	if err := os.WriteFile(src, []byte("int big[100000]; int x = 1; int main(void) { return big[x]; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, flags := range []string{"-static", "-static-pie", "-no-pie", "-pie", "-no-pie -z execstack", "-static -Wl,-z,noseparate-code", "-pie -Wl,-z,max-page-size=0x200000"} {
		out := filepath.Join(dir, strings.ReplaceAll(flags, " ", ""))
		cmd := exec.Command(gcc, append(strings.Fields(flags), "-w", "-o", out, src)...)
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Logf("gcc %s: %v: %s", flags, err, msg)
			continue
		}
		list = append(list, out)
	}
	return list
}

// TestRealPrograms compares with what debug/elf reads.
func TestRealPrograms(t *testing.T) {
	t.Parallel()
	for _, name := range programs(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			st, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			img, err := loader.Parse(f, st.Size())
			if err != nil {
				t.Fatal(err)
			}
			want, err := elf.NewFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if img.Entry != want.Entry || img.Dyn != (want.Type == elf.ET_DYN) || img.Phnum != len(want.Progs) {
				t.Errorf("image %+v, want %+v", img, want.FileHeader)
			}
			loads, interp, execStack := 0, "", false
			for _, p := range want.Progs {
				switch p.Type {
				case elf.PT_LOAD:
					s := img.Segments[loads]
					loads++
					if s.Vaddr != p.Vaddr || s.Memsz != p.Memsz || s.Off != p.Off || s.Filesz != p.Filesz || s.Prot != prot(p.Flags) {
						t.Errorf("segment %+v, want %+v", s, p.ProgHeader)
					}
				case elf.PT_PHDR:
					if img.Phdr != p.Vaddr {
						t.Errorf("program headers at %#x, want %#x", img.Phdr, p.Vaddr)
					}
				case elf.PT_INTERP:
					b := make([]byte, p.Filesz-1)
					if _, err := p.ReadAt(b, 0); err != nil {
						t.Fatal(err)
					}
					interp = string(b)
				case elf.PT_GNU_STACK:
					execStack = p.Flags&elf.PF_X != 0
				}
			}
			if loads != len(img.Segments) || interp != img.Interp || execStack != img.ExecStack {
				t.Errorf("%d segments, interpreter %q, executable stack %v", len(img.Segments), img.Interp, img.ExecStack)
			}
			checkBytes(t, f, img, want)
		})
	}
}

func prot(f elf.ProgFlag) (p int) {
	if f&elf.PF_R != 0 {
		p |= unix.PROT_READ
	}
	if f&elf.PF_W != 0 {
		p |= unix.PROT_WRITE
	}
	if f&elf.PF_X != 0 {
		p |= unix.PROT_EXEC
	}
	return p
}

// checkBytes carries the plan out in a map of bytes and compares the memory
// with what the segments say.
func checkBytes(t *testing.T, f *os.File, img *loader.Image, want *elf.File) {
	t.Helper()
	bias := img.BiasFor(0x5555_5555_4000)
	p, err := loader.NewPlan(img, bias, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	checkPlan(t, p)
	pages := map[uint64][]byte{}
	for _, o := range p.Ops {
		b := make([]byte, o.Len)
		if o.From == loader.MainFile {
			// The last page may be cut: the rest of it is 0.
			_, _ = f.ReadAt(b, o.Off)
		}
		if o.ZeroLen > 0 {
			clear(b[o.Zero-o.Addr:][:o.ZeroLen])
		}
		for a := uint64(0); a < o.Len; a += 4096 {
			pages[o.Addr+a] = b[a : a+4096]
		}
	}
	for _, s := range want.Progs {
		if s.Type != elf.PT_LOAD {
			continue
		}
		mem := make([]byte, s.Memsz)
		if _, err := s.ReadAt(mem[:s.Filesz], 0); err != nil && s.Filesz > 0 {
			t.Fatal(err)
		}
		got := make([]byte, 0, s.Memsz)
		for a := s.Vaddr + bias; a < s.Vaddr+bias+s.Memsz; a = a&^4095 + 4096 {
			page, ok := pages[a&^4095]
			if !ok {
				t.Fatalf("nothing at %#x", a)
			}
			got = append(got, page[a&4095:]...)
		}
		if !bytes.Equal(got[:s.Memsz], mem) {
			t.Errorf("the memory at %#x is not the segment's", s.Vaddr)
		}
	}
}

// TestPlanAsTheHost compares a plan with where the host has put a program.
func TestPlanAsTheHost(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("/bin/cat", "/proc/self/maps", "/proc/self/auxv").Output()
	if err != nil {
		t.Skip(err)
	}
	type mapping struct {
		addr, end uint64
		off       int64
	}
	exe, err := filepath.EvalSymlinks("/bin/cat")
	if err != nil {
		t.Fatal(err)
	}
	maps := map[string][]mapping{}
	end := bytes.LastIndex(out, []byte("[vsyscall]\n"))
	if end < 0 {
		end = bytes.LastIndex(out, []byte("[vdso]\n"))
	}
	lines := bufio.NewScanner(bytes.NewReader(out[:end]))
	for lines.Scan() {
		var m mapping
		var perm, dev, ino, path string
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x %s %x %s %s %s", &m.addr, &m.end, &perm, &m.off, &dev, &ino, &path); n == 7 {
			maps[path] = append(maps[path], m)
		}
	}
	aux := map[uint64]uint64{}
	for b := out[bytes.IndexByte(out[end:], '\n')+end+1:]; len(b) >= 16; b = b[16:] {
		aux[binary.LittleEndian.Uint64(b)] = binary.LittleEndian.Uint64(b[8:])
	}
	open := func(name string, parse func(f *os.File, size int64) (*loader.Image, error)) *loader.Image {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		img, err := parse(f, st.Size())
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	main := open(exe, func(f *os.File, n int64) (*loader.Image, error) { return loader.Parse(f, n) })
	ld, err := filepath.EvalSymlinks(main.Interp)
	if err != nil {
		t.Skip(err)
	}
	interp := open(ld, func(f *os.File, n int64) (*loader.Image, error) { return loader.ParseInterp(f, n) })
	if len(maps[exe]) == 0 || len(maps[ld]) == 0 {
		t.Skipf("%s and %s are not in the map:\n%s", exe, ld, out[:end])
	}
	p, err := loader.NewPlan(main, main.BiasFor(maps[exe][0].addr), interp, interp.BiasFor(maps[ld][0].addr))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range p.Ops {
		list := maps[exe]
		switch o.From {
		case loader.Anonymous:
			continue
		case loader.InterpFile:
			list = maps[ld]
		}
		for a := o.Addr; a < o.End(); a += 4096 {
			found := false
			for _, m := range list {
				found = found || a >= m.addr && a < m.end && m.off+int64(a-m.addr) == o.Off+int64(a-o.Addr)
			}
			if !found {
				t.Errorf("the host maps something else at %#x than %+v", a, o)
			}
		}
	}
	if aux[abi.AT_PHDR] != p.Phdr || aux[abi.AT_PHNUM] != uint64(p.Phnum) || aux[abi.AT_ENTRY] != p.Entry || aux[abi.AT_BASE] != p.Base {
		t.Errorf("the host's auxiliary vector is %#x, the plan %+v", aux, p)
	}
}
