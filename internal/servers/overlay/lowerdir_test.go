package overlay_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

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

// TestRemovingMovesTimes: a directory's times move with its lower names, too.
func TestRemovingMovesTimes(t *testing.T) {
	b := newBox(t, "d/f", "d/sub/", "d/g")
	old := syscall.Timespec{Sec: 1e9}
	for _, path := range []string{"d/f", "d/sub"} {
		b.ok(vfs.SetAttributes(ctx, b.node("d"), nil, vfs.SetAttr{Valid: vfs.SetMtime, Mtime: old}))
		b.remove(path)
		if a := b.attr(b.node("d")); a.Mtime.Sec < 1.5e9 {
			t.Errorf("removing %s left the directory's time", path)
		}
	}
	b.ok(vfs.SetAttributes(ctx, b.node("d"), nil, vfs.SetAttr{Valid: vfs.SetMtime, Mtime: old}))
	b.write("d/g", "x")
	if a := b.attr(b.node("d")); a.Mtime != old {
		t.Errorf("copying a file moved the directory's time to %v", a.Mtime)
	}
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

	// A directory that we removed comes back in another place.
	b.ok(os.Mkdir(b.host("gone"), 0o755))
	gone := b.node("gone")
	b.remove("gone")
	b.ok(os.Rename(b.host("gone"), b.host("back")))
	if b.node("back") == gone {
		t.Error("a removed directory is found again")
	}
	b.create("back/ours")
	b.shows("back", "ours")

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
	all, err := f.(vfs.DirReader).ReadDir(ctx, 0, 100)
	b.ok(err)
	gone := all[len(all)-1].Name // the last that will be read
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
			b.remove("d/" + gone)
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
	if len(seen) != 39 || seen[gone] > 0 {
		t.Errorf("%d entries; one that was gone %d times", len(seen), seen[gone])
	}
}
