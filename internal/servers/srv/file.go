package srv

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
)

// file is an open service. Reads and writes never wait: what is written goes into
// a queue. A goroutine works as long as there is something to send, and takes the
// conversation up again when the server died and recovers.
type file struct {
	vfs.Queue
	node     *node
	request  names.Request // to take the conversation up again
	recovers bool

	mu      sync.Mutex
	talk    *names.Conversation // replaced by the worker only
	left    [][]byte            // what came over the one before and was not read
	unsent  [][]byte
	size    int
	first   uint64 // the number of unsent[0]
	working bool
	failed  error // why nothing more can be sent
	closed  bool
}

const (
	maxUnsent   = 64
	unsentBytes = 2 * names.MaxMessage
)

var (
	_ vfs.Reader   = (*file)(nil)
	_ vfs.Writer   = (*file)(nil)
	_ vfs.Streamer = (*file)(nil)
	_ vfs.Pollable = (*file)(nil)
)

func newFile(n *node, q names.Request, o names.Opened) (*file, error) {
	f := &file{node: n, request: q, recovers: o.Recovers, first: 1}
	f.request.Session = o.Session
	f.mu.Lock() // arrived may be called at once
	defer f.mu.Unlock()
	var err error
	if f.talk, err = f.converse(o.Lane, 0, 0); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *file) converse(l *lane.Lane, received, sent uint64) (*names.Conversation, error) {
	// The lane's calls end as the contract has it; nothing else is as with files.
	c := remote.Config("")
	l.Settle(lane.Config{Causes: c.Causes, Final: c.Final, Impatient: c.Impatient})
	return names.Converse(l, names.ConversationOptions{Received: received, Sent: sent, Notify: f.arrived})
}

// arrived is called when there may be something to read, or nothing more.
func (f *file) arrived() {
	f.mu.Lock()
	if f.talk != nil && f.lostLocked() {
		f.workLocked()
	}
	f.mu.Unlock()
	f.Notify(vfs.EventsIn | vfs.EventsOut | vfs.EventHup | vfs.EventRdHup)
}

// lostLocked reports whether the server died and the next one is to go on. f.mu
// is held.
func (f *file) lostLocked() bool {
	return f.recovers && !f.closed && f.failed == nil && errors.Is(f.talk.Over(), names.ErrPeerGone)
}

// overLocked is the conversation's end as a reader sees it; EAGAIN before. f.mu is
// held.
func (f *file) overLocked() error {
	if f.lostLocked() {
		return syscall.EAGAIN
	}
	return f.talk.Over()
}

// Node implements vfs.File.
func (f *file) Node() vfs.Node { return f.node }

// IsStream implements vfs.Streamer.
func (f *file) IsStream() bool { return true }

// Message implements vfs.Messenger.
func (f *file) Message() bool { return true }

// Read takes a message; what p has no room for is gone, as with a socket. 0 is the
// end of the conversation; ECONNRESET says that the server died.
func (f *file) Read(_ context.Context, p []byte, _ int64) (int, error) {
	if len(p) == 0 {
		return 0, nil // takes nothing, as with a socket
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.left) > 0 {
		b := f.left[0]
		f.left = f.left[1:]
		return copy(p, b), nil
	}
	b, err := f.talk.TryRecv()
	if err == nil {
		return copy(p, b), nil
	}
	if err = f.overLocked(); err == io.EOF {
		return 0, nil
	}
	return 0, err
}

// Write sends a message. It is on its way when Write returns.
func (f *file) Write(_ context.Context, p []byte, _ int64) (int, error) {
	if len(p) > names.MaxMessage {
		return 0, syscall.EMSGSIZE
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.failed != nil:
		return 0, f.failed
	case f.overLocked() != syscall.EAGAIN:
		return 0, syscall.EPIPE
	}
	if !f.roomLocked() {
		return 0, syscall.EAGAIN
	}
	f.unsent = append(f.unsent, append([]byte{}, p...))
	f.size += len(p)
	f.workLocked()
	return len(p), nil
}

