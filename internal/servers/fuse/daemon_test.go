package fuse

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// daemon serves a vfs.FS as a FUSE daemon, in the tests' own process: the other
// side of everything here.
type daemon struct {
	t  testing.TB
	s  *os.File
	fs vfs.FS
	// hook, when not nil, sees each request first, and answers it if it returns
	// true.
	hook func(q *question) bool
	// lie, when not nil, sends an answer in the place of the right one.
	lie   func(q *question, right []byte)
	flags uint64 // of INIT
	minor uint32
	valid uint64 // seconds that names and attributes may be kept

	mu      sync.Mutex
	nodes   map[uint64]vfs.Node
	ids     map[vfs.Node]uint64
	lookups map[uint64]uint64
	last    uint64
	files   map[uint64]*dfile
	cancels map[uint64]context.CancelCauseFunc
	ended   chan struct{}
	working sync.WaitGroup
	forgot  chan struct{} // has one when look-ups were taken away
}

// dfile is an open file, with what a directory's offsets are.
type dfile struct {
	vfs.File
	cookies map[uint64]uint64
}

// question is a request as the daemon sees it.
type question struct {
	d            *daemon
	op           uint32
	unique, node uint64
	uid, gid     uint32
	raw          []byte
	decoder
	ctx context.Context
	// ids, when not nil, are what is answered instead of the request's own.
	ids []uint64
}

const allFlags = initPosixLocks | initFlockLocks | initBigWrites | initReaddirplus | initAutoInval | initExt | initMaxPages

// mount starts a daemon for fs and mounts it.
func mount(t testing.TB, fs vfs.FS, o Options, set func(*daemon)) (*FS, *daemon) {
	t.Helper()
	f, d, err := attach(t, fs, o, set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Unmount(true)
		d.s.Close()
		<-d.ended
		d.working.Wait()
	})
	return f, d
}

// attach is mount for who ends it himself.
func attach(t testing.TB, fs vfs.FS, o Options, set func(*daemon)) (*FS, *daemon, error) {
	ours, theirs, err := Socketpair()
	if err != nil {
		return nil, nil, err
	}
	d, err := newDaemon(t, theirs, fs)
	if err != nil {
		return nil, nil, err
	}
	if set != nil {
		set(d)
	}
	o.AllowOther = true
	f, err := Attach(ours, o)
	if err != nil {
		return nil, nil, err
	}
	go d.serve()
	return f, d, nil
}

// newDaemon returns one that answers for fs, which may be nil, at its end of a
// channel.
func newDaemon(t testing.TB, s *os.File, fs vfs.FS) (*daemon, error) {
	d := &daemon{t: t, s: s, fs: fs, flags: allFlags, minor: minor, nodes: map[uint64]vfs.Node{}, ids: map[vfs.Node]uint64{},
		lookups: map[uint64]uint64{}, last: 1, files: map[uint64]*dfile{}, cancels: map[uint64]context.CancelCauseFunc{}, ended: make(chan struct{}), forgot: make(chan struct{}, 1)}
	if fs != nil {
		root, err := fs.Root(context.Background())
		if err != nil {
			return nil, err
		}
		d.nodes[rootID], d.ids[root] = root, rootID
	}
	return d, nil
}

