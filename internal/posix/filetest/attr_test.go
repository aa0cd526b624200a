package filetest

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func init() {
	scenarios["modes"] = modes
	scenarios["permissions"] = permissions
	scenarios["times"] = times
	scenarios["statx"] = statx
	scenarios["xattr"] = xattr
}

func (g *guest) mode(p string) {
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); err != nil {
		g.err(p, err)
		return
	}
	g.printf("  %s %o %v %v", p, st.Mode, int(st.Uid) == os.Getuid(), int(st.Gid) == os.Getgid())
}

func modes(g *guest) {
	touch("f")
	must(unix.Mkdir("d", 0o755))
	must(unix.Symlink("f", "s"))
	for _, m := range []uint32{0o600, 0o7777, 0o17755, 0, 0o644} {
		g.err(fmt.Sprintf("chmod %o", m), unix.Chmod("f", m))
		g.mode("f")
	}
	g.err("chmod link", unix.Chmod("s", 0o640))
	g.mode("f")
	g.err("fchmodat nofollow", unix.Fchmodat(unix.AT_FDCWD, "s", 0o600, unix.AT_SYMLINK_NOFOLLOW))
	g.err("chmod missing", unix.Chmod("missing", 0o600))
	g.err("chown to self", unix.Chown("f", os.Getuid(), os.Getgid()))
	must(unix.Chmod("f", 0o6755))
	g.err("chown -1", unix.Chown("f", -1, -1))
	g.mode("f")
	must(unix.Chmod("f", 0o6755))
	g.err("chown again", unix.Chown("f", os.Getuid(), -1))
	g.mode("f")
	must(unix.Chmod("f", 0o6745))
	g.err("chown without group execution", unix.Chown("f", os.Getuid(), -1))
	g.mode("f")
	must(unix.Chmod("d", 0o6755))
	g.err("chown directory", unix.Chown("d", os.Getuid(), -1))
	g.mode("d")
	g.err("lchown link", unix.Lchown("s", os.Getuid(), -1))
	must(unix.Chmod("d", 0o2775))
	must(unix.Mkdir("d/sub", 0o755))
	g.mode("d/sub")
	touch("d/file")
	g.mode("d/file")
	unix.Umask(0o027)
	must(unix.Mkdir("u", 0o7777))
	g.mode("u")
	must(unix.Mknod("un", unix.S_IFREG|0o6777, 0))
	g.mode("un")
	fd := must1(unix.Open("f", unix.O_RDONLY, 0))
	g.err("fchmod", unix.Fchmod(fd, 0o611))
	g.err("fchown", unix.Fchown(fd, -1, os.Getgid()))
	g.mode("f")
	g.err("faccessat2 flags", unix.Faccessat2(unix.AT_FDCWD, "f", 0, 0x8000))
	g.err("access mode", unix.Access("f", 9))
}

