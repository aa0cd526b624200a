package host_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

var ctx = context.Background()

func serve(t testing.TB, dir string, o host.Options) *host.FS {
	t.Helper()
	fs, err := host.New(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	return fs
}

// rw serves a new directory read-write.
func rw(t testing.TB) (string, vfs.Node) {
	t.Helper()
	dir := t.TempDir()
	root, err := serve(t, dir, host.Options{}).Root(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return dir, root
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// walk looks up a path without symbolic links.
func walk(n vfs.Node, path string) (vfs.Node, error) {
	var err error
	for _, c := range strings.Split(path, "/") {
		if c == "" {
			continue
		}
		if n, err = vfs.Lookup(ctx, n, c); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func want(t testing.TB, what string, err, errno error) {
	t.Helper()
	if !errors.Is(err, errno) || errno == nil && err != nil {
		t.Errorf("%s: %v, want %v", what, err, errno)
	}
}

func writeFile(t testing.TB, parts ...string) string {
	t.Helper()
	name := filepath.Join(parts[:len(parts)-1]...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(parts[len(parts)-1]), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func readAll(t testing.TB, n vfs.Node) string {
	t.Helper()
	f, err := vfs.Open(ctx, n, unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 1<<16)
	k, err := vfs.Read(ctx, f, buf, 0)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:k])
}

// mine are MakeOptions for files of the test's own user.
func mine(mode uint32) vfs.MakeOptions {
	return vfs.MakeOptions{Mode: mode, UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
}

func TestNewErrors(t *testing.T) {
	dir := t.TempDir()
	file := writeFile(t, dir, "f", "")
	for _, c := range []struct {
		dir   string
		o     host.Options
		errno error
	}{
		{filepath.Join(dir, "missing"), host.Options{}, syscall.ENOENT},
		{file, host.Options{Hidden: []string{"/x"}}, syscall.EINVAL},
		{"/dev/null", host.Options{}, syscall.EINVAL},
		{dir, host.Options{Hidden: []string{"relative"}}, syscall.EINVAL},
		{dir, host.Options{Hidden: []string{"/a/.."}}, syscall.EINVAL},
	} {
		_, err := host.New(c.dir, c.o)
		want(t, fmt.Sprint(c), err, c.errno)
	}
}

func TestStatEqualsHost(t *testing.T) {
	dir, root := rw(t)
	writeFile(t, dir, "d/f", "hello")
	os.Symlink("some/where", filepath.Join(dir, "d/l"))
	unix.Mkfifo(filepath.Join(dir, "d/p"), 0o640)
	for _, name := range []string{"", "d", "d/f", "d/l", "d/p"} {
		n := must[vfs.Node](t)(walk(root, name))
		a := must[vfs.Attr](t)(n.Stat(ctx))
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, name), &st); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(a.Dev, a.Ino, a.Rdev, a.Mode, a.Nlink, a.UID, a.GID, a.Size, a.Blocks, a.Blksize, a.Mtime, a.Ctime)
		exp := fmt.Sprint(st.Dev, st.Ino, st.Rdev, st.Mode, st.Nlink, st.Uid, st.Gid, st.Size, st.Blocks, st.Blksize, st.Mtim, st.Ctim)
		if got != exp {
			t.Errorf("%q: %s, the host says %s", name, got, exp)
		}
	}
	if s := must[string](t)(vfs.Readlink(ctx, must[vfs.Node](t)(walk(root, "d/l")))); s != "some/where" {
		t.Errorf("link to %q", s)
	}
	long := strings.Repeat("x/", 1500)
	os.Symlink(long, filepath.Join(dir, "long"))
	if s := must[string](t)(vfs.Readlink(ctx, must[vfs.Node](t)(walk(root, "long")))); s != long {
		t.Errorf("long link of %d bytes", len(s))
	}
}

func TestLookupErrors(t *testing.T) {
	dir, root := rw(t)
	writeFile(t, dir, "f", "")
	for name, errno := range map[string]error{
		"missing": syscall.ENOENT, "": syscall.EINVAL, ".": syscall.EINVAL, "..": syscall.EINVAL,
		"f/": syscall.EINVAL, "../x": syscall.EINVAL, "f\x00": syscall.EINVAL,
		strings.Repeat("n", 256): syscall.ENAMETOOLONG, strings.Repeat("n", 5000): syscall.ENAMETOOLONG,
		strings.Repeat("n", 255): syscall.ENOENT,
	} {
		_, err := vfs.Lookup(ctx, root, name)
		want(t, fmt.Sprintf("%.20q", name), err, errno)
	}
	_, err := walk(root, "f/x")
	want(t, "below a file", err, syscall.ENOTDIR)
}

func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "d/f", "text")
	os.Symlink("f", filepath.Join(dir, "d/l"))
	fs := serve(t, dir, host.Options{ReadOnly: true})
	root, _ := fs.Root(ctx)
	d := must[vfs.Node](t)(walk(root, "d"))
	f := must[vfs.Node](t)(walk(root, "d/f"))
	l := must[vfs.Node](t)(walk(root, "d/l"))
	if got := readAll(t, f); got != "text" {
		t.Errorf("read %q", got)
	}
	open := must[vfs.File](t)(vfs.Open(ctx, f, unix.O_RDONLY))
	defer open.Close()
	time := vfs.SetAttr{Valid: vfs.SetMtime}
	for what, do := range map[string]func() error{
		"open wronly":   func() error { _, err := vfs.Open(ctx, f, unix.O_WRONLY); return err },
		"open rdwr":     func() error { _, err := vfs.Open(ctx, f, unix.O_RDWR); return err },
		"open 3":        func() error { _, err := vfs.Open(ctx, f, 3); return err },
		"mkdir":         func() error { _, err := vfs.Make(ctx, d, "n", mine(unix.S_IFDIR|0o755)); return err },
		"symlink":       func() error { _, err := vfs.Make(ctx, d, "n", mine(unix.S_IFLNK)); return err },
		"makeopen":      func() error { _, _, err := d.(vfs.MakeOpener).MakeOpen(ctx, "n", mine(0o644), 0); return err },
		"tmpfile":       func() error { _, err := vfs.Tmpfile(ctx, d, mine(0o644)); return err },
		"unlink":        func() error { return vfs.Remove(ctx, d, "f", false) },
		"rmdir":         func() error { return vfs.Remove(ctx, root, "d", true) },
		"rename":        func() error { return vfs.Rename(ctx, d, "f", d, "g", 0) },
		"link":          func() error { return vfs.Link(ctx, d, f, "g") },
		"utimes":        func() error { return vfs.SetAttributes(ctx, f, nil, time) },
		"utimes of fd":  func() error { return vfs.SetAttributes(ctx, f, open, time) },
		"utimes of dir": func() error { return vfs.SetAttributes(ctx, d, nil, time) },
		"lutimes":       func() error { return vfs.SetAttributes(ctx, l, nil, time) },
		"setxattr":      func() error { return vfs.Setxattr(ctx, f, "user.x", nil, 0) },
		"removexattr":   func() error { return vfs.Removexattr(ctx, f, "user.x") },
	} {
		want(t, what, do(), syscall.EROFS)
	}
	_, err := vfs.Make(ctx, d, "f", mine(unix.S_IFDIR|0o755))
	want(t, "mkdir of what exists", err, syscall.EEXIST)
	if _, err := vfs.Write(ctx, open, []byte("x"), 0); err == nil {
		t.Error("wrote by a file opened for reading")
	}
	if s := must[vfs.Statfs](t)(fs.Statfs(ctx)); s.Flags&unix.ST_RDONLY == 0 || s.NameMax == 0 || s.Blocks == 0 {
		t.Errorf("statfs: %+v", s)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "d/f")); string(b) != "text" {
		t.Errorf("the host's file is %q", b)
	}
}

// No open may block or touch a FIFO, socket or device of the host.
func TestSpecialFilesAreNotOpened(t *testing.T) {
	dir, root := rw(t)
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o666); err != nil {
		t.Fatal(err)
	}
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s)
	if err := unix.Bind(s, &unix.SockaddrUnix{Name: filepath.Join(dir, "sock")}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fifo", "sock"} {
		n := must[vfs.Node](t)(walk(root, name))
		for _, flags := range []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR, unix.O_WRONLY | unix.O_NONBLOCK} {
			_, err := vfs.Open(ctx, n, flags)
			want(t, fmt.Sprint(name, " ", flags), err, syscall.ENXIO)
		}
	}
	dev, _ := serve(t, "/dev", host.Options{ReadOnly: true}).Root(ctx)
	_, err = vfs.Open(ctx, must[vfs.Node](t)(walk(dev, "null")), unix.O_RDONLY)
	want(t, "device", err, syscall.ENXIO)
}

