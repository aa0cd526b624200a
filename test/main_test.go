// Package test runs real programs natively and under hati, from outside, and
// compares: what they print, how they end, and what files they leave.
package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hati is the command under test, built once; work is a directory that guests
// may enter.
var hati, work string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	// Not below /tmp: a box has a /tmp of its own.
	work, err = os.MkdirTemp(cacheDir(), "hati-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(work)
	os.Chmod(work, 0o755)
	hati = filepath.Join(work, "hati")
	args := []string{"build", "-o", hati}
	cgo := "CGO_ENABLED=0" // else hati cannot confine itself
	if os.Getenv("HATI_RACE") != "" {
		args, cgo = append(args, "-race"), "CGO_ENABLED=1"
	}
	build := exec.Command("go", append(args, "../cmd/hati")...)
	build.Env = append(os.Environ(), cgo)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building hati: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func cacheDir() string {
	d, err := os.UserCacheDir()
	if err == nil && os.MkdirAll(d, 0o755) == nil {
		return d
	}
	wd, _ := os.Getwd()
	return wd
}

// limit is how long a guest may take before it counts as hanging.
var limit = func() time.Duration {
	if os.Getenv("HATI_HAMMER") != "" {
		return 2 * time.Hour
	}
	return 3 * time.Minute
}()

// need skips the test when a tool is missing, or fails it where that must not
// be.
func need(t testing.TB, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is missing (run test/setup.sh)", tool)
			}
			t.Skipf("%s is missing (run test/setup.sh)", tool)
		}
	}
}

// result is how a program ended.
type result struct {
	out, err string
	status   int
}

func (r result) String() string {
	return fmt.Sprintf("status %d\n--- stdout\n%s--- stderr\n%s", r.status, clip(r.out), clip(r.err))
}

func clip(s string) string {
	const most = 4000
	if len(s) > most {
		return s[:most] + "...\n"
	}
	return s
}

// native runs a program as it is.
func native(t testing.TB, dir, stdin string, argv ...string) result {
	t.Helper()
	return start(t, dir, stdin, argv)
}

// under runs a program under hati with flags of hati run.
func under(t testing.TB, dir, stdin string, flags []string, argv ...string) result {
	t.Helper()
	all := append([]string{hati, "run"}, flags...)
	return start(t, dir, stdin, append(append(all, "--"), argv...))
}

func start(t testing.TB, dir, stdin string, argv []string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	cmd.WaitDelay = 5 * time.Second
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%v hangs\n--- stdout\n%s--- stderr\n%s", argv, clip(out.String()), clip(errb.String()))
	}
	var x *exec.ExitError
	if err != nil && !errors.As(err, &x) {
		t.Fatalf("%v: %v", argv, err)
	}
	ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
	status := ws.ExitStatus()
	if ws.Signaled() {
		status = 128 + int(ws.Signal()) // as a shell, and hati, tell it
	}
	return result{out.String(), errb.String(), status}
}

// directory makes an empty directory that both runs call by the same name.
func directory(t testing.TB) string {
	t.Helper()
	d, err := os.MkdirTemp(work, "dir-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(d) })
	return d
}

// writeProgram writes a file that is to be run. A child that is forked meanwhile would
// keep it open for writing until it execs, and who runs it get ETXTBSY.
func writeProgram(name string, text []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(name, text, 0o755)
}

// compare runs argv natively and under hati, each time in a new directory that
// is called the same, and fails on any difference.
func compare(t *testing.T, prepare func(dir string), argv ...string) {
	t.Helper()
	compareWith(t, nil, prepare, argv...)
}

// compareWith is compare with flags of hati run.
func compareWith(t *testing.T, flags []string, prepare func(dir string), argv ...string) {
	t.Helper()
	dir := filepath.Join(directory(t), "d")
	one := func(run func() result) (result, map[string]string) {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if prepare != nil {
			prepare(dir)
		}
		return run(), tree(t, dir)
	}
	n, nFiles := one(func() result { return native(t, dir, "", argv...) })
	h, hFiles := one(func() result {
		return under(t, dir, "", append([]string{"--log", "info", "--mount", dir + ":" + dir + ":rw"}, flags...), argv...)
	})
	if n != h {
		t.Errorf("%v differs\n=== natively: %v\n=== under hati: %v\n%s", argv, n, h, clip(strings.Join(differing(n.out, h.out), "\n")))
	}
	for name, is := range hFiles {
		if was, ok := nFiles[name]; !ok || was != is {
			t.Errorf("file %s: %q natively, %q under hati", name, clip(was), clip(is))
		}
	}
	for name := range nFiles {
		if _, ok := hFiles[name]; !ok {
			t.Errorf("file %s is missing under hati", name)
		}
	}
}

// tree returns the mode and contents of every file below dir.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		i, err := e.Info()
		if err != nil {
			return err
		}
		is := i.Mode().String()
		switch {
		case i.Mode().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			is += " " + string(b)
		case i.Mode()&fs.ModeSymlink != 0:
			to, _ := os.Readlink(path)
			is += " -> " + to
		}
		rel, _ := filepath.Rel(dir, path)
		files[rel] = is
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