// roomLocked reports whether a message can be written, of whatever length: were it
// to depend on that, as poll(2) cannot, who waits would ask without end. f.mu is held.
func (f *file) roomLocked() bool { return len(f.unsent) < maxUnsent && f.size < unsentBytes }

// workLocked has somebody work. f.mu is held.
func (f *file) workLocked() {
	if !f.working {
		f.working = true
		f.node.fs.files.Go(f.work)
	}
}

// work sends what there is, in order, and after Close says goodbye.
func (f *file) work() {
	ctx := f.node.fs.ctx
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.failed == nil {
		switch {
		case f.lostLocked():
			f.mu.Unlock()
			talk, err := f.again(ctx)
			f.mu.Lock()
			if err != nil {
				f.failLocked(syscall.ECONNRESET)
				break
			}
			f.talk.Close()
			for b, err := f.talk.TryRecv(); err == nil; b, err = f.talk.TryRecv() {
				f.left = append(f.left, b)
			}
			f.talk = talk
			f.Notify(vfs.EventsIn | vfs.EventsOut)
		case len(f.unsent) > 0:
			p := f.unsent[0]
			f.mu.Unlock()
			err := f.talk.Send(ctx, p)
			f.mu.Lock()
			switch {
			case err == nil:
				f.popLocked()
				f.Notify(vfs.EventsOut)
			case !f.lostLocked():
				f.failLocked(syscall.EPIPE)
			}
		case f.closed:
			f.mu.Unlock()
			_ = f.talk.End(ctx)
			f.mu.Lock()
			f.failed = syscall.EBADF
		default:
			f.working = false
			return
		}
	}
	f.working = false
	if f.closed {
		f.talk.Close()
	}
}

func (f *file) popLocked() {
	f.size -= len(f.unsent[0])
	f.unsent = f.unsent[1:]
	f.first++
}

func (f *file) failLocked(err error) {
	f.failed = err
	f.unsent, f.size = nil, 0
	f.Notify(vfs.EventErr | vfs.EventHup | vfs.EventsIn | vfs.EventsOut)
}

// again takes the conversation up with the next instance of the server.
func (f *file) again(ctx context.Context) (*names.Conversation, error) {
	for {
		o, err := f.node.fs.services.Open(ctx, f.node.name, f.request)
		if err != nil {
			return nil, err
		}
		f.mu.Lock()
		received, _ := f.talk.Numbers()
		first := f.first
		f.mu.Unlock()
		talk, err := f.converse(o.Lane, received, first-1)
		if err != nil {
			return nil, err
		}
		known, err := talk.Resume(ctx)
		if err != nil {
			talk.Close()
			if ctx.Err() != nil {
				return nil, err
			}
			continue // that one is gone, too
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		for f.first <= known && len(f.unsent) > 0 {
			f.popLocked()
		}
		if known+1 != f.first {
			talk.Close()
			return nil, syscall.ECONNRESET // it has forgotten what it had taken
		}
		return talk, nil
	}
}

// Poll implements vfs.Pollable.
func (f *file) Poll(mask vfs.Events) vfs.Events {
	f.mu.Lock()
	defer f.mu.Unlock()
	var e vfs.Events
	over := f.overLocked() != syscall.EAGAIN
	if over || f.failed != nil {
		e = vfs.EventsIn | vfs.EventsOut | vfs.EventHup | vfs.EventRdHup
	}
	if f.failed != nil {
		e |= vfs.EventErr
	}
	if len(f.left) > 0 || f.talk.Unread() {
		e |= vfs.EventsIn
	}
	if f.roomLocked() {
		e |= vfs.EventsOut
	}
	return e & (mask | vfs.EventErr | vfs.EventHup)
}

// Close implements vfs.File. What was written is still sent.
func (f *file) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.workLocked()
	return nil
}
