package loader_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/loader"
)

func parse(b []byte) (*loader.Image, error) {
	return loader.Parse(bytes.NewReader(b), int64(len(b)))
}

func TestParse(t *testing.T) {
	img, err := parse(simple().bytes())
	if err != nil {
		t.Fatal(err)
	}
	low, high := img.Span()
	if img.Dyn || img.Entry != 0x400100 || img.Phdr != 0x400040 || img.Phnum != 3 || img.Interp != "" ||
		img.ExecStack || img.Align != 0x1000 || low != 0x400000 || high != 0x406000 {
		t.Errorf("image %+v from %#x to %#x", img, low, high)
	}
	want := []loader.Segment{
		{Vaddr: 0x400000, Memsz: 0x1000, Filesz: 0x1000, Prot: unix.PROT_READ | unix.PROT_EXEC},
		{Vaddr: 0x402010, Memsz: 0x3000, Off: 0x1010, Filesz: 0x100, Prot: unix.PROT_READ | unix.PROT_WRITE},
	}
	if !reflect.DeepEqual(img.Segments, want) {
		t.Errorf("segments %+v", img.Segments)
	}
	img, err = parse(dynamic().bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !img.Dyn || img.Interp != "/lib/ld" || img.Align != 0x200000 || img.Phdr != 64 {
		t.Errorf("image %+v", img)
	}
	if bias := img.BiasFor(0x5555_5555_5000); bias != 0x5555_5540_0000 {
		t.Errorf("bias %#x", bias)
	}
}

// TestBroken spoils a good file in one place each.
func TestBroken(t *testing.T) {
	load := func(f *elfFile) *ph { return &f.phs[1] }
	for _, c := range []struct {
		name  string
		spoil func(*elfFile)
		want  error
	}{
		{"nothing", func(f *elfFile) {}, nil},
		{"relocatable", func(f *elfFile) { f.typ = unix.ET_REL }, syscall.ENOEXEC},
		{"core", func(f *elfFile) { f.typ = unix.ET_CORE }, syscall.ENOEXEC},
		{"other machine", func(f *elfFile) { f.machine = unix.EM_AARCH64 }, syscall.ENOEXEC},
		{"32 bits", func(f *elfFile) { f.machine = unix.EM_386 }, syscall.ENOEXEC},
		{"class and byte order are not looked at", func(f *elfFile) { f.data[4] = "\xff\xff\xff" }, nil},
		{"magic", func(f *elfFile) { f.data[0] = "\x7fELK" }, syscall.ENOEXEC},
		{"header cut", func(f *elfFile) { f.size = 0 }, syscall.ENOEXEC},
		{"phentsize", func(f *elfFile) { f.phentsize = 32 }, syscall.ENOEXEC},
		{"too many headers", func(f *elfFile) { f.phnum = 1171 }, syscall.ENOEXEC},
		{"PN_XNUM", func(f *elfFile) { f.phnum = 0xffff }, syscall.ENOEXEC},
		{"phoff past the end", func(f *elfFile) { f.phoff = 0x2000 }, syscall.ENOEXEC},
		{"phoff at the end", func(f *elfFile) { f.phoff = 0x1fff }, syscall.ENOEXEC},
		{"phoff overflows", func(f *elfFile) { f.phoff = math.MaxUint64 - 8 }, syscall.ENOEXEC},
		{"phoff at the last positive", func(f *elfFile) { f.phoff = math.MaxInt64 }, syscall.ENOEXEC},
		{"nothing to load", func(f *elfFile) { f.phs = f.phs[2:] }, syscall.ENOEXEC},
		{"only empty segments", func(f *elfFile) {
			f.phs = []ph{{typ: unix.PT_LOAD, vaddr: 0x400000}}
		}, syscall.ENOEXEC},
		{"an empty segment at 0", func(f *elfFile) { f.phs = append(f.phs, ph{typ: unix.PT_LOAD}) }, nil},
		{"filesz over memsz", func(f *elfFile) { load(f).memsz = 0xff }, syscall.ENOEXEC},
		{"memsz over all", func(f *elfFile) { load(f).memsz = math.MaxUint64 }, syscall.ENOEXEC},
		{"memsz wraps", func(f *elfFile) { load(f).memsz = -load(f).vaddr }, syscall.ENOEXEC},
		{"memsz up to the limit", func(f *elfFile) { load(f).memsz = loader.MaxAddr - load(f).vaddr }, nil},
		{"memsz past the limit", func(f *elfFile) { load(f).memsz = loader.MaxAddr - load(f).vaddr + 1 }, syscall.ENOEXEC},
		{"vaddr high", func(f *elfFile) { load(f).vaddr = 0xffffffff81000010 }, syscall.ENOEXEC},
		{"vaddr low", func(f *elfFile) { load(f).vaddr = 0x10 }, syscall.ENOEXEC},
		{"vaddr just below the limit", func(f *elfFile) { load(f).vaddr = 0xf010 }, syscall.ENOEXEC},
		{"vaddr at the limit", func(f *elfFile) { load(f).vaddr = 0x10010 }, nil},
		{"offset in another place of the page", func(f *elfFile) { load(f).off++ }, syscall.ENOEXEC},
		{"offset negative", func(f *elfFile) { load(f).off = 1<<63 + 0x10 }, syscall.ENOEXEC},
		{"offset wraps", func(f *elfFile) { load(f).off = math.MaxUint64 - 0xfff + 0x10 }, syscall.ENOEXEC},
		{"last page not in the file", func(f *elfFile) { load(f).off = 0x2010 }, syscall.ENOEXEC},
		{"read-only pages not in the file", func(f *elfFile) { load(f).off, load(f).flags = 0x2010, unix.PF_R }, nil},
		{"alignment is no power of two", func(f *elfFile) { load(f).align = 3 }, nil},
		{"alignment over all", func(f *elfFile) { load(f).align = 1 << 63 }, syscall.ENOEXEC},
		{"entry high", func(f *elfFile) { f.entry = loader.MaxAddr }, syscall.ENOEXEC},
		{"entry nowhere", func(f *elfFile) { f.entry = 0 }, nil},
		{"segments in reverse", func(f *elfFile) { f.phs[0], f.phs[1] = f.phs[1], f.phs[0] }, nil},
		{"segments that overlap", func(f *elfFile) { load(f).vaddr = 0x400010 }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := simple()
			f.data = map[int]string{}
			c.spoil(f)
			img, err := parse(f.bytes())
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err == nil {
				p, err := loader.NewPlan(img, 0, nil, 0)
				if err != nil {
					t.Fatal(err)
				}
				checkPlan(t, p)
			}
			// The same as an interpreter.
			want := c.want
			if f.size == 0 {
				f.size, want = 63, syscall.EIO
			} else if want != nil {
				want = syscall.ELIBBAD
			}
			b := f.bytes()[:f.size]
			if _, err := loader.ParseInterp(bytes.NewReader(b), int64(len(b))); !errors.Is(err, want) {
				t.Errorf("as interpreter: got %v, want %v", err, want)
			}
		})
	}
}

