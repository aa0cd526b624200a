package lane_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/lane"
)

// statusOf returns a number from /proc/PID/status.
func statusOf(t testing.TB, pid int, name string) int {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), name+":"); ok {
			n, err := strconv.Atoi(strings.Fields(v)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

// A thousand clients (ten thousand with HATI_HAMMER=1) that do nothing cost one server memory, a little and the
// same for each; no thread, no goroutine and no processor time.
func TestC22_IdleClientsCostNoTime(t *testing.T) {
	n := 1000
	switch {
	case os.Getenv("HATI_HAMMER") != "":
		n = 10000
	case raceEnabled || testing.Short():
		n = 200
	}
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	if most := int(min(lim.Max, 1<<20)) - 100; n > most {
		n = most
		t.Logf("%d clients: the limit of open files", n)
	}
	p := startServer(t)
	busy := dial(t, p, lane.Config{Slots: 64})
	for range 50 {
		busy.Call(within(t), &lane.Message{Op: opEcho}, nil)
	}
	base := census(t, busy)
	rss, threads := statusOf(t, p.Process.Pid, "VmRSS"), statusOf(t, p.Process.Pid, "Threads")

	start := time.Now()
	lanes := make([]*lane.Lane, n)
	for i := range lanes {
		l, err := lane.Dial(within(t), p.path, lane.Config{Slots: 64})
		if err != nil {
			t.Fatal(i, err)
		}
		defer l.Close()
		lanes[i] = l
	}
	took := time.Since(start)
	for _, l := range lanes[:n/10] { // some have worked
		if err := l.Call(within(t), &lane.Message{Op: opEcho}, nil); err != nil {
			t.Fatal(err)
		}
	}
	now := census(t, busy)
	each := float64(statusOf(t, p.Process.Pid, "VmRSS")-rss) / float64(n)
	t.Logf("%d clients: %.1f KiB each at the server, %v to connect each", n, each, took/time.Duration(n))
	if each > 64 {
		t.Errorf("%.1f KiB per idle client", each)
	}
	if now[1] > base[1]+10 {
		t.Errorf("%d goroutines, %d before", now[1], base[1])
	}
	if got := statusOf(t, p.Process.Pid, "Threads"); got > threads+10 {
		t.Errorf("%d threads, %d before", got, threads)
	}
	if got := int(now[0]) - int(base[0]); got > n+10 {
		t.Errorf("%d descriptors for %d clients", got, n)
	}
	used := cpuTime(p.Process.Pid)
	for range 20 {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		busy.Call(ctx, &lane.Message{Op: opBlock}, nil)
		cancel()
	}
	if used = cpuTime(p.Process.Pid) - used; time.Duration(used) > 50*time.Millisecond && !raceEnabled {
		t.Errorf("%v of processor time for 20 calls with %d idle clients", time.Duration(used), n)
	}
}
