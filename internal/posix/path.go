package posix

import (
	"strings"

	"github.com/hati-os/hati/vfs"
)

// Path is a place in the tree: a name, where it leads, and by which mount. The
// zero Path is nowhere. Paths are comparable.
type Path struct{ d *dentry }

// Node returns what the path leads to.
func (p Path) Node() vfs.Node {
	if p.d == nil {
		return nil
	}
	return p.d.node
}

// String returns the path as seen from the box's root, with " (deleted)" when
// there is no such name any more, as /proc shows it.
func (p Path) String() string {
	if p.d == nil {
		return ""
	}
	s, _ := p.d.from(nil)
	return s
}

// Deleted reports whether the name is gone.
func (p Path) Deleted() bool { return p.d != nil && p.d.place.Load().deleted }

// from returns the name of d as seen from root (nil: the box's), with
// " (deleted)" if it is gone, and whether root is above d at all.
func (d *dentry) from(root *dentry) (string, bool) {
	deleted := ""
	if d.place.Load().deleted {
		deleted = " (deleted)"
	}
	var names []string
	n := 0
	c := d
	for root == nil || !c.same(root) {
		p := c.place.Load()
		if p.parent == nil {
			if p.name != "" { // anonymous
				return p.name + deleted, false
			}
			break
		}
		names = append(names, p.name)
		n += len(p.name) + 1
		c = p.parent
	}
	reached := root == nil || c.same(root)
	if len(names) == 0 {
		return "/" + deleted, reached
	}
	var b strings.Builder
	b.Grow(n + len(deleted))
	for i := len(names) - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteString(names[i])
	}
	b.WriteString(deleted)
	return b.String(), reached
}

// same reports whether two dentries are the same place.
func (d *dentry) same(e *dentry) bool {
	return d == e || d.mount == e.mount && d.node == e.node && d.dir != nil
}
