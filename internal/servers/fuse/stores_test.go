package fuse

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// mapped maps a file as a guest does that may store to it.
func mapped(t *testing.T, f vfs.File, size int) ([]byte, vfs.Stores) {
	t.Helper()
	m, err := f.(vfs.Mapper).Map(context.Background(), unix.PROT_READ|unix.PROT_WRITE, true)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	p, err := unix.Mmap(m.FD, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Munmap(p)
		m.Stores.Close()
	})
	return p, m.Stores
}

// behind returns what the daemon has.
func (s *scene) behind(n int) string {
	s.Helper()
	root, _ := s.d.fs.Root(context.Background())
	node, err := vfs.Lookup(context.Background(), root, "file")
	if err != nil {
		s.Fatal(err)
	}
	f, err := vfs.Open(context.Background(), node, unix.O_RDONLY)
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, n)
	n, err = vfs.Read(context.Background(), f, p, 0)
	if err != nil {
		s.Fatal(err)
	}
	return string(p[:n])
}

func (s *scene) read(n int) string {
	s.Helper()
	p := make([]byte, n)
	n, err := vfs.Read(context.Background(), s.open, p, 0)
	if err != nil {
		s.Fatal(err)
	}
	return string(p[:n])
}

// change is what others do to the daemon's file.
func (s *scene) change(text string, size int64) {
	s.Helper()
	ctx := context.Background()
	root, _ := s.d.fs.Root(ctx)
	node, err := vfs.Lookup(ctx, root, "file")
	if err != nil {
		s.Fatal(err)
	}
	f, err := vfs.Open(ctx, node, unix.O_RDWR)
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	if _, err := vfs.Write(ctx, f, []byte(text), 0); err != nil {
		s.Fatal(err)
	}
	if err := vfs.SetAttributes(ctx, node, f, vfs.SetAttr{Valid: vfs.SetSize, Size: size}); err != nil {
		s.Fatal(err)
	}
}

func (s *scene) invalidate() {
	var e encoder
	s.d.tell(notifyInvalInode, e.u64(s.file.(*regular).id, 0, 0).b)
}

// TestStoresOfOthers: what others have done to the file shows in maps, where a
// guest has not stored; what it has stored stays and is written back.
func TestStoresOfOthers(t *testing.T) {
	s := newScene(t, hang)
	s.change("contents", 3*pageSize)
	s.invalidate()
	p, stores := mapped(t, s.open, 3*pageSize)
	p[2*pageSize] = 'g'
	s.change("others' ", 3*pageSize)
	s.invalidate()
	settled(t, "the map shows it", func() bool { return string(p[:8]) == "others' " })
	if p[2*pageSize] != 'g' {
		t.Error("the guest's store is gone")
	}
	s.change("longer..", 4*pageSize)
	if got := s.read(8); got != "longer.." {
		t.Errorf("read %q", got)
	}
	s.change("shorter.", pageSize)
	if got := s.read(5 * pageSize); got[:8] != "shorter." || len(got) != pageSize {
		t.Errorf("read %d bytes, %q", len(got), got[:8])
	}
	copy(p, "mine")
	if err := stores.WriteBack(context.Background(), 0, -1); err != nil {
		t.Error(err)
	}
	if got := s.behind(9); got != "mineter.\x00" {
		t.Errorf("the daemon has %q", got)
	}
}

