package tmp_test

import (
	"testing"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func BenchmarkLookup(b *testing.B) {
	d := rootOf(b, tmp.New(tmp.Options{})).(vfs.Dir)
	create(b, d, "name")
	for b.Loop() {
		if _, err := d.Lookup(ctx, "name"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStat(b *testing.B) {
	n, _ := create(b, rootOf(b, tmp.New(tmp.Options{})), "name")
	for b.Loop() {
		if _, err := n.Stat(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead4K(b *testing.B)  { benchIO(b, 4096, 64<<10, false) }
func BenchmarkWrite4K(b *testing.B) { benchIO(b, 4096, 64<<10, true) }

// BenchmarkRead64KObject reads a file that lies in a memory file.
func BenchmarkRead64KObject(b *testing.B) { benchIO(b, 64<<10, 4<<20, false) }

func benchIO(b *testing.B, step, size int, write bool) {
	_, f := create(b, rootOf(b, tmp.New(tmp.Options{})), "name")
	must[int](b)(vfs.Write(ctx, f, make([]byte, size), 0))
	p := make([]byte, step)
	b.SetBytes(int64(step))
	off := 0
	for b.Loop() {
		var err error
		if write {
			_, err = vfs.Write(ctx, f, p, int64(off))
		} else {
			_, err = vfs.Read(ctx, f, p, int64(off))
		}
		if err != nil {
			b.Fatal(err)
		}
		if off += step; off >= size {
			off = 0
		}
	}
}

func BenchmarkMakeRemove(b *testing.B) {
	d := rootOf(b, tmp.New(tmp.Options{}))
	o := vfs.MakeOptions{Mode: unix.S_IFREG | 0o600}
	for b.Loop() {
		if _, err := vfs.Make(ctx, d, "name", o); err != nil {
			b.Fatal(err)
		}
		if err := vfs.Remove(ctx, d, "name", false); err != nil {
			b.Fatal(err)
		}
	}
}
