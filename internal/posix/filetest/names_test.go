package filetest

import (
	"fmt"
	"os"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

func init() {
	scenarios["names"] = names
	scenarios["walk"] = walk
	scenarios["cwd"] = cwd
	scenarios["rename"] = rename
	scenarios["removed"] = removed
	scenarios["links"] = links
	scenarios["readdir"] = readdir
	scenarios["mknod"] = mknod
}

func touch(name string) {
	fd := must1(unix.Open(name, unix.O_CREAT|unix.O_TRUNC|unix.O_WRONLY, 0o644))
	must1(unix.Write(fd, []byte(name)))
	must(unix.Close(fd))
}

func names(g *guest) {
	must(unix.Mkdir("d", 0o755))
	touch("f")
	must(unix.Symlink("nowhere", "dangling"))
	must(unix.Symlink("d", "dl"))
	must(unix.Symlink("f", "fl"))
	long := strings.Repeat("n", 255)
	for _, p := range []string{
		"new", "new", "new/", "d", "d/", "f", "f/", "f/x", "d/.", "d/..", ".", "..", "", "/", "//", "missing/x", "missing/",
		"dangling", "dangling/", "dl", "dl/", "dl/y", "fl", "fl/", long, long + "n", long + "n/x",
		strings.Repeat("d/../", 800) + "z", strings.Repeat("d/../", 820) + "z",
	} {
		show := p
		if len(p) > 40 {
			show = fmt.Sprintf("%s...%d", p[:10], len(p))
		}
		var st unix.Stat_t
		g.err("stat "+show, unix.Stat(p, &st))
		g.err("lstat "+show, unix.Lstat(p, &st))
		g.err("access "+show, unix.Access(p, unix.R_OK))
		_, err := unix.Readlink(p, make([]byte, 100))
		g.err("readlink "+show, err)
		g.err("mkdir "+show, unix.Mkdir(p, 0o755))
		g.err("mknod "+show, unix.Mknod(p, unix.S_IFREG|0o644, 0))
		g.err("symlink "+show, unix.Symlink("t", p))
		g.err("link "+show, unix.Link("f", p))
		g.err("chdir "+show, unix.Access(p+"/.", unix.X_OK))
	}
	for _, p := range []string{"new", "new/", "d/.", "d/..", ".", "..", "", "/", "f", "f/", "dangling/", "dl", "dl/", "fl/", "missing"} {
		g.err("rmdir "+p, unix.Rmdir(p))
		g.err("unlink "+p, unix.Unlink(p))
	}
	g.err("unlinkat flags", unix.Unlinkat(unix.AT_FDCWD, "x", 0x1000))
	g.err("mkdirat bad fd", unix.Mkdirat(999, "x", 0o755))
	g.err("mkdirat absolute with bad fd", unix.Mkdirat(999, "/", 0o755))
	fd := must1(unix.Open("g", unix.O_CREAT|unix.O_RDWR, 0o644))
	g.err("mkdirat file fd", unix.Mkdirat(fd, "x", 0o755))
}

func walk(g *guest) {
	must(os.MkdirAll("a/b/c", 0o755))
	touch("a/b/c/f")
	for i := range 45 {
		must(unix.Symlink(fmt.Sprintf("l%d", i), fmt.Sprintf("l%d", i+1)))
	}
	touch("l0")
	var st unix.Stat_t
	g.err("40 links", unix.Stat("l40", &st))
	g.err("41 links", unix.Stat("l41", &st))
	must(unix.Symlink("loop", "loop"))
	g.err("loop", unix.Stat("loop", &st))
	g.err("loop/x", unix.Stat("loop/x", &st))
	_, err := unix.Open("loop", unix.O_CREAT|unix.O_WRONLY, 0o644)
	g.err("create loop", err)
	must(unix.Symlink("../../a/b", "a/b/up"))
	g.err("relative link", unix.Stat("a/b/up/up/up/c/f", &st))
	g.err("dotdots", unix.Stat("a/b/c/../../../a/./b//c///f", &st))
	g.err("file as directory", unix.Stat("a/b/c/f/..", &st))
	g.err("file with slash", unix.Stat("a/b/c/f/", &st))
	must(unix.Symlink("a/b/c/f", "tofile"))
	g.err("link to file with slash", unix.Lstat("tofile/", &st))
	must(unix.Symlink("a/b/", "slashed"))
	g.err("slashed", unix.Lstat("slashed/c", &st))
	must(unix.Symlink("a/b/c/f/", "slashedfile"))
	g.err("slashed file", unix.Stat("slashedfile", &st))
	g.err("root dotdot", unix.Stat("/../../../..", &st))
	fd := must1(unix.Open("a/b", unix.O_PATH|unix.O_DIRECTORY, 0))
	g.err("at path fd", unix.Fstatat(fd, "c/f", &st, 0))
	g.err("empty path", unix.Fstatat(fd, "", &st, 0))
	g.err("AT_EMPTY_PATH", unix.Fstatat(fd, "", &st, unix.AT_EMPTY_PATH))
	g.err("AT_EMPTY_PATH cwd", unix.Fstatat(unix.AT_FDCWD, "", &st, unix.AT_EMPTY_PATH))
	g.err("bad flags", unix.Fstatat(fd, "c", &st, 0x80000))
	for _, c := range []struct {
		path    string
		resolve uint64
	}{
		{"c/f", unix.RESOLVE_BENEATH}, {"../b/c/f", unix.RESOLVE_BENEATH}, {"up/c/f", unix.RESOLVE_BENEATH}, {"/etc", unix.RESOLVE_BENEATH},
		{"c/../c/f", unix.RESOLVE_BENEATH}, {"c/../../b", unix.RESOLVE_BENEATH},
		{"../../../c/f", unix.RESOLVE_IN_ROOT}, {"/c/f", unix.RESOLVE_IN_ROOT}, {"/etc", unix.RESOLVE_IN_ROOT}, {"up/c/f", unix.RESOLVE_IN_ROOT},
		{"up/c/f", unix.RESOLVE_NO_SYMLINKS}, {"c/f", unix.RESOLVE_NO_SYMLINKS}, {"up", unix.RESOLVE_NO_SYMLINKS},
		{"c/f", unix.RESOLVE_BENEATH | unix.RESOLVE_IN_ROOT}, {"c/f", 1 << 40}, {"/proc/self/exe", unix.RESOLVE_NO_MAGICLINKS},
	} {
		o, err := unix.Openat2(fd, c.path, &unix.OpenHow{Flags: unix.O_RDONLY, Resolve: c.resolve})
		if err == nil {
			unix.Close(o)
		}
		g.err(fmt.Sprintf("openat2 %s %#x", c.path, c.resolve), err)
	}
	_, err = unix.Openat2(fd, "c", &unix.OpenHow{Flags: unix.O_RDONLY, Mode: 0o644})
	g.err("openat2 with a mode", err)
	_, err = unix.Openat2(fd, "c", &unix.OpenHow{Flags: 1 << 40})
	g.err("openat2 with unknown flags", err)
}

func cwd(g *guest) {
	base := must1(os.Getwd())
	get := func(what string) {
		buf := make([]byte, 4096)
		n, err := unix.Getcwd(buf)
		if err != nil {
			g.err(what, err)
			return
		}
		g.printf("%s: %s", what, strings.TrimPrefix(string(buf[:n-1]), base))
	}
	must(os.MkdirAll("a/b", 0o755))
	must(unix.Chdir("a/b"))
	get("in")
	must(unix.Rename(base+"/a", base+"/z"))
	get("renamed above")
	must(unix.Rename("../b", "../../y"))
	get("moved")
	_, err := unix.Getcwd(make([]byte, 5))
	g.err("short buffer", err)
	must(unix.Rmdir(base + "/y"))
	get("removed")
	_, err = unix.Open("f", unix.O_CREAT|unix.O_WRONLY, 0o644)
	g.err("create in a removed directory", err)
	g.err("mkdir in a removed directory", unix.Mkdir("d", 0o755))
	var st unix.Stat_t
	g.err("stat .", unix.Stat(".", &st))
	g.err("stat ..", unix.Stat("..", &st))
	g.err("fchdir", unix.Fchdir(must1(unix.Open(base, unix.O_RDONLY, 0))))
	get("back")
	touch("f")
	g.err("chdir to file", unix.Chdir("f"))
	g.err("fchdir to file", unix.Fchdir(must1(unix.Open("f", unix.O_RDONLY, 0))))
	g.err("fchdir to path fd", unix.Fchdir(must1(unix.Open("z", unix.O_PATH, 0))))
	get("by path fd")
	must(os.MkdirAll(base+"/e/x", 0o755))
	must(os.MkdirAll(base+"/e/y", 0o755))
	must(unix.Chdir(base + "/e/x"))
	must(unix.Renameat2(unix.AT_FDCWD, "../x", unix.AT_FDCWD, "../y", unix.RENAME_EXCHANGE))
	get("exchanged")
}

func removed(g *guest) {
	must(os.Mkdir("d", 0o755))
	early := must1(unix.Open("d", unix.O_RDONLY, 0))
	must(os.Chdir("d"))
	must(unix.Rmdir("../d"))
	fd, err := unix.Open(".", unix.O_RDONLY, 0)
	g.err("open a removed directory", err)
	_, err = unix.Getdents(fd, make([]byte, 1000))
	g.err("getdents of it", err)
	_, err = unix.Getdents(early, make([]byte, 1000))
	g.err("getdents of one opened before", err)
	_, err = unix.Openat(early, "x", unix.O_CREAT|unix.O_WRONLY, 0o644)
	g.err("create in it", err)
}

func rename(g *guest) {
	base := must1(os.Getwd())
	last, dirty := 0, true
	reset := func() {
		if !dirty {
			return
		}
		dirty = false
		last++
		must(os.Chdir(base))
		r := fmt.Sprintf("r%d", last)
		must(os.MkdirAll(r+"/d/sub", 0o755))
		must(os.MkdirAll(r+"/empty", 0o755))
		must(os.MkdirAll(r+"/e2", 0o755))
		must(os.Chdir(r))
		touch("f")
		touch("f2")
		must(unix.Link("f", "hard"))
		must(unix.Symlink("f", "sl"))
		must(unix.Symlink("d", "dl"))
	}
	names := []string{"f", "f/", "hard", "d", "d/", "d/sub", "d/sub/x", "empty", "e2", "sl", "dl/", "missing", "missing/", ".", "..", "", "d/sub/..", "f2", "f/x"}
	g.err("no such flag", unix.Renameat2(unix.AT_FDCWD, "a", unix.AT_FDCWD, "b", 1<<5))
	g.err("flags that exclude each other", unix.Renameat2(unix.AT_FDCWD, "a", unix.AT_FDCWD, "b", unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE))
	for _, flags := range []uint{0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE} {
		for _, from := range names {
			for _, to := range names {
				reset()
				err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flags)
				g.err(fmt.Sprintf("rename %s %s %d", from, to, flags), err)
				if err == nil {
					dirty = true
					g.printf("  %v", list("."))
				}
			}
		}
	}
	must(os.Chdir(base))
	// A directory keeps its identity wherever it goes.
	must(os.MkdirAll("a/b/c", 0o755))
	must(os.Mkdir("x", 0o755))
	fd := must1(unix.Open("a/b/c", unix.O_RDONLY, 0))
	must(unix.Rename("a/b", "x/b"))
	must(unix.Fchdir(fd))
	wd := must1(os.Getwd())
	g.printf("%s", wd[len(wd)-len("/x/b/c"):])
	touch("here")
	must(os.Chdir("../../.."))
	g.printf("%v", list("x/b/c"))
}

