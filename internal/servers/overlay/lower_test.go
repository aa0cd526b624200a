package overlay_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/internal/servers/overlay"
	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// TestCopyKeepsIdentity: nothing but what is changed changes.
func TestCopyKeepsIdentity(t *testing.T) {
	b := newBox(t, "d/f", "d/l->f")
	b.ok(unix.Mkfifo(b.host("d/fifo"), 0o640))
	b.ok(os.Chmod(b.host("d/f"), 0o4751))
	b.ok(unix.Setxattr(b.host("d/f"), "user.x", []byte("value"), 0))
	for _, path := range []string{"d/f", "d/l", "d/fifo", "d"} {
		n, before, dir := b.node(path), b.attr(b.node(path)), b.attr(b.node("d"))
		b.ok(vfs.SetAttributes(ctx, n, nil, vfs.SetAttr{Valid: vfs.SetAtime, Atime: syscall.Timespec{Sec: 5}}))
		after := b.attr(n)
		after.Ctime, after.Atime, after.Blocks, after.Blksize = before.Ctime, before.Atime, before.Blocks, before.Blksize
		if after != before || b.node(path) != n {
			t.Errorf("%s: %+v, was %+v", path, after, before)
		}
		if a := b.attr(b.node("d")); path != "d" && a.Mtime != dir.Mtime {
			t.Errorf("copying %s changed the directory's time", path)
		}
	}
	if v, err := vfs.Getxattr(ctx, b.node("d/f"), "user.x"); string(v) != "value" || err != nil {
		t.Errorf("attribute %q, %v", v, err)
	}
	b.shows("d", "f", "l", "fifo")
	if s, err := os.ReadFile(b.host("d/f")); string(s) != "d/f" || err != nil {
		t.Errorf("below: %q, %v", s, err)
	}
	// Numbers of new files are not those of files below, and of the same device.
	a, l := b.attr(b.create("d/new")), b.attr(b.node("d/f"))
	if a.Dev != l.Dev || a.Ino < 1<<52 {
		t.Errorf("a new file is %d:%d beside %d:%d", a.Dev, a.Ino, l.Dev, l.Ino)
	}
}

// TestOpenFilesFollow: who opened before the copy sees what is written after it.
func TestOpenFilesFollow(t *testing.T) {
	b := newBox(t, "f", "g")
	n := b.node("f")
	reader, writer := b.open(n, unix.O_RDONLY), b.open(n, unix.O_RDWR)
	if got := b.read(writer); got != "f" {
		t.Errorf("read %q", got)
	}
	for _, f := range []vfs.File{reader, writer} {
		if f.Node() != n {
			t.Error("the node of an open file is another")
		}
	}
	b.write("f", "F!")
	for _, f := range []vfs.File{reader, writer} {
		if got := b.read(f); got != "F!" || f.Node() != n {
			t.Errorf("read %q after a write by another", got)
		}
	}
	late := b.open(n, unix.O_RDONLY)
	b.remove("f")
	if got := b.read(reader) + b.read(late); got != "F!F!" {
		t.Errorf("read %q after the name went", got)
	}
	// Opening for writing is no change, nor is it one to change nothing.
	g := b.open(b.node("g"), unix.O_WRONLY)
	if _, err := vfs.Write(ctx, g, nil, 5); err != nil {
		t.Error(err)
	}
	b.ok(os.WriteFile(b.host("g"), []byte("by the host"), 0o644))
	b.holds("g", "by the host")
	if _, err := vfs.Write(ctx, g, []byte("BY"), 0); err != nil {
		t.Error(err)
	}
	b.holds("g", "BY the host")
}

// TestRemovedWhileOpen: a lower file whose name is gone is still all there.
func TestRemovedWhileOpen(t *testing.T) {
	b := newBox(t, "d/f", "d/g")
	n := b.node("d/f")
	r, w := b.open(n, unix.O_RDONLY), b.open(n, unix.O_RDWR)
	b.remove("d/f")
	b.missing("d/f")
	if a := b.attr(n); a.Nlink != 0 || a.Size != 3 {
		t.Errorf("%d links, size %d", a.Nlink, a.Size)
	}
	if got := b.read(r); got != "d/f" {
		t.Errorf("read %q", got)
	}
	// It can be changed, out of sight.
	b.ok(vfs.SetAttributes(ctx, n, r, vfs.SetAttr{Valid: vfs.SetMode, Mode: 0o600}))
	if _, err := vfs.Write(ctx, w, []byte("D"), 0); err != nil {
		t.Error(err)
	}
	if got := b.read(r); got != "D/f" {
		t.Errorf("read %q", got)
	}
	if a := b.attr(n); a.Mode != unix.S_IFREG|0o600 || a.Nlink != 0 {
		t.Errorf("mode %o, %d links", a.Mode, a.Nlink)
	}
	b.missing("d/f")
	b.shows("d", "g")
	d, _ := b.split("d/f")
	b.is("link of a removed file", vfs.Link(ctx, d, n, "again"), syscall.ENOENT)

	// A copy whose name goes before the readers have noticed it.
	g := b.node("d/g")
	late := b.open(g, unix.O_RDONLY)
	b.write("d/g", "DATA")
	b.ok(vfs.SetAttributes(ctx, g, nil, vfs.SetAttr{Valid: vfs.SetSize, Size: 4}))
	big, err := vfs.Open(ctx, g, unix.O_WRONLY)
	b.ok(err)
	_, err = vfs.Write(ctx, big, []byte("far"), 4<<20) // large files go with their last open file
	b.ok(err)
	b.ok(big.Close())
	b.remove("d/g")
	if got := b.read(late); len(got) != 1000 || got[:4] != "DATA" {
		t.Errorf("read %q", got)
	}
}

