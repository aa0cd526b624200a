package vfstest

import (
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func testLink(e *env) {
	d := e.dir(e.root, "d")
	for name, mode := range e.kinds() {
		if name == "dir" {
			continue
		}
		n := e.make(e.root, name, mode)
		e.ok(vfs.Link(e.ctx, d, n, "second "+name), "link", name)
		e.leads(d, "second "+name, n)
		e.leads(e.root, name, n)
		e.nlink(n, 2, name)
		if name == "file" {
			f := e.open(e.lookup(d, "second file"), unix.O_RDWR)
			e.write(f, "text", 0)
			e.holds(e.lookup(e.root, "file"), "text", "the first name's file")
			e.close(f)
		}
		e.remove(e.root, name, false)
		e.leads(d, "second "+name, n)
		e.nlink(n, 1, name)
		e.ok(vfs.Link(e.ctx, e.root, n, name), "link back", name)
		e.remove(d, "second "+name, false)
		e.leads(e.root, name, n)
		e.nlink(n, 1, name)
	}
	e.holds(e.lookup(e.root, "file"), "text", "file")
	e.shows(d)

	n := e.lookup(e.root, "file")
	for i := range 20 {
		e.ok(vfs.Link(e.ctx, d, n, string(rune('a'+i))), "link")
		e.nlink(n, uint32(i+2), "file")
	}
	list := e.list(d, 3)
	for _, entry := range list {
		if entry.Ino != e.attr(n).Ino {
			e.Errorf("number %d of a link, want %d", entry.Ino, e.attr(n).Ino)
		}
		e.remove(d, entry.Name, false)
	}
	e.nlink(n, 1, "file")
}

func testLinkErrors(e *env) {
	d, f := e.dir(e.root, "d"), e.file(e.root, "f", "x")
	e.is(vfs.Link(e.ctx, e.root, d, "new"), syscall.EPERM, "link a directory")
	for name, mode := range e.kinds() {
		e.make(d, name, mode)
		e.is(vfs.Link(e.ctx, d, f, name), syscall.EEXIST, "link over", name)
	}
	e.is(vfs.Link(e.ctx, f, f, "x"), syscall.ENOTDIR, "link in a file")
	foreign := e.other()
	e.is(vfs.Link(e.ctx, foreign, f, "x"), syscall.EXDEV, "link elsewhere")
	e.nlink(f, 1, "file")

	open := e.open(f, unix.O_RDWR)
	e.remove(e.root, "f", false)
	e.is(vfs.Link(e.ctx, e.root, f, "again"), syscall.ENOENT, "link of a removed file")
	e.close(open)
}
