package vfstest

import (
	"context"
	"errors"
	"io"
	"slices"
	"syscall"
	"testing"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// env is what a test works with. Its methods end the test when what they do
// fails.
type env struct {
	*testing.T
	*Options
	ctx   context.Context
	mk    func(*testing.T) vfs.FS
	fs    vfs.FS
	root  vfs.Node
	first map[string]bool // what the root shows by itself
}

func newEnv(t *testing.T, mk func(*testing.T) vfs.FS, o *Options) *env {
	e := &env{T: t, Options: o, ctx: context.Background(), mk: mk, fs: mk(t)}
	var err error
	if e.root, err = e.fs.Root(e.ctx); err != nil {
		t.Fatal("root:", err)
	}
	e.first = map[string]bool{}
	for _, d := range e.list(e.root, 100) {
		e.first[d.Name] = true
	}
	return e
}

// is checks an error; want 0 is none.
func (e *env) is(err error, want syscall.Errno, what ...any) {
	e.Helper()
	if want == 0 && err == nil || want != 0 && errors.Is(err, want) {
		return
	}
	if want == 0 {
		e.Errorf("%v: %v", what, err)
	} else {
		e.Errorf("%v: %v, want %v (%[3]d)", what, err, want)
	}
}

// ok ends the test unless err is nil.
func (e *env) ok(err error, what ...any) {
	e.Helper()
	if err != nil {
		e.Fatalf("%v: %v", what, err)
	}
}

func (e *env) options(mode uint32) vfs.MakeOptions {
	o := vfs.MakeOptions{Mode: mode, UID: e.UID, GID: e.GID}
	if mode&unix.S_IFMT == unix.S_IFLNK {
		o.Target = "target"
	}
	return o
}

func (e *env) make(d vfs.Node, name string, mode uint32) vfs.Node {
	e.Helper()
	n, err := vfs.Make(e.ctx, d, name, e.options(mode))
	e.ok(err, "make", name)
	return n
}

func (e *env) dir(d vfs.Node, name string) vfs.Node {
	e.Helper()
	return e.make(d, name, unix.S_IFDIR|0o755)
}

// file makes a regular file with contents.
func (e *env) file(d vfs.Node, name, contents string) vfs.Node {
	e.Helper()
	n := e.make(d, name, unix.S_IFREG|0o644)
	if contents != "" {
		f := e.open(n, unix.O_RDWR)
		e.write(f, contents, 0)
		e.close(f)
	}
	return n
}

func (e *env) lookup(d vfs.Node, name string) vfs.Node {
	e.Helper()
	n, err := vfs.Lookup(e.ctx, d, name)
	e.ok(err, "lookup", name)
	return n
}

// missing checks that there is no name in d.
func (e *env) missing(d vfs.Node, name string) {
	e.Helper()
	_, err := vfs.Lookup(e.ctx, d, name)
	e.is(err, syscall.ENOENT, "lookup", name)
}

// leads checks that name in d leads to n.
func (e *env) leads(d vfs.Node, name string, n vfs.Node) {
	e.Helper()
	if got, err := vfs.Lookup(e.ctx, d, name); err != nil || got != n {
		e.Errorf("%s leads to %v (%v), want %v", name, got, err, n)
	}
}

func (e *env) remove(d vfs.Node, name string, dir bool) {
	e.Helper()
	e.ok(vfs.Remove(e.ctx, d, name, dir), "remove", name)
}

func (e *env) attr(n vfs.Node) vfs.Attr {
	e.Helper()
	a, err := n.Stat(e.ctx)
	e.ok(err, "stat")
	return a
}

func (e *env) nlink(n vfs.Node, want uint32, what string) {
	e.Helper()
	if a := e.attr(n); a.Nlink != want {
		e.Errorf("%s: %d links, want %d", what, a.Nlink, want)
	}
}

func (e *env) size(n vfs.Node, want int64, what string) {
	e.Helper()
	if a := e.attr(n); a.Size != want {
		e.Errorf("%s: size %d, want %d", what, a.Size, want)
	}
}

// open opens n; the file is closed at the end if it was not before.
func (e *env) open(n vfs.Node, flags int) vfs.File {
	e.Helper()
	f, err := vfs.Open(e.ctx, n, flags)
	e.ok(err, "open")
	return e.owned(f)
}

func (e *env) owned(f vfs.File) vfs.File {
	o := &ownedFile{File: f}
	e.Cleanup(func() {
		if !o.closed {
			o.File.Close()
		}
	})
	return o
}

// ownedFile remembers whether it was closed. Its methods are the file's: see
// under.
type ownedFile struct {
	vfs.File
	closed bool
}

func under(f vfs.File) vfs.File {
	if o, ok := f.(*ownedFile); ok {
		return o.File
	}
	return f
}

func (e *env) close(f vfs.File) {
	e.Helper()
	if o, ok := f.(*ownedFile); ok {
		o.closed = true
	}
	e.ok(under(f).Close(), "close")
}

func (e *env) write(f vfs.File, s string, off int64) {
	e.Helper()
	for done := 0; done < len(s); {
		n, err := vfs.Write(e.ctx, under(f), []byte(s[done:]), off+int64(done))
		e.ok(err, "write")
		if n == 0 {
			e.Fatal("write of nothing")
		}
		done += n
	}
}

// readAt reads up to size bytes from off on.
func (e *env) readAt(f vfs.File, off int64, size int) []byte {
	e.Helper()
	p := make([]byte, size)
	done := 0
	for done < size {
		n, err := vfs.Read(e.ctx, under(f), p[done:], off+int64(done))
		if err == io.EOF {
			e.Fatal("io.EOF is no errno: the end of the file is (0, nil)")
		}
		e.ok(err, "read")
		if n == 0 {
			break
		}
		done += n
	}
	return p[:done]
}

// contents reads a whole file.
func (e *env) contents(n vfs.Node) string {
	e.Helper()
	f := e.open(n, unix.O_RDONLY)
	defer e.close(f)
	return string(e.readAt(f, 0, int(e.attr(n).Size)+10))
}

func (e *env) holds(n vfs.Node, want, what string) {
	e.Helper()
	if got := e.contents(n); got != want {
		e.Errorf("%s holds %q, want %q", what, clip(got), clip(want))
	}
}

func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "..."
	}
	return s
}

