package overlay_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/internal/servers/overlay"
	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// box is an overlay over a directory of the host.
type box struct {
	testing.TB
	dir  string
	fs   *overlay.FS
	root vfs.Node
}

// newBox lays an overlay over a directory with files: a name that ends in / is a
// directory, one with -> a link, one with = a second name; others hold their
// names.
func newBox(t testing.TB, files ...string) *box {
	t.Helper()
	b := &box{TB: t, dir: t.TempDir()}
	for _, f := range files {
		if name, target, ok := strings.Cut(f, "->"); ok {
			b.ok(os.Symlink(target, b.host(name)))
		} else if name, old, ok := strings.Cut(f, "="); ok {
			b.ok(os.Link(b.host(old), b.host(name)))
		} else if strings.HasSuffix(f, "/") {
			b.ok(os.MkdirAll(b.host(f), 0o755))
		} else {
			b.ok(os.MkdirAll(filepath.Dir(b.host(f)), 0o755))
			b.ok(os.WriteFile(b.host(f), []byte(f), 0o644))
		}
	}
	b.fs = over(t, serve(t, b.dir, host.Options{ReadOnly: true}))
	root, err := b.fs.Root(ctx)
	b.ok(err)
	b.root = root
	return b
}

func (b *box) host(name string) string { return filepath.Join(b.dir, name) }

func (b *box) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *box) is(what string, err error, want syscall.Errno) {
	b.Helper()
	if want == 0 && err != nil || want != 0 && !errors.Is(err, want) {
		b.Errorf("%s: %v, want %v", what, err, want)
	}
}

func (b *box) find(path string) (vfs.Node, error) {
	n := b.root
	var err error
	for name := range strings.SplitSeq(path, "/") {
		if name != "" && name != "." && err == nil {
			n, err = vfs.Lookup(ctx, n, name)
		}
	}
	return n, err
}

func (b *box) node(path string) vfs.Node {
	b.Helper()
	n, err := b.find(path)
	if err != nil {
		b.Fatalf("%s: %v", path, err)
	}
	return n
}

func (b *box) missing(path string) {
	b.Helper()
	_, err := b.find(path)
	b.is(path, err, syscall.ENOENT)
}

func (b *box) split(path string) (vfs.Node, string) {
	b.Helper()
	return b.node(filepath.Dir(path)), filepath.Base(path)
}

func (b *box) attr(n vfs.Node) vfs.Attr {
	b.Helper()
	a, err := n.Stat(ctx)
	b.ok(err)
	return a
}

func (b *box) open(n vfs.Node, flags int) vfs.File {
	b.Helper()
	f, err := vfs.Open(ctx, n, flags)
	b.ok(err)
	b.Cleanup(func() { f.Close() })
	return f
}

func (b *box) write(path, s string) {
	b.Helper()
	f, err := vfs.Open(ctx, b.node(path), unix.O_WRONLY)
	b.ok(err)
	_, err = vfs.Write(ctx, f, []byte(s), 0)
	b.ok(err)
	b.ok(f.Close())
}

func (b *box) read(f vfs.File) string {
	b.Helper()
	p := make([]byte, 1000)
	n, err := vfs.Read(ctx, f, p, 0)
	b.ok(err)
	return string(p[:n])
}

func (b *box) holds(path, want string) {
	b.Helper()
	f, err := vfs.Open(ctx, b.node(path), unix.O_RDONLY)
	b.ok(err)
	defer f.Close()
	if got := b.read(f); got != want {
		b.Errorf("%s holds %q, want %q", path, got, want)
	}
}

func (b *box) links(path string, want uint32) {
	b.Helper()
	if a := b.attr(b.node(path)); a.Nlink != want {
		b.Errorf("%s has %d links, want %d", path, a.Nlink, want)
	}
}

func (b *box) mkdir(path string) vfs.Node {
	b.Helper()
	d, name := b.split(path)
	n, err := vfs.Make(ctx, d, name, vfs.MakeOptions{Mode: unix.S_IFDIR | 0o755})
	b.ok(err)
	return n
}

func (b *box) create(path string) vfs.Node {
	b.Helper()
	d, name := b.split(path)
	n, err := vfs.Make(ctx, d, name, vfs.MakeOptions{Mode: unix.S_IFREG | 0o644})
	b.ok(err)
	return n
}

func (b *box) remove(path string) {
	b.Helper()
	d, name := b.split(path)
	_, isDir := b.node(path).(vfs.Dir)
	b.ok(vfs.Remove(ctx, d, name, isDir))
}

