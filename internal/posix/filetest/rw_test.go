package filetest

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

func init() {
	scenarios["rw"] = rw
	scenarios["vectors"] = vectors
	scenarios["seek"] = seek
	scenarios["space"] = space
	scenarios["copy"] = copies
	scenarios["limit"] = limit
	scenarios["pipes"] = pipes
	scenarios["fifo"] = fifo
	helpers["fiforeader"] = fifoReader
}

// content reports a file.
func (g *guest) content(name string) {
	fd, err := unix.Open(name, unix.O_RDONLY, 0)
	must(err)
	defer unix.Close(fd)
	b := make([]byte, 100)
	n, err := unix.Read(fd, b)
	g.printf("%s: %q %s", name, b[:max(n, 0)], errName(err))
}

func rw(g *guest) {
	fd := must1(unix.Open("f", unix.O_CREAT|unix.O_RDWR, 0o644))
	b := make([]byte, 20)
	n, err := unix.Write(fd, []byte("hello world"))
	g.n("write", n, err)
	n, err = unix.Read(fd, b)
	g.n("read at the end", n, err)
	n, err = unix.Pread(fd, b, 6)
	g.printf("pread %q %v", b[:n], err)
	n, err = unix.Pread(fd, b, 100)
	g.n("pread behind the end", n, err)
	_, err = unix.Pread(fd, b, -1)
	g.err("pread -1", err)
	n, err = unix.Pwrite(fd, []byte("W"), 6)
	g.n("pwrite", n, err)
	n, err = unix.Pwrite(fd, []byte("far"), 20)
	g.n("pwrite behind the end", n, err)
	_, err = unix.Pwrite(fd, []byte("x"), math.MaxInt64)
	g.err("pwrite at the last byte", err)
	_, err = unix.Pwrite(fd, []byte("x"), -5)
	g.err("pwrite -5", err)
	g.content("f")
	n, err = unix.Write(fd, nil)
	g.n("write nothing", n, err)
	n, err = unix.Read(fd, nil)
	g.n("read nothing", n, err)
	ap := must1(unix.Open("f", unix.O_WRONLY|unix.O_APPEND, 0))
	n, err = unix.Write(ap, []byte("+a"))
	g.n("append", n, err)
	off, _ := unix.Seek(ap, 0, unix.SEEK_CUR)
	g.printf("offset %d", off)
	n, err = unix.Pwrite(ap, []byte("+b"), 0)
	g.n("pwrite to an appender", n, err)
	_, err = unix.Read(ap, b)
	g.err("read of a write-only one", err)
	g.content("f")
	ro := must1(unix.Open("f", unix.O_RDONLY, 0))
	_, err = unix.Write(ro, b)
	g.err("write to a read-only one", err)
	_, err = unix.Read(1000, b)
	g.err("bad fd", err)
	n, err = unix.Pread(ro, b, 3)
	g.printf("%q", b[:n])
	// Large transfers.
	big := bytes.Repeat([]byte("0123456789abcdef"), 70000)
	n, err = unix.Pwrite(fd, big, 5)
	g.n("large write", n, err)
	back := make([]byte, len(big)+100)
	n, err = unix.Pread(fd, back, 5)
	g.printf("large read %d %v %v", n, err, bytes.Equal(back[:n], big[:n]))
	// Addresses that are not there.
	_, _, e := unix.Syscall(unix.SYS_READ, uintptr(ro), 8, 10)
	g.err("read to a bad address", e)
	_, _, e = unix.Syscall(unix.SYS_WRITE, uintptr(fd), 8, 10)
	g.err("write from a bad address", e)
	page := must1(unix.Mmap(-1, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON))
	must(unix.Mprotect(page[4096:], unix.PROT_NONE))
	unix.Seek(ro, 0, 0)
	n, err = unix.Read(ro, page[4090:8192:8192])
	g.n("read to half a buffer", n, err)
	off, _ = unix.Seek(ro, 0, unix.SEEK_CUR)
	g.printf("offset %d", off)
}

