package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The programs of guest/cancel over TCP and UDP sockets.

// networks are the flags of hati run by which a guest has 127.0.0.1.
var networks = map[string][]string{"host": {"--net", "host"}, "loopback": {"--net", "loopback"}}

// onNetworks compiles a program with one of compilers, the networks' table in it, and
// runs it natively and on each network: the output must be the same, in one of some
// attempts.
func onNetworks(t *testing.T, kind, source string, attempts int, args ...string) {
	t.Helper()
	cc := compilers[kind]
	need(t, cc[0])
	dir := directory(t)
	program := filepath.Join(dir, "program")
	compile := append(cc[1:len(cc):len(cc)], "-DNET", "-O1", "-w", "-o", program, "guest/"+source, "-lpthread", "-lutil")
	if out, err := exec.Command(cc[0], compile...).CombinedOutput(); err != nil {
		t.Fatalf("compiling: %v\n%s", err, out)
	}
	for name, flags := range networks {
		t.Run(name, func(t *testing.T) {
			flags := append([]string{"--log", "info", "--mount", dir + ":" + dir + ":rw"}, flags...)
			var n, h result
			for range attempts {
				argv := append([]string{program}, args...)
				if n, h = native(t, dir, "", argv...), under(t, dir, "", flags, argv...); n == h {
					return
				}
			}
			t.Errorf("status %d natively, %d under hati\n%s\n%s", n.status, h.status, strings.Join(differing(n.out, h.out), "\n"), h.err)
		})
	}
}

// TestC02_NetworkCancellationPoints is TestC02_CancellationPoints for networks.
func TestC02_NetworkCancellationPoints(t *testing.T) {
	t.Parallel()
	onNetworks(t, "musl", "cancel/points.c", 2)
}

// TestC03_NetworkRaces: of bytes, datagrams and connections none is lost when who
// receives, sends or accepts is cancelled.
func TestC03_NetworkRaces(t *testing.T) {
	races := "1000"
	switch {
	case os.Getenv("HATI_HAMMER") != "":
		races = "100000"
	case testing.Short():
		races = "200"
	}
	const want = `read: wrong 0, lost 0
read under handlers: wrong 0, lost 0
datagrams: wrong 0, lost 0
send: wrong 0, lost 0
accept: wrong 0, lost 0
descriptors lost: 0
`
	for _, kind := range []string{"musl", "dynamic"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			if kind == "musl" {
				onNetworks(t, kind, "cancel/races.c", 1, races, races)
				return
			}
			cc := compilers[kind] // which loses some natively
			need(t, cc[0])
			dir := directory(t)
			program := filepath.Join(dir, "program")
			if out, err := exec.Command(cc[0], "-DNET", "-O1", "-w", "-o", program, "guest/cancel/races.c", "-lpthread").CombinedOutput(); err != nil {
				t.Fatalf("compiling: %v\n%s", err, out)
			}
			for name, flags := range networks {
				if r := under(t, dir, "", append([]string{"--mount", dir + ":" + dir}, flags...), program, races, races); r.out != want {
					t.Errorf("%s: %v", name, r)
				}
			}
		})
	}
}

// TestC09_NetworkSignalStorm is TestC09_SignalStorm for networks.
func TestC09_NetworkSignalStorm(t *testing.T) {
	t.Parallel()
	onNetworks(t, "musl", "cancel/storm.c", 3)
}

// TestC13_NetworkKill is TestC13_Kill for networks.
func TestC13_NetworkKill(t *testing.T) {
	t.Parallel()
	onNetworks(t, "musl", "cancel/kill.c", 2)
}

// TestC17_NetworkWaitingCalls is TestC17_WaitingCalls for networks: also calls with a
// time limit of the socket, which are never restarted.
func TestC17_NetworkWaitingCalls(t *testing.T) {
	t.Parallel()
	onNetworks(t, "static", "cancel/blocking.c", 3)
}

// TestC18_NetworkClose is TestC18_Close for networks.
func TestC18_NetworkClose(t *testing.T) {
	t.Parallel()
	onNetworks(t, "musl", "cancel/close.c", 2)
}

// TestNetworkOddities compares what seldom happens to sockets: memory that is not there,
// ends while others wait, edges, queues of errors.
func TestNetworkOddities(t *testing.T) {
	t.Parallel()
	onNetworks(t, "static", "net/odd.c", 2)
}
