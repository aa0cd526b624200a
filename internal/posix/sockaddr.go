package posix

import (
	"syscall"

	unixsock "github.com/hati-os/hati/internal/servers/unix"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// sockaddrMax is the size of a struct sockaddr_storage.
const sockaddrMax = 128

// copyInSockaddr copies an address of n bytes: EINVAL when it is too long for
// any family.
func (t *Task) copyInSockaddr(at uint64, n int) ([]byte, error) {
	if n < 0 || n > sockaddrMax {
		return nil, syscall.EINVAL
	}
	raw := make([]byte, n)
	if n == 0 {
		return raw, nil
	}
	return raw, t.copyIn(at, raw)
}

// copyOutSockaddr puts an address at at, as much of it as the length at lenAt
// says, and its full length there.
func (t *Task) copyOutSockaddr(raw []byte, at, lenAt uint64) error {
	n, err := t.copyInUint32(lenAt)
	if err != nil {
		return err
	}
	if int32(n) < 0 {
		return syscall.EINVAL
	}
	if part := raw[:min(len(raw), int(n))]; len(part) > 0 {
		if err := t.copyOut(at, part); err != nil {
			return err
		}
	}
	return t.copyOutUint32(lenAt, uint32(len(raw)))
}

// findSocket returns the socket at an address that names one.
func (t *Task) findSocket(addr unixsock.Addr, typ int) (*unixsock.Socket, error) {
	switch addr.Kind {
	case unixsock.Abstract:
		return t.k.sockets.FindAbstract(addr.Name, typ)
	case unixsock.Path:
	default:
		return nil, syscall.EINVAL
	}
	l, err := t.lookupAt(unix.AT_FDCWD, addr.Name, 0)
	if err != nil {
		return nil, err
	}
	a, err := l.node.Stat(t.context())
	if err != nil {
		return nil, err
	}
	if err := t.creds.Load().may(&a, mayWrite); err != nil {
		return nil, err
	}
	if a.Type() != unix.S_IFSOCK {
		return nil, syscall.ECONNREFUSED
	}
	return t.k.sockets.FindNode(l.node, typ)
}

// bindPath makes a socket's file and binds it there. The mode is that of the
// socket itself, which fchmod(2) can change.
func (t *Task) bindPath(s *socket, path string) error {
	n, err := t.newNameAt(unix.AT_FDCWD, path, false)
	if errnoOf(err) == syscall.EEXIST {
		return syscall.EADDRINUSE
	}
	if err != nil {
		return err
	}
	if n.attr, err = t.mayChange(n.dir); err != nil {
		return err
	}
	if s.Bound() {
		return syscall.EINVAL
	}
	a, err := s.Node().Stat(t.context())
	if err != nil {
		return err
	}
	node, err := vfs.Make(t.context(), n.dir.node, n.name, t.makeOptions(&n.attr, unix.S_IFSOCK|a.Mode&0o7777))
	if errnoOf(err) == syscall.EEXIST {
		return syscall.EADDRINUSE
	}
	if err != nil {
		return err
	}
	t.created(n.dir, n.name, node)
	if err := s.BindNode(node, path); err != nil {
		// Another thread bound it meanwhile.
		if vfs.Remove(t.context(), n.dir.node, n.name, false) == nil {
			c := n.dir.removed(t.k.mounts, n.name, node)
			t.deleted(n.dir, n.name, node, c)
		}
		return err
	}
	return nil
}
