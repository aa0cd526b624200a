package vfstest

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Transport says what a way to reach a server gives to its callers.
type Transport struct {
	// Reach returns server as callers see it, which may take as long as grace over an
	// interrupt. What it made is gone with the test.
	Reach func(t *testing.T, server vfs.FS, grace time.Duration) vfs.FS
	// Via, when not nil, makes the suite's calls: for transports to whom it matters
	// who calls. ctx is the caller's.
	Via func(ctx context.Context, call func(context.Context) error) error
	// Leaves: callers leave servers that ignore them. A bare function call cannot.
	Leaves bool
	// Ioctls are passed on.
	Ioctls bool
	// Cannot names the tests of what this way cannot give, and why not.
	Cannot map[string]string
	// Races is how often a cancel races its call; 0 means 10,000, or a million when
	// HATI_HAMMER is set.
	Races int
}

// Grace times. In most tests it is so long that who waits for it waits for ever: so a
// server that heeds its cancels has all the time that it takes on a busy machine, and
// who is to leave at once has left without it. In the others it is soon over.
const (
	patience = time.Hour
	soon     = 200 * time.Millisecond
)

// RunCancellation tests the clauses of the cancellation contract that concern
// servers and the ways to reach them, with servers that keep it and, where callers
// can leave, with servers that do not.
func RunCancellation(t *testing.T, tr Transport) {
	if tr.Races == 0 {
		tr.Races = 10000
		if os.Getenv("HATI_HAMMER") != "" {
			tr.Races = 1000000
		}
	}
	for _, c := range []struct {
		name   string
		run    func(*stage)
		leaves bool
	}{
		{"C01_OneOutcome", testC01, false},
		{"C02_NoEffect", testC02, false},
		{"C03_EffectDelivered", testC03, false},
		{"C04_InDoubtIsNamed", testC04, true},
		{"C05_OneRequest", testC05, false},
		{"C06_NoSuccessorTouched", testC06, true},
		{"C07_NoCancelLost", testC07, false},
		{"C08_NotSentNeverSeen", testC08, false},
		{"C10_TwiceOrAfterTheEnd", testC10, false},
		{"C11_NotBehindTheWork", testC11, false},
		{"C12_Bounds", testC12, true},
		{"C13_KillAtOnce", testC13, true},
		{"C14_OneRequestOnly", testC14, true},
		{"C15_LateReclaimed", testC15, true},
		{"C16_TheDead", testC16, true},
		{"C19_AllTheWayDown", testC19, false},
		{"C20_EveryCallEnds", testC20, false},
		{"C22_NothingLeft", testC22, true},
		{"WrongErrors", testWrongErrors, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if why := tr.Cannot[c.name]; why != "" {
				t.Skip(why)
			}
			if c.leaves && !tr.Leaves {
				t.Skip("callers cannot leave")
			}
			c.run(newStage(t, &tr, patience))
		})
	}
}

// stage is a puppet and the way to it.
type stage struct {
	*testing.T
	*Transport
	p            *Puppet
	fs           vfs.FS
	root         vfs.Node
	file         vfs.Node
	open, stream vfs.File
}

func newStage(t *testing.T, tr *Transport, grace time.Duration) *stage {
	p := NewPuppet()
	return newStageOver(t, tr, p, tr.Reach(t, p, grace))
}

func newStageOver(t *testing.T, tr *Transport, p *Puppet, fs vfs.FS) *stage {
	s := &stage{T: t, Transport: tr, p: p, fs: fs}
	ctx := context.Background()
	var err error
	if s.root, err = s.fs.Root(ctx); err != nil {
		t.Fatal(err)
	}
	s.file = s.lookup("file")
	if s.open, err = vfs.Open(ctx, s.file, unix.O_RDWR); err != nil {
		t.Fatal(err)
	}
	if s.stream, err = vfs.Open(ctx, s.lookup("stream"), unix.O_RDONLY); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.open.Close()
		s.stream.Close()
	})
	return s
}