func (b *box) rename(from, to string, flags uint) error {
	b.Helper()
	d, name := b.split(from)
	t, toName := b.split(to)
	return vfs.Rename(ctx, d, name, t, toName, flags)
}

func (b *box) shows(path string, want ...string) {
	b.Helper()
	f := b.open(b.node(path), unix.O_RDONLY|unix.O_DIRECTORY)
	got := []string{}
	for cookie := uint64(0); ; {
		list, err := f.(vfs.DirReader).ReadDir(ctx, cookie, 3)
		b.ok(err)
		if len(list) == 0 {
			break
		}
		for _, e := range list {
			got = append(got, e.Name)
			if a := b.attr(b.node(path + "/" + e.Name)); a.Ino != e.Ino {
				b.Errorf("%s in %s: number %d, stat says %d", e.Name, path, e.Ino, a.Ino)
			}
			cookie = e.Next
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		b.Errorf("%s shows %q, want %q", path, got, want)
	}
}

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
	b.remove("d/g")
	if got := b.read(late); got != "DATA" {
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

func TestDirectories(t *testing.T) {
	b := newBox(t, "d/sub/deep/f", "d/other/", "e/f")
	d := b.node("d")
	b.links("d", 4)
	b.mkdir("d/new")
	b.links("d", 5)
	b.remove("d/other")
	b.links("d", 4)
	b.ok(b.rename("d/sub", "e/sub", 0))
	b.links("d", 3)
	b.links("e", 3)
	b.links("e/sub", 3)
	if b.node("d") != d {
		t.Error("the directory is another")
	}
	b.shows("d", "new")
	b.shows("e", "f", "sub")

	// In a lower directory that was moved, everything goes on.
	b.holds("e/sub/deep/f", "d/sub/deep/f")
	b.write("e/sub/deep/f", "changed ")
	b.holds("e/sub/deep/f", "changed ep/f")
	b.create("e/sub/deep/g")
	b.shows("e/sub/deep", "f", "g")
	b.missing("d/sub")
	b.mkdir("d/sub")
	b.shows("d/sub")
	b.missing("d/sub/deep")
	b.remove("e/sub/deep/f")
	b.remove("e/sub/deep/g")
	b.shows("e/sub/deep")
	b.remove("e/sub/deep")
	b.remove("e/sub")
	b.missing("e/sub")
	b.ok(b.rename("e", "d/sub/e", 0))
	b.shows("d/sub/e", "f")
}

// TestRemoveDirectory: a merged directory is empty when nothing shows.
func TestRemoveDirectory(t *testing.T) {
	b := newBox(t, "d/a", "d/b", "d/sub/")
	rmdir := func() error { return vfs.Remove(ctx, b.root, "d", true) }
	b.is("rmdir", rmdir(), syscall.ENOTEMPTY)
	b.remove("d/a")
	b.create("d/c")
	b.remove("d/b")
	b.is("rmdir", rmdir(), syscall.ENOTEMPTY)
	b.remove("d/sub")
	b.is("rmdir", rmdir(), syscall.ENOTEMPTY)
	b.remove("d/c")
	d := b.node("d")
	b.is("rmdir", rmdir(), 0)
	b.missing("d")
	if a := b.attr(d); a.Nlink != 0 {
		t.Errorf("%d links", a.Nlink)
	}
	// What is made in its place has nothing of it.
	b.mkdir("d")
	b.shows("d")
	b.missing("d/a")
	b.remove("d")
	b.create("d")
	b.remove("d")
	b.missing("d")
	if _, err := os.Stat(b.host("d/a")); err != nil {
		t.Error(err)
	}
	// A lower directory that was only looked at.
	b2 := newBox(t, "empty/", "full/f")
	e := b2.node("empty")
	b2.remove("empty")
	b2.shows("", "full")
	if a := b2.attr(e); a.Nlink != 0 || !a.IsDir() {
		t.Errorf("mode %o, %d links", a.Mode, a.Nlink)
	}
	_, err := vfs.Make(ctx, e, "x", vfs.MakeOptions{Mode: unix.S_IFREG})
	b2.is("make in a removed directory", err, syscall.ENOENT)
	b2.mkdir("new")
	b2.is("rename over", b2.rename("full", "new", 0), 0)
	b2.shows("new", "f")
}

func TestWhiteouts(t *testing.T) {
	b := newBox(t, "f", "d/x", "l->f")
	for range 3 {
		b.remove("f")
		b.missing("f")
		b.create("f")
		b.holds("f", "")
		b.shows("", "f", "d", "l")
	}
	b.remove("f")
	b.mkdir("f")
	b.shows("f")
	b.remove("f")
	b.remove("l")
	b.ok(b.rename("d", "l", 0))
	b.holds("l/x", "d/x")
	b.shows("", "l")
	b.ok(b.rename("l", "f", 0))
	b.ok(b.rename("f", "d", 0))
	b.holds("d/x", "d/x")
	b.shows("", "d")
}

func TestExchange(t *testing.T) {
	b := newBox(t, "a/f", "b/g", "file")
	a, f := b.node("a"), b.node("file")
	b.ok(b.rename("a", "b", unix.RENAME_EXCHANGE))
	b.shows("a", "g")
	b.shows("b", "f")
	b.ok(b.rename("b", "file", unix.RENAME_EXCHANGE))
	b.shows("file", "f")
	b.holds("b", "file")
	if b.node("file") != a || b.node("b") != f {
		t.Error("nodes did not move along")
	}
	b.ok(b.rename("file/f", "b", unix.RENAME_EXCHANGE))
	b.holds("b", "a/f")
	b.holds("file/f", "file")
	b.shows("", "a", "b", "file")
	b.create("new")
	b.ok(b.rename("new", "a/g", unix.RENAME_EXCHANGE))
	b.holds("new", "b/g")
	b.holds("a/g", "")
	b.is("exchange with what is in it", b.rename("a", "a/g", unix.RENAME_EXCHANGE), syscall.EINVAL)
}

// TestHostChanges: what processes of the host do shows where the overlay has
// nothing of its own.
func TestHostChanges(t *testing.T) {
	b := newBox(t, "d/stays", "d/changes", "d/goes", "e/f")
	d := b.node("d")
	b.create("d/ours")
	b.remove("d/stays")
	b.ok(os.WriteFile(b.host("d/new"), []byte("new"), 0o644))
	b.ok(os.WriteFile(b.host("d/ours"), []byte("theirs"), 0o644))
	b.ok(os.WriteFile(b.host("d/stays"), []byte("again"), 0o644))
	b.ok(os.Remove(b.host("d/goes")))
	b.ok(os.WriteFile(b.host("tmp"), []byte("replaced"), 0o644))
	b.ok(os.Rename(b.host("tmp"), b.host("d/changes")))
	b.shows("d", "changes", "new", "ours")
	b.holds("d/changes", "replaced")
	b.holds("d/new", "new")
	b.holds("d/ours", "")
	b.missing("d/goes")
	b.missing("d/stays")

	// The host moves a directory, and takes one away that we have written in.
	e := b.node("e")
	b.ok(os.Rename(b.host("e"), b.host("moved")))
	b.missing("e")
	if b.node("moved") != e {
		t.Error("a moved directory is another")
	}
	b.create("moved/ours")
	b.shows("moved", "f", "ours")
	b.missing("e")
	b.ok(os.RemoveAll(b.host("d")))
	b.shows("d", "ours")
	b.missing("d/new")
	if b.node("d") != d {
		t.Error("a merged directory is another")
	}
	b.remove("d/ours")
	b.remove("d")
	b.missing("d")
}

// TestListWhileRaised: reading goes on when the directory gets an upper one.
func TestListWhileRaised(t *testing.T) {
	var files []string
	for i := range 40 {
		files = append(files, "d/"+string(rune('A'+i)))
	}
	b := newBox(t, files...)
	f := b.open(b.node("d"), unix.O_RDONLY|unix.O_DIRECTORY)
	seen := map[string]int{}
	for cookie := uint64(0); ; {
		list, err := f.(vfs.DirReader).ReadDir(ctx, cookie, 5)
		b.ok(err)
		if len(list) == 0 {
			break
		}
		for _, e := range list {
			seen[e.Name]++
		}
		cookie = list[len(list)-1].Next
		switch len(seen) {
		case 5:
			b.create("d/new")
			b.write("d/"+list[0].Name, "copied")
		case 10:
			b.remove("d/" + list[0].Name)
			b.ok(b.rename("d/"+list[1].Name, "moved", 0))
		}
	}
	delete(seen, "new")
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s was seen %d times", name, n)
		}
	}
	if len(seen) != 40 {
		t.Errorf("%d entries", len(seen))
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