// list returns the names in a directory in order, each with its type.
func list(dir string) []string {
	fd := must1(unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0))
	defer unix.Close(fd)
	var names []string
	buf := make([]byte, 4096)
	for {
		n := must1(unix.Getdents(fd, buf))
		if n == 0 {
			break
		}
		for b := buf[:n]; len(b) > 0; b = b[int(b[16])|int(b[17])<<8:] {
			name, _, _ := strings.Cut(string(b[19:int(b[16])|int(b[17])<<8]), "\x00")
			if name != "." && name != ".." {
				names = append(names, fmt.Sprintf("%s:%d", name, b[18]))
			}
		}
	}
	sort.Strings(names)
	return names
}

func links(g *guest) {
	touch("f")
	must(unix.Mkdir("d", 0o755))
	must(unix.Symlink("f", "s"))
	nlink := func(p string) {
		var st unix.Stat_t
		must(unix.Lstat(p, &st))
		g.printf("nlink %s: %d", p, st.Nlink)
	}
	g.err("link", unix.Link("f", "f1"))
	nlink("f")
	g.err("link to symlink", unix.Link("s", "s1"))
	nlink("s")
	g.err("link followed", unix.Linkat(unix.AT_FDCWD, "s", unix.AT_FDCWD, "f2", unix.AT_SYMLINK_FOLLOW))
	nlink("f")
	g.err("link dir", unix.Link("d", "d1"))
	g.err("link missing", unix.Link("missing", "m"))
	g.err("link into missing", unix.Link("f", "missing/f"))
	g.err("link to slash", unix.Link("f", "new/"))
	g.err("link flags", unix.Linkat(unix.AT_FDCWD, "f", unix.AT_FDCWD, "q", 0x1))
	g.err("empty symlink", unix.Symlink("", "es"))
	g.err("long symlink", unix.Symlink(strings.Repeat("x", 4095), "ls"))
	g.err("too long symlink", unix.Symlink(strings.Repeat("x", 4096), "ls2"))
	buf := make([]byte, 5000)
	n, err := unix.Readlink("ls", buf)
	g.n("readlink long", n, err)
	n, err = unix.Readlink("ls", buf[:10])
	g.n("readlink short", n, err)
	fd := must1(unix.Open("s", unix.O_PATH|unix.O_NOFOLLOW, 0))
	n, err = unix.Readlinkat(fd, "", buf)
	g.n("readlink of a path fd", n, err)
	fd = must1(unix.Open("f", unix.O_PATH, 0))
	n, err = unix.Readlinkat(fd, "", buf)
	g.n("readlink of a file's path fd", n, err)
	must(unix.Unlink("f1"))
	must(unix.Unlink("f2"))
	nlink("f")
	rw := must1(unix.Open("f", unix.O_RDWR, 0))
	must(unix.Unlink("f"))
	var st unix.Stat_t
	must(unix.Fstat(rw, &st))
	g.printf("nlink of the unlinked: %d size %d", st.Nlink, st.Size)
	n, err = unix.Write(rw, []byte("still there"))
	g.n("write to the unlinked", n, err)
	n, err = unix.Pread(rw, buf, 0)
	g.n("read the unlinked", n, err)
	t, err := unix.Open(".", unix.O_TMPFILE|unix.O_RDWR, 0o600)
	g.err("tmpfile", err)
	if err == nil {
		must(unix.Fstat(t, &st))
		g.printf("tmpfile: %d links mode %o", st.Nlink, st.Mode)
		n, err = unix.Write(t, []byte("temp"))
		g.n("write to the tmpfile", n, err)
		g.err("name the tmpfile", unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", t), unix.AT_FDCWD, "named", unix.AT_SYMLINK_FOLLOW))
		nlink("named")
	}
	t, err = unix.Open(".", unix.O_TMPFILE|unix.O_RDWR|unix.O_EXCL, 0o600)
	g.err("tmpfile that stays", err)
	g.err("name it", unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", t), unix.AT_FDCWD, "named2", unix.AT_SYMLINK_FOLLOW))
	_, err = unix.Open(".", unix.O_TMPFILE|unix.O_RDONLY, 0o600)
	g.err("tmpfile read-only", err)
	_, err = unix.Open("named", unix.O_TMPFILE|unix.O_RDWR, 0o600)
	g.err("tmpfile in a file", err)
}

func readdir(g *guest) {
	must(os.Mkdir("d", 0o755))
	const count = 600
	for i := range count {
		touch(fmt.Sprintf("d/file%04d", i))
	}
	fd := must1(unix.Open("d", unix.O_RDONLY|unix.O_DIRECTORY, 0))
	seen := map[string]int{}
	buf := make([]byte, 1024)
	removed := 0
	for {
		n, err := unix.Getdents(fd, buf)
		must(err)
		if n == 0 {
			break
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			seen[name]++
			must(unix.Unlink("d/" + name))
			removed++
		}
		if removed < 200 {
			touch(fmt.Sprintf("d/new%d", removed)) // may be seen or not
		}
	}
	olds := 0
	for name, n := range seen {
		if n != 1 {
			g.printf("%s seen %d times", name, n)
		}
		if strings.HasPrefix(name, "file") {
			olds++
		}
	}
	g.printf("saw %d", olds)
	n, err := unix.Getdents(fd, buf)
	g.n("at the end", n, err)
	_, err = unix.Seek(fd, 0, unix.SEEK_SET)
	g.err("rewind", err)
	_, err = unix.Getdents(fd, buf[:10])
	g.err("no room", err)
	_, err = unix.Read(fd, buf)
	g.err("read", err)
	_, err = unix.Pread(fd, buf, 0)
	g.err("pread", err)
	_, err = unix.Write(fd, buf)
	g.err("write", err)
	must(os.Mkdir("e", 0o755))
	for _, n := range []string{"b", "a", "c"} {
		must(os.Mkdir("e/"+n, 0o755))
	}
	touch("e/f")
	must(unix.Symlink("x", "e/s"))
	must(unix.Mkfifo("e/p", 0o644))
	g.printf("%v", list("e"))
	ffd := must1(unix.Open("e/f", unix.O_RDONLY, 0))
	_, err = unix.Getdents(ffd, buf)
	g.err("getdents of a file", err)
	_, err = unix.Getdents(must1(unix.Open("e", unix.O_PATH, 0)), buf)
	g.err("getdents of a path fd", err)
}

func mknod(g *guest) {
	for _, mode := range []uint32{0, unix.S_IFREG, unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFDIR, unix.S_IFLNK, 0o50000} {
		name := fmt.Sprintf("n%o", mode)
		g.err("mknod "+name, unix.Mknod(name, mode|0o666, 0))
		var st unix.Stat_t
		if unix.Lstat(name, &st) == nil {
			g.printf("mode %o size %d", st.Mode, st.Size)
		}
	}
	_, err := unix.Open(fmt.Sprintf("n%o", unix.S_IFSOCK), unix.O_RDWR, 0)
	g.err("open a socket", err)
	fd, err := unix.Open(fmt.Sprintf("n%o", unix.S_IFIFO), unix.O_RDONLY|unix.O_NONBLOCK, 0)
	g.err("open a fifo to read", err)
	n, err := unix.Read(fd, make([]byte, 10))
	g.n("read a fifo without writer", n, err)
	unix.Close(fd)
	_, err = unix.Open(fmt.Sprintf("n%o", unix.S_IFIFO), unix.O_WRONLY|unix.O_NONBLOCK, 0)
	g.err("open a fifo to write", err)
	fd, err = unix.Open(fmt.Sprintf("n%o", unix.S_IFIFO), unix.O_RDWR, 0)
	g.err("open a fifo for both", err)
	n, err = unix.Write(fd, []byte("abc"))
	g.n("write", n, err)
	n, err = unix.Read(fd, make([]byte, 10))
	g.n("read", n, err)
	_, err = unix.Seek(fd, 0, 0)
	g.err("seek", err)
}
