package proc

import (
	"strings"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// entry is a name in a directory that has always the same ones.
type entry struct {
	name string
	kind uint32 // S_IFMT bits
	mode uint32 // of a file
}

func (e entry) node(n node) vfs.Node {
	switch e.kind {
	case unix.S_IFDIR:
		return dir{n}
	case unix.S_IFLNK:
		if n.pid == 0 {
			return alias{n}
		}
		return link{n}
	}
	return file{n}
}

func dirs(names ...string) []entry           { return entries(unix.S_IFDIR, 0, names) }
func links(names ...string) []entry          { return entries(unix.S_IFLNK, 0, names) }
func files(mode uint32, n ...string) []entry { return entries(unix.S_IFREG, mode, n) }

func entries(kind, mode uint32, names []string) (es []entry) {
	for _, n := range names {
		es = append(es, entry{n, kind, mode})
	}
	return es
}

func join(lists ...[]entry) (all []entry) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// systemEntries are the directories of the whole system, by path.
var systemEntries = map[string][]entry{
	"": join(
		files(0o444, "cmdline", "cpuinfo", "devices", "diskstats", "filesystems", "loadavg", "meminfo",
			"partitions", "stat", "swaps", "uptime", "version", "vmstat"),
		links("mounts", "net"), dirs("sys", "sysvipc")),
	"sysvipc":            files(0o444, "msg", "sem", "shm"),
	"sys":                dirs("fs", "kernel", "net", "vm"),
	"sys/fs":             join(files(0o644, "file-max", "nr_open", "pipe-max-size", "pipe-user-pages-soft", "protected_hardlinks", "protected_symlinks", "protected_fifos", "protected_regular", "lease-break-time", "suid_dumpable"), files(0o444, "file-nr", "inode-nr"), dirs("inotify", "epoll", "mqueue")),
	"sys/fs/inotify":     files(0o644, "max_queued_events", "max_user_instances", "max_user_watches"),
	"sys/fs/epoll":       files(0o644, "max_user_watches"),
	"sys/fs/mqueue":      files(0o644, "msg_max", "msgsize_max", "queues_max"),
	"sys/kernel":         join(files(0o444, "ostype", "osrelease", "version", "cap_last_cap", "ngroups_max", "overflowuid", "overflowgid"), files(0o644, "hostname", "domainname", "pid_max", "threads-max", "core_pattern", "core_uses_pid", "randomize_va_space", "shmmax", "shmall", "shmmni", "sem", "msgmax", "msgmnb", "msgmni", "perf_event_paranoid", "kptr_restrict", "dmesg_restrict", "sched_rt_runtime_us", "panic", "tainted"), dirs("random", "seccomp", "yama")),
	"sys/kernel/random":  files(0o444, "boot_id", "uuid", "entropy_avail", "poolsize"),
	"sys/kernel/seccomp": files(0o444, "actions_avail"),
	"sys/kernel/yama":    files(0o644, "ptrace_scope"),
	"sys/vm":             files(0o644, "overcommit_memory", "overcommit_ratio", "max_map_count", "mmap_min_addr", "swappiness", "nr_hugepages", "dirty_ratio"),
}

// processEntries are the directories of a process, by path. A thread's has no
// task.
var processEntries = map[string][]entry{
	"": join(
		files(0o444, "cgroup", "cmdline", "cpuset", "limits", "maps", "mountinfo", "mounts", "oom_score",
			"sched", "schedstat", "sessionid", "smaps", "smaps_rollup", "stat", "statm", "status", "wchan", "numa_maps", "children"),
		files(0o400, "auxv", "environ", "io", "mountstats", "personality", "stack", "syscall", "pagemap"),
		files(0o644, "comm", "coredump_filter", "gid_map", "loginuid", "oom_adj", "oom_score_adj", "setgroups", "uid_map", "timerslack_ns"),
		files(0o200, "clear_refs"),
		links("cwd", "exe", "root"),
		dirs("attr", "fd", "fdinfo", "net", "ns", "task")),
	"attr": files(0o644, "current", "exec", "prev"),
	"net":  netFiles,
	"ns":   links("cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts"),
}

// mode returns a file's permissions.
func (f file) mode() uint32 {
	parent, name := "", f.path
	if i := strings.LastIndexByte(f.path, '/'); i >= 0 {
		parent, name = f.path[:i], f.path[i+1:]
	}
	t := processEntries
	if f.pid == 0 {
		t = systemEntries
	}
	for _, e := range t[parent] {
		if e.name == name {
			return e.mode
		}
	}
	return 0o400 // fdinfo
}
