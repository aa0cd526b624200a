package posix

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/internal/servers/pipe"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// mountTable is the tree of mounts of a box.
type mountTable struct {
	root    *dentry
	recent  recentDentries
	fifos   pipe.FIFOs
	locks   lockTable
	watches watchers

	mu   sync.RWMutex // guards the rest, and changes of overlays
	list []*mount     // in the order of mounting
	last int
	uses map[vfs.FS]int // mounts of each server, also those that are only open
}

// mount is a server at its place in the tree.
type mount struct {
	table        *mountTable // nil for nowhere
	id           int
	fs           vfs.FS
	parent       *mount // nil for the root
	root         *dentry
	over         *overlay // what is mounted below
	covers       *mount   // what was mounted there before, or nil
	readOnly     atomic.Bool
	flags        atomic.Uint32 // placeFlags
	source, kind string
	extra        string                 // options of its own, as /proc/mounts shows them
	within       string                 // where its root is in the file system
	fixed        bool                   // the configuration's: no guest unmounts it
	locked       uint32                 // flags, MS_RDONLY among them, that nobody takes away
	at           atomic.Pointer[string] // where it is, from the box's root
	expiring     atomic.Bool

	opens    atomic.Int64 // open files
	detached atomic.Bool  // it has no place any more
	ended    sync.Once
}

// place returns where the mount shows, as seen from the box's root; "" is
// nowhere: the mount of pipes and the like.
func (m *mount) place() string {
	if s := m.at.Load(); s != nil {
		return *s
	}
	return ""
}

func (m *mount) setPlace(s string) { m.at.Store(&s) }

// overlay is what mounts show at a name below a mount's root: the root of
// another mount, or a directory that leads to one. Mounts belong to names, not
// to the server's nodes: what a server does behind the box's back cannot make
// them vanish, and the server need not have those names at all.
type overlay struct {
	mount atomic.Pointer[mount]
	node  *synthetic // shown when the server has no such name
	sub   atomic.Pointer[map[string]*overlay]
}

func newOverlay() *overlay { return &overlay{node: newSynthetic()} }

// child returns what covers name, or nil.
func (o *overlay) child(name string) *overlay {
	if m := o.sub.Load(); m != nil {
		return (*m)[name]
	}
	return nil
}

// names returns the covered names in order.
func (o *overlay) names() []string {
	m := o.sub.Load()
	if m == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(*m))
}

// make returns the child for name, new if there is none. mountTable.mu is held.
func (o *overlay) make(name string) *overlay {
	if c := o.child(name); c != nil {
		return c
	}
	m := map[string]*overlay{}
	if old := o.sub.Load(); old != nil {
		m = maps.Clone(*old)
	}
	c := newOverlay()
	m[name] = c
	o.sub.Store(&m)
	return c
}

// newMountTable mounts what the configuration says, each path before those
// below it, whatever the order in which they are given.
func newMountTable(ctx context.Context, c Config) (*mountTable, error) {
	t := &mountTable{}
	t.locks.init()
	specs := append([]MountSpec{{Path: "/", FS: c.Root, Source: "root", Type: "hati"}}, c.Mounts...)
	slices.SortStableFunc(specs, func(a, b MountSpec) int {
		return len(path.Clean("/"+a.Path)) - len(path.Clean("/"+b.Path))
	})
	for _, s := range specs {
		if s.FS == nil {
			return nil, fmt.Errorf("posix: mount at %q without a server: %w", s.Path, syscall.EINVAL)
		}
		node, err := s.FS.Root(ctx)
		if err != nil {
			return nil, fmt.Errorf("posix: mounting %q: %w", s.Path, err)
		}
		m := t.add(node, s)
		m.fixed, m.locked = true, m.flags.Load()&lockable
		if s.ReadOnly {
			m.locked |= unix.MS_RDONLY
		}
	}
	return t, nil
}

// add mounts a node of a server. It covers what was mounted there before.
func (t *mountTable) add(node vfs.Node, s MountSpec) *mount {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	if t.uses == nil {
		t.uses = map[vfs.FS]int{}
	}
	t.uses[s.FS]++
	m := &mount{table: t, id: t.last, fs: s.FS, over: newOverlay(), source: s.Source, kind: s.Type}
	m.setPlace(path.Clean("/" + s.Path))
	m.readOnly.Store(s.ReadOnly)
	if s.NoSUID {
		m.flags.Store(unix.MS_NOSUID)
	}
	m.root = newDentry(m, node, nil, "")
	m.root.over.Store(m.over)
	t.list = append(t.list, m)
	if m.place() == "/" {
		t.root = m.root
	} else {
		t.hang(m)
	}
	return m
}

// hang puts a mount into the tree at its place. t.mu is held.
func (t *mountTable) hang(m *mount) {
	// The dentries on the way may be known already: they learn of it, too.
	d := t.root
	o := t.root.mount.over
	m.parent = t.root.mount
	names := strings.Split(m.place()[1:], "/")
	for i, name := range names {
		o = o.make(name)
		d = d.known(name)
		if d != nil {
			d.over.Store(o)
		}
		if below := o.mount.Load(); below != nil && i < len(names)-1 {
			o, d, m.parent = below.over, below.root, below
		}
	}
	m.covers = o.mount.Load()
	o.mount.Store(m)
}

// mounted returns the mounts in the order of mounting.
func (t *mountTable) mounted() []*mount {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Clone(t.list)
}

// synthetic is a directory that is only there to lead to a mount.
type synthetic struct{ attr vfs.Attr }

var lastSynthetic atomic.Uint64

func newSynthetic() *synthetic {
	return &synthetic{vfs.Attr{
		Dev: 1, Ino: lastSynthetic.Add(1), Mode: unix.S_IFDIR | 0o755, Nlink: 2, Blksize: 4096,
	}}
}

func (s *synthetic) Stat(context.Context) (vfs.Attr, error) { return s.attr, nil }

func (s *synthetic) Lookup(context.Context, string) (vfs.Node, error) { return nil, syscall.ENOENT }

func (s *synthetic) Open(context.Context, int) (vfs.File, error) { return syntheticFile{s}, nil }

type syntheticFile struct{ s *synthetic }

func (f syntheticFile) Node() vfs.Node { return f.s }
func (f syntheticFile) Close() error   { return nil }

func (f syntheticFile) ReadDir(context.Context, uint64, int) ([]vfs.Dirent, error) { return nil, nil }
