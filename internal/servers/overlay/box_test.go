package overlay_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/internal/servers/overlay"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// box is an overlay over a directory of the host.
type box struct {
	testing.TB
	dir  string
	fs   *overlay.FS
	root vfs.Node
}

// newBox lays an overlay over a directory with files: a name that ends in / is a
// directory, one with -> a link, one with = a second name; others hold their
// names.
func newBox(t testing.TB, files ...string) *box {
	t.Helper()
	b := &box{TB: t, dir: t.TempDir()}
	for _, f := range files {
		if name, target, ok := strings.Cut(f, "->"); ok {
			b.ok(os.Symlink(target, b.host(name)))
		} else if name, old, ok := strings.Cut(f, "="); ok {
			b.ok(os.Link(b.host(old), b.host(name)))
		} else if strings.HasSuffix(f, "/") {
			b.ok(os.MkdirAll(b.host(f), 0o755))
		} else {
			b.ok(os.MkdirAll(filepath.Dir(b.host(f)), 0o755))
			b.ok(os.WriteFile(b.host(f), []byte(f), 0o644))
		}
	}
	b.fs = over(t, serve(t, b.dir, host.Options{ReadOnly: true}))
	root, err := b.fs.Root(ctx)
	b.ok(err)
	b.root = root
	return b
}

func (b *box) host(name string) string { return filepath.Join(b.dir, name) }

func (b *box) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *box) is(what string, err error, want syscall.Errno) {
	b.Helper()
	if want == 0 && err != nil || want != 0 && !errors.Is(err, want) {
		b.Errorf("%s: %v, want %v", what, err, want)
	}
}

func (b *box) find(path string) (vfs.Node, error) {
	n := b.root
	var err error
	for name := range strings.SplitSeq(path, "/") {
		if name != "" && name != "." && err == nil {
			n, err = vfs.Lookup(ctx, n, name)
		}
	}
	return n, err
}

func (b *box) node(path string) vfs.Node {
	b.Helper()
	n, err := b.find(path)
	if err != nil {
		b.Fatalf("%s: %v", path, err)
	}
	return n
}

func (b *box) missing(path string) {
	b.Helper()
	_, err := b.find(path)
	b.is(path, err, syscall.ENOENT)
}

func (b *box) split(path string) (vfs.Node, string) {
	b.Helper()
	return b.node(filepath.Dir(path)), filepath.Base(path)
}

func (b *box) attr(n vfs.Node) vfs.Attr {
	b.Helper()
	a, err := n.Stat(ctx)
	b.ok(err)
	return a
}

func (b *box) open(n vfs.Node, flags int) vfs.File {
	b.Helper()
	f, err := vfs.Open(ctx, n, flags)
	b.ok(err)
	b.Cleanup(func() { f.Close() })
	return f
}

func (b *box) write(path, s string) {
	b.Helper()
	f, err := vfs.Open(ctx, b.node(path), unix.O_WRONLY)
	b.ok(err)
	_, err = vfs.Write(ctx, f, []byte(s), 0)
	b.ok(err)
	b.ok(f.Close())
}

func (b *box) read(f vfs.File) string {
	b.Helper()
	p := make([]byte, 1000)
	n, err := vfs.Read(ctx, f, p, 0)
	b.ok(err)
	return string(p[:n])
}

func (b *box) holds(path, want string) {
	b.Helper()
	f, err := vfs.Open(ctx, b.node(path), unix.O_RDONLY)
	b.ok(err)
	defer f.Close()
	if got := b.read(f); got != want {
		b.Errorf("%s holds %q, want %q", path, got, want)
	}
}

func (b *box) links(path string, want uint32) {
	b.Helper()
	if a := b.attr(b.node(path)); a.Nlink != want {
		b.Errorf("%s has %d links, want %d", path, a.Nlink, want)
	}
}

func (b *box) mkdir(path string) vfs.Node {
	b.Helper()
	d, name := b.split(path)
	n, err := vfs.Make(ctx, d, name, vfs.MakeOptions{Mode: unix.S_IFDIR | 0o755})
	b.ok(err)
	return n
}

func (b *box) create(path string) vfs.Node {
	b.Helper()
	d, name := b.split(path)
	n, err := vfs.Make(ctx, d, name, vfs.MakeOptions{Mode: unix.S_IFREG | 0o644})
	b.ok(err)
	return n
}

func (b *box) remove(path string) {
	b.Helper()
	d, name := b.split(path)
	_, isDir := b.node(path).(vfs.Dir)
	b.ok(vfs.Remove(ctx, d, name, isDir))
}

func (b *box) rename(from, to string, flags uint) error {
	b.Helper()
	d, name := b.split(from)
	t, toName := b.split(to)
	return vfs.Rename(ctx, d, name, t, toName, flags)
}

func (b *box) shows(path string, want ...string) {
	b.Helper()
	f := b.open(b.node(path), unix.O_RDONLY|unix.O_DIRECTORY)
	got := []string{}
	for cookie := uint64(0); ; {
		list, err := f.(vfs.DirReader).ReadDir(ctx, cookie, 3)
		b.ok(err)
		if len(list) == 0 {
			break
		}
		for _, e := range list {
			got = append(got, e.Name)
			if a := b.attr(b.node(path + "/" + e.Name)); a.Ino != e.Ino {
				b.Errorf("%s in %s: number %d, stat says %d", e.Name, path, e.Ino, a.Ino)
			}
			cookie = e.Next
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		b.Errorf("%s shows %q, want %q", path, got, want)
	}
}
