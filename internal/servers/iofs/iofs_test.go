package iofs_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hati-os/hati/internal/servers/iofs"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

var ctx = context.Background()

func lookup(t *testing.T, s *iofs.FS, name string) vfs.Node {
	t.Helper()
	n, err := s.Root(ctx)
	if err == nil {
		n, err = vfs.Lookup(ctx, n, name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSpecial: FIFOs and the like are shown, and opening one does not wait.
func TestSpecial(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("fifo", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	s := iofs.New(os.DirFS(dir))
	n := lookup(t, s, "fifo")
	if a, err := n.Stat(ctx); a.Type() != unix.S_IFIFO || err != nil {
		t.Errorf("mode %o, %v", a.Mode, err)
	}
	if _, err := vfs.Open(ctx, n, unix.O_RDONLY); err != syscall.ENXIO {
		t.Errorf("open: %v", err)
	}
	if text, err := vfs.Readlink(ctx, lookup(t, s, "link")); text != "fifo" || err != nil {
		t.Errorf("link to %q, %v", text, err)
	}
}

func TestModesAndTimes(t *testing.T) {
	old := time.Date(1950, 1, 2, 3, 4, 5, 6, time.UTC)
	s := iofs.New(fstest.MapFS{
		"plain":  {},
		"setuid": {Mode: 0o755 | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky, ModTime: old},
		"d":      {Mode: fs.ModeDir},
	})
	for name, want := range map[string]vfs.Attr{
		"plain":  {Mode: unix.S_IFREG | 0o444},
		"setuid": {Mode: unix.S_IFREG | 0o7755, Mtime: syscall.Timespec{Sec: old.Unix(), Nsec: 6}},
		"d":      {Mode: unix.S_IFDIR | 0o555},
	} {
		a, err := lookup(t, s, name).Stat(ctx)
		if a.Mode != want.Mode || a.Mtime != want.Mtime || err != nil {
			t.Errorf("%s: mode %o, modified %v, %v", name, a.Mode, a.Mtime, err)
		}
	}
	other, err := iofs.New(fstest.MapFS{}).Root(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := lookup(t, s, "d").Stat(ctx)
	b, _ := other.Stat(ctx)
	if a.Dev == b.Dev {
		t.Error("two file systems have the same device number")
	}
}

// broken fails in ways that an fs.FS may.
type broken struct{ err error }

func (b broken) Open(name string) (fs.File, error) {
	if name == "." {
		return fstest.MapFS{}.Open(".")
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: b.err}
}

func TestErrors(t *testing.T) {
	for err, want := range map[error]syscall.Errno{
		fs.ErrNotExist: syscall.ENOENT, fs.ErrPermission: syscall.EACCES, fs.ErrInvalid: syscall.ENOENT,
		syscall.ELOOP: syscall.ELOOP, errors.New("odd"): syscall.EIO,
	} {
		root, e := iofs.New(broken{err}).Root(ctx)
		if e != nil {
			t.Fatal(e)
		}
		if _, got := vfs.Lookup(ctx, root, "x"); !errors.Is(got, want) {
			t.Errorf("%v became %v, want %v", err, got, want)
		}
	}
}

func TestContextEnded(t *testing.T) {
	s := iofs.New(fstest.MapFS{"f": {Data: []byte("x")}})
	n := lookup(t, s, "f")
	f, err := vfs.Open(ctx, n, unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	over, cancel := context.WithCancelCause(ctx)
	cancel(vfs.ErrInterrupted)
	if _, err := vfs.Read(over, f, make([]byte, 1), 0); err != vfs.ErrInterrupted {
		t.Errorf("read: %v", err)
	}
	if _, err := n.Stat(over); err != vfs.ErrInterrupted {
		t.Errorf("stat: %v", err)
	}
	if _, err := vfs.Open(over, n, unix.O_RDONLY); err != vfs.ErrInterrupted {
		t.Errorf("open: %v", err)
	}
}
