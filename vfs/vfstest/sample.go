package vfstest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing/fstest"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// SampleTime is the modification time of Sample's files.
var SampleTime = time.Unix(1_600_000_000, 0)

// Sample is the tree that a read-only server shows to the suite: serve it
// directly, or what [WriteSample] wrote.
func Sample() fstest.MapFS {
	file := func(s string, mode fs.FileMode) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(s), Mode: mode, ModTime: SampleTime}
	}
	return fstest.MapFS{
		"hello":         file("hello, world\n", 0o644),
		"empty":         file("", 0o600),
		"program":       file("#!/bin/sh\n", 0o755),
		"big":           file(string(bytesOf(8, 3<<20)), 0o644),
		"dir":           {Mode: fs.ModeDir | 0o755, ModTime: SampleTime},
		"dir/a b":       file("space", 0o644),
		"dir/é":         file("accent", 0o644),
		"dir/deep":      {Mode: fs.ModeDir | 0o755, ModTime: SampleTime},
		"dir/deep/file": file("deep", 0o644),
		"void":          {Mode: fs.ModeDir | 0o755, ModTime: SampleTime},
	}
}

// WriteSample writes Sample into the directory dir of the host.
func WriteSample(dir string) error {
	if err := os.CopyFS(dir, Sample()); err != nil {
		return err
	}
	for name, f := range Sample() {
		name = filepath.Join(dir, name)
		if err := os.Chmod(name, f.Mode.Perm()); err != nil {
			return err
		}
		if err := os.Chtimes(name, f.ModTime, f.ModTime); err != nil {
			return err
		}
	}
	return nil
}

// sample calls f for each file of Sample, with its node.
func (e *env) sample(f func(name string, n vfs.Node, want *fstest.MapFile)) {
	for name, want := range Sample() {
		n, err := at{e.fs, name}.Root(e.ctx)
		e.ok(err, "walk", name)
		f(name, n, want)
	}
}

func testSample(e *env) {
	if a := e.attr(e.root); !a.IsDir() {
		e.Errorf("the root's mode is %o", a.Mode)
	}
	inos := map[uint64]string{}
	e.sample(func(name string, n vfs.Node, want *fstest.MapFile) {
		a := e.attr(n)
		_, isDir := n.(vfs.Dir)
		if a.Mtime != syscall.NsecToTimespec(SampleTime.UnixNano()) {
			e.Errorf("%s: modified at %v", name, a.Mtime)
		}
		if a.IsDir() != want.Mode.IsDir() || isDir != want.Mode.IsDir() || a.Mode&0o777 != uint32(want.Mode.Perm()) {
			e.Errorf("%s: mode %o", name, a.Mode)
		}
		if was, ok := inos[a.Ino]; ok || a.Ino == 0 || a.Nlink == 0 || a.Blksize == 0 {
			e.Errorf("%s: %+v; its number is that of %q", name, a, was)
		}
		inos[a.Ino] = name
		if a.IsDir() {
			return
		}
		if a.Size != int64(len(want.Data)) || !a.IsRegular() {
			e.Errorf("%s: size %d", name, a.Size)
		}
		e.holds(n, string(want.Data), name)
		_, err := vfs.Lookup(e.ctx, n, "x")
		e.is(err, syscall.ENOTDIR, "lookup in", name)
		_, err = vfs.Readlink(e.ctx, n)
		e.is(err, syscall.EINVAL, "readlink", name)
	})
	for _, name := range []string{"none", "\xff", "hello ", "HELLO", "..."} {
		e.missing(e.root, name)
	}
	e.missing(e.lookup(e.root, "dir"), "file")
}

func testSampleReads(e *env) {
	want := Sample()["big"].Data
	n := e.lookup(e.root, "big")
	f, g := e.open(n, unix.O_RDONLY), e.open(n, unix.O_RDONLY)
	for _, off := range []int{0, 1 << 20, 100, len(want) - 5, 4095, len(want), len(want) + 1, 7} {
		for _, size := range []int{1, 100, 70_000} {
			a, b := min(off, len(want)), min(off+size, len(want))
			if got := e.readAt(f, int64(off), size); string(got) != string(want[a:b]) {
				e.Errorf("%d bytes at %d: %d bytes that differ", size, off, len(got))
			}
			if got := e.readAt(g, int64(off/2), 10); string(got) != string(want[off/2:min(off/2+10, len(want))]) {
				e.Errorf("the other file differs at %d", off/2)
			}
		}
	}
	d := e.open(e.root, unix.O_RDONLY|unix.O_DIRECTORY)
	_, err := vfs.Read(e.ctx, under(d), make([]byte, 1), 0)
	e.is(err, syscall.EISDIR, "read a directory")
}

