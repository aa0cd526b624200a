// Package wire is the protocol between a registry and its users.
package wire

//go:generate go run github.com/hati-os/hati/lane/lanegen -o wire_lane.go wire.go

//lane:protocol hati.names 1 1
//lane:call 1 Register RegisterRequest RegisterReply killable
//lane:call 2 Withdraw WithdrawRequest Nothing killable
//lane:call 3 Open OpenRequest OpenReply
//lane:call 4 List ListRequest ListReply
//lane:call 5 Accept AcceptRequest Nothing

// RegisterRequest offers a service.
type RegisterRequest struct {
	Name            string `lane:"max=64"`
	Mode            uint32
	GID             uint32
	HasGID          bool
	Shared          bool
	Replace         bool
	Recovers        bool
	Protocol        string `lane:"max=64"`
	Version, Oldest uint32
}

// RegisterReply gives the registration's number.
type RegisterReply struct{ ID uint64 }

// WithdrawRequest ends a registration.
type WithdrawRequest struct{ ID uint64 }

// Nothing is an empty message.
type Nothing struct{}

// Caller is for whom a client asks.
type Caller struct {
	UID, GID uint32
	PID      int32
}

// OpenRequest asks for a lane to a service; it comes as an object of the reply.
type OpenRequest struct {
	Name            string `lane:"max=64"`
	Protocol        string `lane:"max=64"`
	Version, Oldest uint32
	Caller          Caller
	Session         uint64
}

// OpenReply goes with the lane.
type OpenReply struct {
	Session  uint64
	Version  uint32
	Recovers bool
}

// ListRequest asks for services: for the one of that name, or for the first ones
// that come after After.
type ListRequest struct {
	Name  string `lane:"max=64"`
	After string `lane:"max=64"`
}

// Entry is a service in a list.
type Entry struct {
	Name      string `lane:"max=64"`
	Mode      uint32
	UID, GID  uint32
	Instances uint32
	Recovers  bool
	Protocol  string `lane:"max=64"`
}

// ListReply has services by name; none after the last.
type ListReply struct {
	Entries []Entry `lane:"max=5"`
}

// AcceptRequest asks a server, to whom the registry sends it, for a client's lane;
// it comes as an object of the reply.
type AcceptRequest struct {
	ID       uint64
	Name     string `lane:"max=64"`
	Version  uint32
	UID, GID uint32
	PID      int32
	Caller   Caller
	Session  uint64
	Again    bool
}
