package machine

import (
	"bufio"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ErrCapacity: this program has all the guest threads it can.
var ErrCapacity = fmt.Errorf("machine: too many guest threads in all: %w", unix.EAGAIN)

// guestThreads counts the guest threads of all machines of this program. A
// guest must not be able to take all host threads: the Go runtime ends the
// program that gets no more of them.
var guestThreads atomic.Int64

// mostThreads stays below the 10000 threads of the Go runtime's default limit:
// for each guest thread that runs, one waits in the host.
const mostThreads = 8000

// reserved are host threads for the program itself.
const reserved = 64

// capacity is how many guest threads there may be.
var capacity = sync.OnceValue(func() int64 {
	n := int64(mostThreads)
	for _, limit := range hostThreadLimits() {
		// Two host threads each: the guest's and the one that waits for it.
		n = min(n, max((limit-reserved)/2, 16))
	}
	return n
})

// mayGrow reports whether there may be one more guest thread.
func mayGrow() error {
	if guestThreads.Load() >= capacity() {
		return ErrCapacity
	}
	return nil
}

// hostThreadLimits returns the host's limits on threads, as far as they are
// known.
func hostThreadLimits() []int64 {
	var limits []int64
	var r unix.Rlimit
	if os.Geteuid() != 0 && unix.Getrlimit(unix.RLIMIT_NPROC, &r) == nil && r.Cur < mostThreads*4 {
		limits = append(limits, int64(r.Cur))
	}
	files := []string{"/proc/sys/kernel/threads-max", "/proc/sys/kernel/pid_max"}
	for group := cgroup(); group != "" && group != "/"; group = path.Dir(group) {
		files = append(files, "/sys/fs/cgroup"+group+"/pids.max", "/sys/fs/cgroup/pids"+group+"/pids.max")
	}
	// In a container with a cgroup namespace its own group is the root.
	files = append(files, "/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max")
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil {
			limits = append(limits, n)
		}
	}
	return limits
}

// cgroup returns the path of the control group that limits this program's
// threads, "" when there is none.
func cgroup() string {
	f, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	defer f.Close()
	found := ""
	for sc := bufio.NewScanner(f); sc.Scan(); {
		w := strings.SplitN(sc.Text(), ":", 3)
		if len(w) == 3 && (w[1] == "" && found == "" || w[1] == "pids") {
			found = path.Clean(w[2])
		}
	}
	return found
}
