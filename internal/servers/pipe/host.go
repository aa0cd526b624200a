package pipe

import (
	"context"
	"errors"
	"strconv"
	"syscall"

	"github.com/hati-os/hati/internal/servers/hostwait"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// A pipe that is used much becomes one of the host, whose ends processes then read
// and write by themselves ([End.Lend]). The pipe here keeps descriptors of both
// sides as long as they have ends, for those who still come through the server, so
// the host knows when there is no reader or writer left. What only our own slots can
// do (splice, tee, packets) makes the pipe ours again, for good ([End.Unhost]).

// hosted is the pipe of the host. Its descriptors do not wait.
type hosted struct {
	r, w    int // -1 when that side has no end
	watcher *hostwait.Watcher
	loans   map[int]func() // what calls each descriptor back
}

// Lend gives a description of the host's pipe, as which this one goes on if it was
// none before. EOPNOTSUPP where it cannot.
func (e *End) Lend(_ context.Context, own bool, recall func()) (vfs.Loan, error) {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	if !own || p.ours || e.packet.Load() {
		return vfs.Loan{}, syscall.EOPNOTSUPP
	}
	if p.draining || p.reserved > 0 {
		return vfs.Loan{}, syscall.EAGAIN
	}
	if p.host == nil {
		if err := p.toHost(); err != nil {
			p.ours = true
			return vfs.Loan{}, err
		}
	}
	fd, err := p.host.open(e.accessMode())
	if err != nil {
		return vfs.Loan{}, err
	}
	if err := spare(fd); err != nil {
		unix.Close(fd)
		return vfs.Loan{}, err
	}
	p.host.loans[fd] = recall
	return vfs.Loan{FD: fd, Return: func() { p.returned(fd) }}, nil
}

func (e *End) accessMode() int {
	switch {
	case e.read && e.write:
		return unix.O_RDWR
	case e.write:
		return unix.O_WRONLY
	}
	return unix.O_RDONLY
}

// open opens the host's pipe once more.
func (h *hosted) open(flags int) (int, error) {
	return unix.Open("/proc/self/fd/"+strconv.Itoa(max(h.r, h.w)), flags|unix.O_CLOEXEC, 0)
}

// toHost makes the pipe one of the host. p.mu is held.
func (p *pipe) toHost() error {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return err
	}
	h := &hosted{r: fds[0], w: fds[1], loans: map[int]func(){}}
	err := spare(fds[1])
	if err == nil {
		err = h.take(p)
	}
	if err == nil && p.readers == 0 {
		h.closeSide(&h.r)
	}
	if err == nil && p.writers == 0 {
		h.closeSide(&h.w)
	}
	if err != nil {
		h.close()
		return err
	}
	p.slots.clear()
	p.host = h
	h.watch(p)
	return nil
}

// spare is an error when the number of a new descriptor says that half of all that
// this program can have are in use: the rest is for what guests cannot do without.
func spare(fd int) error {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return err
	}
	if uint64(fd) >= r.Cur/2 {
		return syscall.EMFILE
	}
	return nil
}

// take puts the bytes of p into the host's pipe, which must have p's size.
func (h *hosted) take(p *pipe) error {
	size, err := unix.FcntlInt(uintptr(h.w), unix.F_GETPIPE_SZ, 0)
	if err == nil && size != int(p.max)*pageSize {
		size, err = unix.FcntlInt(uintptr(h.w), unix.F_SETPIPE_SZ, int(p.max)*pageSize)
	}
	if err != nil {
		return err
	}
	if size != int(p.max)*pageSize {
		return syscall.EOPNOTSUPP
	}
	for i := range p.slots.len() {
		s := p.slots.at(p.slots.tail + i)
		if s.packet {
			return syscall.EOPNOTSUPP
		}
		if n, err := hostwait.Retry(func() (int, error) { return unix.Write(h.w, s.bytes()) }); err != nil || n < int(s.len) {
			return errors.Join(syscall.EOPNOTSUPP, err)
		}
	}
	return nil
}

// watch has the pipe's waiters hear of both sides, as they are now. p.mu is held.
func (h *hosted) watch(p *pipe) {
	if h.watcher != nil {
		h.watcher.Close()
	}
	var fds []int
	for _, fd := range []int{h.r, h.w} {
		if fd >= 0 {
			fds = append(fds, fd)
		}
	}
	h.watcher = hostwait.Edges(&p.queue, fds...)
	h.watcher.Again()
}

func (h *hosted) closeSide(fd *int) {
	if *fd >= 0 {
		unix.Close(*fd)
		*fd = -1
	}
}

func (h *hosted) close() {
	if h.watcher != nil {
		h.watcher.Close()
	}
	h.closeSide(&h.r)
	h.closeSide(&h.w)
}

