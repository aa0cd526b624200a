package lane

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Credentials are the kernel's word on who holds a lane's other end.
type Credentials struct{ PID, UID, GID int }

// Peer returns who holds the other end. For a lane that was passed on, that is
// known as soon as the receiver first uses it; ok is false before.
func (l *Lane) Peer() (c Credentials, ok bool) {
	if r := l.ring.Load(); r != nil {
		if p := r.peer.Load(); p != nil {
			return *p, true
		}
		if r.enter() { // its greeting may lie in the socket
			r.recvMu.Lock()
			err := r.fetchLocked()
			r.recvMu.Unlock()
			if err != nil {
				r.fail(err)
			}
			r.leave()
		}
		if p := r.peer.Load(); p != nil {
			return *p, true
		}
		return Credentials{}, false
	}
	return Credentials{PID: unix.Getpid(), UID: unix.Getuid(), GID: unix.Getgid()}, true
}

// peerCredentials returns who connected, or made, the socket (SO_PEERCRED).
func peerCredentials(sock int) (*Credentials, error) {
	u, err := unix.GetsockoptUcred(sock, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return nil, fmt.Errorf("lane: credentials: %w", err)
	}
	return &Credentials{PID: int(u.Pid), UID: int(u.Uid), GID: int(u.Gid)}, nil
}

// checkSocket refuses what is not a connected AF_UNIX SOCK_SEQPACKET socket.
func checkSocket(sock int) error {
	domain, err := unix.GetsockoptInt(sock, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain != unix.AF_UNIX {
		return fmt.Errorf("%w: not a unix socket", ErrProtocol)
	}
	kind, err := unix.GetsockoptInt(sock, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_SEQPACKET {
		return fmt.Errorf("%w: not a seqpacket socket", ErrProtocol)
	}
	return nil
}