func testSampleList(e *env) {
	check := func(d vfs.Node, want ...string) {
		e.Helper()
		for _, step := range []int{1, 3, 100} {
			got := map[string]bool{}
			for _, entry := range e.list(d, step) {
				if got[entry.Name] {
					e.Errorf("%q twice", entry.Name)
				}
				got[entry.Name] = true
				a := e.attr(e.lookup(d, entry.Name))
				if a.Ino != entry.Ino || entry.Type != 0 && entry.Type != a.Type() {
					e.Errorf("%+v, Stat says %d, %o", entry, a.Ino, a.Type())
				}
			}
			for _, name := range want {
				if !got[name] {
					e.Errorf("%q is missing", name)
				}
			}
			if len(got) != len(want) {
				e.Errorf("listed %v, want %q", got, want)
			}
		}
	}
	check(e.root, "hello", "empty", "program", "big", "dir", "void")
	check(e.lookup(e.root, "dir"), "a b", "é", "deep")
	check(e.lookup(e.root, "void"))
	f := e.open(e.root, unix.O_RDONLY|unix.O_DIRECTORY)
	list := e.rest(f, 0, 2)
	for i, entry := range list {
		if got := e.rest(f, entry.Next, 10); len(got) != len(list)-1-i {
			e.Errorf("after entry %d: %d more", i, len(got))
		}
	}
	if f.Node() != e.root {
		e.Error("the open directory's node is another")
	}
}

func testSampleIdentity(e *env) {
	e.sample(func(name string, n vfs.Node, _ *fstest.MapFile) {
		m, err := at{e.fs, name}.Root(e.ctx)
		e.ok(err, "walk", name)
		if n != m {
			e.Errorf("%s: two nodes", name)
		}
		f := e.open(n, unix.O_RDONLY)
		if f.Node() != n {
			e.Errorf("%s: the open file's node is another", name)
		}
		if _, ok := (map[vfs.Node]bool{m: true})[n]; !ok {
			e.Errorf("%s cannot be found as a key", name)
		}
	})
}

func testSampleRefuses(e *env) {
	d, f := e.lookup(e.root, "dir"), e.lookup(e.root, "hello")
	refused := func(err error, what string) {
		e.Helper()
		e.is(err, syscall.EROFS, what)
	}
	for name, mode := range e.kinds() {
		_, err := vfs.Make(e.ctx, d, "new", e.options(mode))
		refused(err, "make "+name)
		_, err = vfs.Make(e.ctx, e.root, "hello", e.options(mode))
		if !errors.Is(err, syscall.EEXIST) {
			refused(err, "make over")
		}
	}
	refused(vfs.Remove(e.ctx, e.root, "hello", false), "unlink")
	refused(vfs.Remove(e.ctx, e.root, "void", true), "rmdir")
	refused(vfs.Rename(e.ctx, e.root, "hello", d, "new", 0), "rename")
	refused(vfs.Link(e.ctx, d, f, "new"), "link")
	_, err := vfs.Tmpfile(e.ctx, d, e.options(unix.S_IFREG|0o600))
	refused(err, "tmpfile")
	for _, n := range []vfs.Node{d, f} {
		refused(vfs.SetAttributes(e.ctx, n, nil, vfs.SetAttr{Valid: vfs.SetMode, Mode: 0o777}), "chmod")
		if err := vfs.Setxattr(e.ctx, n, "user.a", nil, 0); !errors.Is(err, syscall.EOPNOTSUPP) {
			refused(err, "setxattr")
		}
	}
	refused(vfs.SetAttributes(e.ctx, f, nil, vfs.SetAttr{Valid: vfs.SetSize}), "truncate")
	for _, flags := range []int{unix.O_WRONLY, unix.O_RDWR} {
		_, err := vfs.Open(e.ctx, f, flags)
		refused(err, "open")
	}
	e.holds(f, "hello, world\n", "hello")
}

func testSampleConcurrent(e *env) {
	want := Sample()["big"].Data
	f := under(e.open(e.lookup(e.root, "big"), unix.O_RDONLY))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				off := (w*31 + i*9973) % (len(want) - 100)
				p := make([]byte, 100)
				n, err := vfs.Read(e.ctx, f, p, int64(off))
				if n != 100 || err != nil || string(p) != string(want[off:off+100]) {
					e.Errorf("at %d: %d, %v", off, n, err)
				}
				if _, err := vfs.Lookup(e.ctx, e.root, "dir"); err != nil {
					e.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
