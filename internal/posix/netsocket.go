package posix

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// netSocket is the file of a network's socket, with what concerns those who wait for
// it.
type netSocket struct {
	vfs.Socket
	waits
	k *Kernel
	netKind
	uid      uint32       // of who made it
	serial   uint64       // of sockets, in the order they are made
	lookers  int          // in /proc/net; with gone it is netTable.mu's
	gone     bool         // it is to be closed by the last of them
	lowWater atomic.Int32 // SO_RCVLOWAT
	held     held
	about    atomic.Pointer[netAbout]
}

// netKind is what socket(2) was asked for.
type netKind struct{ family, typ, protocol int }

// Close ends the socket.
func (s *netSocket) Close() error {
	if !s.k.nets.remove(s) {
		return nil
	}
	return s.Socket.Close()
}

// Read and Write are for those who move bytes between files.
func (s *netSocket) Read(ctx context.Context, p []byte, _ int64) (int, error) {
	n, err := s.Receive(ctx, &vfs.Packet{Data: p})
	return min(n, len(p)), err
}

func (s *netSocket) Write(ctx context.Context, p []byte, _ int64) (int, error) {
	return s.Send(ctx, &vfs.Packet{Data: p})
}

// Ioctl implements vfs.Ioctler.
func (s *netSocket) Ioctl(ctx context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	if i, ok := s.Socket.(vfs.Ioctler); ok {
		return i.Ioctl(ctx, cmd, arg)
	}
	return 0, syscall.ENOTTY
}

// IsStream implements vfs.Streamer.
func (s *netSocket) IsStream() bool { return true }

// Lend lends the socket of a connection to processes that only send and receive, with
// no time limit: the host knows nothing of that.
func (s *netSocket) Lend(ctx context.Context, own bool, recall func()) (vfs.Loan, error) {
	l, ok := s.Socket.(vfs.Lender)
	switch {
	case !ok || s.typ != unix.SOCK_STREAM:
		return vfs.Loan{}, syscall.EOPNOTSUPP
	case s.recvTimeout.Load() != 0 || s.sendTimeout.Load() != 0 || s.lowWater.Load() > 1 || s.held.some.Load():
		return vfs.Loan{}, syscall.EAGAIN
	}
	return l.Lend(ctx, own, recall)
}

// newNetDescription returns the description of a network's socket. flags are
// socket(2)'s.
func (t *Task) newNetDescription(s vfs.Socket, kind netKind, flags int) *Description {
	f := &netSocket{Socket: s, k: t.k, netKind: kind, uid: t.creds.Load().FSUID, serial: lastNetSocket.Add(1)}
	f.lowWater.Store(1)
	t.k.nets.add(f)
	return newDescription(f, anonymous(s.Node(), "socket:["+utoa(inoOf(s))+"]"), unix.O_RDWR|flags&unix.O_NONBLOCK)
}

var lastNetSocket atomic.Uint64

func (t *Task) newNetSocket(family, typ, protocol, flags int) (*Description, error) {
	s, err := t.k.netSocket(t.context(), family, typ, protocol)
	if err != nil {
		return nil, unseen(err)
	}
	return t.newNetDescription(s, netKind{family, typ, protocol}, flags), nil
}

// netSocket makes a socket, of the network or about it.
func (k *Kernel) netSocket(ctx context.Context, family, typ, protocol int) (vfs.Socket, error) {
	if family == unix.AF_NETLINK {
		return k.netlink.Socket(ctx, typ, protocol)
	}
	return k.config.Network.Socket(ctx, family, typ, protocol)
}

// retrySocket does op until it says something else than EAGAIN, or patience ends.
func (t *Task) retrySocket(s vfs.Pollable, events vfs.Events, p *patience, op func() error) error {
	err := op()
	if errnoOf(err) != syscall.EAGAIN || p.none {
		return p.answered(err)
	}
	w := vfs.Waiter{Mask: events, Wake: func(*vfs.Waiter, vfs.Events) { t.wakeUp() }}
	s.Watch(&w)
	defer s.Unwatch(&w)
	for {
		// Not by Poll: an error that waits in the queue of errors is none of ours.
		if err := op(); errnoOf(err) != syscall.EAGAIN {
			return p.answered(err)
		}
		if err := p.slept(t.sleep(p.deadline)); err != nil {
			return err
		}
	}
}

// answered is the result of an attempt that ended with err. A server that is far away
// may have been interrupted in one that Linux makes at once.
func (p *patience) answered(err error) error {
	if p.none {
		return unseen(err)
	}
	if p.timed && vfs.Interrupted(err) {
		return syscall.EINTR
	}
	return err
}

// unseen hides an interrupt from a call that knows none: nothing has happened, and it
// is made again.
func unseen(err error) error {
	if vfs.Interrupted(err) {
		return abi.ERESTARTNOINTR
	}
	return err
}

// atOnce is for calls on sockets that Linux answers at once.
func atOnce(f func(*Task, *Description, *netSocket, *Args) (uint64, error)) func(*Task, *Description, *netSocket, *Args) (uint64, error) {
	return func(t *Task, d *Description, s *netSocket, a *Args) (uint64, error) {
		n, err := f(t, d, s, a)
		return n, unseen(err)
	}
}