func vectors(g *guest) {
	fd := must1(unix.Open("f", unix.O_CREAT|unix.O_RDWR, 0o644))
	n, err := unix.Writev(fd, [][]byte{[]byte("one"), nil, []byte("two"), []byte("three")})
	g.n("writev", n, err)
	a, b := make([]byte, 4), make([]byte, 10)
	n, err = unix.Preadv(fd, [][]byte{a, b}, 0)
	g.printf("preadv %d %q %q %v", n, a, b, err)
	n, err = unix.Pwritev(fd, [][]byte{[]byte("X"), []byte("Y")}, 2)
	g.n("pwritev", n, err)
	g.content("f")
	_, err = unix.Preadv(fd, [][]byte{a}, -2)
	g.err("preadv -2", err)
	n, err = unix.Preadv2(fd, [][]byte{a}, -1, 0)
	g.n("preadv2 at the offset", n, err)
	must1(unix.Seek(fd, 1, 0))
	n, err = unix.Preadv2(fd, [][]byte{a}, -1, 0)
	g.printf("preadv2 at the offset %q %d %v", a, n, err)
	n, err = unix.Pwritev2(fd, [][]byte{[]byte("APP")}, 0, unix.RWF_APPEND)
	g.n("RWF_APPEND", n, err)
	n, err = unix.Pwritev2(fd, [][]byte{[]byte("S")}, 0, unix.RWF_SYNC|unix.RWF_DSYNC)
	g.n("RWF_SYNC", n, err)
	_, err = unix.Pwritev2(fd, [][]byte{[]byte("S")}, 0, 1<<20)
	g.err("unknown flag", err)
	_, err = unix.Preadv2(fd, [][]byte{a}, 0, unix.RWF_APPEND)
	g.err("preadv2 RWF_APPEND", err)
	g.content("f")
	many := make([][]byte, 1025)
	for i := range many {
		many[i] = a[:1]
	}
	_, err = unix.Readv(fd, many)
	g.err("too many", err)
	n, err = unix.Readv(fd, many[:1024])
	g.n("many", n, err)
	_, _, e := unix.Syscall(unix.SYS_READV, uintptr(fd), 8, 1)
	g.err("bad vector", e)
	_, _, e = unix.Syscall(unix.SYS_READV, 1000, 8, 1)
	g.err("bad vector, bad fd", e)
	_, err = unix.Readv(must1(unix.Open("f", unix.O_WRONLY, 0)), many[:2])
	g.err("readv of a write-only one", err)
}

func seek(g *guest) {
	fd := must1(unix.Open("f", unix.O_CREAT|unix.O_RDWR, 0o644))
	must1(unix.Write(fd, make([]byte, 100)))
	for _, c := range []struct {
		off    int64
		whence int
	}{
		{0, 0}, {50, 0}, {10, 1}, {-70, 1}, {-60, 1}, {0, 2}, {10, 2}, {-110, 2}, {-100, 2}, {5, 7}, {0, -1},
		{math.MaxInt64, 2}, {-1, 0},
		{0, unix.SEEK_DATA}, {0, unix.SEEK_HOLE}, {99, unix.SEEK_HOLE}, {100, unix.SEEK_HOLE}, {100, unix.SEEK_DATA}, {-1, unix.SEEK_DATA}, {-1, unix.SEEK_HOLE},
	} {
		n, err := unix.Seek(fd, c.off, c.whence)
		g.printf("seek %d %d: %d %s", c.off, c.whence, n, errName(err))
	}
	var p [2]int
	must(unix.Pipe2(p[:], 0))
	_, err := unix.Seek(p[0], 0, 0)
	g.err("seek a pipe", err)
	_, err = unix.Pread(p[0], make([]byte, 1), 0)
	g.err("pread a pipe", err)
	_, err = unix.Seek(1000, 0, 0)
	g.err("bad fd", err)
}

func space(g *guest) {
	fd := must1(unix.Open("f", unix.O_CREAT|unix.O_RDWR, 0o644))
	must1(unix.Write(fd, []byte("0123456789")))
	size := func() {
		var st unix.Stat_t
		must(unix.Fstat(fd, &st))
		g.printf("  size %d", st.Size)
	}
	for _, n := range []int64{5, 0, 20000, -1} {
		g.err(fmt.Sprintf("ftruncate %d", n), unix.Ftruncate(fd, n))
		size()
	}
	g.err("truncate", unix.Truncate("f", 7))
	size()
	ro := must1(unix.Open("f", unix.O_RDONLY, 0))
	g.err("ftruncate read-only", unix.Ftruncate(ro, 1))
	must(unix.Mkdir("d", 0o755))
	g.err("truncate a directory", unix.Truncate("d", 1))
	g.err("truncate missing", unix.Truncate("missing", 1))
	must(unix.Mkfifo("p", 0o644))
	g.err("truncate a fifo", unix.Truncate("p", 1))
	g.err("ftruncate a directory", unix.Ftruncate(must1(unix.Open("d", unix.O_RDONLY, 0)), 0))
	for _, c := range []struct {
		mode   uint32
		off, n int64
	}{
		{0, 0, 100}, {0, 50, 100}, {unix.FALLOC_FL_KEEP_SIZE, 0, 5000}, {0, 0, 0}, {0, -1, 5}, {0, 5, -1},
		{unix.FALLOC_FL_PUNCH_HOLE, 0, 10}, {unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE, 0, 10}, {1 << 10, 0, 10}, {0, math.MaxInt64, 5},
	} {
		g.err(fmt.Sprintf("fallocate %#x %d %d", c.mode, c.off, c.n), unix.Fallocate(fd, c.mode, c.off, c.n))
		size()
	}
	g.err("fallocate read-only", unix.Fallocate(ro, 0, 0, 5))
	var p [2]int
	must(unix.Pipe2(p[:], 0))
	g.err("fallocate a pipe", unix.Fallocate(p[1], 0, 0, 5))
	g.err("fsync", unix.Fsync(fd))
	g.err("fdatasync", unix.Fdatasync(ro))
	g.err("fsync a pipe", unix.Fsync(p[0]))
	g.err("fsync a directory", unix.Fsync(must1(unix.Open("d", unix.O_RDONLY, 0))))
	g.err("fadvise", unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED))
	g.err("fadvise unknown", unix.Fadvise(fd, 0, 0, 99))
	g.err("fadvise a pipe", unix.Fadvise(p[0], 0, 0, unix.FADV_NORMAL))
	g.err("sync_file_range", unix.SyncFileRange(fd, 0, 10, unix.SYNC_FILE_RANGE_WRITE))
	g.err("sync_file_range flags", unix.SyncFileRange(fd, 0, 10, 99))
	g.err("sync_file_range a pipe", unix.SyncFileRange(p[0], 0, 10, unix.SYNC_FILE_RANGE_WRITE))
	g.err("syncfs", unix.Syncfs(fd))
	_, _, e := unix.Syscall(unix.SYS_READAHEAD, uintptr(fd), 0, 10)
	g.err("readahead", e)
	_, _, e = unix.Syscall(unix.SYS_READAHEAD, uintptr(p[0]), 0, 10)
	g.err("readahead a pipe", e)
}

func copies(g *guest) {
	touch("source")
	in := must1(unix.Open("source", unix.O_RDWR, 0))
	out := must1(unix.Open("f", unix.O_CREAT|unix.O_RDWR, 0o644))
	n, err := unix.Sendfile(out, in, nil, 4)
	g.n("sendfile", n, err)
	off := int64(2)
	n, err = unix.Sendfile(out, in, &off, 100)
	g.n("sendfile from 2", n, err)
	g.printf("offset %d", off)
	n, err = unix.Sendfile(out, in, nil, 100)
	g.n("sendfile the rest", n, err)
	g.content("f")
	off = 1
	to := int64(20)
	n, err = unix.CopyFileRange(in, &off, out, &to, 3, 0)
	g.n("copy_file_range", n, err)
	g.printf("offsets %d %d", off, to)
	g.content("f")
	must1(unix.Seek(in, 0, 0))
	n, err = unix.CopyFileRange(in, nil, out, nil, 100, 0)
	g.n("copy_file_range all", n, err)
	n, err = unix.CopyFileRange(in, nil, out, nil, 100, 0)
	g.n("copy_file_range at the end", n, err)
	g.content("f")
	_, err = unix.CopyFileRange(in, nil, out, nil, 100, 1)
	g.err("flags", err)
	off, to = 0, 2
	_, err = unix.CopyFileRange(in, &off, in, &to, 4, 0)
	g.err("onto itself", err)
	off, to = 0, 10
	n, err = unix.CopyFileRange(in, &off, in, &to, 4, 0)
	g.n("within a file", n, err)
	ap := must1(unix.Open("f", unix.O_WRONLY|unix.O_APPEND, 0))
	_, err = unix.CopyFileRange(in, nil, ap, nil, 4, 0)
	g.err("to an appender", err)
	_, err = unix.Sendfile(ap, in, nil, 4)
	g.err("sendfile to an appender", err)
	var p [2]int
	must(unix.Pipe2(p[:], 0))
	_, err = unix.CopyFileRange(in, nil, p[1], nil, 4, 0)
	g.err("to a pipe", err)
	must1(unix.Seek(in, 0, 0))
	n, err = unix.Sendfile(p[1], in, nil, 4)
	g.n("sendfile to a pipe", n, err)
	d := must1(unix.Open(".", unix.O_RDONLY, 0))
	_, err = unix.CopyFileRange(d, nil, out, nil, 4, 0)
	g.err("from a directory", err)
	_, err = unix.Sendfile(out, d, nil, 4)
	g.err("sendfile from a directory", err)
	_, err = unix.Sendfile(in, 1000, nil, 4)
	g.err("sendfile from nothing", err)
	ro := must1(unix.Open("f", unix.O_RDONLY, 0))
	_, err = unix.CopyFileRange(in, nil, ro, nil, 4, 0)
	g.err("to a read-only one", err)
}

