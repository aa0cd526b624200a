package vfstest

import (
	"bytes"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func (e *env) mapping(f vfs.File, prot int, shared bool) vfs.Mapping {
	e.Helper()
	m, ok := under(f).(vfs.Mapper)
	if !ok {
		e.Fatal("no Mapper")
	}
	got, err := m.Map(e.ctx, prot, shared)
	e.ok(err, "map")
	if got.Release == nil {
		got.Release = func() {}
	}
	return got
}

// mmap maps what Map handed out, as POSIX has the guest do, and gives the
// mapping object back at once.
func (e *env) mmap(f vfs.File, size, prot int, shared bool) []byte {
	e.Helper()
	m := e.mapping(f, prot, shared)
	flags := unix.MAP_PRIVATE
	if shared {
		flags = unix.MAP_SHARED
	}
	p, err := unix.Mmap(m.FD, m.Offset, size, prot, flags)
	m.Release()
	e.ok(err, "mmap")
	e.Cleanup(func() { unix.Munmap(p) })
	return p
}

func testMap(e *env) {
	for i, size := range []int{2, 100, 4096, 5000, 1 << 20, 3 << 20} {
		if int64(size) > e.largest() {
			continue
		}
		want := bytesOf(uint64(i), size)
		n := e.file(e.root, string(rune('a'+i)), string(want))
		f := e.open(n, unix.O_RDONLY)
		p := e.mmap(f, size, unix.PROT_READ, false)
		if !bytes.Equal(p, want) {
			e.Errorf("%d bytes: the mapping differs", size)
		}
		if got := e.contents(n); got != string(want) {
			e.Errorf("%d bytes: mapping changed the contents", size)
		}
		private := e.mmap(f, size, unix.PROT_READ|unix.PROT_WRITE, false)
		private[0]++
		if got := e.readAt(f, 0, 1); got[0] != want[0] {
			e.Error("a private mapping wrote to the file")
		}
		if !e.NoShared {
			shared := e.mmap(f, size, unix.PROT_READ, true)
			w := e.open(n, unix.O_RDWR)
			e.write(w, "!", int64(size-1))
			if shared[size-1] != '!' {
				e.Errorf("%d bytes: a write does not show in a shared mapping", size)
			}
			e.close(w)
		}
		// A mapping outlives the file's name, and the open file.
		e.close(f)
		e.remove(e.root, string(rune('a'+i)), false)
		if p[0] != want[0] || private[0] != want[0]+1 {
			e.Errorf("%d bytes: a mapping changed", size)
		}
	}
}

// testMapShared: mappings, reads and writes meet in the same bytes, whichever
// came first and whatever the size became.
func testMapShared(e *env) {
	const page = 4096
	for _, size := range []int{page, 3 * page, 1<<20 + page} {
		if int64(size) > e.largest() {
			continue
		}
		n := e.file(e.root, "f", string(bytesOf(5, size)))
		f, g := e.open(n, unix.O_RDWR), e.open(n, unix.O_RDWR)
		p := e.mmap(f, size, unix.PROT_READ|unix.PROT_WRITE, true)
		q := e.mmap(g, size, unix.PROT_READ, true)
		e.write(f, "written", 10)
		if string(p[10:17]) != "written" || string(q[10:17]) != "written" {
			e.Errorf("mappings hold %q and %q", p[10:17], q[10:17])
		}
		copy(p[size-6:], "stored")
		if got := e.readAt(g, int64(size-6), 10); string(got) != "stored" || string(q[size-6:]) != "stored" {
			e.Errorf("read %q, mapped %q", got, q[size-6:])
		}
		e.truncate(n, 20)
		e.truncate(n, int64(size))
		if p[30] != 0 || string(p[10:17]) != "written" {
			e.Errorf("after cutting and growing: %q", p[10:32])
		}
		copy(p[100:], "again")
		if got := e.readAt(f, 100, 5); string(got) != "again" {
			e.Errorf("read %q", got)
		}
		if !e.NoAllocate {
			e.allocate(f, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, page, 0)
			if p[100] != 0 {
				e.Error("a hole does not show in the mapping")
			}
		}
		// Longer than the mapping, and by way of a file opened later.
		h := e.open(n, unix.O_RDWR)
		e.write(h, "more", int64(size))
		e.write(h, "late", 200)
		if string(p[200:204]) != "late" {
			e.Errorf("mapped %q", p[200:204])
		}
		r := e.mmap(h, size+4, unix.PROT_READ|unix.PROT_WRITE, true)
		if string(r[size:size+4]) != "more" || string(r[200:204]) != "late" {
			e.Errorf("a later mapping holds %q and %q", r[size:size+4], r[200:204])
		}
		r[0] = 'R'
		if p[0] != 'R' {
			e.Error("two mappings differ")
		}
		e.remove(e.root, "f", false)
		e.close(f)
		e.close(g)
		p[1] = 'S'
		if got := e.readAt(h, 0, 2); string(got) != "RS" {
			e.Errorf("after removing and closing: %q", got)
		}
	}
}
