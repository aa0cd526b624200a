package host_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// exchange swaps two names in a loop, as a hostile host process would, until
// the returned function is called.
func exchange(t *testing.T, a, b string) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
				t.Errorf("exchange: %v", err)
				return
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

const rounds = 4000

// A directory that is swapped with a symbolic link to the outside leads inside
// or nowhere: nothing outside is found, read, made, changed or removed.
func TestDirectorySwappedWithLink(t *testing.T) {
	top := t.TempDir()
	dir, outside := filepath.Join(top, "tree"), filepath.Join(top, "outside")
	writeFile(t, outside, "f", "SECRET")
	writeFile(t, outside, "only", "SECRET")
	writeFile(t, dir, "d", "f", "inside")
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	before := listing(t, outside)
	root, _ := serve(t, dir, host.Options{MaxDirs: 1}).Root(ctx)
	other := filepath.Join(dir, "other")
	if err := os.Mkdir(other, 0o755); err != nil {
		t.Fatal(err)
	}
	stop := exchange(t, filepath.Join(dir, "d"), filepath.Join(dir, "link"))
	var found atomic.Int32
	var wg sync.WaitGroup
	for w := range 2 {
		name := string(rune('a' + w))
		wg.Go(func() {
			for i := 0; i < rounds || found.Load() == 0 && i < 1000*rounds; i++ {
				d, err := vfs.Lookup(ctx, root, "d")
				if err != nil {
					t.Errorf("the name itself: %v", err)
					return
				}
				if _, ok := d.(vfs.Readlinker); ok {
					vfs.Readlink(ctx, d)
					continue
				}
				walk(root, "other") // pushes d's descriptor out of the cache
				vfs.Lookup(ctx, must[vfs.Node](t)(walk(root, "other")), "x")
				if _, err := vfs.Lookup(ctx, d, "only"); err == nil {
					t.Error("found a file of the outside")
				}
				n, err := vfs.Lookup(ctx, d, "f")
				if err == nil {
					if f, err := vfs.Open(ctx, n, unix.O_RDWR); err == nil {
						found.Add(1)
						buf := make([]byte, 16)
						if k, _ := vfs.Read(ctx, f, buf, 0); string(buf[:k]) != "inside" {
							t.Errorf("read %q", buf[:k])
						}
						f.Close()
					}
					vfs.SetAttributes(ctx, n, nil, vfs.SetAttr{Valid: vfs.SetMtime})
				}
				if f, err := vfs.Open(ctx, d, unix.O_RDONLY); err == nil {
					list, _ := f.(vfs.DirReader).ReadDir(ctx, 0, 100)
					for _, e := range list {
						if e.Name == "only" {
							t.Error("listed the outside")
						}
					}
					f.Close()
				}
				vfs.Make(ctx, d, name, mine(unix.S_IFDIR|0o755))
				vfs.Rename(ctx, d, name, d, name+"2", 0)
				vfs.Remove(ctx, d, name+"2", true)
				vfs.Remove(ctx, d, "only", false)
			}
		})
	}
	wg.Wait()
	stop()
	if found.Load() == 0 {
		t.Error("the inside was never reached: the test shows nothing")
	}
	if after := listing(t, outside); after != before {
		t.Errorf("the outside changed:\n%s\n%s", before, after)
	}
}

// listing describes a directory's files.
func listing(t *testing.T, dir string) (s string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		i, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		b, _ := os.ReadFile(filepath.Join(dir, e.Name()))
		s += i.Name() + " " + i.Mode().String() + " " + i.ModTime().String() + " " + string(b) + "\n"
	}
	return s
}

