package remote

import (
	"context"
	"maps"
	"slices"
	"sync"
	"syscall"

	"github.com/hati-os/hati/internal/servers/hostwait"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/netwire"
	"golang.org/x/sys/unix"
)

// lentSocket is the stream socket of the host behind a socket, which the server has
// another descriptor of. It is used under netSocket.mu.
type lentSocket struct {
	o       *lane.File
	watcher *hostwait.Watcher
}

// hostSocket takes the object that came with a socket, nil if there was to be none. It
// is false for what no honest server sends.
func hostSocket(w netwire.Socket, got []lane.Object) (o *lane.File, ok bool) {
	if len(got) == 1 {
		o, _ = got[0].(*lane.File)
	}
	ok = w.ID != 0 && w.Bits&^uint32(netwire.SocketBits) == 0 && (w.Bits&netwire.SocketLent != 0) == (o != nil) && len(got) <= 1
	if ok && o != nil {
		typ, err := unix.GetsockoptInt(o.FD(), unix.SOL_SOCKET, unix.SO_TYPE)
		ok = err == nil && typ == unix.SOCK_STREAM
	}
	if !ok {
		for _, x := range got {
			x.Close()
		}
		return nil, false
	}
	return o, true
}

// close ends the use of the descriptor.
func (l *lentSocket) close() {
	l.watcher.Close()
	l.o.Close()
}

// connected reports whether the socket is one that goes on without its server.
func (l *lentSocket) connected() bool {
	_, err := unix.Getpeername(l.o.FD())
	return err == nil
}

// Flags with which streams are sent and received without asking the server. What
// others mean, it decides.
const (
	lentSend    = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL | unix.MSG_MORE | unix.MSG_OOB | unix.MSG_EOR
	lentReceive = unix.MSG_DONTWAIT | unix.MSG_PEEK | unix.MSG_TRUNC | unix.MSG_OOB | unix.MSG_WAITALL | unix.MSG_CMSG_CLOEXEC
)

func (l *lentSocket) send(m *vfs.Packet) (int, error) {
	return hostwait.Retry(func() (int, error) {
		return unix.SendmsgN(l.o.FD(), m.Data, nil, nil, m.Flags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	})
}

// receive fills m. What comes with bytes of a stream has no addresses in it.
func (l *lentSocket) receive(m *vfs.Packet) (int, error) {
	control := m.Control[:cap(m.Control)]
	var controlled, flags int
	n, err := hostwait.Retry(func() (n int, err error) {
		n, controlled, flags, _, err = unix.Recvmsg(l.o.FD(), m.Data, control, m.Flags&^unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
		return n, err
	})
	if err != nil {
		return 0, err
	}
	m.Addr, m.Control, m.Flags = m.Addr[:0], control[:controlled], flags
	return n, nil
}

// onLent is who has a descriptor of the socket from here.
type onLent struct {
	mu   sync.Mutex // a leaf
	last int
	to   map[int]func() // their recalls
}

// Lend lends the socket on, to be sent to and received from: see vfs.Lender.
func (n *netSocket) Lend(_ context.Context, _ bool, recall func()) (vfs.Loan, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.host == nil {
		return vfs.Loan{}, syscall.EOPNOTSUPP
	}
	fd, err := unix.FcntlInt(uintptr(n.host.o.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return vfs.Loan{}, err
	}
	number := n.onLent.add(recall)
	return vfs.Loan{FD: fd, Return: sync.OnceFunc(func() {
		n.onLent.remove(number)
		_ = unix.SetNonblock(fd, true) // which its user may have changed for all
		unix.Close(fd)
	})}, nil
}

func (l *onLent) add(recall func()) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.to == nil {
		l.to = map[int]func(){}
	}
	l.last++
	l.to[l.last] = recall
	return l.last
}

func (l *onLent) remove(number int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.to, number)
}

// recall has all of them back.
func (l *onLent) recall() {
	l.mu.Lock()
	all := slices.Collect(maps.Values(l.to))
	clear(l.to)
	l.mu.Unlock()
	for _, recall := range all {
		if recall != nil {
			recall()
		}
	}
}
