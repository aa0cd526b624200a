package remote_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"golang.org/x/sys/unix"
)

// BenchmarkWays measures the same operations on the same host file by way of the
// kernel alone, a server in this process, one behind a lane in this process, and
// one in another process.
func BenchmarkWays(b *testing.B) {
	fill := func(dir string) {
		if err := os.WriteFile(filepath.Join(dir, "f"), make([]byte, 1<<20), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("os", func(b *testing.B) {
		dir := b.TempDir()
		fill(dir)
		benchOS(b, filepath.Join(dir, "f"))
	})
	for _, way := range []struct {
		name string
		open func(b *testing.B, dir string) vfs.FS
	}{
		{"direct", func(b *testing.B, dir string) vfs.FS { return hostAt(b, dir) }},
		{"lane", func(b *testing.B, dir string) vfs.FS {
			x, y := pair(b, false)
			serveFS(b, y, hostAt(b, dir))
			return newClient(b, x).FS()
		}},
		{"ring", func(b *testing.B, dir string) vfs.FS {
			x, y := pair(b, true)
			serveFS(b, y, hostAt(b, dir))
			return newClient(b, x).FS()
		}},
		{"process", func(b *testing.B, dir string) vfs.FS {
			c, err := remote.Dial(ctx, processAt(b, "shared", dir).path)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { c.Close() })
			return c.FS()
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			dir := b.TempDir()
			fill(dir)
			benchFS(b, way.open(b, dir))
		})
	}
}

func hostAt(b *testing.B, dir string) vfs.FS {
	fs, err := host.New(dir, host.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { fs.Close() })
	return fs
}

func benchFS(b *testing.B, fs vfs.FS) {
	root, err := fs.Root(ctx)
	if err != nil {
		b.Fatal(err)
	}
	n, err := vfs.Lookup(ctx, root, "f")
	if err != nil {
		b.Fatal(err)
	}
	f, err := vfs.Open(ctx, n, unix.O_RDWR)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	each(b, "stat", 0, func() error { _, err := n.Stat(ctx); return err })
	each(b, "lookup", 0, func() error { _, err := vfs.Lookup(ctx, root, "f"); return err })
	each(b, "open", 0, func() error {
		f, err := vfs.Open(ctx, n, unix.O_RDONLY)
		if err == nil {
			err = f.Close()
		}
		return err
	})
	each(b, "read4K", 4<<10, func() error { _, err := vfs.Read(ctx, f, buf[:4<<10], 0); return err })
	each(b, "read1M", 1<<20, func() error { _, err := vfs.Read(ctx, f, buf, 0); return err })
	each(b, "write4K", 4<<10, func() error { _, err := vfs.Write(ctx, f, buf[:4<<10], 0); return err })
	b.Run("read4K-parallel", func(b *testing.B) {
		b.SetBytes(4 << 10)
		b.SetParallelism(8)
		b.RunParallel(func(p *testing.PB) {
			buf := make([]byte, 4<<10)
			for p.Next() {
				if _, err := vfs.Read(ctx, f, buf, 0); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func benchOS(b *testing.B, path string) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	fd, buf := int(f.Fd()), make([]byte, 1<<20)
	var st unix.Stat_t
	each(b, "stat", 0, func() error { return unix.Lstat(path, &st) })
	each(b, "open", 0, func() error {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Close(fd)
		}
		return err
	})
	each(b, "read4K", 4<<10, func() error { _, err := unix.Pread(fd, buf[:4<<10], 0); return err })
	each(b, "read1M", 1<<20, func() error { _, err := unix.Pread(fd, buf, 0); return err })
	each(b, "write4K", 4<<10, func() error { _, err := unix.Pwrite(fd, buf[:4<<10], 0); return err })
}

func each(b *testing.B, name string, size int64, f func() error) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(size)
		for range b.N {
			if err := f(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
