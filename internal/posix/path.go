package posix

import (
	"context"

	"github.com/hati-os/hati/vfs"
)

// mountTable is the tree of mounts of a box.
type mountTable struct{}

func newMountTable(ctx context.Context, c Config) (*mountTable, error) { return &mountTable{}, nil }

// Path is a place in the tree: a name, where it leads, and by which mount.
type Path struct {
	node vfs.Node
}

// FSContext is what CLONE_FS shares: root, working directory, umask.
type FSContext struct{}

// fork returns a copy, for a child that does not share it.
func (f *FSContext) fork() *FSContext { return &FSContext{} }

// openExec finds and opens a program for execve: search permission on the way,
// execute permission at the end (EACCES), a regular file. name is as the guest
// gave it; dirfd and flags are execveat's.
func (t *Task) openExec(dirfd int, name string, flags int) (Path, vfs.File, error) {
	return Path{}, nil, nil
}

// String returns the path as seen from the box's root.
func (p Path) String() string { return "" }

var pathCalls, attrCalls calls
