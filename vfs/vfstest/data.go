package vfstest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// bytesOf returns n bytes without zeros that seed determines.
func bytesOf(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	p := make([]byte, n, n+8)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(p[i:i+8], r.Uint64()|0x0101010101010101)
	}
	return p
}

func (e *env) largest() int64 {
	if e.MaxFile > 0 {
		return e.MaxFile
	}
	return 3 << 20
}

func testReadWrite(e *env) {
	n := e.file(e.root, "f", "")
	f, reader := e.open(n, unix.O_RDWR), e.open(n, unix.O_RDONLY)
	if got := e.readAt(f, 0, 10); len(got) > 0 {
		e.Errorf("an empty file holds %q", got)
	}
	if k, err := vfs.Read(e.ctx, under(f), nil, 0); k != 0 || err != nil {
		e.Errorf("read of nothing: %d, %v", k, err)
	}
	if k, err := vfs.Write(e.ctx, under(f), nil, 100); k != 0 || err != nil {
		e.Errorf("write of nothing: %d, %v", k, err)
	}
	e.size(n, 0, "after a write of nothing")
	e.write(f, "hello", 3)
	if got := e.readAt(reader, 0, 100); string(got) != "\x00\x00\x00hello" {
		e.Errorf("read %q", got)
	}
	for off, want := range map[int64]string{0: "\x00", 7: "o", 8: "", 9: "", 1 << 40: ""} {
		p := make([]byte, 1)
		k, err := vfs.Read(e.ctx, under(reader), p, off)
		if string(p[:k]) != want || err != nil {
			e.Errorf("read at %d: %q, %v; want %q", off, p[:k], err, want)
		}
	}
	e.write(f, "HEL", 3)
	e.write(f, "!", 8)
	if got := e.readAt(reader, 2, 100); string(got) != "\x00HELlo!" {
		e.Errorf("read %q", got)
	}
	// Contents of every size about the limits of pages, in pieces.
	for i, size := range []int{1, 4095, 4096, 4097, 65536, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3 << 20} {
		if int64(size) > e.largest() {
			break
		}
		want := bytesOf(uint64(i), size)
		n := e.make(e.root, fmt.Sprint(i), unix.S_IFREG|0o600)
		f := e.open(n, unix.O_RDWR)
		for off := 0; off < size; off += 100_000 {
			e.write(f, string(want[off:min(off+100_000, size)]), int64(off))
		}
		e.size(n, int64(size), "written file")
		if !bytes.Equal(e.readAt(f, 0, size+1), want) {
			e.Errorf("a file of %d bytes reads differently", size)
		}
		if a := e.attr(n); a.Blocks < 0 || a.Blocks*512 > int64(size)*2+1<<20 {
			e.Errorf("%d blocks for %d bytes", a.Blocks, size)
		}
		e.close(f)
		if e.contents(n) != string(want) {
			e.Errorf("a file of %d bytes opened again reads differently", size)
		}
	}
	d := e.open(e.dir(e.root, "d"), unix.O_RDONLY|unix.O_DIRECTORY)
	_, err := vfs.Read(e.ctx, under(d), make([]byte, 1), 0)
	e.is(err, syscall.EISDIR, "read a directory")
}

func testAppend(e *env) {
	n := e.file(e.root, "f", "start")
	var files [2]vfs.Appender
	for i := range files {
		a, ok := under(e.open(n, unix.O_RDWR|unix.O_APPEND)).(vfs.Appender)
		if !ok {
			e.Fatal("no Appender")
		}
		files[i] = a
	}
	want := "start"
	for i := range 10 {
		s := fmt.Sprint("<", i, ">")
		want += s
		k, end, err := files[i%2].Append(e.ctx, []byte(s))
		if k != len(s) || end != int64(len(want)) || err != nil {
			e.Errorf("append: %d, %d, %v; want end %d", k, end, err, len(want))
		}
	}
	e.holds(n, want, "file")
	e.truncate(n, 2)
	if k, end, err := files[0].Append(e.ctx, []byte("op")); k != 2 || end != 4 || err != nil {
		e.Errorf("append after truncate: %d, %d, %v", k, end, err)
	}
	e.holds(n, "stop", "file")
}

// testAppendConcurrent: appended pieces stay whole, and each is told where it
// went.
func testAppendConcurrent(e *env) {
	const writers, pieces, size = 4, 100, 16
	n := e.file(e.root, "f", "")
	ends := make([][]int64, writers)
	var wg sync.WaitGroup
	for w := range writers {
		f := under(e.open(n, unix.O_WRONLY|unix.O_APPEND)).(vfs.Appender)
		wg.Go(func() {
			for i := range pieces {
				p := fmt.Appendf(nil, "%*s", size, fmt.Sprint(w, "/", i))
				k, end, err := f.Append(e.ctx, p)
				if k != size || err != nil {
					e.Errorf("append: %d, %v", k, err)
				}
				ends[w] = append(ends[w], end)
			}
		})
	}
	wg.Wait()
	all := e.contents(n)
	if len(all) != writers*pieces*size {
		e.Fatalf("%d bytes", len(all))
	}
	for w := range ends {
		for i, end := range ends[w] {
			if want := fmt.Sprintf("%*s", size, fmt.Sprint(w, "/", i)); all[end-size:end] != want {
				e.Errorf("before %d: %q, want %q", end, all[end-size:end], want)
			}
		}
	}
}

// testDataModel does random changes to a file and to a slice.
func testDataModel(e *env) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 1))
		limit := min(int(e.largest()), 5<<18)
		if seed%2 == 0 {
			limit = min(limit, 3*4096)
		}
		n := e.make(e.root, fmt.Sprint(seed), unix.S_IFREG|0o600)
		f := e.open(n, unix.O_RDWR)
		var model []byte
		grow := func(size int) {
			if size > len(model) {
				model = append(model, make([]byte, size-len(model))...)
			}
		}
		for step := range 120 {
			off := r.IntN(limit)
			size := min(1+r.IntN(1<<r.IntN(17)), limit-off)
			op := r.IntN(10)
			switch {
			case op < 5:
				p := bytesOf(uint64(step), size)
				e.write(f, string(p), int64(off))
				grow(off + size)
				copy(model[off:], p)
			case op == 5:
				e.truncate(n, int64(off))
				if off < len(model) {
					model = model[:off]
				}
				model = append([]byte(nil), model...)
				grow(off)
			case op == 6 && !e.NoAllocate:
				e.allocate(f, 0, int64(off), int64(size), 0)
				grow(off + size)
			case op == 7 && !e.NoAllocate:
				e.allocate(f, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(off), int64(size), 0)
				if off < len(model) {
					clear(model[off:min(off+size, len(model))])
				}
			case op == 8 && !e.NoMap && step%5 == 0:
				m := e.mapping(f, unix.PROT_READ, false)
				m.Release()
			default:
				want := model[min(off, len(model)):min(off+size, len(model))]
				if got := e.readAt(f, int64(off), size); !bytes.Equal(got, want) {
					e.Fatalf("seed %d, step %d: read of %d at %d differs", seed, step, size, off)
				}
			}
		}
		e.size(n, int64(len(model)), fmt.Sprint("seed ", seed))
		if got := e.readAt(f, 0, len(model)+1); !bytes.Equal(got, model) {
			e.Errorf("seed %d: contents differ", seed)
		}
	}
}
