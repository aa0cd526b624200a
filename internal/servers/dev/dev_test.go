package dev_test

import (
	"bytes"
	"context"
	"errors"
	"sort"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/dev"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

var ctx = context.Background()

func root(t *testing.T, o dev.Options) vfs.Dir {
	t.Helper()
	n, err := dev.New(o).Root(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return n.(vfs.Dir)
}

func open(t *testing.T, d vfs.Dir, name string) vfs.File {
	t.Helper()
	n, err := d.Lookup(ctx, name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	f, err := vfs.Open(ctx, n, unix.O_RDWR)
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	t.Cleanup(func() { f.Close() })
	if f.Node() != n {
		t.Errorf("%s: the file's node is not the one opened", name)
	}
	return f
}

func TestNumbers(t *testing.T) {
	d := root(t, dev.Options{})
	for _, c := range []struct {
		name         string
		major, minor uint32
		mode         uint32
	}{
		{"null", 1, 3, 0o666}, {"zero", 1, 5, 0o666}, {"full", 1, 7, 0o666},
		{"random", 1, 8, 0o666}, {"urandom", 1, 9, 0o666}, {"tty", 5, 0, 0o666}, {"ptmx", 5, 2, 0o666},
	} {
		n, err := d.Lookup(ctx, c.name)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		a, err := n.Stat(ctx)
		if err != nil || a.Rdev != unix.Mkdev(c.major, c.minor) || a.Mode != unix.S_IFCHR|c.mode || a.Nlink != 1 {
			t.Errorf("%s: %+v, %v", c.name, a, err)
		}
	}
}

func TestMemoryDevices(t *testing.T) {
	for _, c := range []struct {
		name  string
		read  int  // bytes of 100
		zeros bool // what is read
		write error
	}{
		{"null", 0, false, nil},
		{"zero", 100, true, nil},
		{"full", 100, true, syscall.ENOSPC},
		{"random", 100, false, nil},
		{"urandom", 100, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := open(t, root(t, dev.Options{}), c.name)
			p := bytes.Repeat([]byte{0xa5}, 100)
			n, err := vfs.Read(ctx, f, p, 12345)
			if n != c.read || err != nil {
				t.Errorf("read %d, %v", n, err)
			}
			same := bytes.Equal(p, bytes.Repeat([]byte{0xa5}, 100))
			zeros := bytes.Equal(p, make([]byte, 100))
			if same != (c.read == 0) || zeros != c.zeros {
				t.Errorf("read % x", p)
			}
			n, err = vfs.Write(ctx, f, p, 0)
			if err != c.write || err == nil && n != 100 {
				t.Errorf("write %d, %v", n, err)
			}
			k := f.(vfs.OffsetKeeper)
			if n, err := k.ReadNext(ctx, p); n != c.read || err != nil {
				t.Errorf("sequential read %d, %v", n, err)
			}
			if _, err := k.WriteNext(ctx, p); err != c.write {
				t.Errorf("sequential write %v", err)
			}
			if off, err := k.Lseek(ctx, 77, 0); off != 0 || err != nil {
				t.Errorf("lseek %d, %v", off, err)
			}
		})
	}
}

func TestRandomIsCancelled(t *testing.T) {
	f := open(t, root(t, dev.Options{}), "urandom")
	c, cancel := context.WithCancelCause(ctx)
	cancel(vfs.ErrInterrupted)
	if n, err := vfs.Read(c, f, make([]byte, 1<<20), 0); n != 0 || !vfs.Interrupted(err) {
		t.Errorf("read %d, %v", n, err)
	}
}

func TestZeroMap(t *testing.T) {
	f := open(t, root(t, dev.Options{}), "zero")
	var maps [2][]byte
	for i := range maps {
		m, err := f.(vfs.Mapper).Map(ctx, unix.PROT_READ|unix.PROT_WRITE, true)
		if err != nil {
			t.Fatal(err)
		}
		b, err := unix.Mmap(m.FD, m.Offset+1<<40, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		m.Release()
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Munmap(b)
		maps[i] = b
	}
	maps[0][5] = 1
	if maps[1][5] != 0 {
		t.Error("two maps of /dev/zero share memory")
	}
}

func TestLinks(t *testing.T) {
	d := root(t, dev.Options{})
	for name, want := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0",
		"stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		n, err := d.Lookup(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := vfs.Readlink(ctx, n); got != want || err != nil {
			t.Errorf("%s -> %q, %v", name, got, err)
		}
	}
}

func TestTTYHook(t *testing.T) {
	d := root(t, dev.Options{})
	n, _ := d.Lookup(ctx, "tty")
	if _, err := vfs.Open(ctx, n, 0); err != syscall.ENXIO {
		t.Errorf("without a hook: %v", err)
	}
	want := errors.New("mine")
	d = root(t, dev.Options{TTY: dev.DeviceFunc(func(context.Context, vfs.Node, int) (vfs.File, error) {
		return nil, want
	})})
	n, _ = d.Lookup(ctx, "tty")
	if _, err := vfs.Open(ctx, n, 0); err != want {
		t.Errorf("with a hook: %v", err)
	}
}

func TestRegistry(t *testing.T) {
	fs := dev.New(dev.Options{})
	r, _ := fs.Root(ctx)
	opened := 0
	mine := dev.DeviceFunc(func(_ context.Context, n vfs.Node, _ int) (vfs.File, error) {
		opened++
		return nil, syscall.EBUSY
	})
	if err := fs.Registry().Register(unix.S_IFCHR, unix.Mkdev(1, 3), mine); err != syscall.EEXIST {
		t.Errorf("registering null again: %v", err)
	}
	if err := fs.Registry().Register(unix.S_IFREG, 1, mine); err != syscall.EINVAL {
		t.Errorf("registering a regular file: %v", err)
	}
	n, err := vfs.Make(ctx, r, "mine", vfs.MakeOptions{Mode: unix.S_IFBLK | 0o600, Rdev: unix.Mkdev(240, 7)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vfs.Open(ctx, n, 0); err != syscall.ENXIO {
		t.Errorf("no driver: %v", err)
	}
	if err := fs.Registry().Register(unix.S_IFBLK, unix.Mkdev(240, 7), mine); err != nil {
		t.Fatal(err)
	}
	if _, err := vfs.Open(ctx, n, 0); err != syscall.EBUSY || opened != 1 {
		t.Errorf("with driver: %v, opened %d", err, opened)
	}
	fs.Registry().Unregister(unix.S_IFBLK, unix.Mkdev(240, 7))
	if _, err := vfs.Open(ctx, n, 0); err != syscall.ENXIO {
		t.Errorf("driver gone: %v", err)
	}
	n, err = vfs.Make(ctx, r, "null2", vfs.MakeOptions{Mode: unix.S_IFCHR | 0o600, Rdev: unix.Mkdev(1, 3)})
	if err != nil {
		t.Fatal(err)
	}
	f, err := vfs.Open(ctx, n, 0)
	if err != nil || f.Node() != n {
		t.Errorf("a second node of null: %v", err)
	}
}

func names(t *testing.T, d vfs.Dir, max int) []string {
	t.Helper()
	f, err := vfs.Open(ctx, d, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []string
	var cookie uint64
	for {
		list, err := f.(vfs.DirReader).ReadDir(ctx, cookie, max)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, e := range list {
			if e.Ino == 0 || e.Type == 0 || e.Next < 3 {
				t.Errorf("entry %+v", e)
			}
			all = append(all, e.Name)
			cookie = e.Next
		}
	}
	sort.Strings(all)
	return all
}
