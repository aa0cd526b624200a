package remote_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
	"golang.org/x/sys/unix"
)

// registers is a server for the fault harness: every name in it is a file of
// eight bytes with one lock. It is slow, deaf or a liar as its faults say.
type registers struct {
	mu     sync.Mutex
	all    map[string]*register
	faults faults
	open   atomic.Int64
}

// faults are probabilities, in percent, of what goes wrong with a request.
type faults struct {
	slow atomic.Int32 // takes its time, before and after its effect
	deaf atomic.Int32 // does not hear its cancel while it takes its time
	lie  atomic.Int32 // the answer is nonsense
}

func percent(p *atomic.Int32) bool { return rand.Int32N(100) < p.Load() }

// delay passes time; it is false when the ctx ended and was heard.
func (f *faults) delay(ctx context.Context) bool {
	if !percent(&f.slow) {
		return true
	}
	deaf := percent(&f.deaf)
	for range rand.IntN(2000) {
		if !deaf && ctx.Err() != nil {
			return false
		}
		runtime.Gosched()
	}
	return true
}

func newRegisters() *registers { return &registers{all: map[string]*register{}} }

func (r *registers) Root(context.Context) (vfs.Node, error) { return r, nil }
func (r *registers) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Ino: 1, Mode: unix.S_IFDIR | 0o777}, nil
}

// Lookup makes what is not there.
func (r *registers) Lookup(_ context.Context, name string) (vfs.Node, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all[name] == nil {
		r.all[name] = &register{of: r}
	}
	return r.all[name], nil
}

func (r *registers) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.all)
}

// locks counts those that are held.
func (r *registers) locks() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.all {
		g.mu.Lock()
		if g.holder != 0 {
			n++
		}
		g.mu.Unlock()
	}
	return n
}

type register struct {
	of     *registers
	mu     sync.Mutex
	value  [8]byte
	holder uint64
}

func (g *register) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Ino: 2, Mode: unix.S_IFREG | 0o666, Size: 8}, nil
}

func (g *register) Open(context.Context, int) (vfs.File, error) {
	g.of.open.Add(1)
	return &registerFile{g}, nil
}

func (g *register) GetLock(context.Context, vfs.Lock) (vfs.Lock, error) {
	return vfs.Lock{Type: unix.F_UNLCK}, nil
}

// SetLock never waits.
func (g *register) SetLock(ctx context.Context, l vfs.Lock, _ bool) error {
	if !g.of.faults.delay(ctx) {
		return context.Cause(ctx)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case l.Type == unix.F_UNLCK && g.holder == l.Owner:
		g.holder = 0
	case l.Type == unix.F_UNLCK:
	case g.holder != 0 && g.holder != l.Owner:
		return syscall.EAGAIN
	default:
		g.holder = l.Owner
	}
	return nil
}

type registerFile struct{ g *register }

func (f *registerFile) Node() vfs.Node { return f.g }
func (f *registerFile) Close() error {
	f.g.of.open.Add(-1)
	return nil
}

func (f *registerFile) Read(ctx context.Context, p []byte, _ int64) (int, error) {
	if !f.g.of.faults.delay(ctx) {
		return 0, context.Cause(ctx)
	}
	f.g.mu.Lock()
	n := copy(p, f.g.value[:])
	f.g.mu.Unlock()
	f.g.of.faults.delay(context.Background())
	return n, nil
}

func (f *registerFile) Write(ctx context.Context, p []byte, _ int64) (int, error) {
	if !f.g.of.faults.delay(ctx) {
		return 0, context.Cause(ctx)
	}
	f.g.mu.Lock()
	n := copy(f.g.value[:], p)
	f.g.mu.Unlock()
	f.g.of.faults.delay(context.Background())
	return n, nil
}

// lying makes an honest handler's answers nonsense now and then: another length,
// another identity, more bytes than there are, too much or nothing.
func (r *registers) lying(honest lane.Handler) lane.Handler {
	return func(ctx context.Context, q *lane.Request) error {
		err := honest(ctx, q)
		if err != nil || q.IsNote || q.Op == wire.OpRoot || !percent(&r.faults.lie) {
			return err
		}
		switch rand.IntN(5) {
		case 0:
			q.Reply.Data = q.Reply.Data[:len(q.Reply.Data)/2]
		case 1:
			q.Reply.Data = append(q.Reply.Data, 1, 2, 3)
		case 2:
			for i := range q.Reply.Data {
				q.Reply.Data[i] = byte(rand.Uint32())
			}
		case 3:
			q.Reply.Bulk = make([]byte, q.MaxBulk()+10)
		case 4:
			q.Reply.Data = nil
		}
		return nil
	}
}
