package tmp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

var ctx = context.Background()

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func is(t testing.TB, what string, err error, want syscall.Errno) {
	t.Helper()
	if want == 0 && err != nil || want != 0 && !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func rootOf(t testing.TB, fs *tmp.FS) vfs.Node { t.Helper(); return must[vfs.Node](t)(fs.Root(ctx)) }

func create(t testing.TB, d vfs.Node, name string) (vfs.Node, vfs.File) {
	t.Helper()
	n, f, err := d.(vfs.MakeOpener).MakeOpen(ctx, name, vfs.MakeOptions{Mode: 0o600}, unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	return n, f
}

func used(t testing.TB, fs *tmp.FS) uint64 {
	t.Helper()
	s := must[vfs.Statfs](t)(fs.Statfs(ctx))
	return s.Blocks - s.BlocksFree
}

// objects counts the memory files that this process has open.
func objects(t testing.TB) int {
	t.Helper()
	n := 0
	for _, e := range must[[]os.DirEntry](t)(os.ReadDir("/proc/self/fd")) {
		if s, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.Contains(s, "memfd:hati-tmp") {
			n++
		}
	}
	return n
}

func TestNumbersDiffer(t *testing.T) {
	a, b := tmp.New(tmp.Options{}), tmp.New(tmp.Options{})
	x, y := must[vfs.Attr](t)(rootOf(t, a).Stat(ctx)), must[vfs.Attr](t)(rootOf(t, b).Stat(ctx))
	if x.Dev == y.Dev || x.Dev == 0 {
		t.Errorf("devices %x and %x", x.Dev, y.Dev)
	}
	b.Number(77, 1000)
	n, _ := create(t, rootOf(t, b), "f")
	y = must[vfs.Attr](t)(rootOf(t, b).Stat(ctx))
	if a := must[vfs.Attr](t)(n.Stat(ctx)); y.Dev != 77 || a.Dev != 77 || y.Ino != 1000 || a.Ino <= 1000 {
		t.Errorf("root %d:%d, file %d:%d", y.Dev, y.Ino, a.Dev, a.Ino)
	}
}

// TestFreed: contents go with the last name and the last open file, in whatever
// order these go.
func TestFreed(t *testing.T) {
	const size = 3 << 20
	ways := map[string]func(t *testing.T, d vfs.Node){
		"unlinked, then closed": func(t *testing.T, d vfs.Node) {
			_, f := create(t, d, "f")
			g := must[vfs.File](t)(vfs.Open(ctx, f.Node(), unix.O_RDONLY))
			must[int](t)(vfs.Write(ctx, f, make([]byte, size), 0))
			is(t, "unlink", vfs.Remove(ctx, d, "f", false), 0)
			f.Close()
			p := make([]byte, 1)
			if n, err := vfs.Read(ctx, g, p, size-1); n != 1 || err != nil {
				t.Errorf("read of a removed file: %d, %v", n, err)
			}
			g.Close()
		},
		"closed, then unlinked": func(t *testing.T, d vfs.Node) {
			n, f := create(t, d, "f")
			must[int](t)(vfs.Write(ctx, f, make([]byte, size), 0))
			is(t, "link", vfs.Link(ctx, d, n, "g"), 0)
			f.Close()
			is(t, "unlink", vfs.Remove(ctx, d, "f", false), 0)
			f = must[vfs.File](t)(vfs.Open(ctx, n, unix.O_RDONLY))
			f.Close()
			is(t, "unlink", vfs.Remove(ctx, d, "g", false), 0)
		},
		"replaced": func(t *testing.T, d vfs.Node) {
			_, f := create(t, d, "f")
			must[int](t)(vfs.Write(ctx, f, make([]byte, size), 0))
			f.Close()
			create(t, d, "g")
			is(t, "rename", vfs.Rename(ctx, d, "g", d, "f", 0), 0)
			is(t, "unlink", vfs.Remove(ctx, d, "f", false), 0)
		},
		"never named": func(t *testing.T, d vfs.Node) {
			n := must[vfs.Node](t)(vfs.Tmpfile(ctx, d, vfs.MakeOptions{Mode: 0o600}))
			f := must[vfs.File](t)(vfs.Open(ctx, n, unix.O_RDWR))
			must[int](t)(vfs.Write(ctx, f, make([]byte, size), 0))
			f.Close()
			is(t, "link of what is gone", vfs.Link(ctx, d, n, "late"), syscall.ENOENT)
		},
		"memory file": func(t *testing.T, d vfs.Node) {
			fs := tmp.New(tmp.Options{})
			f := fs.NewMemfd(vfs.MakeOptions{Mode: 0o600}, false)
			must[int](t)(vfs.Write(ctx, f, make([]byte, size), 0))
			f.Close()
		},
		"emptied": func(t *testing.T, d vfs.Node) {
			_, f := create(t, d, "f")
			must[int](t)(vfs.Write(ctx, f, make([]byte, size), 0))
			is(t, "truncate", vfs.SetAttributes(ctx, f.Node(), f, vfs.SetAttr{Valid: vfs.SetSize}), 0)
			is(t, "unlink", vfs.Remove(ctx, d, "f", false), 0)
			f.Close()
		},
		"small": func(t *testing.T, d vfs.Node) {
			_, f := create(t, d, "f")
			must[int](t)(vfs.Write(ctx, f, make([]byte, 5000), 0))
			is(t, "unlink", vfs.Remove(ctx, d, "f", false), 0)
			f.Close()
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			before := objects(t)
			fs := tmp.New(tmp.Options{Size: 64 << 20})
			way(t, rootOf(t, fs))
			if n := objects(t); n != before {
				t.Errorf("%d memory files, %d before", n, before)
			}
			if n := used(t, fs); n != 0 {
				t.Errorf("%d pages still charged", n)
			}
			s := must[vfs.Statfs](t)(fs.Statfs(ctx))
			if s.Files-s.FilesFree != 1 {
				t.Errorf("%d files are left", s.Files-s.FilesFree-1)
			}
		})
	}
}

// TestOpenRemoved: a node that was found just before its file went never opens
// as something else than that file.
func TestOpenRemoved(t *testing.T) {
	d := rootOf(t, tmp.New(tmp.Options{}))
	small, f := create(t, d, "small")
	must[int](t)(vfs.Write(ctx, f, []byte("text"), 0))
	f.Close()
	large, f := create(t, d, "large")
	must[int](t)(vfs.Write(ctx, f, make([]byte, 2<<20), 0))
	f.Close()
	for _, name := range []string{"small", "large"} {
		is(t, "unlink", vfs.Remove(ctx, d, name, false), 0)
	}
	f = must[vfs.File](t)(vfs.Open(ctx, small, unix.O_RDONLY))
	p := make([]byte, 10)
	if n, err := vfs.Read(ctx, f, p, 0); string(p[:n]) != "text" || err != nil {
		t.Errorf("read %q, %v", p[:n], err)
	}
	_, err := vfs.Open(ctx, large, unix.O_RDONLY)
	is(t, "open what is gone", err, syscall.ESTALE)
	if a := must[vfs.Attr](t)(large.Stat(ctx)); a.Size != 2<<20 || a.Nlink != 0 {
		t.Errorf("size %d, %d links", a.Size, a.Nlink)
	}
}

func TestLimit(t *testing.T) {
	const limit = 4 << 20
	for _, step := range []int{1000, 4096, 100_000, 1 << 20, 6 << 20} {
		fs := tmp.New(tmp.Options{Size: limit})
		d := rootOf(t, fs)
		_, f := create(t, d, "f")
		var size int64
		for {
			n, err := vfs.Write(ctx, f, bytes.Repeat([]byte("x"), step), size)
			size += int64(n)
			if err != nil {
				is(t, "write", err, syscall.ENOSPC)
				break
			}
			if n == 0 {
				t.Fatal("a write of nothing")
			}
		}
		if size != limit || used(t, fs) != limit/4096 {
			t.Errorf("steps of %d: %d bytes, %d pages of %d", step, size, used(t, fs), limit/4096)
		}
		// What is there can be changed.
		if n, err := vfs.Write(ctx, f, make([]byte, 10000), 5); n != 10000 || err != nil {
			t.Errorf("write within: %d, %v", n, err)
		}
		_, g := create(t, d, "g")
		_, err := vfs.Write(ctx, g, []byte("x"), 0)
		is(t, "write of another", err, syscall.ENOSPC)
		is(t, "allocate", g.(vfs.Allocator).Allocate(ctx, 0, 0, 10), syscall.ENOSPC)
		// A hole makes room, as much as it is large.
		const punch = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
		is(t, "punch", f.(vfs.Allocator).Allocate(ctx, punch, 8192, 8192), 0)
		if n, err := vfs.Write(ctx, g, make([]byte, 10000), 0); n != 8192 || err != nil {
			t.Errorf("write into the room of a hole: %d, %v", n, err)
		}
		is(t, "cut", vfs.SetAttributes(ctx, f.Node(), f, vfs.SetAttr{Valid: vfs.SetSize, Size: 4096}), 0)
		if n := used(t, fs); n != 3 {
			t.Errorf("%d pages charged, want 3", n)
		}
		// Holes cost nothing.
		if n, err := vfs.Write(ctx, f, []byte("far"), 1<<40); n != 3 || err != nil {
			t.Errorf("write far away: %d, %v", n, err)
		}
		if n := used(t, fs); n != 4 {
			t.Errorf("%d pages charged, want 4", n)
		}
		is(t, "allocate too much", f.(vfs.Allocator).Allocate(ctx, unix.FALLOC_FL_KEEP_SIZE, 0, 1<<30), syscall.ENOSPC)
		if n := used(t, fs); n > 4 {
			t.Errorf("%d pages charged after a failure", n)
		}
	}
}

// TestSparse: the time for holes does not depend on their size.
func TestSparse(t *testing.T) {
	_, f := create(t, rootOf(t, tmp.New(tmp.Options{})), "f")
	must[int](t)(vfs.Write(ctx, f, []byte("x"), 0))
	is(t, "grow", vfs.SetAttributes(ctx, f.Node(), f, vfs.SetAttr{Valid: vfs.SetSize, Size: 1 << 60}), 0)
	_, err := f.(vfs.Seeker).SeekData(ctx, 4096, false)
	is(t, "seek", err, syscall.ENXIO)
	if at, err := f.(vfs.Seeker).SeekData(ctx, 1<<59, true); at != 1<<59 || err != nil {
		t.Errorf("hole at %d, %v", at, err)
	}
	if n, err := vfs.Read(ctx, f, make([]byte, 10), 1<<60-5); n != 5 || err != nil {
		t.Errorf("read: %d, %v", n, err)
	}
	_, err = vfs.Write(ctx, f, []byte("x"), 1<<63-10)
	is(t, "write at the end of the world", err, syscall.EFBIG)
	if a := must[vfs.Attr](t)(f.Node().Stat(ctx)); a.Blocks != 8 {
		t.Errorf("%d blocks", a.Blocks)
	}
}

// TestEntriesStay: a name that is replaced or exchanged keeps its place.
func TestEntriesStay(t *testing.T) {
	d := rootOf(t, tmp.New(tmp.Options{}))
	for i := range 6 {
		create(t, d, fmt.Sprint(i))
	}
	f := must[vfs.File](t)(vfs.Open(ctx, d, unix.O_RDONLY))
	r := f.(vfs.DirReader)
	list := must[[]vfs.Dirent](t)(r.ReadDir(ctx, 0, 2))
	is(t, "rename", vfs.Rename(ctx, d, "4", d, "1", 0), 0)
	is(t, "exchange", vfs.Rename(ctx, d, "0", d, "5", unix.RENAME_EXCHANGE), 0)
	var names []string
	for _, e := range append(list, must[[]vfs.Dirent](t)(r.ReadDir(ctx, list[1].Next, 100))...) {
		names = append(names, e.Name)
	}
	if got := strings.Join(names, " "); got != "0 1 2 3 5" {
		t.Errorf("saw %s", got)
	}
	if list[0].Next < 3 {
		t.Errorf("cookie %d", list[0].Next)
	}
}

func TestXattrLimit(t *testing.T) {
	n, _ := create(t, rootOf(t, tmp.New(tmp.Options{})), "f")
	var err error
	i := 0
	for ; err == nil && i < 100; i++ {
		err = vfs.Setxattr(ctx, n, fmt.Sprint("user.", i), make([]byte, 60<<10), 0)
	}
	is(t, "set", err, syscall.ENOSPC)
	if i != 3 {
		t.Errorf("the %dth failed", i)
	}
	is(t, "shrink", vfs.Setxattr(ctx, n, "user.0", nil, 0), 0)
	is(t, "set", vfs.Setxattr(ctx, n, "user.x", make([]byte, 60<<10), 0), 0)
	is(t, "remove", vfs.Removexattr(ctx, n, "user.1"), 0)
	is(t, "set", vfs.Setxattr(ctx, n, "user.y", make([]byte, 60<<10), 0), 0)
}

// TestReadOnlyObject: who maps for reading gets nothing to write with.
func TestReadOnlyObject(t *testing.T) {
	_, f := create(t, rootOf(t, tmp.New(tmp.Options{})), "f")
	must[int](t)(vfs.Write(ctx, f, []byte("text"), 0))
	for _, shared := range []bool{true, false} {
		m := must[vfs.Mapping](t)(f.(vfs.Mapper).Map(ctx, unix.PROT_READ, shared))
		if _, err := unix.Pwrite(m.FD, []byte("x"), 0); err != unix.EBADF {
			t.Errorf("shared %v: write: %v", shared, err)
		}
		m.Release()
	}
}
