// Package hostwait has host calls that do not wait, and tells waiters when the
// descriptors become ready. It imports vfs and x/sys.
//
// Lock order: Watcher.mu, then taking, then the queue's; of a Set, side.mu, then the
// queues'.
package hostwait

import (
	"os"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Watcher tells a queue when host descriptors become ready. It stands on an epoll
// of its own, which leaves their descriptions alone, tells of every change once
// however slowly the guest reads, and can itself be waited for in Go's poller: no
// thread waits. While nobody watches, the descriptors are not in it.
type Watcher struct {
	queue *vfs.Queue
	fds   []int // that are open until Close
	edges bool  // see Edges

	taking sync.Mutex // held from when an event is taken until it was handed on

	mu     sync.Mutex
	epoll  *os.File // nil until somebody watches
	armed  bool     // fds are in it
	closed bool
	done   chan struct{} // closed when the goroutine has ended
}

// New returns a watcher of fds for the waiters of a queue.
func New(q *vfs.Queue, fds ...int) *Watcher { return &Watcher{queue: q, fds: fds} }

// Edges is New, but waiters hear only of what comes after they watch.
func Edges(q *vfs.Queue, fds ...int) *Watcher { return &Watcher{queue: q, fds: fds, edges: true} }

const epollEvents = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLRDNORM |
	unix.EPOLLWRNORM | unix.EPOLLRDBAND | unix.EPOLLET

// Waitable reports whether readiness of fd can be waited for.
func Waitable(fd int) bool {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	defer unix.Close(ep)
	return unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{}) == nil
}

// Retry repeats f while signals of hati's own, which are no guest's, interrupt it.
// The count of a failure is 0.
func Retry(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// Now returns what fd is ready for.
func Now(fd int, mask vfs.Events) vfs.Events {
	pfd := []unix.PollFd{{Fd: int32(fd), Events: int16(mask)}}
	if _, err := Retry(func() (int, error) { return unix.Poll(pfd, 0) }); err != nil {
		return vfs.EventErr
	}
	return vfs.Events(uint16(pfd[0].Revents))
}

// Watch has w hear of what the descriptor becomes ready for, and at once of
// what it is ready for now.
func (p *Watcher) Watch(w *vfs.Waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.queue.Watch(w)
	if !p.edges {
		p.again()
	} else if !p.armed {
		// What holds now is the waiter's to look for: the first in the queue.
		p.taking.Lock()
		defer p.taking.Unlock()
		p.again()
		p.take(func(vfs.Events) {})
	}
}

// CatchUp hands on what has come by now, which otherwise happens soon afterwards.
func (p *Watcher) CatchUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.armed {
		p.taking.Lock()
		defer p.taking.Unlock()
		p.take(p.queue.Notify)
	}
}

// take takes the events that there are. mu and taking are held.
func (p *Watcher) take(f func(vfs.Events)) {
	if p.epoll == nil {
		return
	}
	if conn, err := p.epoll.SyscallConn(); err == nil {
		_ = conn.Control(func(ep uintptr) { take(int(ep), f) })
	}
}

func take(ep int, f func(vfs.Events)) {
	var events [1]unix.EpollEvent
	for {
		n, _ := Retry(func() (int, error) { return unix.EpollWait(ep, events[:], 0) })
		if n == 0 {
			return
		}
		f(vfs.Events(events[0].Events))
	}
}

// Again is for waiters that were in the queue before the watcher was there.
func (p *Watcher) Again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && !p.queue.Empty() {
		p.again()
	}
}

func (p *Watcher) again() {
	if err := p.arm(); err != nil {
		// Without the means to wait, the waiter's next attempt must tell.
		p.queue.Notify(vfs.EventErr)
	}
}

// Unwatch ends that.
func (p *Watcher) Unwatch(w *vfs.Waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue.Unwatch(w)
	if p.armed && p.queue.Empty() {
		p.control(unix.EPOLL_CTL_DEL)
		p.armed = false
	}
}

func (p *Watcher) arm() error {
	if p.epoll == nil {
		fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return err
		}
		if err := unix.SetNonblock(fd, true); err != nil { // what makes NewFile use Go's poller
			unix.Close(fd)
			return err
		}
		p.epoll = os.NewFile(uintptr(fd), "epoll")
		p.done = make(chan struct{})
		conn, err := p.epoll.SyscallConn()
		if err != nil {
			return err
		}
		go p.run(conn, p.done)
	}
	// A new watcher needs to hear of what holds already, so arm again.
	op := unix.EPOLL_CTL_ADD
	if p.armed {
		op = unix.EPOLL_CTL_MOD
	}
	err := p.control(op)
	p.armed = p.armed || err == nil
	return err
}

func (p *Watcher) control(op int) error {
	conn, err := p.epoll.SyscallConn()
	if err != nil {
		return err
	}
	cerr := conn.Control(func(ep uintptr) {
		for _, fd := range p.fds {
			if e := unix.EpollCtl(int(ep), op, fd, &unix.EpollEvent{Events: epollEvents}); e != nil {
				err = e
			}
		}
	})
	if cerr != nil {
		return cerr
	}
	return err
}

// run hands on the events until the epoll is closed.
func (p *Watcher) run(conn syscall.RawConn, done chan struct{}) {
	defer close(done)
	_ = conn.Read(func(ep uintptr) bool {
		p.taking.Lock()
		defer p.taking.Unlock()
		take(int(ep), p.queue.Notify)
		return false // wait in Go's poller; Read ends when the file is closed
	})
}

// Close ends the watching; nobody hears anything afterwards. The descriptors are
// the caller's to close.
func (p *Watcher) Close() {
	p.mu.Lock()
	p.closed = true
	ep, done := p.epoll, p.done
	p.epoll, p.armed = nil, false
	p.mu.Unlock()
	if ep != nil {
		ep.Close()
		<-done
	}
}
