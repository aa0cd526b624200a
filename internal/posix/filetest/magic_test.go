package filetest

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func init() {
	scenarios["magic"] = magic
	scenarios["async"] = async
	scenarios["sigpipe"] = sigpipe
	scenarios["creds"] = setIDAccess
	helpers["writer"] = func(*guest) {
		for { // package os dies of SIGPIPE on standard output
			os.Stdout.Write([]byte("x"))
		}
	}
}

// magic is about the links of /proc/self.
func magic(g *guest) {
	base := must1(os.Getwd())
	link := func(what, p string) {
		buf := make([]byte, 4096)
		n, err := unix.Readlink(p, buf)
		if err != nil {
			g.err(what, err)
			return
		}
		s := strings.TrimPrefix(string(buf[:n]), base)
		if i := strings.Index(s, ":["); i > 0 {
			s = s[:i]
		}
		g.printf("%s: %s", what, s)
	}
	fdPath := func(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }
	touch("f")
	must(os.MkdirAll("d/e", 0o755))
	fd := must1(unix.Open("f", unix.O_RDWR, 0))
	link("open", fdPath(fd))
	must(unix.Rename("f", "d/g"))
	link("renamed", fdPath(fd))
	must(unix.Rename("d", "dd"))
	link("its directory renamed", fdPath(fd))
	again, err := unix.Open(fdPath(fd), unix.O_RDONLY, 0)
	g.err("open it again", err)
	link("again", fdPath(again))
	must(unix.Unlink("dd/g"))
	link("unlinked", fdPath(fd))
	again, err = unix.Open(fdPath(fd), unix.O_RDWR, 0)
	g.err("open the unlinked again", err)
	must1(unix.Pwrite(again, []byte("new"), 0))
	buf := make([]byte, 10)
	n, err := unix.Pread(fd, buf, 0)
	g.printf("read %q %v", buf[:n], err)
	touch("dd/g")
	link("another of its name", fdPath(fd))
	touch("h")
	other := must1(unix.Open("h", unix.O_RDONLY, 0))
	victim := must1(unix.Open("dd/g", unix.O_RDONLY, 0))
	must(unix.Rename("h", "dd/g"))
	link("replaced", fdPath(victim))
	link("the replacement", fdPath(other))
	must(unix.Chdir("dd"))
	link("cwd", "/proc/self/cwd")
	link("root", "/proc/self/root")
	g.err("through cwd", unix.Access("/proc/self/cwd/e", 0))
	dir := must1(unix.Open("e", unix.O_RDONLY, 0))
	touch("e/inside")
	g.err("through a directory", unix.Access(fdPath(dir)+"/inside", 0))
	g.err("through a file", unix.Access(fdPath(fd)+"/inside", 0))
	_, err = unix.Open(fdPath(dir), unix.O_NOFOLLOW, 0)
	g.err("nofollow", err)
	var st unix.Stat_t
	must(unix.Lstat(fdPath(dir), &st))
	g.printf("type %o", st.Mode&unix.S_IFMT)
	must(unix.Stat(fdPath(dir), &st))
	g.printf("followed %o", st.Mode&unix.S_IFMT)
	path := must1(unix.Open("e", unix.O_PATH, 0))
	link("a path fd", fdPath(path))
	again, err = unix.Open(fdPath(path), unix.O_RDONLY, 0)
	g.err("open a path fd", err)
	g.printf("%v", list(fdPath(again)))
	g.err("no such fd", unix.Access(fdPath(900), 0))
	var p [2]int
	must(unix.Pipe2(p[:], 0))
	link("pipe", fdPath(p[0]))
	w, err := unix.Open(fdPath(p[0]), unix.O_WRONLY, 0)
	g.err("open a pipe for writing", err)
	n, err = unix.Write(w, []byte("abc"))
	g.n("write", n, err)
	n, err = unix.Read(p[0], buf)
	g.n("read", n, err)
	must(unix.Chdir(base))
	must(os.MkdirAll("x/y", 0o755))
	must(unix.Chdir("x/y"))
	must(unix.Rmdir("../y"))
	link("a removed cwd", "/proc/self/cwd")
}

func async(g *guest) {
	c := make(chan os.Signal, 10)
	signal.Notify(c, unix.SIGIO)
	var p [2]int
	must(unix.Pipe2(p[:], unix.O_NONBLOCK))
	_, err := unix.FcntlInt(uintptr(p[0]), unix.F_SETOWN, os.Getpid())
	g.err("F_SETOWN", err)
	_, err = unix.FcntlInt(uintptr(p[0]), unix.F_SETFL, unix.O_NONBLOCK|unix.O_ASYNC)
	g.err("O_ASYNC", err)
	n, err := unix.FcntlInt(uintptr(p[0]), unix.F_GETFL, 0)
	g.n("F_GETFL", n, err)
	must1(unix.Write(p[1], []byte("x")))
	g.printf("%v", <-c)
	must1(unix.Read(p[0], make([]byte, 10)))
	_, err = unix.FcntlInt(uintptr(p[0]), unix.F_SETFL, 0)
	g.err("off", err)
	must1(unix.Write(p[1], []byte("x")))
	must1(unix.Read(p[0], make([]byte, 10)))
	must(unix.Kill(os.Getpid(), unix.SIGIO)) // had the write sent one, two would come
	g.printf("%v", <-c)
	g.printf("more: %d", len(c))
}

func sigpipe(g *guest) {
	c := start("writer")
	b := make([]byte, 1)
	must1(unix.Read(c.out, b))
	must(unix.Close(c.out))
	unix.Close(c.in)
	var status unix.WaitStatus
	must1(unix.Wait4(c.pid, &status, 0, nil))
	g.printf("signaled %v by %v", status.Signaled(), status.Signal())
}

// setIDAccess: access(2) asks for the real user, faccessat2 with AT_EACCESS for
// the effective one.
func setIDAccess(g *guest) {
	must(unix.Mkdir("d", 0o700))
	touch("d/f")
	touch("f")
	must(unix.Chmod("f", 0o600))
	must(syscall.Setresgid(1000, -1, -1))
	must(syscall.Setresuid(1000, -1, -1))
	g.err("real", unix.Access("f", unix.R_OK))
	g.err("effective", unix.Faccessat2(unix.AT_FDCWD, "f", unix.R_OK, unix.AT_EACCESS))
	g.err("real, on the way", unix.Access("d/f", 0))
	g.err("effective, on the way", unix.Faccessat2(unix.AT_FDCWD, "d/f", 0, unix.AT_EACCESS))
	_, err := unix.Open("f", unix.O_RDWR, 0)
	g.err("open", err)
	must(syscall.Setresuid(-1, 1000, -1))
	_, err = unix.Open("f", unix.O_RDWR, 0)
	g.err("open as the other", err)
	must(syscall.Setresuid(-1, 0, -1))
	_, err = unix.Open("f", unix.O_RDWR, 0)
	g.err("open as root again", err)
}
