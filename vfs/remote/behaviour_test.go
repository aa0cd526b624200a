package remote_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"github.com/hati-os/hati/vfs/vfstest"
	"golang.org/x/sys/unix"
)

// eventually waits for what comes by itself, some goroutines later.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("never came true: ", what)
		}
	}
}

// bothLanes runs f over a lane in the process and over a ring.
func bothLanes(t *testing.T, f func(t *testing.T, shared bool)) {
	t.Run("lane", func(t *testing.T) { f(t, false) })
	t.Run("ring", func(t *testing.T) { f(t, true) })
}

// Nodes that nobody holds are forgotten on both sides; those that are held stay
// the same.
func TestNodesAreForgotten(t *testing.T) {
	bothLanes(t, func(t *testing.T, shared bool) {
		a, b := pair(t, shared)
		census, ended := remote.ServeCounted(b, tmp.New(tmp.Options{}))
		client := newClient(t, a)
		root, _ := client.FS().Root(ctx)
		held, err := vfs.Make(ctx, root, "held", vfs.MakeOptions{Mode: unix.S_IFREG | 0o600})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 500 {
			if _, err := vfs.Make(ctx, root, fmt.Sprint(i), vfs.MakeOptions{Mode: unix.S_IFREG | 0o600}); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "all but the root and one are forgotten", func() bool {
			runtime.GC()
			if n, err := vfs.Lookup(ctx, root, "held"); err != nil || n != held {
				t.Fatalf("the node that is held became %v, %v", n, err)
			}
			return client.Nodes() == 2 && census().Nodes == 2
		})
		// Found again while they are being forgotten, they work.
		for range 20 {
			for i := range 100 {
				n, err := vfs.Lookup(ctx, root, fmt.Sprint(i))
				if err == nil {
					_, err = n.Stat(ctx)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			runtime.GC()
		}
		runtime.KeepAlive(held)
		client.Close()
		<-ended
		if c := census(); c != (remote.Census{}) {
			t.Errorf("left behind: %+v", c)
		}
	})
}

// A client that dies gives back what it had: its waiting requests end, its files
// are closed, its locks released.
func TestDeadClient(t *testing.T) {
	bothLanes(t, func(t *testing.T, shared bool) {
		puppet := vfstest.NewPuppet()
		var clients [2]*remote.Client
		var locks [2]vfs.Locker
		for i := range clients {
			a, b := pair(t, shared)
			serveFS(t, b, puppet)
			clients[i] = newClient(t, a)
			root, _ := clients[i].FS().Root(ctx)
			n, err := vfs.Lookup(ctx, root, "file")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := vfs.Open(ctx, n, unix.O_RDWR); err != nil {
				t.Fatal(err)
			}
			locks[i] = n.(vfs.Locker)
		}
		// The same number of an owner is another owner of another client.
		lock := vfs.Lock{Type: unix.F_WRLCK, Owner: 1, End: math.MaxInt64}
		if err := locks[0].SetLock(ctx, lock, false); err != nil {
			t.Fatal(err)
		}
		if err := locks[1].SetLock(ctx, lock, false); !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("the other client's lock: %v", err)
		}
		got := make(chan error, 1)
		go func() { got <- locks[1].SetLock(ctx, lock, true) }()
		stop := puppet.Heed("stat")
		root, _ := clients[0].FS().Root(ctx)
		ended := make(chan error, 1)
		go func() {
			_, err := root.Stat(ctx)
			ended <- err
		}()
		seen := <-stop.Entered
		clients[0].Close()
		if err := <-ended; !errors.Is(err, vfs.ErrInDoubt) {
			t.Errorf("a request of the closed client: %v", err)
		}
		<-seen.Done()
		if cause := context.Cause(seen); cause != vfs.ErrCallerDied {
			t.Errorf("its server saw %v", cause)
		}
		if err := <-got; err != nil {
			t.Errorf("the lock that was waited for: %v", err)
		}
		eventually(t, "one file and one lock", func() bool {
			open, maps, locks := puppet.Held()
			return open == 1 && maps == 0 && locks == 1
		})
		clients[1].Close()
		eventually(t, "nothing is held", func() bool {
			open, maps, locks := puppet.Held()
			return open+maps+locks == 0
		})
	})
}

// mailbox is a file that is ready when something was put in.
type mailbox struct {
	vfs.Queue
	mu  sync.Mutex
	got []byte
}

func (m *mailbox) Root(context.Context) (vfs.Node, error) { return m, nil }
func (m *mailbox) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Mode: unix.S_IFCHR | 0o666, Ino: 1}, nil
}
func (m *mailbox) Open(context.Context, int) (vfs.File, error) { return m, nil }
func (m *mailbox) Node() vfs.Node                              { return m }
func (m *mailbox) Close() error                                { return nil }
func (m *mailbox) IsStream() bool                              { return true }

