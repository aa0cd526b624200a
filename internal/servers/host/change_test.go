package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func TestMake(t *testing.T) {
	dir, root := rw(t)
	for i, c := range []struct {
		mode   uint32
		target string
		root   bool // only root may
	}{
		{mode: unix.S_IFREG | 0o666}, {mode: unix.S_IFREG | 0o000}, {mode: unix.S_IFREG | 0o4751},
		{mode: unix.S_IFDIR | 0o777}, {mode: unix.S_IFDIR | 0o1777}, {mode: unix.S_IFDIR | 0o2770}, {mode: unix.S_IFDIR},
		{mode: unix.S_IFIFO | 0o622}, {mode: unix.S_IFSOCK | 0o777},
		{mode: unix.S_IFLNK | 0o777, target: "../away"},
		{mode: unix.S_IFCHR | 0o600, root: true}, {mode: unix.S_IFBLK | 0o600, root: true},
	} {
		name := fmt.Sprint("n", i)
		o := mine(c.mode)
		o.Target = c.target
		if c.root {
			o.Rdev = unix.Mkdev(7, 200)
		}
		n, err := vfs.Make(ctx, root, name, o)
		if c.root && os.Geteuid() != 0 {
			want(t, fmt.Sprintf("%#o", c.mode), err, syscall.EPERM)
			continue
		}
		if err != nil {
			t.Errorf("%#o: %v", c.mode, err)
			continue
		}
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, name), &st); err != nil {
			t.Error(err)
		}
		if a := must[vfs.Attr](t)(n.Stat(ctx)); st.Mode != c.mode || a.Mode != c.mode || st.Rdev != o.Rdev || a.Rdev != o.Rdev {
			t.Errorf("%#o: the host has %#o %d, Stat %#o %d", c.mode, st.Mode, st.Rdev, a.Mode, a.Rdev)
		}
		if again := must[vfs.Node](t)(vfs.Lookup(ctx, root, name)); again != n {
			t.Errorf("%#o: Lookup gives another node", c.mode)
		}
		_, err = vfs.Make(ctx, root, name, o)
		want(t, "again", err, syscall.EEXIST)
		if c.target != "" {
			if got := must[string](t)(vfs.Readlink(ctx, n)); got != c.target {
				t.Errorf("link to %q", got)
			}
		}
	}
	_, err := vfs.Make(ctx, root, "../x", mine(unix.S_IFDIR|0o755))
	want(t, "outside", err, syscall.EINVAL)
}

// An owner that the host refuses leaves nothing behind.
func TestMakeForAnother(t *testing.T) {
	dir, root := rw(t)
	o := mine(unix.S_IFREG | 0o644)
	o.UID++
	_, err := vfs.Make(ctx, root, "f", o)
	_, _, err2 := root.(vfs.MakeOpener).MakeOpen(ctx, "g", o, unix.O_RDWR)
	if os.Geteuid() == 0 {
		want(t, "make", err, nil)
		want(t, "makeopen", err2, nil)
		var st unix.Stat_t
		if unix.Stat(filepath.Join(dir, "g"), &st); st.Uid != o.UID {
			t.Errorf("owner is %d", st.Uid)
		}
		return
	}
	want(t, "make", err, syscall.EPERM)
	want(t, "makeopen", err2, syscall.EPERM)
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("left behind: %v", list)
	}
}

