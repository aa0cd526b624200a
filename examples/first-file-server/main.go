// Command first-file-server serves one file whose reads take their time: to a
// program in a box of its own, or, given a socket, to every box that mounts it.
package main

import (
	"context"
	"log"
	"os"
	"syscall"
	"time"

	"github.com/hati-os/hati"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
)

// Root is the file system, and the directory at its root.
type Root struct{}

func (r Root) Root(context.Context) (vfs.Node, error) { return r, nil }

func (Root) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Ino: 1, Mode: syscall.S_IFDIR | 0o755, Nlink: 2}, nil
}

func (Root) Lookup(_ context.Context, name string) (vfs.Node, error) {
	if name != "slow" {
		return nil, syscall.ENOENT
	}
	return Slow{}, nil
}

// Slow is the file, and, since it has nothing to remember, every open file of it.
type Slow struct{}

func (Slow) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Ino: 2, Mode: syscall.S_IFREG | 0o444, Nlink: 1}, nil
}

func (s Slow) Open(context.Context, int) (vfs.File, error) { return s, nil }
func (s Slow) Node() vfs.Node                              { return s }
func (Slow) Close() error                                  { return nil }

var delay = 5 * time.Second

// Read waits, and gives up as soon as nobody wants its answer any more.
func (Slow) Read(ctx context.Context, p []byte, off int64) (int, error) {
	if off > 0 {
		return 0, nil // the end of the file
	}
	select {
	case <-time.After(delay):
		return copy(p, "worth the wait\n"), nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func main() {
	if len(os.Args) == 2 {
		log.Fatal(remote.ListenAndServe(context.Background(), os.Args[1], Root{}, remote.ServeOptions{}))
	}
	box, err := hati.New(hati.Config{Mounts: []hati.Mount{hati.Server(Root{}, "/mnt")}})
	if err != nil {
		log.Fatal(err)
	}
	defer box.Close()
	cmd := box.Command("sh", "-c", "timeout 1 cat /mnt/slow || echo gave up; cat /mnt/slow")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		log.Print(err)
	}
}
