package dev_test

import (
	"slices"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/dev"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func make_(t *testing.T, d vfs.Node, name string, mode uint32) vfs.Node {
	t.Helper()
	n, err := vfs.Make(ctx, d, name, vfs.MakeOptions{Mode: mode, UID: 1, GID: 2, Target: "x"})
	if err != nil {
		t.Fatalf("make %s: %v", name, err)
	}
	return n
}

func nlink(t *testing.T, n vfs.Node) uint32 {
	t.Helper()
	a, err := n.Stat(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return a.Nlink
}

func TestTree(t *testing.T) {
	d := root(t, dev.Options{})
	before := nlink(t, d)
	sub := make_(t, d, "sub", unix.S_IFDIR|0o755)
	if got := nlink(t, d); got != before+1 {
		t.Errorf("nlink %d after mkdir, was %d", got, before)
	}
	file := make_(t, sub, "file", unix.S_IFREG|0o644)
	make_(t, sub, "pipe", unix.S_IFIFO|0o644)
	link := make_(t, sub, "link", unix.S_IFLNK|0o777)

	if s, err := vfs.Readlink(ctx, link); s != "x" || err != nil {
		t.Errorf("readlink %q, %v", s, err)
	}
	_, err := vfs.Make(ctx, sub, "file", vfs.MakeOptions{Mode: unix.S_IFREG})
	checkErr(t, "make again", err, syscall.EEXIST)
	checkErr(t, "rmdir full", vfs.Remove(ctx, d, "sub", true), syscall.ENOTEMPTY)
	checkErr(t, "unlink dir", vfs.Remove(ctx, d, "sub", false), syscall.EISDIR)
	checkErr(t, "rmdir file", vfs.Remove(ctx, sub, "file", true), syscall.ENOTDIR)
	checkErr(t, "unlink nothing", vfs.Remove(ctx, sub, "nothing", false), syscall.ENOENT)

	checkErr(t, "link", vfs.Link(ctx, d, file, "second"), nil)
	if nlink(t, file) != 2 {
		t.Error("link did not count")
	}
	checkErr(t, "link dir", vfs.Link(ctx, d, sub, "second dir"), syscall.EPERM)
	checkErr(t, "link over", vfs.Link(ctx, d, file, "null"), syscall.EEXIST)

	checkErr(t, "rename", vfs.Rename(ctx, sub, "file", d, "moved", 0), nil)
	checkErr(t, "rename into itself", vfs.Rename(ctx, d, "sub", sub, "in", 0), syscall.EINVAL)
	checkErr(t, "rename noreplace", vfs.Rename(ctx, d, "moved", d, "null", unix.RENAME_NOREPLACE), syscall.EEXIST)
	checkErr(t, "rename to a dir", vfs.Rename(ctx, d, "moved", d, "sub", 0), syscall.EISDIR)
	checkErr(t, "exchange", vfs.Rename(ctx, d, "moved", sub, "pipe", unix.RENAME_EXCHANGE), nil)
	if n, err := vfs.Lookup(ctx, sub, "pipe"); n != file || err != nil {
		t.Errorf("after exchange: %v, %v", n, err)
	}
	checkErr(t, "to itself", vfs.Rename(ctx, d, "second", sub, "pipe", 0), nil)
	for _, name := range []string{"pipe", "link"} {
		checkErr(t, name, vfs.Remove(ctx, sub, name, false), nil)
	}
	checkErr(t, "rmdir", vfs.Remove(ctx, d, "sub", true), nil)
	_, err = vfs.Make(ctx, sub, "late", vfs.MakeOptions{Mode: unix.S_IFREG})
	checkErr(t, "make in a removed dir", err, syscall.ENOENT)
	if got := nlink(t, d); got != before {
		t.Errorf("nlink %d at the end, was %d", got, before)
	}
}

func checkErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestReadDir(t *testing.T) {
	shm := root(t, dev.Options{}) // any other server's directory
	d := root(t, dev.Options{Shm: shm})
	want := []string{"fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"}
	for _, max := range []int{1, 3, 1000} {
		got := names(t, d, max)
		if !slices.Equal(got, want) {
			t.Errorf("max %d: %q", max, got)
		}
	}
	if n, _ := d.Lookup(ctx, "shm"); n != shm {
		t.Error("shm is not the caller's")
	}
	checkErr(t, "rmdir shm", vfs.Remove(ctx, d, "shm", true), syscall.EBUSY)
}

func TestRegularFile(t *testing.T) {
	d := root(t, dev.Options{})
	n, f, err := d.(vfs.MakeOpener).MakeOpen(ctx, "f", vfs.MakeOptions{Mode: 0o600}, unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if k, err := vfs.Write(ctx, f, []byte("hello"), 3); k != 5 || err != nil {
		t.Fatalf("write %d, %v", k, err)
	}
	if k, end, err := f.(vfs.Appender).Append(ctx, []byte("!")); k != 1 || end != 9 || err != nil {
		t.Fatalf("append %d, %d, %v", k, end, err)
	}
	checkRead := func(want string) {
		t.Helper()
		p := make([]byte, 100)
		k, err := vfs.Read(ctx, f, p, 0)
		if string(p[:k]) != want || err != nil {
			t.Errorf("read %q, %v; want %q", p[:k], err, want)
		}
	}
	checkRead("\x00\x00\x00hello!")
	size := func(n_ int64) error {
		return vfs.SetAttributes(ctx, n, f, vfs.SetAttr{Valid: vfs.SetSize, Size: n_})
	}
	checkErr(t, "shrink", size(4), nil)
	checkErr(t, "grow", size(6), nil)
	checkRead("\x00\x00\x00h\x00\x00")
	checkErr(t, "huge", size(1<<40), syscall.EFBIG)
	_, err = vfs.Write(ctx, f, []byte("x"), 1<<40)
	checkErr(t, "far write", err, syscall.EFBIG)

	checkErr(t, "chmod", vfs.SetAttributes(ctx, n, f, vfs.SetAttr{Valid: vfs.SetMode | vfs.SetUID, Mode: 0o123, UID: 7}), nil)
	if a, _ := n.Stat(ctx); a.Mode != unix.S_IFREG|0o123 || a.UID != 7 || a.Size != 6 {
		t.Errorf("after chmod: %+v", a)
	}
}
