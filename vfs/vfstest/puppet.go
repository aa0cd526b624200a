package vfstest

import (
	"context"
	"math"
	"slices"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Puppet is a server that behaves as it is told: its calls do what their plans
// say before they have their effect. It counts what callers hold, so that a test
// can see whether anything was left behind.
//
// Its root shows the regular file "file", the stream "stream" that gives what
// [Puppet.Feed] put in, the directory "dir" and the link "link".
type Puppet struct {
	mu    sync.Mutex
	plans map[string]func(context.Context) error
	calls map[string]int

	open, maps int
	opened     int // ever
	files      int // made and not removed
	locks      []vfs.Lock
	tokens     chan byte
	changed    sync.Cond // locks
	data       []byte
}

// NewPuppet returns a server without plans.
func NewPuppet() *Puppet {
	p := &Puppet{plans: map[string]func(context.Context) error{}, calls: map[string]int{},
		tokens: make(chan byte, 1<<20), data: []byte("the puppet's file")}
	p.changed.L = &p.mu
	return p
}

// Plan has f run at the start of each call of that name (the method's, in small
// letters). An error of f's is the call's. nil ends the plan.
func (p *Puppet) Plan(call string, f func(context.Context) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plans[call] = f
}

// Calls returns how often a method was called.
func (p *Puppet) Calls(call string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[call]
}

// Feed puts bytes into the stream.
func (p *Puppet) Feed(b ...byte) {
	for _, b := range b {
		p.tokens <- b
	}
}

// Held returns how many files are open, mapped and locked.
func (p *Puppet) Held() (open, maps, locks int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open, p.maps, len(p.locks)
}

// came returns how many files were opened and how often locks were set.
func (p *Puppet) came() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opened + p.calls["setlock"]
}

// Stop is a call that is stuck.
type Stop struct {
	// Entered gets the ctx of each call that comes to the stop.
	Entered chan context.Context
	release chan struct{}
	once    sync.Once
}

// Release lets the calls go on.
func (s *Stop) Release() { s.once.Do(func() { close(s.release) }) }

// Ignore makes the call wait for [Stop.Release], whatever becomes of its ctx.
func (p *Puppet) Ignore(call string) *Stop { return p.stop(call, false) }

// Heed makes the call wait for its ctx to end, and then return the cause.
func (p *Puppet) Heed(call string) *Stop { return p.stop(call, true) }

func (p *Puppet) stop(call string, heed bool) *Stop {
	s := &Stop{Entered: make(chan context.Context, 4096), release: make(chan struct{})}
	p.Plan(call, func(ctx context.Context) error {
		s.Entered <- ctx
		var done <-chan struct{}
		if heed {
			done = ctx.Done()
		}
		select {
		case <-s.release:
			return nil
		case <-done:
			return context.Cause(ctx)
		}
	})
	return s
}

// at is the start of every call.
func (p *Puppet) at(ctx context.Context, call string) error {
	p.mu.Lock()
	p.calls[call]++
	f := p.plans[call]
	p.mu.Unlock()
	if f != nil {
		return f(ctx)
	}
	return nil
}

func (p *Puppet) add(counter *int, n int) {
	p.mu.Lock()
	*counter += n
	p.mu.Unlock()
}

type puppetNode struct {
	p    *Puppet
	name string
}

type (
	puppetDir  struct{ puppetNode }
	puppetFile struct{ puppetNode }
	puppetLink struct{ puppetNode }
)

// Root returns the root.
func (p *Puppet) Root(ctx context.Context) (vfs.Node, error) {
	return puppetDir{puppetNode{p, ""}}, p.at(ctx, "root")
}

// Statfs tells nothing of interest.
func (p *Puppet) Statfs(ctx context.Context) (vfs.Statfs, error) {
	return vfs.Statfs{Type: 0x70757070, BlockSize: 4096, NameMax: 255}, p.at(ctx, "statfs")
}

func (n puppetNode) Stat(ctx context.Context) (vfs.Attr, error) {
	a := vfs.Attr{Dev: 7007, Ino: 2, Nlink: 1, Blksize: 4096, Mode: unix.S_IFREG | 0o666}
	for _, c := range []byte(n.name) {
		a.Ino = a.Ino*31 + uint64(c)
	}
	switch n.name {
	case "", "dir":
		a.Mode = unix.S_IFDIR | 0o777
	case "link":
		a.Mode = unix.S_IFLNK | 0o777
	case "stream":
		a.Mode = unix.S_IFCHR | 0o666
	default:
		n.p.mu.Lock()
		a.Size = int64(len(n.p.data))
		n.p.mu.Unlock()
	}
	return a, n.p.at(ctx, "stat")
}

func (n puppetNode) SetAttr(ctx context.Context, a vfs.SetAttr) error { return n.p.at(ctx, "setattr") }

func (n puppetNode) Getxattr(ctx context.Context, name string) ([]byte, error) {
	return []byte("value"), n.p.at(ctx, "getxattr")
}

func (n puppetNode) Setxattr(ctx context.Context, name string, value []byte, flags int) error {
	return n.p.at(ctx, "setxattr")
}

func (n puppetNode) Listxattr(ctx context.Context) ([]string, error) {
	return []string{"user.name"}, n.p.at(ctx, "listxattr")
}

func (n puppetNode) Removexattr(ctx context.Context, name string) error {
	return n.p.at(ctx, "removexattr")
}

func (d puppetDir) Lookup(ctx context.Context, name string) (vfs.Node, error) {
	if err := d.p.at(ctx, "lookup"); err != nil {
		return nil, err
	}
	n := puppetNode{d.p, name}
	switch name {
	case "file", "stream":
		return puppetFile{n}, nil
	case "dir":
		return puppetDir{n}, nil
	case "link":
		return puppetLink{n}, nil
	}
	return nil, syscall.ENOENT
}

// Stat tells of a directory, whatever its name.
func (d puppetDir) Stat(ctx context.Context) (vfs.Attr, error) {
	a, err := d.puppetNode.Stat(ctx)
	a.Mode, a.Size = unix.S_IFDIR|0o777, 0
	return a, err
}

func (d puppetDir) Make(ctx context.Context, name string, o vfs.MakeOptions) (vfs.Node, error) {
	if err := d.p.at(ctx, "make"); err != nil {
		return nil, err
	}
	d.p.add(&d.p.files, 1)
	n := puppetNode{d.p, name}
	if o.Mode&unix.S_IFMT == unix.S_IFDIR {
		return puppetDir{n}, nil
	}
	return puppetFile{n}, nil
}

func (d puppetDir) MakeOpen(ctx context.Context, name string, o vfs.MakeOptions, flags int) (vfs.Node, vfs.File, error) {
	if err := d.p.at(ctx, "makeopen"); err != nil {
		return nil, nil, err
	}
	d.p.add(&d.p.files, 1)
	n := puppetFile{puppetNode{d.p, name}}
	return n, n.file(), nil
}

func (d puppetDir) Tmpfile(ctx context.Context, o vfs.MakeOptions) (vfs.Node, error) {
	return puppetFile{puppetNode{d.p, "#tmp"}}, d.p.at(ctx, "tmpfile")
}

func (d puppetDir) Remove(ctx context.Context, name string, dir bool) error {
	return d.p.at(ctx, "remove")
}

func (d puppetDir) Rename(ctx context.Context, name string, to vfs.Dir, toName string, flags uint) error {
	return d.p.at(ctx, "rename")
}

func (d puppetDir) Link(ctx context.Context, target vfs.Node, name string) error {
	return d.p.at(ctx, "link")
}

func (d puppetDir) Open(ctx context.Context, flags int) (vfs.File, error) {
	if err := d.p.at(ctx, "opendir"); err != nil {
		return nil, err
	}
	d.p.add(&d.p.open, 1)
	d.p.add(&d.p.opened, 1)
	return &puppetList{d, sync.Once{}}, nil
}

func (l puppetLink) Readlink(ctx context.Context) (string, error) {
	return "file", l.p.at(ctx, "readlink")
}

func (f puppetFile) Open(ctx context.Context, flags int) (vfs.File, error) {
	if err := f.p.at(ctx, "open"); err != nil {
		return nil, err
	}
	return f.file(), nil
}

func (f puppetFile) file() vfs.File {
	f.p.add(&f.p.open, 1)
	f.p.add(&f.p.opened, 1)
	return &puppetOpen{puppetFile: f}
}

// GetLock tells of a lock in the way.
func (f puppetFile) GetLock(ctx context.Context, l vfs.Lock) (vfs.Lock, error) {
	if err := f.p.at(ctx, "getlock"); err != nil {
		return l, err
	}
	f.p.mu.Lock()
	defer f.p.mu.Unlock()
	if i := slices.IndexFunc(f.p.locks, func(o vfs.Lock) bool { return conflict(o, l) }); i >= 0 {
		return f.p.locks[i], nil
	}
	l.Type = unix.F_UNLCK
	return l, nil
}

func conflict(a, b vfs.Lock) bool {
	return a.Owner != b.Owner && a.Flock == b.Flock && a.Start <= b.End && b.Start <= a.End &&
		(a.Type == unix.F_WRLCK || b.Type == unix.F_WRLCK)
}

// SetLock keeps whole-range locks: one that lies within the range of a new one
// of its owner is replaced.
func (f puppetFile) SetLock(ctx context.Context, l vfs.Lock, wait bool) error {
	if err := f.p.at(ctx, "setlock"); err != nil {
		return err
	}
	p := f.p
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		p.changed.Broadcast()
		p.mu.Unlock()
	})
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.Type != unix.F_UNLCK {
		for slices.ContainsFunc(p.locks, func(o vfs.Lock) bool { return conflict(o, l) }) {
			if !wait {
				return syscall.EAGAIN
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			p.changed.Wait()
		}
	}
	p.locks = slices.DeleteFunc(p.locks, func(o vfs.Lock) bool {
		return o.Owner == l.Owner && o.Flock == l.Flock && l.Start <= o.Start && o.End <= l.End
	})
	if l.Type != unix.F_UNLCK {
		p.locks = append(p.locks, l)
	}
	p.changed.Broadcast()
	return nil
}

// wholeLock is an exclusive lock of all of a file.
func wholeLock(owner uint64) vfs.Lock {
	return vfs.Lock{Type: unix.F_WRLCK, Owner: owner, PID: 1, End: math.MaxInt64}
}

type puppetOpen struct {
	puppetFile
	closed sync.Once
}

func (f *puppetOpen) Node() vfs.Node { return f.puppetFile }

func (f *puppetOpen) IsStream() bool { return f.name == "stream" }

// Close counts, once.
func (f *puppetOpen) Close() error {
	err := f.p.at(context.Background(), "close")
	f.closed.Do(func() { f.p.add(&f.p.open, -1) })
	return err
}

// Read gives one byte of a stream, or the file's.
func (f *puppetOpen) Read(ctx context.Context, b []byte, off int64) (int, error) {
	if err := f.p.at(ctx, "read"); err != nil {
		return 0, err
	}
	if len(b) == 0 {
		return 0, nil
	}
	if f.name == "stream" {
		select {
		case b[0] = <-f.p.tokens:
			return 1, nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	f.p.mu.Lock()
	defer f.p.mu.Unlock()
	if off >= int64(len(f.p.data)) {
		return 0, nil
	}
	return copy(b, f.p.data[off:]), nil
}

func (f *puppetOpen) Write(ctx context.Context, b []byte, off int64) (int, error) {
	if err := f.p.at(ctx, "write"); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (f *puppetOpen) Append(ctx context.Context, b []byte) (int, int64, error) {
	if err := f.p.at(ctx, "append"); err != nil {
		return 0, 0, err
	}
	return len(b), int64(len(b)), nil
}

func (f *puppetOpen) Sync(ctx context.Context, dataOnly bool) error { return f.p.at(ctx, "sync") }

func (f *puppetOpen) Flush(ctx context.Context) error { return f.p.at(ctx, "flush") }

func (f *puppetOpen) SeekData(ctx context.Context, off int64, hole bool) (int64, error) {
	return off, f.p.at(ctx, "seekdata")
}

func (f *puppetOpen) Allocate(ctx context.Context, mode uint32, off, length int64) error {
	return f.p.at(ctx, "allocate")
}

func (f *puppetOpen) Ioctl(ctx context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	if err := f.p.at(ctx, "ioctl"); err != nil {
		return 0, err
	}
	return 0, arg.WriteAt([]byte{1, 2, 3, 4}, 0)
}

// puppetList is an open directory.
type puppetList struct {
	puppetDir
	closed sync.Once
}

func (l *puppetList) Node() vfs.Node { return l.puppetDir }

func (l *puppetList) Close() error {
	l.closed.Do(func() { l.p.add(&l.p.open, -1) })
	return nil
}

func (l *puppetList) ReadDir(ctx context.Context, cookie uint64, limit int) ([]vfs.Dirent, error) {
	if err := l.p.at(ctx, "readdir"); err != nil {
		return nil, err
	}
	var out []vfs.Dirent
	for i, name := range []string{"file", "stream", "dir", "link"} {
		if next := uint64(i) + 4; next > max(cookie, 3) && len(out) < limit {
			out = append(out, vfs.Dirent{Name: name, Ino: next, Next: next})
		}
	}
	return out, nil
}
