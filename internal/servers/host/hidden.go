package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// secrets are the files that FS hides. They are known by path, also those that
// come to be later, and those that exist at the start by identity too.
type secrets struct {
	tree *hidden
	ids  map[key]unix.StatxTimestamp // with the birth, as numbers are used again
}

// hidden is one component of the paths of hidden files.
type hidden struct {
	leaf  bool // hidden itself; else something below it
	below map[string]*hidden
}

func (s *secrets) has(st *unix.Statx_t) bool {
	birth, ok := s.ids[keyOf(st)]
	return ok && birth == st.Btime
}

// hide makes the paths of list, which are below root, hidden.
func (f *FS) hide(root string, list []string) error {
	s := &secrets{tree: &hidden{}, ids: make(map[key]unix.StatxTimestamp)}
	base, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	r := resolver{}
	base, _ = r.resolve("/", base, 0)
	for _, name := range list {
		if !filepath.IsAbs(name) || filepath.Clean(name) == "/" {
			return fmt.Errorf("hide %q: not the absolute path of something below: %w", name, syscall.EINVAL)
		}
		name = filepath.Clean(name)
		s.tree.add(name)
		real, exists := r.resolve(base, name[1:], 0)
		if rel, err := filepath.Rel(base, real); err == nil && filepath.IsLocal(rel) && rel != "." {
			s.tree.add("/" + rel)
		}
		var st unix.Statx_t
		if exists && statx(unix.AT_FDCWD, real, unix.AT_SYMLINK_NOFOLLOW, &st) == nil && !f.root.is(&st) {
			s.ids[keyOf(&st)] = st.Btime
		}
	}
	f.veils = s
	f.root.hide.Store(s.tree)
	f.keep(f.root, s.tree)
	return nil
}

// resolver finds where paths really lead, those that lead nowhere yet too. It
// remembers answers: there are hundreds of hidden paths, most with few parents.
type resolver map[string]resolved

type resolved struct {
	path   string
	exists bool
}

// resolve follows the symbolic links of name, which starts in the real path
// dir; links is how many have been followed.
func (r resolver) resolve(dir, name string, links int) (path string, exists bool) {
	at := resolved{dir, true}
	if filepath.IsAbs(name) {
		at.path = "/"
	}
	for _, c := range strings.Split(name, "/") {
		switch c {
		case "", ".":
			continue
		case "..":
			at.path = filepath.Dir(at.path)
			continue
		}
		next := filepath.Join(at.path, c)
		if !at.exists {
			at.path = next
			continue
		}
		known, ok := r[next]
		if !ok {
			known = resolved{next, true}
			target, err := os.Readlink(next)
			switch {
			case err == nil && links < 40:
				known.path, known.exists = r.resolve(at.path, target, links+1)
			case !errors.Is(err, syscall.EINVAL): // EINVAL: there, and no link
				known.exists = false
			}
			r[next] = known
		}
		at = known
	}
	return at.path, at.exists
}

func (h *hidden) add(name string) {
	for _, c := range strings.Split(name[1:], "/") {
		next := h.below[c]
		if next == nil {
			next = &hidden{}
			if h.below == nil {
				h.below = make(map[string]*hidden)
			}
			h.below[c] = next
		}
		h = next
	}
	h.leaf = true
}

// keep holds the directories that lead to hidden files, so that they are known
// as such by whatever name they are reached later.
func (f *FS) keep(d *dir, h *hidden) {
	for name, below := range h.below {
		if below.leaf {
			continue
		}
		if n, err := d.Lookup(context.Background(), name); err == nil {
			if sub, ok := n.(*dir); ok {
				f.kept = append(f.kept, sub)
				f.keep(sub, below)
			}
		}
	}
}

// covers tells what is hidden at or below name in d, or nil.
func (d *dir) covers(name string) *hidden {
	if h := d.hide.Load(); h != nil {
		return h.below[name]
	}
	return nil
}

// mayMake is EACCES for the name of a hidden file.
func (d *dir) mayMake(name string) error {
	if h := d.covers(name); h != nil && h.leaf {
		return syscall.EACCES
	}
	return nil
}

// mayMove is EBUSY when name, which st describes if it is not nil, is hidden or
// leads to something hidden.
func (d *dir) mayMove(name string, st *unix.Statx_t) error {
	if d.covers(name) != nil || d.fs.veils != nil && st != nil && d.fs.veils.has(st) {
		return syscall.EBUSY
	}
	return nil
}

// Lookup finds nothing in a hidden directory.
func (v *veil) Lookup(ctx context.Context, name string) (vfs.Node, error) {
	return nil, syscall.ENOENT
}

// Make is refused: what a guest made here would be seen by the host's user only.
func (v *veil) Make(ctx context.Context, name string, o vfs.MakeOptions) (vfs.Node, error) {
	if err := v.fs.writable(); err != nil {
		return nil, err
	}
	return nil, syscall.EACCES
}

// Remove finds nothing to remove.
func (v *veil) Remove(ctx context.Context, name string, dir bool) error {
	if err := v.fs.writable(); err != nil {
		return err
	}
	return syscall.ENOENT
}

// Open opens an empty directory.
func (v *veil) Open(ctx context.Context, flags int) (vfs.File, error) {
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		return nil, syscall.EISDIR
	}
	return emptyDir{v}, nil
}

type emptyDir struct{ v *veil }

func (e emptyDir) Node() vfs.Node { return e.v }
func (e emptyDir) Close() error   { return nil }
func (e emptyDir) ReadDir(ctx context.Context, cookie uint64, max int) ([]vfs.Dirent, error) {
	return nil, nil
}
