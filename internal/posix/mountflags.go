package posix

import (
	"slices"
	"strings"
	"syscall"

	"github.com/hati-os/hati/internal/servers/tmp"
	"golang.org/x/sys/unix"
)

// placeFlags are the flags of mount(2) that belong to one place of a file system
// and not to the file system; all but MS_RDONLY, which is mount.readOnly.
const placeFlags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOSYMFOLLOW | atimeFlags

// atimeFlags say how the times of access move. None means as ever: MS_RELATIME.
const atimeFlags = unix.MS_NOATIME | unix.MS_NODIRATIME | unix.MS_STRICTATIME | unix.MS_RELATIME

// lockable are the flags that nobody takes away from what the configuration has
// mounted, as in a user namespace.
const lockable = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// propagation are the flags of mount(2) that only say how mounts spread to other
// namespaces. There is one namespace.
const propagation = unix.MS_SHARED | unix.MS_PRIVATE | unix.MS_SLAVE | unix.MS_UNBINDABLE

// has reports whether the mount has a flag of placeFlags.
func (m *mount) has(flag uint32) bool { return m.flags.Load()&flag != 0 }

// setFlags takes what mount(2) has got.
func (m *mount) setFlags(flags uint64) {
	kept := uint32(flags & placeFlags)
	if kept&unix.MS_STRICTATIME != 0 {
		kept &^= unix.MS_NOATIME
	}
	m.flags.Store(kept &^ unix.MS_RELATIME)
}

// openFlags are the flags for the server with which a file of m is opened.
func (m *mount) openFlags(flags int, dir bool) int {
	if m.has(unix.MS_NOATIME) || dir && m.has(unix.MS_NODIRATIME) {
		// Others refuse O_NOATIME to who does not own the file, and keep times as
		// their own mount has it.
		if _, ours := m.fs.(*tmp.FS); ours {
			flags |= unix.O_NOATIME
		}
	}
	return flags
}

// options are the flags as /proc/mounts shows them.
func (m *mount) options() string {
	s := m.access()
	for _, o := range []struct {
		flag uint32
		name string
	}{
		{unix.MS_NOSUID, "nosuid"}, {unix.MS_NODEV, "nodev"}, {unix.MS_NOEXEC, "noexec"}, {unix.MS_NOATIME, "noatime"}, {unix.MS_NODIRATIME, "nodiratime"},
	} {
		if m.has(o.flag) {
			s += "," + o.name
		}
	}
	if !m.has(unix.MS_NOATIME | unix.MS_STRICTATIME) {
		s += ",relatime"
	}
	if m.has(unix.MS_NOSYMFOLLOW) {
		s += ",nosymfollow"
	}
	return s
}

// statFlags are the flags as statfs(2) tells them.
func (m *mount) statFlags() uint64 {
	const (
		valid       = 0x20
		noexec      = 0x8
		nosymfollow = 0x2000
	)
	s := uint64(valid)
	for _, f := range []struct {
		is  bool
		bit uint64
	}{
		{m.readOnly.Load(), unix.ST_RDONLY}, {m.has(unix.MS_NOSUID), unix.ST_NOSUID}, {m.has(unix.MS_NODEV), unix.ST_NODEV},
		{m.has(unix.MS_NOEXEC), noexec}, {m.has(unix.MS_NOATIME), unix.ST_NOATIME}, {m.has(unix.MS_NODIRATIME), unix.ST_NODIRATIME},
		{!m.has(unix.MS_NOATIME | unix.MS_STRICTATIME), unix.ST_RELATIME}, {m.has(unix.MS_NOSYMFOLLOW), nosymfollow},
	} {
		if f.is {
			s |= f.bit
		}
	}
	return s
}

// remount changes the flags of a mount. What the configuration has mounted keeps
// those that it has. data is mount(2)'s last argument.
func (t *Task) remount(l *located, flags, data uint64) error {
	m := l.mount()
	if l.d == nil || l.d != m.root {
		return syscall.EINVAL
	}
	if flags&unix.MS_BIND == 0 {
		// Changes of the file system itself there are none; mount(8) names what is.
		options, err := t.mountOptions(data)
		if err != nil {
			return err
		}
		if _, ours := m.fs.(*tmp.FS); ours && !sameOptions(strings.Split(m.extra, ","), options) {
			return syscall.EINVAL
		}
	}
	ro := flags&unix.MS_RDONLY != 0
	table := t.k.mounts
	table.mu.Lock()
	defer table.mu.Unlock()
	if m.locked&^uint32(flags) != 0 {
		return syscall.EPERM
	}
	if flags&atimeFlags == 0 {
		flags |= uint64(m.flags.Load() & atimeFlags)
	}
	m.readOnly.Store(ro)
	m.setFlags(flags)
	return nil
}

// sameOptions reports whether all of options are among those that a file system
// in memory was mounted with, or mean nothing to it.
func sameOptions(have, options []string) bool {
	for _, o := range options {
		key, _, _ := strings.Cut(o, "=")
		if !slices.Contains(have, o) && !tmpfsIgnored(key) {
			return false
		}
	}
	return true
}

// propagate is the change of how a mount spreads.
func propagate(l *located, flags uint64) error {
	kind := flags &^ (unix.MS_REC | unix.MS_SILENT)
	if kind&^propagation != 0 || kind&(kind-1) != 0 {
		return syscall.EINVAL
	}
	if l.d == nil || l.d != l.mount().root {
		return syscall.EINVAL
	}
	return nil
}
