package fuse

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// scene is a mounted daemon with a few files, of which the operations below need
// some.
type scene struct {
	*testing.T
	fs         *FS
	d          *daemon
	root, file vfs.Node
	link       vfs.Node
	open       vfs.File
	list       vfs.File
	op         atomic.Uint32 // the operation that misbehaves
	how        func(*question) bool
	came       chan *question
}

func newScene(t *testing.T, how func(*question) bool) *scene {
	t.Helper()
	s := &scene{T: t, how: how, came: make(chan *question, 16)}
	s.fs, s.d = mount(t, tmp.New(tmp.Options{}), Options{Backing: nil}, func(d *daemon) {
		d.flags |= initIoctlDir
		d.hook = func(q *question) bool {
			op := s.op.Load()
			if op == 0 || q.op != op && !(op == opReaddirplus && q.op == opReaddir) && !(op == opStatx && q.op == opGetattr) {
				return false
			}
			s.came <- q
			return s.how(q)
		}
	})
	ctx := context.Background()
	var err error
	must := func(e error) {
		t.Helper()
		if e != nil {
			t.Fatal(e)
		}
	}
	s.root, err = s.fs.Root(ctx)
	must(err)
	var n vfs.Node
	n, s.open, err = s.root.(vfs.MakeOpener).MakeOpen(ctx, "file", vfs.MakeOptions{Mode: unix.S_IFREG | 0o644}, unix.O_RDWR)
	must(err)
	s.file = n
	s.link, err = vfs.Make(ctx, s.root, "link", vfs.MakeOptions{Mode: unix.S_IFLNK | 0o777, Target: "file"})
	must(err)
	s.list, err = vfs.Open(ctx, s.root, unix.O_RDONLY)
	must(err)
	_, err = vfs.Write(ctx, s.open, []byte("contents"), 0)
	must(err)
	t.Cleanup(func() {
		s.op.Store(0)
		s.open.Close()
		s.list.Close()
	})
	return s
}

func closing(f vfs.File, err error) error {
	if err == nil {
		f.Close()
	}
	return err
}

