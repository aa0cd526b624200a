package confine_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hati-os/hati/internal/confine"
)

// The probe is built without cgo, which go test may use.
func TestConfinement(t *testing.T) {
	if confine.LandlockVersion() < 5 {
		t.Skip("the host has no Landlock, or an old one")
	}
	work := t.TempDir()
	probe := filepath.Join(work, "probe")
	build := exec.Command("go", "build", "-o", probe, "./probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dir := filepath.Join(work, "dir")
	for name, text := range map[string]string{"dir/f": "inside", "outside": "outside"} {
		os.MkdirAll(dir, 0o755)
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../outside", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	const inside = "read=ok list=ok write=ok rename=ok "
	const files = "passwd=EACCES root=EACCES outside=EACCES link=EACCES "
	for how, want := range map[string]string{
		"read":   "read=ok list=ok write=EACCES rename=E* " + files + "device=E* exec=EACCES socket=ok connect=EACCES unix=ENOENT kill=ok memfd=ok ",
		"write":  inside + files + "device=E* exec=EACCES socket=ok connect=EACCES unix=ENOENT kill=ok memfd=ok ",
		"thread": inside + files + "device=E* exec=EACCES socket=ok connect=EACCES unix=ENOENT kill=ok memfd=ok ",
		"calls":  inside + files + "device=E* exec=E* socket=EPERM unix=EPERM kill=EPERM memfd=ok ",
	} {
		out, err := exec.Command(probe, how, dir).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", how, err, out)
			continue
		}
		lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		if len(lines) != 4 {
			t.Errorf("%s: %q", how, lines)
		}
		for _, line := range lines {
			if !matches(line, want) {
				t.Errorf("%s:\n got %s\nwant %s", how, line, want)
			}
		}
	}
}

// TestSockets: what is left of sockets.
func TestSockets(t *testing.T) {
	if confine.LandlockVersion() < 5 {
		t.Skip("the host has no Landlock, or an old one")
	}
	probe := filepath.Join(t.TempDir(), "probe")
	build := exec.Command("go", "build", "-o", probe, "./probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for how, want := range map[string]string{
		"network": "unix=EPERM inet=ok inet6=E* packet=EPERM pair=ok fastopen=E* send=EPIPE bind=ok listen=ok connect=E* passwd=EACCES kill=EPERM",
		"sockets": "unix=EPERM inet=EPERM inet6=EPERM packet=EPERM pair=ok fastopen=EPERM send=EPIPE bind=EPERM listen=EPERM connect=EPERM passwd=ok kill=ok",
		"sockets of files": "unix=ok inet=EPERM inet6=EPERM packet=EPERM pair=ok fastopen=EPERM send=EPIPE bind=EPERM listen=EPERM " +
			"connect=ECONNREFUSED passwd=ok kill=ok",
	} {
		out, err := exec.Command(probe, how, "").CombinedOutput()
		if line := strings.TrimSuffix(string(out), "\n"); err != nil || !matches(strings.Replace(line, "inet6=ok", "inet6=Eok", 1), want) {
			t.Errorf("%s: %v\n got %s\nwant %s", how, err, line, want)
		}
	}
}

// matches compares, where E* is any error.
func matches(line, want string) bool {
	a, b := strings.Fields(line), strings.Fields(want)
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		what, any := strings.CutSuffix(b[i], "E*")
		if a[i] != b[i] && !(any && strings.HasPrefix(a[i], what) && a[i] != what+"ok") {
			return false
		}
	}
	return true
}
