package remote_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
	"golang.org/x/sys/unix"
)

// A client that breaks the protocol loses its lane, with a reason, and nobody
// else notices.
func TestHostileClients(t *testing.T) {
	type lie func(c wire.Client, root uint64)
	empty := new(wire.Empty)
	for name, do := range map[string]lie{
		"unknown node": func(c wire.Client, _ uint64) { c.Stat(ctx, &wire.NodeRequest{Node: 99}, new(wire.AttrReply), nil) },
		"node 0":       func(c wire.Client, _ uint64) { c.Stat(ctx, &wire.NodeRequest{}, new(wire.AttrReply), nil) },
		"unknown file": func(c wire.Client, _ uint64) { c.Read(ctx, &wire.ReadRequest{File: 7, Size: 1}, empty, nil) },
		"unknown close": func(c wire.Client, _ uint64) {
			c.Close(ctx, &wire.CloseRequest{Files: []uint64{3}}, empty, nil)
		},
		"dot dot": func(c wire.Client, root uint64) {
			c.Lookup(ctx, &wire.NameRequest{Node: root, Name: ".."}, new(wire.NodeReply), nil)
		},
		"slash": func(c wire.Client, root uint64) {
			c.Remove(ctx, &wire.RemoveRequest{Node: root, Name: "a/b"}, empty, nil)
		},
		"no name": func(c wire.Client, root uint64) {
			c.Make(ctx, &wire.MakeRequest{Node: root, Mode: unix.S_IFREG}, new(wire.NodeReply), nil)
		},
		"forgets too often": func(c wire.Client, root uint64) {
			c.Forget(ctx, &wire.ForgetNote{Nodes: []wire.Count{{Node: root, Times: 2}}}, nil)
		},
		"waits for what is ready": func(c wire.Client, root uint64) {
			var rep wire.OpenReply
			c.MakeOpen(ctx, &wire.MakeRequest{Node: root, Name: "f", Mode: unix.S_IFREG | 0o600, Flags: unix.O_RDWR}, &rep, nil)
			c.Arm(ctx, &wire.ArmRequest{File: rep.File.ID}, new(wire.ReadyReply), nil)
		},
		"locks what has none": func(c wire.Client, root uint64) {
			c.SetLock(ctx, &wire.LockRequest{Node: root, Owner: 1}, empty, nil)
		},
		"a server's note": func(c wire.Client, _ uint64) { c.Ready(ctx, &wire.ReadyNote{File: 1}, nil) },
	} {
		for _, shared := range []bool{false, true} {
			fs := tmp.New(tmp.Options{})
			a, b := pair(t, shared)
			served := make(chan error, 1)
			go func() { served <- remote.Serve(ctx, b, fs, remote.ServeOptions{}) }()
			c := wire.Client{Lane: a}
			var root wire.RootReply
			if err := c.Root(ctx, empty, &root, nil); err != nil {
				t.Fatal(err)
			}
			do(c, root.Root.ID)
			if err := <-served; err == nil || !strings.Contains(err.Error(), "the client broke the protocol") {
				t.Errorf("%s: %v", name, err)
			}
			a.Close()
			x, y := pair(t, shared)
			serveFS(t, y, fs)
			if _, err := newClient(t, x).FS().Root(ctx); err != nil {
				t.Errorf("%s: another client: %v", name, err)
			}
		}
	}
}

