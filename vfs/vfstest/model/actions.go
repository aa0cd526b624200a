package model

import (
	"fmt"
	"os"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// actions are the operations on names. They draw what they need.
func (w *world) actions() map[string]func(*rapid.T) {
	all := map[string]func(){
		"mkdir":   func() { w.make(unix.S_IFDIR) },
		"mkfifo":  func() { w.make(unix.S_IFIFO) },
		"symlink": func() { w.make(unix.S_IFLNK) },
		"create":  w.create,
		"unlink":  func() { w.remove(false) },
		"rmdir":   func() { w.remove(true) },
		"rename":  w.rename,
		"link":    w.link,
		"stat":    w.stat,
		"chmod":   w.chmod,
		"utimes":  w.utimes,
		"cut":     w.cut,
		"list":    func() { w.list(w.path()) },
		"xattr":   w.xattr,
		"tmpfile": w.tmpfile,
		"open":    w.openFile,
		"close":   w.closeFile,
		"write":   w.write,
		"append":  w.append,
		"read":    w.read,
		"fcut":    w.fcut,
		"fchmod":  w.fchmod,
		"fstat":   w.fstat,
		"punch":   w.punch,
	}
	actions := map[string]func(*rapid.T){}
	for name, do := range all {
		actions[name] = func(t *rapid.T) {
			w.T = t
			do()
		}
	}
	return actions
}

// target leads nowhere, from everywhere.
const target = "no/where"

func (w *world) options(mode uint32) vfs.MakeOptions {
	return vfs.MakeOptions{Mode: mode, UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Target: target}
}

func (w *world) make(kind uint32) {
	path := w.path()
	perm := uint32(0o700)
	var want error
	switch p := w.host(path); kind {
	case unix.S_IFDIR:
		want = unix.Mkdir(p, perm)
	case unix.S_IFIFO:
		want = unix.Mkfifo(p, perm)
	case unix.S_IFLNK:
		want = unix.Symlink(target, p)
		perm = 0o777
	}
	d, name, err := w.parent(path)
	if err == nil {
		_, err = vfs.Make(w.ctx, d, name, w.options(kind|perm))
	}
	w.same("make "+path, err, want)
}

func (w *world) create() {
	path := w.path()
	fd, want := unix.Open(w.host(path), unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	d, name, err := w.parent(path)
	var f vfs.File
	if err == nil {
		var n vfs.Node
		if n, err = vfs.Make(w.ctx, d, name, w.options(unix.S_IFREG|0o600)); err == nil {
			f, err = vfs.Open(w.ctx, n, unix.O_RDWR)
		}
	}
	w.opened("create "+path, f, fd, err, want)
}

// opened keeps a file that was opened in both.
func (w *world) opened(what string, f vfs.File, fd int, err, want error) {
	w.Helper()
	if want == nil && err != nil {
		unix.Close(fd)
	}
	if want != nil && f != nil {
		f.Close()
	}
	if w.same(what, err, want) {
		w.open = append(w.open, handle{f, fd})
	}
}

func (w *world) remove(dir bool) {
	path := w.path()
	take := unix.Unlink
	if dir {
		take = unix.Rmdir
	}
	want := take(w.host(path))
	d, name, err := w.parent(path)
	if err == nil {
		err = vfs.Remove(w.ctx, d, name, dir)
	}
	w.same("remove "+path, err, want)
}

func (w *world) rename() {
	from, to := w.path(), w.path()
	flags := rapid.SampledFrom([]uint{0, 0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE}).Draw(w.T, "flags")
	d, name, err := w.parent(from)
	t, toName, toErr := w.parent(to)
	if err == nil && toErr == nil {
		want := unix.Renameat2(unix.AT_FDCWD, w.host(from), unix.AT_FDCWD, w.host(to), flags)
		err = vfs.Rename(w.ctx, d, name, t, toName, flags)
		w.same(fmt.Sprintf("rename %s to %s, flags %d", from, to, flags), err, want)
	}
}

func (w *world) link() {
	from, to := w.path(), w.path()
	want := unix.Link(w.host(from), w.host(to))
	n, err := w.walk(from)
	if err == nil {
		var d vfs.Node
		var name string
		if d, name, err = w.parent(to); err == nil {
			// The host looks at the new name first.
			if _, e := vfs.Lookup(w.ctx, d, name); e == nil {
				err = syscall.EEXIST
			} else {
				err = vfs.Link(w.ctx, d, n, name)
			}
		}
	}
	w.same("link "+from+" as "+to, err, want)
}

func (w *world) stat() {
	path := w.path()
	var st unix.Stat_t
	want := unix.Lstat(w.host(path), &st)
	n, err := w.walk(path)
	if w.same("stat "+path, err, want) {
		w.compareAttr(path, n, &st)
	}
}

func (w *world) chmod() {
	path, mode := w.path(), w.mode()
	n, err := w.walk(path)
	if _, ok := n.(vfs.Readlinker); ok {
		return
	}
	want := unix.Chmod(w.host(path), mode)
	if err == nil {
		err = vfs.SetAttributes(w.ctx, n, nil, vfs.SetAttr{Valid: vfs.SetMode, Mode: mode})
	}
	w.same("chmod "+path, err, want)
}

// mode leaves everything allowed to an ordinary user. It has no set-id bits:
// POSIX takes those off a file that is written, and no server does.
func (w *world) mode() uint32 {
	return 0o700 | rapid.SampledFrom([]uint32{0, 0o077, 0o1000, 0o055}).Draw(w.T, "mode")
}

func (w *world) utimes() {
	path := w.path()
	at := syscall.Timespec{Sec: rapid.Int64Range(0, 2e9).Draw(w.T, "time"), Nsec: 5}
	ts := []unix.Timespec{unix.Timespec(at), unix.Timespec(at)}
	want := unix.UtimesNanoAt(unix.AT_FDCWD, w.host(path), ts, unix.AT_SYMLINK_NOFOLLOW)
	n, err := w.walk(path)
	if err == nil {
		err = vfs.SetAttributes(w.ctx, n, nil, vfs.SetAttr{Valid: vfs.SetAtime | vfs.SetMtime, Atime: at, Mtime: at})
	}
	if w.same("utimes "+path, err, want) {
		if a, err := n.Stat(w.ctx); err != nil || a.Mtime != at || a.Atime != at {
			w.Fatalf("%s: times %v, %v, %v; want %v", path, a.Atime, a.Mtime, err, at)
		}
	}
}

func (w *world) cut() {
	path, size := w.path(), w.size()
	n, err := w.walk(path)
	if err == nil {
		if a, e := n.Stat(w.ctx); e != nil || !a.IsRegular() {
			return
		}
		err = vfs.SetAttributes(w.ctx, n, nil, vfs.SetAttr{Valid: vfs.SetSize, Size: size})
	}
	w.same("truncate "+path, err, unix.Truncate(w.host(path), size))
}

func (w *world) xattr() {
	path := w.path()
	attr := rapid.SampledFrom([]string{"user.x", "user.y"}).Draw(w.T, "attribute")
	value := rapid.SampledFrom([]string{"", "one", "another"}).Draw(w.T, "value")
	op := rapid.IntRange(0, 3).Draw(w.T, "operation")
	n, err := w.walk(path)
	if err != nil {
		return
	}
	if a, e := n.Stat(w.ctx); e != nil || !a.IsRegular() && !a.IsDir() {
		return
	}
	p := w.host(path)
	switch what := attr + " of " + path; op {
	case 0:
		w.same("remove "+what, vfs.Removexattr(w.ctx, n, attr), unix.Removexattr(p, attr))
	case 1:
		flags := rapid.SampledFrom([]int{0, unix.XATTR_CREATE, unix.XATTR_REPLACE}).Draw(w.T, "flags")
		w.same("set "+what, vfs.Setxattr(w.ctx, n, attr, []byte(value), flags), unix.Setxattr(p, attr, []byte(value), flags))
	default:
		buf := make([]byte, 100)
		k, want := unix.Getxattr(p, attr, buf)
		got, err := vfs.Getxattr(w.ctx, n, attr)
		if w.same("get "+what, err, want) && string(got) != string(buf[:k]) {
			w.Fatalf("%s is %q, the host: %q", what, got, buf[:k])
		}
	}
}

func (w *world) tmpfile() {
	path, dir := w.path(), w.path()
	d, err := w.walk(dir)
	if err != nil {
		return
	}
	if _, ok := d.(vfs.Dir); !ok {
		return
	}
	fd, want := unix.Open(w.host(dir), unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	n, err := vfs.Tmpfile(w.ctx, d, w.options(unix.S_IFREG|0o600))
	var f vfs.File
	if err == nil {
		f, err = vfs.Open(w.ctx, n, unix.O_RDWR)
	}
	w.opened("tmpfile in "+dir, f, fd, err, want)
	want = unix.Linkat(unix.AT_FDCWD, fmt.Sprint("/proc/self/fd/", fd), unix.AT_FDCWD, w.host(path), unix.AT_SYMLINK_FOLLOW)
	to, name, err := w.parent(path)
	if err == nil {
		err = vfs.Link(w.ctx, to, n, name)
	}
	w.same("name it "+path, err, want)
}
