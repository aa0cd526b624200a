package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// FUSE daemons that were not written for hati, on the host and in the box. The
// same operations on a plain directory, natively, say what is right.

// fuseOps is the script of operations; box runs it in a mount of a daemon that
// runs in the box, too.
const (
	fuseOps = "guest/fuse/ops.sh"
	fuseBox = "guest/fuse/box.sh"
)

// fuseDaemon is a daemon and how to start it; BACK is a directory or image to show,
// WORK where programs are, {} the mount point.
type fuseDaemon struct {
	name, command string
	prepare       string // what is to be done before, on the host
	needs         []string
	// known are lines in which the daemon itself differs from a local directory:
	// what it says and what it would have to say.
	known map[string]string
}

var fuseDaemons = []fuseDaemon{
	{name: "libfuse-lowlevel", command: "WORK/passthrough_ll -f -o source=BACK {}", needs: []string{"pkg-config", "gcc", "fusermount3"}},
	{name: "libfuse-cached", command: "WORK/passthrough_ll -f -o cache=always,source=BACK {}", needs: []string{"pkg-config", "gcc", "fusermount3"}},
	{name: "libfuse-handles", command: "WORK/passthrough_fh -f -o modules=subdir,subdir=BACK {}", needs: []string{"pkg-config", "gcc", "fusermount3"}},
	{name: "sshfs", command: "sshfs -f -o ssh_command=WORK/sftp.sh host:BACK {}", needs: []string{"sshfs"},
		known: map[string]string{"1 links": "2 links"}},
	{name: "bindfs", command: "bindfs -f BACK {}", needs: []string{"bindfs"}},
	{name: "fuse2fs", command: "fuse2fs -f -o fakeroot IMAGE {}", needs: []string{"fuse2fs"},
		prepare: "truncate -s 64M IMAGE && /sbin/mkfs.ext4 -q -F -E root_owner=$(id -u):$(id -g) IMAGE"},
	{name: "go-fuse", command: "WORK/loopback {} BACK"},
}

// fusePrograms builds what the daemons need and returns the directory.
func fusePrograms(t *testing.T, d *fuseDaemon) string {
	t.Helper()
	need(t, d.needs...)
	dir := directory(t)
	sftp := "#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n"
	if err := writeProgram(filepath.Join(dir, "sftp.sh"), []byte(sftp)); err != nil {
		t.Fatal(err)
	}
	for _, example := range []string{"passthrough_ll", "passthrough_fh", "notify_inval_entry"} {
		if !strings.Contains(d.command, example) {
			continue
		}
		source := "/usr/share/doc/libfuse3-dev/examples/" + example + ".c"
		if _, err := os.Stat(source); err != nil {
			t.Skipf("%v (run test/setup.sh)", err)
		}
		script := "gcc -O1 -w -DHAVE_UTIMENSAT -DHAVE_POSIX_FALLOCATE -DHAVE_SETXATTR -o \"$1\" \"$2\" $(pkg-config fuse3 --cflags --libs)"
		if out, err := exec.Command("sh", "-c", script, "sh", filepath.Join(dir, example), source).CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", example, err, out)
		}
	}
	if d.name == "go-fuse" {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "loopback"), ".")
		cmd.Dir = "guest/fuse"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building loopback: %v\n%s", err, out)
		}
	}
	return dir
}

// plainOps runs the operations natively in a directory.
func plainOps(t *testing.T) string {
	t.Helper()
	r := native(t, directory(t), "", "sh", abs(t, fuseOps), directory(t))
	if r.err != "" || r.status != 0 {
		t.Fatal(r)
	}
	return r.out
}

func abs(t *testing.T, path string) string {
	t.Helper()
	a, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// same compares what the operations printed.
func (d *fuseDaemon) same(t *testing.T, want string, got result) {
	t.Helper()
	out := got.out
	for is, should := range d.known {
		out = strings.ReplaceAll(out, is, should)
	}
	if out != want {
		t.Errorf("=== on a directory:\n%s=== through the daemon: %v", want, got)
	}
}

// TestFUSEHost: a daemon on the host, which mounts itself on a directory.
func TestFUSEHost(t *testing.T) {
	t.Parallel()
	want := plainOps(t)
	for _, d := range fuseDaemons {
		t.Run(d.name, func(t *testing.T) { d.onHost(t, want) })
	}
}

// onHost runs the operations through the daemon on the host.
func (d *fuseDaemon) onHost(t *testing.T, want string) {
	programs := fusePrograms(t, d)
	dir := directory(t)
	back, image := filepath.Join(dir, "back"), filepath.Join(dir, "image")
	if err := os.Mkdir(back, 0o755); err != nil {
		t.Fatal(err)
	}
	r := strings.NewReplacer("WORK", programs, "BACK", back, "IMAGE", image)
	if d.prepare != "" {
		if out, err := exec.Command("sh", "-c", r.Replace(d.prepare)).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", d.prepare, err, out)
		}
	}
	ops := abs(t, fuseOps)
	d.same(t, want, under(t, "/", "", []string{"--mount", "fuse:" + r.Replace(d.command) + ":/mnt/fuse", "--mount", ops + ":/ops.sh"},
		"sh", "/ops.sh", "/mnt/fuse"))
}

