package overlay

// Known counts what the overlay remembers: wrappers of lower files, upper files
// that are more than themselves, and files that have lost names.
func (fs *FS) Known() (lowers, uppers, kept int) {
	fs.lowers.Range(func(any, any) bool { lowers++; return true })
	fs.uppers.Range(func(any, any) bool { uppers++; return true })
	fs.tables.Lock()
	defer fs.tables.Unlock()
	return lowers, uppers, len(fs.kept)
}
