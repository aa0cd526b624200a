package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSetID: set-user-id and set-group-id programs get in a box what they get
// from Linux, but as numbers of the box.
func TestSetID(t *testing.T) {
	t.Parallel()
	need(t, "gcc", "setpriv", "setarch", "unshare")
	if os.Geteuid() != 0 || exec.Command("unshare", "-m", "true").Run() != nil {
		t.Skip("only the superuser can compare")
	}
	script := abs(t, "guest/setid/run.sh")
	program := showProgram(t)
	// The same name on both sides: in the box what is written stays there.
	dir := directory(t)
	if out, err := exec.Command("sh", "-c", "chmod 755 $1 && cp $0 $1/show", program, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h := under(t, "/", "", []string{"--user", "0:0", "--mount", script + ":/run.sh", "--mount", dir + ":" + dir + ":overlay"}, "sh", "/run.sh", dir)
	n := native(t, "/", "", "unshare", "-m", "sh", script, dir)
	if n != h {
		t.Errorf("=== natively: %v\n=== under hati: %v", n, h)
	}
	if strings.Count(n.out, "uid ") < 30 || n.err != "" {
		t.Errorf("not all of it ran: %v", n)
	}
}

func showProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(directory(t), "show")
	if out, err := exec.Command("gcc", "-O1", "-o", program, "guest/setid/show.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// TestSetIDForeign: whoever serves files, no set-id bits of his count.
func TestSetIDForeign(t *testing.T) {
	t.Parallel()
	need(t, "gcc", "setpriv", "mksquashfs", "squashfuse")
	dir := directory(t)
	image := filepath.Join(dir, "image")
	if out, err := exec.Command("sh", "-c", "chmod 4755 $0 && mksquashfs $0 $1 -quiet -all-root", showProgram(t), image).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r := under(t, "/", "", []string{"--user", "1000:1000", "--mount", "fuse:squashfuse -f " + image + ":/mnt"}, "sh", "-c", "stat -c %a%u /mnt/show; /mnt/show; grep -o 'nosuid' /proc/mounts | sort -u")
	if !strings.HasPrefix(r.out, "47550\nuid 1000 1000 1000 gid 1000 1000 1000 secure 0 ") {
		t.Error(r)
	}
}

// TestFUSEUser: an ordinary user of the box mounts and unmounts with fusermount,
// which is a set-user-id program, and what is not his stays.
func TestFUSEUser(t *testing.T) {
	t.Parallel()
	need(t, "bindfs", "fusermount3", "setpriv")
	helper, err := exec.LookPath("fusermount3")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(helper); err != nil || info.Mode()&os.ModeSetuid == 0 {
		t.Skipf("%s is no set-user-id program here: %v", helper, err)
	}
	dir := directory(t)
	conf := filepath.Join(dir, "fuse.conf")
	for _, c := range []struct{ conf, want string }{
		{"# nothing\n", `refused
hello
user_id=1000
by another: refused
by another: refused
unmounted
allow_other: refused
as root: hello
`},
		{"user_allow_other\n", `refused
hello
user_id=1000
by another: refused
by another: refused
unmounted
allow_other: mounted
by another: hello
as root: hello
`},
	} {
		if err := os.WriteFile(conf, []byte(c.conf), 0o644); err != nil {
			t.Fatal(err)
		}
		r := under(t, "/", "", []string{"--user", "0:0", "--mount", abs(t, "guest/fuse/user.sh") + ":/user.sh", "--mount", conf + ":/etc/fuse.conf"}, "sh", "/user.sh")
		if r.out != c.want || r.status != 0 {
			t.Errorf("%q: %v\nwant %s", c.conf, r, c.want)
		}
	}
}
