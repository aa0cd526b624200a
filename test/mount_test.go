package test

import (
	"os"
	"os/exec"
	"testing"
)

// TestMountCalls compares mount(2) and umount2(2) of root, and util-linux's
// programs, with those in a mount namespace of the host's, where there is one to
// be had.
func TestMountCalls(t *testing.T) {
	t.Parallel()
	need(t, "python3", "unshare")
	if os.Geteuid() != 0 || exec.Command("unshare", "-m", "true").Run() != nil {
		t.Skip("no mount namespaces to compare with")
	}
	for _, name := range []string{"calls.py", "move.py"} {
		script := abs(t, "guest/mount/"+name)
		dir := directory(t)
		n := native(t, "/", "", "unshare", "-m", "python3", script, dir)
		h := under(t, "/", "", []string{"--user", "0:0", "--mount", abs(t, "guest/mount") + ":" + abs(t, "guest/mount"), "--tmpfs", dir}, "python3", script, dir)
		if n != h {
			t.Errorf("%s\n=== natively: %v\n=== under hati: %v", name, n, h)
		}
	}
}

// TestMountFixed: what the configuration has mounted cannot be taken away or
// looked behind, and ordinary users mount nothing.
func TestMountFixed(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	dir := directory(t)
	script := abs(t, "guest/mount/fixed.py")
	r := under(t, "/", "", []string{"--user", "0:0", "--mount", abs(t, "guest/mount") + ":" + abs(t, "guest/mount"), "--mount", dir + ":/fixed/ro"}, "python3", script)
	const want = `umount fixed: EPERM
lazily: EPERM
remount writable: EPERM
bind what it covers: EINVAL
bind with what is below: ok
written through the bind: EROFS
bind made writable: EPERM
as a user: EPERM
`
	if r.out != want || r.status != 0 {
		t.Errorf("%v\nwant %s", r, want)
	}
}
