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

// file is what all open files have.
type file struct {
	c      *Client
	id     uint64
	bits   uint32
	node   vfs.Node
	closed uint32 // atomic
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

func (c *Client) newFile(w wire.File, n vfs.Node) (vfs.File, error) {
	if w.ID == 0 || w.Bits&^uint32(wire.FileBits) != 0 {
		return nil, c.broken("file %d of kind %#x", w.ID, w.Bits)
	}
	f := file{c: c, id: w.ID, bits: w.Bits, node: n}
	isDir, keeps, polls := w.Bits&wire.FileDir != 0, w.Bits&wire.FileKeeper != 0, w.Bits&wire.FilePollable != 0
	b, _ := base(c, n)
	switch {
	case isDir != (b.kind&wire.NodeDir != 0):
		return nil, c.broken("file %d of kind %#x", w.ID, w.Bits)
	case isDir:
		return &dirFile{file: f}, nil
	case keeps && polls:
		k := &keeperPollFile{pollFile: pollFile{dataFile: dataFile{file: f}}}
		k.keeper.f = &k.pollFile.dataFile
		c.files.add(&k.pollFile)
		return k, nil
	case keeps:
		k := &keeperFile{dataFile: dataFile{file: f}}
		k.keeper.f = &k.dataFile
		return k, nil
	case polls:
		p := &pollFile{dataFile: dataFile{file: f}}
		c.files.add(p)
		return p, nil
	}
	return &dataFile{file: f}, nil
}

// Node returns what was opened.
func (f *file) Node() vfs.Node { return f.node }

// Close tells the server, without waiting for it.
func (f *file) Close() error {
	if atomic.SwapUint32(&f.closed, 1) == 0 {
		f.c.settle.close(f.id)
	}
	return nil
}

// SetAttr changes the attributes through the open file.
func (f *file) SetAttr(ctx context.Context, s vfs.SetAttr) error {
	n, _ := base(f.c, f.node)
	return n.setAttr(ctx, f.id, s)
}

// Sync flushes.
func (f *file) Sync(ctx context.Context, dataOnly bool) error {
	return f.c.outcome(f.c.call.Sync(ctx, &wire.SyncRequest{File: f.id, DataOnly: dataOnly}, new(wire.Empty), nil))
}

// Flush tells of a close(2), if the server wants to hear of it.
func (f *file) Flush(ctx context.Context) error {
	if f.bits&wire.FileFlusher == 0 {
		return nil
	}
	return f.c.outcome(f.c.call.Flush(ctx, &wire.FileRequest{File: f.id}, new(wire.Empty), nil))
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
	return f.c.getLock(ctx, 0, f.id, &l)
}

// SetLock: see GetLock.
func (f *file) SetLock(ctx context.Context, l vfs.Lock, wait bool) error {
	if f.bits&wire.FileLocker == 0 {
		return f.nodeLock().SetLock(ctx, l, wait)
	}
	return f.c.setLock(ctx, 0, f.id, &l, wait)
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
	token := f.c.args.add(arg)
	defer f.c.args.remove(token)
	var rep wire.CountReply
	req := wire.IoctlRequest{File: f.id, Cmd: cmd, Value: arg.Value(), Token: token}
	err := f.c.call.Ioctl(ctx, &req, &rep, nil)
	return uintptr(rep.N), f.c.outcome(err)
}

// ReadDir returns the entries that follow cookie.
func (f *dirFile) ReadDir(ctx context.Context, cookie uint64, limit int) ([]vfs.Dirent, error) {
	const room = 32 << 10
	x := lane.Extra{Room: make([]byte, min(room, 512+limit*64))}
	req := wire.ReadDirRequest{File: f.id, Cookie: cookie, Max: uint32(min(limit, math.MaxInt32))}
	if err := f.c.call.ReadDir(ctx, &req, new(wire.Empty), &x); err != nil {
		return nil, f.c.outcome(err)
	}
	var list []vfs.Dirent
	for p := x.Room; len(p) > 0; {
		var e wire.Dirent
		rest, err := e.Take(p)
		if err != nil || !checkName(e.Name) || e.Next < 3 || len(list) == limit {
			return nil, f.c.broken("entry %q of a directory", e.Name)
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
	io := ioCalls.Get().(*ioCall)
	defer io.put()
	p = p[:min(len(p), wire.MaxTransfer)]
	if n, ok, err := f.readHost(ctx, p, off); ok {
		return n, err
	}
	io.read = wire.ReadRequest{File: f.id, Off: off, Size: uint32(len(p))}
	io.x.Room = p
	if err := f.c.call.Read(ctx, &io.read, &io.empty, &io.x); err != nil {
		return 0, f.c.outcome(err)
	}
	return len(io.x.Room), nil
}

// Write writes at off.
func (f *dataFile) Write(ctx context.Context, p []byte, off int64) (int, error) {
	io := ioCalls.Get().(*ioCall)
	defer io.put()
	p = p[:min(len(p), wire.MaxTransfer)]
	if n, ok, err := f.writeHost(ctx, p, off); ok {
		return n, err
	}
	io.write = wire.WriteRequest{File: f.id, Off: off}
	io.x.Bulk = p
	err := f.c.call.Write(ctx, &io.write, &io.count, &io.x)
	return f.wrote(io, len(p), err)
}

func (f *dataFile) wrote(io *ioCall, most int, err error) (int, error) {
	if err != nil {
		return 0, f.c.outcome(err)
	}
	if io.count.N < 0 || io.count.N > int64(most) || io.count.End < 0 {
		return 0, f.c.broken("%d bytes written of %d", io.count.N, most)
	}
	return int(io.count.N), nil
}

// Append writes at the end.
func (f *dataFile) Append(ctx context.Context, p []byte) (int, int64, error) {
	io := ioCalls.Get().(*ioCall)
	defer io.put()
	p = p[:min(len(p), wire.MaxTransfer)]
	io.write = wire.WriteRequest{File: f.id}
	io.x.Bulk = p
	err := f.c.call.Append(ctx, &io.write, &io.count, &io.x)
	n, err := f.wrote(io, len(p), err)
	if err != nil {
		return 0, 0, err
	}
	return n, io.count.End, nil
}

// SeekData finds data or a hole.
func (f *dataFile) SeekData(ctx context.Context, off int64, hole bool) (int64, error) {
	req := wire.SeekRequest{File: f.id, Off: off}
	if hole {
		req.Whence = 1
	}
	return f.seek(f.c.call.SeekData, ctx, &req)
}

func (f *dataFile) seek(call func(context.Context, *wire.SeekRequest, *wire.CountReply, *lane.Extra) error,
	ctx context.Context, req *wire.SeekRequest) (int64, error) {
	var rep wire.CountReply
	if err := call(ctx, req, &rep, nil); err != nil {
		return 0, f.c.outcome(err)
	}
	if rep.N < 0 {
		return 0, f.c.broken("offset %d", rep.N)
	}
	return rep.N, nil
}

// Allocate is fallocate(2).
func (f *dataFile) Allocate(ctx context.Context, mode uint32, off, length int64) error {
	req := wire.AllocateRequest{File: f.id, Mode: mode, Off: off, Length: length}
	return f.c.outcome(f.c.call.Allocate(ctx, &req, new(wire.Empty), nil))
}

// CopyRange has the server copy between two of its files.
func (f *dataFile) CopyRange(ctx context.Context, off int64, to vfs.File, toOff int64, n int64) (int64, error) {
	t, ok := to.(interface{ data() *dataFile })
	if !ok || t.data().c != f.c {
		return 0, syscall.EXDEV
	}
	var rep wire.CountReply
	req := wire.CopyRequest{File: f.id, Off: off, To: t.data().id, ToOff: toOff, N: n}
	if err := f.c.call.CopyRange(ctx, &req, &rep, nil); err != nil {
		return 0, f.c.outcome(err)
	}
	if rep.N < 0 || rep.N > n {
		return 0, f.c.broken("%d bytes copied of %d", rep.N, n)
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
	if l := f.borrowed(ctx); l != nil {
		var once sync.Once
		return vfs.Mapping{FD: l.o.FD(), Offset: l.off, Release: func() { once.Do(l.leave) }}, nil
	}
	var rep wire.MapReply
	var x lane.Extra
	if err := f.c.call.Map(ctx, &wire.MapRequest{File: f.id, Prot: uint32(prot), Shared: shared}, &rep, &x); err != nil {
		return vfs.Mapping{}, f.c.outcome(err)
	}
	o, fd, err := f.object(x.Got)
	if err == nil && (rep.Offset < 0 || rep.Offset%4096 != 0) {
		o.Close()
		err = f.c.broken("an object that begins at %d", rep.Offset)
	}
	if err != nil {
		return vfs.Mapping{}, err
	}
	var once sync.Once
	return vfs.Mapping{FD: fd, Offset: rep.Offset, Release: func() { once.Do(func() { o.Close() }) }}, nil
}

// object takes the one file that came with a reply: a regular one, which memory
// objects are too, since the pages of others may be anything.
func (f *dataFile) object(got []lane.Object) (*lane.File, int, error) {
	var o *lane.File
	if len(got) == 1 {
		o, _ = got[0].(*lane.File)
	}
	var st unix.Stat_t
	if o != nil && unix.Fstat(o.FD(), &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
		return o, o.FD(), nil
	}
	for _, x := range got {
		x.Close()
	}
	return nil, -1, f.c.broken("no object to map")
}

// keeper is a file whose offset is its server's.
type keeper struct{ f *dataFile }

// ReadNext reads at the server's offset.
func (k keeper) ReadNext(ctx context.Context, p []byte) (int, error) {
	io := ioCalls.Get().(*ioCall)
	defer io.put()
	p = p[:min(len(p), wire.MaxTransfer)]
	io.read = wire.ReadRequest{File: k.f.id, Size: uint32(len(p))}
	io.x.Room = p
	if err := k.f.c.call.ReadNext(ctx, &io.read, &io.empty, &io.x); err != nil {
		return 0, k.f.c.outcome(err)
	}
	return len(io.x.Room), nil
}

// WriteNext writes at the server's offset.
func (k keeper) WriteNext(ctx context.Context, p []byte) (int, error) {
	io := ioCalls.Get().(*ioCall)
	defer io.put()
	p = p[:min(len(p), wire.MaxTransfer)]
	io.write = wire.WriteRequest{File: k.f.id}
	io.x.Bulk = p
	err := k.f.c.call.WriteNext(ctx, &io.write, &io.count, &io.x)
	return k.f.wrote(io, len(p), err)
}

// Lseek moves the server's offset.
func (k keeper) Lseek(ctx context.Context, off int64, whence int) (int64, error) {
	return k.f.seek(k.f.c.call.Seek, ctx, &wire.SeekRequest{File: k.f.id, Off: off, Whence: int32(whence)})
}
