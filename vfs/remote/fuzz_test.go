package remote_test

import (
	"context"
	"strings"
	"testing"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
	"golang.org/x/sys/unix"
)

// nobody is what follows each request: nobody in particular.
var nobody = make([]byte, 17)

// FuzzServer sends a server whatever there is: it answers, or ends the lane, and
// never panics.
func FuzzServer(f *testing.F) {
	add := func(op uint32, m message) { f.Add(op, m.AppendLane(nil, wire.ProtocolVersion), []byte("bulk")) }
	add(wire.OpLookup, &wire.NameRequest{Node: 1, Name: "f"})
	add(wire.OpMakeOpen, &wire.MakeRequest{Node: 1, Name: "g", Mode: unix.S_IFREG | 0o600, Flags: unix.O_RDWR})
	add(wire.OpRead, &wire.ReadRequest{File: 1, Off: -1, Size: 1 << 31})
	add(wire.OpWrite, &wire.WriteRequest{File: 1, Off: 1<<63 - 1})
	add(wire.OpReadDir, &wire.ReadDirRequest{File: 2, Cookie: 1 << 63, Max: 1<<32 - 1})
	add(wire.OpMap, &wire.MapRequest{File: 1, Prot: 7, Shared: true})
	add(wire.OpCopyRange, &wire.CopyRequest{File: 1, To: 1, N: -1})
	add(wire.OpAllocate, &wire.AllocateRequest{File: 1, Mode: 1 << 31, Off: -5, Length: 1 << 62})
	add(wire.OpSeekData, &wire.SeekRequest{File: 1, Off: -1})
	add(wire.OpSetAttr, &wire.SetAttrRequest{Node: 2, Valid: 1<<32 - 1, Size: -1})
	add(wire.OpSetLock, &wire.LockRequest{Node: 2, Start: 5, End: 1})
	add(wire.OpLend, &wire.LendRequest{File: 1})
	add(wire.OpReturned, &wire.ReturnedNote{Loan: 5})
	add(wire.OpRename, &wire.RenameRequest{Node: 1, Name: "f", To: 2, ToName: "x"})
	add(wire.OpForget, &wire.ForgetNote{Nodes: []wire.Count{{Node: 1, Times: 1}}})
	f.Fuzz(func(t *testing.T, op uint32, data, bulk []byte) {
		a, b := lane.Pair(remote.Config("fuzz"))
		defer a.Close()
		fs := tmp.New(tmp.Options{Size: 1 << 22})
		if err := b.Handle(remote.Handler(b, fs), lane.ServeOptions{Inline: true}); err != nil {
			t.Fatal(err)
		}
		c := wire.Client{Lane: a}
		var root wire.RootReply
		var rep wire.OpenReply
		if c.Root(ctx, new(wire.Empty), &root, nil) != nil ||
			c.MakeOpen(ctx, &wire.MakeRequest{Node: 1, Name: "f", Mode: unix.S_IFREG | 0o600, Flags: unix.O_RDWR}, &rep, nil) != nil ||
			c.Open(ctx, &wire.OpenRequest{Node: 1}, &rep, nil) != nil {
			t.Fatal("no files")
		}
		req := lane.Message{Op: op, Data: append(append([]byte(nil), data...), nobody...), Bulk: bulk}
		reply := lane.Message{Bulk: make([]byte, 4096)}
		if err := a.Call(ctx, &req, &reply); err != nil && strings.Contains(err.Error(), "panicked") {
			t.Fatal(err)
		}
		for _, o := range reply.Objects {
			o.Close()
		}
	})
}

// FuzzClient has a server answer whatever there is: a client's calls return, with
// nothing that cannot be.
func FuzzClient(f *testing.F) {
	f.Add(uint32(wire.OpStat), []byte("x"), []byte("y"))
	add := func(op uint32, m message) { f.Add(op, m.AppendLane(nil, wire.ProtocolVersion), []byte{}) }
	add(wire.OpLookup, &wire.NodeReply{Node: wire.Node{ID: 1, Bits: wire.NodeDir}})
	add(wire.OpMakeOpen, &wire.OpenReply{File: wire.File{ID: 1, Bits: wire.FileKeeper | wire.FilePollable}, Node: wire.Node{ID: 7, Bits: wire.NodeOpener}})
	add(wire.OpWrite, &wire.CountReply{N: 5, End: -5})
	f.Add(uint32(wire.OpReadDir), []byte{}, (&wire.Dirent{Name: "..", Next: 7}).AppendLane(nil, wire.ProtocolVersion))
	f.Add(uint32(wire.OpReadlink), []byte{}, []byte("a\x00b"))
	f.Add(uint32(wire.OpListxattr), []byte{}, []byte("user.a"))
	f.Fuzz(func(t *testing.T, op uint32, data, bulk []byte) {
		if op == wire.OpRoot {
			return
		}
		a, b := lane.Pair(remote.Config("fuzz"))
		honest := remote.Handler(b, tmp.New(tmp.Options{}))
		handle := func(ctx context.Context, r *lane.Request) error {
			if r.Op != op || r.IsNote {
				return honest(ctx, r)
			}
			r.Reply.Data = append(r.Reply.Data[:0], data...)
			r.Reply.Bulk = r.Room(len(bulk))
			copy(r.Reply.Bulk, bulk)
			return nil
		}
		if err := b.Handle(handle, lane.ServeOptions{Inline: true}); err != nil {
			t.Fatal(err)
		}
		c, err := remote.New(ctx, a)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		root, _ := c.FS().Root(ctx)
		if attr, err := root.Stat(ctx); err == nil && (attr.Size < 0 || !attr.IsDir()) {
			t.Errorf("%+v", attr)
		}
		if list, err := vfs.Listxattr(ctx, root); err == nil && len(list) > len(bulk) {
			t.Errorf("%q", list)
		}
		if n, err := vfs.Make(ctx, root, "l", vfs.MakeOptions{Mode: unix.S_IFLNK | 0o777, Target: "t"}); err == nil {
			if s, err := vfs.Readlink(ctx, n); err == nil && strings.IndexByte(s, 0) >= 0 {
				t.Errorf("%q", s)
			}
		}
		if d, err := vfs.Open(ctx, root, unix.O_RDONLY); err == nil {
			if r, ok := d.(vfs.DirReader); ok {
				list, err := r.ReadDir(ctx, 0, 10)
				for _, e := range list {
					if e.Name == "" || e.Name == ".." || strings.Contains(e.Name, "/") || e.Next < 3 || len(list) > 10 || err != nil {
						t.Errorf("%+v, %v", list, err)
					}
				}
			}
			d.Close()
		}
		_, file, err := root.(vfs.MakeOpener).MakeOpen(ctx, "f", vfs.MakeOptions{Mode: unix.S_IFREG | 0o600}, unix.O_RDWR)
		if err != nil {
			return
		}
		if n, err := vfs.Write(ctx, file, []byte("abc"), 0); n < 0 || n > 3 || err == nil && n < 0 {
			t.Errorf("%d written", n)
		}
		if n, err := vfs.Read(ctx, file, make([]byte, 3), 0); n < 0 || n > 3 {
			t.Errorf("%d read, %v", n, err)
		}
		if m, ok := file.(vfs.Mapper); ok {
			if got, err := m.Map(ctx, unix.PROT_READ, false); err == nil {
				got.Release()
			}
		}
		file.Close()
	})
}
