package names

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/hati-os/hati/lane"
)

// What becomes of a name that cannot be registered or opened, beside the errors
// of the lanes themselves. A server that refuses a client says why with an errno
// of its own.
var (
	// ErrName: not a name. See [Valid].
	ErrName = fmt.Errorf("names: not a name (letters, digits and . _ - only, at most 64): %w", syscall.EINVAL)
	// ErrUnknown: nobody has registered the name.
	ErrUnknown = fmt.Errorf("names: no such service: %w", syscall.ENOENT)
	// ErrTaken: the name belongs to another user, or has an instance and is not
	// shared.
	ErrTaken = fmt.Errorf("names: the name is taken, by another user or an instance that does not share it: %w", syscall.EEXIST)
	// ErrForbidden: the client may not open the service.
	ErrForbidden = fmt.Errorf("names: not allowed: %w", syscall.EACCES)
	// ErrProtocol: the service speaks another protocol, or no version in common.
	ErrProtocol = fmt.Errorf("names: the service speaks another protocol: %w", syscall.EPROTOTYPE)
	// ErrClosed: the registry, or the connection to it, is gone.
	ErrClosed = errors.New("names: the registry is gone")
)

// MaxName is the length of the longest name.
const MaxName = 64

// Valid reports whether name can be a service's: it can be a file's, and does not
// begin with a dot.
func Valid(name string) bool {
	if name == "" || len(name) > MaxName || name[0] == '.' {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// Protocol is what is spoken on a service's lanes, with the versions known. Two
// sides use the newest that both know (lane.Lane.Version).
type Protocol struct {
	Name            string
	Version, Oldest uint32
}

// common returns the newest version that both know.
func (p Protocol) common(q Protocol) (uint32, error) {
	v := min(p.Version, q.Version)
	if p.Name != q.Name || v < p.Oldest || v < q.Oldest {
		return 0, fmt.Errorf("%w: %s %d to %d, wanted %s %d to %d", ErrProtocol,
			p.Name, p.Oldest, p.Version, q.Name, q.Oldest, q.Version)
	}
	return v, nil
}

// Service is what a server registers.
type Service struct {
	Protocol Protocol
	// Accept takes a client's lane, which is the server's from then on if it returns
	// nil. An errno that it returns reaches the client. It may be called
	// concurrently; ctx is the client's wait.
	Accept func(ctx context.Context, o Opening, l *lane.Lane) error
	// Mode says who may open the service: those whom it lets write. 0 is 0600. The
	// owner is the user who registers it, and so is the group unless GID is set.
	Mode fs.FileMode
	GID  *uint32
	// Shared lets further instances of the same user join.
	Shared bool
	// Replace takes the name from the instances that there are, of the same user;
	// what is open stays with them.
	Replace bool
	// Recovers: the server keeps its clients' state beyond its own end. The name
	// stays when no instance is left, and clients who had a conversation take it up
	// with the next one (Opening.Again).
	Recovers bool
}

// Client is who opens a service. The credentials are the kernel's word; in this
// process, its own.
type Client = lane.Credentials

// Caller is for whom the client says that it asks: in a box, the guest.
type Caller struct {
	UID, GID uint32
	PID      int32
}

// Opening is a client's wish.
type Opening struct {
	Name   string
	Client Client
	Caller Caller
	// Session is the client's conversation, unique at this registry. With Again it
	// had begun with an instance that is gone.
	Session uint64
	Again   bool
}

// Request is what a client asks for.
type Request struct {
	Protocol Protocol
	Caller   Caller
	// Session is that of a conversation to be taken up again, else 0.
	Session uint64
}

// Opened is what it gets: a lane, which is the client's to close.
type Opened struct {
	Lane     *lane.Lane
	Session  uint64
	Recovers bool
}

// Info describes a service.
type Info struct {
	Name      string
	Mode      fs.FileMode
	UID, GID  uint32
	Instances int
	Recovers  bool
	Protocol  string
}

// Directory is a registry, here (*Registry) or elsewhere (*Conn). Its methods may
// be called concurrently.
type Directory interface {
	// Register offers a service until the registration is closed, or the
	// directory's connection ends.
	Register(ctx context.Context, name string, s Service) (*Registration, error)
	// Open returns a lane to one of the instances. It waits, with ctx, for that
	// instance to accept, and for one to come when the service recovers.
	Open(ctx context.Context, name string, r Request) (Opened, error)
	// List describes all services by name; with a name, only that one, or none.
	List(ctx context.Context, name string) ([]Info, error)
}

var (
	_ Directory = (*Registry)(nil)
	_ Directory = (*Conn)(nil)
	_ Directory = (*Redialer)(nil)
)
