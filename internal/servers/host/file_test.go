package host_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func TestReadWrite(t *testing.T) {
	dir, root := rw(t)
	name := writeFile(t, dir, "f", "0123456789")
	f := must[vfs.File](t)(vfs.Open(ctx, must[vfs.Node](t)(walk(root, "f")), unix.O_RDWR))
	for _, c := range []struct {
		off  int64
		n    int
		want string
	}{{0, 4, "0123"}, {8, 4, "89"}, {10, 4, ""}, {1 << 40, 4, ""}, {3, 0, ""}} {
		buf := make([]byte, c.n)
		n, err := vfs.Read(ctx, f, buf, c.off)
		if string(buf[:n]) != c.want || err != nil {
			t.Errorf("read %d at %d: %q, %v", c.n, c.off, buf[:n], err)
		}
	}
	_, err := vfs.Read(ctx, f, make([]byte, 1), -1)
	want(t, "negative", err, syscall.EINVAL)
	if n, err := vfs.Write(ctx, f, []byte("xy"), 12); n != 2 || err != nil {
		t.Error(n, err)
	}
	want(t, "sync", f.(vfs.Syncer).Sync(ctx, false), nil)
	want(t, "datasync", f.(vfs.Syncer).Sync(ctx, true), nil)
	if b, _ := os.ReadFile(name); string(b) != "0123456789\x00\x00xy" {
		t.Errorf("%q", b)
	}
	f.Close()
	_, err = vfs.Read(ctx, f, make([]byte, 1), 0)
	want(t, "after close", err, syscall.EBADF)

	ended, cancel := context.WithCancelCause(ctx)
	cancel(vfs.ErrKilled)
	n := must[vfs.Node](t)(walk(root, "f"))
	if _, err := vfs.Open(ended, n, unix.O_RDONLY); !errors.Is(err, vfs.ErrKilled) {
		t.Errorf("open with an ended context: %v", err)
	}
	f = must[vfs.File](t)(vfs.Open(ctx, n, unix.O_RDWR))
	defer f.Close()
	if n, err := vfs.Write(ended, f, []byte("never"), 0); n != 0 || !errors.Is(err, vfs.ErrKilled) {
		t.Errorf("write with an ended context: %d, %v", n, err)
	}
	if b, _ := os.ReadFile(name); b[0] != '0' {
		t.Errorf("it had an effect: %q", b)
	}
}

func TestAccessModes(t *testing.T) {
	dir, root := rw(t)
	writeFile(t, dir, "f", "text")
	n := must[vfs.Node](t)(walk(root, "f"))
	r := must[vfs.File](t)(vfs.Open(ctx, n, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOATIME))
	defer r.Close()
	w := must[vfs.File](t)(vfs.Open(ctx, n, unix.O_WRONLY|unix.O_APPEND|unix.O_SYNC))
	defer w.Close()
	_, err := vfs.Write(ctx, r, []byte("x"), 0)
	want(t, "write by a reader", err, syscall.EBADF)
	_, err = vfs.Read(ctx, w, make([]byte, 1), 0)
	want(t, "read by a writer", err, syscall.EBADF)
	// The offset counts although it was opened for appending.
	if k, err := vfs.Write(ctx, w, []byte("T"), 0); k != 1 || err != nil {
		t.Error(k, err)
	}
	if got := readAll(t, n); got != "Text" {
		t.Errorf("%q", got)
	}
	if k, end, err := w.(vfs.Appender).Append(ctx, nil); k != 0 || end != 4 || err != nil {
		t.Error(k, end, err)
	}
}

