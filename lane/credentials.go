package lane

import (
	"fmt"

	"golang.org/x/sys/unix"
)

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
