package posix

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/hati-os/hati/internal/machine"
	"golang.org/x/sys/unix"
)

// procMaps is the host's maps (or smaps, ...) of the process with the guest's
// names, and without what hati has put there.
func (m *Memory) procMaps(name string) ([]byte, error) {
	text, err := m.hostFile(name)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out bytes.Buffer
	hide := false
	sc := bufio.NewScanner(bytes.NewReader(text))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		line := sc.Text()
		start, end, rest, ok := parseMapLine(line)
		if ok {
			hide = machine.IsOwn(start)
		}
		switch {
		case hide:
		case ok:
			out.WriteString(m.mapLine(line, start, end, rest))
		default:
			out.WriteString(line)
			out.WriteByte('\n')
		}
	}
	return out.Bytes(), nil
}

// parseMapLine splits "start-end perms offset dev inode name".
func parseMapLine(line string) (start, end uint64, fields []string, ok bool) {
	fields = strings.Fields(line)
	if len(fields) < 5 {
		return 0, 0, nil, false
	}
	a, b, found := strings.Cut(fields[0], "-")
	start, err1 := strconv.ParseUint(a, 16, 64)
	end, err2 := strconv.ParseUint(b, 16, 64)
	return start, end, fields, found && err1 == nil && err2 == nil
}

// parseDevice reads a device number as maps has it.
func parseDevice(s string) uint64 {
	major, minor, _ := strings.Cut(s, ":")
	ma, _ := strconv.ParseUint(major, 16, 32)
	mi, _ := strconv.ParseUint(minor, 16, 32)
	return unix.Mkdev(uint32(ma), uint32(mi))
}

// linesOf yields the lines of a text without their ends.
func linesOf(text []byte) func(func(string) bool) {
	return func(yield func(string) bool) {
		for line := range bytes.Lines(text) {
			if !yield(strings.TrimSuffix(string(line), "\n")) {
				return
			}
		}
	}
}

// mapLine writes one line with the guest's name. m.mu is held.
func (m *Memory) mapLine(line string, start, end uint64, f []string) string {
	name := ""
	inode, _ := strconv.ParseUint(f[4], 10, 64)
	switch {
	case inode != 0:
		guest, known := m.names[hostObject{parseDevice(f[3]), inode}]
		if !known {
			return line + "\n"
		}
		name = guest
	case len(f) > 5:
		name = strings.Join(f[5:], " ")
	case start >= m.brkStart && end <= pageUp(m.brk):
		name = "[heap]"
	case start >= m.stackStart && end <= m.stackEnd:
		name = "[stack]"
	}
	s := fmt.Sprintf("%08x-%08x %s %s %s %s ", start, end, f[1], f[2], f[3], f[4])
	if name == "" {
		return s + "\n"
	}
	return fmt.Sprintf("%-73s%s\n", s, name)
}

// linesWith returns the lines that begin with one of the prefixes.
func linesWith(text []byte, prefixes ...string) []byte {
	var out []byte
	for line := range bytes.Lines(text) {
		for _, p := range prefixes {
			if bytes.HasPrefix(line, []byte(p)) {
				out = append(out, line...)
				break
			}
		}
	}
	return out
}

func hostStatusLines(prefixes ...string) []byte {
	b, _ := os.ReadFile("/proc/self/status")
	return linesWith(b, prefixes...)
}

