// Package netwire is the protocol in which package remote carries networks
// ([vfs.Network]) over a lane: its messages and operations, and, generated from
// them, their codecs. docs/lane-protocol.md says how they are encoded.
package netwire

//go:generate go run github.com/hati-os/hati/lane/lanegen -o wire_lane.go wire.go

//lane:protocol hati-net 1 1
//lane:call 1 Socket SocketRequest SocketReply
//lane:call 2 Bind AddrRequest Empty
//lane:call 3 Connect AddrRequest Empty
//lane:call 4 Listen NumberRequest Empty
//lane:call 5 Accept NumberRequest AcceptReply
//lane:call 6 Addr NumberRequest AddrReply
//lane:call 7 Shutdown NumberRequest Empty
//lane:call 8 Send SendRequest CountReply
//lane:call 9 Receive ReceiveRequest ReceiveReply
//lane:call 10 Option OptionRequest CountReply
//lane:call 11 SetOption OptionRequest Empty
//lane:call 12 Ioctl IoctlRequest IoctlReply
//lane:call 13 Poll PollRequest ReadyReply
//lane:call 14 Arm ArmRequest ReadyReply
//lane:call 15 Close CloseRequest Empty
//lane:note 16 Returned NumberRequest
//lane:call 17 Describe DescribeRequest CountReply
//lane:call 18 Setting SettingRequest Empty
//lane:note 64 Ready ReadyNote
//lane:note 65 Recall NumberRequest

// MaxTransfer is the most bytes that one Send or Receive moves, ancillary data
// included.
const MaxTransfer = 1 << 20

// MaxControl is the most ancillary data of a message, MaxOption the most bytes of an
// option.
const (
	MaxControl = 128 << 10
	MaxOption  = 64 << 10
)

// Bits of a socket.
const (
	SocketLent = 1 << iota // the reply has its stream socket of the host
	SocketBits = 1<<iota - 1
)

// Empty has no fields.
type Empty struct{}

// Socket names an open socket. Numbers are never used twice on a lane. One that is
// lent comes with one file object: a stream socket, which the client watches, and
// through which it sends and receives what has neither addresses nor ancillary data.
type Socket struct {
	ID   uint64
	Bits uint32
}

// SocketRequest is socket(2)'s.
type SocketRequest struct{ Family, Type, Protocol int32 }

// SocketReply is a new socket.
type SocketReply struct{ Socket Socket }

// AddrRequest is bind(2)'s and connect(2)'s. Addresses are struct sockaddr.
type AddrRequest struct {
	Socket uint64
	Addr   []byte `lane:"max=128"`
}

// NumberRequest is about a socket. Number is listen(2)'s backlog, shutdown(2)'s how,
// for Addr 1 for the peer's; else 0.
type NumberRequest struct {
	Socket uint64
	Number int32
}

// AcceptReply is a connection and who made it. Kept are events that hold because of
// what the server still has of callers that left: see ReadyNote.
type AcceptReply struct {
	Socket Socket
	Addr   []byte `lane:"max=128"`
	Kept   uint32
}

// AddrReply answers Addr.
type AddrReply struct {
	Addr []byte `lane:"max=128"`
}

// SendRequest sends the request's bulk: the data, and after it Control bytes of
// ancillary data.
type SendRequest struct {
	Socket  uint64
	Flags   int32
	Addr    []byte `lane:"max=128"`
	Control uint32
}

// CountReply has what a call returned.
type CountReply struct{ N uint32 }

// ReceiveRequest asks for up to Size bytes and up to Control bytes of ancillary data.
type ReceiveRequest struct {
	Socket  uint64
	Flags   int32
	Size    uint32
	Control uint32
}

// ReceiveReply comes with bulk: the data, and after it Control bytes of ancillary
// data. N is what Receive returned. Kept is AcceptReply's.
type ReceiveReply struct {
	N       uint32
	Flags   int32
	Addr    []byte `lane:"max=128"`
	Control uint32
	Kept    uint32
}

// OptionRequest reads or sets an option. Its value, or what the caller has there, is
// the request's bulk; what was read is the reply's.
type OptionRequest struct {
	Socket      uint64
	Level, Name int32
}

// IoctlRequest is an ioctl. Bulk is what its argument begins with, as far as that can
// be read.
type IoctlRequest struct {
	Socket uint64
	Cmd    uint32
	Value  uint64
}

// MaxIoctl is how much of an ioctl's argument a server sees and can write.
const MaxIoctl = 256

// IoctlReply has the result, and what is to be written to the argument at Off.
type IoctlReply struct {
	N    uint64
	Off  uint32
	Data []byte `lane:"max=256"`
}

// PollRequest asks which events of Mask hold now.
type PollRequest struct {
	Socket uint64
	Mask   uint32
}

// ArmRequest asks for one ReadyNote when the socket's events have changed since
// Seen. If they have already, the reply says so and no note follows.
type ArmRequest struct{ Socket, Seen uint64 }

// ReadyReply tells which events hold (Poll) or may have come (Arm; 0: the note
// will follow), and the number to show with the next ArmRequest.
type ReadyReply struct {
	Events uint32
	Seq    uint64
}

// ReadyNote is the event that was armed. Of a socket that is lent it comes without
// having been asked for: the server has something for the next Accept or Receive that
// another caller left.
type ReadyNote struct {
	Socket uint64
	Events uint32
	Seq    uint64
}

// DescribeRequest asks what the network is made of: rtnetlink(7)'s Type and Family, and
// the route to To unless that is empty. The reply's bulk is the answer, as much of it
// as there is room for; N is its whole length.
type DescribeRequest struct {
	Type   uint16
	Family uint8
	To     []byte `lane:"max=16"`
}

// SettingRequest asks for a file below /proc/sys/net, which is the reply's bulk.
type SettingRequest struct {
	Name string `lane:"max=256"`
}

// CloseRequest closes sockets, each once.
type CloseRequest struct {
	Sockets []uint64 `lane:"max=256"`
}
