package filetest

import (
	"fmt"
	"os"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

func init() {
	scenarios["open"] = open
	scenarios["descriptors"] = descriptors
	scenarios["fcntl"] = fcntl
	scenarios["ioctl"] = ioctl
}

func open(g *guest) {
	must(unix.Mkdir("d", 0o755))
	touch("f")
	must(unix.Symlink("f", "s"))
	must(unix.Symlink("created", "dangling"))
	must(unix.Symlink("d", "sd"))
	modes := []struct {
		name  string
		flags int
	}{
		{"RDONLY", unix.O_RDONLY}, {"WRONLY", unix.O_WRONLY}, {"RDWR", unix.O_RDWR}, {"3", 3},
		{"CREAT", unix.O_CREAT | unix.O_RDWR}, {"EXCL", unix.O_CREAT | unix.O_EXCL | unix.O_RDWR},
		{"TRUNC", unix.O_TRUNC | unix.O_RDWR}, {"RDONLY|TRUNC", unix.O_TRUNC},
		{"DIRECTORY", unix.O_DIRECTORY}, {"DIRECTORY|WRONLY", unix.O_DIRECTORY | unix.O_WRONLY},
		{"DIRECTORY|CREAT", unix.O_DIRECTORY | unix.O_CREAT},
		{"NOFOLLOW", unix.O_NOFOLLOW}, {"NOFOLLOW|CREAT", unix.O_NOFOLLOW | unix.O_CREAT},
		{"NOFOLLOW|DIRECTORY", unix.O_NOFOLLOW | unix.O_DIRECTORY},
		{"PATH", unix.O_PATH}, {"PATH|NOFOLLOW", unix.O_PATH | unix.O_NOFOLLOW},
		{"PATH|DIRECTORY", unix.O_PATH | unix.O_DIRECTORY}, {"PATH|CREAT", unix.O_PATH | unix.O_CREAT},
		{"APPEND|NONBLOCK|SYNC", unix.O_APPEND | unix.O_NONBLOCK | unix.O_SYNC | unix.O_WRONLY},
		{"DSYNC", unix.O_DSYNC}, {"NOATIME", unix.O_NOATIME}, {"CLOEXEC", unix.O_CLOEXEC}, {"ASYNC", unix.O_ASYNC},
		{"LARGEFILE", 0o100000}, {"1<<30", 1 << 30},
	}
	for _, m := range modes {
		for i, p := range []string{"f", "d", "s", "sd", "dangling", "missing", "f/", "d/", "missing/", ".", "", "f/x", "s/", "sd/"} {
			name := p
			if p == "missing" {
				name = fmt.Sprintf("missing%d%d", i, m.flags)
			}
			fd, err := unix.Open(name, m.flags|unix.O_CLOEXEC, 0o640)
			g.err("open "+p+" "+m.name, err)
			if err != nil {
				continue
			}
			fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			var st unix.Stat_t
			must(unix.Fstat(fd, &st))
			size := st.Size
			if st.Mode&unix.S_IFMT != unix.S_IFREG {
				size = 0
			}
			g.printf("  flags %#o %s mode %o size %d", fl, errName(err), st.Mode, size)
			_, err = unix.Read(fd, make([]byte, 1))
			g.err("  read", err)
			_, err = unix.Write(fd, []byte("w"))
			g.err("  write", err)
			unix.Close(fd)
			if p == "dangling" {
				unix.Unlink("created")
			}
		}
	}
	fd := must1(unix.Open("f", unix.O_PATH, 0))
	g.err("fchmod of a path fd", unix.Fchmod(fd, 0o600))
	g.err("ftruncate of a path fd", unix.Ftruncate(fd, 0))
	g.err("fsync of a path fd", unix.Fsync(fd))
	_, err := unix.Seek(fd, 0, 0)
	g.err("lseek of a path fd", err)
	_, err = unix.Dup(fd)
	g.err("dup of a path fd", err)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, 0)
	g.err("F_SETFL of a path fd", err)
	_, err = unix.IoctlGetInt(fd, unix.TIOCINQ)
	g.err("ioctl of a path fd", err)
	unix.Umask(0o077)
	touch("umasked")
	var st unix.Stat_t
	must(unix.Stat("umasked", &st))
	g.printf("umasked %o", st.Mode)
	// The creator may write whatever the mode says.
	fd, err = unix.Open("readonly", unix.O_CREAT|unix.O_RDWR, 0o400)
	g.err("create read-only", err)
	_, err = unix.Write(fd, []byte("x"))
	g.err("write to it", err)
}

