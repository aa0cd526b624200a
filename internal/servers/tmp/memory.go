package tmp

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// hostMemory returns how much memory the host has, and how much of it can be
// had, in pages: the room of a file system without a limit.
func hostMemory() (total, available int64) {
	var s unix.Sysinfo_t
	if unix.Sysinfo(&s) != nil {
		return 0, 0
	}
	unit := int64(max(s.Unit, 1))
	total = int64(s.Totalram) * unit / pageSize
	available = (int64(s.Freeram) + int64(s.Bufferram)) * unit / pageSize
	// What the page cache would give back is known to /proc only.
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if _, b, ok := bytes.Cut(b, []byte("MemAvailable:")); ok {
			b, _, _ = bytes.Cut(b, []byte("kB"))
			if n, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64); err == nil {
				available = n * 1024 / pageSize
			}
		}
	}
	return total, min(available, total)
}