// socketWait waits between splice's attempts at a file that said EAGAIN.
// A network's socket is tried anew when something has happened, and not when it looks
// ready: an error in its queue of errors would make it look so for ever.
type socketWait struct {
	watched vfs.Pollable
	waiter  vfs.Waiter
	patience
}

// wait waits before the next attempt; end ends the waits.
func (a *socketWait) wait(t *Task, d *Description, events vfs.Events) error {
	if d.net == nil {
		return t.await(d.file, events, noDeadline)
	}
	if a.watched == nil {
		if a.patience = d.net.patience(events); a.none {
			return syscall.EAGAIN
		}
		a.waiter = vfs.Waiter{Mask: events, Wake: func(*vfs.Waiter, vfs.Events) { t.wakeUp() }}
		a.watched = d.net
		d.net.Watch(&a.waiter)
		return nil
	}
	return a.slept(t.sleep(a.deadline))
}

func (a *socketWait) end() {
	if a.watched != nil {
		a.watched.Unwatch(&a.waiter)
	}
}

// patience is that of a call that waits for events.
func (w *waits) patience(events vfs.Events) patience {
	if events&vfs.EventOut != 0 {
		return patienceOf(false, w.sendTimeout.Load())
	}
	return patienceOf(false, w.recvTimeout.Load())
}

func netBind(t *Task, _ *Description, s *netSocket, a *Args) (uint64, error) {
	addr, err := t.copyInSockaddr(a[1], a.Int(2))
	if err != nil {
		return 0, err
	}
	if reserved(addr) && !t.capable(unix.CAP_NET_BIND_SERVICE) {
		return 0, syscall.EACCES
	}
	if err := s.Bind(t.context(), addr); err != nil {
		return 0, err
	}
	s.note("at", addr)
	return 0, nil
}

// reserved reports whether a socket address has a port that only the privileged may
// have.
func reserved(addr []byte) bool {
	if len(addr) < 4 {
		return false
	}
	switch binary.NativeEndian.Uint16(addr) {
	case unix.AF_UNSPEC, unix.AF_INET, unix.AF_INET6: // AF_UNSPEC counts as AF_INET
		port := binary.BigEndian.Uint16(addr[2:])
		return port != 0 && port < unprivilegedPorts
	}
	return false
}

// unprivilegedPorts is /proc/sys/net/ipv4/ip_unprivileged_port_start.
const unprivilegedPorts = 1024

func netListen(t *Task, _ *Description, s *netSocket, a *Args) (uint64, error) {
	if err := s.Listen(t.context(), a.Int(1)); err != nil {
		return 0, err
	}
	if addr, err := s.Addr(t.context(), false); err == nil {
		s.note("listens on", addr)
	}
	return 0, nil
}

// acceptNet accepts a connection, and tells who made it.
func (t *Task) acceptNet(d *Description, s *netSocket, flags int) (conn *Description, peer []byte, err error) {
	var c vfs.Socket
	p := patienceOf(d.nonblocking(), s.recvTimeout.Load())
	err = t.retrySocket(s, vfs.EventsIn, &p, func() (err error) {
		c, peer, err = s.Accept(t.context())
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	conn = t.newNetDescription(c, s.netKind, flags)
	conn.net.note("from", peer)
	return conn, peer, nil
}

// connectNet connects, or waits for the connection that is being made.
func (t *Task) connectNet(d *Description, s *netSocket, addr []byte) error {
	if err := t.own(d); err != nil {
		return err
	}
	s.note("to", addr)
	p := patienceOf(d.nonblocking(), s.sendTimeout.Load())
	var under error // EINPROGRESS, or EALREADY if somebody began before
	err := t.retrySocket(s, vfs.EventsOut, &p, func() error {
		err := s.Connect(t.context(), addr)
		switch errnoOf(err) {
		case syscall.EINPROGRESS, syscall.EALREADY:
			if under == nil {
				under = err
			}
			return syscall.EAGAIN
		case syscall.EISCONN:
			if under != nil { // another thread, which waited for the same, heard of it
				return nil
			}
		}
		return err
	})
	if errnoOf(err) == syscall.EAGAIN && p.none && under != nil {
		return under
	}
	return err
}

func netGetsockname(t *Task, _ *Description, s *netSocket, a *Args) (uint64, error) {
	return t.netName(s, a, false)
}

func netGetpeername(t *Task, _ *Description, s *netSocket, a *Args) (uint64, error) {
	return t.netName(s, a, true)
}

func (t *Task) netName(s *netSocket, a *Args, peer bool) (uint64, error) {
	addr, err := s.Addr(t.context(), peer)
	if err != nil {
		return 0, err
	}
	return 0, t.copyOutSockaddr(addr, a[1], a[2])
}

func netShutdown(t *Task, _ *Description, s *netSocket, a *Args) (uint64, error) {
	return 0, s.Shutdown(t.context(), a.Int(1))
}