// TestFUSEHostChannel: a daemon on the host that is told the name of its channel
// for a mount point.
func TestFUSEHostChannel(t *testing.T) {
	t.Parallel()
	want := plainOps(t)
	for _, d := range fuseDaemons {
		if d.name == "libfuse-lowlevel" || d.name == "go-fuse" {
			d.command = strings.ReplaceAll(d.command, "{}", "{fd}")
			t.Run(d.name, func(t *testing.T) { d.onHost(t, want) })
		}
	}
}

// TestFUSEBox: a daemon in the box, which mounts itself, by mount(2) or with
// fusermount.
func TestFUSEBox(t *testing.T) {
	t.Parallel()
	want := plainOps(t)
	for _, d := range fuseDaemons {
		t.Run(d.name, func(t *testing.T) {
			programs := fusePrograms(t, &d)
			command := strings.NewReplacer("WORK", programs, "BACK", "/tmp/back", "IMAGE", "/tmp/image", "{}", "/tmp/mnt").Replace(d.command)
			r := under(t, "/", "", []string{"--user", "0:0", "--mount", abs(t, fuseOps) + ":/ops.sh", "--mount", abs(t, fuseBox) + ":/box.sh", "--mount", programs + ":" + programs},
				"sh", "/box.sh", "/tmp/mnt", command)
			d.same(t, want, r)
			if r.status != 0 {
				t.Error(r)
			}
		})
	}
}

// TestFUSESquash: a file system that is only read, on both sides.
func TestFUSESquash(t *testing.T) {
	t.Parallel()
	need(t, "squashfuse", "mksquashfs", "fusermount3")
	dir := directory(t)
	image := filepath.Join(dir, "image")
	tree := filepath.Join(dir, "tree")
	if out, err := exec.Command("sh", "-c", "mkdir -p $1/a/b && cp /bin/true $1/a/prog && head -c 300000 /dev/zero | tr '\\0' q >$1/a/b/q && ln -s a/b/q $1/link && mksquashfs $1 $2 -quiet", "sh", tree, image).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	look := "cd \"$0\" && find . | sort; md5sum a/b/q link; a/prog && echo ran; readlink link; cd /"
	want := native(t, dir, "", "sh", "-c", look, tree).out
	r := under(t, "/", "", []string{"--mount", "fuse:squashfuse -f " + image + ":/mnt/fuse"}, "sh", "-c", look, "/mnt/fuse")
	if r.out != want {
		t.Errorf("on the host: %v\nwant %s", r, want)
	}
	r = under(t, "/", "", []string{"--user", "0:0", "--mount", image + ":/image"}, "sh", "-c",
		"mkdir /tmp/m && squashfuse /image /tmp/m && sh -c '"+look+"' /tmp/m && fusermount3 -u /tmp/m && ls /tmp/m")
	if r.out != want {
		t.Errorf("in the box: %v\nwant %s", r, want)
	}
}