// permissions are those of a user without privileges; it becomes one.
func permissions(g *guest) {
	must(unix.Chmod(".", 0o777))
	must(unix.Mkdir("root", 0o700))
	touch("root/f")
	touch("rootfile")
	must(unix.Chmod("rootfile", 0o600))
	must(unix.Mkdir("sticky", 0o1777))
	must(unix.Chmod("sticky", 0o1777))
	touch("sticky/roots")
	must(unix.Mkdir("readonly", 0o755))
	touch("readonly/f")
	must(unix.Mkdir("grouped", 0o2777))
	must(unix.Chmod("grouped", 0o2777))
	must(syscall.Setgroups([]int{2000}))
	must(unix.Setresgid(1000, 1000, 1000))
	must(unix.Setresuid(1000, 1000, 1000))
	var st unix.Stat_t
	g.err("search", unix.Stat("root/f", &st))
	g.err("stat", unix.Stat("rootfile", &st))
	for _, f := range []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR, unix.O_RDONLY | unix.O_TRUNC, unix.O_PATH, unix.O_RDONLY | unix.O_NOATIME} {
		_, err := unix.Open("rootfile", f, 0)
		g.err(fmt.Sprintf("open %#o", f), err)
		_, err = unix.Open("readonly/f", f, 0)
		g.err(fmt.Sprintf("open readable %#o", f), err)
	}
	for _, m := range []uint32{0, 1, 2, 4, 6} {
		g.err(fmt.Sprintf("access %d", m), unix.Access("rootfile", m))
		g.err(fmt.Sprintf("access readonly %d", m), unix.Access("readonly", m))
	}
	g.err("truncate", unix.Truncate("rootfile", 0))
	g.err("create", unix.Mknod("readonly/new", unix.S_IFREG|0o644, 0))
	g.err("create existing", unix.Mkdir("readonly/f", 0o755))
	_, err := unix.Open("readonly/new", unix.O_CREAT|unix.O_WRONLY, 0o644)
	g.err("open create", err)
	g.err("unlink", unix.Unlink("readonly/f"))
	g.err("unlink missing", unix.Unlink("readonly/missing"))
	g.err("rename out", unix.Rename("readonly/f", "mine"))
	g.err("sticky unlink", unix.Unlink("sticky/roots"))
	g.err("sticky rename", unix.Rename("sticky/roots", "sticky/other"))
	if os.Getenv("HATI_PROTECTED") == "1" {
		g.err("link", unix.Link("readonly/f", "readonly/g"))
		g.err("link here", unix.Link("readonly/f", "g"))
	}
	touch("sticky/own")
	g.err("sticky own", unix.Unlink("sticky/own"))
	g.err("chmod", unix.Chmod("rootfile", 0o777))
	g.err("chown", unix.Chown("rootfile", 1000, -1))
	touch("own")
	g.err("chown own away", unix.Chown("own", 0, -1))
	g.err("chown own to self", unix.Chown("own", 1000, 1000))
	g.err("chgrp to a group of mine", unix.Chown("own", -1, 2000))
	g.err("chgrp to another", unix.Chown("own", -1, 3000))
	must(unix.Chown("own", -1, 1000))
	g.err("set-id", unix.Chmod("own", 0o6755))
	fd := must1(unix.Open("own", unix.O_WRONLY, 0))
	must1(unix.Write(fd, []byte("x")))
	must(unix.Fstat(fd, &st))
	g.printf("after a write %o", st.Mode)
	g.err("set-id", unix.Chmod("own", 0o6755))
	must(unix.Truncate("own", 1))
	must(unix.Stat("own", &st))
	g.printf("after truncate %o", st.Mode)
	g.err("mode 0", unix.Chmod("own", 0))
	_, err = unix.Open("own", unix.O_RDONLY, 0)
	g.err("own without permission", err)
	g.err("utimes now of another", unix.UtimesNanoAt(unix.AT_FDCWD, "rootfile", nil, 0))
	g.err("utimes of another", unix.UtimesNanoAt(unix.AT_FDCWD, "rootfile", []unix.Timespec{{Sec: 1}, {Sec: 2}}, 0))
	touch("grouped/f")
	must(unix.Stat("grouped/f", &st))
	g.printf("group of a set-group-id directory's file %d", st.Gid)
	must(unix.Mkdir("grouped/d", 0o755))
	must(unix.Stat("grouped/d", &st))
	g.printf("and of a directory %d %o", st.Gid, st.Mode)
	g.err("mknod device", unix.Mknod("null", unix.S_IFCHR|0o666, 0x103))
	g.err("chroot", unix.Chroot("."))
	g.err("mount", unix.Mount("a", "b", "tmpfs", 0, ""))
	// Moving a directory that may not be written.
	must(unix.Mkdir("own1", 0o755))
	must(unix.Mkdir("own2", 0o755))
	must(unix.Mkdir("own1/x", 0o555))
	g.err("move a read-only directory", unix.Rename("own1/x", "own2/x"))
	g.err("rename a read-only directory", unix.Rename("own1/x", "own1/y"))
}

