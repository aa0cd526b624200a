package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestStatus(t *testing.T) {
	dir := directory(t)
	plain := filepath.Join(dir, "plain")
	os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o644)
	broken := filepath.Join(dir, "broken")
	os.WriteFile(broken, []byte("\x7fELF nothing more"), 0o755)
	for _, c := range []struct {
		want  int
		flags []string
		argv  []string
	}{
		{0, nil, []string{"true"}},
		{1, nil, []string{"false"}},
		{7, nil, []string{"sh", "-c", "exit 7"}},
		{137, nil, []string{"sh", "-c", "kill -9 $$"}},
		{143, nil, []string{"sh", "-c", "kill $$"}},
		{127, nil, []string{"no-such-program"}},
		{127, nil, []string{"/no/such/program"}},
		{126, nil, []string{plain}},
		{126, nil, []string{broken}},
		{126, nil, []string{"/"}},
		{125, []string{"--mount", "nowhere"}, []string{"true"}},
		{125, []string{"--mount", "/no/such/dir:/mnt"}, []string{"true"}},
		{125, []string{"--mount", "/etc:mnt"}, []string{"true"}},
		{125, []string{"--mount", "/etc:/mnt:wo"}, []string{"true"}},
		{125, []string{"--env", "novalue"}, []string{"true"}},
		{125, []string{"--user", "me"}, []string{"true"}},
		{125, []string{"--timeout", "soon"}, []string{"true"}},
		{125, []string{"--log", "loud"}, []string{"true"}},
		{125, []string{"--tmpfs", "rel"}, []string{"true"}},
		{125, []string{"--cwd", "rel"}, []string{"true"}},
		{125, []string{"--cwd", "/no/such/dir"}, []string{"true"}},
		{125, []string{"--root", "/no/such/root"}, []string{"true"}},
		{125, []string{"--no-such-flag"}, []string{"true"}},
		{125, nil, nil},
		{124, []string{"--timeout", "100ms"}, []string{"sleep", "60"}},
	} {
		r := under(t, dir, "", c.flags, c.argv...)
		if r.status != c.want {
			t.Errorf("%v %v: status %d, want %d\n%v", c.flags, c.argv, r.status, c.want, r)
		}
		if c.want >= 124 && c.want <= 127 && (strings.Count(r.err, "\n") != 1 || !strings.HasPrefix(r.err, "hati: ")) {
			t.Errorf("%v %v: want one clear line, got %q", c.flags, c.argv, r.err)
		}
	}
}

func TestHostIsNeverWritten(t *testing.T) {
	dir := directory(t)
	file := filepath.Join(dir, "f")
	os.WriteFile(file, []byte("old"), 0o644)
	r := under(t, dir, "", nil, "sh", "-c", "echo new >f; echo more >g; mkdir d; cat f g; ls; rm f; ls")
	if r.out != "new\nmore\nd\nf\ng\nd\ng\n" || r.status != 0 {
		t.Error(r)
	}
	if b, _ := os.ReadFile(file); string(b) != "old" {
		t.Errorf("the host's file is %q", b)
	}
	if l, _ := os.ReadDir(dir); len(l) != 1 {
		t.Error("the host's directory has changed")
	}
}

func TestMounts(t *testing.T) {
	dir := directory(t)
	os.WriteFile(filepath.Join(dir, "f"), []byte("x\n"), 0o644)
	r := under(t, "/", "", []string{"--mount", dir + ":/m/ro", "--mount", dir + ":/m/rw:rw", "--mount", dir + ":/m/ov:overlay", "--tmpfs", "/m/tmp"},
		"sh", "-c", "cd /m; ls; cat ro/f; echo a >ro/g; echo b >ov/h; ls ov; echo c >rw/i; echo d >tmp/j; ls tmp ro")
	if want := "ov\nro\nrw\ntmp\nx\nf\nh\nro:\nf\n\ntmp:\nj\n"; r.out != strings.Replace(want, "ro:\nf\n", "ro:\nf\ni\n", 1) {
		t.Errorf("%v", r)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "i")); string(b) != "c\n" {
		t.Error("rw mount was not written")
	}
	if l, _ := os.ReadDir(dir); len(l) != 2 {
		t.Error("ro or overlay mount was written")
	}
}

func TestEnvironmentAndIdentity(t *testing.T) {
	r := under(t, "/", "", []string{"--clear-env", "--env", "A=1", "--env", "B=x y", "--env", "PATH=/bin:/usr/bin"}, "env")
	if r.out != "A=1\nB=x y\nPATH=/bin:/usr/bin\n" {
		t.Error(r)
	}
	r = under(t, "/", "", []string{"--user", "123:456", "--hostname", "box", "--cwd", "/usr"}, "sh", "-c", "id -u; id -g; uname -n; pwd; echo $$")
	if r.out != "123\n456\nbox\n/usr\n2\n" {
		t.Error(r)
	}
}

func TestStreamsKeepTheirOffsets(t *testing.T) {
	dir := directory(t)
	out, err := os.OpenFile(filepath.Join(dir, "out"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	out.WriteString("before\n")
	cmd := exec.Command(hati, "run", "--", "sh", "-c", "echo inside; echo error >&2")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	out.WriteString("after\n")
	if b, _ := os.ReadFile(out.Name()); string(b) != "before\ninside\nerror\nafter\n" {
		t.Errorf("%q", b)
	}
	if r := under(t, "/", "one\ntwo\n", nil, "sh", "-c", "read a; cat; echo $a"); r.out != "two\none\n" {
		t.Error(r)
	}
}

func TestSecretsLookEmpty(t *testing.T) {
	home := filepath.Join(directory(t), "home")
	if err := os.MkdirAll(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(home, ".ssh", "id"), []byte("secret"), 0o600)
	os.WriteFile(filepath.Join(home, ".netrc"), []byte("secret"), 0o600)
	t.Setenv("HOME", home)
	r := under(t, home, "", nil, "sh", "-c", "ls -A .ssh; cat .ssh/id .netrc")
	if strings.Contains(r.out, "secret") || r.status == 0 {
		t.Error(r)
	}
	r = under(t, home, "", []string{"--mount", home + "/.ssh:" + home + "/.ssh"}, "cat", ".ssh/id")
	if r.out != "secret" {
		t.Error(r)
	}
}

func TestNoNetworkAndNoHostDevices(t *testing.T) {
	r := under(t, "/", "", nil, "sh", "-c", "ls /dev | tr '\\n' ' '; head -c 4 /dev/zero | od -An -tx1; echo x >/dev/full")
	if !strings.Contains(r.out, "null") || strings.Contains(r.out, "vda") || !strings.Contains(r.out, "00 00 00 00") {
		t.Error(r)
	}
}

func TestTraceOfKilledCall(t *testing.T) {
	r := under(t, "/", "", []string{"--trace", "-"}, compiled(t, "stress/killed.c"))
	if strings.Contains(r.out+r.err, "EIO") || !strings.Contains(r.out+r.err, "= ?\n") || r.status != 0 {
		t.Error(r)
	}
}
