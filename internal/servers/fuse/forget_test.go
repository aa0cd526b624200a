package fuse

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func (d *daemon) known() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.nodes)
}

// knows waits until the daemon knows at most n nodes. It leaves the processors to the
// collector, which has a part of the time only.
func (d *daemon) knows(t *testing.T, n int) {
	t.Helper()
	never := time.After(time.Minute)
	for d.known() > n {
		select {
		case <-d.forgot:
		case <-never:
			t.Fatalf("the daemon knows %d nodes, more than %d", d.known(), n)
		}
	}
}

func makeFile(t *testing.T, dir vfs.Node, name string) (vfs.Node, vfs.File) {
	t.Helper()
	n, f, err := dir.(vfs.MakeOpener).MakeOpen(context.Background(), name, vfs.MakeOptions{Mode: unix.S_IFREG | 0o644}, unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	return n, f
}

// TestForget: a daemon hears soon that a file is not used any more: when it is
// removed, replaced, or its name invalidated, and when it is closed after that.
func TestForget(t *testing.T) {
	ctx := context.Background()
	for name, lose := range map[string]func(fs *FS, d *daemon, root vfs.Node) error{
		"removed": func(_ *FS, _ *daemon, root vfs.Node) error { return vfs.Remove(ctx, root, "file", false) },
		"replaced": func(_ *FS, _ *daemon, root vfs.Node) error {
			return vfs.Rename(ctx, root, "other", root, "file", 0)
		},
		"invalidated": func(_ *FS, d *daemon, _ vfs.Node) error {
			var e encoder
			d.tell(notifyInvalEntry, e.u64(rootID).u32(4, 0).str("file").b)
			return nil
		},
		"deleted": func(fs *FS, d *daemon, _ vfs.Node) error {
			var id uint64
			fs.root.self.(*dir).mu.Lock()
			id = fs.root.names["file"].node.id
			fs.root.self.(*dir).mu.Unlock()
			var e encoder
			d.tell(notifyDelete, e.u64(rootID, id).u32(4, 0).str("file").b)
			return nil
		},
		"gone": func(_ *FS, d *daemon, root vfs.Node) error { // behind hati's back
			back, _ := d.fs.Root(ctx)
			if err := vfs.Remove(ctx, back, "file", false); err != nil {
				return err
			}
			_, err := vfs.Lookup(ctx, root, "file")
			if err == nil {
				return fmt.Errorf("still there")
			}
			return nil
		},
	} {
		for _, open := range []bool{false, true} {
			t.Run(fmt.Sprint(name, open), func(t *testing.T) {
				fs, d := mount(t, tmp.New(tmp.Options{}), Options{}, nil)
				root, _ := fs.Root(ctx)
				_, other := makeFile(t, root, "other")
				other.Close()
				_, f := makeFile(t, root, "file")
				if _, err := vfs.Write(ctx, f, make([]byte, 5000), 0); err != nil {
					t.Fatal(err)
				}
				if _, err := vfs.Read(ctx, f, make([]byte, 5000), 0); err != nil { // it is kept, then
					t.Fatal(err)
				}
				before := d.known()
				if !open {
					f.Close()
				}
				if err := lose(fs, d, root); err != nil {
					t.Fatal(err)
				}
				if open {
					if _, err := vfs.Write(ctx, f, []byte("x"), 0); err != nil {
						t.Errorf("while it is open: %v", err)
					}
					f.Close()
				}
				f = nil
				d.knows(t, before-1)
			})
		}
	}
}

// TestForgetMany: as many files as there may be do not make the daemon remember
// all of them.
func TestForgetMany(t *testing.T) {
	ctx := context.Background()
	back := tmp.New(tmp.Options{})
	dir, _ := back.Root(ctx)
	const files = 30000
	for i := range files {
		if _, err := vfs.Make(ctx, dir, fmt.Sprint(i), vfs.MakeOptions{Mode: unix.S_IFREG | 0o644}); err != nil {
			t.Fatal(err)
		}
	}
	fs, d := mount(t, back, Options{}, func(d *daemon) { d.valid = 1000 })
	root, _ := fs.Root(ctx)
	most := 0
	for i := range files {
		if _, err := vfs.Lookup(ctx, root, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			most = max(most, d.known())
		}
	}
	d.knows(t, len(fs.recent.ring)+mostEvicted)
	fs.mu.Lock()
	defer fs.mu.Unlock()
	t.Logf("%d files looked up; the daemon had to know up to %d, and %d are remembered", files, most, len(fs.nodes))
}
