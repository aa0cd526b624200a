package faulttest

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Store is a server of registers: every name in it is a file of eight bytes with
// one lock. It is slow or deaf as its Faults say.
type Store struct {
	Faults Faults

	mu   sync.Mutex
	all  map[string]*register
	open atomic.Int64
}

// Faults are probabilities, in percent, of what goes wrong with a request.
type Faults struct {
	Slow atomic.Int32 // takes its time, before and after its effect
	Deaf atomic.Int32 // does not hear its cancel while it takes its time
	Lie  atomic.Int32 // the answer is nonsense: it is for the site to give
}

// Percent is true with a probability.
func Percent(p *atomic.Int32) bool { return rand.Int32N(100) < p.Load() }

// Delay passes time; it is false when the ctx ended and was heard.
func (f *Faults) Delay(ctx context.Context) bool {
	if !Percent(&f.Slow) {
		return true
	}
	deaf := Percent(&f.Deaf)
	for range rand.IntN(2000) {
		if !deaf && ctx.Err() != nil {
			return false
		}
		runtime.Gosched()
	}
	return true
}

// NewStore returns an empty store.
func NewStore() *Store { return &Store{all: map[string]*register{}} }

// Census checks that no file is open and no lock held, and forgets all registers.
func (s *Store) Census(t testing.TB) {
	if n := s.open.Load(); n != 0 {
		t.Errorf("%d files left open", n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, g := range s.all {
		g.mu.Lock()
		if g.holder != (holder{}) {
			t.Errorf("the lock of %s is left", name)
		}
		g.mu.Unlock()
	}
	clear(s.all)
}

// View is the store as one connection sees it. When the connection ends, Close
// gives back what it has locked.
type View struct {
	*Store
	id uint64

	mu    sync.Mutex
	holds map[*register]struct{}
	ended bool
}

var lastView atomic.Uint64

// View returns a new view.
func (s *Store) View() *View {
	return &View{Store: s, id: lastView.Add(1), holds: map[*register]struct{}{}}
}

// Adopt has the view speak for locks by a number of the caller's: views of the same
// number have the same locks.
func (v *View) Adopt(id uint64) { v.id = 1<<63 | id }

// Close gives the locks back. Nobody gets one through the view afterwards.
func (v *View) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended = true
	for g := range v.holds {
		g.mu.Lock()
		if g.holder.view == v.id {
			g.holder = holder{}
		}
		g.mu.Unlock()
	}
	clear(v.holds)
}

// Root implements vfs.FS.
func (v *View) Root(context.Context) (vfs.Node, error) { return v, nil }

// Stat implements vfs.Node.
func (v *View) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Ino: 1, Mode: unix.S_IFDIR | 0o777, Nlink: 1}, nil
}

// Lookup implements vfs.Dir. It makes what is not there.
func (v *View) Lookup(_ context.Context, name string) (vfs.Node, error) {
	s := v.Store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[name] == nil {
		s.all[name] = &register{store: s, ino: lastView.Add(1)}
	}
	return seen{s.all[name], v}, nil
}

type register struct {
	store  *Store
	ino    uint64
	mu     sync.Mutex
	value  [8]byte
	holder holder
}

// holder is who has a lock.
type holder struct{ view, owner uint64 }

// seen is a register through a view.
type seen struct {
	*register
	v *View
}

func (g seen) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Ino: g.ino, Mode: unix.S_IFREG | 0o666, Size: 8, Nlink: 1}, nil
}

func (g seen) Open(context.Context, int) (vfs.File, error) {
	g.store.open.Add(1)
	return &registerFile{g: g}, nil
}

func (g seen) GetLock(context.Context, vfs.Lock) (vfs.Lock, error) {
	return vfs.Lock{Type: unix.F_UNLCK}, nil
}

// SetLock never waits.
func (g seen) SetLock(ctx context.Context, l vfs.Lock, _ bool) error {
	if !g.store.Faults.Delay(ctx) {
		return context.Cause(ctx)
	}
	g.v.mu.Lock()
	defer g.v.mu.Unlock()
	if g.v.ended {
		return syscall.ENOTCONN
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	me := holder{g.v.id, l.Owner}
	switch {
	case l.Type == unix.F_UNLCK && g.holder == me:
		g.holder = holder{}
		delete(g.v.holds, g.register)
	case l.Type == unix.F_UNLCK:
	case g.holder != (holder{}) && g.holder != me:
		return syscall.EAGAIN
	default:
		g.holder = me
		g.v.holds[g.register] = struct{}{}
	}
	return nil
}

type registerFile struct {
	g    seen
	once sync.Once
}

func (f *registerFile) Node() vfs.Node { return f.g }

func (f *registerFile) Close() error {
	f.once.Do(func() { f.g.store.open.Add(-1) })
	return nil
}

func (f *registerFile) Read(ctx context.Context, p []byte, _ int64) (int, error) {
	if !f.g.store.Faults.Delay(ctx) {
		return 0, context.Cause(ctx)
	}
	f.g.mu.Lock()
	n := copy(p, f.g.value[:])
	f.g.mu.Unlock()
	f.g.store.Faults.Delay(context.Background())
	return n, nil
}

func (f *registerFile) Write(ctx context.Context, p []byte, _ int64) (int, error) {
	if !f.g.store.Faults.Delay(ctx) {
		return 0, context.Cause(ctx)
	}
	f.g.mu.Lock()
	n := copy(f.g.value[:], p)
	f.g.mu.Unlock()
	f.g.store.Faults.Delay(context.Background())
	return n, nil
}