// A file that is swapped with a link, a FIFO or another file is opened as what
// was looked up, or ESTALE; and the open never blocks.
func TestFileSwapped(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(path, secret string) error
	}{
		{"link", func(p, secret string) error { return os.Symlink(secret, p) }},
		{"fifo", func(p, _ string) error { return unix.Mkfifo(p, 0o666) }},
		{"file", func(p, _ string) error { return os.WriteFile(p, []byte("other"), 0o644) }},
		{"directory", func(p, _ string) error { return os.Mkdir(p, 0o755) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			top := t.TempDir()
			secret := writeFile(t, top, "secret", "SECRET")
			dir := filepath.Join(top, "tree")
			writeFile(t, dir, "f", "inside")
			if err := c.make(filepath.Join(dir, "g"), secret); err != nil {
				t.Fatal(err)
			}
			root, _ := serve(t, dir, host.Options{}).Root(ctx)
			var stat unix.Stat_t
			if err := unix.Stat(filepath.Join(dir, "f"), &stat); err != nil {
				t.Fatal(err)
			}
			stop := exchange(t, filepath.Join(dir, "f"), filepath.Join(dir, "g"))
			defer stop()
			opened := 0
			for i := 0; i < rounds || opened == 0 && i < 1000*rounds; i++ {
				n, err := vfs.Lookup(ctx, root, "f")
				if err != nil {
					t.Fatal(err)
				}
				a, err := n.Stat(ctx)
				if err != nil && !errors.Is(err, syscall.ESTALE) {
					t.Fatal(err)
				}
				if err != nil || a.Ino != stat.Ino {
					continue
				}
				f, err := vfs.Open(ctx, n, unix.O_RDONLY) // waits on a FIFO, if that is what it gets
				if err != nil {
					if !errors.Is(err, syscall.ESTALE) {
						t.Fatal(err)
					}
					continue
				}
				opened++
				buf := make([]byte, 16)
				if k, err := vfs.Read(ctx, f, buf, 0); string(buf[:k]) != "inside" {
					t.Errorf("read %q, %v", buf[:k], err)
				}
				f.Close()
			}
			if opened == 0 {
				t.Error("never opened: the test shows nothing")
			}
		})
	}
}

// A directory above the one that is walked moves out of the tree and back, with
// a link in its place: the files that are reached are always the same.
func TestAncestorMoves(t *testing.T) {
	top := t.TempDir()
	dir, outside := filepath.Join(top, "tree"), filepath.Join(top, "outside")
	writeFile(t, dir, "a", "b", "c", "f", "inside")
	writeFile(t, outside, "b", "c", "f", "SECRET")
	if err := os.Symlink(outside, filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	fs := serve(t, dir, host.Options{MaxDirs: 1})
	root, _ := fs.Root(ctx)
	stop := exchange(t, filepath.Join(dir, "a"), filepath.Join(top, "link"))
	found := 0
	// On a crowded machine the right moment may take long to come.
	for i := 0; i < rounds || found == 0 && i < 1000*rounds; i++ {
		n, err := walk(root, "a/b/c/f")
		if err != nil {
			continue
		}
		if f, err := vfs.Open(ctx, n, unix.O_RDONLY); err == nil {
			found++
			buf := make([]byte, 16)
			if k, _ := vfs.Read(ctx, f, buf, 0); string(buf[:k]) != "inside" {
				t.Errorf("read %q", buf[:k])
			}
			f.Close()
		}
	}
	stop()
	if found == 0 {
		t.Error("never reached: the test shows nothing")
	}
}

// Our own renames never make a held node unreachable, not even for a moment.
func TestRenameWhileOthersUseTheNode(t *testing.T) {
	dir, root := rw(t)
	writeFile(t, dir, "d1", "f0", "x")
	writeFile(t, dir, "d2", "other", "x")
	d := []vfs.Node{must[vfs.Node](t)(walk(root, "d1")), must[vfs.Node](t)(walk(root, "d2"))}
	f := must[vfs.Node](t)(walk(root, "d1/f0"))
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := f.Stat(ctx); err != nil {
					t.Errorf("stat: %v", err)
					return
				}
				open, err := vfs.Open(ctx, f, unix.O_RDONLY)
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				open.Close()
				for _, dir := range d {
					vfs.Lookup(ctx, dir, "f0") // may note a place that is old by then
					vfs.Lookup(ctx, dir, "f1")
				}
			}
		})
	}
	for i := range rounds {
		from, to := i%2, (i+1)%2
		if err := vfs.Rename(ctx, d[from], []string{"f0", "f1"}[from], d[to], []string{"f0", "f1"}[to], 0); err != nil {
			t.Error(err)
			break
		}
	}
	close(done)
	wg.Wait()
}
