package posix

import "github.com/hati-os/hati/vfs"

// What follows is where changes of files become known to those who watch them
// (inotify(7)).

// created: dir has got a name.
func (t *Task) created(dir *dentry, name string, n vfs.Node) {}

// modified: the contents of an open file have changed.
func (t *Task) modified(p Path) {}

// modifiedAt: those of a file that is not open.
func (t *Task) modifiedAt(l *located) {}
