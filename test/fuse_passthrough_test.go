package test

import (
	"os"
	"strings"
	"testing"
)

// TestFUSEPassthrough: a daemon in the box that lets its files through, which
// are the box's own or the host's; and by the kernel.
func TestFUSEPassthrough(t *testing.T) {
	t.Parallel()
	d := fuseDaemons[len(fuseDaemons)-1]
	programs := fusePrograms(t, &d)
	script := abs(t, "guest/fuse/passthrough.py")
	plain := directory(t)
	want := native(t, plain, "", "python3", script, plain).out
	if !strings.Contains(want, "created") && !strings.Contains(want, "new") {
		t.Fatal("natively: ", want)
	}
	back := directory(t)
	for _, c := range []struct{ name, dir, without string }{
		{"box's files", "/tmp/back", ""}, {"host's files", back, ""}, {"not let through", "/tmp/back", " 0x2000000000"},
	} {
		if c.dir == back && os.Geteuid() != 0 {
			continue // the daemon gives files to who made them, which the host allows to root only
		}
		os.RemoveAll(back)
		if err := os.Mkdir(back, 0o755); err != nil {
			t.Fatal(err)
		}
		r := under(t, "/", "", []string{"--user", "0:0", "--mount", script + ":/p.py", "--mount", programs + ":" + programs, "--mount", back + ":" + back + ":rw"},
			"sh", "-c", "mkdir /tmp/m /tmp/back; $0 & until grep -q ' /tmp/m fuse' /proc/mounts; do sleep 0.02; done; python3 /p.py /tmp/m && umount /tmp/m && wait",
			programs+"/loopback /tmp/m "+c.dir+c.without)
		if r.out != want || r.status != 0 {
			t.Errorf("%s: %v\nwant %s", c.name, r, want)
		}
	}
	if dir, _ := kernelFUSE(t, programs+"/loopback {} BACK >/dev/null 2>&1 & until grep -q {} /proc/mounts; do kill -0 $! || exit; sleep 0.02; done"); dir != "" {
		if r := native(t, dir, "", "python3", script, dir); r.out != want {
			t.Errorf("by the kernel: %v\nwant %s", r, want)
		}
	}
}
