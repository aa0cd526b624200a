package remote

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
	"golang.org/x/sys/unix"
)

// file is what all open files have. Its place changes when it is opened anew for a
// server that was started anew.
type file struct {
	at     atomic.Pointer[place]
	first  place // what at points to at first
	bits   uint32
	flags  int32
	node   vfs.Node
	closed atomic.Bool
}

// dataFile is an open file that is no directory.
type dataFile struct {
	file
	host borrower
}

// The kinds of open files: see node.
type (
	dirFile    struct{ file }
	keeperFile struct {
		dataFile
		keeper
	}
	keeperPollFile struct {
		pollFile
		keeper
	}
)

func (c *session) newFile(ctx context.Context, w wire.File, n vfs.Node, flags int) (vfs.File, error) {
	if w.ID == 0 || w.Bits&^uint32(wire.FileBits) != 0 {
		return nil, c.broken("file %d of kind %#x", w.ID, w.Bits)
	}
	isDir, keeps, polls := w.Bits&wire.FileDir != 0, w.Bits&wire.FileKeeper != 0, w.Bits&wire.FilePollable != 0
	b, _ := base(c.client, n)
	switch {
	case isDir != (b.kind&wire.NodeDir != 0):
		return nil, c.broken("file %d of kind %#x", w.ID, w.Bits)
	case isDir:
		f := &dirFile{}
		f.begin(c, w, n, flags)
		return f, nil
	case w.Bits&wire.FileTerminal != 0 && polls:
		return c.newTerminal(ctx, w, n, flags)
	case w.Bits&wire.FilePoller != 0:
		a := &askFile{}
		a.begin(c, w, n, flags)
		a.watch.begin(c, w, n, flags)
		c.files.add(&a.watch)
		return a, nil
	case keeps && polls:
		k := &keeperPollFile{}
		k.begin(c, w, n, flags)
		k.keeper.f = &k.pollFile.dataFile
		c.files.add(&k.pollFile)
		return k, nil
	case keeps:
		k := &keeperFile{}
		k.begin(c, w, n, flags)
		k.keeper.f = &k.dataFile
		return k, nil
	case polls:
		p := &pollFile{}
		p.begin(c, w, n, flags)
		c.files.add(p)
		return p, nil
	}
	f := &dataFile{}
	f.begin(c, w, n, flags)
	return f, nil
}

func (f *file) begin(c *session, w wire.File, n vfs.Node, flags int) {
	f.bits, f.flags, f.node = w.Bits, int32(flags), n
	f.first = place{c, w.ID}
	f.at.Store(&f.first)
}

// Node returns what was opened.
func (f *file) Node() vfs.Node { return f.node }

// Close tells the server, without waiting for it.
func (f *file) Close() error {
	if !f.closed.Swap(true) {
		p := f.at.Load()
		p.c.settle.close(p.id)
	}
	return nil
}

// SetAttr changes the attributes through the open file.
func (f *file) SetAttr(ctx context.Context, s vfs.SetAttr) error {
	c, id, err := f.where(ctx)
	if err != nil {
		return err
	}
	n, _ := base(c.client, f.node)
	nc, node, err := n.where(ctx)
	if err == nil && nc != c {
		err = ErrGone
	}
	if err != nil {
		return err
	}
	return c.setAttr(ctx, node, id, s)
}

// Sync flushes.
func (f *file) Sync(ctx context.Context, dataOnly bool) error {
	c, id, err := f.where(ctx)
	if err != nil {
		return err
	}
	return c.outcome(c.call.Sync(ctx, &wire.SyncRequest{File: id, DataOnly: dataOnly}, new(wire.Empty), nil))
}

// Flush tells of a close(2), if the server wants to hear of it.
func (f *file) Flush(ctx context.Context) error {
	if f.bits&wire.FileFlusher == 0 {
		return nil
	}
	c, id, err := f.where(ctx)
	if err != nil {
		return err
	}
	return c.outcome(c.call.Flush(ctx, &wire.FileRequest{File: id}, new(wire.Empty), nil))
}

// Close gives the host file back, too.
func (f *dataFile) Close() error {
	f.host.giveBack()
	return f.file.Close()
}

// GetLock and SetLock are ENOSYS for a file whose server keeps no locks by it.
func (f *file) GetLock(ctx context.Context, l vfs.Lock) (vfs.Lock, error) {
	if f.bits&wire.FileLocker == 0 {
		return f.nodeLock().GetLock(ctx, l)
	}
	c, id, err := f.where(ctx)
	if err != nil {
		return vfs.Lock{}, err
	}
	return c.getLock(ctx, lockRequest(0, id, &l, false))
}

// SetLock: see GetLock.
func (f *file) SetLock(ctx context.Context, l vfs.Lock, wait bool) error {
	if f.bits&wire.FileLocker == 0 {
		return f.nodeLock().SetLock(ctx, l, wait)
	}
	c, id, err := f.where(ctx)
	if err != nil {
		return err
	}
	err = c.setLock(ctx, lockRequest(0, id, &l, wait))
	n, _ := base(c.client, f.node)
	n.trace.locking(c, &l, err)
	return err
}