func times(g *guest) {
	touch("f")
	must(unix.Symlink("f", "s"))
	show := func(what string, err error) {
		var st unix.Stat_t
		must(unix.Stat("f", &st))
		g.printf("%s: %s %d.%d %d.%d", what, errName(err), st.Atim.Sec, st.Atim.Nsec, st.Mtim.Sec, st.Mtim.Nsec)
	}
	at := func(a, an, m, mn int64) []unix.Timespec {
		return []unix.Timespec{{Sec: a, Nsec: an}, {Sec: m, Nsec: mn}}
	}
	show("set", unix.UtimesNanoAt(unix.AT_FDCWD, "f", at(100, 5, 200, 6), 0))
	show("omit", unix.UtimesNanoAt(unix.AT_FDCWD, "f", at(0, unix.UTIME_OMIT, 300, 7), 0))
	show("omit both", unix.UtimesNanoAt(unix.AT_FDCWD, "f", at(0, unix.UTIME_OMIT, 0, unix.UTIME_OMIT), 0))
	show("bad", unix.UtimesNanoAt(unix.AT_FDCWD, "f", at(0, 1e9, 0, 0), 0))
	show("negative", unix.UtimesNanoAt(unix.AT_FDCWD, "f", at(-5, 0, -6, 1), 0))
	show("link itself", unix.UtimesNanoAt(unix.AT_FDCWD, "s", at(1, 1, 1, 1), unix.AT_SYMLINK_NOFOLLOW))
	show("flags", unix.UtimesNanoAt(unix.AT_FDCWD, "f", at(1, 1, 1, 1), 0x1))
	show("utimes", unix.Utimes("f", []unix.Timeval{{Sec: 50, Usec: 9}, {Sec: 60, Usec: 8}}))
	show("utimes bad", unix.Utimes("f", []unix.Timeval{{Sec: 50, Usec: 1e6}, {Sec: 60, Usec: 8}}))
	show("utime", unix.Utime("f", &unix.Utimbuf{Actime: 10, Modtime: 20}))
	show("missing", unix.Utime("missing", &unix.Utimbuf{Actime: 10, Modtime: 20}))
	fd := must1(unix.Open("f", unix.O_RDONLY, 0))
	show("futimes", unix.Futimes(fd, []unix.Timeval{{Sec: 70, Usec: 9}, {Sec: 80, Usec: 8}}))
	must(unix.Truncate("f", 0))
	for what, change := range map[string]func(){
		"truncated": func() { must(unix.Truncate("f", 0)) },
		"opened":    func() { must(unix.Close(must1(unix.Open("f", unix.O_WRONLY|unix.O_TRUNC, 0)))) },
		"created":   func() { must(unix.Close(must1(unix.Open("f", unix.O_WRONLY|unix.O_TRUNC|unix.O_CREAT, 0o600)))) },
	} {
		must(unix.UtimesNanoAt(unix.AT_FDCWD, "f", at(100, 5, 200, 6), 0))
		change()
		var st unix.Stat_t
		must(unix.Stat("f", &st))
		if st.Mtim.Sec == 200 {
			g.printf("an empty file that is %s keeps its time", what)
		}
	}
	var before, after unix.Stat_t
	must(unix.Stat("f", &before))
	must(unix.UtimesNanoAt(unix.AT_FDCWD, "f", nil, 0))
	must(unix.Stat("f", &after))
	g.printf("now is later: %v %v", after.Atim.Sec > before.Atim.Sec+1e8, after.Mtim.Sec > before.Mtim.Sec+1e8)
}