func TestMakeOpen(t *testing.T) {
	dir, root := rw(t)
	n, f, err := root.(vfs.MakeOpener).MakeOpen(ctx, "f", mine(unix.S_IFREG|0o200), unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Node() != n {
		t.Error("the file is another node's")
	}
	if k, err := vfs.Write(ctx, f, []byte("text"), 0); k != 4 || err != nil {
		t.Error(k, err)
	}
	buf := make([]byte, 8)
	if k, err := vfs.Read(ctx, f, buf, 1); string(buf[:k]) != "ext" || err != nil {
		t.Errorf("%q, %v", buf[:k], err)
	}
	if i, err := os.Stat(filepath.Join(dir, "f")); err != nil || i.Mode() != 0o200 || i.Size() != 4 {
		t.Error(i, err)
	}
	_, _, err = root.(vfs.MakeOpener).MakeOpen(ctx, "f", mine(unix.S_IFREG|0o644), unix.O_RDWR)
	want(t, "again", err, syscall.EEXIST)
}

func TestTmpfile(t *testing.T) {
	dir, root := rw(t)
	for _, mode := range []uint32{0o600, 0} {
		n := must[vfs.Node](t)(vfs.Tmpfile(ctx, root, mine(unix.S_IFREG|mode)))
		a := must[vfs.Attr](t)(n.Stat(ctx))
		if a.Nlink != 0 || a.Mode != unix.S_IFREG|mode {
			t.Errorf("new: %+v", a)
		}
		f := must[vfs.File](t)(vfs.Open(ctx, n, unix.O_RDWR))
		vfs.Write(ctx, f, []byte("text"), 0)
		if list, _ := os.ReadDir(dir); len(list) != 0 {
			t.Errorf("it has a name: %v", list)
		}
		want(t, "link", vfs.Link(ctx, root, n, "named"), nil)
		f.Close()
		if b, err := os.ReadFile(filepath.Join(dir, "named")); mode != 0 && string(b) != "text" {
			t.Errorf("linked: %q, %v", b, err)
		}
		if again := must[vfs.Node](t)(vfs.Lookup(ctx, root, "named")); again != n {
			t.Error("Lookup gives another node")
		}
		if a := must[vfs.Attr](t)(n.Stat(ctx)); a.Nlink != 1 || a.Size != 4 {
			t.Errorf("linked: %+v", a)
		}
		want(t, "remove", vfs.Remove(ctx, root, "named", false), nil)
	}
	n := must[vfs.Node](t)(vfs.Tmpfile(ctx, root, mine(unix.S_IFREG|0o600)))
	f := must[vfs.File](t)(vfs.Open(ctx, n, unix.O_WRONLY))
	vfs.Write(ctx, f, []byte("text"), 0)
	f.Close()
	if a := must[vfs.Attr](t)(n.Stat(ctx)); a.Nlink != 0 || a.Size != 4 {
		t.Errorf("closed: %+v", a)
	}
	_, err := vfs.Open(ctx, n, unix.O_RDONLY)
	want(t, "open after the last close", err, syscall.ESTALE)
}

func TestRemove(t *testing.T) {
	dir, root := rw(t)
	writeFile(t, dir, "d", "f", "text")
	d := must[vfs.Node](t)(walk(root, "d"))
	f := must[vfs.Node](t)(walk(root, "d/f"))
	want(t, "rmdir of a file", vfs.Remove(ctx, d, "f", true), syscall.ENOTDIR)
	want(t, "unlink of a directory", vfs.Remove(ctx, root, "d", false), syscall.EISDIR)
	want(t, "rmdir of a full one", vfs.Remove(ctx, root, "d", true), syscall.ENOTEMPTY)
	want(t, "unlink of nothing", vfs.Remove(ctx, d, "g", false), syscall.ENOENT)
	want(t, "unlink of ..", vfs.Remove(ctx, d, "..", true), syscall.EINVAL)

	open := must[vfs.File](t)(vfs.Open(ctx, f, unix.O_RDWR))
	want(t, "unlink", vfs.Remove(ctx, d, "f", false), nil)
	vfs.Write(ctx, open, []byte("longer"), 0)
	if a := must[vfs.Attr](t)(f.Stat(ctx)); a.Nlink != 0 || a.Size != 6 {
		t.Errorf("open without a name: %+v", a)
	}
	want(t, "truncate without a name", vfs.SetAttributes(ctx, f, nil, vfs.SetAttr{Valid: vfs.SetSize, Size: 2}), nil)
	if got := readAll(t, f); got != "lo" {
		t.Errorf("opened again: %q", got)
	}
	want(t, "link without a name", vfs.Link(ctx, d, f, "again"), syscall.ENOENT)
	open.Close()
	if a := must[vfs.Attr](t)(f.Stat(ctx)); a.Nlink != 0 || a.Mode&unix.S_IFMT != unix.S_IFREG {
		t.Errorf("closed without a name: %+v", a)
	}

	open = must[vfs.File](t)(vfs.Open(ctx, d, unix.O_RDONLY))
	defer open.Close()
	want(t, "rmdir", vfs.Remove(ctx, root, "d", true), nil)
	if a := must[vfs.Attr](t)(d.Stat(ctx)); a.Nlink != 0 {
		t.Errorf("directory without a name: %+v", a)
	}
	_, err := vfs.Lookup(ctx, d, "f")
	want(t, "lookup in it", err, syscall.ENOENT)
	_, err = vfs.Make(ctx, d, "f", mine(unix.S_IFREG|0o644))
	want(t, "make in it", err, syscall.ENOENT)
	if list, err := open.(vfs.DirReader).ReadDir(ctx, 0, 10); len(list) != 0 || err != nil {
		t.Error(list, err)
	}
}

func TestRename(t *testing.T) {
	dir, root := rw(t)
	writeFile(t, dir, "a", "f", "f")
	writeFile(t, dir, "b", "g", "g")
	writeFile(t, dir, "a", "sub", "deep", "x")
	a, b := must[vfs.Node](t)(walk(root, "a")), must[vfs.Node](t)(walk(root, "b"))
	f, g := must[vfs.Node](t)(walk(a, "f")), must[vfs.Node](t)(walk(b, "g"))
	deep := must[vfs.Node](t)(walk(a, "sub/deep"))
	same := func(path string, n vfs.Node) {
		t.Helper()
		if got, err := walk(root, path); got != n {
			t.Errorf("%s is another node (%v)", path, err)
		}
	}
	want(t, "NOREPLACE", vfs.Rename(ctx, a, "f", b, "g", unix.RENAME_NOREPLACE), syscall.EEXIST)
	want(t, "missing", vfs.Rename(ctx, a, "no", b, "g", 0), syscall.ENOENT)
	want(t, "into itself", vfs.Rename(ctx, root, "a", a, "x", 0), syscall.EINVAL)
	want(t, "out", vfs.Rename(ctx, a, "f", root, "..", 0), syscall.EINVAL)
	want(t, "EXCHANGE", vfs.Rename(ctx, a, "f", b, "g", unix.RENAME_EXCHANGE), nil)
	for _, c := range []struct {
		n    vfs.Node
		text string
	}{{f, "f"}, {g, "g"}, {deep, "x"}} {
		if got := readAll(t, c.n); got != c.text {
			t.Errorf("%q, want %q", got, c.text)
		}
	}
	same("a/f", g)
	same("b/g", f)
	want(t, "a directory", vfs.Rename(ctx, a, "sub", b, "moved", 0), nil)
	if got := readAll(t, deep); got != "x" {
		t.Errorf("below a renamed directory: %q", got)
	}
	same("b/moved/deep", deep)
	if host.LateFind(g, root, "old") {
		t.Error("a lookup from before a rename overwrote what the rename noted")
	}
	want(t, "over another", vfs.Rename(ctx, a, "f", b, "g", 0), nil)
	if got := readAll(t, g); got != "g" {
		t.Errorf("moved over another: %q", got)
	}
	if at := must[vfs.Attr](t)(f.Stat(ctx)); at.Nlink != 0 {
		t.Errorf("replaced: %+v", at)
	}
	other := t.TempDir()
	writeFile(t, other, "f", "")
	oroot, _ := serve(t, other, host.Options{}).Root(ctx)
	want(t, "to another FS", vfs.Rename(ctx, b, "g", oroot, "g", 0), syscall.EXDEV)
	want(t, "link to another FS", vfs.Link(ctx, oroot, g, "g"), syscall.EXDEV)
}

func TestHardLinks(t *testing.T) {
	dir, root := rw(t)
	writeFile(t, dir, "d", "a", "text")
	d, a := must[vfs.Node](t)(walk(root, "d")), must[vfs.Node](t)(walk(root, "d/a"))
	want(t, "link", vfs.Link(ctx, root, a, "b"), nil)
	want(t, "over another", vfs.Link(ctx, root, a, "b"), syscall.EEXIST)
	want(t, "to a directory", vfs.Link(ctx, root, d, "e"), syscall.EPERM)
	want(t, "out", vfs.Link(ctx, root, a, "../b"), syscall.EINVAL)
	if b := must[vfs.Node](t)(walk(root, "b")); a != b {
		t.Error("two names, two nodes")
	}
	if at := must[vfs.Attr](t)(a.Stat(ctx)); at.Nlink != 2 {
		t.Errorf("%+v", at)
	}
	want(t, "rename onto the same file", vfs.Rename(ctx, d, "a", root, "b", 0), nil)
	want(t, "both stay", vfs.Remove(ctx, root, "b", false), nil)
	must[vfs.Node](t)(walk(root, "d/a"))
	if at := must[vfs.Attr](t)(a.Stat(ctx)); at.Nlink != 1 {
		t.Errorf("%+v", at)
	}
	l := must[vfs.Node](t)(vfs.Make(ctx, root, "l", vfs.MakeOptions{Mode: unix.S_IFLNK | 0o777, Target: "t", UID: mine(0).UID, GID: mine(0).GID}))
	want(t, "link to a link", vfs.Link(ctx, root, l, "l2"), nil)
	if l2 := must[vfs.Node](t)(walk(root, "l2")); l2 != l {
		t.Error("a link was followed")
	}
}

// What host processes do behind our back is seen, or named ESTALE or ENOENT.
func TestHostChanges(t *testing.T) {
	dir, root := rw(t)
	writeFile(t, dir, "d", "f", "old")
	f := must[vfs.Node](t)(walk(root, "d/f"))
	os.Rename(filepath.Join(dir, "d/f"), filepath.Join(dir, "d/g"))
	_, err := f.Stat(ctx)
	want(t, "moved away", err, syscall.ENOENT)
	if g := must[vfs.Node](t)(walk(root, "d/g")); g != f {
		t.Error("found again, another node")
	}
	if got := readAll(t, f); got != "old" {
		t.Errorf("found again: %q", got)
	}
	writeFile(t, dir, "d", "new", "new")
	open := must[vfs.File](t)(vfs.Open(ctx, f, unix.O_RDONLY))
	os.Rename(filepath.Join(dir, "d/new"), filepath.Join(dir, "d/g"))
	if got := readAll(t, f); got != "old" {
		t.Errorf("replaced but open: %q", got)
	}
	open.Close()
	_, err = vfs.Open(ctx, f, unix.O_RDONLY)
	want(t, "replaced", err, syscall.ESTALE)
	_, err = f.Stat(ctx)
	want(t, "replaced", err, syscall.ESTALE)
	if got := readAll(t, must[vfs.Node](t)(walk(root, "d/g"))); got != "new" {
		t.Errorf("looked up again: %q", got)
	}
}

func TestSetAttr(t *testing.T) {
	dir, root := rw(t)
	writeFile(t, dir, "f", "0123456789")
	os.Mkdir(filepath.Join(dir, "d"), 0o755)
	os.Symlink("f", filepath.Join(dir, "l"))
	unix.Mkfifo(filepath.Join(dir, "p"), 0o600)
	at, mt := syscall.Timespec{Sec: 1e9, Nsec: 5}, syscall.Timespec{Sec: 2e9, Nsec: 7}
	for _, name := range []string{"f", "d", "l", "p"} {
		n := must[vfs.Node](t)(walk(root, name))
		old := must[vfs.Attr](t)(n.Stat(ctx))
		want(t, name+": times", vfs.SetAttributes(ctx, n, nil, vfs.SetAttr{Valid: vfs.SetAtime | vfs.SetMtime, Atime: at, Mtime: mt}), nil)
		a := must[vfs.Attr](t)(n.Stat(ctx))
		if a.Atime != at || a.Mtime != mt {
			t.Errorf("%s: %+v", name, a)
		}
		want(t, name+": one time", vfs.SetAttributes(ctx, n, nil, vfs.SetAttr{Valid: vfs.SetMtime, Mtime: at}), nil)
		if a = must[vfs.Attr](t)(n.Stat(ctx)); a.Atime != at || a.Mtime != at {
			t.Errorf("%s: %+v", name, a)
		}
		err := vfs.SetAttributes(ctx, n, nil, vfs.SetAttr{Valid: vfs.SetMode, Mode: 0o1700})
		if name == "l" {
			want(t, "mode of a link", err, syscall.EOPNOTSUPP)
		} else if a = must[vfs.Attr](t)(n.Stat(ctx)); err != nil || a.Mode != old.Mode&unix.S_IFMT|0o1700 {
			t.Errorf("%s: %#o, %v", name, a.Mode, err)
		}
		want(t, name+": owner", vfs.SetAttributes(ctx, n, nil, vfs.SetAttr{Valid: vfs.SetUID | vfs.SetGID, UID: old.UID, GID: old.GID}), nil)
		err = vfs.SetAttributes(ctx, n, nil, vfs.SetAttr{Valid: vfs.SetSize, Size: 4})
		want(t, name+": size", err, map[string]error{"f": nil, "d": syscall.EISDIR, "l": syscall.EINVAL, "p": syscall.EINVAL}[name])
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "f")); string(b) != "0123" {
		t.Errorf("%q", b)
	}
	f := must[vfs.Node](t)(walk(root, "f"))
	open := must[vfs.File](t)(vfs.Open(ctx, f, unix.O_RDONLY))
	defer open.Close()
	want(t, "by a file", vfs.SetAttributes(ctx, f, open, vfs.SetAttr{
		Valid: vfs.SetSize | vfs.SetMtime | vfs.SetMode, Size: 1 << 20, Mtime: mt, Mode: 0o640}), nil)
	if a := must[vfs.Attr](t)(f.Stat(ctx)); a.Size != 1<<20 || a.Mtime != mt || a.Mode&0o7777 != 0o640 {
		t.Errorf("%+v", a)
	}
	// All or nothing: the size cannot be, so the mode stays.
	err := vfs.SetAttributes(ctx, f, open, vfs.SetAttr{Valid: vfs.SetSize | vfs.SetMode | vfs.SetMtime, Size: 1<<63 - 1, Mode: 0o777, Mtime: at})
	if err == nil {
		t.Log("the host's file system takes 8 EiB: nothing to take back")
	} else if a := must[vfs.Attr](t)(f.Stat(ctx)); a.Mode&0o7777 != 0o640 || a.Mtime != mt {
		t.Errorf("after a failure: %+v", a)
	}
	if os.Geteuid() != 0 {
		err := vfs.SetAttributes(ctx, f, nil, vfs.SetAttr{Valid: vfs.SetUID, UID: 1})
		want(t, "chown", err, syscall.EPERM)
	}
}