func TestInterpreterPath(t *testing.T) {
	for _, c := range []struct {
		name, data string
		off, size  uint64
		path       string
		err        error
	}{
		{"usual", "/lib/ld\x00", 0x400, 8, "/lib/ld", nil},
		{"two bytes", "x\x00", 0x400, 2, "x", nil},
		{"one byte", "\x00", 0x400, 1, "", syscall.ENOEXEC},
		{"none", "", 0x400, 0, "", syscall.ENOEXEC},
		{"no end", "/lib/ld", 0x400, 7, "", syscall.ENOEXEC},
		{"empty", "\x00x\x00", 0x400, 3, "", syscall.ENOENT},
		{"ends before", "/a\x00b\x00", 0x400, 5, "/a", nil},
		{"longest", strings.Repeat("x", 4095) + "\x00", 0x400, 4096, strings.Repeat("x", 4095), nil},
		{"too long", strings.Repeat("x", 4096) + "\x00", 0x400, 4097, "", syscall.ENOEXEC},
		{"past the end", "", 0x2000, 8, "", syscall.EIO},
		{"far away", "", math.MaxUint64 - 4, 8, "", syscall.EIO},
		{"farthest", "", math.MaxInt64 - 4096, 8, "", syscall.EIO},
	} {
		f := dynamic()
		f.data = map[int]string{0x400: c.data}
		f.phs[3].off, f.phs[3].filesz = c.off, c.size
		img, err := parse(f.bytes())
		if !errors.Is(err, c.err) || err == nil && img.Interp != c.path {
			t.Errorf("%s: %v, %v", c.name, img, err)
		}
	}
	// Linux takes the first and does not look at the others.
	f := dynamic()
	f.phs = append(f.phs, ph{typ: unix.PT_INTERP, off: 0x500, filesz: 1})
	if img, err := parse(f.bytes()); err != nil || img.Interp != "/lib/ld" {
		t.Errorf("second interpreter: %v, %v", img, err)
	}
	b := dynamic().bytes()
	if img, err := loader.ParseInterp(bytes.NewReader(b), int64(len(b))); err != nil || img.Interp != "" {
		t.Errorf("an interpreter's interpreter: %v, %v", img, err)
	}
}

func TestExecStack(t *testing.T) {
	f := simple()
	f.phs[2].flags |= unix.PF_X
	if img, err := parse(f.bytes()); err != nil || !img.ExecStack {
		t.Errorf("PF_X: %v, %v", img, err)
	}
	f.phs = append(f.phs, ph{typ: unix.PT_GNU_STACK, flags: rw})
	f.phnum = 0
	if img, err := parse(f.bytes()); err != nil || img.ExecStack {
		t.Errorf("the last one counts: %v, %v", img, err)
	}
	f.phs = f.phs[:2]
	f.phnum = 0
	if img, err := parse(f.bytes()); err != nil || img.ExecStack {
		t.Errorf("none: %v, %v", img, err)
	}
}

// failing is a file whose server has an error.
type failing struct {
	io.ReaderAt
	after int64
	err   error
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off >= f.after {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, off)
}

func TestReadErrors(t *testing.T) {
	b := dynamic().bytes()
	for _, after := range []int64{0, 64, 0x400} {
		r := failing{bytes.NewReader(b), after, syscall.ESTALE}
		if _, err := loader.Parse(r, int64(len(b))); !errors.Is(err, syscall.ESTALE) {
			t.Errorf("error at %#x becomes %v", after, err)
		}
	}
}
