package netlink

import (
	"context"
	"encoding/binary"
	"syscall"

	"github.com/hati-os/hati/vfs/netinfo"
	"golang.org/x/sys/unix"
)

// Sockets are those of a box.
type Sockets interface {
	// InetSockets returns the sockets of AF_INET or AF_INET6 and a protocol (IPPROTO_);
	// false when there can be none.
	InetSockets(ctx context.Context, family, protocol uint8) ([]SocketState, bool)
}

// SocketState is what sock_diag(7) tells of a socket.
type SocketState struct {
	// Local and Peer are struct sockaddr_in or sockaddr_in6.
	Local, Peer []byte
	State       uint8 // as in /proc/net/tcp
	// Receive and Send are bytes in the queues; of a socket that listens, connections
	// that wait and the most of them.
	Receive, Send uint32
	UID           uint32
	Ino           uint64
	OnlyV6        bool
}

// Of <linux/sock_diag.h> and <linux/inet_diag.h>.
const (
	tcpdiagGetSock   = 18
	dccpdiagGetSock  = 19
	sockDiagByFamily = 20
	sizeInetDiagReq  = 56
	sizeInetDiagMsg  = 72
	inetDiagShutdown = 8
	inetDiagV6Only   = 11
	stateClose       = 7
	stateListen      = 10
)

// diagnose answers a request of sock_diag(7), of which there are dumps of IPv4 and IPv6
// only. ENOENT has programs look into /proc.
func (s *Socket) diagnose(ctx context.Context, m netinfo.Message, r *replies) (dump bool, err error) {
	switch {
	case m.Type == tcpdiagGetSock || m.Type == dccpdiagGetSock:
		return false, syscall.ENOENT
	case m.Type != sockDiagByFamily || len(m.Body) < 2:
		return false, syscall.EINVAL
	case m.Body[0] != unix.AF_INET && m.Body[0] != unix.AF_INET6 || m.Flags&unix.NLM_F_DUMP == 0:
		return false, syscall.ENOENT
	case len(m.Body) < sizeInetDiagReq:
		return false, syscall.EINVAL
	}
	family, protocol, states := m.Body[0], m.Body[1], binary.NativeEndian.Uint32(m.Body[4:])
	all, ok := s.server.sockets.InetSockets(ctx, family, protocol)
	if !ok {
		return false, syscall.ENOENT
	}
	return true, s.begin(m, r, 0, func([]byte) bool { return true }, func() (b []byte, err error) {
		for i := range all {
			if states>>all[i].State&1 != 0 {
				b = all[i].append(b, family)
			}
		}
		return b, nil
	})
}

// append writes a struct inet_diag_msg, and attributes.
func (d *SocketState) append(b []byte, family uint8) []byte {
	body := make([]byte, sizeInetDiagMsg)
	body[0], body[1] = family, d.State
	id := body[4:]
	for i, addr := range [][]byte{d.Local, d.Peer} {
		if len(addr) < unix.SizeofSockaddrInet4 {
			continue
		}
		copy(id[2*i:2*i+2], addr[2:4])
		to := id[4+16*i : 20+16*i]
		if family == unix.AF_INET {
			copy(to, addr[4:8])
		} else if len(addr) >= 24 {
			copy(to, addr[8:24])
		}
	}
	binary.NativeEndian.PutUint64(id[40:], d.Ino) // the cookie
	binary.NativeEndian.PutUint32(body[56:], d.Receive)
	binary.NativeEndian.PutUint32(body[60:], d.Send)
	binary.NativeEndian.PutUint32(body[64:], d.UID)
	binary.NativeEndian.PutUint32(body[68:], uint32(d.Ino))
	body = netinfo.AppendAttr(body, inetDiagShutdown, []byte{0})
	if family == unix.AF_INET6 && (d.State == stateClose || d.State == stateListen) {
		only := byte(0)
		if d.OnlyV6 {
			only = 1
		}
		body = netinfo.AppendAttr(body, inetDiagV6Only, []byte{only})
	}
	return netinfo.Message{Type: sockDiagByFamily, Body: body}.Append(b)
}
