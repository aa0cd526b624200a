package overlay_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/internal/servers/overlay"
	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// collect runs the collector until done: what one run frees may lead to what the
// next one frees. A cleanup of the test's own tells when those of a run are
// through.
func collect(done func() bool) bool {
	for range 20 {
		ran := make(chan struct{})
		runtime.AddCleanup(new([64]byte), func(c chan struct{}) { close(c) }, ran)
		runtime.GC()
		<-ran
		if done() {
			return true
		}
	}
	return false
}

// TestNothingRemains: names that were only looked at, and files that came and
// went, are forgotten.
func TestNothingRemains(t *testing.T) {
	const files = 500
	b := newBox(t, "d/")
	for i := range files {
		b.ok(os.WriteFile(b.host(fmt.Sprint("d/", i)), []byte("x"), 0o644))
	}
	for i := range files {
		b.node(fmt.Sprint("d/", i))
	}
	var lowers, uppers, kept int
	left := func(lower, upper int) bool {
		return collect(func() bool {
			lowers, uppers, kept = b.fs.Known()
			return lowers == lower && uppers == upper && kept == 0
		})
	}
	if !left(1, 1) { // the root
		t.Errorf("%d wrappers, %d upper files, %d kept, after looking", lowers, uppers, kept)
	}
	before := b.files()
	for i := range files {
		name := fmt.Sprint("d/", i)
		b.write(name, "y")
		b.remove(name)
		b.mkdir(name)
		b.remove(name)
		b.create(name)
	}
	if n := b.files() - before; n != files+1 { // and d
		t.Errorf("%d more upper files", n)
	}
	if !left(2, 2) {
		t.Errorf("%d wrappers, %d upper files, %d kept, after removing", lowers, uppers, kept)
	}
	runtime.KeepAlive(b)
}

// files counts those of the upper file system.
func (b *box) files() int {
	b.Helper()
	s, err := b.fs.Statfs(ctx)
	b.ok(err)
	return int(s.Files - s.FilesFree)
}

// TestLinksAreCountedForGood: that a name is gone is known even if nobody held
// the file, and a copy without names goes.
func TestLinksAreCountedForGood(t *testing.T) {
	b := newBox(t, "a", "b=a", "c=a")
	b.remove("a")
	collect(func() bool { return false })
	b.links("b", 2)
	before := b.files()
	b.write("b", "new")
	b.remove("b")
	collect(func() bool { return false })
	b.links("c", 1)
	b.holds("c", "new")
	n := b.node("c")
	b.remove("c")
	if got := b.files(); got != before {
		t.Errorf("%d upper files, %d before", got, before)
	}
	if _, uppers, kept := b.fs.Known(); uppers != 1 || kept != 0 {
		t.Errorf("%d upper files and %d lower ones are known", uppers, kept)
	}
	if a := b.attr(n); a.Nlink != 0 {
		t.Errorf("%d links", a.Nlink)
	}
	runtime.KeepAlive(n)
}

// TestOverlayIsCollected: a box that is over leaves nothing.
func TestOverlayIsCollected(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(dir+"/"+name, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(dir+"/a", dir+"/c"); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	func() {
		lower, err := host.New(dir, host.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer lower.Close()
		fs, err := overlay.New(tmp.New(tmp.Options{}), lower, overlay.Options{})
		if err != nil {
			t.Fatal(err)
		}
		runtime.AddCleanup(fs, func(c chan struct{}) { close(c) }, gone)
		root, _ := fs.Root(ctx)
		for _, name := range []string{"a", "b"} {
			n, err := vfs.Lookup(ctx, root, name)
			if err != nil {
				t.Fatal(err)
			}
			f, err := vfs.Open(ctx, n, unix.O_RDWR)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := vfs.Write(ctx, f, []byte("y"), 0); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
		if err := vfs.Remove(ctx, root, "c", false); err != nil {
			t.Fatal(err)
		}
	}()
	if !collect(func() bool {
		select {
		case <-gone:
			return true
		default:
			return false
		}
	}) {
		t.Error("the overlay is still there")
	}
}