func (s *stage) lookup(name string) vfs.Node {
	s.Helper()
	n, err := vfs.Lookup(context.Background(), s.root, name)
	if err != nil {
		s.Fatal(name, err)
	}
	return n
}

// kind is a kind of call: the puppet's name for it, and how to make it.
type kind struct {
	name string
	do   func(s *stage, ctx context.Context) error
}

func closing(f vfs.File, err error) error {
	if err == nil {
		err = f.Close()
	}
	return err
}

// kinds are all calls with a ctx.
var kinds = []kind{
	{"stat", func(s *stage, ctx context.Context) error { _, err := s.file.Stat(ctx); return err }},
	{"lookup", func(s *stage, ctx context.Context) error { _, err := vfs.Lookup(ctx, s.root, "dir"); return err }},
	{"open", func(s *stage, ctx context.Context) error { return closing(vfs.Open(ctx, s.file, unix.O_RDONLY)) }},
	{"opendir", func(s *stage, ctx context.Context) error { return closing(vfs.Open(ctx, s.root, unix.O_RDONLY)) }},
	{"read", func(s *stage, ctx context.Context) error {
		_, err := vfs.Read(ctx, s.open, make([]byte, 10), 0)
		return err
	}},
	{"write", func(s *stage, ctx context.Context) error {
		_, err := vfs.Write(ctx, s.open, []byte("x"), 0)
		return err
	}},
	{"append", func(s *stage, ctx context.Context) error {
		_, _, err := s.open.(vfs.Appender).Append(ctx, []byte("x"))
		return err
	}},
	{"readlink", func(s *stage, ctx context.Context) error {
		_, err := vfs.Readlink(ctx, s.lookup("link"))
		return err
	}},
	{"make", func(s *stage, ctx context.Context) error {
		_, err := vfs.Make(ctx, s.root, "new", vfs.MakeOptions{Mode: unix.S_IFDIR | 0o700})
		return err
	}},
	{"makeopen", func(s *stage, ctx context.Context) error {
		_, f, err := s.root.(vfs.MakeOpener).MakeOpen(ctx, "new", vfs.MakeOptions{Mode: unix.S_IFREG | 0o600}, unix.O_RDWR)
		return closing(f, err)
	}},
	{"remove", func(s *stage, ctx context.Context) error { return vfs.Remove(ctx, s.root, "file", false) }},
	{"rename", func(s *stage, ctx context.Context) error {
		return vfs.Rename(ctx, s.root, "file", s.root, "other", 0)
	}},
	{"link", func(s *stage, ctx context.Context) error { return vfs.Link(ctx, s.root, s.file, "other") }},
	{"setattr", func(s *stage, ctx context.Context) error {
		return vfs.SetAttributes(ctx, s.file, nil, vfs.SetAttr{Valid: vfs.SetMode})
	}},
	{"getxattr", func(s *stage, ctx context.Context) error {
		_, err := vfs.Getxattr(ctx, s.file, "user.name")
		return err
	}},
	{"setxattr", func(s *stage, ctx context.Context) error { return vfs.Setxattr(ctx, s.file, "user.a", nil, 0) }},
	{"listxattr", func(s *stage, ctx context.Context) error { _, err := vfs.Listxattr(ctx, s.file); return err }},
	{"removexattr", func(s *stage, ctx context.Context) error { return vfs.Removexattr(ctx, s.file, "user.a") }},
	{"setlock", func(s *stage, ctx context.Context) error {
		return s.file.(vfs.Locker).SetLock(ctx, wholeLock(1), true)
	}},
	{"getlock", func(s *stage, ctx context.Context) error {
		_, err := s.file.(vfs.Locker).GetLock(ctx, wholeLock(1))
		return err
	}},
	{"sync", func(s *stage, ctx context.Context) error { return s.open.(vfs.Syncer).Sync(ctx, false) }},
	{"flush", func(s *stage, ctx context.Context) error { return s.open.(vfs.Flusher).Flush(ctx) }},
	{"seekdata", func(s *stage, ctx context.Context) error {
		_, err := s.open.(vfs.Seeker).SeekData(ctx, 0, false)
		return err
	}},
	{"allocate", func(s *stage, ctx context.Context) error { return s.open.(vfs.Allocator).Allocate(ctx, 0, 0, 1) }},
	{"readdir", func(s *stage, ctx context.Context) error {
		f, err := vfs.Open(context.Background(), s.root, unix.O_RDONLY)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.(vfs.DirReader).ReadDir(ctx, 0, 10)
		return err
	}},
	{"statfs", func(s *stage, ctx context.Context) error {
		_, err := s.fs.(vfs.Statfser).Statfs(ctx)
		return err
	}},
}

