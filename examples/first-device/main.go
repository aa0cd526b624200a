// Command first-device puts a device into a box: /dev/bell, whose readers wait
// for its writers.
package main

import (
	"context"
	"log"
	"os"
	"sync"
	"syscall"

	"github.com/hati-os/hati"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
)

// Bell is the device: a file system that is a single file, its node and its open
// file in one. What is written to it is read from it, once.
type Bell struct {
	vfs.Queue // those who wait
	mu        sync.Mutex
	rung      []byte
}

func (b *Bell) Root(context.Context) (vfs.Node, error) { return b, nil }

func (b *Bell) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Ino: 1, Mode: syscall.S_IFCHR | 0o666, Nlink: 1, Rdev: 60 << 8}, nil
}

func (b *Bell) Open(context.Context, int) (vfs.File, error) { return b, nil }
func (b *Bell) Node() vfs.Node                              { return b }
func (b *Bell) Close() error                                { return nil }
func (b *Bell) IsStream() bool                              { return true }

// Poll makes it a file that is not always ready: hati waits, not Read.
func (b *Bell) Poll(mask vfs.Events) vfs.Events {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rung) > 0 {
		return mask & (vfs.EventsIn | vfs.EventsOut)
	}
	return mask & vfs.EventsOut
}

func (b *Bell) Read(_ context.Context, p []byte, _ int64) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rung) == 0 {
		return 0, syscall.EAGAIN
	}
	n := copy(p, b.rung)
	b.rung = b.rung[n:]
	return n, nil
}

func (b *Bell) Write(_ context.Context, p []byte, _ int64) (int, error) {
	b.mu.Lock()
	if len(b.rung)+len(p) > 1<<20 {
		b.mu.Unlock()
		return 0, syscall.ENOSPC
	}
	b.rung = append(b.rung, p...)
	b.mu.Unlock()
	b.Notify(vfs.EventsIn)
	return len(p), nil
}

func main() {
	if len(os.Args) == 2 {
		log.Fatal(remote.ListenAndServe(context.Background(), os.Args[1], &Bell{}, remote.ServeOptions{}))
	}
	box, err := hati.New(hati.Config{Mounts: []hati.Mount{hati.Server(&Bell{}, "/dev/bell")}})
	if err != nil {
		log.Fatal(err)
	}
	defer box.Close()
	cmd := box.Command("sh", "-c", "head -n 1 /dev/bell & sleep 1; echo ding > /dev/bell; wait")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		log.Print(err)
	}
}