// TestStoresFaults: a write-back whose answer does not come, is late, comes twice
// or makes no sense.
func TestStoresFaults(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(q *question)
		want   error // of WriteBack
		ends   bool  // the mount
	}{
		"Hangs":    {func(*question) {}, vfs.ErrInDoubt, false},
		"Dies":     {func(*question) {}, syscall.EIO, true},
		"Twice":    {func(q *question) { one(q); one(q) }, nil, false},
		"TooLong":  {func(q *question) { q.reply(nil, make([]byte, 9)) }, syscall.EIO, true},
		"TooShort": {func(q *question) { q.reply(nil, make([]byte, 3)) }, syscall.EIO, true},
		"WrongID":  {func(q *question) { q.unique += 8; one(q); q.unique -= 8; one(q) }, nil, false},
		"TooMany":  {func(q *question) { q.reply(nil, []byte{255, 255, 0, 0, 0, 0, 0, 0}) }, syscall.EIO, true},
		"TooFew":   {func(q *question) { q.reply(nil, make([]byte, 8)) }, syscall.EIO, false},
		"Fails":    {func(q *question) { q.reply(syscall.EDQUOT, nil) }, syscall.EDQUOT, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, func(q *question) bool { c.answer(q); return true })
			p, stores := mapped(t, s.open, pageSize)
			copy(p, "stored")
			s.op.Store(opWrite)
			ctx, cancel := context.WithCancelCause(context.Background())
			done := make(chan error, 1)
			go func() { done <- stores.Sync(ctx, 0, -1) }()
			<-s.came
			switch name {
			case "Hangs":
				cancel(vfs.ErrKilled)
			case "Dies":
				unix.Shutdown(int(s.d.s.Fd()), unix.SHUT_RDWR)
			}
			err := <-done
			cancel(nil)
			if c.want == nil && err != nil || !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			s.op.Store(0)
			if !c.ends && s.read(6) != "stored" {
				t.Error("others do not see it")
			}
			if lost := s.fs.conn.lost.Load(); lost != c.ends {
				t.Errorf("the mount has ended: %v", lost)
			}
		})
	}
}

// one says that all of a WRITE was taken.
func one(q *question) {
	d := decoder{b: q.raw[inHeaderSize:]}
	d.take(16)
	var e encoder
	q.reply(nil, e.u32(d.u32(), 0).b)
}

// TestStoresLate: a daemon that answers late has got what was stored once, and
// who comes meanwhile can leave.
func TestStoresLate(t *testing.T) {
	s := newScene(t, hang)
	p, stores := mapped(t, s.open, pageSize)
	copy(p, "stored")
	s.op.Store(opWrite)
	killed, kill := context.WithCancelCause(context.Background())
	done := make(chan error, 8)
	go func() { done <- stores.WriteBack(killed, 0, -1) }()
	q := <-s.came
	for _, f := range []func() error{
		func() error { return s.open.(vfs.Syncer).Sync(killed, false) },
		func() error { return s.open.(vfs.Flusher).Flush(killed) },
		func() error { _, err := vfs.Write(killed, s.open, []byte("x"), 0); return err },
		func() error {
			return vfs.SetAttributes(killed, s.file, nil, vfs.SetAttr{Valid: vfs.SetSize, Size: 9})
		},
		func() error { return s.open.(vfs.Allocator).Allocate(killed, 0, 0, 10) },
		func() error {
			_, err := s.open.(vfs.RangeCopier).CopyRange(killed, 0, s.open, 100, 5)
			return err
		},
	} {
		go func() { done <- f() }()
	}
	kill(vfs.ErrKilled)
	for range 7 {
		if err := <-done; err == nil {
			t.Error("did not wait for the daemon")
		}
	}
	if got := s.read(6); got != "stored" {
		t.Errorf("read %q", got)
	}
	if !s.open.(*file).Stuck() {
		t.Error("nobody would know that the daemon is stuck")
	}
	s.op.Store(0)
	q.handle()
	if err := stores.WriteBack(context.Background(), 0, -1); err != nil {
		t.Error(err)
	}
	if got := s.behind(8); got != "storedts" || s.open.(*file).Stuck() {
		t.Errorf("the daemon has %q", got)
	}
}

