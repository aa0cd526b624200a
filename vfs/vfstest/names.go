package vfstest

import (
	"slices"
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func testNames(e *env) {
	names := []string{"a", "A", ".hidden", "...", "a b", "-", "new\nline", "é", "\xff\xfe", "~", "#1", "a:b",
		strings.Repeat("x", 255)}
	made := map[string]vfs.Node{}
	for _, name := range names {
		e.missing(e.root, name)
		made[name] = e.file(e.root, name, name)
	}
	for _, name := range names {
		e.leads(e.root, name, made[name])
		e.holds(made[name], name, "file")
	}
	e.shows(e.root, slices.Clone(names)...)
	for _, name := range names {
		e.remove(e.root, name, false)
		e.missing(e.root, name)
	}
	e.shows(e.root)
}

func testNamesTooLong(e *env) {
	long := strings.Repeat("y", 256)
	f := e.file(e.root, "f", "")
	_, err := vfs.Make(e.ctx, e.root, long, e.options(unix.S_IFREG|0o600))
	e.is(err, syscall.ENAMETOOLONG, "make")
	_, err = vfs.Make(e.ctx, e.root, long, e.options(unix.S_IFDIR|0o700))
	e.is(err, syscall.ENAMETOOLONG, "mkdir")
	e.is(vfs.Rename(e.ctx, e.root, "f", e.root, long, 0), syscall.ENAMETOOLONG, "rename")
	if !e.NoLink {
		e.is(vfs.Link(e.ctx, e.root, f, long), syscall.ENAMETOOLONG, "link")
	}
	e.shows(e.root, "f")
}

// kinds are those that can be made.
func (e *env) kinds() map[string]uint32 {
	kinds := map[string]uint32{"file": unix.S_IFREG | 0o640, "dir": unix.S_IFDIR | 0o750}
	if !e.NoSymlink {
		kinds["link"] = unix.S_IFLNK | 0o777
	}
	if !e.NoSpecial {
		kinds["fifo"] = unix.S_IFIFO | 0o620
		kinds["socket"] = unix.S_IFSOCK | 0o755
	}
	if !e.NoDevice {
		kinds["char"] = unix.S_IFCHR | 0o604
		kinds["block"] = unix.S_IFBLK | 0o640
	}
	return kinds
}

func testNamesTaken(e *env) {
	kinds := e.kinds()
	for name, mode := range kinds {
		n := e.make(e.root, name, mode)
		for other, mode := range kinds {
			_, err := vfs.Make(e.ctx, e.root, name, e.options(mode))
			e.is(err, syscall.EEXIST, "make", other, "over", name)
		}
		e.leads(e.root, name, n)
	}
}

func testKinds(e *env) {
	const device = 7<<8 | 9
	before := e.attr(e.root)
	if !before.IsDir() {
		e.Fatalf("the root's mode is %o", before.Mode)
	}
	inos := map[uint64]string{before.Ino: "root"}
	for name, mode := range e.kinds() {
		o := e.options(mode)
		o.Target = "some/where"
		if mode&unix.S_IFMT == unix.S_IFCHR || mode&unix.S_IFMT == unix.S_IFBLK {
			o.Rdev = device
		}
		n, err := vfs.Make(e.ctx, e.root, name, o)
		e.ok(err, "make", name)
		a := e.attr(n)
		links := uint32(1)
		if a.IsDir() {
			links = 2
		}
		if a.Mode != mode || a.UID != e.UID || a.GID != e.GID || a.Rdev != o.Rdev {
			e.Errorf("%s: mode %o, owner %d:%d, device %x", name, a.Mode, a.UID, a.GID, a.Rdev)
		}
		if a.Nlink != links && !(a.IsDir() && e.NoDirLinks) {
			e.Errorf("%s: %d links", name, a.Nlink)
		}
		if a.Dev != before.Dev && !e.NoOneDev || a.Ino == 0 || a.Blksize == 0 {
			e.Errorf("%s: %+v", name, a)
		}
		if was, ok := inos[a.Ino]; ok {
			e.Errorf("%s and %s have the number %d", was, name, a.Ino)
		}
		inos[a.Ino] = name
		switch target, err := vfs.Readlink(e.ctx, n); {
		case !a.IsSymlink():
			e.is(err, syscall.EINVAL, "readlink", name)
		case target != o.Target || err != nil || a.Size != int64(len(target)):
			e.Errorf("link to %q, %v, size %d", target, err, a.Size)
		}
	}
}

func testKindsWrongUse(e *env) {
	for name, mode := range e.kinds() {
		n := e.make(e.root, name, mode)
		_, isDir := n.(vfs.Dir)
		_, isLink := n.(vfs.Readlinker)
		if isDir != (name == "dir") || isLink != (name == "link") {
			e.Errorf("%s: Dir %v, Readlinker %v", name, isDir, isLink)
		}
		if isDir {
			continue
		}
		_, err := vfs.Lookup(e.ctx, n, "x")
		e.is(err, syscall.ENOTDIR, "lookup in", name)
		_, err = vfs.Make(e.ctx, n, "x", e.options(unix.S_IFREG))
		e.is(err, syscall.ENOTDIR, "make in", name)
		e.is(vfs.Remove(e.ctx, n, "x", false), syscall.ENOTDIR, "remove in", name)
		e.is(vfs.Rename(e.ctx, e.root, name, n, "x", 0), syscall.ENOTDIR, "rename into", name)
		e.is(vfs.Rename(e.ctx, n, "x", e.root, "y", 0), syscall.ENOTDIR, "rename out of", name)
		switch name {
		case "file":
			continue
		case "link":
			_, err := vfs.Open(e.ctx, n, unix.O_RDONLY)
			if err == nil {
				e.Error("a symbolic link was opened")
			}
		case "fifo", "socket":
			// POSIX opens these by itself, if the server says nothing of it.
			_, err := vfs.Open(e.ctx, n, unix.O_RDONLY)
			e.is(err, syscall.ENXIO, "open", name)
			if _, ok := n.(vfs.Opener); ok {
				e.Errorf("%s is an Opener: POSIX would leave it to the server", name)
			}
		}
	}
}

func testMakeOpen(e *env) {
	m, ok := e.root.(vfs.MakeOpener)
	if !ok {
		e.Skip("no MakeOpener")
	}
	n, f, err := m.MakeOpen(e.ctx, "f", e.options(unix.S_IFREG|0o000), unix.O_RDWR)
	e.ok(err, "make")
	f = e.owned(f)
	if f.Node() != n {
		e.Error("the file's node is not the one made")
	}
	e.leads(e.root, "f", n)
	e.write(f, "contents", 0)
	if got := e.readAt(f, 0, 100); string(got) != "contents" {
		e.Errorf("read %q", got)
	}
	if a := e.attr(n); a.Mode != unix.S_IFREG || a.Size != 8 {
		e.Errorf("mode %o, size %d", a.Mode, a.Size)
	}
	for name := range e.kinds() {
		e.make(e.root, name, e.kinds()[name])
		_, _, err = m.MakeOpen(e.ctx, name, e.options(unix.S_IFREG|0o600), unix.O_RDWR)
		e.is(err, syscall.EEXIST, "again", name)
	}
}
