package test

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every kind of server does in a process of its own what it does in hati's.
func TestServedKinds(t *testing.T) {
	need(t, "python3")
	dir := directory(t)
	tree := func(name string) string {
		d := filepath.Join(dir, name)
		os.RemoveAll(d)
		os.MkdirAll(filepath.Join(d, "sub"), 0o755)
		os.WriteFile(filepath.Join(d, "f"), []byte(name+"\n"), 0o644)
		os.WriteFile(filepath.Join(d, "sub/"+name), []byte("in "+name+"\n"), 0o644)
		return d
	}
	archive := filepath.Join(dir, "a.zip")
	makeZip(t, archive)
	const files = `cd /mnt; cat f sub/*; ls -l | cut -c1-10; echo new > g; cat g; mkdir d; mv g d/h; cat d/h; rm f; ls; ln -s x y; readlink y; echo more >> sub/*; cat sub/*
		python3 -c 'import mmap,os; f=open("m","w+b"); f.write(b"x"*5000); f.flush(); m=mmap.mmap(f.fileno(),0); m[3]=65; m.flush(); print(os.pread(f.fileno(),5,1))'; stat -c '%F %a %s' m d`
	const reads = `cd /mnt; find . | sort; cat f sub/g; wc -c sub/g; echo x > f 2>/dev/null || echo refused`
	const devices = `cd /mnt; echo x > null; wc -c < null; head -c 5 zero | od -c; echo x > full || echo full; head -c 20 urandom | wc -c; stat -c '%t %T %a' null zero full`
	terminals := `cd /mnt; python3 -c '` + terminalScript + `'`
	for _, c := range []struct {
		name   string
		mount  func() []string // in hati's process; nil: there is no such mount, but want
		args   func() []string
		script string
		want   string
	}{
		{"host", func() []string { return []string{"--mount", tree("a") + ":/mnt:rw"} },
			func() []string { return []string{"host", tree("a")} }, files, ""},
		{"host read-only", func() []string { return []string{"--mount", tree("a") + ":/mnt"} },
			func() []string { return []string{"host", tree("a"), "--read-only"} }, `cd /mnt; cat f; echo x > f 2>/dev/null || echo refused`, ""},
		{"overlay", func() []string { return []string{"--mount", tree("a") + ":/mnt:overlay"} },
			func() []string { return []string{"overlay", tree("a")} }, files, ""},
		{"overlay, upper", nil, func() []string {
			up := filepath.Join(dir, "up")
			os.RemoveAll(up)
			os.Mkdir(up, 0o755)
			return []string{"overlay", "--upper", up, tree("a")}
		}, `cd /mnt; echo x >> f; cat f; rm sub/a; ls sub`, "a\nx\n"},
		{"tmp", func() []string { return []string{"--tmpfs", "/mnt"} }, func() []string { return []string{"tmp"} },
			`cd /mnt; mkdir sub; echo a > f; echo b > sub/b; ` + files, ""},
		{"zip", nil, func() []string { return []string{"zip", archive} }, reads, ".\n./f\n./sub\n./sub/g\nzipped\n" + strings.Repeat("g", 5000) + "5000 sub/g\nrefused\n"},
		{"dev", func() []string { return []string{"--mount", "/dev:/nowhere"} }, func() []string { return []string{"dev"} }, devices, ""},
		{"pts", func() []string { return nil }, func() []string { return []string{"pts"} }, terminals, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := result{out: c.want}
			if c.mount != nil {
				script := c.script
				switch c.name {
				case "dev":
					script = strings.Replace(script, "/mnt", "/dev", 1)
				case "pts":
					script = strings.Replace(script, "/mnt", "/dev/pts", 1)
				}
				flags := c.mount()
				if c.name == "dev" {
					flags = nil
				}
				want = under(t, dir, "", flags, "sh", "-c", script)
				if want.out == "" {
					t.Fatal(want)
				}
			}
			socket, _ := serve(t, c.args()...)
			got := under(t, dir, "", []string{"--mount", "lane:" + socket + ":/mnt"}, "sh", "-c", c.script)
			if c.mount == nil {
				got.err, got.status = "", 0
			}
			if got.out != want.out || got.status != want.status {
				t.Errorf("=== in a process of its own: %v\n=== in hati's: %v", got, want)
			}
		})
	}
}

// terminalScript uses a new pseudo-terminal of the current directory: a session with
// job control on it, whose foreground group gets what ^C says, and a hangup.
const terminalScript = `
import os, signal, termios, fcntl, struct, select
m = os.open("ptmx", os.O_RDWR | os.O_NOCTTY)
fcntl.ioctl(m, 0x40045431, struct.pack("i", 0))
n = struct.unpack("i", fcntl.ioctl(m, 0x80045430, struct.pack("i", 0)))[0]
pid = os.fork()
if pid == 0:
    os.close(m)
    os.setsid()
    s = os.open(str(n), os.O_RDWR)
    def interrupted(*_):
        os.write(s, b"interrupted\n")
    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGHUP, lambda *_: os._exit(7))
    print(os.tcgetpgrp(s) == os.getpid(), os.isatty(s), flush=True)
    t = os.open("/dev/tty", os.O_RDWR)
    os.write(t, b"ready\n")
    line = os.read(s, 100)
    os.write(s, b"got " + line)
    a = termios.tcgetattr(s)
    a[3] &= ~(termios.ICANON | termios.ECHO)
    a[6][termios.VMIN], a[6][termios.VTIME] = 3, 0
    termios.tcsetattr(s, termios.TCSANOW, a)
    os.write(s, b"raw\n")
    os.write(s, os.read(s, 10) + b"\n")
    while True:
        signal.pause()
def expect(what):
    got = b""
    while what not in got:
        got += os.read(m, 100)
    print(got, flush=True)
expect(b"ready\r\n")
os.write(m, b"\x03")
expect(b"interrupted\r\n")
os.write(m, b"hello\n")
expect(b"raw\r\n")
os.write(m, b"abc")
expect(b"abc\r\n")
print(select.select([m], [], [], 0)[0] == [])
os.close(m)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`

func makeZip(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	for name, content := range map[string]string{"f": "zipped\n", "sub/g": strings.Repeat("g", 5000)} {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

// A FUSE daemon is served, too.
func TestServedFUSE(t *testing.T) {
	need(t, "bindfs")
	dir := directory(t)
	os.WriteFile(filepath.Join(dir, "f"), []byte("by bindfs\n"), 0o644)
	socket, _ := serve(t, "fuse", "bindfs -f "+dir)
	r := under(t, dir, "", []string{"--mount", "lane:" + socket + ":/mnt"}, "sh", "-c", "cat /mnt/f; echo new > /mnt/g; mv /mnt/g /mnt/h; ls /mnt")
	if want := "by bindfs\nf\nh\n"; r.out != want || r.status != 0 {
		t.Errorf("%v, want %q", r, want)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "h")); string(b) != "new\n" {
		t.Errorf("the host's file holds %q", b)
	}
}

// The help lists every kind; a wrong one is told what there is.
func TestServeHelp(t *testing.T) {
	out, _ := exec.Command(hati, "serve", "--help").CombinedOutput()
	for _, kind := range []string{"host DIR", "overlay", "tmp", "zip FILE", "dev", "pts", "fuse COMMAND"} {
		if !strings.Contains(string(out), kind) {
			t.Errorf("the help does not tell of %s: %s", kind, out)
		}
	}
	out, err := exec.Command(hati, "serve", "nothing", "--listen", filepath.Join(directory(t), "s")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "there are host, overlay") {
		t.Errorf("%v: %s", err, out)
	}
}