// A single file is served as it was at the start, whatever becomes of its name.
func TestFileAlone(t *testing.T) {
	dir := t.TempDir()
	name := writeFile(t, dir, "f", "text")
	base := openFDs(t)
	fs := must[*host.FS](t)(host.New(name, host.Options{}))
	root, _ := fs.Root(ctx)
	for _, change := range []func(){
		func() {},
		func() { os.Rename(writeFile(t, dir, "g", "other"), name) },
		func() { os.Remove(name) },
	} {
		change()
		if got := readAll(t, root); got != "text" {
			t.Errorf("%q", got)
		}
		if a := must[vfs.Attr](t)(root.Stat(ctx)); a.Size != 4 || !a.IsRegular() {
			t.Errorf("%+v", a)
		}
		want(t, "chmod", vfs.SetAttributes(ctx, root, nil, vfs.SetAttr{Valid: vfs.SetMode, Mode: 0o600}), nil)
	}
	f := must[vfs.File](t)(vfs.Open(ctx, root, unix.O_RDWR))
	if n, err := vfs.Write(ctx, f, []byte("TEXT"), 0); n != 4 || err != nil {
		t.Error(n, err)
	}
	f.Close()
	if got := readAll(t, root); got != "TEXT" {
		t.Errorf("%q", got)
	}
	_, err := vfs.Lookup(ctx, root, "x")
	want(t, "lookup", err, syscall.ENOTDIR)
	must[vfs.Statfs](t)(fs.Statfs(ctx))
	fs.Close()
	if n := openFDs(t); n != base {
		t.Errorf("%d descriptors, %d before", n, base)
	}
}

func TestClose(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "a/b/f", "x")
	fs := must[*host.FS](t)(host.New(dir, host.Options{}))
	root, _ := fs.Root(ctx)
	b := must[vfs.Node](t)(walk(root, "a/b"))
	open := must[vfs.File](t)(vfs.Open(ctx, must[vfs.Node](t)(walk(b, "f")), unix.O_RDONLY))
	fs.Close()
	fs.Close()
	_, err := walk(root, "a")
	want(t, "lookup in the root", err, syscall.ESTALE)
	_, err = walk(b, "f")
	want(t, "lookup below", err, syscall.ESTALE)
	if n, err := vfs.Read(ctx, open, make([]byte, 8), 0); n != 1 || err != nil {
		t.Errorf("read by an open file: %d, %v", n, err)
	}
	want(t, "close", open.Close(), nil)
	if n := fs.DirsKept(); n != 0 {
		t.Errorf("%d descriptors kept", n)
	}
}
