package vfstest

import (
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// testIdentity: as long as a node is held, every way to the file yields an equal
// one.
func testIdentity(e *env) {
	again, err := e.fs.Root(e.ctx)
	e.ok(err, "root")
	if again != e.root {
		e.Error("two roots")
	}
	d := e.dir(e.root, "d")
	seen := map[vfs.Node]string{e.root: "root", d: "d"}
	for name, mode := range e.kinds() {
		n := e.make(d, name, mode)
		if was, ok := seen[n]; ok {
			e.Errorf("%s is %s", name, was)
		}
		seen[n] = name
		before := e.attr(n)
		e.leads(d, name, n)
		e.leads(e.lookup(e.root, "d"), name, n)
		if name == "file" || name == "dir" {
			f := e.open(n, unix.O_RDONLY)
			if f.Node() != n {
				e.Errorf("%s: the open file's node is another", name)
			}
			e.close(f)
		}
		// Changes of the file are none of its identity.
		if name == "file" {
			f := e.open(n, unix.O_RDWR)
			e.write(f, string(bytesOf(2, 100)), 0)
			e.close(f)
		}
		if name != "link" {
			e.set(n, vfs.SetAttr{Valid: vfs.SetMode, Mode: 0o700})
		}
		e.leads(d, name, n)
		e.ok(vfs.Rename(e.ctx, d, name, e.root, "moved", 0), "rename")
		e.leads(e.root, "moved", n)
		if a := e.attr(n); a.Dev != before.Dev || a.Ino != before.Ino || a.Btime != before.Btime {
			e.Errorf("%s: identity %+v, was %+v", name, a, before)
		}
		if _, ok := seen[n]; !ok {
			e.Errorf("%s cannot be found as a key", name)
		}
		e.remove(e.root, "moved", name == "dir")
	}
	if e.other() == e.root {
		e.Error("another file system has the same root")
	}
}