func (e *env) set(n vfs.Node, s vfs.SetAttr) {
	e.Helper()
	e.ok(vfs.SetAttributes(e.ctx, n, nil, s), "set attributes")
}

func (e *env) truncate(n vfs.Node, size int64) {
	e.Helper()
	e.set(n, vfs.SetAttr{Valid: vfs.SetSize, Size: size})
}

// list reads a directory to its end, at most step entries at a time.
func (e *env) list(d vfs.Node, step int) []vfs.Dirent {
	e.Helper()
	f := e.open(d, unix.O_RDONLY|unix.O_DIRECTORY)
	defer e.close(f)
	return e.rest(f, 0, step)
}

// rest reads an open directory from cookie on.
func (e *env) rest(f vfs.File, cookie uint64, step int) []vfs.Dirent {
	e.Helper()
	var all []vfs.Dirent
	for {
		list := e.readDir(f, cookie, step)
		if len(list) == 0 {
			return all
		}
		all = append(all, list...)
		cookie = list[len(list)-1].Next
	}
}

func (e *env) readDir(f vfs.File, cookie uint64, step int) []vfs.Dirent {
	e.Helper()
	r, ok := under(f).(vfs.DirReader)
	if !ok {
		e.Fatal("an open directory is no DirReader")
	}
	list, err := r.ReadDir(e.ctx, cookie, step)
	e.ok(err, "read directory")
	if len(list) > step {
		e.Fatalf("%d entries, asked for %d", len(list), step)
	}
	for _, d := range list {
		if d.Next < 3 {
			e.Fatalf("cookie %d after %q: 1 and 2 are reserved", d.Next, d.Name)
		}
		if d.Name == "." || d.Name == ".." || d.Name == "" {
			e.Fatalf("entry %q", d.Name)
		}
	}
	return list
}

// names are the sorted names in d that the suite made.
func (e *env) names(d vfs.Node) []string {
	e.Helper()
	all := []string{}
	for _, entry := range e.list(d, 100) {
		if d != e.root || !e.first[entry.Name] {
			all = append(all, entry.Name)
		}
	}
	slices.Sort(all)
	return all
}

// shows checks the names in d.
func (e *env) shows(d vfs.Node, want ...string) {
	e.Helper()
	slices.Sort(want)
	if got := e.names(d); !slices.Equal(got, want) {
		e.Errorf("directory shows %q, want %q", got, want)
	}
}

func (e *env) other() vfs.Node {
	e.Helper()
	root, err := e.mk(e.T).Root(e.ctx)
	e.ok(err, "root")
	return root
}
