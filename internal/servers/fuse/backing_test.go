package fuse

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// passer is a daemon on an open /dev/fuse that lets its only file through: a
// file of back's, as the ids say.
type passer struct {
	*testing.T
	ctx  context.Context // has its descriptors
	c    *Channel
	fs   *FS
	back vfs.FS

	mu       sync.Mutex
	fds      map[int]vfs.File
	closed   map[int]int
	answer   openOut // to OPEN
	released int
	asked    map[uint32]int
}

func (p *passer) Caller() vfs.Caller { return vfs.Caller{} }

// FileOf gives a descriptor of the daemon's.
func (p *passer) FileOf(fd int) (vfs.File, func(), error) {
	f := p.fds[fd]
	if f == nil {
		return nil, nil, syscall.EBADF
	}
	return f, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.closed[fd]++
	}, nil
}

type callerContext struct {
	context.Context
	p *passer
}

func (c callerContext) Value(key any) any {
	if key == (vfs.CallerKey{}) {
		return c.p
	}
	return c.Context.Value(key)
}

func newPasser(t *testing.T, flags uint64, stack uint32) *passer {
	t.Helper()
	p := &passer{T: t, fds: map[int]vfs.File{}, closed: map[int]int{}, asked: map[uint32]int{}, back: tmp.New(tmp.Options{})}
	p.ctx = callerContext{context.Background(), p}
	f, err := OpenDevice(p.ctx, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	p.c = f.(*Channel)
	if p.fs, err = p.c.Mount(Options{AllowOther: true}); err != nil {
		t.Fatal(err)
	}
	for i, flags := range []int{unix.O_RDONLY, unix.O_RDWR} {
		root, _ := p.back.Root(p.ctx)
		if i == 0 {
			if _, err := vfs.Make(p.ctx, root, "file", vfs.MakeOptions{Mode: unix.S_IFREG | 0o644}); err != nil {
				t.Fatal(err)
			}
		}
		n, err := vfs.Lookup(p.ctx, root, "file")
		if err != nil {
			t.Fatal(err)
		}
		if p.fds[3+i], err = vfs.Open(p.ctx, n, flags); err != nil {
			t.Fatal(err)
		}
	}
	w := &vfs.Waiter{Mask: vfs.EventsIn}
	more := make(chan struct{}, 1)
	w.Wake = func(*vfs.Waiter, vfs.Events) {
		select {
		case more <- struct{}{}:
		default:
		}
	}
	p.c.Watch(w)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 1<<20)
		for {
			n, err := p.c.Read(p.ctx, buf, 0)
			switch err {
			case nil:
				p.serve(buf[:n], flags, stack)
			case syscall.EAGAIN:
				<-more
			default:
				return
			}
		}
	}()
	t.Cleanup(func() {
		p.c.Close()
		<-ended
	})
	return p
}

func (p *passer) serve(msg []byte, flags uint64, stack uint32) {
	op, unique := le.Uint32(msg[4:]), le.Uint64(msg[8:])
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[op]++
	var e encoder
	attr := vfs.Attr{Ino: 2, Mode: unix.S_IFREG | 0o644, Nlink: 1}
	code := uint32(0)
	switch op {
	case opInit:
		e.u32(major, minor, 0, uint32(flags), 0, 1<<20, 1, 64, uint32(flags>>32), stack)
		e.b = append(e.b, make([]byte, 64-len(e.b))...)
	case opLookup:
		e.u64(2, 0, 0, 0).u32(0, 0)
		e.attr(&attr)
	case opGetattr:
		e.u64(0).u32(0, 0)
		e.attr(&attr)
	case opOpen:
		e.u64(p.answer.fh).u32(p.answer.flags, uint32(p.answer.backing))
	case opForget, opBatchForget, opInterrupt:
		return
	case opRelease:
		p.released++
	case opFlush:
	default:
		code = ^uint32(syscall.ENOSYS) + 1
	}
	var h encoder
	h.u32(uint32(outHeaderSize+len(e.b)), code).u64(unique)
	// The last answers, to RELEASE, may come when the test has unmounted.
	if _, err := p.c.Write(p.ctx, append(h.b, e.b...), 0); err != nil && !p.fs.conn.lost.Load() {
		p.Errorf("answering %d: %v", op, err)
	}
}

func (p *passer) register(fd int) (int32, error) {
	var e encoder
	id, err := p.c.Ioctl(p.ctx, iocBackingOpen, memory{b: e.u32(uint32(fd), 0).u64(0).b})
	return int32(id), err
}

func (p *passer) unregister(id int32) error {
	var e encoder
	_, err := p.c.Ioctl(p.ctx, iocBackingClose, memory{b: e.u32(uint32(id)).b})
	return err
}

func (p *passer) open(out openOut, flags int) (vfs.File, error) {
	p.Helper()
	root, err := p.fs.Root(p.ctx)
	if err != nil {
		p.Fatal(err)
	}
	n, err := vfs.Lookup(p.ctx, root, "file")
	if err != nil {
		p.Fatal(err)
	}
	p.mu.Lock()
	p.answer = out
	p.mu.Unlock()
	return vfs.Open(p.ctx, n, flags)
}

