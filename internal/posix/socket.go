package posix

import (
	"sync/atomic"
	"syscall"
	"time"

	unixsock "github.com/hati-os/hati/internal/servers/unix"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// socketCalls are the calls on sockets. Those that wait become EINTR, whatever
// the handler says, when the socket has a timeout: see patience.
var socketCalls = calls{
	unix.SYS_SOCKET:      {fn: sysSocket, blocks: killable},
	unix.SYS_SOCKETPAIR:  {fn: sysSocketpair},
	unix.SYS_BIND:        {fn: onSocket(sysBind, atOnce(netBind)), blocks: interruptible},
	unix.SYS_LISTEN:      {fn: onSocket(sysListen, atOnce(netListen)), blocks: killable},
	unix.SYS_ACCEPT:      {fn: sysAccept, blocks: interruptible},
	unix.SYS_ACCEPT4:     {fn: sysAccept4, blocks: interruptible},
	unix.SYS_CONNECT:     {fn: sysConnect, blocks: interruptible},
	unix.SYS_GETSOCKNAME: {fn: onSocket(sysGetsockname, atOnce(netGetsockname)), blocks: killable},
	unix.SYS_GETPEERNAME: {fn: onSocket(sysGetpeername, atOnce(netGetpeername)), blocks: killable},
	unix.SYS_SHUTDOWN:    {fn: onSocket(sysShutdown, atOnce(netShutdown)), blocks: killable},
	unix.SYS_SETSOCKOPT:  {fn: onSocket(sysSetsockopt, atOnce(netSetsockopt)), blocks: killable},
	unix.SYS_GETSOCKOPT:  {fn: onSocket(sysGetsockopt, atOnce(netGetsockopt)), blocks: killable},
	unix.SYS_SENDTO:      {fn: onSocket(sysSendto, netSendto), blocks: interruptible},
	unix.SYS_SENDMSG:     {fn: onSocket(sysSendmsg, netSendmsg), blocks: interruptible},
	unix.SYS_SENDMMSG:    {fn: sysSendmmsg, blocks: interruptible},
	unix.SYS_RECVFROM:    {fn: onSocket(sysRecvfrom, netRecvfrom), blocks: interruptible},
	unix.SYS_RECVMSG:     {fn: onSocket(sysRecvmsg, netRecvmsg), blocks: interruptible},
	unix.SYS_RECVMMSG:    {fn: sysRecvmmsg, blocks: interruptible},
}

const (
	sockTypeMask = 0xf
	sockTypeMax  = 11 // SOCK_MAX
)

// socket is the file of an AF_UNIX socket: a server's, with what concerns those who
// wait for it. See netSocket for the others.
type socket struct {
	*unixsock.Socket
	waits
	lowWater atomic.Int32  // SO_RCVLOWAT
	linger   atomic.Uint64 // SO_LINGER, which a unix socket keeps only
}

// waits are the options about those who wait for a socket.
type waits struct {
	// SO_RCVTIMEO and SO_SNDTIMEO in ns: 0 is none, -1 not to wait at all.
	recvTimeout, sendTimeout atomic.Int64
}

func newSocket(s *unixsock.Socket) *socket {
	f := &socket{Socket: s}
	f.lowWater.Store(1)
	return f
}

// description returns a new open file of s. flags are socket(2)'s.
func (s *socket) description(flags int) *Description {
	return newDescription(s, anonymous(s.Node(), "socket:["+utoa(inoOf(s))+"]"), unix.O_RDWR|flags&unix.O_NONBLOCK)
}

// socketFile returns the description of the socket behind fd, with a reference.
func (t *Task) socketFile(fd int) (*Description, error) {
	d, err := t.fds.get(fd)
	if err != nil {
		return nil, err
	}
	if d.sock == nil && d.net == nil {
		d.release()
		return nil, syscall.ENOTSOCK
	}
	return d, nil
}

// onSocket is a call on a socket, of AF_UNIX or of a network.
func onSocket(own func(*Task, *Description, *socket, *Args) (uint64, error),
	other func(*Task, *Description, *netSocket, *Args) (uint64, error)) func(*Task, *Args) (uint64, error) {
	return func(t *Task, a *Args) (uint64, error) {
		d, err := t.socketFile(a.Int(0))
		if err != nil {
			return 0, err
		}
		defer d.release()
		if d.net != nil {
			return other(t, d, d.net, a)
		}
		return own(t, d, d.sock, a)
	}
}

// ucred is who the task is for SO_PEERCRED; messages say the real ids.
func (t *Task) ucred() unixsock.Cred {
	c := t.creds.Load()
	return unixsock.Cred{PID: int32(t.proc.pid), UID: c.EUID, GID: c.EGID}
}

func (t *Task) senderCred() unixsock.Cred {
	c := t.creds.Load()
	return unixsock.Cred{PID: int32(t.proc.pid), UID: c.UID, GID: c.GID}
}

// patience is how long a call on a socket waits.
type patience struct {
	none     bool
	timed    bool
	deadline time.Time
}

// patienceOf returns it for a call that begins now, with a timeout as socket
// keeps it.
func patienceOf(dontWait bool, timeout int64) patience {
	p := patience{none: dontWait || timeout < 0}
	if timeout > 0 && !p.none {
		p.timed, p.deadline = true, time.Now().Add(time.Duration(timeout))
	}
	return p
}

// awaitSocket waits for one of events: EAGAIN when there is no patience left,
// EINTR when a timed wait was interrupted (signal(7)).
func (t *Task) awaitSocket(f vfs.Pollable, events vfs.Events, p *patience) error {
	if p.none {
		return syscall.EAGAIN
	}
	return p.slept(t.awaitPollable(f, events, p.deadline))
}

// slept is the result of a call whose wait ended with err.
func (p *patience) slept(err error) error {
	switch {
	case err == errTimeout:
		p.none = true
		return syscall.EAGAIN
	case p.timed && vfs.Interrupted(err):
		return syscall.EINTR
	}
	return err
}

// socketType takes the flags off socket(2)'s type, and says whether the family is a
// network's.
func (t *Task) socketType(family, typ int) (kind, flags int, net bool, err error) {
	flags = typ &^ sockTypeMask
	kind = typ & sockTypeMask
	switch net = family != unix.AF_UNIX; {
	case flags&^(unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK) != 0:
		err = syscall.EINVAL
	case family < 0 || family >= unix.AF_MAX:
		err = syscall.EAFNOSUPPORT
	case kind >= sockTypeMax:
		err = syscall.EINVAL
	case net && t.k.config.Network == nil:
		err = syscall.EAFNOSUPPORT
	}
	return kind, flags, net, err
}

func sysSocket(t *Task, a *Args) (uint64, error) {
	family := a.Int(0)
	typ, flags, net, err := t.socketType(family, a.Int(1))
	if err != nil {
		return 0, err
	}
	var d *Description
	if net {
		d, err = t.newNetSocket(family, typ, a.Int(2), flags)
	} else {
		var s *unixsock.Socket
		if s, err = t.k.sockets.New(typ, a.Int(2), t.ucred()); err == nil {
			d = newSocket(s).description(flags)
		}
	}
	if err != nil {
		return 0, err
	}
	fd, err := t.installDescription(d, flags&unix.SOCK_CLOEXEC != 0)
	return uint64(fd), err
}

func sysSocketpair(t *Task, a *Args) (uint64, error) {
	typ, flags, net, err := t.socketType(a.Int(0), a.Int(1))
	if err != nil {
		return 0, err
	}
	if net {
		return 0, syscall.EOPNOTSUPP
	}
	cloexec := flags&unix.SOCK_CLOEXEC != 0
	fd, err := t.reserveFD(cloexec)
	if err != nil {
		return 0, err
	}
	fd2, err := t.reserveFD(cloexec)
	if err != nil {
		t.fds.unreserve(fd)
		return 0, err
	}
	err = t.copyOutUint64(a[3], uint64(uint32(fd))|uint64(fd2)<<32)
	var s, s2 *unixsock.Socket
	if err == nil {
		s, s2, err = t.k.sockets.Pair(typ, a.Int(2), t.ucred())
	}
	if err != nil {
		t.fds.unreserve(fd)
		t.fds.unreserve(fd2)
		return 0, err
	}
	t.fds.install(fd, newSocket(s).description(flags))
	t.fds.install(fd2, newSocket(s2).description(flags))
	return 0, nil
}

func sysBind(t *Task, d *Description, s *socket, a *Args) (uint64, error) {
	raw, err := t.copyInSockaddr(a[1], a.Int(2))
	if err != nil {
		return 0, err
	}
	addr, err := unixsock.ParseAddr(raw)
	if err != nil {
		return 0, err
	}
	switch addr.Kind {
	case unixsock.Unnamed:
		return 0, s.Autobind()
	case unixsock.Abstract:
		return 0, s.BindAbstract(addr.Name)
	case unixsock.Path:
		return 0, t.bindPath(s, addr.Name)
	}
	return 0, syscall.EINVAL
}

func sysListen(t *Task, d *Description, s *socket, a *Args) (uint64, error) {
	return 0, s.Listen(a.Int(1), t.ucred())
}

func sysAccept(t *Task, a *Args) (uint64, error) { return t.accept(a, 0) }

func sysAccept4(t *Task, a *Args) (uint64, error) { return t.accept(a, a.Int(3)) }

// accept takes the descriptor's number first: without one no connection is
// lost.
func (t *Task) accept(a *Args, flags int) (uint64, error) {
	if flags&^(unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK) != 0 {
		return 0, syscall.EINVAL
	}
	d, err := t.socketFile(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	fd, err := t.reserveFD(flags&unix.SOCK_CLOEXEC != 0)
	if err != nil {
		return 0, err
	}
	var conn *Description
	var peer []byte
	if d.net != nil {
		conn, peer, err = t.acceptNet(d, d.net, flags)
	} else {
		conn, peer, err = t.acceptUnix(d, d.sock, flags, a[1] != 0)
	}
	if err == nil && a[1] != 0 {
		if err = t.copyOutSockaddr(peer, a[1], a[2]); err != nil {
			conn.release()
		}
	}
	if err != nil {
		t.fds.unreserve(fd)
		return 0, err
	}
	t.fds.install(fd, conn)
	return uint64(fd), nil
}

// acceptUnix accepts a connection, and with named finds out who made it.
func (t *Task) acceptUnix(d *Description, s *socket, flags int, named bool) (*Description, []byte, error) {
	conn, err := t.acceptFrom(d, s)
	if err != nil {
		return nil, nil, err
	}
	var peer unixsock.Addr
	if named {
		if peer, err = conn.PeerName(); err != nil {
			conn.Close()
			return nil, nil, syscall.ECONNABORTED
		}
	}
	return newSocket(conn).description(flags), peer.Append(nil), nil
}

func (t *Task) acceptFrom(d *Description, s *socket) (*unixsock.Socket, error) {
	p := patienceOf(d.nonblocking(), s.recvTimeout.Load())
	for {
		conn, err := s.Accept(!p.none)
		if err != syscall.EAGAIN {
			return conn, err
		}
		if err := t.awaitSocket(s, vfs.EventsIn, &p); err != nil {
			return nil, err
		}
	}
}

func sysConnect(t *Task, a *Args) (uint64, error) {
	d, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	raw, err := t.copyInSockaddr(a[1], a.Int(2))
	if err != nil {
		return 0, err
	}
	switch {
	case d.net != nil:
		return 0, t.connectNet(d, d.net, raw)
	case d.sock == nil:
		return 0, syscall.ENOTSOCK
	}
	return 0, t.connect(d, d.sock, raw)
}

func (t *Task) connect(d *Description, s *socket, raw []byte) error {
	addr, err := unixsock.ParseAddr(raw)
	if err != nil {
		return err
	}
	switch addr.Kind {
	case unixsock.Unspec:
		return s.Disconnect()
	case unixsock.Unnamed:
		return syscall.EINVAL
	}
	if err := s.WantName(); err != nil {
		return err
	}
	p := patienceOf(d.nonblocking(), s.sendTimeout.Load())
	for {
		to, err := t.findSocket(addr, s.Type())
		if err != nil {
			return err
		}
		if err = s.Connect(to, t.ucred()); err != syscall.EAGAIN {
			return err
		}
		if err := t.awaitSocket(to.Room(), vfs.EventsOut, &p); err != nil {
			return err
		}
	}
}

func sysGetsockname(t *Task, d *Description, s *socket, a *Args) (uint64, error) {
	return 0, t.copyOutSockaddr(s.Name().Append(nil), a[1], a[2])
}

func sysGetpeername(t *Task, d *Description, s *socket, a *Args) (uint64, error) {
	peer, err := s.PeerName()
	if err != nil {
		return 0, err
	}
	return 0, t.copyOutSockaddr(peer.Append(nil), a[1], a[2])
}

func sysShutdown(t *Task, d *Description, s *socket, a *Args) (uint64, error) {
	return 0, s.Shutdown(a.Int(1))
}
