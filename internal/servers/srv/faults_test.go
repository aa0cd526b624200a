package srv_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/internal/servers/srv"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// TestFaults runs the fault harness over conversations: each file that it opens is
// one, in which requests and answers about a register are exchanged.
func TestFaults(t *testing.T) {
	sites := map[string]func(t *testing.T) faulttest.Site{
		"srv/process stopped": func(t *testing.T) faulttest.Site { return newProcessSite(t, false) },
		"srv/process killed":  func(t *testing.T) faulttest.Site { return newProcessSite(t, true) },
	}
	for name, set := range map[string]func(*talkSite){
		"none": func(s *talkSite) {}, "slow": func(s *talkSite) { s.store.Faults.Slow.Store(50) },
		"dying":        func(s *talkSite) { s.trouble = (*talkSite).die },
		"recovering":   func(s *talkSite) { s.recovers, s.trouble = true, (*talkSite).die },
		"twice":        func(s *talkSite) { s.lie = twice },
		"wrong ids":    func(s *talkSite) { s.lie = wrongIDs },
		"past the end": func(s *talkSite) { s.lie = pastTheEnd },
	} {
		sites["srv/"+name] = func(t *testing.T) faulttest.Site {
			s := &talkSite{clients: clients{TB: t, services: names.New()}, store: faulttest.NewStore(), sessions: map[uint64]*session{}}
			set(s)
			s.register()
			return s
		}
	}
	faulttest.Run(t, sites)
}

// clients are a site's side of the clients.
type clients struct {
	testing.TB
	services *names.Registry
}

const service = "registers"

var (
	errNotSent = errors.New("the message was not sent")
)

// Judge implements faulttest.Site. ENOENT: there is no instance at the moment.
func (clients) Judge(err error) faulttest.Verdict {
	if err == errNotSent || errors.Is(err, syscall.ENOENT) {
		return faulttest.NotSent
	}
	return faulttest.Unknown
}

// Dial implements faulttest.Site.
func (c clients) Dial() (faulttest.Way, error) {
	w := &talkWay{clients: c, srv: srv.New(c.services), held: map[uint64]*talkFile{}}
	root, err := w.srv.Root(context.Background())
	w.root = root
	return w, err
}

// talkWay is a tree of services, of which one is used.
type talkWay struct {
	clients
	srv  *srv.FS
	root vfs.Node

	mu   sync.Mutex
	held map[uint64]*talkFile // locks, by owner: each belongs to a conversation
}

func (w *talkWay) FS() vfs.FS   { return w }
func (w *talkWay) Err() error   { return nil }
func (w *talkWay) Close() error { return w.srv.Close() }

func (w *talkWay) Root(context.Context) (vfs.Node, error) { return talkDir{w}, nil }

type talkDir struct{ w *talkWay }

func (d talkDir) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Mode: unix.S_IFDIR | 0o777}, nil
}

func (d talkDir) Lookup(_ context.Context, name string) (vfs.Node, error) {
	return talkNode{d.w, name}, nil
}

// talkNode is a register.
type talkNode struct {
	w    *talkWay
	name string
}

func (n talkNode) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Mode: unix.S_IFREG | 0o666}, nil
}

func (n talkNode) Open(ctx context.Context, _ int) (vfs.File, error) { return n.converse(ctx) }

func (n talkNode) converse(ctx context.Context) (*talkFile, error) {
	s, err := vfs.Lookup(ctx, n.w.root, service)
	if err != nil {
		return nil, err
	}
	f, err := vfs.Open(ctx, s, unix.O_RDWR)
	if err != nil {
		return nil, err
	}
	return &talkFile{n: n, f: f}, nil
}

func (n talkNode) GetLock(context.Context, vfs.Lock) (vfs.Lock, error) {
	return vfs.Lock{Type: unix.F_UNLCK}, nil
}

// SetLock locks in a conversation of its own, with which the lock ends.
func (n talkNode) SetLock(ctx context.Context, l vfs.Lock, _ bool) error {
	if l.Type == unix.F_UNLCK {
		n.w.mu.Lock()
		f := n.w.held[l.Owner]
		delete(n.w.held, l.Owner)
		n.w.mu.Unlock()
		if f == nil {
			return errNotSent
		}
		defer f.Close()
		_, err := f.exchange(ctx, 'u', l.Owner)
		return err
	}
	f, err := n.converse(ctx)
	if err != nil {
		return err
	}
	if _, err = f.exchange(ctx, 'l', l.Owner); err != nil {
		f.Close()
		return err
	}
	n.w.mu.Lock()
	n.w.held[l.Owner] = f
	n.w.mu.Unlock()
	return nil
}

// talkFile is an open register: a conversation, used by one at a time.
type talkFile struct {
	n    talkNode
	f    vfs.File
	id   uint64
	once sync.Once
}

