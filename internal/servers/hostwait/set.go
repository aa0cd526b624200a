package hostwait

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Set tells queues when host descriptors become ready, as [Edges] does, and is for
// very many of them: it takes two epolls and two goroutines in all, while one of its
// members is watched. There are two epolls because the host, which knows why it
// wakes, tells all that holds: who waits for room is not to hear of what came.
//
// A descriptor that was watched stays in the epoll until something happens that
// nobody waits for, so a caller that waits again and again costs no call each time.
//
// The zero Set is empty. Lock order: side.mu, then the queues'.
type Set struct {
	sides   [2]side // of what comes, and of what may go
	members atomic.Int64
}

const (
	inEvents  = unix.EPOLLIN | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLRDNORM | unix.EPOLLRDBAND
	outEvents = unix.EPOLLOUT | unix.EPOLLWRNORM | unix.EPOLLWRBAND
)

var sideEvents = [2]uint32{inEvents | unix.EPOLLET, outEvents | unix.EPOLLET}

// side is one of the epolls.
type side struct {
	mu     sync.Mutex // held also from when events are taken until they were handed on
	file   *os.File   // nil while there is none
	epoll  int        // its descriptor
	done   chan struct{}
	armed  map[uint64]*Member // what is in the epoll, by number
	last   uint64             // number; none comes twice
	events [64]unix.EpollEvent
}

// Member is a descriptor of a set, and the queue of those who wait for it. It is a
// part of a vfs.Pollable.
type Member struct {
	set    *Set
	queue  vfs.Queue
	fd     int
	closed atomic.Bool
	number [2]uint64 // in the sides, whose locks guard them; 0 while not armed
}

// Init makes m a member of s. fd stays open until Close.
func (m *Member) Init(s *Set, fd int) {
	m.set, m.fd = s, fd
	s.members.Add(1)
}

// Watch has w hear of what comes afterwards. What holds already is for the caller to
// look for, after Watch.
func (m *Member) Watch(w *vfs.Waiter) {
	m.queue.Watch(w)
	want := [2]bool{w.Mask&inEvents != 0 || w.Mask&outEvents == 0, w.Mask&outEvents != 0} // errors come on any side
	for i := range m.set.sides {
		if want[i] && m.set.sides[i].arm(m, i) != nil {
			// Without the means to wait, the waiter's next attempt must tell.
			m.queue.Notify(vfs.EventErr)
		}
	}
}

// Unwatch ends that.
func (m *Member) Unwatch(w *vfs.Waiter) { m.queue.Unwatch(w) }

// Notify tells those who wait of what is not the descriptor's to tell.
func (m *Member) Notify(events vfs.Events) {
	if !m.closed.Load() {
		m.queue.Notify(events)
	}
}

// Late is who hands on soon afterwards what has come, or at once when told to.
func (m *Member) Late() interface{ CatchUp() } { return m.set }

// Close takes m out of its set; nobody hears anything afterwards. The descriptor is
// the caller's to close.
func (m *Member) Close() {
	if m.closed.Swap(true) {
		return
	}
	last := m.set.members.Add(-1) == 0
	for i := range m.set.sides {
		s := &m.set.sides[i]
		s.mu.Lock()
		s.disarm(m, i)
		s.mu.Unlock()
		if last {
			s.close()
		}
	}
}

// CatchUp hands on what has come by now.
func (s *Set) CatchUp() {
	for i := range s.sides {
		s.sides[i].catchUp(i)
	}
}

func (s *side) catchUp(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(i, 0)
}

// arm puts m into the epoll unless it is there.
func (s *side) arm(m *Member, i int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.number[i] != 0 || m.closed.Load() {
		return nil
	}
	if err := s.open(i); err != nil {
		return err
	}
	s.last++
	e := unix.EpollEvent{Events: sideEvents[i], Fd: int32(s.last), Pad: int32(s.last >> 32)}
	if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, m.fd, &e); err != nil {
		return err
	}
	m.number[i] = s.last
	s.armed[s.last] = m
	// The host tells first of what holds.
	s.take(i, s.last)
	return nil
}

// disarm takes m out of the epoll. mu is held.
func (s *side) disarm(m *Member, i int) {
	if m.number[i] != 0 {
		delete(s.armed, m.number[i])
		m.number[i] = 0
		_ = unix.EpollCtl(s.epoll, unix.EPOLL_CTL_DEL, m.fd, nil)
	}
}

// take hands on what there is, but for one member. mu is held.
func (s *side) take(i int, but uint64) {
	for s.file != nil {
		n, err := Retry(func() (int, error) { return unix.EpollWait(s.epoll, s.events[:], 0) })
		if err != nil {
			return
		}
		for _, e := range s.events[:n] {
			number := uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32
			switch m := s.armed[number]; {
			case m == nil || number == but:
			case m.queue.Empty():
				s.disarm(m, i)
			default:
				m.queue.Notify(vfs.Events(e.Events))
			}
		}
		if n < len(s.events) {
			return
		}
	}
}

// open makes the epoll if there is none. mu is held.
func (s *side) open(i int) error {
	if s.file != nil {
		return nil
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // what makes NewFile use Go's poller
		unix.Close(fd)
		return err
	}
	file := os.NewFile(uintptr(fd), "epoll")
	conn, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return err
	}
	s.file, s.epoll, s.done = file, fd, make(chan struct{})
	if s.armed == nil {
		s.armed = map[uint64]*Member{}
	}
	go s.run(i, conn, s.done)
	return nil
}

// run hands on the events until the epoll is closed.
func (s *side) run(i int, conn syscall.RawConn, done chan struct{}) {
	defer close(done)
	_ = conn.Read(func(uintptr) bool {
		s.catchUp(i)
		return false // wait in Go's poller; Read ends when the file is closed
	})
}

// close ends the epoll if nobody has come since.
func (s *side) close() {
	s.mu.Lock()
	file, done := s.file, s.done
	if len(s.armed) > 0 || file == nil {
		s.mu.Unlock()
		return
	}
	s.file, s.armed = nil, nil
	s.mu.Unlock()
	file.Close()
	<-done
}
