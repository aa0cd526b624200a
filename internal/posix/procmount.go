package posix

import (
	"fmt"
	"strings"
)

// mountEscape writes a field of /proc/mounts: spaces and the like in octal.
var mountEscape = strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`)

// procMounts is /proc/pid/mounts, see fstab(5).
func (k *Kernel) procMounts(t *Task) []byte {
	var b []byte
	for _, m := range k.mounts.mounted() {
		b = fmt.Appendf(b, "%s %s %s %s 0 0\n", mountEscape.Replace(m.shownSource()), mountEscape.Replace(m.place()), m.shownType(), m.options())
	}
	return b
}

// procMountinfo is /proc/pid/mountinfo, see proc_pid_mountinfo(5).
func (k *Kernel) procMountinfo(t *Task) []byte {
	var b []byte
	for i, m := range k.mounts.mounted() {
		parent := 20
		if i == 0 {
			parent = 1
		}
		b = fmt.Appendf(b, "%d %d 0:%d / %s %s - %s %s %s\n", 20+i, parent, 20+i, mountEscape.Replace(m.place()), m.options(),
			m.shownType(), mountEscape.Replace(m.shownSource()), m.options())
	}
	return b
}

func (m *mount) options() string {
	if m.readOnly {
		return "ro,nosuid,relatime"
	}
	return "rw,nosuid,relatime"
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
