// Package socket is the protocol of services whose conversations are sockets: the
// lane is there only to hand one over.
package socket

//go:generate go run github.com/hati-os/hati/lane/lanegen -o socket_lane.go socket.go

//lane:protocol hati.socket 1 1
//lane:call 1 Connect Nothing Nothing

// Nothing is an empty message. The reply to Connect comes with one file object: an
// AF_UNIX socket of type SOCK_SEQPACKET, connected.
type Nothing struct{}
