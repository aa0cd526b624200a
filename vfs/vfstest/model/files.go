package model

import (
	"bytes"
	"fmt"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func (w *world) openFile() {
	path := w.path()
	flags := rapid.SampledFrom([]int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR}).Draw(w.T, "access")
	n, err := w.walk(path)
	var f vfs.File
	if err == nil {
		a, e := n.Stat(w.ctx)
		switch {
		case e != nil:
			w.Fatalf("stat %s: %v", path, e)
		case a.IsDir(), a.Type() == unix.S_IFIFO:
			return
		case a.IsSymlink():
			err = syscall.ELOOP
		default:
			f, err = vfs.Open(w.ctx, n, flags)
		}
	}
	fd, want := unix.Open(w.host(path), flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	w.opened(fmt.Sprintf("open %s, flags %d", path, flags), f, fd, err, want)
}

// handle draws an open file, and skips the action when there is none.
func (w *world) handle() (handle, int) {
	if len(w.open) == 0 {
		w.Skip("nothing is open")
	}
	i := rapid.IntRange(0, len(w.open)-1).Draw(w.T, "file")
	return w.open[i], i
}

// access is an open file's O_ACCMODE bits.
func (h handle) access() int {
	flags, _ := unix.FcntlInt(uintptr(h.fd), unix.F_GETFL, 0)
	return flags & unix.O_ACCMODE
}

// writable draws an open file that can be written.
func (w *world) writable() (handle, int) {
	h, i := w.handle()
	if h.access() == unix.O_RDONLY {
		w.Skip("not open for writing")
	}
	return h, i
}

func (w *world) closeFile() {
	h, i := w.handle()
	w.open = append(w.open[:i], w.open[i+1:]...)
	h.close()
}

// Sizes and offsets are about pages and about where a file changes its storage.
var offsets = rapid.OneOf(rapid.Int64Range(0, 20), rapid.Int64Range(4090, 4100), rapid.Int64Range(0, 20000),
	rapid.SampledFrom([]int64{1 << 20, 1<<20 - 3}))

func (w *world) size() int64 { return offsets.Draw(w.T, "size") }

func (w *world) bytes() []byte {
	n := rapid.OneOf(rapid.IntRange(1, 10), rapid.IntRange(1, 9000)).Draw(w.T, "length")
	return bytes.Repeat([]byte{rapid.Byte().Draw(w.T, "byte")}, n)
}

func (w *world) write() {
	h, i := w.writable()
	p, off := w.bytes(), offsets.Draw(w.T, "offset")
	want, hostErr := unix.Pwrite(h.fd, p, off)
	got, err := vfs.Write(w.ctx, h.f, p, off)
	if w.same(fmt.Sprint("write to ", i), err, hostErr) && got != want {
		w.Fatalf("wrote %d, the host %d", got, want)
	}
}

func (w *world) append() {
	h, i := w.writable()
	a, ok := h.f.(vfs.Appender)
	if !ok {
		w.Skip("no Appender")
	}
	p := w.bytes()
	end, err := unix.Seek(h.fd, 0, unix.SEEK_END)
	if err != nil {
		w.Fatal(err)
	}
	want, hostErr := unix.Pwrite(h.fd, p, end)
	got, at, err := a.Append(w.ctx, p)
	if w.same(fmt.Sprint("append to ", i), err, hostErr) && (got != want || at != end+int64(want)) {
		w.Fatalf("appended %d to %d, the host %d to %d", got, at, want, end+int64(want))
	}
}

func (w *world) read() {
	h, i := w.handle()
	if h.access() == unix.O_WRONLY {
		w.Skip("not open for reading")
	}
	off := offsets.Draw(w.T, "offset")
	p, q := make([]byte, 10000), make([]byte, 10000)
	want, hostErr := unix.Pread(h.fd, p, off)
	got, err := vfs.Read(w.ctx, h.f, q, off)
	if w.same(fmt.Sprint("read of ", i), err, hostErr) && !bytes.Equal(p[:want], q[:got]) {
		w.Fatalf("read of %d at %d: %d bytes, the host %d; or they differ", i, off, got, want)
	}
}

func (w *world) fcut() {
	h, i := w.writable()
	size := w.size()
	err := vfs.SetAttributes(w.ctx, h.f.Node(), h.f, vfs.SetAttr{Valid: vfs.SetSize, Size: size})
	w.same(fmt.Sprint("truncate of ", i), err, unix.Ftruncate(h.fd, size))
}

func (w *world) fchmod() {
	h, i := w.handle()
	mode := w.mode()
	err := vfs.SetAttributes(w.ctx, h.f.Node(), h.f, vfs.SetAttr{Valid: vfs.SetMode, Mode: mode})
	w.same(fmt.Sprint("chmod of ", i), err, unix.Fchmod(h.fd, mode))
}

func (w *world) fstat() {
	h, i := w.handle()
	var st unix.Stat_t
	if err := unix.Fstat(h.fd, &st); err != nil {
		w.Fatal(err)
	}
	w.compareAttr(fmt.Sprint("open file ", i), h.f.Node(), &st)
}

func (w *world) punch() {
	h, i := w.writable()
	a, ok := h.f.(vfs.Allocator)
	if !ok {
		w.Skip("no Allocator")
	}
	mode := rapid.SampledFrom([]uint32{0, unix.FALLOC_FL_KEEP_SIZE, unix.FALLOC_FL_KEEP_SIZE | unix.FALLOC_FL_PUNCH_HOLE}).Draw(w.T, "mode")
	off, n := offsets.Draw(w.T, "offset"), offsets.Draw(w.T, "length")+1
	w.same(fmt.Sprint("allocate in ", i), a.Allocate(w.ctx, mode, off, n), unix.Fallocate(h.fd, mode, off, n))
}
