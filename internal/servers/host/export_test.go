package host

import "github.com/hati-os/hati/vfs"

// TableSize is the number of nodes known, DirsKept that of descriptors kept.
func (fs *FS) TableSize() int { return fs.table.size() }
func (fs *FS) DirsKept() int  { return fs.dirs.size() }

// LateFind is what a Lookup of name in d does that looked before a rename of
// n and comes back after it: true if it would note the old name.
func LateFind(n, d vfs.Node, name string) bool {
	return nodeOf(n).foundAt(d.(*dir), name, d.(*dir).fs.moves.Load()-1)
}

// ParseDents takes raw as what getdents64 put into the buffer.
func ParseDents(raw []byte) (list []vfs.Dirent) {
	f := &dirFile{rest: raw}
	for len(f.rest) > 0 {
		e, err := f.next()
		if err != nil {
			return list
		}
		list = append(list, e)
	}
	return list
}