// TestStoresInterrupted: a signal does not end the wait of munmap and msync.
func TestStoresInterrupted(t *testing.T) {
	s := newScene(t, hang)
	p, stores := mapped(t, s.open, pageSize)
	copy(p, "stored")
	s.op.Store(opWrite)
	ctx, signal := context.WithCancelCause(context.WithValue(context.Background(), vfs.FinalKey{}, never{}))
	done := make(chan error, 1)
	go func() { done <- stores.WriteBack(ctx, 0, -1) }()
	q := <-s.came
	signal(vfs.ErrInterrupted)
	s.op.Store(0)
	q.handle()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// never is the end of a caller that does not end.
type never struct{}

func (never) Final() <-chan struct{} { return make(chan struct{}) }

// TestStoresLastClose: what was stored is written back when nobody asks for it
// any more, before the daemon is told to end.
func TestStoresLastClose(t *testing.T) {
	s := newScene(t, hang)
	ctx := context.Background()
	f, err := vfs.Open(ctx, s.file, unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	p, stores := mapped(t, f, pageSize)
	f.Close()
	copy(p, "stored")
	s.op.Store(opWrite)
	stores.Close()
	q := <-s.came
	s.op.Store(opDestroy)
	s.fs.Unmount(false)
	select {
	case <-s.came:
		t.Error("told to end too early")
	default:
	}
	q.handle()
	<-s.came
	if got := s.behind(8); got != "storedts" {
		t.Errorf("the daemon has %q", got)
	}
}

// TestStoresMany: more files than mapped ones are kept.
func TestStoresMany(t *testing.T) {
	fs, _ := mount(t, tmp.New(tmp.Options{}), Options{}, nil)
	ctx := context.Background()
	root, _ := fs.Root(ctx)
	type one struct {
		f vfs.File
		p []byte
		s vfs.Stores
	}
	var all []one
	for i := range 3 * keptMaps {
		_, f, err := root.(vfs.MakeOpener).MakeOpen(ctx, fmt.Sprint(i), vfs.MakeOptions{Mode: unix.S_IFREG | 0o644}, unix.O_RDWR)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := vfs.Write(ctx, f, make([]byte, 100), 0); err != nil {
			t.Fatal(err)
		}
		p, s := mapped(t, f, pageSize)
		all = append(all, one{f, p, s})
	}
	for i, o := range all {
		copy(o.p, fmt.Sprintf("%4d", i))
		if err := o.s.WriteBack(ctx, 0, -1); err != nil {
			t.Fatal(err)
		}
		o.s.Close()
	}
	for i, o := range all {
		p := make([]byte, 4)
		o.f.(*file).n.dropData(0, -1)
		if _, err := vfs.Read(ctx, o.f, p, 0); err != nil || string(p) != fmt.Sprintf("%4d", i) {
			t.Fatalf("file %d has %q, %v", i, p, err)
		}
		o.f.Close()
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	open := 0
	for _, h := range fs.nodes {
		if r, ok := h.node.Value().self.(*regular); ok && r.data.mem != nil {
			open++
		}
	}
	if open > keptMaps {
		t.Errorf("%d memory objects are kept, want at most %d", open, keptMaps)
	}
}

// TestStoresRefused: what cannot be mapped like that.
func TestStoresRefused(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		flags uint64 // of INIT
		out   uint32 // of OPEN
		size  int64
		want  error
	}{
		"direct_io":                    {0, openDirectIO, 10, syscall.ENODEV},
		"direct_io that may be mapped": {initDirectMmap, openDirectIO, 10, nil},
		"a stream":                     {initDirectMmap, openStream, 10, syscall.ENODEV},
		"too large":                    {0, 0, mostMapped + 1, syscall.ENOMEM},
	} {
		s := newScene(t, hang)
		s.fs.conn.flags |= c.flags
		s.open.(*file).out |= c.out
		s.change("", c.size)
		s.invalidate()
		m, err := s.open.(vfs.Mapper).Map(ctx, unix.PROT_READ|unix.PROT_WRITE, true)
		if err != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if err == nil {
			m.Release()
			m.Stores.Close()
		}
		s.file.(*regular).data.mu.Lock()
		if n := len(s.file.(*regular).data.live.maps); n != 0 {
			t.Errorf("%s: %d maps are left", name, n)
		}
		s.file.(*regular).data.mu.Unlock()
		if c.out == openDirectIO {
			if _, err := s.open.(vfs.Mapper).Map(ctx, unix.PROT_READ, true); err != c.want {
				t.Errorf("%s, to read: %v, want %v", name, err, c.want)
			}
		}
		m, err = s.open.(vfs.Mapper).Map(ctx, unix.PROT_READ, false)
		if c.out == openDirectIO && err != nil {
			t.Errorf("%s, private: %v", name, err)
		}
		if err == nil {
			m.Release()
		}
	}
}