func (f *talkFile) Node() vfs.Node { return f.n }

func (f *talkFile) Close() (err error) {
	f.once.Do(func() { err = f.f.Close() })
	return err
}

func (f *talkFile) Read(ctx context.Context, p []byte, _ int64) (int, error) {
	v, err := f.exchange(ctx, 'r', 0)
	if err != nil {
		return 0, err
	}
	binary.LittleEndian.PutUint64(p, v)
	return 8, nil
}

func (f *talkFile) Write(ctx context.Context, p []byte, _ int64) (int, error) {
	if _, err := f.exchange(ctx, 'w', binary.LittleEndian.Uint64(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// A request is a number, an operation, a value and a name; an answer the number, an
// errno and a value.
const requestHeader, answerSize = 17, 20

// exchange sends a request and takes its answer. A wait for the answer that was
// cancelled has taken nothing: either it is taken up again, or the conversation
// ends and leaves the outcome in doubt.
func (f *talkFile) exchange(ctx context.Context, op byte, value uint64) (uint64, error) {
	f.id++
	p := binary.LittleEndian.AppendUint64(nil, f.id)
	p = binary.LittleEndian.AppendUint64(append(p, op), value)
	p = append(p, f.n.name...)
	for {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		_, err := vfs.Write(ctx, f.f, p, 0)
		if err == nil {
			break
		}
		if err == syscall.EPIPE {
			return 0, errNotSent
		}
		if err != syscall.EAGAIN {
			return 0, err
		}
		if ready(ctx, f.f, vfs.EventOut) == 0 {
			return 0, context.Cause(ctx)
		}
	}
	answer := make([]byte, answerSize+1)
	for {
		n, err := vfs.Read(ctx, f.f, answer, 0)
		switch {
		case err == syscall.EAGAIN:
			if ready(ctx, f.f, vfs.EventIn) == 0 {
				if rand.IntN(2) == 0 {
					f.Close()
					return 0, vfs.ErrInDoubt
				}
				ctx = context.Background()
			}
			continue
		case errors.Is(err, syscall.ECONNRESET), err == nil && n == 0:
			return 0, vfs.ErrInDoubt
		case err != nil:
			return 0, err
		}
		if id := binary.LittleEndian.Uint64(answer); n != answerSize || id != f.id {
			f.n.w.Errorf("%d bytes of answer %d to request %d", n, id, f.id)
		}
		value := binary.LittleEndian.Uint64(answer[12:])
		if e := syscall.Errno(binary.LittleEndian.Uint32(answer[8:])); e != 0 {
			return value, e
		}
		return value, nil
	}
}

// ready waits until the file has some of the events; 0 when ctx ended.
func ready(ctx context.Context, f vfs.File, mask vfs.Events) vfs.Events {
	p := f.(vfs.Pollable)
	woken := make(chan struct{}, 1)
	w := vfs.Waiter{Mask: mask, Wake: func(*vfs.Waiter, vfs.Events) {
		select {
		case woken <- struct{}{}:
		default:
		}
	}}
	p.Watch(&w)
	defer p.Unwatch(&w)
	for {
		if e := p.Poll(mask); e != 0 {
			return e
		}
		select {
		case <-woken:
		case <-ctx.Done():
			return 0
		}
	}
}

// lies are what a server says beside its answers.
type lies func(ctx context.Context, l *lane.Lane, seq uint64, answer []byte)

// message is the protocol's call for one, whatever it says.
func message(ctx context.Context, l *lane.Lane, seq uint64, text []byte) {
	_ = l.Call(ctx, &lane.Message{Op: 1, Data: binary.LittleEndian.AppendUint64(nil, seq), Bulk: text}, nil)
}

func twice(ctx context.Context, l *lane.Lane, seq uint64, answer []byte) {
	for rand.IntN(3) == 0 {
		message(ctx, l, seq, answer)
	}
}

func wrongIDs(ctx context.Context, l *lane.Lane, seq uint64, answer []byte) {
	for rand.IntN(3) == 0 {
		message(ctx, l, []uint64{0, seq - 1, seq + 2, seq + 1000, 1<<64 - 1}[rand.IntN(5)], []byte("never"))
	}
}

func pastTheEnd(ctx context.Context, l *lane.Lane, seq uint64, answer []byte) {
	switch rand.IntN(10) {
	case 0:
		message(ctx, l, seq+1, make([]byte, names.MaxMessage+1))
	case 1:
		_ = l.Call(ctx, &lane.Message{Op: 1, Data: []byte("short"), Bulk: answer}, nil)
	case 2:
		_ = l.Call(ctx, &lane.Message{Op: 1, Data: make([]byte, 900), Bulk: answer}, nil)
	case 3:
		_ = l.Call(ctx, &lane.Message{Op: 99, Bulk: answer}, nil)
	}
}
