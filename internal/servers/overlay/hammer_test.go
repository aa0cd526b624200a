package overlay_test

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/vfstest"
	"golang.org/x/sys/unix"
)

// TestHammerLower starts with files, links and directories below.
func TestHammerLower(t *testing.T) {
	rounds := 5
	if testing.Short() {
		rounds = 1
	}
	for range rounds {
		dir := t.TempDir()
		for i := range 3 {
			d := fmt.Sprint(dir, "/dir", i)
			for _, err := range []error{
				os.MkdirAll(d+"/n0/n1", 0o755),
				os.WriteFile(d+"/n1", make([]byte, 5000), 0o644),
				os.WriteFile(d+"/n0/n2", []byte("x"), 0o644),
				os.Link(d+"/n1", d+"/n2"),
				os.Link(d+"/n1", d+"/n0/n3"),
				os.Symlink("no/where", d+"/n3"),
				unix.Mkfifo(d+"/n4", 0o644),
				os.Mkdir(d+"/n5", 0o755),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		vfstest.Hammer(t, over(t, serve(t, dir, host.Options{ReadOnly: true})), vfstest.Options{})
	}
}

// TestContextEnded: with a ctx that has ended, nothing is copied.
func TestContextEnded(t *testing.T) {
	b := newBox(t, "d/f", "d/g", "d/h=d/g", "d/sub/x", "d/empty/", "e/")
	over, cancel := context.WithCancelCause(ctx)
	cancel(vfs.ErrInterrupted)
	d, e := b.node("d"), b.node("e")
	f := b.node("d/f")
	w := b.open(f, unix.O_RDWR)
	for what, err := range map[string]error{
		"write":  func() error { _, err := vfs.Write(over, w, []byte("x"), 0); return err }(),
		"cut":    vfs.SetAttributes(over, f, w, vfs.SetAttr{Valid: vfs.SetSize}),
		"chmod":  vfs.SetAttributes(over, f, nil, vfs.SetAttr{Valid: vfs.SetMode, Mode: 0o600}),
		"link":   vfs.Link(over, e, b.node("d/g"), "g"),
		"move":   vfs.Rename(over, d, "g", e, "g", 0),
		"swap":   vfs.Rename(over, d, "f", d, "g", unix.RENAME_EXCHANGE),
		"unlink": vfs.Remove(over, d, "f", false),
	} {
		if !vfs.Interrupted(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	b.holds("d/f", "d/f")
	b.links("d/g", 2)
	b.shows("d", "f", "g", "h", "sub", "empty")
	b.shows("e")
	if a := b.attr(f); a.Mode != unix.S_IFREG|0o644 {
		t.Errorf("mode %o", a.Mode)
	}
	// Afterwards all of it can be done.
	b.write("d/f", "D")
	b.ok(b.rename("d/g", "e/g", 0))
	b.ok(b.rename("d/sub", "e/sub", 0))
	b.holds("e/sub/x", "d/sub/x")
	b.is("rmdir", vfs.Remove(ctx, d, "empty", true), 0)
	b.is("rmdir again", vfs.Remove(ctx, d, "empty", true), syscall.ENOENT)
}
