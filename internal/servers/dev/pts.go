package dev

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"github.com/hati-os/hati/internal/servers/tty"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Pts is the file system of /dev/pts, devpts: a name for the slave of each
// pseudo-terminal, and ptmx.
type Pts struct {
	tree
	job   tty.Job
	owner func(context.Context) uint32
	root  ptsDir
	ptmx  *special

	names  sync.Mutex     // guards the rest
	used   map[int]bool   // indices of terminals of which a file is open
	slaves map[int]*slave // those whose master is
}

// The numbers of terminals, and how many there may be at a time (man 5 proc,
// /proc/sys/kernel/pty/max).
const (
	ptsMajor  = 136
	ptsMost   = 4096
	ptsDirIno = 1
	ptmxIno   = 2
	slaveIno  = 3 // of index 0
)

var ptmxNumber = unix.Mkdev(5, 2)

// newPts makes the file system and registers ptmx.
func newPts(o *Options) *Pts {
	p := &Pts{tree: tree{dev: o.PtsDev, registry: o.Registry}, job: o.Job, owner: o.Owner,
		used: make(map[int]bool), slaves: make(map[int]*slave)}
	_ = p.registry.Register(unix.S_IFCHR, ptmxNumber, DeviceFunc(p.open)) // EEXIST: the caller's own stays
	p.ptmx = &special{inode: p.newInode(unix.S_IFCHR|0o666, 0, 0)}
	p.ptmx.ino, p.ptmx.rdev = ptmxIno, ptmxNumber
	p.root.inode = p.newInode(unix.S_IFDIR|0o755, 0, 0)
	p.root.ino, p.root.nlink, p.root.p = ptsDirIno, 2, p
	return p
}

// Root returns the directory.
func (p *Pts) Root(context.Context) (vfs.Node, error) { return &p.root, nil }

// Statfs answers as devpts.
func (p *Pts) Statfs(context.Context) (vfs.Statfs, error) {
	return vfs.Statfs{Type: unix.DEVPTS_SUPER_MAGIC, BlockSize: blockSize, NameMax: nameMax}, nil
}

// open is the driver of ptmx: it makes a terminal and returns its master; ENOSPC
// when there are too many.
func (p *Pts) open(ctx context.Context, node vfs.Node, _ int) (vfs.File, error) {
	var uid uint32
	if p.owner != nil {
		uid = p.owner(ctx)
	}

	p.names.Lock()
	index := 0
	for p.used[index] {
		index++
	}
	if index >= ptsMost {
		p.names.Unlock()
		return nil, syscall.ENOSPC
	}
	p.used[index] = true
	p.names.Unlock()

	s := &slave{inode: p.newInode(unix.S_IFCHR|0o620, uid, ttyGID)}
	s.ino, s.rdev = slaveIno+uint64(index), unix.Mkdev(ptsMajor, uint32(index))
	s.pty = tty.New(tty.Options{
		Job: p.job, Index: index, Rdev: s.rdev,
		OpenPeer: s.Open,
		Closed:   func() { p.remove(index) },
		Released: func() { p.free(index) },
	})
	err := p.registry.Register(unix.S_IFCHR, s.rdev, DeviceFunc(s.openAt)) // for nodes made elsewhere
	if err != nil {
		p.free(index)
		return nil, err
	}
	p.names.Lock()
	p.slaves[index] = s
	p.names.Unlock()
	return s.pty.Master(node), nil
}

// remove takes the slave's name away.
func (p *Pts) remove(index int) {
	p.names.Lock()
	s := p.slaves[index]
	delete(p.slaves, index)
	p.names.Unlock()
	if s == nil {
		return
	}
	p.registry.Unregister(unix.S_IFCHR, s.rdev)
}

func (p *Pts) free(index int) {
	p.names.Lock()
	defer p.names.Unlock()
	delete(p.used, index)
}

// slave is the node of a slave.
type slave struct {
	inode
	pty *tty.PTY
}

// Open opens the slave.
func (s *slave) Open(ctx context.Context, flags int) (vfs.File, error) {
	return s.openAt(ctx, s, flags)
}

func (s *slave) openAt(ctx context.Context, node vfs.Node, _ int) (vfs.File, error) {
	f, err := s.pty.OpenSlave(ctx, node)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// ptsDir is the directory. Names come and go with terminals only.
type ptsDir struct {
	inode
	p *Pts
}

// Lookup finds ptmx, or a terminal by its index.
func (d *ptsDir) Lookup(_ context.Context, name string) (vfs.Node, error) {
	if name == "ptmx" {
		return d.p.ptmx, nil
	}
	index, err := strconv.Atoi(name)
	if err != nil || strconv.Itoa(index) != name { // "007" and "+7" are no names
		return nil, syscall.ENOENT
	}
	d.p.names.Lock()
	defer d.p.names.Unlock()
	if s, ok := d.p.slaves[index]; ok {
		return s, nil
	}
	return nil, syscall.ENOENT
}

// Open opens the directory for listing.
func (d *ptsDir) Open(context.Context, int) (vfs.File, error) { return &ptsFile{d}, nil }

type ptsFile struct{ d *ptsDir }

func (f *ptsFile) Node() vfs.Node { return f.d }
func (f *ptsFile) Close() error   { return nil }

// ReadDir lists ptmx and the terminals in order. The cookie of an index is
// always the same.
func (f *ptsFile) ReadDir(_ context.Context, cookie uint64, max int) ([]vfs.Dirent, error) {
	p := f.d.p
	p.names.Lock()
	list := make([]vfs.Dirent, 0, len(p.slaves)+1)
	add := func(name string, ino uint64) {
		if next := firstCookie - ptmxIno + ino + 1; next > cookie {
			list = append(list, vfs.Dirent{Name: name, Ino: ino, Type: unix.S_IFCHR, Next: next})
		}
	}
	add("ptmx", ptmxIno)
	for index, s := range p.slaves {
		add(strconv.Itoa(index), s.ino)
	}
	p.names.Unlock()
	slices.SortFunc(list, func(a, b vfs.Dirent) int { return cmp.Compare(a.Next, b.Next) })
	return list[:min(len(list), max)], nil
}
