package posix

import (
	"fmt"
	"path"
	"strings"
)

// mountEscape writes a field of /proc/mounts: spaces and the like in octal.
var mountEscape = strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`)

// procMounts is /proc/pid/mounts, see fstab(5).
func (k *Kernel) procMounts(t *Task) []byte {
	var b []byte
	for _, m := range k.mounts.mounted() {
		b = fmt.Appendf(b, "%s %s %s %s%s 0 0\n", mountEscape.Replace(m.shownSource()), mountEscape.Replace(m.place()), m.shownType(), m.options(), m.extra)
	}
	return b
}

// procMountinfo is /proc/pid/mountinfo, see proc_pid_mountinfo(5).
func (k *Kernel) procMountinfo(t *Task) []byte {
	var b []byte
	for _, m := range k.mounts.mounted() {
		parent := 1
		if m.parent != nil {
			parent = m.parent.id + 19
		}
		b = fmt.Appendf(b, "%d %d 0:%d %s %s %s - %s %s %s%s\n", m.id+19, parent, m.id+19, mountEscape.Replace(path.Join("/", m.within)), mountEscape.Replace(m.place()), m.options(),
			m.shownType(), mountEscape.Replace(m.shownSource()), m.access(), m.extra)
	}
	return b
}

func (m *mount) access() string {
	if m.readOnly.Load() {
		return "ro"
	}
	return "rw"
}

func (m *mount) shownType() string {
	if m.kind == "" {
		return "none"
	}
	return m.kind
}

func (m *mount) shownSource() string {
	if m.source == "" {
		return "none"
	}
	return m.source
}