func (d *daemon) serve() {
	defer close(d.ended)
	buf := make([]byte, 1<<20)
	for {
		n, err := d.s.Read(buf)
		if n == 0 || err != nil {
			d.mu.Lock()
			for _, cancel := range d.cancels {
				cancel(vfs.ErrCallerDied)
			}
			d.mu.Unlock()
			return
		}
		msg := append([]byte(nil), buf[:n]...)
		q := &question{d: d, raw: msg, op: le.Uint32(msg[4:]), unique: le.Uint64(msg[8:]), node: le.Uint64(msg[16:]),
			uid: le.Uint32(msg[24:]), gid: le.Uint32(msg[28:]), decoder: decoder{b: msg[inHeaderSize:]}}
		if int(le.Uint32(msg)) != n {
			d.t.Errorf("request of %d bytes says %d", n, le.Uint32(msg))
		}
		if q.op == opInterrupt {
			id := q.u64()
			d.mu.Lock()
			cancel := d.cancels[id]
			d.mu.Unlock()
			if cancel != nil {
				cancel(vfs.ErrInterrupted)
			}
			if d.hook != nil {
				d.hook(q)
			}
			continue
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		q.ctx = ctx
		d.mu.Lock()
		d.cancels[q.unique] = cancel
		d.mu.Unlock()
		d.working.Go(func() {
			q.handle()
			d.mu.Lock()
			delete(d.cancels, q.unique)
			d.mu.Unlock()
			cancel(nil)
		})
	}
}

// reply answers: a body, or an errno.
func (q *question) reply(err error, body []byte) {
	var b encoder
	code := int32(0)
	if err != nil {
		body = nil
		var e syscall.Errno
		switch {
		case vfs.Interrupted(err):
			e = syscall.EINTR
		case !errors.As(err, &e) || e == 0 || e >= 512:
			e = syscall.EIO
		}
		code = -int32(e)
	}
	b.u32(uint32(outHeaderSize+len(body)), uint32(code)).u64(q.unique)
	right := append(b.b, body...)
	if q.d.lie != nil && q.op != opInit && q.op != opDestroy {
		q.d.lie(q, right)
		return
	}
	_, _ = q.d.s.Write(right) // hati may be gone
}

// tell sends a notification.
func (d *daemon) tell(code int32, body []byte) {
	var b encoder
	b.u32(uint32(outHeaderSize+len(body)), uint32(code)).u64(0)
	_, _ = d.s.Write(append(b.b, body...))
}

func (d *daemon) nodeOf(id uint64) vfs.Node {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.nodes[id]
}

func (d *daemon) file(fh uint64) *dfile {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.files[fh]
}

// look counts a look-up of n and returns its entry.
func (d *daemon) look(ctx context.Context, e *encoder, n vfs.Node) error {
	a, err := n.Stat(ctx)
	if err != nil {
		return err
	}
	d.mu.Lock()
	id := d.ids[n]
	if id == 0 {
		d.last++
		id = d.last
		d.ids[n], d.nodes[id] = id, n
	}
	d.lookups[id]++
	d.mu.Unlock()
	e.u64(id, 0, d.valid, d.valid).u32(0, 0)
	e.attr(&a)
	return nil
}

func (e *encoder) attr(a *vfs.Attr) {
	if a.Type() == unix.S_IFCHR && a.Dev == 7007 {
		// A stream of the suite's, which only its server can open: as FUSE daemons
		// show such.
		a.Mode = unix.S_IFREG | a.Mode&0o7777
	}
	e.u64(a.Ino, uint64(a.Size), uint64(a.Blocks), uint64(a.Atime.Sec), uint64(a.Mtime.Sec), uint64(a.Ctime.Sec))
	e.u32(uint32(a.Atime.Nsec), uint32(a.Mtime.Nsec), uint32(a.Ctime.Nsec), a.Mode, a.Nlink, a.UID, a.GID, rdevOut(a.Rdev), a.Blksize, 0)
}

// forget takes look-ups away.
func (d *daemon) forget(id, n uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lookups[id] < n {
		d.t.Errorf("node %d: %d look-ups, %d forgotten", id, d.lookups[id], n)
	}
	if d.lookups[id] -= n; d.lookups[id] == 0 {
		delete(d.ids, d.nodes[id])
		delete(d.nodes, id)
		delete(d.lookups, id)
	}
	select {
	case d.forgot <- struct{}{}:
	default:
	}
}

// open keeps an open file and returns struct fuse_open_out.
func (d *daemon) opened(e *encoder, f vfs.File, flags uint32) {
	d.mu.Lock()
	d.last++
	fh := d.last
	d.files[fh] = &dfile{File: f, cookies: map[uint64]uint64{}}
	d.mu.Unlock()
	if vfs.IsStream(f) {
		flags |= openStream | openDirectIO
	}
	e.u64(fh).u32(flags, 0)
}
