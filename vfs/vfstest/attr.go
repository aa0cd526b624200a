package vfstest

import (
	"fmt"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func testAttributes(e *env) {
	for name, mode := range e.kinds() {
		n := e.make(e.root, name, mode)
		if name != "link" {
			for _, perm := range []uint32{0, 0o777, 0o7777, 0o4755, 0o600} {
				e.set(n, vfs.SetAttr{Valid: vfs.SetMode, Mode: perm})
				if a := e.attr(n); a.Mode != mode&unix.S_IFMT|perm {
					e.Errorf("%s: mode %o after chmod %o", name, a.Mode, perm)
				}
			}
		}
		before := e.attr(n)
		e.set(n, vfs.SetAttr{Valid: vfs.SetUID, UID: e.UID})
		e.set(n, vfs.SetAttr{Valid: vfs.SetGID, GID: e.GID})
		if e.NoChown {
			continue
		}
		e.set(n, vfs.SetAttr{Valid: vfs.SetUID, UID: 12345})
		if a := e.attr(n); a.UID != 12345 || a.GID != before.GID {
			e.Errorf("%s: owner %d:%d", name, a.UID, a.GID)
		}
		e.set(n, vfs.SetAttr{Valid: vfs.SetGID, GID: 54321})
		if a := e.attr(n); a.UID != 12345 || a.GID != 54321 {
			e.Errorf("%s: owner %d:%d", name, a.UID, a.GID)
		}
		o := vfs.MakeOptions{Mode: mode, UID: 77, GID: 88, Target: "x"}
		m, err := vfs.Make(e.ctx, e.root, name+" of another", o)
		e.ok(err, "make")
		if a := e.attr(m); a.UID != 77 || a.GID != 88 {
			e.Errorf("%s made for 77:88 belongs to %d:%d", name, a.UID, a.GID)
		}
	}
	// By an open file, which has no say in whether the name is still there.
	n := e.file(e.root, "open", "abc")
	f := e.open(n, unix.O_RDWR)
	e.remove(e.root, "open", false)
	e.ok(vfs.SetAttributes(e.ctx, n, under(f), vfs.SetAttr{Valid: vfs.SetMode | vfs.SetSize, Mode: 0o123, Size: 1}), "set")
	if a := e.attr(n); a.Mode != unix.S_IFREG|0o123 || a.Size != 1 || a.Nlink != 0 {
		e.Errorf("%+v", a)
	}
}

func testAllOrNothing(e *env) {
	n := e.file(e.root, "f", "abc")
	e.set(n, vfs.SetAttr{Valid: vfs.SetMode | vfs.SetMtime, Mode: 0o600, Mtime: syscall.Timespec{Sec: 1000}})
	before := e.attr(n)
	err := vfs.SetAttributes(e.ctx, n, nil, vfs.SetAttr{
		Valid: vfs.SetMode | vfs.SetSize | vfs.SetMtime, Mode: 0o777, Size: -1, Mtime: syscall.Timespec{Sec: 5}})
	e.is(err, syscall.EINVAL, "set with a bad size")
	if a := e.attr(n); a.Mode != before.Mode || a.Size != 3 || a.Mtime != before.Mtime {
		e.Errorf("after a failure: %+v, before: %+v", a, before)
	}
	s := vfs.SetAttr{Valid: vfs.SetMode | vfs.SetUID | vfs.SetGID | vfs.SetSize | vfs.SetAtime | vfs.SetMtime,
		Mode: 0o751, UID: e.UID, GID: e.GID, Size: 2, Atime: syscall.Timespec{Sec: 7}, Mtime: syscall.Timespec{Sec: 8}}
	e.set(n, s)
	if a := e.attr(n); a.Mode != unix.S_IFREG|0o751 || a.Size != 2 || a.Atime != s.Atime || a.Mtime != s.Mtime {
		e.Errorf("after setting all: %+v", a)
	}
	e.set(n, vfs.SetAttr{})
	if a := e.attr(n); a.Mode != unix.S_IFREG|0o751 || a.Size != 2 || a.Atime != s.Atime || a.Mtime != s.Mtime {
		e.Errorf("after setting nothing: %+v", a)
	}
}

func testTimes(e *env) {
	times := []syscall.Timespec{{}, {Sec: 1}, {Sec: 1e9, Nsec: 123456789}, {Sec: -1000}, {Sec: 4e9, Nsec: 999999999}}
	for name, mode := range e.kinds() {
		n := e.make(e.root, name, mode)
		birth := e.attr(n)
		for i, want := range times {
			other := times[(i+1)%len(times)]
			e.set(n, vfs.SetAttr{Valid: vfs.SetAtime | vfs.SetMtime, Atime: other, Mtime: want})
			if a := e.attr(n); a.Mtime != want || a.Atime != other {
				e.Errorf("%s: times %v and %v, want %v and %v", name, a.Atime, a.Mtime, other, want)
			}
			e.set(n, vfs.SetAttr{Valid: vfs.SetAtime, Atime: want})
			if a := e.attr(n); a.Mtime != want || a.Atime != want {
				e.Errorf("%s: times %v and %v, want %v", name, a.Atime, a.Mtime, want)
			}
			e.set(n, vfs.SetAttr{Valid: vfs.SetMtime, Mtime: other})
			if a := e.attr(n); a.Mtime != other || a.Atime != want {
				e.Errorf("%s: times %v and %v, want %v and %v", name, a.Atime, a.Mtime, want, other)
			}
		}
		a := e.attr(n)
		if before(a.Ctime, birth.Ctime) {
			e.Errorf("%s: ctime was set back to %v", name, a.Ctime)
		}
		if a.Btime != birth.Btime {
			e.Errorf("%s: btime changed", name)
		}
	}
}

func before(a, b syscall.Timespec) bool { return a.Sec < b.Sec || a.Sec == b.Sec && a.Nsec < b.Nsec }

// testTimesMove sets times back and sees which ones an operation moves.
func testTimesMove(e *env) {
	old := syscall.Timespec{Sec: 1e9}
	back := func(nodes ...vfs.Node) {
		for _, n := range nodes {
			e.set(n, vfs.SetAttr{Valid: vfs.SetAtime | vfs.SetMtime, Atime: old, Mtime: old})
		}
	}
	moved := func(what string, n vfs.Node, want bool) {
		e.Helper()
		if a := e.attr(n); (a.Mtime != old) != want {
			e.Errorf("%s: mtime moved: %v", what, !want)
		} else if want && a.Mtime.Sec < 1.5e9 {
			e.Errorf("%s: mtime is %v", what, a.Mtime)
		}
	}
	d, d2 := e.dir(e.root, "d"), e.dir(e.root, "d2")
	n := e.file(d, "f", "text")
	f := e.open(n, unix.O_RDWR)
	for _, c := range []struct {
		what     string
		do       func()
		file, in bool
		to       bool // d2
	}{
		{"write", func() { e.write(f, "x", 0) }, true, false, false},
		{"write of nothing", func() { vfs.Write(e.ctx, under(f), nil, 0) }, false, false, false},
		{"read", func() { e.readAt(f, 0, 1) }, false, false, false},
		{"cut", func() { e.truncate(n, 1) }, true, false, false},
		{"grow", func() { e.truncate(n, 10) }, true, false, false},
		{"chmod", func() { e.set(n, vfs.SetAttr{Valid: vfs.SetMode, Mode: 0o640}) }, false, false, false},
		{"make", func() { e.file(d, "g", "") }, false, true, false},
		{"mkdir", func() { e.dir(d, "h") }, false, true, false},
		{"unlink", func() { e.remove(d, "g", false) }, false, true, false},
		{"rmdir", func() { e.remove(d, "h", true) }, false, true, false},
		{"lookup", func() { e.lookup(d, "f") }, false, false, false},
		{"list", func() { e.list(d, 10) }, false, false, false},
		{"rename within", func() { e.ok(vfs.Rename(e.ctx, d, "f", d, "f2", 0)) }, false, true, false},
		{"rename", func() { e.ok(vfs.Rename(e.ctx, d, "f2", d2, "f", 0)) }, false, true, true},
		{"rename that fails", func() { vfs.Rename(e.ctx, d, "none", d2, "f", 0) }, false, false, false},
		{"make that fails", func() { vfs.Make(e.ctx, d2, "f", e.options(unix.S_IFREG)) }, false, false, false},
	} {
		back(n, d, d2)
		c.do()
		moved(c.what+": file", n, c.file)
		moved(c.what+": directory", d, c.in)
		moved(c.what+": other directory", d2, c.to)
	}
	// The change time moves with everything; it cannot be set, only awaited: clocks
	// of file systems tick slowly.
	other := e.dir(e.root, "other")
	for what, do := range map[string]func(i int){
		"write": func(int) { e.write(f, "x", 0) },
		"chmod": func(i int) { e.set(n, vfs.SetAttr{Valid: vfs.SetMode, Mode: uint32(0o600 + i%2)}) },
		"size":  func(i int) { e.truncate(n, int64(1+i%2)) },
		"rename": func(i int) {
			e.ok(vfs.Rename(e.ctx, []vfs.Node{d2, other}[i%2], "f", []vfs.Node{other, d2}[i%2], "f", 0))
		},
	} {
		start, begin := e.attr(n).Ctime, time.Now()
		for i := 0; !before(start, e.attr(n).Ctime); i += 2 {
			do(i)
			do(i + 1)
			if time.Since(begin) > time.Minute {
				e.Fatalf("%s never moves ctime", what)
			}
		}
	}
}

func testXattr(e *env) {
	for _, name := range []string{"file", "dir"} {
		n := e.make(e.root, name, e.kinds()[name])
		get := func(attr, want string, errno syscall.Errno) {
			e.Helper()
			v, err := vfs.Getxattr(e.ctx, n, attr)
			e.is(err, errno, "get", attr)
			if err == nil && string(v) != want {
				e.Errorf("%s is %q, want %q", attr, v, want)
			}
		}
		set := func(attr, value string, flags int, errno syscall.Errno) {
			e.Helper()
			e.is(vfs.Setxattr(e.ctx, n, attr, []byte(value), flags), errno, "set", attr, flags)
		}
		list := func(want ...string) {
			e.Helper()
			names, err := vfs.Listxattr(e.ctx, n)
			e.ok(err, "list")
			got := map[string]bool{}
			for _, name := range names {
				if len(name) > 5 && name[:5] == "user." { // the host may have others
					got[name] = true
				}
			}
			if len(got) != len(want) {
				e.Errorf("listed %q, want %q", names, want)
			}
			for _, name := range want {
				if !got[name] {
					e.Errorf("%q is not listed", name)
				}
			}
		}
		list()
		get("user.a", "", syscall.ENODATA)
		e.is(vfs.Removexattr(e.ctx, n, "user.a"), syscall.ENODATA, "remove")
		set("user.a", "x", unix.XATTR_REPLACE, syscall.ENODATA)
		set("user.a", "one", unix.XATTR_CREATE, 0)
		get("user.a", "one", 0)
		set("user.a", "two", unix.XATTR_CREATE, syscall.EEXIST)
		set("user.a", "a\x00\xff", unix.XATTR_REPLACE, 0)
		get("user.a", "a\x00\xff", 0)
		set("user.empty", "", 0, 0)
		get("user.empty", "", 0)
		large := string(bytesOf(4, 1000))
		set("user.large", large, 0, 0)
		get("user.large", large, 0)
		list("user.a", "user.empty", "user.large")
		// What was given and what is got are the caller's.
		value := []byte("mine")
		e.ok(vfs.Setxattr(e.ctx, n, "user.a", value, 0), "set")
		value[0] = 'X'
		got, err := vfs.Getxattr(e.ctx, n, "user.a")
		e.ok(err, "get")
		got[1] = 'X'
		get("user.a", "mine", 0)
		e.ok(vfs.Removexattr(e.ctx, n, "user.a"), "remove")
		get("user.a", "", syscall.ENODATA)
		list("user.empty", "user.large")
		e.ok(vfs.Rename(e.ctx, e.root, name, e.root, name+"2", 0), "rename")
		get("user.large", large, 0)
		m := e.make(e.root, name, e.kinds()[name])
		if _, err := vfs.Getxattr(e.ctx, m, "user.large"); err == nil {
			e.Error("a new file has the attributes of another")
		}
	}
}

func testXattrNone(e *env) {
	n := e.file(e.root, "f", "")
	_, err := vfs.Getxattr(e.ctx, n, "user.a")
	e.is(err, syscall.EOPNOTSUPP, "get")
	e.is(vfs.Setxattr(e.ctx, n, "user.a", nil, 0), syscall.EOPNOTSUPP, "set")
	e.is(vfs.Removexattr(e.ctx, n, "user.a"), syscall.EOPNOTSUPP, "remove")
	if names, err := vfs.Listxattr(e.ctx, n); len(names) > 0 || err != nil {
		e.Errorf("list: %v, %v", names, err)
	}
}

func testStatfs(e *env) {
	s, ok := e.fs.(vfs.Statfser)
	if !ok {
		e.Skip("no Statfser")
	}
	got, err := s.Statfs(e.ctx)
	e.ok(err, "statfs")
	if got.BlockSize == 0 || got.NameMax < 255 || got.Type == 0 || got.BlocksFree > got.Blocks || got.FilesFree > got.Files {
		e.Error(fmt.Sprintf("%+v", got))
	}
}
