// Package model compares a server of package vfs with the host's own file
// system: random sequences of operations are done to both, and every result,
// errno and attribute must agree, and so must the trees at the end.
//
// The package imports vfs, golang.org/x/sys/unix and pgregory.net/rapid. As the
// latter is for tests only, so is this package.
package model

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hati-os/hati/vfs"
	"pgregory.net/rapid"
)

// Run does the comparison. mk makes a file system for each sequence. With
// populate, it is to show the tree in the directory dir, which must be as it was
// afterwards; else dir is an empty directory.
func Run(t *testing.T, populate bool, mk func(dir string) (fs vfs.FS, done func())) {
	// A failure says its seed; files would only lie about.
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		t.Fatal(err)
	}
	top := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		w := &world{T: rt, ctx: context.Background(), real: filepath.Join(top, fmt.Sprint(n, "r"))}
		lower := filepath.Join(top, fmt.Sprint(n, "l"))
		for _, dir := range []string{w.real, lower} {
			if err := os.Mkdir(dir, 0o755); err != nil {
				rt.Fatal(err)
			}
			defer os.RemoveAll(dir)
		}
		if populate {
			populateBoth(rt, lower, w.real)
		}
		before := snapshot(rt, lower)
		fs, done := mk(lower)
		defer done()
		root, err := fs.Root(w.ctx)
		if err != nil {
			rt.Fatal(err)
		}
		w.root = root
		defer w.closeAll()
		rt.Repeat(w.actions())
		w.compareTrees()
		if after := snapshot(rt, lower); after != before {
			rt.Errorf("the lower tree has changed: before\n%s\nafter\n%s", before, after)
		}
	})
}