func statx(g *guest) {
	touch("f")
	must(unix.Symlink("f", "s"))
	var x unix.Statx_t
	g.err("statx", unix.Statx(unix.AT_FDCWD, "f", 0, unix.STATX_BASIC_STATS, &x))
	g.printf("mask %v mode %o size %d nlink %d uid %v", x.Mask&unix.STATX_BASIC_STATS == unix.STATX_BASIC_STATS, x.Mode, x.Size, x.Nlink, int(x.Uid) == os.Getuid())
	g.err("nofollow", unix.Statx(unix.AT_FDCWD, "s", unix.AT_SYMLINK_NOFOLLOW, unix.STATX_ALL, &x))
	g.printf("mode %o size %d", x.Mode, x.Size)
	g.err("flags", unix.Statx(unix.AT_FDCWD, "f", 0x10, unix.STATX_ALL, &x))
	g.err("mask", unix.Statx(unix.AT_FDCWD, "f", 0, 0x80000000, &x))
	g.err("sync flags", unix.Statx(unix.AT_FDCWD, "f", 0x6000, unix.STATX_ALL, &x))
	g.err("empty", unix.Statx(unix.AT_FDCWD, "", 0, unix.STATX_ALL, &x))
	fd := must1(unix.Open("f", unix.O_PATH, 0))
	g.err("by fd", unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_ALL, &x))
	var fs unix.Statfs_t
	g.err("statfs", unix.Statfs("f", &fs))
	g.printf("namelen %d", fs.Namelen)
	g.err("fstatfs", unix.Fstatfs(fd, &fs))
	g.err("statfs missing", unix.Statfs("missing", &fs))
	_, _, e := unix.Syscall(unix.SYS_STATFS, 8, 8, 0)
	g.err("statfs bad address", e)
}

func xattr(g *guest) {
	touch("f")
	must(unix.Mkdir("d", 0o755))
	must(unix.Symlink("f", "s"))
	b := make([]byte, 100)
	get := func(what, p, name string) {
		n, err := unix.Getxattr(p, name, b)
		if err != nil {
			g.err(what, err)
			return
		}
		g.printf("%s: %q", what, b[:n])
	}
	g.err("set", unix.Setxattr("f", "user.a", []byte("value"), 0))
	get("get", "f", "user.a")
	get("get through a link", "s", "user.a")
	get("missing", "f", "user.b")
	g.err("create existing", unix.Setxattr("f", "user.a", nil, unix.XATTR_CREATE))
	g.err("replace missing", unix.Setxattr("f", "user.b", nil, unix.XATTR_REPLACE))
	g.err("flags", unix.Setxattr("f", "user.b", nil, 8))
	g.err("empty value", unix.Setxattr("f", "user.empty", nil, 0))
	get("empty value", "f", "user.empty")
	g.err("no name", unix.Setxattr("f", "", nil, 0))
	g.err("no name behind the prefix", unix.Setxattr("f", "user.", nil, 0))
	g.err("unknown space", unix.Setxattr("f", "other.a", nil, 0))
	g.err("long name", unix.Setxattr("f", "user."+strings.Repeat("n", 251), nil, 0))
	g.err("large value", unix.Setxattr("f", "user.big", make([]byte, 65537), 0))
	n, err := unix.Getxattr("f", "user.a", nil)
	g.n("size", n, err)
	_, err = unix.Getxattr("f", "user.a", b[:2])
	g.err("short buffer", err)
	n, err = unix.Listxattr("f", nil)
	g.n("list size", n, err)
	_, err = unix.Listxattr("f", b[:2])
	g.err("list short buffer", err)
	g.err("on a link", unix.Lsetxattr("s", "user.a", []byte("x"), 0))
	g.err("on a directory", unix.Setxattr("d", "user.a", []byte("x"), 0))
	fd := must1(unix.Open("f", unix.O_RDONLY, 0))
	g.err("fset", unix.Fsetxattr(fd, "user.fd", []byte("x"), 0))
	g.err("fremove", unix.Fremovexattr(fd, "user.fd"))
	g.err("remove", unix.Removexattr("f", "user.a"))
	g.err("remove again", unix.Removexattr("f", "user.a"))
	g.err("on a missing file", unix.Setxattr("missing", "user.a", nil, 0))
}
