package test

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// suite is a part of Go's own tests.
type suite struct {
	pkg  string
	run  string   // a pattern; "" is all
	skip []string // patterns, each with its reason
	// hammer is whether it takes too long for every day.
	hammer bool
	// networks is whether it has the host's.
	networks bool
}

// What is left out here hangs or is chance on a Linux without networks, too, or
// is about a device or a privilege that no guest has. All other tests must end as on a
// Linux that was built without namespaces and tracing and, but for those with networks,
// without those.
var suites = []suite{
	{pkg: "internal/poll", skip: []string{
		"TestReadError/ErrNotPollable", // opens /dev/net/tun
	}},
	{pkg: "internal/syscall/unix"},
	{pkg: "io/fs"},
	{pkg: "io/ioutil"},
	{pkg: "os"},
	{pkg: "os/exec", skip: []string{
		"TestFindExecutableVsNoexec", // mounts a file system as the host's root
	}},
	{pkg: "os/signal"},
	{pkg: "os/user"},
	{pkg: "path/filepath"},
	{pkg: "syscall", skip: []string{
		"TestCloneTimeNamespace", // clone3 passes flags in memory, where no filter sees them
		"TestRlimitRestored",     // is skipped where the limit is at its maximum from the start
	}},
	{pkg: "time", run: "Sleep|After|Tick|Timer|Reset|Stop|Zone|Load"},
	{pkg: "time", hammer: true},
	{pkg: "net", run: "Unix|Pipe|Buffers|Cgo|File", skip: []string{
		"TestFileCloseRace", // needs TCP
	}},
	{pkg: "net", networks: true, skip: []string{
		"TestInterfaceMulticastAddrs", // there is no /proc/net/igmp
		"TestSplice/.*/big",           // takes its time
	}},
	{pkg: "net", networks: true, hammer: true, skip: []string{
		"TestInterfaceMulticastAddrs", // there is no /proc/net/igmp
	}},
	{pkg: "net/http", networks: true, hammer: true, skip: []string{
		"TestLinuxSendfile", // is about strace
	}},
	{pkg: "net/http/httptest", networks: true},
	{pkg: "net/http/httputil", networks: true, hammer: true},
	{pkg: "net/rpc", networks: true},
	{pkg: "net/smtp", networks: true, hammer: true},
	{pkg: "net/textproto", networks: true, hammer: true},
	{pkg: "crypto/tls", networks: true, hammer: true},
	{pkg: "internal/poll", networks: true, hammer: true, skip: []string{
		"TestReadError/ErrNotPollable", // opens /dev/net/tun
	}},
	{pkg: "os", networks: true, hammer: true},
	{pkg: "os/exec", networks: true, hammer: true, skip: []string{
		"TestFindExecutableVsNoexec", // mounts a file system as the host's root
	}},
	{pkg: "runtime", run: "^Test(Chan|Select|GoroutineP|RWMutex|StackO|Stop|Preempt|Sem|Nonblock|Pipe|Timer|Futex|DebugCall)"},
	{pkg: "runtime", hammer: true},
	{pkg: "runtime/pprof", hammer: true},
}

// TestGoSuites runs Go's own tests natively and under hati and compares what
// passes, fails and is skipped.
func TestGoSuites(t *testing.T) {
	need(t, "go", "gcc")
	root := strings.TrimSpace(native(t, "/", "", "go", "env", "GOROOT").out)
	if _, err := os.Stat(filepath.Join(root, "src/os/os_test.go")); err != nil {
		t.Skipf("this Go comes without its tests: %v", err)
	}
	for _, s := range suites {
		hammer := os.Getenv("HATI_HAMMER") != ""
		if s.hammer && !hammer {
			continue
		}
		name := strings.ReplaceAll(s.pkg, "/", "_")
		if s.hammer {
			name += "_all"
		}
		role, flags := "plain", []string{"--net", "none"}
		if s.networks {
			name, role, flags = name+"_networks", "plainNet", []string{"--net", "host"}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := filepath.Join(directory(t), name+".test")
			if out, err := exec.Command("go", "test", "-c", "-o", program, s.pkg).CombinedOutput(); err != nil {
				t.Fatalf("building: %v\n%s", err, out)
			}
			argv := []string{program, "-test.v", "-test.short", "-test.timeout=10m"}
			if s.run != "" {
				argv = append(argv, "-test.run="+s.run)
			}
			if s.skip != nil {
				argv = append(argv, "-test.skip="+strings.Join(s.skip, "|"))
			}
			dir := filepath.Join(root, "src", s.pkg)
			want := verdicts(t, dir, argv, role)
			got := verdicts(t, dir, slices.Concat([]string{hati, "run"}, flags, []string{"--"}, argv), "")
			all := maps.Clone(want.of)
			maps.Copy(all, got.of)
			for _, test := range slices.Sorted(maps.Keys(all)) {
				if w, g := want.of[test], got.of[test]; w != g {
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

type verdict struct {
	out  string
	of   map[string]string
	took time.Duration
}

var verdictLine = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): (\S+) \(`)

// verdicts runs a test program and returns how each of its tests ended.
func verdicts(t *testing.T, dir string, argv []string, role string) verdict {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if role != "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		argv = append([]string{self}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, os.Environ(), 5*time.Second
	if role != "" {
		cmd.Env = as(role)
	}
	start := time.Now()
	out, _ := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%v hangs\n%s", argv, tail(string(out)))
	}
	v := verdict{string(out), map[string]string{}, time.Since(start).Round(time.Millisecond)}
	for _, m := range verdictLine.FindAllStringSubmatch(v.out, -1) {
		v.of[m[2]] = m[1]
	}
	return v
}

func tail(s string) string {
	const most = 4000
	if len(s) > most {
		return "..." + s[len(s)-most:]
	}
	return s
}
