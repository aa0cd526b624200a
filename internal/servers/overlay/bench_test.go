package overlay_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func benchBox(b *testing.B) *box {
	box := newBox(b, "d/f", "merged/f", "many/")
	for i := range 1000 {
		box.ok(os.WriteFile(box.host(fmt.Sprint("many/", i)), nil, 0o644))
	}
	box.create("merged/new")
	return box
}

func benchLookup(b *testing.B, dir, name string) {
	box := benchBox(b)
	d := box.node(dir).(vfs.Dir)
	n, _ := d.Lookup(ctx, name)
	b.ReportAllocs()
	for b.Loop() {
		if got, _ := d.Lookup(ctx, name); got != n {
			b.Fatal(got)
		}
	}
}

func BenchmarkLookupLower(b *testing.B)   { benchLookup(b, "d", "f") }
func BenchmarkLookupMerged(b *testing.B)  { benchLookup(b, "merged", "f") }
func BenchmarkLookupUpper(b *testing.B)   { benchLookup(b, "merged", "new") }
func BenchmarkLookupMissing(b *testing.B) { benchLookup(b, "d", "none") }

// Of files that nobody holds: a node is made each time.
func BenchmarkLookupNew(b *testing.B) {
	box := benchBox(b)
	d := box.node("many").(vfs.Dir)
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprint(i)
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

func benchStat(b *testing.B, path string) {
	box := benchBox(b)
	n := box.node(path)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := n.Stat(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStatLower(b *testing.B)  { benchStat(b, "d/f") }
func BenchmarkStatMerged(b *testing.B) { benchStat(b, "merged") }

func BenchmarkOpenRead(b *testing.B) {
	box := benchBox(b)
	n := box.node("d/f")
	p := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		f, err := vfs.Open(ctx, n, unix.O_RDONLY)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := vfs.Read(ctx, f, p, 0); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}

func benchReadDir(b *testing.B, merged bool) {
	box := benchBox(b)
	if merged {
		box.create("many/new")
	}
	n := box.node("many")
	b.ReportAllocs()
	for b.Loop() {
		f, err := vfs.Open(ctx, n, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			b.Fatal(err)
		}
		for cookie := uint64(0); ; {
			list, err := f.(vfs.DirReader).ReadDir(ctx, cookie, 1000)
			if err != nil {
				b.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			cookie = list[len(list)-1].Next
		}
		f.Close()
	}
}

func BenchmarkReadDirLower(b *testing.B)  { benchReadDir(b, false) }
func BenchmarkReadDirMerged(b *testing.B) { benchReadDir(b, true) }

func BenchmarkCopyUpSmall(b *testing.B) {
	box := newBox(b, "d/")
	for i := range 10000 {
		box.ok(os.WriteFile(box.host(fmt.Sprint("d/", i)), []byte("0123456789"), 0o644))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i == 10000 {
			b.Skip("out of files")
		}
		box.write(fmt.Sprint("d/", i), "x")
		i++
	}
}