func TestMap(t *testing.T) {
	dir, root := rw(t)
	writeFile(t, dir, "f", "text")
	n := must[vfs.Node](t)(walk(root, "f"))
	const r, w = unix.PROT_READ, unix.PROT_READ | unix.PROT_WRITE
	for _, c := range []struct {
		flags, prot int
		shared      bool
		errno       error
	}{
		{unix.O_RDONLY, r, true, nil}, {unix.O_RDONLY, w, false, nil}, {unix.O_RDONLY, w, true, syscall.EACCES},
		{unix.O_WRONLY, w, true, syscall.EACCES}, {unix.O_WRONLY, r, false, syscall.EACCES}, {unix.O_RDWR, w, true, nil},
	} {
		f := must[vfs.File](t)(vfs.Open(ctx, n, c.flags))
		m, err := f.(vfs.Mapper).Map(ctx, c.prot, c.shared)
		want(t, fmt.Sprint(c), err, c.errno)
		f.Close()
		if err != nil {
			continue
		}
		flags := unix.MAP_PRIVATE
		if c.shared {
			flags = unix.MAP_SHARED
		}
		b, err := unix.Mmap(m.FD, m.Offset, 4, c.prot, flags) // after Close, before Release
		if err != nil || string(b) != "text" {
			t.Errorf("%v: %q, %v", c, b, err)
		} else {
			unix.Munmap(b)
		}
		m.Release()
		m.Release()
		if _, err := unix.FcntlInt(uintptr(m.FD), unix.F_GETFD, 0); err != unix.EBADF {
			t.Errorf("%v: still open after Release: %v", c, err)
		}
	}
}

func TestHolesAndRanges(t *testing.T) {
	dir, root := rw(t)
	writeFile(t, dir, "f", "")
	writeFile(t, dir, "g", "")
	f := must[vfs.File](t)(vfs.Open(ctx, must[vfs.Node](t)(walk(root, "f")), unix.O_RDWR))
	defer f.Close()
	g := must[vfs.File](t)(vfs.Open(ctx, must[vfs.Node](t)(walk(root, "g")), unix.O_RDWR))
	defer g.Close()
	const far = 1 << 20
	vfs.Write(ctx, f, []byte("data"), far)
	if off, err := f.(vfs.Seeker).SeekData(ctx, 0, true); off != 0 || err != nil {
		t.Errorf("hole at %d, %v", off, err)
	}
	if off, err := f.(vfs.Seeker).SeekData(ctx, 0, false); off != far || err != nil {
		t.Errorf("data at %d, %v", off, err)
	}
	_, err := f.(vfs.Seeker).SeekData(ctx, far+4, false)
	want(t, "past the end", err, syscall.ENXIO)

	n, err := f.(vfs.RangeCopier).CopyRange(ctx, far, g, 2, 100)
	if n != 4 || err != nil {
		t.Errorf("copied %d, %v", n, err)
	}
	if got := readAll(t, g.Node()); got != "\x00\x00data" {
		t.Errorf("%q", got)
	}
	err = g.(vfs.Allocator).Allocate(ctx, 0, 0, 8192)
	if err == syscall.EOPNOTSUPP {
		t.Skip("the host's file system has no fallocate")
	}
	want(t, "allocate", err, nil)
	if i, _ := os.Stat(filepath.Join(dir, "g")); i.Size() != 8192 {
		t.Errorf("size %d", i.Size())
	}
	want(t, "bad length", g.(vfs.Allocator).Allocate(ctx, 0, 0, 0), syscall.EINVAL)
	want(t, "punch", g.(vfs.Allocator).Allocate(ctx, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4), nil)
	if got := readAll(t, g.Node())[:6]; got != "\x00\x00\x00\x00ta" {
		t.Errorf("%q", got)
	}
}

// list reads a whole directory, max entries at a time.
func list(t testing.TB, n vfs.Node, max int) (all []vfs.Dirent) {
	t.Helper()
	f := must[vfs.File](t)(vfs.Open(ctx, n, unix.O_RDONLY))
	defer f.Close()
	for cookie := uint64(0); ; {
		part := must[[]vfs.Dirent](t)(f.(vfs.DirReader).ReadDir(ctx, cookie, max))
		if len(part) == 0 {
			return all
		}
		if len(part) > max {
			t.Fatalf("%d entries, asked for %d", len(part), max)
		}
		all = append(all, part...)
		cookie = part[len(part)-1].Next
	}
}

