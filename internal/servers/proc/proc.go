// Package proc serves /proc: the names, and whose they are. What the files say
// comes from POSIX through [View].
//
// Nodes are small values, compared by what they name, so nothing is kept per
// process and nothing has to be forgotten when one ends.
//
// The package imports vfs and golang.org/x/sys only. It has no locks.
package proc

import (
	"context"
	"hash/fnv"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// View is what POSIX shows of itself. pid and tid are a process and one of its
// threads; both are 0 for what concerns the whole system. The methods may be
// called concurrently; those about a process that is gone return ESRCH.
type View interface {
	// Caller returns who makes the system call that ctx belongs to.
	Caller(ctx context.Context) (pid, tid int)
	// PIDs and Threads return sorted ids; Threads is nil for no process.
	PIDs() []int
	Threads(pid int) []int
	// Owner returns who the files of a process belong to.
	Owner(pid int) (uid, gid uint32)
	// Read returns a file's contents, Write takes what was written to it.
	Read(ctx context.Context, pid, tid int, name string) ([]byte, error)
	Write(ctx context.Context, pid, tid int, name string, p []byte) error
	// Link returns what a magic link is to: the target, in POSIX's terms, and how
	// readlink shows it. name is "exe", "cwd", "root" or "fd/N".
	Link(ctx context.Context, pid, tid int, name string) (target any, text string, err error)
	// FDs returns the open descriptors, sorted, with their access modes.
	FDs(ctx context.Context, pid, tid int) ([]FD, error)
}

// FD is an open descriptor. Mode is O_RDONLY, O_WRONLY or O_RDWR.
type FD struct{ Number, Mode int }

// FS is a /proc.
type FS struct {
	view View
	boot syscall.Timespec
}

// New returns the server for a view.
func New(v View) *FS {
	return &FS{view: v, boot: syscall.NsecToTimespec(time.Now().UnixNano())}
}

// Root returns the directory.
func (f *FS) Root(context.Context) (vfs.Node, error) { return dir{node{fs: f}}, nil }

// Statfs answers as procfs.
func (f *FS) Statfs(context.Context) (vfs.Statfs, error) {
	return vfs.Statfs{Type: unix.PROC_SUPER_MAGIC, BlockSize: 4096, NameMax: 255}, nil
}

// node names a file: of the system (pid 0), of a process (tid 0) or of a thread.
// path is below that, "" for the directory itself.
type node struct {
	fs       *FS
	pid, tid int
	path     string
}

type (
	dir   struct{ node }
	file  struct{ node }
	link  struct{ node } // magic: goes where no path need lead
	alias struct{ node } // an ordinary symbolic link of the system
)

// thread returns the thread that a node is about: of a process, its first.
func (n node) thread() int {
	if n.tid != 0 {
		return n.tid
	}
	return n.pid
}

func (n node) ino() uint64 {
	h := fnv.New64a()
	h.Write(strconv.AppendInt(nil, int64(n.pid), 10))
	h.Write([]byte{'/'})
	h.Write(strconv.AppendInt(nil, int64(n.tid), 10))
	h.Write([]byte(n.path))
	return h.Sum64()>>24 | 1
}

func (n node) attr(mode uint32) (vfs.Attr, error) {
	a := vfs.Attr{Dev: unix.Mkdev(0, 22), Ino: n.ino(), Mode: mode, Nlink: 1, Blksize: 1024,
		Atime: n.fs.boot, Mtime: n.fs.boot, Ctime: n.fs.boot, Btime: n.fs.boot}
	if n.pid != 0 {
		if n.fs.view.Threads(n.pid) == nil {
			return a, syscall.ENOENT
		}
		a.UID, a.GID = n.fs.view.Owner(n.pid)
	}
	return a, nil
}

// ProcessOf returns the process whose directory n is.
func ProcessOf(n vfs.Node) (pid int, ok bool) {
	d, ok := n.(dir)
	return d.pid, ok && d.pid != 0 && d.tid == 0 && d.path == ""
}

func (d dir) Stat(context.Context) (vfs.Attr, error) {
	mode := uint32(unix.S_IFDIR | 0o555)
	if d.path == "fd" || d.path == "fdinfo" || d.path == "ns" {
		mode = unix.S_IFDIR | 0o500
	}
	a, err := d.attr(mode)
	a.Nlink = 2
	return a, err
}

func (f file) Stat(context.Context) (vfs.Attr, error) { return f.attr(unix.S_IFREG | f.mode()) }

func (l link) Stat(ctx context.Context) (vfs.Attr, error) {
	mode := uint32(unix.S_IFLNK | 0o777)
	if n, ok := strings.CutPrefix(l.path, "fd/"); ok {
		mode = unix.S_IFLNK
		fds, err := l.fs.view.FDs(ctx, l.pid, l.thread())
		if err != nil {
			return vfs.Attr{}, err
		}
		for _, fd := range fds {
			if strconv.Itoa(fd.Number) == n {
				mode |= [...]uint32{0o500, 0o300, 0o700, 0o700}[fd.Mode&3]
			}
		}
	}
	a, err := l.attr(mode)
	a.Size = 64
	return a, err
}

// child makes the node of a name in d, given what the tables say of it.
func (d dir) child(name string) node {
	n := d.node
	if n.path != "" {
		name = n.path + "/" + name
	}
	n.path = name
	return n
}

// Lookup finds a name.
func (d dir) Lookup(ctx context.Context, name string) (vfs.Node, error) {
	if d.pid == 0 {
		return d.lookupSystem(ctx, name)
	}
	threads := d.fs.view.Threads(d.pid)
	if threads == nil {
		return nil, syscall.ENOENT
	}
	switch d.path {
	case "fd", "fdinfo":
		return d.lookupFD(ctx, name)
	case "task":
		tid, ok := number(name)
		if i := sort.SearchInts(threads, tid); !ok || i == len(threads) || threads[i] != tid {
			return nil, syscall.ENOENT
		}
		return dir{node{fs: d.fs, pid: d.pid, tid: tid}}, nil
	}
	if name == "task" && d.tid != 0 {
		return nil, syscall.ENOENT
	}
	return d.lookupTable(processEntries, name)
}

func (d dir) lookupSystem(ctx context.Context, name string) (vfs.Node, error) {
	if d.path == "" {
		if pid, ok := number(name); ok {
			if d.fs.view.Threads(pid) != nil {
				return dir{node{fs: d.fs, pid: pid}}, nil
			}
			// A thread's directory can be had by its id, though it is not listed.
			for _, p := range d.fs.view.PIDs() {
				for _, t := range d.fs.view.Threads(p) {
					if t == pid {
						return dir{node{fs: d.fs, pid: p}}, nil
					}
				}
			}
			return nil, syscall.ENOENT
		}
		if name == "self" || name == "thread-self" {
			if pid, _ := d.fs.view.Caller(ctx); pid == 0 {
				return nil, syscall.ENOENT
			}
			return alias{d.child(name)}, nil
		}
	}
	return d.lookupTable(systemEntries, name)
}

func (d dir) lookupTable(t map[string][]entry, name string) (vfs.Node, error) {
	for _, e := range t[d.path] {
		if e.name == name {
			return e.node(d.child(name)), nil
		}
	}
	return nil, syscall.ENOENT
}

func (d dir) lookupFD(ctx context.Context, name string) (vfs.Node, error) {
	n, ok := number(name)
	fds, err := d.fs.view.FDs(ctx, d.pid, d.thread())
	if err != nil {
		return nil, err
	}
	i := sort.Search(len(fds), func(i int) bool { return fds[i].Number >= n })
	if !ok || i == len(fds) || fds[i].Number != n {
		return nil, syscall.ENOENT
	}
	if d.path == "fd" {
		return link{d.child(name)}, nil
	}
	return file{d.child(name)}, nil
}

// number reads a decimal number as the kernel writes it.
func number(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && strconv.Itoa(n) == s
}

func (a alias) Stat(context.Context) (vfs.Attr, error) { return a.attr(unix.S_IFLNK | 0o777) }

// Readlink shows where the link leads.
func (a alias) Readlink(ctx context.Context) (string, error) {
	pid, tid := a.fs.view.Caller(ctx)
	switch a.path {
	case "self":
		return strconv.Itoa(pid), nil
	case "thread-self":
		return strconv.Itoa(pid) + "/task/" + strconv.Itoa(tid), nil
	}
	return "self/" + a.path, nil // mounts, net
}

// Readlink shows where a magic link leads.
func (l link) Readlink(ctx context.Context) (string, error) {
	_, text, err := l.fs.view.Link(ctx, l.pid, l.thread(), l.path)
	return text, err
}

// Jump follows a magic link.
func (l link) Jump(ctx context.Context) (any, error) {
	to, _, err := l.fs.view.Link(ctx, l.pid, l.thread(), l.path)
	if err == nil && to == nil {
		err = syscall.EACCES // a namespace: there is no file
	}
	return to, err
}