// systemFile makes the contents of a file that is about no process.
func (k *Kernel) systemFile(name string) ([]byte, error) {
	switch name {
	case "cpuinfo", "meminfo", "loadavg", "vmstat", "swaps", "sys/kernel/random/uuid", "sys/kernel/random/boot_id",
		"sys/kernel/random/entropy_avail", "sys/kernel/random/poolsize", "sys/vm/overcommit_memory",
		"sys/vm/overcommit_ratio", "sys/vm/max_map_count", "sys/vm/mmap_min_addr", "sys/vm/swappiness":
		// What concerns the hardware, or harmless settings, is the host's.
		return hostProc(name)
	case "stat":
		return k.procSystemStat()
	case "uptime":
		up := k.uptime().Seconds()
		return fmt.Appendf(nil, "%.2f %.2f\n", up, up), nil
	case "version":
		u := k.uname()
		return fmt.Appendf(nil, "%s version %s (hati) %s\n", u.sysname, u.release, u.version), nil
	case "sys/kernel/ostype":
		return []byte(k.uname().sysname + "\n"), nil
	case "sys/kernel/osrelease":
		return []byte(k.uname().release + "\n"), nil
	case "sys/kernel/version":
		return []byte(k.uname().version + "\n"), nil
	case "sys/kernel/hostname":
		return []byte(k.hostname() + "\n"), nil
	case "filesystems":
		return []byte("nodev\tproc\nnodev\ttmpfs\nnodev\tdevtmpfs\nnodev\toverlay\nnodev\tdevpts\n\tfuseblk\nnodev\tfuse\n"), nil
	case "devices":
		return []byte("Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n"), nil
	case "cmdline":
		return []byte("hati\n"), nil
	case "diskstats":
		return nil, nil
	case "partitions":
		return []byte("major minor  #blocks  name\n\n"), nil
	}
	if v, ok := systemValues[name]; ok {
		return []byte(v + "\n"), nil
	}
	if kind, ok := strings.CutPrefix(name, "sysvipc/"); ok {
		return k.procIPC(kind), nil
	}
	return nil, syscall.EINVAL
}

// systemValues are settings that do not change.
var systemValues = map[string]string{
	"sys/fs/file-max": "9223372036854775807", "sys/fs/nr_open": "1048576", "sys/fs/file-nr": "0\t0\t9223372036854775807",
	"sys/fs/inode-nr": "0\t0", "sys/fs/pipe-max-size": "1048576", "sys/fs/pipe-user-pages-soft": "16384",
	"sys/fs/protected_hardlinks": "0", "sys/fs/protected_symlinks": "0", "sys/fs/protected_fifos": "0",
	"sys/fs/protected_regular": "0", "sys/fs/lease-break-time": "45", "sys/fs/suid_dumpable": "0",
	"sys/fs/inotify/max_queued_events": "16384", "sys/fs/inotify/max_user_instances": "1024",
	"sys/fs/inotify/max_user_watches": "1048576", "sys/fs/epoll/max_user_watches": "1048576",
	"sys/fs/mqueue/msg_max": "10", "sys/fs/mqueue/msgsize_max": "8192", "sys/fs/mqueue/queues_max": "256",
	"sys/kernel/cap_last_cap": "40", "sys/kernel/ngroups_max": "65536", "sys/kernel/overflowuid": "65534",
	"sys/kernel/overflowgid": "65534", "sys/kernel/domainname": "(none)", "sys/kernel/pid_max": "4194304",
	"sys/kernel/threads-max": "65536", "sys/kernel/core_pattern": "core", "sys/kernel/core_uses_pid": "0",
	"sys/kernel/randomize_va_space": "2", "sys/kernel/shmmax": "18446744073692774399",
	"sys/kernel/shmall": "18446744073692774399", "sys/kernel/shmmni": "4096", "sys/kernel/sem": "32000\t1024000000\t500\t32000",
	"sys/kernel/msgmax": "8192", "sys/kernel/msgmnb": "16384", "sys/kernel/msgmni": "32000",
	"sys/kernel/perf_event_paranoid": "4", "sys/kernel/kptr_restrict": "1", "sys/kernel/dmesg_restrict": "1",
	"sys/kernel/sched_rt_runtime_us": "950000", "sys/kernel/panic": "0", "sys/kernel/tainted": "0",
	"sys/kernel/seccomp/actions_avail": "", "sys/kernel/yama/ptrace_scope": "0",
	"sys/vm/nr_hugepages": "0", "sys/vm/dirty_ratio": "20",
}

func hostProc(name string) ([]byte, error) {
	b, err := os.ReadFile("/proc/" + name)
	if err != nil {
		return nil, syscall.EIO
	}
	return b, nil
}

// procSystemStat is the host's, but for the boot time and the processes.
func (k *Kernel) procSystemStat() ([]byte, error) {
	text, err := hostProc("stat")
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	procs := k.lastPID
	k.mu.Unlock()
	var out []byte
	for line := range bytes.Lines(text) {
		switch {
		case bytes.HasPrefix(line, []byte("btime")):
			out = fmt.Appendf(out, "btime %d\n", k.boot.Unix())
		case bytes.HasPrefix(line, []byte("processes")):
			out = fmt.Appendf(out, "processes %d\n", procs)
		default:
			out = append(out, line...)
		}
	}
	return out, nil
}
