// Command lane measures what moves a payload best between two processes: lanes
// in four ways beside a unix socket, pipes, net/rpc, gRPC, Cap'n Proto RPC and
// FUSE's own channel. Each request gives n bytes to a server in another process,
// which reads every one of them and answers with eight.
//
//	cd bench/lane && go run . [-time 200ms] [-rounds 1] [-svg ../../docs/lanes.svg]
//
// It prints tables in Markdown. FUSE needs root and /dev/fuse and is left out
// otherwise.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

var (
	duration = flag.Duration("time", 200*time.Millisecond, "how long each figure is measured")
	rounds   = flag.Int("rounds", 1, "how often; the best is kept, for machines that have other work")
	svgPath  = flag.String("svg", "", "where to draw the picture")
	part     = flag.String("part", "", "\"sizes\", \"asleep\" or \"clients\": that part only")
	only     = flag.String("only", "", "one way only")
)

// errMost: the way is not for so many clients.
var errMost = errors.New("not measured")

// figure is one measurement.
type figure struct {
	way     string
	size    int
	clients int
	wall    time.Duration // per request
	cpu     time.Duration // per request, both processes
	median  time.Duration // of single requests
	err     error
}

func main() {
	if role := os.Getenv("LANE_BENCH_ROLE"); role != "" {
		serve(role, os.Getenv("LANE_BENCH_PATH"))
		return
	}
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "lane:", err)
		os.Exit(1)
	}
}

var (
	sizes   = []int{64, 1 << 10, 4 << 10, 64 << 10, 1 << 20, 16 << 20}
	clients = []int{1, 10, 100, 1000}
)

// A panel is a table, and a part of the picture: time over size or over clients.
type panel struct {
	part, title string
	cores       int
	pause       time.Duration // between requests; the receiver sleeps meanwhile
	clients     bool          // over clients, not sizes
	size        int           // then
	list        []figure
}

var panels = []panel{
	{part: "sizes", title: "Two processors, receivers awake", cores: 2},
	{part: "sizes", title: "One processor, receivers awake", cores: 1},
	{part: "asleep", title: "Two processors, receivers asleep", cores: 2, pause: time.Millisecond},
	{part: "asleep", title: "One processor, receivers asleep", cores: 1, pause: time.Millisecond},
	{part: "clients", title: "Two processors, 64 B, clients at a time", cores: 2, clients: true, size: 64},
	{part: "clients", title: "Two processors, 64 KiB, clients at a time", cores: 2, clients: true, size: 64 << 10},
	{part: "clients", title: "One processor, 64 B, clients at a time", cores: 1, clients: true, size: 64},
}

func run() error {
	fmt.Printf("%d processors, %s, load %s\n", runtime.NumCPU(), runtime.Version(), load())
	for i := range panels {
		p := &panels[i]
		if *part != "" && *part != p.part || p.cores > runtime.NumCPU() {
			continue
		}
		for _, w := range chosen() {
			if p.clients {
				for _, c := range clients {
					f := measure(w, p.size, c, p.cores, 0)
					f.median = f.wall
					p.list = append(p.list, f)
				}
				continue
			}
			for _, n := range sizes {
				p.list = append(p.list, measure(w, n, 1, p.cores, p.pause))
			}
		}
		if p.clients {
			fmt.Printf("\n### %s: µs per request (processor µs)\n\n", p.title)
			table(p.list, clients, func(f figure) int { return f.clients }, func(n int) string { return fmt.Sprint(n) })
			continue
		}
		fmt.Printf("\n### %s, one client: median µs per request (processor µs of both sides)\n\n", p.title)
		table(p.list, sizes, func(f figure) int { return f.size }, sizeName)
	}
	fmt.Printf("\nload at the end %s\n", load())
	if *svgPath == "" {
		return nil
	}
	return os.WriteFile(*svgPath, draw(panels), 0o644)
}

func chosen() (list []way) {
	for _, w := range ways {
		if *only == "" || *only == w.name {
			list = append(list, w)
		}
	}
	return list
}

func load() string {
	b, _ := os.ReadFile("/proc/loadavg")
	return string(b[:min(4, len(b))])
}