func descriptors(g *guest) {
	var low []int
	for range 5 {
		low = append(low, must1(unix.Open(".", unix.O_RDONLY, 0)))
	}
	first := low[0]
	rel := func(fd int, err error) (int, error) { return fd - first, err }
	must(unix.Close(low[1]))
	must(unix.Close(low[3]))
	n, err := rel(unix.Dup(low[0]))
	g.n("dup takes the lowest", n, err)
	n, err = rel(unix.Open(".", unix.O_RDONLY, 0))
	g.n("then the next", n, err)
	g.err("close twice", unix.Close(900))
	g.err("close -1", unix.Close(-1))
	n, err = rel(unix.FcntlInt(uintptr(first), unix.F_DUPFD, first+2))
	g.n("F_DUPFD", n, err)
	n, err = rel(unix.FcntlInt(uintptr(first), unix.F_DUPFD, 300))
	g.n("F_DUPFD 300", n+first, err)
	_, err = unix.FcntlInt(uintptr(first), unix.F_DUPFD, 1<<21)
	g.err("F_DUPFD beyond the limit", err)
	_, err = unix.FcntlInt(uintptr(first), unix.F_DUPFD, -1)
	g.err("F_DUPFD -1", err)
	fd := must1(unix.FcntlInt(uintptr(first), unix.F_DUPFD_CLOEXEC, 310))
	n, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	g.n("F_GETFD", n, err)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
	g.err("F_SETFD", err)
	n, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	g.n("F_GETFD", n, err)
	g.err("dup2 same", unix.Dup2(first, first))
	g.err("dup2 same bad", unix.Dup2(800, 800))
	g.err("dup2 bad", unix.Dup2(800, 801))
	g.err("dup2 -1", unix.Dup2(first, -1))
	g.err("dup2 far", unix.Dup2(first, 1<<22))
	g.err("dup3 same", unix.Dup3(first, first, 0))
	g.err("dup3 flags", unix.Dup3(first, 320, 1))
	g.err("dup3", unix.Dup3(first, 320, unix.O_CLOEXEC))
	n, err = unix.FcntlInt(320, unix.F_GETFD, 0)
	g.n("F_GETFD of dup3", n, err)
	// A shared offset.
	touch("f")
	a := must1(unix.Open("f", unix.O_RDWR, 0))
	b := must1(unix.Dup(a))
	must1(unix.Write(a, []byte("xyz")))
	off, err := unix.Seek(b, 0, unix.SEEK_CUR)
	g.n("offset of the duplicate", int(off), err)
	_, err = unix.FcntlInt(uintptr(a), unix.F_SETFL, unix.O_APPEND)
	must(err)
	n, err = unix.FcntlInt(uintptr(b), unix.F_GETFL, 0)
	g.n("flags of the duplicate", n, err)
	for i := 400; i < 420; i++ {
		must(unix.Dup2(first, i))
	}
	g.err("close_range", unix.CloseRange(405, 410, 0))
	g.err("close_range cloexec", unix.CloseRange(411, 415, unix.CLOSE_RANGE_CLOEXEC))
	for _, fd := range []int{404, 405, 410, 411, 415, 416} {
		n, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		g.n(fmt.Sprintf("F_GETFD %d", fd), n, err)
	}
	g.err("close_range backwards", unix.CloseRange(10, 5, 0))
	g.err("close_range flags", unix.CloseRange(10, 15, 1))
	g.err("close_range of nothing", unix.CloseRange(5000, 1<<32-1, 0))
	must(unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 330, Max: 500}))
	_, err = unix.FcntlInt(uintptr(first), unix.F_DUPFD, 330)
	g.err("F_DUPFD at the limit", err)
	_, err = unix.FcntlInt(uintptr(first), unix.F_DUPFD, 329)
	g.err("F_DUPFD below the limit", err)
	_, err = unix.FcntlInt(uintptr(first), unix.F_DUPFD, 329)
	g.err("F_DUPFD when it is full", err)
	g.err("dup2 to the limit", unix.Dup2(first, 330))
	must(unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: 500}))
	_, err = unix.Open("not made", unix.O_CREAT|unix.O_WRONLY, 0o644)
	g.err("open without a number", err)
	must(unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 500, Max: 500}))
	g.err("what it did not make", unix.Access("not made", 0))
	// What a program started by exec finds.
	must(unix.Dup3(first, 100, unix.O_CLOEXEC))
	must(unix.Dup2(first, 101))
	os.Setenv(scenarioVar, "inherited")
	g.err("exec", unix.Exec(os.Getenv("HATI_SELF"), []string{"inherited"}, os.Environ()))
}

