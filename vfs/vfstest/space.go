package vfstest

import (
	"strings"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func testTruncate(e *env) {
	n := e.file(e.root, "f", "0123456789")
	f := e.open(n, unix.O_RDWR)
	byFile := func(size int64) {
		e.Helper()
		e.ok(vfs.SetAttributes(e.ctx, n, under(f), vfs.SetAttr{Valid: vfs.SetSize, Size: size}), "ftruncate")
	}
	byNode := func(size int64) { e.Helper(); e.truncate(n, size) }
	byNode(5)
	e.holds(n, "01234", "cut file")
	byFile(8)
	e.holds(n, "01234\x00\x00\x00", "grown file")
	byFile(2)
	byNode(6)
	e.holds(n, "01\x00\x00\x00\x00", "cut and grown file")
	byNode(0)
	e.holds(n, "", "emptied file")
	e.write(f, "x", 3)
	e.holds(n, "\x00\x00\x00x", "written beyond the end")
	for _, size := range []int64{4095, 4096, 4097, 100_000} {
		if size > e.largest() {
			continue
		}
		byNode(0)
		e.write(f, strings.Repeat("z", int(size)), 0)
		byNode(size - 10)
		byNode(size + 10)
		if got := e.contents(n); got != strings.Repeat("z", int(size)-10)+strings.Repeat("\x00", 20) {
			e.Errorf("size %d: the end is %q", size, got[max(0, len(got)-40):])
		}
	}
	e.is(vfs.SetAttributes(e.ctx, n, nil, vfs.SetAttr{Valid: vfs.SetSize, Size: -1}), syscall.EINVAL, "negative size")
	d := e.dir(e.root, "d")
	e.is(vfs.SetAttributes(e.ctx, d, nil, vfs.SetAttr{Valid: vfs.SetSize, Size: 0}), syscall.EISDIR, "truncate a directory")
	if e.MaxFile > 0 {
		e.is(vfs.SetAttributes(e.ctx, n, nil, vfs.SetAttr{Valid: vfs.SetSize, Size: 1 << 50}), syscall.EFBIG, "too large")
		return
	}
	if e.NoSeek {
		return // no holes
	}
	byNode(1 << 40)
	e.size(n, 1<<40, "large file")
	if a := e.attr(n); a.Blocks > 1<<12 {
		e.Errorf("%d blocks in a file of holes", a.Blocks)
	}
	e.write(f, "end", 1<<40-3)
	if got := e.readAt(f, 1<<40-5, 10); string(got) != "\x00\x00end" {
		e.Errorf("the end of a large file is %q", got)
	}
	byNode(3)
	byNode(0)
}

func (e *env) seek(f vfs.File, off int64, hole bool, want int64, errno syscall.Errno) {
	e.Helper()
	s, ok := under(f).(vfs.Seeker)
	if !ok {
		e.Fatal("no Seeker")
	}
	got, err := s.SeekData(e.ctx, off, hole)
	e.is(err, errno, "seek from", off, hole)
	if err == nil && got != want {
		e.Errorf("from %d, hole %v: %d, want %d", off, hole, got, want)
	}
}

// testHoles uses pieces large enough for any file system's blocks.
func testHoles(e *env) {
	const block = 1 << 16
	n := e.file(e.root, "f", "")
	f := e.open(n, unix.O_RDWR)
	e.seek(f, 0, false, 0, syscall.ENXIO)
	e.seek(f, 0, true, 0, syscall.ENXIO)
	data := string(bytesOf(3, block))
	e.write(f, data, 0)
	e.write(f, data, 4*block)
	e.truncate(n, 8*block)
	for _, c := range []struct {
		off, data, hole int64
	}{
		{0, 0, block},
		{100, 100, block},
		{block - 1, block - 1, block},
		{block, 4 * block, block},
		{2*block + 5, 4 * block, 2*block + 5},
		{4 * block, 4 * block, 5 * block},
		{5*block - 1, 5*block - 1, 5 * block},
		{6 * block, -1, 6 * block},
		{8*block - 1, -1, 8*block - 1},
	} {
		if c.data < 0 {
			e.seek(f, c.off, false, 0, syscall.ENXIO)
		} else {
			e.seek(f, c.off, false, c.data, 0)
		}
		e.seek(f, c.off, true, c.hole, 0)
	}
	e.seek(f, 8*block, false, 0, syscall.ENXIO)
	e.seek(f, 8*block, true, 0, syscall.ENXIO)
	e.truncate(n, 5*block)
	e.seek(f, 4*block, true, 5*block, 0)
	if a := e.attr(n); a.Blocks > 4*block/512 {
		e.Errorf("%d blocks for two pieces of data", a.Blocks)
	}
}

func (e *env) allocate(f vfs.File, mode uint32, off, length int64, want syscall.Errno) {
	e.Helper()
	a, ok := under(f).(vfs.Allocator)
	if !ok {
		e.Fatal("no Allocator")
	}
	e.is(a.Allocate(e.ctx, mode, off, length), want, "allocate", mode, off, length)
}

func testAllocate(e *env) {
	const keep, punch = unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_PUNCH_HOLE
	const block = 1 << 16
	n := e.file(e.root, "f", "text")
	f := e.open(n, unix.O_RDWR)
	e.allocate(f, keep, 0, 2*block, 0)
	e.size(n, 4, "allocated with its size kept")
	if a := e.attr(n); a.Blocks < 2*block/512 {
		e.Errorf("%d blocks after allocating", a.Blocks)
	}
	e.holds(n, "text", "file")
	e.allocate(f, 0, 0, 2, 0)
	e.size(n, 4, "allocated within")
	e.allocate(f, 0, 2, block, 0)
	e.size(n, block+2, "allocated")
	if got := e.contents(n); got != "text"+strings.Repeat("\x00", block-2) {
		e.Errorf("an allocated file holds %q", clip(got))
	}
	e.write(f, strings.Repeat("x", 4*block), 0)
	before := e.attr(n).Blocks
	e.allocate(f, punch|keep, block, 2*block, 0)
	if got := e.contents(n); got != strings.Repeat("x", block)+strings.Repeat("\x00", 2*block)+strings.Repeat("x", block) {
		e.Error("a hole does not read as zeros, or is elsewhere")
	}
	if a := e.attr(n); a.Blocks > before-block/512 {
		e.Errorf("%d blocks with a hole, %d before", a.Blocks, before)
	}
	e.size(n, 4*block, "file with a hole")
	e.allocate(f, punch|keep, 3*block+10, 20, 0)
	e.allocate(f, punch|keep, 4*block-5, 100*block, 0)
	e.size(n, 4*block, "after a hole over the end")
	if got := string(e.readAt(f, 3*block, block)); got !=
		strings.Repeat("x", 10)+strings.Repeat("\x00", 20)+strings.Repeat("x", block-35)+strings.Repeat("\x00", 5) {
		e.Error("a small hole is elsewhere")
	}
	e.allocate(f, punch|keep, 100*block, block, 0)
	e.size(n, 4*block, "after a hole behind the end")
	e.allocate(f, 1<<20, 0, 1, syscall.EOPNOTSUPP)
	e.allocate(f, 0, -1, 1, syscall.EINVAL)
	e.allocate(f, 0, 0, 0, syscall.EINVAL)
}
