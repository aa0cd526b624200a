// Package srv serves /srv: the services of a registry (package names) as files.
// Opening one begins a conversation; each write sends a message and each read
// takes one, as a SOCK_SEQPACKET socket does. It imports names, lane, vfs,
// vfs/remote, internal/servers/hostio and x/sys.
//
// Lock order: FS.mu and file.mu are leaves but for the vfs.Queue's and the
// conversation's.
package srv

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hati-os/hati/names"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// FS is the tree. All methods may be called concurrently.
type FS struct {
	services names.Directory
	since    syscall.Timespec
	ctx      context.Context
	stop     context.CancelFunc
	files    sync.WaitGroup

	mu    sync.Mutex
	nodes map[string]*node
	last  uint64
}

// New returns the tree of a registry's services.
func New(d names.Directory) *FS {
	ctx, stop := context.WithCancel(context.Background())
	return &FS{
		services: d, since: syscall.NsecToTimespec(time.Now().UnixNano()), ctx: ctx, stop: stop,
		nodes: map[string]*node{}, last: rootIno,
	}
}

// Close ends all conversations.
func (fs *FS) Close() error {
	fs.stop()
	fs.files.Wait()
	return nil
}

// Root implements vfs.FS.
func (fs *FS) Root(context.Context) (vfs.Node, error) { return dir{fs}, nil }

// dir is the only directory. Two are equal.
type dir struct{ fs *FS }

const rootIno = 1

// Stat implements vfs.Node.
func (d dir) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{
		Ino: rootIno, Mode: unix.S_IFDIR | 0o555, Nlink: 2, Blksize: 4096,
		Atime: d.fs.since, Mtime: d.fs.since, Ctime: d.fs.since,
	}, nil
}

// Lookup implements vfs.Dir.
func (d dir) Lookup(ctx context.Context, name string) (vfs.Node, error) {
	info, err := d.fs.info(ctx, name)
	if err != nil {
		return nil, err
	}
	return d.fs.node(info.Name), nil
}

// info asks the registry for a name.
func (fs *FS) info(ctx context.Context, name string) (names.Info, error) {
	if !names.Valid(name) {
		return names.Info{}, syscall.ENOENT
	}
	all, err := fs.services.List(ctx, name)
	if err != nil {
		return names.Info{}, err
	}
	if len(all) != 1 || all[0].Name != name {
		fs.mu.Lock()
		delete(fs.nodes, name)
		fs.mu.Unlock()
		return names.Info{}, syscall.ENOENT
	}
	return all[0], nil
}

// node returns the node of a name.
func (fs *FS) node(name string) *node {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n := fs.nodes[name]
	if n == nil {
		fs.last++
		n = &node{fs: fs, name: name, ino: fs.last}
		fs.nodes[name] = n
	}
	return n
}

// Open implements vfs.Opener.
func (d dir) Open(ctx context.Context, flags int) (vfs.File, error) {
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		return nil, syscall.EISDIR
	}
	return &listing{dir: d}, nil
}

// listing is the open directory.
type listing struct{ dir dir }

// Node implements vfs.File.
func (l *listing) Node() vfs.Node { return l.dir }

// Close implements vfs.File.
func (l *listing) Close() error { return nil }

// ReadDir implements vfs.DirReader. A name's cookie is the number after that of its
// inode, which it keeps.
func (l *listing) ReadDir(ctx context.Context, cookie uint64, most int) ([]vfs.Dirent, error) {
	all, err := l.dir.fs.services.List(ctx, "")
	if err != nil {
		return nil, err
	}
	var out []vfs.Dirent
	for _, i := range all {
		if ino := l.dir.fs.node(i.Name).ino; ino+1 > cookie {
			out = append(out, vfs.Dirent{Name: i.Name, Ino: ino, Type: unix.S_IFCHR, Next: ino + 1})
		}
	}
	slices.SortFunc(out, func(a, b vfs.Dirent) int { return cmp.Compare(a.Next, b.Next) })
	return out[:min(most, len(out))], nil
}

// node is a service.
type node struct {
	fs   *FS
	name string
	ino  uint64
}

// Stat implements vfs.Node. A service that has gone has nobody left to open it.
func (n *node) Stat(ctx context.Context) (vfs.Attr, error) {
	a := vfs.Attr{
		Ino: n.ino, Mode: unix.S_IFCHR, Nlink: 0, Blksize: names.MaxMessage,
		Atime: n.fs.since, Mtime: n.fs.since, Ctime: n.fs.since,
	}
	info, err := n.fs.info(ctx, n.name)
	switch {
	case err == nil:
		a.Mode |= uint32(info.Mode)
		a.UID, a.GID, a.Nlink = info.UID, info.GID, 1
	case ctx.Err() != nil:
		return a, context.Cause(ctx)
	}
	return a, nil
}

// Open implements vfs.Opener: it begins a conversation, for which the server may
// take its time.
func (n *node) Open(ctx context.Context, _ int) (vfs.File, error) {
	q := names.Request{Protocol: names.Talk}
	if c, ok := vfs.CallerOf(ctx); ok {
		q.Caller = names.Caller{UID: c.UID, GID: c.GID, PID: c.PID}
	}
	if i, err := n.fs.info(ctx, n.name); err == nil && i.Protocol == names.Socket.Name {
		return n.openSocket(ctx, q)
	}
	o, err := n.fs.services.Open(ctx, n.name, q)
	if err != nil {
		return nil, err
	}
	return newFile(n, q, o)
}
