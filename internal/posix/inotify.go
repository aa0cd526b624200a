package posix

import (
	"context"
	"fmt"
	"strings"
	"syscall"

	"github.com/hati-os/hati/internal/servers/inotify"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// inotifyCalls are inotify(7)'s; fanotify(7) needs privilege that nobody has in
// a box.
var inotifyCalls = calls{
	unix.SYS_INOTIFY_INIT:      {fn: func(t *Task, _ *Args) (uint64, error) { return t.inotifyInit(0) }},
	unix.SYS_INOTIFY_INIT1:     {fn: func(t *Task, a *Args) (uint64, error) { return t.inotifyInit(a.Int(0)) }},
	unix.SYS_INOTIFY_ADD_WATCH: {fn: sysInotifyAddWatch, blocks: interruptible},
	unix.SYS_INOTIFY_RM_WATCH:  {fn: sysInotifyRmWatch},
	unix.SYS_FANOTIFY_INIT:     {fn: sysNotPermitted},
	unix.SYS_FANOTIFY_MARK:     {fn: sysFanotifyMark},
}

// maxInstances is how many a box may have (fs.inotify.max_user_instances).
const maxInstances = 128

// inotifyFile is an inotify descriptor's file.
type inotifyFile struct {
	*inotify.Instance
	w *watchers
}

// Close ends the instance; with the last one nobody asks for events any more.
func (f *inotifyFile) Close() error {
	defer f.w.instances.Add(-1)
	return f.Instance.Close()
}

// FDInfo is for /proc.
func (f *inotifyFile) FDInfo() string {
	type watch struct {
		wd   int32
		node vfs.Node
		mask uint32
	}
	var list []watch
	f.Watches(func(wd int32, n vfs.Node, mask uint32) bool {
		list = append(list, watch{wd, n, mask})
		return true
	})
	var b strings.Builder
	for _, w := range list {
		a, _ := w.node.Stat(context.Background())
		fmt.Fprintf(&b, "inotify wd:%x ino:%x sdev:%x mask:%x ignored_mask:0\n", w.wd, a.Ino, a.Dev, w.mask)
	}
	return b.String()
}

func (t *Task) inotifyInit(flags int) (uint64, error) {
	if flags&^(unix.IN_CLOEXEC|unix.IN_NONBLOCK) != 0 {
		return 0, syscall.EINVAL
	}
	w := &t.k.mounts.watches
	if w.instances.Add(1) > maxInstances {
		w.instances.Add(-1)
		return 0, syscall.EMFILE
	}
	t.k.revokeGrants()
	return t.installObject(&inotifyFile{w.New(), w}, unix.O_RDONLY|flags, "anon_inode:inotify")
}

// inotify returns the instance behind fd, with a reference to its description.
func (t *Task) inotify(fd int) (*Description, *inotifyFile, error) {
	return fileOfKind[*inotifyFile](t, fd, syscall.EINVAL)
}

func sysInotifyAddWatch(t *Task, a *Args) (uint64, error) {
	mask := a.Uint(2)
	if err := inotify.CheckMask(mask); err != nil {
		return 0, err
	}
	d, f, err := t.inotify(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	flags := 0
	if mask&unix.IN_DONT_FOLLOW != 0 {
		flags = unix.AT_SYMLINK_NOFOLLOW
	}
	l, err := t.lookupArg(unix.AT_FDCWD, a[1], flags)
	if err != nil {
		return 0, err
	}
	if mask&unix.IN_ONLYDIR != 0 && dirBit(l.node) == 0 {
		return 0, syscall.ENOTDIR
	}
	attr, err := l.node.Stat(t.context())
	if err != nil {
		return 0, err
	}
	if err := t.creds.Load().may(&attr, mayRead); err != nil {
		return 0, err
	}
	wd, err := f.Add(l.node, mask)
	return uint64(wd), err
}

func sysInotifyRmWatch(t *Task, a *Args) (uint64, error) {
	d, f, err := t.inotify(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	return 0, f.Remove(int32(a.Int(1)))
}

// sysFanotifyMark finds no descriptor that it could be about.
func sysFanotifyMark(t *Task, a *Args) (uint64, error) {
	d, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	d.release()
	return 0, syscall.EINVAL
}