func init() {
	helpers["inherited"] = func(g *guest) {
		for _, fd := range []int{0, 1, 2, 100, 101} {
			_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			g.err(fmt.Sprintf("inherited %d", fd), err)
		}
	}
}

func fcntl(g *guest) {
	touch("f")
	fd := must1(unix.Open("f", unix.O_RDWR, 0))
	get := func(cmd int) {
		n, err := unix.FcntlInt(uintptr(fd), cmd, 0)
		g.n(fmt.Sprintf("fcntl %d", cmd), n, err)
	}
	for _, flags := range []int{unix.O_APPEND | unix.O_NONBLOCK, unix.O_NOATIME, unix.O_WRONLY | unix.O_CREAT, 0} {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags)
		g.err(fmt.Sprintf("F_SETFL %#o", flags), err)
		get(unix.F_GETFL)
	}
	for _, cmd := range []int{unix.F_GETOWN, unix.F_GETSIG, unix.F_GETLEASE, unix.F_GETPIPE_SZ, 9999, unix.F_NOTIFY + 1000} {
		get(cmd)
	}
	for _, v := range []int{64, 0, 65, -1} {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_SETSIG, v)
		g.err(fmt.Sprintf("F_SETSIG %d", v), err)
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETOWN, os.Getpid())
	g.err("F_SETOWN", err)
	n, err := unix.FcntlInt(uintptr(fd), unix.F_GETOWN, 0)
	g.printf("owner is self: %v %v", n == os.Getpid(), err)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETOWN, 4000000)
	g.err("F_SETOWN of nobody", err)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETOWN, 0)
	g.err("F_SETOWN 0", err)
	var p [2]int
	must(unix.Pipe2(p[:], unix.O_NONBLOCK))
	n, err = unix.FcntlInt(uintptr(p[0]), unix.F_GETPIPE_SZ, 0)
	g.n("F_GETPIPE_SZ", n, err)
	n, err = unix.FcntlInt(uintptr(p[0]), unix.F_SETPIPE_SZ, 5000)
	g.n("F_SETPIPE_SZ", n, err)
	n, err = unix.FcntlInt(uintptr(p[0]), unix.F_GETFL, 0)
	g.n("flags of a pipe", n, err)
	n, err = unix.FcntlInt(uintptr(p[1]), unix.F_GETFL, 0)
	g.n("flags of a pipe", n, err)
	_, err = unix.Read(p[0], make([]byte, 1))
	g.err("read nothing", err)
	_, err = unix.FcntlInt(1000, unix.F_GETFL, 0)
	g.err("bad fd", err)
}

func ioctl(g *guest) {
	touch("file")
	fd := must1(unix.Open("file", unix.O_RDWR, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	g.n("FIONREAD", n, err)
	must1(unix.Seek(fd, 3, 0))
	n, err = unix.IoctlGetInt(fd, unix.TIOCINQ)
	g.n("FIONREAD at 3", n, err)
	g.err("FIOCLEX", unix.IoctlSetInt(fd, abi.FIOCLEX, 0))
	n, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	g.n("F_GETFD", n, err)
	g.err("FIONCLEX", unix.IoctlSetInt(fd, abi.FIONCLEX, 0))
	g.err("FIONBIO", unix.IoctlSetPointerInt(fd, 0x5421, 1))
	n, err = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	g.n("F_GETFL", n, err)
	_, err = unix.IoctlGetTermios(fd, unix.TCGETS)
	g.err("TCGETS", err)
	_, err = unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	g.err("TIOCGPGRP", err)
	g.err("unknown", unix.IoctlSetInt(fd, 0x12345, 0))
	_, err = unix.IoctlGetInt(1000, unix.TIOCINQ)
	g.err("bad fd", err)
	var p [2]int
	must(unix.Pipe2(p[:], 0))
	must1(unix.Write(p[1], []byte("12345")))
	n, err = unix.IoctlGetInt(p[0], unix.TIOCINQ)
	g.n("FIONREAD of a pipe", n, err)
	d := must1(unix.Open(".", unix.O_RDONLY, 0))
	_, err = unix.IoctlGetInt(d, unix.TIOCINQ)
	g.err("FIONREAD of a directory", err)
}
