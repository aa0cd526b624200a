package fuse

import (
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Attach mounts a daemon on the host that has the other end of the socket of
// [Socketpair] in place of /dev/fuse. The FS owns the socket, and closes it when
// the connection has ended.
func Attach(s *os.File, o Options) (*FS, error) {
	size, err := room(s)
	if err != nil {
		return nil, fmt.Errorf("fuse: the channel: %w", err)
	}
	if o.MaxMessage == 0 || o.MaxMessage > size {
		o.MaxMessage = size
	}
	fs := newFS(o)
	l := &pump{s: s, c: fs.conn, wanted: make(chan struct{}, 1)}
	fs.conn.poke, fs.conn.onHost = l.poke, true
	fs.begin()
	go l.send()
	go l.receive(size)
	return fs, nil
}

// Socketpair makes a channel for [Attach]: hati's end and the daemon's. The
// messages of a sequenced-packet socket are what a read, a write and a splice
// of /dev/fuse move, but for those of a splice to it: see fragments.
func Socketpair() (ours, theirs *os.File, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("fuse: making a channel: %w", err)
	}
	for _, fd := range p {
		// As much as is allowed; what it is then is asked below.
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4<<20) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<20)
		}
	}
	if err := unix.SetNonblock(p[0], true); err != nil {
		unix.Close(p[0])
		unix.Close(p[1])
		return nil, nil, fmt.Errorf("fuse: making a channel: %w", err)
	}
	return os.NewFile(uintptr(p[0]), "fuse"), os.NewFile(uintptr(p[1]), "fuse daemon"), nil
}

// room returns how many bytes of data a message on s can have.
func room(s *os.File) (int, error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, err
	}
	var size int
	if e := raw.Control(func(fd uintptr) { size, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF) }); e != nil {
		return 0, e
	}
	// The kernel counts its own structures, too: half is surely there.
	size = size / 2 &^ (pageSize - 1)
	return max(pageSize, min(size, mostPages*pageSize)), err
}

// pump moves messages between a conn and a socket.
type pump struct {
	s      *os.File
	c      *conn
	wanted chan struct{} // something may be there to send
	parts  fragments

	once sync.Once
}

func (l *pump) poke() {
	select {
	case l.wanted <- struct{}{}:
	default:
	}
}

// send sends what the conn has, in its order.
func (l *pump) send() {
	buf := make([]byte, inHeaderSize+pageSize+mostPages*pageSize)
	for {
		n, err := l.c.next(buf)
		switch err {
		case nil:
			if _, err := l.s.Write(buf[:n]); err != nil {
				l.end(err)
				return
			}
		case syscall.EAGAIN:
			<-l.wanted
		default:
			l.end(nil)
			return
		}
	}
}

// receive takes answers until the daemon closes its end.
func (l *pump) receive(room int) {
	buf := make([]byte, outHeaderSize+room+2*pageSize)
	for {
		n, err := l.s.Read(buf)
		if n == 0 || err != nil {
			if err == io.EOF || err == nil {
				err = nil
			}
			l.end(err)
			return
		}
		if l.parts.take(l.c, buf[:n]) == syscall.EINVAL {
			l.end(fmt.Errorf("fuse: an answer of %d bytes that makes no sense: %w", n, syscall.EPROTO))
			return
		}
	}
}

// end ends the connection and closes the socket, which ends a daemon that waits
// for requests.
func (l *pump) end(why error) {
	l.once.Do(func() {
		if l.c.lost.Load() {
			why = nil
		}
		l.c.abort(why)
		l.s.Close()
		l.poke()
	})
}
