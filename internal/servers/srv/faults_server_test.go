package srv_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// talkSite has a service in this process.
type talkSite struct {
	clients
	store    *faulttest.Store
	recovers bool
	lie      lies
	trouble  func(*talkSite)
	served   sync.WaitGroup

	mu           sync.Mutex
	registration *names.Registration
	sessions     map[uint64]*session
}

// session is a client's conversation, which for a service that recovers outlives
// its lane.
type session struct {
	received, sent uint64
	answers        [][]byte // not known to have arrived
	locks          map[uint64]string
	lane           *lane.Lane    // nil when nobody serves it
	free           chan struct{} // closed then
}

func (s *talkSite) register() {
	g, err := s.services.Register(context.Background(), service, names.Service{
		Protocol: names.Talk, Mode: 0o600, Recovers: s.recovers, Replace: true, Accept: s.accept,
	})
	if err != nil {
		s.Error(err)
	}
	s.registration = g
}

func (s *talkSite) accept(ctx context.Context, o names.Opening, l *lane.Lane) error {
	s.mu.Lock()
	c := s.sessions[o.Session]
	for c != nil && c.lane != nil {
		free := c.free
		s.mu.Unlock()
		select {
		case <-free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		s.mu.Lock()
		c = s.sessions[o.Session]
	}
	defer s.mu.Unlock()
	if c == nil {
		c = &session{locks: map[uint64]string{}}
	}
	talk, err := names.Converse(l, names.ConversationOptions{Received: c.received, Sent: c.sent})
	if err != nil {
		return err
	}
	c.lane, c.free = l, make(chan struct{})
	s.sessions[o.Session] = c
	s.served.Go(func() { s.serve(o, c, talk) })
	return nil
}

// serve answers until the conversation has ended.
func (s *talkSite) serve(o names.Opening, c *session, talk *names.Conversation) {
	ctx, id := context.Background(), o.Session
	view := s.store.View()
	view.Adopt(id) // locks belong to the session
	var err error
	if o.Again {
		err = c.resume(ctx, talk)
	}
	if err == nil {
		err = c.converse(ctx, view, talk, s.lie)
	}
	talk.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recovers && err != nil {
		// What it has taken it knows.
		for p, err := talk.TryRecv(); err == nil; p, err = talk.TryRecv() {
			c.take(ctx, view, p)
		}
		c.lane = nil
	} else {
		c.unlock(view)
		delete(s.sessions, id)
	}
	close(c.free)
}

// resume forgets the answers that the client has.
func (c *session) resume(ctx context.Context, talk *names.Conversation) error {
	known, err := talk.Resumed(ctx)
	for ; err == nil && c.sent < known && len(c.answers) > 0; c.sent++ {
		c.answers = c.answers[1:]
	}
	return err
}

// converse answers until the client says that it is over; an error when the lane
// has ended before.
func (c *session) converse(ctx context.Context, fs vfs.FS, talk *names.Conversation, lie lies) error {
	for {
		for len(c.answers) > 0 {
			if lie != nil {
				lie(ctx, c.lane, c.sent, c.answers[0])
			}
			if err := talk.Send(ctx, c.answers[0]); err != nil {
				return err
			}
			c.answers = c.answers[1:]
			c.sent++
		}
		p, err := talk.Recv(ctx)
		if err != nil {
			if err == names.ErrPeerGone {
				return err
			}
			return nil
		}
		c.take(ctx, fs, p)
	}
}

// take does what a request says; its answer is to be sent.
func (c *session) take(ctx context.Context, fs vfs.FS, p []byte) {
	c.received++
	value, err := c.do(ctx, fs, p[8], binary.LittleEndian.Uint64(p[9:]), string(p[requestHeader:]))
	a := append([]byte(nil), p[:8]...)
	errno, ok := err.(syscall.Errno)
	if err != nil && !ok {
		errno = syscall.EIO
	}
	a = binary.LittleEndian.AppendUint32(a, uint32(errno))
	c.answers = append(c.answers, binary.LittleEndian.AppendUint64(a, value))
}

func (c *session) do(ctx context.Context, fs vfs.FS, op byte, value uint64, name string) (uint64, error) {
	root, err := fs.Root(ctx)
	if err != nil {
		return 0, err
	}
	n, err := vfs.Lookup(ctx, root, name)
	if err != nil {
		return 0, err
	}
	switch op {
	case 'l', 'u':
		l := vfs.Lock{Type: unix.F_WRLCK, Owner: value, End: 1<<63 - 1}
		if op == 'u' {
			l.Type = unix.F_UNLCK
		}
		err := n.(vfs.Locker).SetLock(ctx, l, false)
		if err == nil && op == 'l' {
			c.locks[value] = name
		} else if err == nil {
			delete(c.locks, value)
		}
		return 0, err
	}
	f, err := vfs.Open(ctx, n, unix.O_RDWR)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var p [8]byte
	if op == 'w' {
		binary.LittleEndian.PutUint64(p[:], value)
		_, err = vfs.Write(ctx, f, p[:], 0)
		return 0, err
	}
	_, err = vfs.Read(ctx, f, p[:], 0)
	return binary.LittleEndian.Uint64(p[:]), err
}

// unlock gives back what the conversation has locked.
func (c *session) unlock(fs vfs.FS) {
	for owner, name := range c.locks {
		c.do(context.Background(), fs, 'u', owner, name)
	}
}

// die ends a conversation as a crash would, or all of them and the registration.
func (s *talkSite) die() {
	all := rand.IntN(20) == 0
	s.mu.Lock()
	for _, c := range s.sessions {
		if c.lane != nil {
			c.lane.Close()
			if !all {
				break
			}
		}
	}
	s.mu.Unlock()
	if all {
		s.registration.Close()
		s.register()
	}
}

func (s *talkSite) Trouble(tick, stop <-chan struct{}) {
	for s.trouble != nil && faulttest.Ticks(5+rand.IntN(20), tick, stop) {
		s.trouble(s)
	}
}

// Census implements faulttest.Site. A session of a service that recovers stays until
// its client says that it is over, or is forgotten.
func (s *talkSite) Census(t testing.TB) {
	s.served.Wait()
	s.mu.Lock()
	for id, c := range s.sessions {
		view := s.store.View()
		view.Adopt(id)
		c.unlock(view)
	}
	clear(s.sessions)
	s.mu.Unlock()
	s.store.Census(t)
}

// The test binary is also a service's process.
func TestMain(m *testing.M) {
	if path := os.Getenv("SRV_TEST_NAMES"); path != "" {
		if err := serveProcess(path, os.Getenv("SRV_TEST_DIR")); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}
