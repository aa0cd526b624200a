package machine

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// reaper learns of the deaths of host processes, whatever caused them.
type reaper struct {
	epoll int
	wake  int // eventfd that ends the loop
	mu    sync.Mutex
	space map[int32]*Space // by pidfd
	done  chan struct{}
}

func newReaper() (*reaper, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("machine: epoll: %w", err)
	}
	ev, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(ep)
		return nil, fmt.Errorf("machine: eventfd: %w", err)
	}
	r := &reaper{epoll: ep, wake: ev, space: map[int32]*Space{}, done: make(chan struct{})}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, ev, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1}); err != nil {
		unix.Close(ep)
		unix.Close(ev)
		return nil, fmt.Errorf("machine: epoll: %w", err)
	}
	go r.loop()
	return r, nil
}

func (r *reaper) add(s *Space, pidfd int) error {
	r.mu.Lock()
	r.space[int32(pidfd)] = s
	r.mu.Unlock()
	err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, pidfd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(pidfd)})
	if err != nil {
		r.mu.Lock()
		delete(r.space, int32(pidfd))
		r.mu.Unlock()
	}
	return err
}

func (r *reaper) loop() {
	defer close(r.done)
	var events [16]unix.EpollEvent
	for {
		n, err := unix.EpollWait(r.epoll, events[:], -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return
		}
		for _, e := range events[:n] {
			if e.Fd == -1 {
				return
			}
			r.mu.Lock()
			s := r.space[e.Fd]
			delete(r.space, e.Fd)
			r.mu.Unlock()
			if s != nil {
				s.reaped()
			}
		}
	}
}

// stop ends the loop; all spaces must be gone.
func (r *reaper) stop() {
	unix.Write(r.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	<-r.done
	unix.Close(r.epoll)
	unix.Close(r.wake)
}