// TestHardLinks: all names of a lower file follow its copy, and are counted.
func TestHardLinks(t *testing.T) {
	b := newBox(t, "d/a", "e/", "d/b=d/a", "e/c=d/a")
	n := b.node("d/a")
	b.links("d/a", 3)
	b.write("d/a", "new")
	for _, name := range []string{"d/a", "d/b", "e/c"} {
		b.holds(name, "new")
		b.links(name, 3)
		if b.node(name) != n {
			t.Errorf("%s is another file", name)
		}
	}
	b.shows("d", "a", "b")
	b.shows("e", "c")
	// The name that the copy has goes; the others lead to it.
	b.remove("d/a")
	b.links("d/b", 2)
	b.holds("d/b", "new")
	b.write("e/c", "NEW")
	b.holds("d/b", "NEW")
	d, _ := b.split("d/a")
	b.ok(vfs.Link(ctx, d, b.node("e/c"), "again"))
	b.links("d/b", 3)
	b.ok(b.rename("e/c", "d/moved", 0))
	b.remove("d/b")
	b.links("d/again", 2)
	b.holds("d/moved", "NEW")
	if b.node("d/moved") != n || b.node("d/again") != n {
		t.Error("the file is another")
	}
	b.remove("d/again")
	b.remove("d/moved")
	if a := b.attr(n); a.Nlink != 0 {
		t.Errorf("%d links", a.Nlink)
	}
	b.shows("d")
	b.shows("e")
}

// TestHardLinksRemoved: names that go before there is a copy count, too.
func TestHardLinksRemoved(t *testing.T) {
	b := newBox(t, "a", "b=a", "c=a")
	b.remove("a")
	b.links("b", 2)
	b.ok(b.rename("b", "x", 0))
	b.links("x", 2)
	b.links("c", 2)
	b.write("c", "both")
	b.holds("x", "both")
	b.ok(b.rename("x", "c", 0)) // the same file: both stay
	b.shows("", "c", "x")
	b.create("y")
	b.ok(b.rename("y", "c", 0))
	b.links("x", 1)
	b.holds("x", "both")
}

// TestHolesAreKept: a copy has the holes of its original.
func TestHolesAreKept(t *testing.T) {
	const size = 64 << 20
	b := newBox(t, "f")
	b.ok(os.Truncate(b.host("f"), size))
	f, err := os.OpenFile(b.host("f"), os.O_WRONLY, 0)
	b.ok(err)
	_, err = f.WriteAt([]byte("middle"), size/2)
	b.ok(err)
	b.ok(f.Close())
	b.write("f", "F")
	a := b.attr(b.node("f"))
	if a.Size != size || a.Blocks*512 > 1<<20 {
		t.Errorf("size %d, %d blocks", a.Size, a.Blocks)
	}
	p := make([]byte, 10)
	r := b.open(b.node("f"), unix.O_RDONLY)
	if n, err := vfs.Read(ctx, r, p, size/2-2); string(p[:n]) != "\x00\x00middle\x00\x00" || err != nil {
		t.Errorf("read %q, %v", p[:n], err)
	}
}

// TestTruncateDoesNotCopy: contents that are not wanted are not read.
func TestTruncateDoesNotCopy(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	upper := tmp.New(tmp.Options{Size: 4096})
	fs, err := overlay.New(upper, serve(t, dir, host.Options{ReadOnly: true}), overlay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "f"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "f"), make([]byte, 100_000), 0o644); err != nil {
		t.Fatal(err)
	}
	root, _ := fs.Root(ctx)
	n, err := vfs.Lookup(ctx, root, "f")
	if err != nil {
		t.Fatal(err)
	}
	f, err := vfs.Open(ctx, n, unix.O_WRONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// There is no room for the contents, so writing fails, and changes nothing.
	if _, err := vfs.Write(ctx, f, []byte("x"), 0); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write: %v", err)
	}
	if a, err := n.Stat(ctx); a.Size != 100_000 || err != nil {
		t.Errorf("size %d, %v", a.Size, err)
	}
	if err := vfs.SetAttributes(ctx, n, f, vfs.SetAttr{Valid: vfs.SetSize}); err != nil {
		t.Errorf("truncate: %v", err)
	}
	if _, err := vfs.Write(ctx, f, []byte("x"), 0); err != nil {
		t.Errorf("write: %v", err)
	}
}
