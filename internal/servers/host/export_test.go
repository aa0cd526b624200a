package host

import "github.com/hati-os/hati/vfs"

// TableSize is the number of nodes known, DirsKept that of descriptors kept.
func (fs *FS) TableSize() int { return fs.table.size() }
func (fs *FS) DirsKept() int  { return fs.dirs.size() }

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
