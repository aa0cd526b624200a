package vfs

import "context"

// Network is a server of sockets: those of all families but AF_UNIX, which is about
// files and belongs to POSIX.
type Network interface {
	// Socket makes a socket, as socket(2): EAFNOSUPPORT for a family, ESOCKTNOSUPPORT
	// for a type and EPROTONOSUPPORT for a protocol that the network does not have,
	// EACCES or EPERM for one that programs may not use. typ has no flags in it.
	Socket(ctx context.Context, family, typ, protocol int) (Socket, error)
}

// Socket is an open socket. It is a stream, and its methods never wait, but for their
// server: where Linux would wait they return EAGAIN, or EINPROGRESS and EALREADY of a
// connection that is being made, and POSIX waits for readiness and tries again, so a
// cancelled wait cannot have had an effect. A second Connect of the same address tells
// how the first one ended.
//
// Addresses are struct sockaddr in Linux's layout, family and all; at most
// [SockaddrMax] bytes of them. POSIX has not looked into them.
type Socket interface {
	File
	Pollable
	Bind(ctx context.Context, addr []byte) error
	Connect(ctx context.Context, addr []byte) error
	Listen(ctx context.Context, backlog int) error
	// Accept returns a connection that waits in the backlog, and who made it.
	Accept(ctx context.Context) (Socket, []byte, error)
	// Addr returns the socket's own address, or with peer that of the one at the
	// other end: ENOTCONN.
	Addr(ctx context.Context, peer bool) ([]byte, error)
	// Shutdown ends the directions of how (SHUT_RD, SHUT_WR, SHUT_RDWR).
	Shutdown(ctx context.Context, how int) error
	// Send sends m.Data, of a stream as much as there is room for, and returns its
	// length. It raises no SIGPIPE.
	Send(ctx context.Context, m *Packet) (int, error)
	// Receive fills m: Data up to its length, and what came with it. It returns how
	// many bytes there were, which with MSG_TRUNC may be more than len(m.Data).
	// Nothing at the end of a stream.
	Receive(ctx context.Context, m *Packet) (int, error)
	// Option writes an option's value to value and returns its length; value holds
	// what the caller has there. SetOption sets it. ENOPROTOOPT for unknown ones.
	Option(ctx context.Context, level, name int, value []byte) (int, error)
	SetOption(ctx context.Context, level, name int, value []byte) error
}

// SockaddrMax is the size of a struct sockaddr_storage.
const SockaddrMax = 128

// Packet is a message, or a part of a stream, on its way through a socket.
type Packet struct {
	Data []byte
	// Flags are the caller's MSG_ bits; Receive leaves those of the message.
	Flags int
	// Addr is where it goes, empty for the connected peer. Receive sets it to where
	// the message came from.
	Addr []byte
	// Control is ancillary data: struct cmsghdr and what follows, one after the other,
	// in Linux's layout. Receive sets it, to at most cap(Control) bytes.
	Control []byte
}