// operations are all requests that somebody waits for.
var operations = []struct {
	op   uint32
	name string
	do   func(s *scene, ctx context.Context) error
}{
	{opLookup, "lookup", func(s *scene, ctx context.Context) error { _, err := vfs.Lookup(ctx, s.root, "file"); return err }},
	{opStatx, "stat", func(s *scene, ctx context.Context) error { _, err := s.file.Stat(ctx); return err }},
	{opGetattr, "getattr", func(s *scene, ctx context.Context) error {
		s.fs.conn.lacks[opStatx].Store(true)
		_, err := s.file.Stat(ctx)
		return err
	}},
	{opSetattr, "setattr", func(s *scene, ctx context.Context) error {
		return vfs.SetAttributes(ctx, s.file, nil, vfs.SetAttr{Valid: vfs.SetMode, Mode: 0o600})
	}},
	{opReadlink, "readlink", func(s *scene, ctx context.Context) error { _, err := vfs.Readlink(ctx, s.link); return err }},
	{opSymlink, "symlink", func(s *scene, ctx context.Context) error {
		_, err := vfs.Make(ctx, s.root, "new", vfs.MakeOptions{Mode: unix.S_IFLNK | 0o777, Target: "t"})
		return err
	}},
	{opMknod, "mknod", func(s *scene, ctx context.Context) error {
		_, err := vfs.Make(ctx, s.root, "new", vfs.MakeOptions{Mode: unix.S_IFIFO | 0o600})
		return err
	}},
	{opMkdir, "mkdir", func(s *scene, ctx context.Context) error {
		_, err := vfs.Make(ctx, s.root, "new", vfs.MakeOptions{Mode: unix.S_IFDIR | 0o700})
		return err
	}},
	{opUnlink, "unlink", func(s *scene, ctx context.Context) error { return vfs.Remove(ctx, s.root, "link", false) }},
	{opRmdir, "rmdir", func(s *scene, ctx context.Context) error { return vfs.Remove(ctx, s.root, "file", true) }},
	{opRename, "rename", func(s *scene, ctx context.Context) error {
		return vfs.Rename(ctx, s.root, "file", s.root, "other", 0)
	}},
	{opRename2, "rename2", func(s *scene, ctx context.Context) error {
		return vfs.Rename(ctx, s.root, "file", s.root, "other", unix.RENAME_NOREPLACE)
	}},
	{opLink, "link", func(s *scene, ctx context.Context) error { return vfs.Link(ctx, s.root, s.file, "other") }},
	{opOpen, "open", func(s *scene, ctx context.Context) error { return closing(vfs.Open(ctx, s.file, unix.O_RDONLY)) }},
	{opCreate, "create", func(s *scene, ctx context.Context) error {
		_, f, err := s.root.(vfs.MakeOpener).MakeOpen(ctx, "new", vfs.MakeOptions{Mode: unix.S_IFREG | 0o600}, unix.O_RDWR)
		return closing(f, err)
	}},
	{opTmpfile, "tmpfile", func(s *scene, ctx context.Context) error {
		n, err := vfs.Tmpfile(ctx, s.root, vfs.MakeOptions{Mode: unix.S_IFREG | 0o600})
		if err != nil {
			return err
		}
		return closing(vfs.Open(context.Background(), n, unix.O_RDWR))
	}},
	{opRead, "read", func(s *scene, ctx context.Context) error {
		_, err := vfs.Read(ctx, s.open, make([]byte, 8), 0)
		return err
	}},
	{opWrite, "write", func(s *scene, ctx context.Context) error {
		_, err := vfs.Write(ctx, s.open, []byte("x"), 0)
		return err
	}},
	{opStatfs, "statfs", func(s *scene, ctx context.Context) error { _, err := s.fs.Statfs(ctx); return err }},
	{opFsync, "fsync", func(s *scene, ctx context.Context) error { return s.open.(vfs.Syncer).Sync(ctx, false) }},
	{opFsyncdir, "fsyncdir", func(s *scene, ctx context.Context) error { return s.list.(vfs.Syncer).Sync(ctx, false) }},
	{opSetxattr, "setxattr", func(s *scene, ctx context.Context) error {
		return vfs.Setxattr(ctx, s.file, "user.a", []byte("v"), 0)
	}},
	{opGetxattr, "getxattr", func(s *scene, ctx context.Context) error {
		_, err := vfs.Getxattr(ctx, s.file, "user.a")
		return err
	}},
	{opListxattr, "listxattr", func(s *scene, ctx context.Context) error { _, err := vfs.Listxattr(ctx, s.file); return err }},
	{opRemovexattr, "removexattr", func(s *scene, ctx context.Context) error { return vfs.Removexattr(ctx, s.file, "user.a") }},
	{opFlush, "flush", func(s *scene, ctx context.Context) error { return s.open.(vfs.Flusher).Flush(ctx) }},
	{opOpendir, "opendir", func(s *scene, ctx context.Context) error {
		return closing(vfs.Open(ctx, s.root, unix.O_RDONLY))
	}},
	{opReaddir, "readdir", func(s *scene, ctx context.Context) error {
		s.fs.conn.lacks[opReaddirplus].Store(true)
		_, err := s.list.(vfs.DirReader).ReadDir(ctx, 0, 10)
		return err
	}},
	{opReaddirplus, "readdirplus", func(s *scene, ctx context.Context) error {
		_, err := s.list.(vfs.DirReader).ReadDir(ctx, 0, 10)
		return err
	}},
	{opGetlk, "getlk", func(s *scene, ctx context.Context) error {
		_, err := s.open.(vfs.Locker).GetLock(ctx, wholeLock(1))
		return err
	}},
	{opSetlk, "setlk", func(s *scene, ctx context.Context) error {
		return s.open.(vfs.Locker).SetLock(ctx, wholeLock(1), false)
	}},
	{opSetlkw, "setlkw", func(s *scene, ctx context.Context) error {
		return s.open.(vfs.Locker).SetLock(ctx, wholeLock(1), true)
	}},
	{opAccess, "access", func(s *scene, ctx context.Context) error { return s.file.(vfs.Accesser).Access(ctx, 4) }},
	{opIoctl, "ioctl", func(s *scene, ctx context.Context) error {
		_, err := s.open.(vfs.Ioctler).Ioctl(ctx, 0x80044501, memory{1, make([]byte, 4)})
		return err
	}},
	{opPoll, "poll", func(s *scene, ctx context.Context) error {
		got, err := s.open.(vfs.Poller).PollNow(ctx, vfs.EventIn)
		if err == nil && got == vfs.EventErr {
			err = syscall.EIO // the daemon's failure shows as that
		}
		return err
	}},
	{opFallocate, "fallocate", func(s *scene, ctx context.Context) error {
		return s.open.(vfs.Allocator).Allocate(ctx, 0, 0, 1)
	}},
	{opLseek, "lseek", func(s *scene, ctx context.Context) error {
		_, err := s.open.(vfs.Seeker).SeekData(ctx, 0, false)
		return err
	}},
	{opCopyRange64, "copy", func(s *scene, ctx context.Context) error {
		_, err := s.open.(vfs.RangeCopier).CopyRange(ctx, 0, s.open, 100, 5)
		return err
	}},
	{opCopyFileRange, "copy, of old", func(s *scene, ctx context.Context) error {
		s.fs.conn.lacks[opCopyRange64].Store(true)
		_, err := s.open.(vfs.RangeCopier).CopyRange(ctx, 0, s.open, 100, 5)
		return err
	}},
}

