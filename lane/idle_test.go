package lane_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/lane"
)

// numberIn returns a number from a file of names and numbers.
func numberIn(t testing.TB, file, name string) int {
	t.Helper()
	f, err := os.Open(file)
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

// idleProcess connects as often as it is told to, has every tenth of its lanes work once, and is idle.
func idleProcess() {
	n, _ := strconv.Atoi(os.Getenv("LANE_TEST_COUNT"))
	lanes := make([]*lane.Lane, n)
	for i := range lanes {
		l, err := lane.Dial(context.Background(), os.Getenv("LANE_TEST_PATH"), lane.Config{Slots: 64})
		if err == nil && i%10 == 0 {
			err = l.Call(context.Background(), &lane.Message{Op: opEcho}, nil)
		}
		if err != nil {
			fmt.Println("error:", i, err)
			os.Exit(1)
		}
		lanes[i] = l
	}
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\n')
}

// holding is what a process holds: KiB of memory, its page tables apart, and descriptors.
type holding struct{ rss, pss, tables, fds, threads int }

func holdingOf(t testing.TB, pid int) holding {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	of := func(file, name string) int { return numberIn(t, fmt.Sprintf("/proc/%d/%s", pid, file), name) }
	return holding{of("status", "VmRSS"), of("smaps_rollup", "Pss"), of("status", "VmPTE"), len(fds), of("status", "Threads")}
}

// typical returns the median time of a call.
func typical(t *testing.T, l *client) time.Duration {
	t.Helper()
	all := make([]time.Duration, 2000)
	for i := range all {
		at := time.Now()
		if err := l.Call(context.Background(), &lane.Message{Op: opEcho}, nil); err != nil {
			t.Fatal(err)
		}
		all[i] = time.Since(at)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// A thousand clients (ten thousand with HATI_HAMMER=1), of four processes, that do nothing cost one server and
// themselves memory, a little and the same for each; no thread, no goroutine, no processor time, and the one
// client that works nothing.
func TestC22_IdleClientsCostNoTime(t *testing.T) {
	n := 1000
	switch {
	case os.Getenv("HATI_HAMMER") != "":
		n = 10000
	case raceEnabled || testing.Short():
		n = 200
	}
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil { // Go has raised it to the hard one
		t.Fatal(err)
	}
	if most := int(min(lim.Cur, 1<<20)) - 100; n > most {
		t.Logf("%d clients instead of %d: the hard limit of open files is %d", most, n, lim.Max)
		n = most
	}
	p := startServer(t)
	busy := dial(t, p, lane.Config{Slots: 64})
	alone := typical(t, busy)
	base, counted := holdingOf(t, p.Process.Pid), census(t, busy)

	const processes = 4
	t.Setenv("LANE_TEST_COUNT", "1")
	client := holdingOf(t, startProcess(t, "idle", p.path).Process.Pid)
	slab := numberIn(t, "/proc/meminfo", "Slab")
	t.Setenv("LANE_TEST_COUNT", strconv.Itoa(n/processes))
	begin := time.Now()
	var idle [processes]*process
	for i := range idle {
		idle[i] = startProcess(t, "idle", p.path)
	}
	took := time.Since(begin)
	beside := typical(t, busy)
	now := holdingOf(t, p.Process.Pid)
	there := holdingOf(t, idle[0].Process.Pid)
	each := func(now, base, n int) float64 { return float64(now-base) / float64(n) }
	t.Logf("%d clients, %v to connect each", n, took/time.Duration(n))
	t.Logf("each at the server: %.1f KiB rss, %.1f KiB pss, %.1f KiB of page tables, %.2f descriptors", each(now.rss, base.rss, n),
		each(now.pss, base.pss, n), each(now.tables, base.tables, n), each(now.fds, base.fds, n))
	m := n/processes - 1
	t.Logf("each at itself: %.1f KiB rss, %.1f KiB pss, %.1f KiB of page tables, %.2f descriptors", each(there.rss, client.rss, m),
		each(there.pss, client.pss, m), each(there.tables, client.tables, m), each(there.fds, client.fds, m))
	t.Logf("each in the kernel, if nobody else does anything: %.1f KiB of objects", each(numberIn(t, "/proc/meminfo", "Slab"), slab, n))
	t.Logf("a call of the busy one: %v alone, %v beside them", alone, beside)
	const own = 16 << 10 // what the processes need for themselves, in KiB
	if now.rss-base.rss > own+16*n || there.rss-client.rss > own+16*m {
		t.Error("that is too much")
	}
	if got := census(t, busy)[1]; got > counted[1]+10 {
		t.Errorf("%d goroutines, %d before", got, counted[1])
	}
	if now.threads > base.threads+10 {
		t.Errorf("%d threads, %d before", now.threads, base.threads)
	}
	if now.fds > base.fds+n+10 {
		t.Errorf("%d descriptors for %d clients", now.fds-base.fds, n)
	}

	// One call that waits for a second is all that happens.
	used := func() (d time.Duration) {
		for _, q := range append(idle[:], p) {
			d += time.Duration(cpuTime(q.Process.Pid))
		}
		return d
	}
	before := used()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	busy.Call(ctx, &lane.Message{Op: opBlock}, nil)
	cancel()
	d := used() - before
	t.Logf("in a second of rest all of them and the server used %v of processor time", d)
	if d > 50*time.Millisecond && !raceEnabled {
		t.Error("they do something")
	}

	// Half of them die, the others end; all is given back.
	for i, q := range idle {
		if i%2 == 0 {
			q.Process.Kill()
		} else {
			q.Process.Signal(syscall.SIGTERM)
		}
		q.Wait()
	}
	await(t, "the descriptors are back", func() bool { return holdingOf(t, p.Process.Pid).fds <= base.fds+10 })
	if after := typical(t, busy); !raceEnabled {
		t.Logf("when they are gone: %v, %+v, at first %+v", after, holdingOf(t, p.Process.Pid), base)
	}
}

// await waits for something of which nothing tells: in another process, or the end of
// goroutines.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); {
		if time.Now().After(end) {
			t.Fatalf("does not come: %s", what)
		}
		runtime.Gosched()
	}
}
