package vfstest

import (
	"errors"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func testRemove(e *env) {
	e.is(vfs.Remove(e.ctx, e.root, "none", false), syscall.ENOENT, "unlink nothing")
	e.is(vfs.Remove(e.ctx, e.root, "none", true), syscall.ENOENT, "rmdir nothing")
	for name, mode := range e.kinds() {
		n := e.make(e.root, name, mode)
		isDir := name == "dir"
		if isDir {
			e.is(vfs.Remove(e.ctx, e.root, name, false), syscall.EISDIR, "unlink", name)
		} else {
			e.is(vfs.Remove(e.ctx, e.root, name, true), syscall.ENOTDIR, "rmdir", name)
		}
		e.leads(e.root, name, n)
		e.remove(e.root, name, isDir)
		e.missing(e.root, name)
		e.nlink(n, 0, name)
		e.is(vfs.Remove(e.ctx, e.root, name, isDir), syscall.ENOENT, "remove again", name)
		// The name is free for anything.
		e.file(e.root, name, "new")
		e.remove(e.root, name, false)
	}
	d := e.dir(e.root, "d")
	for name, mode := range e.kinds() {
		e.make(d, name, mode)
		e.is(vfs.Remove(e.ctx, e.root, "d", true), syscall.ENOTEMPTY, "rmdir with", name)
		e.remove(d, name, name == "dir")
	}
	e.remove(e.root, "d", true)
	e.shows(e.root)
}

func testRemovedFile(e *env) {
	big := bytesOf(1, 3<<20)
	if e.MaxFile > 0 {
		big = big[:e.MaxFile]
	}
	for _, contents := range []string{"small", string(big)} {
		n := e.file(e.root, "f", contents)
		f, g := e.open(n, unix.O_RDWR), e.open(n, unix.O_RDONLY)
		e.remove(e.root, "f", false)
		e.missing(e.root, "f")
		e.nlink(n, 0, "removed file")
		e.size(n, int64(len(contents)), "removed file")
		if string(e.readAt(g, 0, len(contents)+1)) != contents {
			e.Error("a removed file has lost its contents")
		}
		e.write(f, "XY", 1)
		if got := string(e.readAt(g, 0, 4)); got != contents[:1]+"XY"+contents[3:4] {
			e.Errorf("after writing: %q", got)
		}
		// Another file takes the name, and not its place.
		m := e.file(e.root, "f", "other")
		if m == n || m == f.Node() {
			e.Error("a new file is the removed one")
		}
		if a, b := e.attr(m), e.attr(n); a.Ino == b.Ino {
			e.Errorf("a new file has the number %d of one that is open", a.Ino)
		}
		e.truncate(n, 3)
		e.size(n, 3, "truncated")
		e.set(n, vfs.SetAttr{Valid: vfs.SetMode, Mode: 0o600})
		e.close(f)
		if got := string(e.readAt(g, 0, 10)); got != contents[:1]+"XY" {
			e.Errorf("after truncating and one close: %q", got)
		}
		e.close(g)
		e.holds(m, "other", "new file")
		e.remove(e.root, "f", false)
	}
}

func testRemovedDir(e *env) {
	d := e.dir(e.root, "d")
	e.file(d, "f", "")
	e.remove(d, "f", false)
	open := e.open(d, unix.O_RDONLY|unix.O_DIRECTORY)
	f := e.file(e.root, "file", "")
	e.remove(e.root, "d", true)
	e.nlink(d, 0, "removed directory")
	if a := e.attr(d); !a.IsDir() {
		e.Errorf("mode %o", a.Mode)
	}
	e.missing(d, "f")
	if list := e.readDir(open, 0, 10); len(list) > 0 {
		e.Errorf("a removed directory shows %v", list)
	}
	for name, mode := range e.kinds() {
		_, err := vfs.Make(e.ctx, d, name, e.options(mode))
		e.is(err, syscall.ENOENT, "make", name, "in a removed directory")
	}
	e.is(vfs.Remove(e.ctx, d, "f", false), syscall.ENOENT, "remove in a removed directory")
	e.is(vfs.Rename(e.ctx, e.root, "file", d, "x", 0), syscall.ENOENT, "rename into a removed directory")
	e.is(vfs.Rename(e.ctx, d, "x", e.root, "y", 0), syscall.ENOENT, "rename out of a removed directory")
	if !e.NoLink {
		e.is(vfs.Link(e.ctx, d, f, "x"), syscall.ENOENT, "link in a removed directory")
	}
	e.leads(e.root, "file", f)
	d2 := e.dir(e.root, "d")
	if d2 == d {
		e.Error("a new directory is the removed one")
	}
	e.shows(d2)
	e.missing(d, "f")
	e.file(d2, "f", "")
	e.missing(d, "f")
}

// testOpenRemoved: a node that was found just before its file went opens as that
// file, or not at all.
func testOpenRemoved(e *env) {
	for _, contents := range []string{"text", string(bytesOf(9, int(min(e.largest(), 2<<20))))} {
		for name, take := range map[string]func(){
			"unlinked": func() { e.remove(e.root, "f", false) },
			"replaced": func() {
				e.file(e.root, "g", "new")
				e.ok(vfs.Rename(e.ctx, e.root, "g", e.root, "f", 0), "rename")
			},
		} {
			n := e.file(e.root, "f", contents)
			take()
			e.nlink(n, 0, name)
			f, err := vfs.Open(e.ctx, n, unix.O_RDONLY)
			for _, name := range e.names(e.root) {
				e.remove(e.root, name, false)
			}
			if err != nil {
				if !errors.Is(err, syscall.ENOENT) {
					e.is(err, syscall.ESTALE, "open", name)
				}
				continue
			}
			f = e.owned(f)
			if got := e.readAt(f, 0, len(contents)+1); string(got) != contents || f.Node() != n {
				e.Errorf("%s: a file of %d bytes was opened as one of %d", name, len(contents), len(got))
			}
			e.close(f)
		}
	}
}
