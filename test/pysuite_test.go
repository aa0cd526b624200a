package test

import (
	"context"
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Those of Python's own tests that are about the operating system. The second
// group takes minutes.
var (
	pySuites = []string{"fcntl", "file", "fileio", "fork1", "glob", "mmap", "openpty", "os", "posix", "posixpath", "pty", "pwd", "grp",
		"resource", "select", "epoll", "stat", "tempfile", "threadsignals", "pathlib", "shutil", "sqlite3", "eintr"}
	pySuitesHammer = []string{"asyncio", "concurrent_futures", "faulthandler", "io", "multiprocessing_fork", "multiprocessing_spawn",
		"poll", "selectors", "signal", "subprocess", "threading", "time", "wait3", "wait4", "zipfile", "tarfile", "gzip", "venv"}
)

// Those that are run with the host's networks as well.
var (
	pyNetSuites       = []string{"epoll", "select", "urllib2_localnet", "telnetlib", "httplib"}
	pyNetSuitesHammer = []string{"asyncio", "asyncore", "asynchat", "docxmlrpc", "ftplib", "httpservers", "imaplib", "logging", "nntplib",
		"poll", "poplib", "robotparser", "selectors", "smtpd", "smtplib", "socket", "ssl", "wsgiref", "xmlrpc"}
)

// pySkip are tests that say nothing here: of chance, or of what only one side can
// have.
var pySkip = map[string]string{
	"test.test_tempfile.TestRandomNameSequence.test_process_awareness": "two random names may be equal",
}

// TestPythonSuites runs Python's own tests natively and under hati and compares
// how each ends.
func TestPythonSuites(t *testing.T) {
	need(t, "python3")
	if exec.Command("python3", "-c", "import test.test_os").Run() != nil {
		t.Skip("this python3 comes without its tests (Debian: libpython3-testsuite)")
	}
	type part struct {
		module   string
		networks bool
	}
	var parts []part
	add := func(networks bool, lists ...[]string) {
		for _, m := range slices.Concat(lists...) {
			parts = append(parts, part{m, networks})
		}
	}
	add(false, pySuites)
	add(true, pyNetSuites)
	if os.Getenv("HATI_HAMMER") != "" {
		add(false, pySuitesHammer)
		add(true, pyNetSuitesHammer)
	}
	for _, p := range parts {
		name, role, flags := p.module, "plain", []string{"--net", "none"}
		if p.networks {
			name, role, flags = name+" networks", "plainNet", []string{"--net", "host"}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := pyVerdicts(t, p.module, role)
			got := pyVerdicts(t, p.module, "", flags...)
			all := maps.Clone(want.of)
			maps.Copy(all, got.of)
			for _, test := range slices.Sorted(maps.Keys(all)) {
				if w, g := want.of[test], got.of[test]; w != g && pySkip[test] == "" {
					t.Errorf("%s: %s natively, %s under hati", test, w, g)
				}
			}
			t.Logf("%d tests, %v natively, %v under hati", len(all), want.took, got.took)
			if len(want.of) == 0 || t.Failed() {
				t.Logf("=== natively:\n%s=== under hati:\n%s", tail(want.out), tail(got.out))
			}
		})
	}
}

// pyVerdicts runs a module of Python's tests, under hati with flags if there is no role.
func pyVerdicts(t *testing.T, module, role string, flags ...string) verdict {
	dir := directory(t)
	report := filepath.Join(dir, "report.xml")
	// Of AF_VSOCK they believe what /dev/vsock says.
	argv := []string{"python3", "-m", "test", "--timeout", "300", "--junit-xml", report, "-i", "*VSOCK*", "test_" + module}
	env := os.Environ()
	if role != "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		argv, env = append([]string{self}, argv...), as(role)
	} else {
		argv = slices.Concat([]string{hati, "run", "--mount", dir + ":" + dir + ":rw"}, flags, []string{"--"}, argv)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, append(env, "LC_ALL=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1"), 5*time.Second
	start := time.Now()
	out, _ := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%v hangs\n%s", argv, tail(string(out)))
	}
	v := verdict{string(out), map[string]string{}, time.Since(start).Round(time.Millisecond)}
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("%v\n%s", err, v.out)
	}
	var suites struct {
		Cases []struct {
			Name    string    `xml:"name,attr"`
			Skipped *struct{} `xml:"skipped"`
			Failure *struct{} `xml:"failure"`
			Error   *struct{} `xml:"error"`
		} `xml:"testsuite>testcase"`
	}
	if err := xml.Unmarshal(b, &suites); err != nil {
		t.Fatalf("the report of %s: %v\n%s", module, err, tail(v.out))
	}
	for _, c := range suites.Cases {
		is := "PASS"
		switch {
		case c.Failure != nil || c.Error != nil:
			is = "FAIL"
		case c.Skipped != nil:
			is = "SKIP"
		}
		// Subtests have numbers and addresses in their names.
		name, _, _ := strings.Cut(c.Name, " ")
		if was := v.of[name]; was != "FAIL" {
			v.of[name] = is
		}
	}
	v.of["exit status"] = fmt.Sprint(cmd.ProcessState.ExitCode())
	return v
}
