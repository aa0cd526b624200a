package vfstest

import (
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func testTmpfile(e *env) {
	d := e.dir(e.root, "d")
	n, err := vfs.Tmpfile(e.ctx, d, e.options(unix.S_IFREG|0o640))
	e.ok(err, "make")
	f := e.open(n, unix.O_RDWR)
	if a := e.attr(n); a.Mode != unix.S_IFREG|0o640 || a.Nlink != 0 || a.UID != e.UID || a.Size != 0 || a.Ino == 0 {
		e.Errorf("%+v", a)
	}
	if f.Node() != n {
		e.Error("the file's node is another")
	}
	e.shows(d)
	e.write(f, "text", 0)
	e.truncate(n, 3)
	if !e.NoLink {
		e.ok(vfs.Link(e.ctx, e.root, n, "named"), "link")
		e.leads(e.root, "named", n)
		e.nlink(n, 1, "linked file")
		e.write(f, "T", 0)
		e.close(f)
		e.holds(n, "Tex", "linked file")
		e.shows(e.root, "d", "named")
		e.remove(e.root, "named", false)
		e.nlink(n, 0, "removed file")
	}
	// One of them leaves nothing behind.
	n, err = vfs.Tmpfile(e.ctx, d, e.options(unix.S_IFREG|0o600))
	e.ok(err, "make")
	f = e.open(n, unix.O_RDWR)
	e.write(f, string(bytesOf(6, 100_000)), 0)
	e.close(f)
	e.shows(d)
	e.remove(e.root, "d", true)
	_, err = vfs.Tmpfile(e.ctx, e.file(e.root, "file", ""), e.options(unix.S_IFREG|0o600))
	e.is(err, syscall.ENOTDIR, "in a file")
}

func testTmpfileNone(e *env) {
	_, err := vfs.Tmpfile(e.ctx, e.root, e.options(unix.S_IFREG|0o600))
	e.is(err, syscall.EOPNOTSUPP, "make")
}