func wholeLock(owner uint64) vfs.Lock {
	return vfs.Lock{Type: unix.F_WRLCK, Owner: owner, PID: 1, End: 1<<63 - 1}
}

// start makes the operation on a goroutine of its own and waits until the daemon
// has it.
func (s *scene) start(i int, ctx context.Context) (chan error, *question) {
	s.Helper()
	s.op.Store(operations[i].op)
	done := make(chan error, 2)
	go func() { done <- operations[i].do(s, ctx) }()
	select {
	case q := <-s.came:
		return done, q
	case err := <-done: // perhaps because of its answer
		done <- err
	}
	return done, <-s.came
}

func eachOperation(t *testing.T, how func(*question) bool, f func(s *scene, i int)) {
	for i := range operations {
		t.Run(operations[i].name, func(t *testing.T) { f(newScene(t, how), i) })
	}
}

func hang(*question) bool { return true }

// forEver is a grace time that nobody sees the end of: a daemon that heeds its
// interrupts has all the time that it takes on a busy machine, and who must not wait
// for the daemon would hang.
const forEver = time.Hour

// TestC13_Kill: a caller that is killed does not wait for a daemon that hangs.
func TestC13_Kill(t *testing.T) {
	eachOperation(t, hang, func(s *scene, i int) {
		s.fs.conn.grace = forEver
		ctx, cancel := context.WithCancelCause(context.Background())
		done, _ := s.start(i, ctx)
		cancel(vfs.ErrKilled)
		if err := <-done; !errors.Is(err, vfs.ErrInDoubt) {
			s.Errorf("%v, want in doubt", err)
		}
	})
}

// TestC12_Interrupt: a daemon that ignores an interrupt loses the caller after
// the grace time; what it makes later is given back.
func TestC12_Interrupt(t *testing.T) {
	eachOperation(t, hang, func(s *scene, i int) {
		s.fs.conn.grace = 20 * time.Millisecond
		ctx, cancel := context.WithCancelCause(context.Background())
		done, q := s.start(i, ctx)
		cancel(vfs.ErrInterrupted)
		if err := <-done; !errors.Is(err, vfs.ErrInDoubt) || vfs.Interrupted(err) {
			s.Errorf("%v, want in doubt", err)
		}
		if _, n := s.fs.Pending(); n != 1 {
			s.Errorf("%d abandoned, want 1", n)
		}
		s.d.mu.Lock()
		files := len(s.d.files)
		s.d.mu.Unlock()
		// The answer comes after all, from one that does not know of the cancel.
		s.op.Store(0)
		q.ctx = context.Background()
		q.handle()
		settled(s.T, "late result given back", func() bool {
			_, n := s.fs.Pending()
			s.d.mu.Lock()
			defer s.d.mu.Unlock()
			return n == 0 && len(s.d.files) == files
		})
	})
}

// settled waits until cond holds.
func settled(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("never came true: ", what)
		}
	}
}

// TestC02_Interrupted: a daemon that answers EINTR has done nothing, and the
// caller may ask again.
func TestC02_Interrupted(t *testing.T) {
	eachOperation(t, func(q *question) bool {
		<-q.ctx.Done()
		q.reply(syscall.EINTR, nil)
		return true
	}, func(s *scene, i int) {
		s.fs.conn.grace = forEver
		ctx, cancel := context.WithCancelCause(context.Background())
		done, _ := s.start(i, ctx)
		cancel(vfs.ErrInterrupted)
		if err := <-done; err != vfs.ErrInterrupted {
			s.Errorf("%v, want interrupted", err)
		}
		if sent, n := s.fs.Pending(); sent+n != 0 {
			s.Errorf("%d pending, %d abandoned", sent, n)
		}
	})
}

