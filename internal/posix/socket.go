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
	unix.SYS_SOCKET:      {fn: sysSocket},
	unix.SYS_SOCKETPAIR:  {fn: sysSocketpair},
	unix.SYS_BIND:        {fn: sysBind, blocks: interruptible},
	unix.SYS_LISTEN:      {fn: sysListen},
	unix.SYS_ACCEPT:      {fn: sysAccept, blocks: interruptible},
	unix.SYS_ACCEPT4:     {fn: sysAccept4, blocks: interruptible},
	unix.SYS_CONNECT:     {fn: sysConnect, blocks: interruptible},
	unix.SYS_GETSOCKNAME: {fn: sysGetsockname},
	unix.SYS_GETPEERNAME: {fn: sysGetpeername},
	unix.SYS_SHUTDOWN:    {fn: sysShutdown},
	unix.SYS_SETSOCKOPT:  {fn: sysSetsockopt},
	unix.SYS_GETSOCKOPT:  {fn: sysGetsockopt},
	unix.SYS_SENDTO:      {fn: sysSendto, blocks: interruptible},
	unix.SYS_SENDMSG:     {fn: sysSendmsg, blocks: interruptible},
	unix.SYS_SENDMMSG:    {fn: sysSendmmsg, blocks: interruptible},
	unix.SYS_RECVFROM:    {fn: sysRecvfrom, blocks: interruptible},
	unix.SYS_RECVMSG:     {fn: sysRecvmsg, blocks: interruptible},
	unix.SYS_RECVMMSG:    {fn: sysRecvmmsg, blocks: interruptible},
}

const (
	sockTypeMask = 0xf
	sockTypeMax  = 11 // SOCK_MAX
)

// socket is the file of a socket: a server's, with what concerns those who wait
// for it.
type socket struct {
	*unixsock.Socket
	// SO_RCVTIMEO and SO_SNDTIMEO in ns: 0 is none, -1 not to wait at all.
	recvTimeout, sendTimeout atomic.Int64
	lowWater                 atomic.Int32  // SO_RCVLOWAT
	linger                   atomic.Uint64 // SO_LINGER, which a unix socket keeps only
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

// socketOf returns the socket behind fd, with a reference to its description.
func (t *Task) socketOf(fd int) (*Description, *socket, error) {
	d, err := t.fds.get(fd)
	if err != nil {
		return nil, nil, err
	}
	if d.sock == nil {
		d.release()
		return nil, nil, syscall.ENOTSOCK
	}
	return d, d.sock, nil
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
	err := t.awaitPollable(f, events, p.deadline)
	switch {
	case err == errTimeout:
		p.none = true
		return syscall.EAGAIN
	case p.timed && vfs.Interrupted(err):
		return syscall.EINTR
	}
	return err
}

// socketType takes the flags off socket(2)'s type.
func socketType(family, typ int) (int, int, error) {
	flags := typ &^ sockTypeMask
	typ &= sockTypeMask
	switch {
	case flags&^(unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK) != 0:
		return 0, 0, syscall.EINVAL
	case family != unix.AF_UNIX && (family < 0 || family >= unix.AF_MAX):
		return 0, 0, syscall.EAFNOSUPPORT
	case typ >= sockTypeMax:
		return 0, 0, syscall.EINVAL
	case family != unix.AF_UNIX:
		return 0, 0, syscall.EAFNOSUPPORT
	}
	return typ, flags, nil
}

func sysSocket(t *Task, a *Args) (uint64, error) {
	typ, flags, err := socketType(a.Int(0), a.Int(1))
	if err != nil {
		return 0, err
	}
	s, err := t.k.sockets.New(typ, a.Int(2), t.ucred())
	if err != nil {
		return 0, err
	}
	fd, err := t.installDescription(newSocket(s).description(flags), flags&unix.SOCK_CLOEXEC != 0)
	return uint64(fd), err
}

func sysSocketpair(t *Task, a *Args) (uint64, error) {
	typ, flags, err := socketType(a.Int(0), a.Int(1))
	if err != nil {
		return 0, err
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

func sysBind(t *Task, a *Args) (uint64, error) {
	d, s, err := t.socketOf(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
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

func sysListen(t *Task, a *Args) (uint64, error) {
	d, s, err := t.socketOf(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
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
	d, s, err := t.socketOf(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	fd, err := t.reserveFD(flags&unix.SOCK_CLOEXEC != 0)
	if err != nil {
		return 0, err
	}
	conn, err := t.acceptFrom(d, s)
	if err == nil && a[1] != 0 {
		var peer unixsock.Addr
		if peer, err = conn.PeerName(); err != nil {
			err = syscall.ECONNABORTED
		} else {
			err = t.copyOutSockaddr(peer.Append(nil), a[1], a[2])
		}
		if err != nil {
			conn.Close()
		}
	}
	if err != nil {
		t.fds.unreserve(fd)
		return 0, err
	}
	t.fds.install(fd, newSocket(conn).description(flags))
	return uint64(fd), nil
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
	if d.sock == nil {
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

func sysGetsockname(t *Task, a *Args) (uint64, error) {
	d, s, err := t.socketOf(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	return 0, t.copyOutSockaddr(s.Name().Append(nil), a[1], a[2])
}

func sysGetpeername(t *Task, a *Args) (uint64, error) {
	d, s, err := t.socketOf(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	peer, err := s.PeerName()
	if err != nil {
		return 0, err
	}
	return 0, t.copyOutSockaddr(peer.Append(nil), a[1], a[2])
}

func sysShutdown(t *Task, a *Args) (uint64, error) {
	d, s, err := t.socketOf(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	return 0, s.Shutdown(a.Int(1))
}