// TestFUSERclone: rclone, which has its own two ways to mount, on a directory as
// its storage. It knows no links and modes, so the operations are fewer.
func TestFUSERclone(t *testing.T) {
	t.Parallel()
	need(t, "rclone", "fusermount3")
	const ops = `cd "$0" && mkdir -p a/b && echo hello >a/b/f && cat a/b/f && cp a/b/f g && mv g h && ls && head -c 300000 /dev/zero | tr '\0' q >q && md5sum q &&
rm h && ls a && mkdir c && rmdir c && ls; cat none 2>&1 | sed 's/.*: //'; cd /`
	plain := directory(t)
	want := native(t, plain, "", "sh", "-c", ops, plain).out
	back := directory(t)
	rclone := "rclone --config /dev/null -q --vfs-cache-mode full --vfs-write-back 0 --cache-dir "
	r := under(t, "/", "", []string{"--mount", "fuse:" + rclone + directory(t) + " mount2 " + back + ":/mnt/fuse"}, "sh", "-c", ops, "/mnt/fuse")
	if r.out != want {
		t.Errorf("on the host: %v\nwant %s", r, want)
	}
	if b, err := os.ReadFile(filepath.Join(back, "a/b/f")); string(b) != "hello\n" {
		t.Errorf("what was written did not arrive: %q, %v", b, err)
	}
	r = under(t, "/", "", []string{"--user", "0:0"}, "sh", "-c",
		"mkdir /tmp/back /tmp/m && "+rclone+"/tmp/cache mount /tmp/back /tmp/m & until grep -q ' /tmp/m fuse' /proc/mounts; do sleep 0.02; done; sh -c \"$0\" /tmp/m; fusermount3 -u /tmp/m; wait; cat /tmp/back/a/b/f", ops)
	if r.out != want+"hello\n" {
		t.Errorf("in the box: %v\nwant %s", r, want)
	}
}

// TestFUSEStopped: a daemon in the box that is stopped, and then killed, keeps
// nobody; it is unmounted all the same.
func TestFUSEStopped(t *testing.T) {
	t.Parallel()
	d := fuseDaemons[0]
	programs := fusePrograms(t, &d)
	r := under(t, "/", "", []string{"--user", "0:0", "--mount", abs(t, "guest/fuse/stopped.sh") + ":/stopped.sh", "--mount", programs + ":" + programs},
		"bash", "/stopped.sh", programs+"/passthrough_ll")
	const want = "killed by 9: cat\nkilled by 9: ls\nkilled by 9: writer\nafterwards: Transport endpoint is not connected\nunmounted\n"
	if r.out != want || r.status != 0 {
		t.Errorf("%v\nwant %s", r, want)
	}
}

// TestFUSEForgets: a daemon that takes the invalidation of a name for a promise
// that it will be forgotten, as libfuse's example does.
func TestFUSEForgets(t *testing.T) {
	t.Parallel()
	d := fuseDaemon{command: "WORK/notify_inval_entry", needs: fuseDaemons[0].needs}
	programs := fusePrograms(t, &d)
	r := under(t, "/", "", []string{"--user", "0:0", "--mount", abs(t, "guest/fuse/notify.sh") + ":/notify.sh", "--mount", programs + ":" + programs},
		"sh", "/notify.sh", programs+"/notify_inval_entry")
	if r.out != "the daemon lives\n" {
		t.Error(r)
	}
}

// TestFUSEDiesWithHati: a daemon that does not care for its channel is gone, too,
// when hati is killed.
func TestFUSEDiesWithHati(t *testing.T) {
	t.Parallel()
	d := fuseDaemons[0]
	programs := fusePrograms(t, &d)
	dir := directory(t)
	pidFile := filepath.Join(dir, "pid")
	// Stopped, it neither reads nor ends by itself.
	script := "echo $$ >" + pidFile + "; exec " + programs + "/passthrough_ll -f -o source=" + dir + " $0"
	cmd := exec.Command(hati, "run", "--mount", "fuse:sh -c '"+script+"':/mnt", "--", "sh", "-c", "ls /mnt >/dev/null; echo ready; sleep 60")
	cmd.Env = append(os.Environ(), "TMPDIR="+dir) // nobody removes the mount point
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGSTOP)
	cmd.Process.Kill()
	cmd.Wait()
	for deadline := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil; runtime.Gosched() {
		if s, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); strings.Contains(string(s), ") Z ") {
			break // dead, and not yet collected by who adopted it
		}
		if time.Now().After(deadline) {
			syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("the daemon lives on")
		}
	}
}

// TestFUSEFailsToStart: a daemon that does not start ends hati with one line.
func TestFUSEFailsToStart(t *testing.T) {
	for _, c := range [][]string{
		{"fuse:no-such-daemon:/mnt"}, {"fuse:true"}, {"fuse:true:mnt"}, {"fuse::/mnt"}, {"fuse:sh -c 'exit 3':/mnt"}, {"fuse:false:/mnt"}, {"fuse:sh 'x:/mnt"},
	} {
		r := under(t, "/", "", append([]string{"--mount"}, c...), "true")
		if r.status != 125 || strings.Count(r.err, "\n") != 1 || !strings.HasPrefix(r.err, "hati: ") {
			t.Errorf("%v: %v", c, r)
		}
	}
}
