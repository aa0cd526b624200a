package vfstest

import (
	"fmt"
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// target makes what a rename meets: "none", "file", "link", "empty" or "full".
func (e *env) target(d vfs.Node, name, kind string) vfs.Node {
	switch kind {
	case "file":
		return e.file(d, name, kind+name)
	case "link":
		return e.make(d, name, unix.S_IFLNK|0o777)
	case "empty":
		return e.dir(d, name)
	case "full":
		n := e.dir(d, name)
		e.file(n, "in", "")
		return n
	}
	return nil
}

// renameWants is the errno of renaming one kind over another.
func renameWants(from, to string, flags uint) syscall.Errno {
	fromDir := from == "empty" || from == "full"
	toDir := to == "empty" || to == "full"
	switch {
	case flags == unix.RENAME_NOREPLACE && to != "none":
		return syscall.EEXIST
	case flags == unix.RENAME_EXCHANGE && to == "none":
		return syscall.ENOENT
	case flags != 0 || to == "none":
		return 0
	case fromDir && !toDir:
		return syscall.ENOTDIR
	case !fromDir && toDir:
		return syscall.EISDIR
	case to == "full":
		return syscall.ENOTEMPTY
	}
	return 0
}

func testRename(e *env) {
	kinds := []string{"file", "link", "empty", "full"}
	if e.NoSymlink {
		kinds = []string{"file", "empty", "full"}
	}
	flags := []uint{0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE}
	if e.NoExchange {
		flags = flags[:2]
	}
	i := 0
	for _, from := range kinds {
		for _, to := range append([]string{"none"}, kinds...) {
			for _, flag := range flags {
				for _, same := range []bool{true, false} {
					i++
					e.renameOnce(e.dir(e.root, fmt.Sprint(i)), from, to, flag, same)
				}
			}
		}
	}
}

func (e *env) renameOnce(d vfs.Node, from, to string, flags uint, same bool) {
	e.Helper()
	what := fmt.Sprintf("rename %s to %s, flags %d, same directory %v", from, to, flags, same)
	src, dst := d, d
	if !same {
		src, dst = e.dir(d, "src"), e.dir(d, "dst")
	}
	a, b := e.target(src, "a", from), e.target(dst, "b", to)
	srcLinks, dstLinks := e.attr(src).Nlink, e.attr(dst).Nlink
	want := renameWants(from, to, flags)
	err := vfs.Rename(e.ctx, src, "a", dst, "b", flags)
	e.is(err, want, what)
	switch {
	case want != 0 || err != nil:
		e.leads(src, "a", a)
		if b != nil {
			e.leads(dst, "b", b)
		} else {
			e.missing(dst, "b")
		}
		return
	case flags == unix.RENAME_EXCHANGE:
		e.leads(src, "a", b)
		e.leads(dst, "b", a)
	default:
		e.missing(src, "a")
		e.leads(dst, "b", a)
		if b != nil {
			e.nlink(b, 0, what+": what was replaced")
		}
	}
	if from == "file" {
		e.holds(a, "filea", what)
	}
	if from == "full" {
		e.shows(a, "in")
	}
	if e.NoDirLinks {
		return
	}
	// Directories count the directories in them.
	count := func(kind string) uint32 {
		if kind == "empty" || kind == "full" {
			return 1
		}
		return 0
	}
	if flags == unix.RENAME_EXCHANGE {
		srcLinks += count(to) - count(from)
		dstLinks += count(from) - count(to)
	} else {
		srcLinks -= count(from)
		dstLinks += count(from) - count(to)
	}
	if same {
		dstLinks = 2
		if count(from) == 1 || flags == unix.RENAME_EXCHANGE && count(to) == 1 {
			dstLinks = 3
		}
		if flags == unix.RENAME_EXCHANGE {
			dstLinks = 2 + count(from) + count(to)
		}
		srcLinks = dstLinks
	}
	e.nlink(src, srcLinks, what+": old directory")
	e.nlink(dst, dstLinks, what+": new directory")
}

func testRenameErrors(e *env) {
	d := e.dir(e.root, "d")
	sub := e.dir(d, "sub")
	deep := e.dir(sub, "deep")
	f := e.file(e.root, "f", "x")
	rename := func(want syscall.Errno, n vfs.Node, name string, to vfs.Node, toName string, flags uint) {
		e.Helper()
		e.is(vfs.Rename(e.ctx, n, name, to, toName, flags), want, "rename", name, toName, flags)
	}
	rename(syscall.ENOENT, e.root, "none", e.root, "new", 0)
	rename(syscall.ENOENT, e.root, "none", e.root, "f", 0)
	rename(syscall.ENOENT, e.root, "none", e.root, "new", unix.RENAME_NOREPLACE)
	rename(syscall.EINVAL, e.root, "d", d, "in", 0)
	rename(syscall.EINVAL, e.root, "d", deep, "in", 0)
	rename(syscall.EINVAL, e.root, "d", sub, "deep", 0)
	rename(syscall.ENOTEMPTY, sub, "deep", e.root, "d", 0)
	e.file(sub, "g", "")
	rename(syscall.ENOTEMPTY, sub, "g", e.root, "d", 0)
	rename(syscall.ENOTEMPTY, sub, "g", d, "sub", 0)
	rename(syscall.EINVAL, e.root, "f", e.root, "g", 1<<20)
	if !e.NoExchange {
		rename(syscall.EINVAL, e.root, "d", sub, "deep", unix.RENAME_EXCHANGE)
		rename(syscall.EINVAL, sub, "deep", e.root, "d", unix.RENAME_EXCHANGE)
		rename(syscall.EINVAL, e.root, "f", e.root, "g", unix.RENAME_EXCHANGE|unix.RENAME_NOREPLACE)
		rename(syscall.ENOENT, e.root, "none", e.root, "f", unix.RENAME_EXCHANGE)
	}
	rename(0, e.root, "f", e.root, "f", 0)
	rename(0, e.root, "d", e.root, "d", 0)
	rename(syscall.EEXIST, e.root, "f", e.root, "f", unix.RENAME_NOREPLACE)
	rename(syscall.EXDEV, e.root, "f", e.other(), "f", 0)
	e.leads(e.root, "f", f)
	e.leads(e.root, "d", d)
	e.leads(sub, "deep", deep)
	e.shows(e.root, "d", "f")
}

// testRenameSameFile: two names of one file are both left.
func testRenameSameFile(e *env) {
	f := e.file(e.root, "a", "x")
	e.ok(vfs.Link(e.ctx, e.root, f, "b"), "link")
	e.ok(vfs.Rename(e.ctx, e.root, "a", e.root, "b", 0), "rename")
	e.shows(e.root, "a", "b")
	e.is(vfs.Rename(e.ctx, e.root, "a", e.root, "b", unix.RENAME_NOREPLACE), syscall.EEXIST, "rename")
	if !e.NoExchange {
		e.ok(vfs.Rename(e.ctx, e.root, "a", e.root, "b", unix.RENAME_EXCHANGE), "exchange")
	}
	e.shows(e.root, "a", "b")
	e.nlink(f, 2, "file")
	e.holds(f, "x", "file")
}

// testRenameOpen replaces files that are open.
func testRenameOpen(e *env) {
	old, n := e.file(e.root, "f", "old"), e.file(e.root, "new", "new")
	open, moving := e.open(old, unix.O_RDWR), e.open(n, unix.O_RDWR)
	e.ok(vfs.Rename(e.ctx, e.root, "new", e.root, "f", 0), "rename")
	e.leads(e.root, "f", n)
	if got := e.readAt(open, 0, 10); string(got) != "old" {
		e.Errorf("the replaced file holds %q", got)
	}
	e.nlink(old, 0, "replaced file")
	e.write(moving, "N", 0)
	e.holds(n, "New", "moved file")
	e.holds(e.lookup(e.root, "f"), "New", "moved file")
	e.write(open, "O", 0)
	if got := e.readAt(open, 0, 10); string(got) != "Old" {
		e.Errorf("the replaced file holds %q", got)
	}
	if open.Node() != old || moving.Node() != n {
		e.Error("open files have other nodes now")
	}
	e.holds(n, "New", "moved file")
}

// testRenameTree moves a tree while nodes in it are held.
func testRenameTree(e *env) {
	a, b := e.dir(e.root, "a"), e.dir(e.root, "b")
	tree := e.dir(a, "tree")
	deep := e.dir(e.dir(tree, "x"), "y")
	f := e.file(deep, "f", "text")
	open := e.open(f, unix.O_RDWR)
	for i, step := range []struct {
		from   vfs.Node
		name   string
		to     vfs.Node
		toName string
		path   string
	}{
		{a, "tree", b, "tree", "b/tree/x/y/f"},
		{b, "tree", b, "oak", "b/oak/x/y/f"},
		{e.root, "b", a, "b", "a/b/oak/x/y/f"},
		{tree, "x", e.root, "x", "x/y/f"},
		{e.root, "a", deep, "a", "x/y/f"},
	} {
		e.ok(vfs.Rename(e.ctx, step.from, step.name, step.to, step.toName, 0), "rename", i)
		n := e.root
		for name := range strings.SplitSeq(step.path, "/") {
			n = e.lookup(n, name)
		}
		if n != f {
			e.Errorf("step %d: %s leads to another file", i, step.path)
		}
		e.leads(deep, "f", f)
		e.write(open, fmt.Sprint(i), 0)
		e.holds(n, fmt.Sprint(i)+"ext", "file")
		name := fmt.Sprint("new", i)
		e.leads(deep, name, e.file(deep, name, ""))
		e.dir(deep, name+" dir")
		e.remove(deep, name, false)
	}
	e.is(vfs.Rename(e.ctx, e.root, "x", a, "x", 0), syscall.EINVAL, "rename below itself")
	e.shows(e.root, "x")
}

func testDirLinks(e *env) {
	before := e.attr(e.root).Nlink
	d, other := e.dir(e.root, "d"), e.dir(e.root, "other")
	e.nlink(e.root, before+2, "root")
	for i := range 5 {
		e.dir(d, fmt.Sprint(i))
		e.file(d, fmt.Sprint("f", i), "")
		e.nlink(d, uint32(3+i), "directory")
	}
	e.ok(vfs.Rename(e.ctx, d, "0", other, "0", 0), "rename")
	e.ok(vfs.Rename(e.ctx, d, "1", other, "0", 0), "rename over")
	e.ok(vfs.Rename(e.ctx, d, "2", d, "1", 0), "rename within")
	e.nlink(d, 5, "directory")
	e.nlink(other, 3, "the other")
	e.ok(vfs.Rename(e.ctx, e.root, "d", other, "d", 0), "rename")
	e.nlink(e.root, before+1, "root")
	e.nlink(other, 4, "the other")
	e.nlink(d, 5, "the moved one")
	e.remove(d, "1", true)
	e.nlink(d, 4, "directory")
}
