package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Shared maps of files of FUSE daemons. A plain directory says what is right, and
// the kernel's FUSE, where the tests may use that.

const (
	mapsScript     = "guest/fuse/maps.py"
	programsScript = "guest/fuse/programs.sh"
	mapErrors      = "guest/fuse/maperrors.py"
)

// kernelFUSE mounts a daemon by way of the host's kernel and returns where, and
// what it shows there; "" where that is not possible.
func kernelFUSE(t *testing.T, command string, env ...string) (dir, back string) {
	t.Helper()
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil || os.Getuid() != 0 {
		f.Close()
		return "", ""
	} else {
		f.Close()
	}
	dir, back = directory(t), directory(t)
	cmd := exec.Command("sh", "-c", strings.NewReplacer("BACK", back, "{}", dir, " -f ", " ").Replace(command))
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil { // it is in the background when it is mounted
		t.Logf("no mount of the kernel's: %v %s", err, out)
		return "", ""
	}
	t.Cleanup(func() {
		if out, err := exec.Command("fusermount3", "-u", dir).CombinedOutput(); err != nil {
			t.Errorf("unmounting: %v %s", err, out)
		}
	})
	return dir, back
}

func TestFUSEMaps(t *testing.T) {
	t.Parallel()
	plain := directory(t)
	want := native(t, plain, "", "python3", abs(t, mapsScript), plain).out
	if !strings.Contains(want, "mapped over") {
		t.Fatal("natively: ", want)
	}
	for _, d := range fuseDaemons {
		if d.name == "sshfs" { // it has no such thing as a file that was removed
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			programs := fusePrograms(t, &d)
			if d.name != "bindfs" && d.name != "fuse2fs" {
				back := directory(t)
				command := strings.NewReplacer("WORK", programs, "BACK", back).Replace(d.command)
				r := under(t, "/", "", []string{"--mount", "fuse:" + command + ":/mnt/fuse", "--mount", back + ":/back", "--mount", abs(t, mapsScript) + ":/maps.py"},
					"python3", "/maps.py", "/mnt/fuse", "/back")
				if r.out != want || r.status != 0 {
					t.Errorf("on the host: %v\nwant %s", r, want)
				}
			}
			if d.name != "fuse2fs" {
				command := strings.NewReplacer("WORK", programs, "BACK", "/tmp/back", "{}", "/tmp/m").Replace(d.command)
				r := under(t, "/", "", []string{"--user", "0:0", "--mount", abs(t, mapsScript) + ":/maps.py", "--mount", programs + ":" + programs},
					"sh", "-c", "mkdir /tmp/m /tmp/back; $0 >/dev/null & until grep -q ' /tmp/m fuse' /proc/mounts; do sleep 0.02; done; python3 /maps.py /tmp/m /tmp/back && umount /tmp/m && wait", command)
				want := want
				if d.name == "go-fuse" {
					// It lets its files through (passthrough), which there are in a tmpfs.
					want = strings.ReplaceAll(want, `nothing of that stays b'..\x00\x00\x00\x00' b'..\x00\x00\x00\x00'`, `nothing of that stays b'..\x00xx\x00' b'..\x00xx\x00'`)
				}
				if r.out != want || r.status != 0 {
					t.Errorf("in the box: %v\nwant %s", r, want)
				}
			}
			if d.name == "libfuse-lowlevel" {
				if dir, back := kernelFUSE(t, strings.ReplaceAll(d.command, "WORK", programs)); dir != "" {
					if r := native(t, dir, "", "python3", abs(t, mapsScript), dir, back); r.out != want {
						t.Errorf("by the kernel: %v\nwant %s", r, want)
					}
				}
			}
		})
	}
}

// TestFUSEMapPrograms: sqlite's write-ahead log, git, ld.
func TestFUSEMapPrograms(t *testing.T) {
	t.Parallel()
	need(t, "sqlite3", "git", "gcc")
	d := fuseDaemons[0]
	programs := fusePrograms(t, &d)
	plain := directory(t)
	want := native(t, plain, "", "sh", abs(t, programsScript), plain).out
	command := strings.NewReplacer("WORK", programs, "BACK", directory(t)).Replace(d.command)
	r := under(t, "/", "", []string{"--mount", "fuse:" + command + ":/mnt/fuse", "--mount", abs(t, programsScript) + ":/programs.sh"},
		"sh", "/programs.sh", "/mnt/fuse")
	if r.out != want {
		t.Errorf("%v\nwant %s", r, want)
	}
}

// badWrites builds libfuse's example with write-backs that fail.
func badWrites(t *testing.T) string {
	t.Helper()
	need(t, "pkg-config", "gcc", "fusermount3")
	const examples = "/usr/share/doc/libfuse3-dev/examples"
	dir := directory(t)
	script := `awk '{ print } /^static void lo_write_buf/ { in_it = 1 } in_it && /^{/ { print "if (fi->writepage) { fuse_reply_err(req, atoi(getenv(\"WRITE_ERROR\"))); return; }"; in_it = 0 }' $2/passthrough_ll.c >$1/bad.c &&
gcc -O1 -w -I$2 -DHAVE_UTIMENSAT -DHAVE_POSIX_FALLOCATE -DHAVE_SETXATTR -o $1/bad $1/bad.c $(pkg-config fuse3 --cflags --libs)`
	if out, err := exec.Command("sh", "-c", script, "sh", dir, examples).CombinedOutput(); err != nil {
		t.Skipf("%v %s (run test/setup.sh)", err, out)
	}
	return filepath.Join(dir, "bad")
}

func TestFUSEMapErrors(t *testing.T) {
	t.Parallel()
	bad := badWrites(t)
	for _, errno := range []string{"5", "28", "122"} {
		dir, _ := kernelFUSE(t, bad+" -f -o source=BACK {}", "WRITE_ERROR="+errno)
		if dir == "" {
			t.Skip("needs the kernel's FUSE to compare with")
		}
		want := native(t, dir, "", "python3", abs(t, mapErrors), dir).out
		r := under(t, "/", "", []string{"--mount", "fuse:env WRITE_ERROR=" + errno + " " + bad + " -f -o source=" + directory(t) + ":/mnt/fuse", "--mount", abs(t, mapErrors) + ":/e.py"},
			"python3", "/e.py", "/mnt/fuse")
		if r.out != want || !strings.Contains(want, "msync") {
			t.Errorf("%v\nby the kernel %s", r, want)
		}
	}
}

// TestFUSEMapStopped: a daemon that is stopped keeps nobody who has stored to a
// map, and gets what was stored when it goes on.
func TestFUSEMapStopped(t *testing.T) {
	t.Parallel()
	d := fuseDaemons[0]
	programs := fusePrograms(t, &d)
	r := under(t, "/", "", []string{"--user", "0:0", "--mount", abs(t, "guest/fuse/mapstopped.sh") + ":/stopped.sh", "--mount", programs + ":" + programs},
		"bash", "/stopped.sh", programs+"/passthrough_ll")
	want := ""
	for _, how := range []string{"msync", "munmap", "fsync", "close"} {
		want += how + ": 9\nwritten back by itself\n"
	}
	want += "exit: 0\nunmounted\n"
	if r.out != want {
		t.Errorf("%v\nwant %s", r, want)
	}
}
