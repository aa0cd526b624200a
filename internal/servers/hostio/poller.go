package hostio

import (
	"os"
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// poller tells watchers when a host descriptor becomes ready. It stands on an
// epoll of its own, which leaves the description alone, tells of every change
// once however slowly the guest reads, and can itself be waited for in Go's
// poller: no thread waits. While nobody watches, the descriptor is not in it.
type poller struct {
	fd int

	mu     sync.Mutex
	queue  vfs.Queue
	epoll  *os.File // nil until somebody watches
	armed  bool     // fd is in it
	closed bool
	done   chan struct{} // closed when the goroutine has ended
}

const epollEvents = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLRDNORM |
	unix.EPOLLWRNORM | unix.EPOLLRDBAND | unix.EPOLLET

// waitable reports whether readiness of fd can be waited for.
func waitable(fd int) bool {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	defer unix.Close(ep)
	return unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{}) == nil
}

// Poll asks the host.
func (p *poller) Poll(mask vfs.Events) vfs.Events {
	return pollNow(p.fd, mask)
}

func pollNow(fd int, mask vfs.Events) vfs.Events {
	pfd := []unix.PollFd{{Fd: int32(fd), Events: int16(mask)}}
	if _, err := retry(func() (int, error) { return unix.Poll(pfd, 0) }); err != nil {
		return vfs.EventErr
	}
	return vfs.Events(uint16(pfd[0].Revents))
}

// Watch has w hear of what the descriptor becomes ready for, and at once of
// what it is ready for now.
func (p *poller) Watch(w *vfs.Waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.queue.Watch(w)
	if err := p.arm(); err != nil {
		// Without the means to wait, the waiter's next attempt must tell.
		p.queue.Notify(vfs.EventErr)
	}
}

// Unwatch ends that.
func (p *poller) Unwatch(w *vfs.Waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue.Unwatch(w)
	if p.armed && p.queue.Empty() {
		p.control(unix.EPOLL_CTL_DEL)
		p.armed = false
	}
}

func (p *poller) arm() error {
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

func (p *poller) control(op int) error {
	conn, err := p.epoll.SyscallConn()
	if err != nil {
		return err
	}
	cerr := conn.Control(func(ep uintptr) {
		err = unix.EpollCtl(int(ep), op, p.fd, &unix.EpollEvent{Events: epollEvents})
	})
	if cerr != nil {
		return cerr
	}
	return err
}

// run hands on the events until the epoll is closed.
func (p *poller) run(conn syscall.RawConn, done chan struct{}) {
	defer close(done)
	var events [1]unix.EpollEvent
	_ = conn.Read(func(ep uintptr) bool {
		for {
			n, err := unix.EpollWait(int(ep), events[:], 0)
			if err == unix.EINTR {
				continue
			}
			if n <= 0 {
				return false // wait in Go's poller; Read ends when the file is closed
			}
			p.queue.Notify(vfs.Events(events[0].Events))
		}
	})
}

// close ends the goroutine; nobody hears anything afterwards.
func (p *poller) close() {
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