func TestReadDir(t *testing.T) {
	dir, root := rw(t)
	const files = 1200
	for i := range files {
		writeFile(t, dir, fmt.Sprintf("name-%d", i), "")
	}
	for _, max := range []int{1, 7, 100, 10000} {
		seen := map[string]bool{}
		for _, e := range list(t, root, max) {
			if seen[e.Name] || e.Next < 3 || e.Next > 1<<63-1 || e.Type != unix.S_IFREG || e.Ino == 0 {
				t.Fatalf("max %d: %+v", max, e)
			}
			seen[e.Name] = true
		}
		if len(seen) != files {
			t.Errorf("max %d: %d names", max, len(seen))
		}
	}
	// Each cookie continues after its entry, in any order and by another file.
	f := must[vfs.File](t)(vfs.Open(ctx, root, unix.O_RDONLY))
	defer f.Close()
	all := list(t, root, 100)
	for i := 0; i < len(all)-1; i += 97 {
		e := all[len(all)-2-i]
		next := must[[]vfs.Dirent](t)(f.(vfs.DirReader).ReadDir(ctx, e.Next, 1))
		if len(next) != 1 || next[0].Name != all[len(all)-1-i].Name {
			t.Fatalf("after %s: %v", e.Name, next)
		}
	}
	// Names that go meanwhile do not disturb those that stay.
	cookie, left := uint64(0), map[string]bool{}
	for {
		part := must[[]vfs.Dirent](t)(f.(vfs.DirReader).ReadDir(ctx, cookie, 50))
		if len(part) == 0 {
			break
		}
		for i, e := range part {
			if left[e.Name] {
				t.Fatalf("%s again", e.Name)
			}
			left[e.Name] = true
			if i%2 == 0 {
				want(t, "remove", vfs.Remove(ctx, root, e.Name, false), nil)
			}
		}
		cookie = part[len(part)-1].Next
	}
	if len(left) != files {
		t.Errorf("%d names", len(left))
	}
	// The start again: as it is now.
	if part := must[[]vfs.Dirent](t)(f.(vfs.DirReader).ReadDir(ctx, 0, files)); len(part) == 0 {
		t.Error("nothing after a rewind")
	}
	_, err := vfs.Read(ctx, f, make([]byte, 1), 0)
	want(t, "read", err, syscall.EISDIR)
	_, err = vfs.Open(ctx, root, unix.O_RDWR)
	want(t, "open for writing", err, syscall.EISDIR)
	if e := list(t, must[vfs.Node](t)(vfs.Make(ctx, root, "empty", mine(unix.S_IFDIR|0o755))), 9); len(e) != 0 {
		t.Errorf("empty: %v", e)
	}
}

// /proc and /sys number their entries in other ways than disks do.
func TestReadDirElsewhere(t *testing.T) {
	for _, dir := range []string{"/proc/self", "/proc/sys", "/sys", "/dev"} {
		exp, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		root, _ := serve(t, dir, host.Options{ReadOnly: true}).Root(ctx)
		for _, max := range []int{1, 3, 1000} {
			seen := map[string]int{}
			for _, e := range list(t, root, max) {
				seen[e.Name]++
			}
			for _, e := range exp {
				if seen[e.Name()] != 1 {
					t.Errorf("%s by %d: %s %d times", dir, max, e.Name(), seen[e.Name()])
				}
			}
		}
	}
}

func FuzzDents(f *testing.F) {
	raw := make([]byte, 4096)
	dir, _ := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	n, _ := unix.Getdents(dir, raw)
	unix.Close(dir)
	f.Add(raw[:max(n, 0)])
	f.Add(raw[:18])
	f.Add([]byte("0123456789abcdef\x13\x000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, e := range host.ParseDents(b) {
			if e.Name == "." || e.Name == ".." || e.Next == 1 || e.Next == 2 {
				t.Errorf("%+v", e)
			}
		}
	})
}
