package lane

import (
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// hub waits for all ring lanes of the process in one goroutine and without a
// thread of its own: its epoll descriptor lies in the Go runtime's. So an idle
// lane costs its socket and its memory, and nobody looks at it. The goroutine
// lives as long as there are lanes.
type hub struct {
	mu    sync.Mutex
	ep    *os.File
	fd    int
	rings map[uint64]*ring
	next  uint64
	again []*ring // to be looked at once more
	wake  int     // an eventfd of the process's own, for again

	warmSet
}

var (
	hubMu  sync.Mutex // taken before a hub's mu
	theHub *hub
)

func newHub() (*hub, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("lane: epoll: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("lane: epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET})
	}
	if err != nil {
		closeFDs([]int{fd, wake})
		return nil, fmt.Errorf("lane: epoll: %w", err)
	}
	h := &hub{fd: fd, wake: wake, ep: os.NewFile(uintptr(fd), "lane-hub"), rings: make(map[uint64]*ring)}
	go h.run()
	return h, nil
}

// hubAdd has r looked at whenever its socket has something.
func hubAdd(r *ring) error {
	hubMu.Lock()
	defer hubMu.Unlock()
	if theHub == nil {
		h, err := newHub()
		if err != nil {
			return err
		}
		theHub = h
	}
	h := theHub
	h.mu.Lock()
	h.next++
	r.hub, r.hubID = h, h.next
	h.rings[r.hubID] = r
	h.mu.Unlock()
	if err := h.control(r, unix.EPOLL_CTL_ADD, 0); err != nil {
		h.removeLocked(r)
		return fmt.Errorf("lane: epoll: %w", err)
	}
	return nil
}

func (h *hub) control(r *ring, op int, more uint32) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET | more,
		Fd: int32(r.hubID), Pad: int32(r.hubID >> 32)}
	return unix.EpollCtl(h.fd, op, r.sock, &ev)
}

// hubRemove forgets r; the last one ends the hub.
func hubRemove(r *ring) {
	hubMu.Lock()
	defer hubMu.Unlock()
	r.hub.control(r, unix.EPOLL_CTL_DEL, 0)
	r.hub.removeLocked(r)
}

// removeLocked is called with hubMu held.
func (h *hub) removeLocked(r *ring) {
	h.mu.Lock()
	delete(h.rings, r.hubID)
	empty := len(h.rings) == 0
	if empty {
		h.again = nil
		unix.Close(h.wake)
	}
	h.mu.Unlock()
	if empty {
		go h.ep.Close() // it waits for run, which may be the caller
		if theHub == h {
			theHub = nil
		}
	}
}

// hubWritable turns the news of room in r's socket on or off. Turning it on
// tells at once when there is room already.
func hubWritable(r *ring, on bool) {
	hubMu.Lock()
	defer hubMu.Unlock()
	if r.dead.Load() {
		return
	}
	var more uint32
	if on {
		more = unix.EPOLLOUT
	}
	r.hub.control(r, unix.EPOLL_CTL_MOD, more)
}

// hubAgain has r looked at once more, after the others.
func hubAgain(r *ring) {
	h := r.hub
	h.mu.Lock()
	h.again = append(h.again, r)
	if len(h.again) == 1 {
		h.wakeLocked()
	}
	h.mu.Unlock()
}

func (h *hub) wakeLocked() {
	if len(h.rings) > 0 {
		unix.Write(h.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

func (h *hub) run() {
	conn, err := h.ep.SyscallConn()
	if err != nil {
		return
	}
	events := make([]unix.EpollEvent, 128)
	conn.Read(func(fd uintptr) bool {
		for {
			n, err := unix.EpollWait(int(fd), events, 0)
			if err == syscall.EINTR {
				continue
			}
			for _, ev := range events[:max(n, 0)] {
				h.mu.Lock()
				r := h.rings[uint64(uint32(ev.Fd))|uint64(uint32(ev.Pad))<<32]
				h.mu.Unlock()
				if r != nil {
					r.ready(ev.Events)
				}
			}
			h.mu.Lock()
			again := h.again
			h.again = nil
			h.mu.Unlock()
			for _, r := range again {
				r.ready(0)
			}
			if n <= 0 && len(again) == 0 {
				return false
			}
		}
	})
}