func (p *passer) ids() int {
	s := p.c.to.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.backing)
}

const passFlags = allFlags | initPassthrough

// TestBackingCensus: descriptors that a daemon has registered are in use until
// it says otherwise and the last file that needs them is closed.
func TestBackingCensus(t *testing.T) {
	p := newPasser(t, passFlags, 1)
	if err := p.fs.Started(p.ctx); err != nil {
		t.Fatal(err)
	}
	id, err := p.register(3)
	if err != nil || id <= 0 {
		t.Fatal(id, err)
	}
	f, err := p.open(openOut{7, openPassthrough, id}, unix.O_RDWR) // more than the daemon's descriptor may
	if err != nil {
		t.Fatal(err)
	}
	if err := p.unregister(id); err != nil {
		t.Fatal(err)
	}
	if err := p.unregister(id); err != syscall.ENOENT {
		t.Errorf("a second time: %v", err)
	}
	if _, err := vfs.Write(p.ctx, f, []byte("through"), 0); err != nil {
		t.Error(err)
	}
	b := make([]byte, 9)
	if n, err := vfs.Read(p.ctx, p.fds[4], b, 0); err != nil || string(b[:n]) != "through" {
		t.Errorf("behind it is %q, %v", b[:n], err)
	}
	if n, err := vfs.Read(p.ctx, f, b, 0); err != nil || string(b[:n]) != "through" {
		t.Errorf("it has %q, %v", b[:n], err)
	}
	if p.closed[3] != 0 {
		t.Error("closed while it is in use")
	}
	f.Close()
	settled(t, "closed", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.closed[3] == 1 && p.released == 1
	})
	if p.asked[opRead]+p.asked[opWrite] != 0 {
		t.Errorf("the daemon was asked: %v", p.asked)
	}
	for range 1000 {
		if id, err = p.register(4); err != nil {
			t.Fatal(err)
		}
	}
	f, err = p.open(openOut{7, openPassthrough, id}, unix.O_RDONLY)
	if err != nil || p.ids() != 1000 {
		t.Errorf("%v, %d ids", err, p.ids())
	}
	p.c.Close() // the daemon is gone
	f.Close()
	if p.closed[4] != 1000 {
		t.Errorf("%d of 1000 closed", p.closed[4])
	}
}

// TestBackingRefused: what Linux refuses.
func TestBackingRefused(t *testing.T) {
	p := newPasser(t, passFlags, 1)
	if err := p.fs.Started(p.ctx); err != nil {
		t.Fatal(err)
	}
	root, _ := p.back.Root(p.ctx)
	p.fds[5], _ = vfs.Open(p.ctx, root, unix.O_RDONLY)
	p.fds[6] = p.c
	fs, _ := mount(t, tmp.New(tmp.Options{}), Options{}, nil)
	other, _ := fs.Root(p.ctx)
	_, p.fds[7], _ = other.(vfs.MakeOpener).MakeOpen(p.ctx, "file", vfs.MakeOptions{Mode: unix.S_IFREG | 0o644}, unix.O_RDWR)
	for fd, want := range map[int]error{99: syscall.EBADF, 5: syscall.EOPNOTSUPP, 7: syscall.ELOOP} {
		if _, err := p.register(fd); !errors.Is(err, want) {
			t.Errorf("descriptor %d: %v, want %v", fd, err, want)
		}
	}
	p.fds[7].Close()
	one, _ := p.register(3)
	two, _ := p.register(3)
	f, err := p.open(openOut{1, openPassthrough, one}, unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]openOut{
		"no such id":           {2, openPassthrough, 99},
		"another one":          {2, openPassthrough, two},
		"not let through":      {2, 0, 0},
		"a flag that may not":  {2, openPassthrough | openKeepCache, one},
		"direct, but for that": {2, openDirectIO, 0},
	} {
		if f, err := p.open(out, unix.O_RDONLY); err != syscall.EIO {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	f.Close()
	f, err = p.open(openOut{1, 0, 0}, unix.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.open(openOut{2, openPassthrough, one}, unix.O_RDONLY); err != syscall.EIO {
		t.Errorf("let through beside one that is kept: %v", err)
	}
	f.Close()
	for range 2 { // its RELEASE has come: nothing is left of the refused ones
		_ = p.unregister(one)
	}
	_ = p.unregister(two)
	if p.ids() != 0 || p.closed[3] != 2 {
		t.Errorf("%d ids, %d closed", p.ids(), p.closed[3])
	}
	for _, stack := range []uint32{0, 3} {
		p := newPasser(t, passFlags, stack)
		if err := p.fs.Started(p.ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := p.register(3); err != syscall.EPERM {
			t.Errorf("stack of %d: %v", stack, err)
		}
	}
}
