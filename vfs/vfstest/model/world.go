package model

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// world is the two file systems. real is the directory of the host.
type world struct {
	*rapid.T
	ctx  context.Context
	root vfs.Node
	real string
	open []handle
}

// handle is a file that is open in both.
type handle struct {
	f  vfs.File
	fd int
}

func (w *world) closeAll() {
	for _, h := range w.open {
		h.close()
	}
	w.open = nil
}

func (h handle) close() {
	h.f.Close()
	unix.Close(h.fd)
}

// errnoOf is 0 for nil.
func errnoOf(err error) syscall.Errno {
	var e syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e
	}
	return syscall.EIO
}

// same checks that both failed alike, and reports whether both succeeded.
func (w *world) same(what string, got, want error) bool {
	w.Helper()
	if g, h := errnoOf(got), errnoOf(want); g != h {
		w.Fatalf("%s: %v (%v), the host: %v", what, g, got, h)
	}
	return got == nil
}

var (
	names = rapid.SampledFrom([]string{"a", "b", "c", "d"})
	paths = rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(names, 1, 3).Draw(t, "parts")
		return strings.Join(parts, "/")
	})
)

func (w *world) path() string { return paths.Draw(w.T, "path") }

// host is a path's on the host.
func (w *world) host(path string) string { return filepath.Join(w.real, path) }

// walk finds a node without following links; the links that there are lead
// nowhere.
func (w *world) walk(path string) (vfs.Node, error) {
	n := w.root
	for name := range strings.SplitSeq(path, "/") {
		if name == "" {
			continue
		}
		if _, ok := n.(vfs.Readlinker); ok {
			return nil, syscall.ENOENT
		}
		var err error
		if n, err = vfs.Lookup(w.ctx, n, name); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// parent finds the directory of a path, and the last name.
func (w *world) parent(path string) (vfs.Node, string, error) {
	dir, name := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		dir, name = path[:i], path[i+1:]
	}
	n, err := w.walk(dir)
	if err != nil {
		return nil, "", err
	}
	if _, ok := n.(vfs.Readlinker); ok {
		return nil, "", syscall.ENOENT
	}
	if _, ok := n.(vfs.Dir); !ok {
		return nil, "", syscall.ENOTDIR
	}
	return n, name, nil
}

// compareAttr compares what both tell of a file.
func (w *world) compareAttr(what string, n vfs.Node, st *unix.Stat_t) {
	w.Helper()
	a, err := n.Stat(w.ctx)
	if err != nil {
		w.Fatalf("%s: stat: %v", what, err)
	}
	size := st.Size
	if a.IsDir() {
		size = a.Size // a file system's own affair
	}
	if a.Mode != st.Mode || uint64(a.Nlink) != uint64(st.Nlink) || a.Size != size || a.UID != st.Uid || a.GID != st.Gid {
		w.Fatalf("%s: mode %o, %d links, size %d, owner %d:%d; the host: %o, %d, %d, %d:%d", what,
			a.Mode, a.Nlink, a.Size, a.UID, a.GID, st.Mode, st.Nlink, st.Size, st.Uid, st.Gid)
	}
}