func TestXattr(t *testing.T) {
	dir, root := rw(t)
	name := writeFile(t, dir, "f", "")
	if err := unix.Setxattr(name, "user.probe", []byte("1"), 0); err != nil {
		t.Skipf("the host's file system: %v", err)
	}
	os.Mkdir(filepath.Join(dir, "d"), 0o755)
	os.Symlink("f", filepath.Join(dir, "l"))
	long := make([]byte, 2000)
	for _, name := range []string{"f", "d"} {
		n := must[vfs.Node](t)(walk(root, name))
		_, err := vfs.Getxattr(ctx, n, "user.none")
		want(t, "missing", err, syscall.ENODATA)
		want(t, "replace", vfs.Setxattr(ctx, n, "user.a", nil, unix.XATTR_REPLACE), syscall.ENODATA)
		want(t, "set", vfs.Setxattr(ctx, n, "user.a", long, unix.XATTR_CREATE), nil)
		want(t, "create", vfs.Setxattr(ctx, n, "user.a", nil, unix.XATTR_CREATE), syscall.EEXIST)
		if v, err := vfs.Getxattr(ctx, n, "user.a"); len(v) != len(long) || err != nil {
			t.Error(len(v), err)
		}
		found := false
		for _, a := range must[[]string](t)(vfs.Listxattr(ctx, n)) {
			found = found || a == "user.a"
		}
		if !found {
			t.Error("not listed")
		}
		want(t, "remove", vfs.Removexattr(ctx, n, "user.a"), nil)
		want(t, "remove again", vfs.Removexattr(ctx, n, "user.a"), syscall.ENODATA)
	}
	f := must[vfs.Node](t)(walk(root, "f"))
	open := must[vfs.File](t)(vfs.Open(ctx, f, unix.O_RDONLY))
	defer open.Close()
	want(t, "unlink", vfs.Remove(ctx, root, "f", false), nil)
	if v, err := vfs.Getxattr(ctx, f, "user.probe"); string(v) != "1" || err != nil {
		t.Errorf("open without a name: %q, %v", v, err)
	}
	l := must[vfs.Node](t)(walk(root, "l"))
	want(t, "of a link", vfs.Setxattr(ctx, l, "user.a", nil, 0), syscall.EPERM)
	if v, err := vfs.Getxattr(ctx, l, "user.probe"); err == nil {
		t.Errorf("a link was followed: %q", v)
	}
}

