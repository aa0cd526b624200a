package test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"github.com/hati-os/hati/vfs/vfstest"
	"golang.org/x/sys/unix"
)

// TestContractServed is the contract of package vfs over processes that hati serve
// has confined, whose clients find them again.
func TestContractServed(t *testing.T) {
	ordinary := os.Geteuid() != 0
	confined(t)
	for _, c := range []struct {
		name string
		args func(dir string) []string
		opts vfstest.Options
	}{
		{"host", func(dir string) []string { return []string{"host", dir} }, vfstest.Options{NoDevice: true, NoChown: ordinary}},
		{"host, not lent", func(dir string) []string { return []string{"host", dir, "--no-lend"} }, vfstest.Options{NoDevice: true, NoChown: ordinary}},
		{"overlay", func(dir string) []string { return []string{"overlay", dir} }, vfstest.Options{}},
		{"tmp", func(string) []string { return []string{"tmp"} }, vfstest.Options{}},
		{"dev", func(string) []string { return []string{"dev"} }, vfstest.Options{
			NoXattr: true, NoTmpfile: true, NoSeek: true, NoAllocate: true, NoShared: true, MaxFile: 1 << 20,
		}},
	} {
		c.opts.BigDir = 1500
		if os.Getenv("HATI_HAMMER") != "" {
			c.opts.BigDir = 20000
		}
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(directory(t), "d")
			os.Mkdir(dir, 0o755)
			socket, _ := serve(t, c.args(dir)...)
			var n atomic.Int64
			vfstest.Run(t, func(t *testing.T) vfs.FS {
				ctx := context.Background()
				end, err := remote.Redial(ctx, remote.DialerOf(socket))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { end.Close() })
				root, err := end.FS().Root(ctx)
				if err != nil {
					t.Fatal(err)
				}
				sub, err := vfs.Make(ctx, root, fmt.Sprint("t", n.Add(1)), vfs.MakeOptions{Mode: unix.S_IFDIR | 0o755,
					UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())})
				if err != nil {
					t.Fatal(err)
				}
				return subtree{end.FS(), sub}
			}, c.opts)
		})
	}
}

// subtree is a file system below a directory of another.
type subtree struct {
	vfs.FS
	root vfs.Node
}

func (s subtree) Root(context.Context) (vfs.Node, error) { return s.root, nil }

func (s subtree) Statfs(ctx context.Context) (vfs.Statfs, error) {
	return s.FS.(vfs.Statfser).Statfs(ctx)
}