// nodeLock is the file's node, if that has locks.
func (f *file) nodeLock() vfs.Locker {
	if k, ok := f.node.(vfs.Locker); ok {
		return k
	}
	return noLocks{}
}

type noLocks struct{}

func (noLocks) GetLock(context.Context, vfs.Lock) (vfs.Lock, error) {
	return vfs.Lock{}, syscall.ENOSYS
}
func (noLocks) SetLock(context.Context, vfs.Lock, bool) error { return syscall.ENOSYS }

// Ioctl asks the server, which may read and write arg meanwhile.
func (f *file) Ioctl(ctx context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	if f.bits&wire.FileIoctler == 0 {
		return 0, syscall.ENOTTY
	}
	c, id, err := f.where(ctx)
	if err != nil {
		return 0, err
	}
	token := c.args.add(arg)
	defer c.args.remove(token)
	var rep wire.CountReply
	req := wire.IoctlRequest{File: id, Cmd: cmd, Value: arg.Value(), Token: token}
	err = c.call.Ioctl(ctx, &req, &rep, nil)
	return uintptr(rep.N), c.outcome(err)
}

// ReadDir returns the entries that follow cookie.
func (f *dirFile) ReadDir(ctx context.Context, cookie uint64, limit int) ([]vfs.Dirent, error) {
	c, id, err := f.where(ctx)
	if err != nil {
		return nil, err
	}
	const room = 32 << 10
	x := lane.Extra{Room: make([]byte, min(room, 512+limit*64))}
	req := wire.ReadDirRequest{File: id, Cookie: cookie, Max: uint32(min(limit, math.MaxInt32))}
	if err := c.call.ReadDir(ctx, &req, new(wire.Empty), &x); err != nil {
		return nil, c.outcome(err)
	}
	var list []vfs.Dirent
	for p := x.Room; len(p) > 0; {
		var e wire.Dirent
		rest, err := e.Take(p)
		if err != nil || !checkName(e.Name) || e.Next < 3 || len(list) == limit {
			return nil, c.broken("entry %q of a directory", e.Name)
		}
		list = append(list, vfs.Dirent{Name: e.Name, Ino: e.Ino, Type: e.Type, Next: e.Next})
		p = rest
	}
	return list, nil
}

// Message reports whether each transfer moves one message.
func (f *dataFile) Message() bool { return f.bits&wire.FileMessage != 0 }

// IsStream reports whether the file has no offsets.
func (f *dataFile) IsStream() bool { return f.bits&wire.FileStream != 0 }

// ioCall is a transfer under way.
type ioCall struct {
	read  wire.ReadRequest
	write wire.WriteRequest
	empty wire.Empty
	count wire.CountReply
	x     lane.Extra
}

var ioCalls = sync.Pool{New: func() any { return new(ioCall) }}

func (io *ioCall) put() {
	io.x.Bulk, io.x.Room, io.x.Got = nil, nil, nil
	ioCalls.Put(io)
}

// Read reads at off.
func (f *dataFile) Read(ctx context.Context, p []byte, off int64) (int, error) {
	c, id, err := f.where(ctx)
	if err != nil {
		return 0, err
	}
	io := ioCalls.Get().(*ioCall)
	defer io.put()
	p = p[:min(len(p), wire.MaxTransfer)]
	if n, ok, err := f.readHost(ctx, c, id, p, off); ok {
		return n, err
	}
	io.read = wire.ReadRequest{File: id, Off: off, Size: uint32(len(p))}
	io.x.Room = p
	if err := c.call.Read(ctx, &io.read, &io.empty, &io.x); err != nil {
		return 0, c.outcome(err)
	}
	return len(io.x.Room), nil
}

// Write writes at off.
func (f *dataFile) Write(ctx context.Context, p []byte, off int64) (int, error) {
	c, id, err := f.where(ctx)
	if err != nil {
		return 0, err
	}
	io := ioCalls.Get().(*ioCall)
	defer io.put()
	p = p[:min(len(p), wire.MaxTransfer)]
	if n, ok, err := f.writeHost(ctx, c, id, p, off); ok {
		return n, err
	}
	io.write = wire.WriteRequest{File: id, Off: off}
	io.x.Bulk = p
	err = c.call.Write(ctx, &io.write, &io.count, &io.x)
	return c.wrote(io, len(p), err)
}

func (c *session) wrote(io *ioCall, most int, err error) (int, error) {
	if err != nil {
		return 0, c.outcome(err)
	}
	if io.count.N < 0 || io.count.N > int64(most) || io.count.End < 0 {
		return 0, c.broken("%d bytes written of %d", io.count.N, most)
	}
	return int(io.count.N), nil
}

