package host_test

import (
	"fmt"
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func benchTree(b *testing.B, o host.Options) (root, f vfs.Node) {
	dir := b.TempDir()
	writeFile(b, dir, "d", "f", string(make([]byte, 64<<10)))
	for i := range 1000 {
		writeFile(b, dir, "many", fmt.Sprint("file-", i), "")
	}
	root, _ = serve(b, dir, o).Root(ctx)
	return root, must[vfs.Node](b)(walk(root, "d/f"))
}

func BenchmarkLookup(b *testing.B) {
	root, f := benchTree(b, host.Options{})
	d := must[vfs.Node](b)(walk(root, "d")).(vfs.Dir)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := d.Lookup(ctx, "f"); n != f || err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookupHidden(b *testing.B) {
	root, f := benchTree(b, host.Options{Hidden: host.SecretPaths("/d")})
	d := must[vfs.Node](b)(walk(root, "d")).(vfs.Dir)
	b.ReportAllocs()
	for b.Loop() {
		if n, err := d.Lookup(ctx, "f"); n != f || err != nil {
			b.Fatal(err)
		}
	}
}

// Of files that nobody holds: a node is made each time.
func BenchmarkLookupNew(b *testing.B) {
	root, _ := benchTree(b, host.Options{})
	d := must[vfs.Node](b)(walk(root, "many")).(vfs.Dir)
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprint("file-", i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := d.Lookup(ctx, names[i%1000]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkLookupMissing(b *testing.B) {
	root, _ := benchTree(b, host.Options{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := root.(vfs.Dir).Lookup(ctx, "missing"); err == nil {
			b.Fatal("found")
		}
	}
}

func BenchmarkLookupParallel(b *testing.B) {
	root, _ := benchTree(b, host.Options{})
	d := must[vfs.Node](b)(walk(root, "d")).(vfs.Dir)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			d.Lookup(ctx, "f")
		}
	})
}

func BenchmarkStat(b *testing.B) {
	root, f := benchTree(b, host.Options{})
	for name, n := range map[string]vfs.Node{"file": f, "dir": must[vfs.Node](b)(walk(root, "d"))} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := n.Stat(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("open", func(b *testing.B) {
		defer must[vfs.File](b)(vfs.Open(ctx, f, unix.O_RDONLY)).Close()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.Stat(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOpenClose(b *testing.B) {
	_, f := benchTree(b, host.Options{})
	b.ReportAllocs()
	for b.Loop() {
		file, err := vfs.Open(ctx, f, unix.O_RDONLY)
		if err != nil {
			b.Fatal(err)
		}
		file.Close()
	}
}

func BenchmarkRead4K(b *testing.B) {
	_, f := benchTree(b, host.Options{})
	file := must[vfs.File](b)(vfs.Open(ctx, f, unix.O_RDONLY))
	defer file.Close()
	buf := make([]byte, 4096)
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		if n, err := vfs.Read(ctx, file, buf, 4096); n != len(buf) || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkReadDir(b *testing.B) {
	root, _ := benchTree(b, host.Options{})
	d := must[vfs.Node](b)(walk(root, "many"))
	b.ReportAllocs()
	for b.Loop() {
		if n := len(list(b, d, 1000)); n != 1000 {
			b.Fatal(n)
		}
	}
}

// What hiding costs when a box starts.
func BenchmarkNewHidden(b *testing.B) {
	home := b.TempDir()
	for b.Loop() {
		fs, err := host.New("/", host.Options{ReadOnly: true, Hidden: host.SecretPaths(home)})
		if err != nil {
			b.Fatal(err)
		}
		fs.Close()
	}
}

// What the host itself takes for it, by golang.org/x/sys/unix.
func BenchmarkHostLstat(b *testing.B) {
	name := writeFile(b, b.TempDir(), "f", "")
	var st unix.Stat_t
	b.ReportAllocs()
	for b.Loop() {
		unix.Lstat(name, &st)
	}
}
