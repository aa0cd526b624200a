package test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// File systems that keep their data elsewhere or otherwise: encrypted, in an
// image, in an archive. Most are on libfuse 2, which knows no descriptors.

// noModes are answers of a file system without owners and modes.
var noModes = map[string]string{"777 6 regular file": "600 6 regular file"}

var storageDaemons = []fuseDaemon{
	{name: "gocryptfs", command: "gocryptfs -q -fg -extpass 'echo secret' BACK {}", needs: []string{"gocryptfs", "fusermount3"},
		prepare: "gocryptfs -q -init -extpass 'echo secret' BACK"},
	{name: "encfs", command: "sh -c 'echo secret | encfs -f --standard -S BACK {}'", needs: []string{"encfs"}},
	{name: "ntfs-3g", command: "ntfs-3g -o no_detach IMAGE {}", needs: []string{"ntfs-3g"}, known: noModes,
		prepare: "truncate -s 64M IMAGE && /sbin/mkntfs -q -F IMAGE"},
	{name: "unionfs", command: "unionfs -f BACK=RW {}", needs: []string{"unionfs"}},
	{name: "mergerfs", command: "mergerfs -f BACK {}", needs: []string{"mergerfs"}},
	{name: "auto_unmount", command: "bindfs -f -o auto_unmount BACK {}", needs: []string{"bindfs", "fusermount"}},
}

func TestFUSEStorage(t *testing.T) {
	t.Parallel()
	want := plainOps(t)
	for _, d := range storageDaemons {
		t.Run(d.name, func(t *testing.T) {
			if d.name == "auto_unmount" && os.Geteuid() != 0 {
				t.Skip("fusermount refuses the allow_other that bindfs asks for")
			}
			d.onHost(t, want)
		})
	}
}

// TestFUSEHostPID: a daemon on the host looks processes up there, by the pid in
// each request (fuse_req_getgroups): those of the box are no use to it.
func TestFUSEHostPID(t *testing.T) {
	t.Parallel()
	d := fuseDaemons[0]
	programs := fusePrograms(t, &d)
	if os.Getpid() < 100 {
		t.Skip("small numbers could be the host's")
	}
	r := under(t, "/", "", []string{"--mount", "fuse:" + programs + "/passthrough_ll -d -o source=" + programs + " {}:/mnt"}, "ls", "/mnt/none")
	pids := regexp.MustCompile(`opcode: LOOKUP .*pid: (\d+)`).FindAllStringSubmatch(r.err, -1)
	if len(pids) == 0 {
		t.Fatal(r)
	}
	for _, m := range pids {
		if len(m[1]) < 3 {
			t.Errorf("a request of process %s", m[1])
		}
	}
}

// TestFUSEArchive: what was written to an archive by way of its daemon is in it
// afterwards: a daemon has the time to store what it has.
func TestFUSEArchive(t *testing.T) {
	t.Parallel()
	need(t, "fuse-zip")
	archive := filepath.Join(directory(t), "x.zip")
	mount := []string{"--mount", "fuse:fuse-zip -f " + archive + ":/mnt"}
	for _, c := range [][2]string{
		{"mkdir -p /mnt/a/b && echo hello >/mnt/a/b/f && mv /mnt/a/b/f /mnt/a/g && ls -R /mnt", "/mnt:\na\n\n/mnt/a:\nb\ng\n\n/mnt/a/b:\n"},
		{"cat /mnt/a/g; rm -r /mnt/a; ls /mnt", "hello\n"},
	} {
		if r := under(t, "/", "", mount, "sh", "-c", c[0]); r.out != c[1] || r.status != 0 {
			t.Errorf("%s: %v\nwant %s", c[0], r, c[1])
		}
	}
}