// Append writes at the end.
func (f *dataFile) Append(ctx context.Context, p []byte) (int, int64, error) {
	c, id, err := f.where(ctx)
	if err != nil {
		return 0, 0, err
	}
	io := ioCalls.Get().(*ioCall)
	defer io.put()
	p = p[:min(len(p), wire.MaxTransfer)]
	io.write = wire.WriteRequest{File: id}
	io.x.Bulk = p
	err = c.call.Append(ctx, &io.write, &io.count, &io.x)
	n, err := c.wrote(io, len(p), err)
	if err != nil {
		return 0, 0, err
	}
	return n, io.count.End, nil
}

// SeekData finds data or a hole.
func (f *dataFile) SeekData(ctx context.Context, off int64, hole bool) (int64, error) {
	c, id, err := f.where(ctx)
	if err != nil {
		return 0, err
	}
	req := wire.SeekRequest{File: id, Off: off}
	if hole {
		req.Whence = 1
	}
	return c.seek(c.call.SeekData, ctx, &req)
}

func (c *session) seek(call func(context.Context, *wire.SeekRequest, *wire.CountReply, *lane.Extra) error,
	ctx context.Context, req *wire.SeekRequest) (int64, error) {
	var rep wire.CountReply
	if err := call(ctx, req, &rep, nil); err != nil {
		return 0, c.outcome(err)
	}
	if rep.N < 0 {
		return 0, c.broken("offset %d", rep.N)
	}
	return rep.N, nil
}

// Allocate is fallocate(2).
func (f *dataFile) Allocate(ctx context.Context, mode uint32, off, length int64) error {
	c, id, err := f.where(ctx)
	if err != nil {
		return err
	}
	req := wire.AllocateRequest{File: id, Mode: mode, Off: off, Length: length}
	return c.outcome(c.call.Allocate(ctx, &req, new(wire.Empty), nil))
}

// CopyRange has the server copy between two of its files.
func (f *dataFile) CopyRange(ctx context.Context, off int64, to vfs.File, toOff int64, n int64) (int64, error) {
	t, ok := to.(interface{ data() *dataFile })
	if !ok || t.data().first.c.client != f.first.c.client {
		return 0, syscall.EXDEV
	}
	c, id, err := f.where(ctx)
	if err != nil {
		return 0, err
	}
	toC, toID, err := t.data().where(ctx)
	if err == nil && toC != c {
		err = ErrGone
	}
	if err != nil {
		return 0, err
	}
	var rep wire.CountReply
	req := wire.CopyRequest{File: id, Off: off, To: toID, ToOff: toOff, N: n}
	if err := c.call.CopyRange(ctx, &req, &rep, nil); err != nil {
		return 0, c.outcome(err)
	}
	if rep.N < 0 || rep.N > n {
		return 0, c.broken("%d bytes copied of %d", rep.N, n)
	}
	return rep.N, nil
}

func (f *dataFile) data() *dataFile { return f }

// Map returns a descriptor of the object behind the file, of this process's own.
// ENODEV: the server cannot map it.
func (f *dataFile) Map(ctx context.Context, prot int, shared bool) (vfs.Mapping, error) {
	if f.bits&wire.FileMapper == 0 {
		return vfs.Mapping{}, syscall.ENODEV
	}
	c, id, err := f.where(ctx)
	if err != nil {
		return vfs.Mapping{}, err
	}
	if l := f.borrowed(ctx, c, id); l != nil {
		var once sync.Once
		return vfs.Mapping{FD: l.o.FD(), Offset: l.off, Release: func() { once.Do(l.leave) }}, nil
	}
	var rep wire.MapReply
	var x lane.Extra
	if err := c.call.Map(ctx, &wire.MapRequest{File: id, Prot: uint32(prot), Shared: shared}, &rep, &x); err != nil {
		return vfs.Mapping{}, c.outcome(err)
	}
	o, fd, err := c.object(x.Got, false)
	if err == nil && (rep.Offset < 0 || rep.Offset%4096 != 0) {
		o.Close()
		err = c.broken("an object that begins at %d", rep.Offset)
	}
	if err != nil {
		return vfs.Mapping{}, err
	}
	var once sync.Once
	return vfs.Mapping{FD: fd, Offset: rep.Offset, Release: func() { once.Do(func() { o.Close() }) }}, nil
}

// object takes the one file that came with a reply: a regular one, which memory
// objects are too, since the pages of others may be anything; of a stream a pipe or
// a socket.
func (c *session) object(got []lane.Object, stream bool) (*lane.File, int, error) {
	var o *lane.File
	if len(got) == 1 {
		o, _ = got[0].(*lane.File)
	}
	var st unix.Stat_t
	if o != nil && unix.Fstat(o.FD(), &st) == nil {
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			if !stream {
				return o, o.FD(), nil
			}
		case unix.S_IFIFO, unix.S_IFSOCK:
			if stream {
				return o, o.FD(), nil
			}
		}
	}
	for _, x := range got {
		x.Close()
	}
	return nil, -1, c.broken("no object to map or lend")
}