func (s *stage) via(ctx context.Context, call func(context.Context) error) error {
	if s.Via != nil {
		return s.Via(ctx, call)
	}
	return call(ctx)
}

// start makes a call on a goroutine of its own and waits until it is in the
// server.
func (s *stage) start(ctx context.Context, stop *Stop, do func(*stage, context.Context) error) (<-chan error, context.Context) {
	s.Helper()
	done := make(chan error, 1)
	go func() { done <- s.via(ctx, func(ctx context.Context) error { return do(s, ctx) }) }()
	select {
	case c := <-stop.Entered:
		return done, c
	case err := <-done:
		s.Fatalf("did not wait: %v", err)
		return nil, nil
	}
}

// causes are why calls end.
var causes = []error{vfs.ErrInterrupted, vfs.ErrKilled, vfs.ErrCallerDied, vfs.ErrShutdown, vfs.ErrDeadline}

// inDoubt checks that an error says so, and nothing else: a caller must not take
// it for an interruption.
func (s *stage) inDoubt(err error, what ...any) {
	s.Helper()
	if !errors.Is(err, vfs.ErrInDoubt) || vfs.Interrupted(err) {
		s.Errorf("%v: %v, want in doubt", what, err)
	}
}

// settled waits until cond holds, which what was started makes true by itself.
func (s *stage) settled(what string, cond func() bool) {
	s.Helper()
	deadline := time.Now().Add(time.Minute)
	for !cond() {
		if time.Now().After(deadline) {
			s.Fatal("never came true: ", what)
		}
		runtime.Gosched()
	}
}

func (s *stage) held(open, maps, locks int) func() bool {
	return func() bool {
		o, m, l := s.p.Held()
		return o == open && m == maps && l == locks
	}
}

// testWrongErrors: what no caller could understand is an errno or in doubt.
func testWrongErrors(s *stage) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, c := range []struct {
		err  error
		want error
	}{
		{vfs.ErrInterrupted, syscall.EIO}, {context.Canceled, syscall.EIO}, {syscall.EINTR, syscall.EIO},
		{syscall.Errno(512), syscall.EIO}, {syscall.Errno(0), syscall.EIO}, {errors.New("odd"), syscall.EIO},
		{vfs.ErrInDoubt, syscall.EIO}, {syscall.EDQUOT, syscall.EDQUOT},
	} {
		s.p.Plan("stat", func(context.Context) error { return c.err })
		_, err := s.file.Stat(ctx)
		var e syscall.Errno
		switch {
		case errors.As(err, &e):
			if e != c.want {
				s.Errorf("%v became %v, want %v", c.err, e, c.want)
			}
		case err == nil, vfs.Interrupted(err), errors.Is(err, context.Canceled), c.want != syscall.EIO:
			s.Errorf("%v became %v", c.err, err)
		}
	}
	var wg sync.WaitGroup
	for _, bad := range []func(){func() { panic("bad server") }, runtime.Goexit, func() { var m map[int]int; m[1] = 1 }} {
		s.p.Plan("stat", func(context.Context) error { bad(); return nil })
		wg.Go(func() {
			_, err := s.file.Stat(ctx)
			s.inDoubt(err, "a server that fails")
		})
		wg.Wait()
	}
	s.p.Plan("stat", nil)
	if _, err := s.file.Stat(ctx); err != nil {
		s.Error("the server is gone: ", err)
	}
}