// What an honest client may do late is an error and no breach: a request that was
// abandoned comes after the close, or after the node was forgotten.
func TestLateRequests(t *testing.T) {
	a, b := pair(t, true)
	serveFS(t, b, tmp.New(tmp.Options{}))
	defer a.Close()
	c, empty := wire.Client{Lane: a}, new(wire.Empty)
	var root wire.RootReply
	var rep wire.OpenReply
	err := c.Root(ctx, empty, &root, nil)
	if err == nil {
		err = c.MakeOpen(ctx, &wire.MakeRequest{Node: root.Root.ID, Name: "f", Mode: unix.S_IFREG | 0o600, Flags: unix.O_RDONLY}, &rep, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	// The access mode is kept, too.
	if err := c.Write(ctx, &wire.WriteRequest{File: rep.File.ID}, new(wire.CountReply), &lane.Extra{Bulk: []byte("x")}); err != syscall.EBADF {
		t.Errorf("write to a file opened for reading: %v", err)
	}
	req := wire.MapRequest{File: rep.File.ID, Prot: unix.PROT_READ | unix.PROT_WRITE, Shared: true}
	if err := c.Map(ctx, &req, new(wire.MapReply), nil); err != syscall.EACCES {
		t.Errorf("map writable: %v", err)
	}
	for range 2 {
		if err := c.Close(ctx, &wire.CloseRequest{Files: []uint64{rep.File.ID}}, empty, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Read(ctx, &wire.ReadRequest{File: rep.File.ID, Size: 1}, empty, nil); err != syscall.EBADF {
		t.Errorf("read of a closed file: %v", err)
	}
	if err := c.Forget(ctx, &wire.ForgetNote{Nodes: []wire.Count{{Node: rep.Node.ID, Times: 1}}}, nil); err != nil {
		t.Fatal(err)
	}
	for {
		err := c.Stat(ctx, &wire.NodeRequest{Node: rep.Node.ID}, new(wire.AttrReply), nil)
		if err == syscall.ESTALE {
			break
		}
		if err != nil { // the note may still be on its way
			t.Fatalf("stat of a forgotten node: %v", err)
		}
	}
	if a.Err() != nil {
		t.Error("the lane has ended: ", a.Err())
	}
}

// liar is a server that answers some operations as it is told.
type liar struct {
	honest lane.Handler
	op     atomic.Uint32 // what it lies about
	lie    func(r *lane.Request) error
}

func (l *liar) handle(ctx context.Context, r *lane.Request) error {
	if r.Op == l.op.Load() {
		return l.lie(r)
	}
	return l.honest(ctx, r)
}

type message interface {
	AppendLane([]byte, uint32) []byte
}

func answer(m message) func(*lane.Request) error {
	return func(r *lane.Request) error {
		r.Reply.Data = m.AppendLane(r.Reply.Data[:0], wire.ProtocolVersion)
		return nil
	}
}

func bulk(m message) func(*lane.Request) error {
	return func(r *lane.Request) error {
		r.Reply.Bulk = m.AppendLane(r.Room(r.MaxBulk())[:0], wire.ProtocolVersion)
		return nil
	}
}

// A server that answers nonsense loses its lane; the caller is in doubt, and
// nothing impossible comes back.
func TestHostileServers(t *testing.T) {
	reg := vfs.MakeOptions{Mode: unix.S_IFREG | 0o600}
	open := func(t *testing.T, d vfs.Node) vfs.File {
		_, f, err := d.(vfs.MakeOpener).MakeOpen(ctx, "f", reg, unix.O_RDWR)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	openDir := func(t *testing.T, d vfs.Node) vfs.DirReader {
		f, err := vfs.Open(ctx, d, unix.O_RDONLY)
		if err != nil {
			t.Fatal(err)
		}
		return f.(vfs.DirReader)
	}
	lookup := func(_ *testing.T, d vfs.Node) error { _, err := vfs.Lookup(ctx, d, "x"); return err }
	stat := func(_ *testing.T, d vfs.Node) error { _, err := d.Stat(ctx); return err }
	write := func(t *testing.T, d vfs.Node) error {
		_, err := vfs.Write(ctx, open(t, d), []byte("abc"), 0)
		return err
	}
	readDir := func(t *testing.T, d vfs.Node) error {
		_, err := openDir(t, d).ReadDir(ctx, 0, 5)
		return err
	}
	for name, c := range map[string]struct {
		op  uint32
		lie func(*lane.Request) error
		do  func(*testing.T, vfs.Node) error
	}{
		"node 0":              {wire.OpLookup, answer(&wire.NodeReply{}), lookup},
		"node of no kind":     {wire.OpLookup, answer(&wire.NodeReply{Node: wire.Node{ID: 5, Bits: 1 << 20}}), lookup},
		"the root, not a dir": {wire.OpLookup, answer(&wire.NodeReply{Node: wire.Node{ID: 1, Bits: wire.NodeOpener}}), lookup},
		"garbage":             {wire.OpLookup, func(r *lane.Request) error { r.Reply.Data = []byte("garbage"); return nil }, lookup},
		"negative size":       {wire.OpStat, answer(&wire.AttrReply{Attr: wire.Attr{Mode: unix.S_IFDIR, Size: -1}}), stat},
		"another type":        {wire.OpStat, answer(&wire.AttrReply{Attr: wire.Attr{Mode: unix.S_IFREG}}), stat},
		"file 0": {wire.OpMakeOpen, answer(&wire.OpenReply{Node: wire.Node{ID: 9, Bits: wire.NodeOpener}}),
			func(_ *testing.T, d vfs.Node) error {
				_, _, err := d.(vfs.MakeOpener).MakeOpen(ctx, "g", reg, unix.O_RDWR)
				return err
			}},
		"more written than given": {wire.OpWrite, answer(&wire.CountReply{N: 4}), write},
		"less than nothing":       {wire.OpWrite, answer(&wire.CountReply{N: -1}), write},
		"an end before the start": {wire.OpAppend, answer(&wire.CountReply{N: 3, End: -3}), func(t *testing.T, d vfs.Node) error {
			_, _, err := open(t, d).(vfs.Appender).Append(ctx, []byte("abc"))
			return err
		}},
		"an entry with a slash": {wire.OpReadDir, bulk(&wire.Dirent{Name: "../x", Next: 3}), readDir},
		"a reserved cookie":     {wire.OpReadDir, bulk(&wire.Dirent{Name: "x", Next: 1}), readDir},
		"no object":             {wire.OpMap, answer(&wire.MapReply{}), mapFile(open)},
		"a pipe to map": {wire.OpMap, func(r *lane.Request) error {
			var p [2]int
			if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
				return err
			}
			unix.Close(p[1])
			f, err := lane.NewFile(p[0])
			if err != nil {
				return err
			}
			r.Reply.Objects = append(r.Reply.Objects, f)
			return answer(&wire.MapReply{})(r)
		}, mapFile(open)},
	} {
		for _, shared := range []bool{false, true} {
			a, b := pair(t, shared)
			l := &liar{honest: remote.Handler(b, tmp.New(tmp.Options{})), lie: c.lie}
			if err := b.Handle(l.handle, lane.ServeOptions{}); err != nil {
				t.Fatal(err)
			}
			client := newClient(t, a)
			root, err := client.FS().Root(ctx)
			if err != nil {
				t.Fatal(err)
			}
			l.op.Store(c.op)
			if err := c.do(t, root); !errors.Is(err, vfs.ErrInDoubt) {
				t.Errorf("%s: %v", name, err)
			}
			<-client.Done()
			if err := client.Err(); err == nil || !strings.Contains(err.Error(), "the server broke the protocol") {
				t.Errorf("%s: the lane ended with %v", name, err)
			}
			if _, err := root.Stat(ctx); !errors.Is(err, remote.ErrGone) || !errors.Is(err, syscall.ENOTCONN) {
				t.Errorf("%s: afterwards: %v", name, err)
			}
			b.Close()
		}
	}
}

func mapFile(open func(*testing.T, vfs.Node) vfs.File) func(*testing.T, vfs.Node) error {
	return func(t *testing.T, d vfs.Node) error {
		_, err := open(t, d).(vfs.Mapper).Map(ctx, unix.PROT_READ, false)
		return err
	}
}