// sides opens and closes descriptors as the pipe's ends have come and gone. p.mu is
// held.
func (p *pipe) sides() error {
	h := p.host
	had := [2]int{h.r, h.w}
	if h.r < 0 && p.readers > 0 {
		fd, err := h.open(unix.O_RDONLY | unix.O_NONBLOCK)
		if err != nil {
			return err
		}
		h.r = fd
	}
	if h.w < 0 && p.writers > 0 {
		fd, err := h.open(unix.O_WRONLY | unix.O_NONBLOCK)
		if err != nil {
			return err
		}
		h.w = fd
	}
	if p.files == 0 {
		h.close()
		p.host = nil
		p.tellUnhosted()
		return nil
	}
	if p.readers == 0 {
		h.closeSide(&h.r)
	}
	if p.writers == 0 {
		h.closeSide(&h.w)
	}
	if had != [2]int{h.r, h.w} {
		h.watch(p)
	}
	return nil
}

// read and write are the host's, without waiting. p.mu is held.
func (h *hosted) read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return hostwait.Retry(func() (int, error) { return unix.Read(h.r, b) })
}

func (h *hosted) write(b []byte, packet bool) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if packet { // by an end that was opened so when the pipe was the host's already
		fd, err := h.open(unix.O_WRONLY | unix.O_NONBLOCK | unix.O_DIRECT)
		if err != nil {
			return 0, err
		}
		defer unix.Close(fd)
		return hostwait.Retry(func() (int, error) { return unix.Write(fd, b) })
	}
	// Also when our own end for reading is closed: a process may still be in a read
	// that it has begun by itself. The host knows.
	return hostwait.Retry(func() (int, error) { return unix.Write(h.w, b) })
}

// poll asks the host about an end. p.mu is held.
func (h *hosted) poll(e *End, mask vfs.Events) (ev vfs.Events) {
	if e.read {
		ev |= hostwait.Now(h.r, mask&^vfs.EventsOut)
		if h.w < 0 && e.writerGen == e.pipe.writerGen {
			ev &^= vfs.EventHup
		}
	}
	if e.write {
		ev |= hostwait.Now(h.w, mask&^vfs.EventsIn)
	}
	return ev
}

// buffered is FIONREAD. p.mu is held.
func (h *hosted) buffered() int {
	n, _ := unix.IoctlGetInt(max(h.r, h.w), unix.TIOCINQ)
	return n
}

// returned closes a descriptor that was lent. With the last of a pipe that is to be
// ours again, it is.
func (p *pipe) returned(fd int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	unix.Close(fd) // under the lock: the number may be the next loan's at once
	if p.host == nil {
		return
	}
	delete(p.host.loans, fd)
	if p.ours && len(p.host.loans) == 0 {
		p.fromHost()
	}
}

// Unhost makes the pipe ours for good, and returns a channel that is closed when it
// is, after which woken is called; nil when it is ours already.
func (e *End) Unhost(woken func()) <-chan struct{} {
	p := e.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ours = true
	if p.host == nil {
		return nil
	}
	if p.unhosted == nil {
		p.unhosted = make(chan struct{})
	}
	done := p.unhosted
	p.waiting = append(p.waiting, woken)
	if len(p.host.loans) == 0 {
		p.fromHost()
	}
	for _, recall := range p.loansOut() {
		recall()
	}
	return done
}

// loansOut returns what calls the lent descriptors back. p.mu is held.
func (p *pipe) loansOut() (all []func()) {
	if p.host != nil {
		for _, recall := range p.host.loans {
			all = append(all, recall)
		}
	}
	return all
}

// fromHost takes the bytes back; nobody else uses the host's pipe any more. p.mu is
// held.
func (p *pipe) fromHost() {
	h := p.host
	for h.r < 0 && h.w >= 0 { // what was written for readers to come
		fd, err := h.open(unix.O_RDONLY | unix.O_NONBLOCK)
		if err != nil {
			break
		}
		h.r = fd
	}
	for h.r >= 0 {
		pg := getPage()
		n, err := hostwait.Retry(func() (int, error) { return unix.Read(h.r, pg[:]) })
		if n == 0 || err != nil {
			pages.Put(pg)
			break
		}
		p.slots.push(slot{page: pg, len: uint16(n), mergeable: true})
	}
	h.close()
	p.host = nil
	p.tellUnhosted()
	p.queue.Notify(vfs.EventsIn | vfs.EventsOut)
}

// tellUnhosted tells who waits for it that the pipe is ours. p.mu is held.
func (p *pipe) tellUnhosted() {
	if p.unhosted == nil {
		return
	}
	close(p.unhosted)
	p.unhosted = nil
	for _, woken := range p.waiting {
		woken()
	}
	p.waiting = nil
}
