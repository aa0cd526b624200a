package iofs_test

import (
	"io/fs"
	"os"
	"testing"

	"github.com/hati-os/hati/internal/servers/iofs"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/vfstest"
)

// plain hides everything but Open, and of its files everything but Read.
type plain struct{ fs.FS }

type plainFile struct{ fs.File }

func (p plain) Open(name string) (fs.File, error) {
	f, err := p.FS.Open(name)
	if _, ok := f.(fs.ReadDirFile); ok || err != nil {
		return f, err
	}
	return plainFile{f}, err
}

func TestContract(t *testing.T) {
	dir := t.TempDir()
	if err := vfstest.WriteSample(dir); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, fsys := range map[string]fs.FS{
		"MapFS": vfstest.Sample(), "DirFS": os.DirFS(dir), "Root": root.FS(), "plain": plain{vfstest.Sample()},
	} {
		t.Run(name, func(t *testing.T) {
			vfstest.Run(t, func(*testing.T) vfs.FS { return iofs.New(fsys) }, vfstest.Options{ReadOnly: true})
		})
	}
}