// Appends of two open files and of a host process never meet, and each knows
// where its bytes went.
func TestAppend(t *testing.T) {
	dir, root := rw(t)
	name := writeFile(t, dir, "f", "")
	n := must[vfs.Node](t)(walk(root, "f"))
	const each, size = 500, 16
	var mu sync.Mutex
	ends := map[int64]string{}
	var wg sync.WaitGroup
	var files [2]vfs.File
	for i := range files {
		files[i] = must[vfs.File](t)(vfs.Open(ctx, n, unix.O_WRONLY|unix.O_APPEND))
		defer files[i].Close()
	}
	for w := range 4 {
		f := files[w%2]
		wg.Go(func() {
			for i := range each {
				rec := fmt.Sprintf("%-*s", size, fmt.Sprint(w, ":", i))
				k, end, err := f.(vfs.Appender).Append(ctx, []byte(rec))
				if k != size || err != nil {
					t.Error(k, err)
					return
				}
				mu.Lock()
				ends[end] = rec
				mu.Unlock()
			}
		})
	}
	wg.Go(func() {
		f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		for range each {
			f.Write(make([]byte, size))
		}
	})
	wg.Wait()
	b, _ := os.ReadFile(name)
	if len(b) != 5*each*size || len(ends) != 4*each {
		t.Fatalf("%d bytes, %d ends", len(b), len(ends))
	}
	for end, rec := range ends {
		if got := string(b[end-size : end]); got != rec {
			t.Fatalf("before %d: %q, want %q", end, got, rec)
		}
	}
}