func (m *mailbox) Poll(mask vfs.Events) vfs.Events {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.got) > 0 {
		return mask & (vfs.EventsIn | vfs.EventsOut)
	}
	return mask & vfs.EventsOut
}

func (m *mailbox) Read(_ context.Context, p []byte, _ int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.got) == 0 {
		return 0, syscall.EAGAIN
	}
	n := copy(p, m.got)
	m.got = m.got[n:]
	return n, nil
}

func (m *mailbox) Write(_ context.Context, p []byte, _ int64) (int, error) {
	m.mu.Lock()
	m.got = append(m.got, p...)
	m.mu.Unlock()
	m.Notify(vfs.EventsIn)
	return len(p), nil
}

// Ioctl 1 doubles the byte at its argument; 2 tells its value.
func (m *mailbox) Ioctl(_ context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	switch cmd {
	case 1:
		var b [1]byte
		if err := arg.ReadAt(b[:], 3); err != nil {
			return 0, err
		}
		b[0] *= 2
		return 7, arg.WriteAt(b[:], 4)
	case 2:
		return uintptr(arg.Value()), nil
	}
	return 0, syscall.ENOTTY
}

// No event is lost between a client that waits and a server that is written to,
// and waiting costs no requests while nothing happens.
func TestReadiness(t *testing.T) {
	bothLanes(t, func(t *testing.T, shared bool) {
		box := &mailbox{}
		a, b := pair(t, shared)
		serveFS(t, b, box)
		client := newClient(t, a)
		n, _ := client.FS().Root(ctx)
		f, err := vfs.Open(ctx, n, unix.O_RDWR)
		if err != nil {
			t.Fatal(err)
		}
		p := f.(vfs.Pollable)
		if got := p.Poll(vfs.EventsIn | vfs.EventsOut); got != vfs.EventsOut {
			t.Errorf("an empty mailbox is ready for %#x", got)
		}
		wake := make(chan struct{}, 1)
		w := &vfs.Waiter{Mask: vfs.EventsIn, Wake: func(*vfs.Waiter, vfs.Events) {
			select {
			case wake <- struct{}{}:
			default:
			}
		}}
		const total = 3000
		go func() {
			for i := range total {
				box.Write(ctx, []byte{byte(i)}, 0)
				spin(i % 300)
			}
		}()
		buf := make([]byte, 16)
		for next := 0; next < total; {
			n, err := vfs.Read(ctx, f, buf, 0)
			if err == syscall.EAGAIN {
				p.Watch(w)
				for p.Poll(vfs.EventsIn) == 0 {
					<-wake
				}
				p.Unwatch(w)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range buf[:n] {
				if c != byte(next) {
					t.Fatalf("byte %d is %d", next, c)
				}
				next++
			}
		}
		// When the server goes, those who wait are told.
		p.Watch(w)
		client.Close()
		for p.Poll(vfs.EventsIn)&vfs.EventHup == 0 {
			<-wake
		}
		p.Unwatch(w)
		if _, err := vfs.Read(ctx, f, buf, 0); !errors.Is(err, remote.ErrGone) {
			t.Errorf("read: %v", err)
		}
	})
}

var spinning atomic.Int64

func spin(n int) {
	for range n {
		spinning.Add(1)
	}
}

// memory is an ioctl's argument.
type memory []byte

func (m memory) Value() uint64 { return 0x1234 }
func (m memory) ReadAt(p []byte, off int) error {
	if off < 0 || off+len(p) > len(m) {
		return syscall.EFAULT
	}
	copy(p, m[off:])
	return nil
}
func (m memory) WriteAt(p []byte, off int) error {
	if off < 0 || off+len(p) > len(m) {
		return syscall.EFAULT
	}
	copy(m[off:], p)
	return nil
}

func TestIoctl(t *testing.T) {
	bothLanes(t, func(t *testing.T, shared bool) {
		a, b := pair(t, shared)
		serveFS(t, b, &mailbox{})
		n, _ := newClient(t, a).FS().Root(ctx)
		f, err := vfs.Open(ctx, n, unix.O_RDWR)
		if err != nil {
			t.Fatal(err)
		}
		i := f.(vfs.Ioctler)
		m := memory{0, 0, 0, 21, 0}
		if v, err := i.Ioctl(ctx, 1, m); v != 7 || err != nil || m[4] != 42 {
			t.Errorf("%d, %v, %v", v, err, m)
		}
		if _, err := i.Ioctl(ctx, 1, memory{1, 2}); err != syscall.EFAULT {
			t.Errorf("an argument that is too short: %v", err)
		}
		if v, err := i.Ioctl(ctx, 2, m); v != 0x1234 || err != nil {
			t.Errorf("value %#x, %v", v, err)
		}
		if _, err := i.Ioctl(ctx, 3, m); err != syscall.ENOTTY {
			t.Errorf("an unknown one: %v", err)
		}
	})
}

// stop stops the process and waits until it stands still.
func (p *serverProcess) stop(t *testing.T) {
	t.Helper()
	p.cmd.Process.Signal(syscall.SIGSTOP)
	for {
		_, err := unix.Wait4(p.cmd.Process.Pid, nil, unix.WUNTRACED, nil)
		if err == nil {
			return
		}
		if err != unix.EINTR {
			t.Fatal(err)
		}
	}
}

// When a server's process dies, what it had started is in doubt, and the rest,
// then and later, never came to it (C16).
func TestC16_DeadServer(t *testing.T) {
	p := process(t, "tmp")
	c, err := remote.Dial(ctx, p.path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	root, _ := c.FS().Root(ctx)
	_, f, err := root.(vfs.MakeOpener).MakeOpen(ctx, "f", vfs.MakeOptions{Mode: unix.S_IFREG | 0o600}, unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	m, err := f.(vfs.Mapper).Map(ctx, unix.PROT_READ|unix.PROT_WRITE, true)
	if err != nil {
		t.Fatal(err)
	}
	p.stop(t)
	const n = 50
	errs := make(chan error, n)
	for i := range n {
		go func() {
			_, err := vfs.Write(ctx, f, []byte("x"), int64(i))
			errs <- err
		}()
	}
	eventually(t, "all are under way", func() bool { return len(c.Pending()) >= n })
	p.cmd.Process.Kill()
	for range n {
		if err := <-errs; !errors.Is(err, vfs.ErrInDoubt) && !errors.Is(err, remote.ErrGone) {
			t.Errorf("a write under way: %v", err)
		}
	}
	<-c.Done()
	if _, err := root.Stat(ctx); !errors.Is(err, syscall.ENOTCONN) {
		t.Errorf("stat: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	// What was handed over stays.
	if _, err := unix.Pwrite(m.FD, []byte("mine"), 0); err != nil {
		t.Errorf("the object that it handed over: %v", err)
	}
	m.Release()
}

// A server that stands still keeps nobody: an interrupt waits for its grace, a
// kill not at all, and neither does a close (C12, C13, C18).
func TestC13_StoppedServer(t *testing.T) {
	p := process(t, "tmp")
	dial := func(grace time.Duration) (root vfs.Node, c *remote.Client) {
		c, err := dialWith(p.path, grace)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		root, _ = c.FS().Root(ctx)
		return root, c
	}
	open := func(root vfs.Node, name string) vfs.File {
		_, f, err := root.(vfs.MakeOpener).MakeOpen(ctx, name, vfs.MakeOptions{Mode: unix.S_IFREG | 0o600}, unix.O_RDWR)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	root, patient := dial(time.Hour) // who waits for the grace here waits for ever
	f := open(root, "f")
	root2, quick := dial(100 * time.Millisecond)
	f2 := open(root2, "f")
	var others []vfs.File
	for i := range 5 {
		others = append(others, open(root, fmt.Sprint(i)))
	}
	p.stop(t)
	defer p.cmd.Process.Signal(syscall.SIGCONT)
	for _, by := range []struct {
		c     *remote.Client
		f     vfs.File
		cause error
	}{{patient, f, vfs.ErrKilled}, {quick, f2, vfs.ErrInterrupted}} {
		ctx, cancel := context.WithCancelCause(context.Background())
		done := make(chan error, 1)
		go func() {
			_, err := vfs.Write(ctx, by.f, []byte("x"), 0)
			done <- err
		}()
		eventually(t, "the write is under way", func() bool { return len(by.c.Pending()) > 0 })
		cancel(by.cause)
		if err := <-done; err != by.cause && !errors.Is(err, vfs.ErrInDoubt) {
			t.Errorf("%v: %v", by.cause, err)
		}
	}
	f2.Close()
	// One close may be late because the machine is busy, but not each of several.
	least := time.Hour
	for _, f := range append(others, f) {
		begin := time.Now()
		f.Close()
		least = min(least, time.Since(begin))
	}
	if least > 500*time.Millisecond {
		t.Errorf("close took %v", least)
	}
	cctx, cancel := context.WithCancelCause(context.Background())
	cancel(vfs.ErrKilled)
	if _, err := vfs.Open(cctx, root, unix.O_RDONLY); err != vfs.ErrKilled {
		t.Errorf("an open after it: %v", err)
	}
}

// whoever is a directory that decides by the caller.
type whoever struct{}

func (whoever) Root(context.Context) (vfs.Node, error) { return whoever{}, nil }
func (whoever) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Ino: 1, Mode: unix.S_IFDIR | 0o700, OwnAccess: true}, nil
}
func (whoever) Lookup(context.Context, string) (vfs.Node, error) { return nil, syscall.ENOENT }
func (whoever) Access(ctx context.Context, mask uint32) error {
	if c, ok := vfs.CallerOf(ctx); !ok || c != (vfs.Caller{UID: 1000, GID: 1001, PID: 7}) || mask != 4 {
		return syscall.EACCES
	}
	return nil
}

type calling struct{ context.Context }

func (c calling) Value(key any) any {
	if _, ok := key.(vfs.CallerKey); ok {
		return c
	}
	return c.Context.Value(key)
}
func (calling) Caller() vfs.Caller { return vfs.Caller{UID: 1000, GID: 1001, PID: 7} }

// Who asks goes along with the request.
func TestCaller(t *testing.T) {
	bothLanes(t, func(t *testing.T, shared bool) {
		a, b := pair(t, shared)
		serveFS(t, b, whoever{})
		n, _ := newClient(t, a).FS().Root(ctx)
		if attr, err := n.Stat(ctx); !attr.OwnAccess || err != nil {
			t.Errorf("%+v, %v", attr, err)
		}
		k := n.(vfs.Accesser)
		if err := k.Access(calling{ctx}, 4); err != nil {
			t.Error(err)
		}
		if err := k.Access(ctx, 4); err != syscall.EACCES {
			t.Errorf("nobody in particular: %v", err)
		}
	})
}

// A client that is closed leaves no memory behind.
func TestClosedClientsAreFreed(t *testing.T) {
	fs := tmp.New(tmp.Options{})
	one := func() {
		a, b := pair(t, true)
		_, done := remote.ServeCounted(b, fs)
		c, err := remote.New(ctx, a)
		if err != nil {
			t.Fatal(err)
		}
		root, _ := c.FS().Root(ctx)
		if _, err := root.Stat(ctx); err != nil {
			t.Fatal(err)
		}
		c.Close()
		<-done
	}
	one()
	const n = 100
	before := faulttest.Now()
	for range n {
		one()
	}
	eventually(t, "the memory of closed clients is free", func() bool { return faulttest.Now().Heap < before.Heap+n*20<<10 })
}