func sizeName(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// measure returns the best of all rounds.
func measure(w way, size, clients, cores int, pause time.Duration) figure {
	if w.most > 0 && clients > w.most {
		return figure{way: w.name, size: size, clients: clients, err: errMost}
	}
	f := measureOnce(w, size, clients, cores, pause)
	for range *rounds - 1 {
		g := measureOnce(w, size, clients, cores, pause)
		if f.err != nil || g.err != nil {
			continue
		}
		f.wall, f.cpu, f.median = min(f.wall, g.wall), min(f.cpu, g.cpu), min(f.median, g.median)
	}
	return f
}

// measureOnce runs clients against a server of its own.
func measureOnce(w way, size, clients, cores int, pause time.Duration) (f figure) {
	f = figure{way: w.name, size: size, clients: clients}
	if f.err = useCores(cores); f.err != nil {
		return f
	}
	dir, err := os.MkdirTemp("", "lane")
	if err != nil {
		f.err = err
		return f
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	server, err := start(w.role, path)
	if err != nil {
		f.err = err
		return f
	}
	defer server.stop()
	calls := make([]func() error, clients)
	for i := range calls {
		call, done, err := w.connect(path, size)
		if err != nil {
			f.err = err
			return f
		}
		defer done()
		calls[i] = call
	}
	for _, call := range calls[:min(clients, 10)] {
		for i, until := 0, time.Now().Add(50*time.Millisecond); i < 20 && (i < 2 || time.Now().Before(until)); i++ {
			if f.err = call(); f.err != nil {
				return f
			}
		}
	}
	var mu sync.Mutex
	var all []time.Duration
	cpu := cpuTime(os.Getpid()) + cpuTime(server.cmd.Process.Pid)
	begin := time.Now()
	end := begin.Add(*duration)
	var wg sync.WaitGroup
	for _, call := range calls {
		wg.Go(func() {
			var mine []time.Duration
			var tick <-chan time.Time
			if pause > 0 {
				t := time.NewTicker(pause)
				defer t.Stop()
				tick = t.C
			}
			for at := time.Now(); at.Before(end) || len(mine) < 3; {
				err := call()
				now := time.Now()
				mine = append(mine, now.Sub(at))
				if err != nil {
					mu.Lock()
					f.err = err
					mu.Unlock()
					break
				}
				if tick != nil {
					<-tick
					now = time.Now()
				}
				at = now
			}
			mu.Lock()
			all = append(all, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	n := time.Duration(len(all))
	f.wall = time.Since(begin) / n
	f.cpu = (cpuTime(os.Getpid()) + cpuTime(server.cmd.Process.Pid) - cpu) / n
	slices.Sort(all)
	f.median = all[len(all)/2]
	return f
}

// server is the other process.
type server struct {
	cmd *exec.Cmd
	in  *os.File
}

func start(role, path string) (*server, error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "LANE_BENCH_ROLE="+role, "LANE_BENCH_PATH="+path)
	cmd.Stderr = os.Stderr
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdin = theirs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	theirs.Close()
	s := &server{cmd, ours}
	line := make([]byte, 256)
	n, err := out.Read(line)
	if err != nil || string(line[:n]) != "ready\n" {
		s.stop()
		return nil, fmt.Errorf("%s: %s", role, line[:n])
	}
	return s, nil
}

// stop ends the server by closing its input.
func (s *server) stop() {
	s.in.Close()
	s.cmd.Wait()
}

// cpuTime returns the processor time that a process has used.
func cpuTime(pid int) time.Duration {
	var ts unix.Timespec
	unix.ClockGettime(int32(^pid<<3|2), &ts) // CPUCLOCK_SCHED of the process
	return time.Duration(ts.Nano())
}

// useCores keeps this process, and those that it starts, on the first n processors.
func useCores(n int) error {
	var set unix.CPUSet
	for i := range n {
		set.Set(i)
	}
	list, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, e := range list {
		var tid int
		fmt.Sscan(e.Name(), &tid)
		if err := unix.SchedSetaffinity(tid, &set); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}

// table prints a row per way and a column per value.
func table(list []figure, columns []int, of func(figure) int, name func(int) string) {
	fmt.Print("| |")
	for _, c := range columns {
		fmt.Printf(" %s |", name(c))
	}
	fmt.Print("\n| --- |")
	for range columns {
		fmt.Print(" ---: |")
	}
	fmt.Println()
	for _, w := range ways {
		row, have := fmt.Sprintf("| %s |", w.title), false
		for _, c := range columns {
			cell := " |"
			for _, f := range list {
				if f.way == w.name && of(f) == c {
					have = true
					if cell = fmt.Sprintf(" %s (%s) |", micro(f.median), micro(f.cpu)); f.err != nil {
						cell = " - |"
						if f.err != errMost {
							fmt.Fprintf(os.Stderr, "%s, %s: %v\n", w.name, name(c), f.err)
						}
					}
				}
			}
			row += cell
		}
		if have {
			fmt.Println(row)
		}
	}
}

func micro(d time.Duration) string {
	us := float64(d) / 1000
	if us < 100 {
		return fmt.Sprintf("%.1f", us)
	}
	return fmt.Sprintf("%.0f", us)
}
