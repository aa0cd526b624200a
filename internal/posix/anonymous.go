package posix

import (
	"context"
	"strconv"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// nowhere is the mount of files that no mount has.
var nowhere = &mount{kind: "none"}

// anonymous returns the Path of a file that never had a name; name is what
// /proc/self/fd shows ("pipe:[7]").
func anonymous(n vfs.Node, name string) Path {
	return Path{newDentry(nowhere, n, nil, name)}
}

// nameless returns such a name for a file that came from outside the box.
func nameless(f vfs.File) string {
	if _, ok := f.(vfs.Terminal); ok {
		return "/dev/console"
	}
	a, err := f.Node().Stat(context.Background())
	if err != nil {
		return "anon_inode:[file]"
	}
	switch a.Type() {
	case unix.S_IFIFO:
		return "pipe:[" + utoa(a.Ino) + "]"
	case unix.S_IFSOCK:
		return "socket:[" + utoa(a.Ino) + "]"
	}
	return "file:[" + utoa(a.Ino) + "]"
}

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }
