package remote_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
)

// whole is a server that has every ability and notes what it is asked.
type whole struct {
	mu    sync.Mutex
	calls []string
	temp  *os.File
	dir   *wholeDir
	line  *wholeLine
	ready wholeReady
}

func (w *whole) did(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, fmt.Sprintf(format, args...))
}

// asked is true once for each time that the server was asked that.
func (w *whole) asked(what string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.calls, what)
	if i >= 0 {
		w.calls = slices.Delete(w.calls, i, i+1)
	}
	return i >= 0
}

func (w *whole) Root(context.Context) (vfs.Node, error)     { return w.dir, nil }
func (w *whole) Statfs(context.Context) (vfs.Statfs, error) { return vfs.Statfs{Type: 77}, nil }

// Nodes.

type wholeNode struct {
	w    *whole
	mode uint32
}

func (n *wholeNode) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Ino: uint64(n.mode), Mode: n.mode}, nil
}
func (n *wholeNode) SetAttr(_ context.Context, s vfs.SetAttr) error {
	n.w.did("setattr %o", s.Mode)
	return nil
}
func (n *wholeNode) Getxattr(_ context.Context, name string) ([]byte, error) {
	return []byte("of " + name), nil
}
func (n *wholeNode) Setxattr(_ context.Context, name string, value []byte, flags int) error {
	n.w.did("setxattr %s=%s %d", name, value, flags)
	return nil
}
func (n *wholeNode) Listxattr(context.Context) ([]string, error) { return []string{"user.a"}, nil }
func (n *wholeNode) Removexattr(_ context.Context, name string) error {
	n.w.did("removexattr %s", name)
	return nil
}
func (n *wholeNode) Access(ctx context.Context, mask uint32) error {
	c, _ := vfs.CallerOf(ctx)
	_, _, err := vfs.FileOf(ctx, 0)
	n.w.did("access %d by %d of %d (%d), his files: %v", mask, c.UID, c.PID, vfs.HostPID(ctx), err)
	return nil
}
func (n *wholeNode) GetLock(_ context.Context, l vfs.Lock) (vfs.Lock, error) {
	l.PID = 5
	return l, nil
}
func (n *wholeNode) SetLock(_ context.Context, l vfs.Lock, wait bool) error {
	n.w.did("setlock %d %v", l.Type, wait)
	return nil
}

type wholeDir struct {
	wholeNode
	file, tty, ask, keeper *wholeFileNode
	link                   *wholeLink
}

func (d *wholeDir) Lookup(_ context.Context, name string) (vfs.Node, error) {
	switch name {
	case "file":
		return d.file, nil
	case "tty":
		return d.tty, nil
	case "ask":
		return d.ask, nil
	case "keeper":
		return d.keeper, nil
	case "link":
		return d.link, nil
	}
	return nil, syscall.ENOENT
}
func (d *wholeDir) Open(context.Context, int) (vfs.File, error) { return &wholeList{d}, nil }
func (d *wholeDir) Make(_ context.Context, name string, o vfs.MakeOptions) (vfs.Node, error) {
	d.w.did("make %s %o", name, o.Mode)
	return d.file, nil
}
func (d *wholeDir) MakeOpen(_ context.Context, name string, o vfs.MakeOptions, flags int) (vfs.Node, vfs.File, error) {
	d.w.did("makeopen %s %o", name, o.Mode)
	return d.file, &wholeFile{d.file}, nil
}
func (d *wholeDir) Tmpfile(_ context.Context, o vfs.MakeOptions) (vfs.Node, error) {
	d.w.did("tmpfile %o", o.Mode)
	return d.file, nil
}
func (d *wholeDir) Remove(_ context.Context, name string, dir bool) error {
	d.w.did("remove %s %v", name, dir)
	return nil
}
func (d *wholeDir) Rename(_ context.Context, name string, to vfs.Dir, toName string, flags uint) error {
	d.w.did("rename %s %v %s %d", name, to == vfs.Dir(d), toName, flags)
	return nil
}
func (d *wholeDir) Link(_ context.Context, target vfs.Node, name string) error {
	d.w.did("link %v %s", target == vfs.Node(d.file), name)
	return nil
}

type wholeLink struct{ wholeNode }

func (l *wholeLink) Readlink(context.Context) (string, error) { return "there", nil }

type wholeFileNode struct {
	wholeNode
	open func(*wholeFileNode) vfs.File
	// as replaces open while it is served: what crosses a ring, the race detector
	// does not see.
	as atomic.Pointer[func(*wholeFileNode) vfs.File]
}

func (n *wholeFileNode) Open(context.Context, int) (vfs.File, error) {
	if as := n.as.Load(); as != nil {
		return (*as)(n), nil
	}
	return n.open(n), nil
}

// Files.

type wholeList struct{ d *wholeDir }

func (f *wholeList) Node() vfs.Node { return f.d }
func (f *wholeList) Close() error   { return nil }
func (f *wholeList) ReadDir(_ context.Context, cookie uint64, _ int) ([]vfs.Dirent, error) {
	if cookie != 0 {
		return nil, nil
	}
	return []vfs.Dirent{{Name: "file", Next: 3}}, nil
}

type wholeFile struct{ n *wholeFileNode }

func (f *wholeFile) Node() vfs.Node { return f.n }
func (f *wholeFile) Close() error   { f.n.w.did("close"); return nil }
func (f *wholeFile) Read(_ context.Context, p []byte, off int64) (int, error) {
	return copy(p, fmt.Sprint("at ", off)), nil
}
func (f *wholeFile) Write(_ context.Context, p []byte, off int64) (int, error) {
	f.n.w.did("write %s %d", p, off)
	return len(p), nil
}
func (f *wholeFile) Append(_ context.Context, p []byte) (int, int64, error) {
	f.n.w.did("append %s", p)
	return len(p), 100, nil
}
func (f *wholeFile) IsStream() bool { return true }
func (f *wholeFile) Message() bool  { return true }
func (f *wholeFile) SeekData(_ context.Context, off int64, hole bool) (int64, error) {
	return off + 1, nil
}
func (f *wholeFile) Sync(_ context.Context, data bool) error { f.n.w.did("sync %v", data); return nil }
func (f *wholeFile) Flush(context.Context) error             { f.n.w.did("flush"); return nil }
func (f *wholeFile) Allocate(_ context.Context, mode uint32, off, n int64) error {
	f.n.w.did("allocate %d %d %d", mode, off, n)
	return nil
}
func (f *wholeFile) CopyRange(_ context.Context, off int64, to vfs.File, toOff, n int64) (int64, error) {
	_, ours := to.(*wholeFile)
	f.n.w.did("copy %d %v %d %d", off, ours, toOff, n)
	return n, nil
}
func (f *wholeFile) Ioctl(_ context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	var p [4]byte
	if err := arg.ReadAt(p[:], 2); err != nil {
		return 0, err
	}
	return uintptr(cmd), arg.WriteAt([]byte(strings.ToUpper(string(p[:]))), 0)
}
func (f *wholeFile) Map(context.Context, int, bool) (vfs.Mapping, error) {
	return vfs.Mapping{FD: int(f.n.w.temp.Fd()), Offset: 4096}, nil
}
func (f *wholeFile) GetLock(ctx context.Context, l vfs.Lock) (vfs.Lock, error) {
	return f.n.GetLock(ctx, l)
}
func (f *wholeFile) SetLock(_ context.Context, l vfs.Lock, wait bool) error {
	f.n.w.did("file's setlock %d %v", l.Type, wait)
	return nil
}
func (f *wholeFile) SharedLocks() vfs.Locker { return wholeShared{f.n.w} }

type wholeShared struct{ w *whole }

func (s wholeShared) GetLock(_ context.Context, l vfs.Lock) (vfs.Lock, error) { return l, nil }
func (s wholeShared) SetLock(_ context.Context, l vfs.Lock, wait bool) error {
	s.w.did("shared setlock %d %v", l.Type, wait)
	return nil
}

// wholeLender is a file that can be lent; the server is asked nothing else then.
type wholeLender struct{ wholeFile }

func (f *wholeLender) IsStream() bool { return false }
func (f *wholeLender) Lend(context.Context, bool, func()) (vfs.Loan, error) {
	f.n.w.did("lend")
	return vfs.Loan{FD: int(f.n.w.temp.Fd()), Return: func() {}}, nil
}

type wholeKeeper struct{ wholeFile }

func (f *wholeKeeper) ReadNext(_ context.Context, p []byte) (int, error) { return copy(p, "next"), nil }
func (f *wholeKeeper) WriteNext(_ context.Context, p []byte) (int, error) {
	f.n.w.did("writenext %s", p)
	return len(p), nil
}
func (f *wholeKeeper) Lseek(_ context.Context, off int64, whence int) (int64, error) {
	return off*10 + int64(whence), nil
}

type wholeReady struct{ vfs.Queue }

func (*wholeReady) Poll(mask vfs.Events) vfs.Events { return vfs.EventPri & mask }

type wholeAsk struct{ wholeFile }

func (f *wholeAsk) PollNow(_ context.Context, mask vfs.Events) (vfs.Events, error) {
	f.n.w.did("pollnow %#x", mask)
	return vfs.EventPri & mask, nil
}
func (f *wholeAsk) Pollable() vfs.Pollable { return &f.n.w.ready }

type wholeTTY struct {
	wholeFile
	*wholeReady
}

func (f *wholeTTY) Line() vfs.Line { return f.n.w.line }
func (f *wholeTTY) IsMaster() bool { return true }
func (f *wholeTTY) ReadRule() vfs.ReadRule {
	return vfs.ReadRule{Min: 3, Timeout: 2 * time.Second, PerByte: true}
}
func (f *wholeTTY) OpenPeer(context.Context, int) (vfs.File, error) {
	return &wholeTTY{f.wholeFile, f.wholeReady}, nil
}

type wholeLine struct {
	w       *whole
	sid, fg atomic.Int64
}

func (l *wholeLine) Session() int        { return int(l.sid.Load()) }
func (l *wholeLine) SetSession(n int)    { l.sid.Store(int64(n)) }
func (l *wholeLine) Foreground() int     { return int(l.fg.Load()) }
func (l *wholeLine) SetForeground(n int) { l.fg.Store(int64(n)) }
func (l *wholeLine) StopsOutput() bool   { return true }
func (l *wholeLine) Hangup() (int, int)  { l.w.did("hangup"); return 0, 0 }
func (l *wholeLine) Open(context.Context, int) (vfs.File, error) {
	return l.w.dir.tty.open(l.w.dir.tty), nil
}
