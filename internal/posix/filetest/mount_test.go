package filetest

import (
	"os"
	"sort"
	"testing"

	"github.com/hati-os/hati"
	"golang.org/x/sys/unix"
)

func init() { helpers["mounts"] = mounts }

// mounts runs in a box whose root has a directory "etc" and nothing that the
// mounts below need.
func mounts(g *guest) {
	show := func(dir string) { g.printf("%s: %v", dir, list(dir)) }
	cwd := func(what string) {
		buf := make([]byte, 4096)
		n := must1(unix.Getcwd(buf))
		g.printf("%s: %s", what, buf[:n-1])
	}
	show("/")
	// Each name once, whatever fits into the buffer.
	fd := must1(unix.Open("/", unix.O_RDONLY, 0))
	var small []string
	for buf := make([]byte, 32); ; {
		n := must1(unix.Getdents(fd, buf))
		if n == 0 {
			break
		}
		_, _, small = unix.ParseDirent(buf[:n], -1, small)
		must1(unix.Seek(fd, must1(unix.Seek(fd, 0, unix.SEEK_CUR)), unix.SEEK_SET))
	}
	sort.Strings(small)
	g.printf("%v", small)
	show("/deep")
	show("/deep/er")
	show("/etc")
	must(unix.Chdir("/deep/er/tmp"))
	cwd("in a mount")
	must(unix.Chdir(".."))
	cwd("above it")
	must(unix.Chdir("../../ro"))
	cwd("in another")
	show(".")
	touchErr := func(p string) error {
		_, err := unix.Open(p, unix.O_CREAT|unix.O_WRONLY, 0o644)
		return err
	}
	g.err("write to read-only", touchErr("x"))
	_, err := unix.Open("file", unix.O_RDWR, 0)
	g.err("open for writing", err)
	g.err("unlink", unix.Unlink("file"))
	g.err("mkdir", unix.Mkdir("d", 0o755))
	g.err("mkdir existing", unix.Mkdir("sub", 0o755))
	g.err("chmod", unix.Chmod("file", 0o600))
	g.err("access", unix.Access("file", unix.W_OK))
	g.err("truncate", unix.Truncate("file", 0))
	must(unix.Chdir("/deep/er/tmp"))
	touch("f")
	g.err("rename to another mount", unix.Rename("f", "/etc/f"))
	g.err("link to another mount", unix.Link("f", "/etc/f"))
	g.err("rename a mount point", unix.Rename("/deep/er/tmp", "/deep/er/x"))
	g.err("rename the way to one", unix.Rename("/deep", "/x"))
	g.err("remove a mount point", unix.Rmdir("/deep/er/tmp"))
	g.err("remove the way to one", unix.Rmdir("/deep"))
	g.err("rename over one", unix.Rename("/etc/d", "/deep"))
	g.err("make in what leads to one", touchErr("/deep/f"))
	g.err("mkdir where one is", unix.Mkdir("/deep", 0o755))
	var a, b unix.Stat_t
	must(unix.Stat("/deep/er/tmp", &a))
	must(unix.Stat("/deep/er", &b))
	g.printf("other device: %v", a.Dev != b.Dev)
	must(unix.Stat("/deep/er/tmp/..", &a))
	g.printf("same above: %v", a.Ino == b.Ino && a.Dev == b.Dev)
	for _, p := range []string{"tmp/f", "tmp", "../er"} {
		fd := must1(unix.Open("/deep/er", unix.O_PATH, 0))
		_, err := unix.Openat2(fd, p, &unix.OpenHow{Flags: unix.O_RDONLY, Resolve: unix.RESOLVE_NO_XDEV})
		g.err("without crossing "+p, err)
	}
	// A file that is mounted.
	g.content("/etc/one")
	g.err("through a mounted file", unix.Access("/etc/one/x", 0))
	// Another root.
	g.err("chroot", unix.Chroot("/deep/er"))
	cwd("outside the root") // the working directory stays
	must(unix.Chdir("/tmp/../.."))
	cwd("at the new root")
	show("/")
	g.err("the old root", unix.Access("/etc", 0))
}

const mountsWant = `/: [deep:4 dev:4 etc:4 guest:4 proc:4 ro:4 tmp:4]
[deep dev etc guest proc ro tmp]
/deep: [er:4]
/deep/er: [tmp:4]
/etc: [d:4 one:8]
in a mount: /deep/er/tmp
above it: /deep/er
in another: /ro
.: [file:8 sub:4]
write to read-only: EROFS
open for writing: EROFS
unlink: EROFS
mkdir: EROFS
mkdir existing: EEXIST
chmod: EROFS
access: EROFS
truncate: EROFS
rename to another mount: EXDEV
link to another mount: EXDEV
rename a mount point: EBUSY
rename the way to one: EBUSY
remove a mount point: EBUSY
remove the way to one: EBUSY
rename over one: EBUSY
make in what leads to one: EPERM
mkdir where one is: EEXIST
other device: true
same above: true
without crossing tmp/f: EXDEV
without crossing tmp: EXDEV
without crossing ../er: ok
/etc/one: "one" ok
through a mounted file: ENOTDIR
chroot: ok
outside the root: /tmp
at the new root: /
/: [tmp:4]
the old root: ENOENT
`

func TestMounts(t *testing.T) {
	exe, err := guestProgram()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, d := range []string{"root/etc/d", "ro/sub"} {
		if err := os.MkdirAll(dir+"/"+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"ro/file", "one"} {
		if err := os.WriteFile(dir+"/"+f, []byte("one"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// In an order that is not that of their depth.
	box, err := hati.New(hati.Config{Root: dir + "/root", Mounts: []hati.Mount{
		hati.Tmpfs("/deep/er/tmp"),
		hati.HostDir(dir+"/one", "/etc/one", hati.ReadOnly),
		hati.HostDir(dir+"/ro", "/ro", hati.ReadOnly),
		hati.HostDir(exe, "/guest/exe", hati.ReadOnly),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	c := box.Command("/guest/exe")
	c.Dir = "/"
	c.User = &hati.User{}
	c.Env = []string{scenarioVar + "=mounts"}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	diff(t, mountsWant, string(out))
}
