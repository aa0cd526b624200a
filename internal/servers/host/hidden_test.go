package host_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func names(list []vfs.Dirent) string {
	s := ""
	for _, e := range list {
		s += e.Name + " "
	}
	return s
}

func TestHidden(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "home", ".ssh", "id", "SECRET")
	writeFile(t, dir, "home", ".netrc", "SECRET")
	writeFile(t, dir, "home", ".config", "gh", "token", "SECRET")
	writeFile(t, dir, "home", ".config", "other", "plain")
	writeFile(t, dir, "real", "key", "SECRET")
	os.Symlink("../real", filepath.Join(dir, "home/.linked"))
	os.Link(filepath.Join(dir, "home/.netrc"), filepath.Join(dir, "home/alias"))
	root, _ := serve(t, dir, host.Options{Hidden: []string{
		"/home/.ssh", "/home/.netrc", "/home/.config/gh/", "/home/.linked", "/home/.later", "/none/such",
	}}).Root(ctx)
	home := must[vfs.Node](t)(walk(root, "home"))

	for _, path := range []string{"home/.ssh", "home/.config/gh", "real"} {
		n := must[vfs.Node](t)(walk(root, path))
		if a := must[vfs.Attr](t)(n.Stat(ctx)); !a.IsDir() {
			t.Errorf("%s: %+v", path, a)
		}
		if l := list(t, n, 10); len(l) != 0 {
			t.Errorf("%s has %v", path, l)
		}
		for _, name := range []string{"id", "token", "key"} {
			_, err := walk(n, name)
			want(t, path, err, syscall.ENOENT)
		}
		_, err := vfs.Make(ctx, n, "x", mine(unix.S_IFREG|0o644))
		want(t, path+": make", err, syscall.EACCES)
		want(t, path+": chmod", vfs.SetAttributes(ctx, n, nil, vfs.SetAttr{Valid: vfs.SetMode, Mode: 0o777}), syscall.EACCES)
		want(t, path+": setxattr", vfs.Setxattr(ctx, n, "user.x", nil, 0), syscall.EACCES)
		want(t, path+": rename into", vfs.Rename(ctx, home, "alias", n, "x", 0), syscall.EACCES)
		if again := must[vfs.Node](t)(walk(root, path)); again != n {
			t.Errorf("%s: another node", path)
		}
	}
	for _, path := range []string{"home/.netrc", "home/alias", "home/.linked"} {
		_, err := walk(root, path)
		want(t, path, err, syscall.ENOENT)
	}
	if got := names(list(t, home, 2)); strings.Contains(got, ".netrc") || strings.Contains(got, "alias") ||
		strings.Contains(got, ".linked") || !strings.Contains(got, ".ssh") || !strings.Contains(got, ".config") {
		t.Errorf("home has %s", got)
	}
	if got := readAll(t, must[vfs.Node](t)(walk(root, "home/.config/other"))); got != "plain" {
		t.Errorf("%q", got)
	}
	for what, c := range map[string]struct{ err, errno error }{
		"make":       {second(vfs.Make(ctx, home, ".later", mine(unix.S_IFDIR|0o755))), syscall.EACCES},
		"link":       {vfs.Link(ctx, home, must[vfs.Node](t)(walk(root, "home/.config/other")), ".later"), syscall.EACCES},
		"rename to":  {vfs.Rename(ctx, home, ".config", home, ".later", 0), syscall.EACCES},
		"rename":     {vfs.Rename(ctx, home, ".ssh", root, "x", 0), syscall.EBUSY},
		"by link":    {vfs.Rename(ctx, home, "alias", root, "x", 0), syscall.EBUSY},
		"of parent":  {vfs.Rename(ctx, home, ".config", root, "x", 0), syscall.EBUSY},
		"of home":    {vfs.Rename(ctx, root, "home", root, "x", 0), syscall.EBUSY},
		"exchange":   {vfs.Rename(ctx, root, "real", home, "y", unix.RENAME_EXCHANGE), syscall.EBUSY},
		"rmdir":      {vfs.Remove(ctx, home, ".ssh", true), syscall.EBUSY},
		"unlink":     {vfs.Remove(ctx, home, ".netrc", false), syscall.EBUSY},
		"open write": {second(vfs.Open(ctx, must[vfs.Node](t)(walk(root, "home/.ssh")), unix.O_WRONLY)), syscall.EISDIR},
	} {
		want(t, what, c.err, c.errno)
	}

	// What comes later, by the host's hand, is hidden too.
	writeFile(t, dir, "home", ".later", "f", "SECRET")
	_, err := walk(root, "home/.later/f")
	want(t, "made later", err, syscall.ENOENT)
	os.Remove(filepath.Join(dir, "home/.netrc"))
	writeFile(t, dir, "home", ".netrc", "SECRET")
	_, err = walk(root, "home/.netrc")
	want(t, "made anew", err, syscall.ENOENT)
	// And by another way: the host renames a directory above, and the node of it
	// is known.
	runtime.GC() // also when nobody has held it since
	os.Rename(filepath.Join(dir, "home/.config"), filepath.Join(dir, "elsewhere"))
	os.RemoveAll(filepath.Join(dir, "elsewhere/gh"))
	writeFile(t, dir, "elsewhere", "gh", "new", "SECRET")
	_, err = walk(root, "elsewhere/gh/new")
	want(t, "moved by the host", err, syscall.ENOENT)
}

func second[T any](_ T, err error) error { return err }

// A home that is reached through links on the host is hidden where it is.
func TestHiddenBehindLinks(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "var", "home", "u", "f", "plain")
	os.Symlink("var/home", filepath.Join(dir, "home"))
	alias := filepath.Join(t.TempDir(), "alias")
	os.Symlink(dir, alias)
	for _, by := range []string{dir, alias} {
		root, _ := serve(t, by, host.Options{ReadOnly: true, Hidden: host.SecretPaths("/home/u")}).Root(ctx)
		os.RemoveAll(filepath.Join(dir, "var/home/u/.ssh"))
		writeFile(t, dir, "var", "home", "u", ".ssh", "id", "SECRET")
		if l := list(t, must[vfs.Node](t)(walk(root, "var/home/u/.ssh")), 10); len(l) != 0 {
			t.Errorf("served as %s: %v", by, l)
		}
	}
}

func TestSecretPaths(t *testing.T) {
	list := host.SecretPaths("/home/u")
	seen := map[string]bool{}
	for _, p := range list {
		if !strings.HasPrefix(p, "/home/u/") || p != filepath.Clean(p) || seen[p] {
			t.Errorf("bad entry %s", p)
		}
		seen[p] = true
	}
	for _, p := range []string{".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".config/gcloud", ".config/gh", ".netrc", ".npmrc",
		".pypirc", ".git-credentials", ".password-store", ".mozilla", ".config/google-chrome", ".config/chromium",
		".config/BraveSoftware", ".config/microsoft-edge", ".local/share/keyrings", ".bash_history"} {
		if !seen["/home/u/"+p] {
			t.Errorf("%s is missing", p)
		}
	}
	for _, p := range host.MachineSecretPaths() {
		if !filepath.IsAbs(p) || p != filepath.Clean(p) || seen[p] {
			t.Errorf("bad entry %s", p)
		}
		seen[p] = true
	}
}
