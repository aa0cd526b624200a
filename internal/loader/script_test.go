package loader_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/loader"
)

// showArgs makes the test program print its arguments: it is the interpreter
// of scripts that the host runs.
const showArgs = "HATI_TEST_SHOW_ARGS"

func TestMain(m *testing.M) {
	if os.Getenv(showArgs) != "" {
		for _, a := range os.Args {
			fmt.Printf("%q\n", a)
		}
		return
	}
	os.Exit(m.Run())
}

var longPath = "/" + strings.Repeat("p", 300)

var scripts = []struct {
	name, head string
	interp     string
	args       []string
	ok         bool
	err        error
}{
	{name: "empty"},
	{name: "one byte", head: "#"},
	{name: "text", head: "echo hello\n"},
	{name: "not at the start", head: " #!/bin/sh\n"},
	{name: "usual", head: "#!/bin/sh\necho\n", interp: "/bin/sh", ok: true},
	{name: "without a newline", head: "#!/bin/sh", interp: "/bin/sh", ok: true},
	{name: "blank before", head: "#! \t/bin/sh\n", interp: "/bin/sh", ok: true},
	{name: "blank after", head: "#!/bin/sh \t \n", interp: "/bin/sh", ok: true},
	{name: "argument", head: "#!/bin/sh -e\n", interp: "/bin/sh", args: []string{"-e"}, ok: true},
	{name: "one argument with blanks", head: "#!/usr/bin/env \t python3 -u  x \t\n", interp: "/usr/bin/env", args: []string{"python3 -u  x"}, ok: true},
	{name: "carriage return", head: "#!/bin/sh\r\n", interp: "/bin/sh\r", ok: true},
	{name: "relative", head: "#!sh\n", interp: "sh", ok: true},
	{name: "nothing", head: "#!\n", ok: true, err: syscall.ENOEXEC},
	{name: "only the mark", head: "#!", ok: true},
	{name: "only blanks", head: "#!  \t \n", ok: true, err: syscall.ENOEXEC},
	{name: "NUL in the name", head: "#!/bin/sh\x00x y\n", interp: "/bin/sh", ok: true},
	{name: "NUL in the argument", head: "#!/bin/sh a\x00b\n", interp: "/bin/sh", args: []string{"a"}, ok: true},
	{name: "blank and the end of the file", head: "#!/bin/sh ", interp: "/bin/sh", args: []string{""}, ok: true},
	{name: "name up to the last byte", head: "#!" + longPath[:253] + "\n", interp: longPath[:253], ok: true},
	{name: "name too long by one", head: "#!" + longPath[:254] + "\n", ok: true, err: syscall.ENOEXEC},
	{name: "name far too long", head: "#!" + longPath, ok: true, err: syscall.ENOEXEC},
	{name: "name then blank at the last byte", head: "#!" + longPath[:253] + " x\n", interp: longPath[:253], ok: true},
	{name: "argument cut off", head: "#!/bin/sh " + longPath, interp: "/bin/sh", args: []string{longPath[:245]}, ok: true},
	{name: "argument from the last byte on", head: "#!" + longPath[:252] + " xyz", interp: longPath[:252], ok: true},
	{name: "blanks up to the end", head: "#!" + strings.Repeat(" ", 300), ok: true, err: syscall.ENOEXEC},
}

func TestScript(t *testing.T) {
	for _, c := range scripts {
		head := c.head[:min(len(c.head), loader.ScriptHead)]
		interp, args, ok, err := loader.Script([]byte(head))
		if interp != c.interp || !reflect.DeepEqual(args, c.args) || ok != c.ok || !errors.Is(err, c.err) {
			t.Errorf("%s: %q %q %v %v, want %q %q %v %v", c.name, interp, args, ok, err, c.interp, c.args, c.ok, c.err)
		}
	}
}

// TestScriptAsTheHost compares with what the host's kernel makes of the same
// lines, with the test program in the place of /bin/sh.
func TestScriptAsTheHost(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "i")
	if err := os.Symlink(exe, link); err != nil {
		t.Fatal(err)
	}
	for i, c := range scripts {
		if c.interp != "/bin/sh" {
			continue
		}
		head := strings.Replace(c.head, "/bin/sh", link, 1)
		interp, args, ok, err := loader.Script([]byte(head[:min(len(head), loader.ScriptHead)]))
		if !ok || err != nil {
			t.Errorf("%s: %v %v", c.name, ok, err)
			continue
		}
		file := filepath.Join(dir, fmt.Sprint("s", i))
		if err := os.WriteFile(file, []byte(head), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(file, "last")
		// A race detector would sleep before each exit.
		cmd.Env = append(os.Environ(), showArgs+"=1", "GORACE=atexit_sleep_ms=0")
		out, err := cmd.Output()
		if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ETXTBSY) {
			t.Skipf("cannot run files here: %v", err)
		}
		want := fmt.Sprintf("%q\n", interp)
		for _, a := range append(args, file, "last") {
			want += fmt.Sprintf("%q\n", a)
		}
		if err != nil || string(out) != want {
			t.Errorf("%s: %v, the host's arguments are\n%swant\n%s", c.name, err, out, want)
		}
	}
}
