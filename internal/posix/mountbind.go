package posix

import (
	"path"
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// bind mounts a file or directory a second time.
func (t *Task) bind(from, to *located, flags uint64) error {
	fromDir, toDir := from.d != nil && from.d.dir != nil, to.d != nil && to.d.dir != nil
	if fromDir != toDir {
		return syscall.ENOTDIR
	}
	src, err := t.mountPointOf(from)
	if err != nil {
		return err
	}
	dst, err := t.mountPoint(to)
	if err != nil {
		return err
	}
	var below []*mount
	for _, m := range t.k.mounts.mounted() {
		if rest, ok := strings.CutPrefix(m.place(), strings.TrimSuffix(src, "/")+"/"); ok && rest != "" && m.root != from.d {
			below = append(below, m)
		}
	}
	if flags&unix.MS_REC == 0 {
		for _, m := range below {
			if m.fixed {
				return syscall.EINVAL // what it covers would show
			}
		}
		below = nil
	}
	of := from.mount()
	within := path.Join(of.within, strings.TrimPrefix(src, strings.TrimSuffix(of.place(), "/")))
	copyOf := func(m *mount, node vfs.Node, at, within string) {
		s := MountSpec{Path: at, FS: m.fs, Source: m.source, Type: m.kind, ReadOnly: m.readOnly.Load()}
		c := t.k.mounts.add(node, s)
		c.flags.Store(m.flags.Load())
		c.extra, c.locked, c.within = m.extra, m.locked, within
	}
	copyOf(of, from.node, dst, within)
	for _, m := range below {
		if at := path.Join(dst, strings.TrimPrefix(m.place(), strings.TrimSuffix(src, "/"))); !strings.HasPrefix(m.place(), dst+"/") && m.place() != dst {
			copyOf(m, m.root.node, at, m.within)
		}
	}
	return nil
}

// mountPointOf is mountPoint, for what is to be mounted elsewhere.
func (t *Task) mountPointOf(l *located) (string, error) {
	if l.d != nil && l.d == l.mount().root {
		return l.mount().place(), nil
	}
	return t.mountPoint(l)
}
