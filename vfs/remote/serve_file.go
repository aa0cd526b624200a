package remote

import (
	"context"
	"math"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
	"golang.org/x/sys/unix"
)

// Read answers with bulk, which the server fills in place where the transport
// lets it.
func (c *conn) Read(ctx context.Context, req *wire.ReadRequest, _ *wire.Empty, r *lane.Request) error {
	f, err := c.file(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	if err := f.mayRead(); err != nil {
		return err
	}
	if req.Off < 0 {
		return syscall.EINVAL
	}
	room := r.Room(int(min(req.Size, wire.MaxTransfer)))
	n, err := vfs.Read(ctx, f.file, room, req.Off)
	return moved(r, room, n, err)
}

// moved answers a read: what was read counts, whatever came after.
func moved(r *lane.Request, room []byte, n int, err error) error {
	if n > 0 {
		r.Reply.Bulk = room[:min(n, len(room))]
		return nil
	}
	return err
}

// Write writes the request's bulk.
func (c *conn) Write(ctx context.Context, req *wire.WriteRequest, rep *wire.CountReply, r *lane.Request) error {
	f, err := c.file(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	if err := f.mayWrite(); err != nil {
		return err
	}
	if req.Off < 0 || req.Off > math.MaxInt64-int64(len(r.Bulk)) {
		return syscall.EINVAL
	}
	n, err := vfs.Write(ctx, f.file, r.Bulk, req.Off)
	return wrote(rep, n, 0, err)
}

func wrote(rep *wire.CountReply, n int, end int64, err error) error {
	rep.N, rep.End = int64(n), end
	if n > 0 {
		return nil
	}
	return err
}

// Append appends as POSIX would do to a file that has no way of its own.
func (c *conn) Append(ctx context.Context, req *wire.WriteRequest, rep *wire.CountReply, r *lane.Request) error {
	f, err := c.file(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	if err := f.mayWrite(); err != nil {
		return err
	}
	if a, ok := f.file.(vfs.Appender); ok {
		n, end, err := a.Append(ctx, r.Bulk)
		return wrote(rep, n, end, err)
	}
	a, err := f.file.Node().Stat(ctx)
	if err != nil {
		return err
	}
	n, err := vfs.Write(ctx, f.file, r.Bulk, a.Size)
	return wrote(rep, n, a.Size+int64(n), err)
}

// fileAs returns an open file that has an ability, for a request, which gives it
// back with put. A client that was not told of the ability breaks the protocol: lacks
// says which.
func fileAs[A any](c *conn, id uint64, lacks string) (f *openFile, a A, err error) {
	if f, err = c.file(id); err != nil {
		return nil, a, err
	}
	a, ok := f.file.(A)
	if !ok {
		c.files.put(f)
		return nil, a, c.broken("file %d %s", id, lacks)
	}
	return f, a, nil
}

func (c *conn) keeper(id uint64) (*openFile, vfs.OffsetKeeper, error) {
	return fileAs[vfs.OffsetKeeper](c, id, "keeps no offset")
}

func (c *conn) ReadNext(ctx context.Context, req *wire.ReadRequest, _ *wire.Empty, r *lane.Request) error {
	f, k, err := c.keeper(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	if err := f.mayRead(); err != nil {
		return err
	}
	room := r.Room(int(min(req.Size, wire.MaxTransfer)))
	n, err := k.ReadNext(ctx, room)
	return moved(r, room, n, err)
}

func (c *conn) WriteNext(ctx context.Context, req *wire.WriteRequest, rep *wire.CountReply, r *lane.Request) error {
	f, k, err := c.keeper(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	if err := f.mayWrite(); err != nil {
		return err
	}
	n, err := k.WriteNext(ctx, r.Bulk)
	return wrote(rep, n, 0, err)
}

func (c *conn) Seek(ctx context.Context, req *wire.SeekRequest, rep *wire.CountReply, _ *lane.Request) error {
	f, k, err := c.keeper(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	rep.N, err = k.Lseek(ctx, req.Off, int(req.Whence))
	return err
}

// SeekData answers for a file that does not know its holes as POSIX would: it is
// all data, with a hole behind its end.
func (c *conn) SeekData(ctx context.Context, req *wire.SeekRequest, rep *wire.CountReply, _ *lane.Request) error {
	f, err := c.file(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	hole := req.Whence != 0
	if s, ok := f.file.(vfs.Seeker); ok {
		rep.N, err = s.SeekData(ctx, req.Off, hole)
		return err
	}
	a, err := f.file.Node().Stat(ctx)
	switch {
	case err != nil:
		return err
	case !a.IsRegular():
		return syscall.EINVAL
	case req.Off < 0 || req.Off >= a.Size:
		return syscall.ENXIO
	case hole:
		rep.N = a.Size
	default:
		rep.N = req.Off
	}
	return nil
}

// direntSize is an entry's size on the wire without its name.
const direntSize = 24

// ReadDir answers with as many entries as fit, as bulk.
func (c *conn) ReadDir(ctx context.Context, req *wire.ReadDirRequest, _ *wire.Empty, r *lane.Request) error {
	f, err := c.file(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	d, ok := f.file.(vfs.DirReader)
	if !ok {
		return syscall.ENOTDIR
	}
	room := r.Room(r.MaxBulk())
	most := min(int(req.Max), len(room)/(direntSize+8))
	list, err := d.ReadDir(ctx, req.Cookie, most)
	if err != nil {
		return err
	}
	out := room[:0]
	version := c.end.Version()
	for i := range list {
		e := wire.Dirent{Ino: list[i].Ino, Next: list[i].Next, Type: list[i].Type, Name: list[i].Name}
		if len(out)+direntSize+len(e.Name) > cap(out) {
			if i == 0 {
				return syscall.ENAMETOOLONG
			}
			break // the cookies let the client go on from there
		}
		out = e.AppendLane(out, version)
	}
	r.Reply.Bulk = out
	return nil
}

// Sync flushes; a file without that ability has nothing that could be lost.
func (c *conn) Sync(ctx context.Context, req *wire.SyncRequest, _ *wire.Empty, _ *lane.Request) error {
	f, err := c.file(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	if s, ok := f.file.(vfs.Syncer); ok {
		return s.Sync(ctx, req.DataOnly)
	}
	a, err := f.file.Node().Stat(ctx)
	if err == nil && !a.IsRegular() && !a.IsDir() {
		err = syscall.EINVAL
	}
	return err
}

func (c *conn) Flush(ctx context.Context, req *wire.FileRequest, _ *wire.Empty, _ *lane.Request) error {
	f, err := c.file(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	if fl, ok := f.file.(vfs.Flusher); ok {
		return fl.Flush(ctx)
	}
	return nil
}

func (c *conn) Allocate(ctx context.Context, req *wire.AllocateRequest, _ *wire.Empty, _ *lane.Request) error {
	f, err := c.file(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	if err := f.mayWrite(); err != nil {
		return err
	}
	a, ok := f.file.(vfs.Allocator)
	if !ok {
		return syscall.EOPNOTSUPP
	}
	return a.Allocate(ctx, req.Mode, req.Off, req.Length)
}

func (c *conn) CopyRange(ctx context.Context, req *wire.CopyRequest, rep *wire.CountReply, _ *lane.Request) error {
	f, err := c.file(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	to, err := c.file(req.To)
	if err != nil {
		return err
	}
	defer c.files.put(to)
	if err := f.mayRead(); err != nil {
		return err
	}
	if err := to.mayWrite(); err != nil {
		return err
	}
	rc, ok := f.file.(vfs.RangeCopier)
	if !ok {
		return syscall.EOPNOTSUPP
	}
	n, err := rc.CopyRange(ctx, req.Off, to.file, req.ToOff, req.N)
	rep.N = n
	if n > 0 {
		return nil
	}
	return err
}

// Map hands over a descriptor of the object behind the file: with no more access
// than the file was opened with, whatever the client asks for.
func (c *conn) Map(ctx context.Context, req *wire.MapRequest, rep *wire.MapReply, r *lane.Request) error {
	f, err := c.file(req.File)
	if err != nil {
		return err
	}
	defer c.files.put(f)
	m, ok := f.file.(vfs.Mapper)
	if !ok {
		return syscall.ENODEV
	}
	access := f.flags & unix.O_ACCMODE
	if access == unix.O_WRONLY || req.Shared && req.Prot&unix.PROT_WRITE != 0 && access != unix.O_RDWR {
		return syscall.EACCES
	}
	got, err := m.Map(ctx, int(req.Prot), req.Shared)
	if err != nil {
		return err
	}
	if got.Release != nil {
		defer got.Release()
	}
	if got.Stores != nil {
		got.Stores.Close()
		return syscall.ENODEV // the lane has no way to tell of stores
	}
	fd, err := unix.FcntlInt(uintptr(got.FD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	o, err := lane.NewFile(fd)
	if err != nil {
		return err
	}
	r.Reply.Objects = append(r.Reply.Objects, o)
	rep.Offset = got.Offset
	return nil
}

// Close closes files. Closing one twice breaks the protocol only if it never was.
func (c *conn) Close(_ context.Context, req *wire.CloseRequest, _ *wire.Empty, _ *lane.Request) error {
	for _, id := range req.Files {
		if !c.files.remove(id) {
			return c.broken("file %d was never given out", id)
		}
	}
	return nil
}

// What a server asks, and is not asked.

func (c *conn) Ready(context.Context, *wire.ReadyNote, *lane.Request) error {
	return c.broken("a server's note")
}
func (c *conn) Recall(context.Context, *wire.RecallNote, *lane.Request) error {
	return c.broken("a server's note")
}
func (c *conn) UserRead(context.Context, *wire.UserRequest, *wire.Empty, *lane.Request) error {
	return c.broken("a server's call")
}
func (c *conn) UserWrite(context.Context, *wire.UserRequest, *wire.Empty, *lane.Request) error {
	return c.broken("a server's call")
}