func limit(g *guest) {
	c := make(chan os.Signal, 10)
	signal.Notify(c, unix.SIGXFSZ)
	fd := must1(unix.Open("f", unix.O_CREAT|unix.O_RDWR, 0o644))
	must(unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 10, Max: 100}))
	n, err := unix.Write(fd, make([]byte, 8))
	g.n("within", n, err)
	n, err = unix.Write(fd, make([]byte, 8))
	g.n("over", n, err)
	_, err = unix.Write(fd, make([]byte, 8))
	g.err("beyond", err)
	g.printf("%v", <-c)
	_, err = unix.Pwrite(fd, make([]byte, 8), 50)
	g.err("far beyond", err)
	g.printf("%v", <-c)
	g.err("ftruncate", unix.Ftruncate(fd, 11))
	g.printf("%v", <-c)
	g.err("ftruncate within", unix.Ftruncate(fd, 10))
	ap := must1(unix.Open("f", unix.O_WRONLY|unix.O_APPEND, 0))
	_, err = unix.Write(ap, []byte("x"))
	g.err("append", err)
	g.printf("%v", <-c)
	g.err("fallocate", unix.Fallocate(fd, 0, 0, 11))
	g.printf("%v", <-c)
}

func pipes(g *guest) {
	signal.Ignore(unix.SIGPIPE)
	var p [2]int
	must(unix.Pipe2(p[:], 0))
	n, err := unix.Write(p[1], []byte("abc"))
	g.n("write", n, err)
	b := make([]byte, 10)
	n, err = unix.Read(p[0], b)
	g.n("read", n, err)
	_, err = unix.Read(p[1], b)
	g.err("read the wrong end", err)
	_, err = unix.Write(p[0], b)
	g.err("write the wrong end", err)
	must(unix.SetNonblock(p[0], true))
	must(unix.SetNonblock(p[1], true))
	_, err = unix.Read(p[0], b)
	g.err("read nothing", err)
	total := 0
	for {
		n, err = unix.Write(p[1], make([]byte, 10000))
		if err != nil {
			break
		}
		total += n
	}
	g.n("filled with", total, nil)
	g.err("then", err)
	must(unix.Close(p[1]))
	for total > 0 {
		total -= must1(unix.Read(p[0], make([]byte, 9999)))
	}
	n, err = unix.Read(p[0], b)
	g.n("the end", n, err)
	must(unix.Pipe2(p[:], 0))
	must(unix.Close(p[0]))
	_, err = unix.Write(p[1], b)
	g.err("nobody reads", err)
}

func fifo(g *guest) {
	must(unix.Mkfifo("p", 0o644))
	c := start("fiforeader")
	fd, err := unix.Open("p", unix.O_WRONLY, 0) // waits for the reader
	g.err("open to write", err)
	total := 0
	for b := bytes.Repeat([]byte("x"), 200000); len(b) > 0; { // a signal of Go's own may end a write early
		n := must1(unix.Write(fd, b))
		b = b[n:]
		total += n
	}
	g.n("write", total, nil)
	must(unix.Close(fd))
	g.printf("%s", must1(io.ReadAll(c)))
	g.printf("%d", c.wait())
}

func fifoReader(g *guest) {
	fd, err := unix.Open("p", unix.O_RDONLY, 0)
	g.err("open to read", err)
	total, b := 0, make([]byte, 70000)
	for {
		n, err := unix.Read(fd, b)
		must(err)
		if n == 0 {
			break
		}
		total += n
	}
	g.n("read", total, nil)
}
