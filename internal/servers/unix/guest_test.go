package unixsock_test

import (
	"context"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	unixsock "github.com/hati-os/hati/internal/servers/unix"
	"github.com/hati-os/hati/vfs"
)

// guest is the least of a system call layer over a Namespace: addresses,
// socket files, credentials, references.
type guest struct {
	ns    unixsock.Namespace
	files map[string]*fileNode
	cred  unixsock.Cred
}

func newGuest() *guest {
	return &guest{
		files: make(map[string]*fileNode),
		cred:  unixsock.Cred{PID: int32(os.Getpid()), UID: uint32(os.Getuid()), GID: uint32(os.Getgid())},
	}
}

type fileNode struct{ _ int }

func (*fileNode) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Mode: syscall.S_IFSOCK | 0o755}, nil
}

func (g *guest) find(a unixsock.Addr, typ int) (*unixsock.Socket, error) {
	switch a.Kind {
	case unixsock.Abstract:
		return g.ns.FindAbstract(a.Name, typ)
	case unixsock.Path:
		node := g.files[a.Name]
		if node == nil {
			return nil, syscall.ENOENT
		}
		return g.ns.FindNode(node, typ)
	}
	return nil, syscall.EINVAL
}

func connectable(a unixsock.Addr) error {
	if a.Kind == unixsock.Unnamed || a.Kind == unixsock.Unspec {
		return syscall.EINVAL
	}
	return nil
}

func (g *guest) bind(s *unixsock.Socket, addr []byte) error {
	a, err := unixsock.ParseAddr(addr)
	if err != nil {
		return err
	}
	switch a.Kind {
	case unixsock.Unnamed:
		return s.Autobind()
	case unixsock.Abstract:
		return s.BindAbstract(a.Name)
	case unixsock.Path:
		if g.files[a.Name] != nil {
			return syscall.EADDRINUSE
		}
		node := new(fileNode)
		if err := s.BindNode(node, a.Name); err != nil {
			return err
		}
		g.files[a.Name] = node
		return nil
	}
	return syscall.EINVAL
}

func (g *guest) connect(s *unixsock.Socket, addr []byte) error {
	a, err := unixsock.ParseAddr(addr)
	if err != nil {
		return err
	}
	if a.Kind == unixsock.Unspec {
		return s.Disconnect()
	}
	if err := connectable(a); err != nil {
		return err
	}
	if err := s.WantName(); err != nil {
		return err
	}
	to, err := g.find(a, s.Type())
	if err != nil {
		return err
	}
	return s.Connect(to, g.cred)
}

func (g *guest) sendto(s *unixsock.Socket, b, addr []byte, refs ...unixsock.Ref) (int, error) {
	m := &unixsock.Message{Data: b, Sender: g.cred, Refs: refs}
	if len(addr) > 0 {
		lookup, err := s.Addressable()
		if err != nil {
			return 0, err
		}
		if lookup {
			a, err := unixsock.ParseAddr(addr)
			if err != nil {
				return 0, err
			}
			if err := connectable(a); err != nil {
				return 0, err
			}
			if err := s.BeforeSend(len(b)); err != nil {
				return 0, err
			}
			if m.To, err = g.find(a, s.Type()); err != nil {
				return 0, err
			}
		}
	}
	return s.Send(m)
}

// ref is a reference that counts; refs is how many there are of the file.
type ref struct{ refs *atomic.Int32 }

func newRef() ref {
	r := ref{new(atomic.Int32)}
	r.refs.Store(1)
	return r
}

func (r ref) Dup() unixsock.Ref { r.refs.Add(1); return r }
func (r ref) Release()          { r.refs.Add(-1) }

// sockRef is a reference to an open socket that closes it with the last one.
type sockRef struct {
	s    *unixsock.Socket
	refs *atomic.Int32
}

func newSockRef(s *unixsock.Socket) sockRef {
	r := sockRef{s, new(atomic.Int32)}
	r.refs.Store(1)
	return r
}

func (r sockRef) Socket() *unixsock.Socket { return r.s }
func (r sockRef) Refs() int                { return int(r.refs.Load()) }
func (r sockRef) Dup() unixsock.Ref        { r.refs.Add(1); return r }
func (r sockRef) Release() {
	if r.refs.Add(-1) == 0 {
		r.s.Close()
	}
}

func abstractAddr(name string) []byte {
	return unixsock.Addr{Kind: unixsock.Abstract, Name: name}.Append(nil)
}

const allEvents = vfs.EventsIn | vfs.EventsOut | vfs.EventPri | vfs.EventRdBand | vfs.EventWrBand | vfs.EventRdHup

var types = [...]int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET}