// TestC16_DeadDaemon: when the daemon dies what it had is in doubt, and what
// comes later fails with ENOTCONN.
func TestC16_DeadDaemon(t *testing.T) {
	eachOperation(t, func(q *question) bool { return true }, func(s *scene, i int) {
		done, _ := s.start(i, context.Background())
		unix.Shutdown(int(s.d.s.Fd()), unix.SHUT_RDWR)
		err := <-done
		if operations[i].op == opPoll && err == syscall.EIO {
			err = vfs.ErrInDoubt
		}
		if !errors.Is(err, vfs.ErrInDoubt) {
			s.Errorf("%v, want in doubt", err)
		}
		if err := operations[i].do(s, context.Background()); err != syscall.ENOTCONN && operations[i].op != opPoll {
			s.Errorf("afterwards %v, want ENOTCONN", err)
		}
	})
}

// TestMalformed: an answer that makes no sense ends the mount and nothing else.
func TestMalformed(t *testing.T) {
	long := make([]byte, 200<<10)
	for name, answer := range map[string]func(q *question){
		"TooLong":       func(q *question) { q.reply(nil, long) },
		"PositiveError": func(q *question) { _, _ = q.d.s.Write(header(16, 5, q.unique)) },
		"HugeError":     func(q *question) { _, _ = q.d.s.Write(header(16, -4000, q.unique)) },
		"ErrorWithBody": func(q *question) { _, _ = q.d.s.Write(append(header(24, -5, q.unique), 1, 2, 3, 4, 5, 6, 7, 8)) },
		"WrongLength":   func(q *question) { _, _ = q.d.s.Write(header(15, 0, q.unique)) },
		"NoHeader":      func(q *question) { _, _ = q.d.s.Write([]byte{1, 2, 3}) },
		"BadNotify":     func(q *question) { q.d.tell(99, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			eachOperation(t, func(q *question) bool { answer(q); return true }, func(s *scene, i int) {
				done, _ := s.start(i, context.Background())
				if err := <-done; err == nil {
					s.Error("succeeded")
				}
				if err := operations[i].do(s, context.Background()); err == nil {
					s.Error("the mount lives on")
				}
			})
		})
	}
	// Short and odd bodies: the mount ends, or where an empty answer is right, not.
	for _, body := range [][]byte{{}, {1}, make([]byte, 8), fill(0xff, 8), fill(0xff, 16), fill(0xff, 104), fill(0xff, 128), fill(0xff, 144), fill(0x01, 288)} {
		t.Run(fmt.Sprintf("Body%d_%d", len(body), append(body, 0)[0]), func(t *testing.T) {
			eachOperation(t, func(q *question) bool { q.reply(nil, body); return true }, func(s *scene, i int) {
				done, _ := s.start(i, context.Background())
				<-done // any result, but one
			})
		})
	}
}

func fill(b byte, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = b
	}
	return p
}

func header(size uint32, code int32, unique uint64) []byte {
	var e encoder
	return e.u32(size, uint32(code)).u64(unique).b
}

// TestC06_AnswersTwice: a second answer, and one to a number that never was,
// touch nobody.
func TestC06_AnswersTwice(t *testing.T) {
	s := newScene(t, func(q *question) bool {
		q.reply(nil, []byte("first..."))
		q.reply(nil, []byte("second.."))
		q.unique += 1 << 40
		q.reply(nil, []byte("never..."))
		return true
	})
	s.op.Store(opRead)
	for range 100 {
		s.file.(*regular).dropData(0, -1)
		p := make([]byte, 8)
		n, err := vfs.Read(context.Background(), s.open, p, 0)
		if err != nil || string(p[:n]) != "first..." {
			t.Fatalf("read %q, %v", p[:n], err)
		}
		<-s.came
	}
}

// TestC08_NotSent: what the daemon has not taken is taken back.
func TestC08_NotSent(t *testing.T) {
	fs := newFS(Options{AllowOther: true})
	fs.conn.ready.Store(true)
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() { _, err := fs.root.getattr(ctx); done <- err }()
	settled(t, "queued", fs.conn.something)
	cancel(vfs.ErrInterrupted)
	if err := <-done; err != vfs.ErrInterrupted {
		t.Errorf("%v, want interrupted", err)
	}
	if n, err := fs.conn.next(make([]byte, minReadBuffer)); err != syscall.EAGAIN {
		t.Errorf("the daemon got %d bytes, %v", n, err)
	}
}
