package hati

import (
	"strings"
	"testing"
)

func TestRemoteMount(t *testing.T) {
	const info = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:20 / /home rw - nfs4 server:/home rw
24 22 0:21 / /mnt/my\040disk rw - fuse.sshfs a:/ rw
25 22 0:22 / /srv rw - nfs server:/srv rw
26 22 0:23 / /srv rw - tmpfs tmpfs rw
27 22 0:24 / /srv/a rw - xfs /dev/b rw
`
	for dir, want := range map[string]bool{
		"/": true, "/usr": false, "/home": true, "/home/me": true, "/homes": false, "/mnt": true, "/mnt/my disk": true,
		"/mnt/my": false, "/srv/a": false, "/srv/b": false,
	} {
		if got := remoteMount(dir, strings.NewReader(info)); got != want {
			t.Errorf("%s: %v, want %v", dir, got, want)
		}
	}
	if !remoteMount("/usr", strings.NewReader("nonsense\n")) {
		t.Error("what cannot be read is taken for local")
	}
}
