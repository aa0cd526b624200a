package lane

import (
	"fmt"
	"strings"
)

// Message is a request, a note or a reply.
//
// Data is the structured part, meant for a codec: it is always copied before
// anybody looks at it. Bulk is the payload beside it, moved at most once by each
// side. Objects are given away by sending them, whatever becomes of the call;
// Dup one to keep it. Op names the operation for the server and for listings;
// it means nothing to the lane and is not used in replies.
//
// In a reply that the caller passes to Call, Data's capacity and Bulk's length
// are the room offered (at least InlineData for Data). On return both are cut to
// what came, and Objects are the caller's to close.
type Message struct {
	Op      uint32
	Data    []byte
	Bulk    []byte
	Objects []Object
}

// Reset empties m and keeps its buffers.
func (m *Message) Reset() { m.Op, m.Data, m.Bulk, m.Objects = 0, m.Data[:0], m.Bulk[:0], nil }

// Object is something other than bytes that a message carries: a [*File],
// [*Lane], [*Event] or [*Memory].
type Object interface {
	// Rights returns what the holder may do with the object.
	Rights() Rights
	// Close gives the object up.
	Close() error
	// move returns the object in a new handle and spends this one.
	move() Object
	// export turns the object into descriptors that the caller owns; the object
	// is spent, also on failure.
	export() (exported, error)
}

// Kinds of objects on the wire.
const (
	kindFile = 1 + iota
	kindLane
	kindEvent
	kindMemory
)

// exported is an object as descriptors under way.
type exported struct {
	kind   uint8
	rights Rights
	fds    [2]int
	n      int
}

// Rights say what may be done with an object. A receiver can only reduce them.
// Read and write are kept by the kernel (access modes and seals), whoever the
// receiver is; map and pass on are kept by this package, since Linux lets whoever
// holds a descriptor map what it may read, and send it.
//
// An object without RightPass cannot be sent at all: keep it in what is to be sent,
// or the call fails with [ErrRights]. The receiver may then send it on.
type Rights uint8

// The rights. For an Event, Read is waiting and Write is raising; for a Lane,
// both are always held.
const (
	RightRead Rights = 1 << iota
	RightWrite
	RightMap
	RightPass

	AllRights = RightRead | RightWrite | RightMap | RightPass
)

// String returns the rights' names, as in "read|pass", or "none".
func (r Rights) String() string {
	if r&AllRights == 0 {
		return "none"
	}
	var names []string
	for i, name := range [...]string{"read", "write", "map", "pass"} {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// closeObjects gives up what nobody took; nil entries have been taken.
func closeObjects(list []Object) {
	for i, o := range list {
		if o != nil {
			o.Close()
			list[i] = nil
		}
	}
}

// moveAll gives objects to the other end of a lane within the process: as over a
// ring, what the sender still has of them is spent.
func moveAll(list []Object) []Object {
	if len(list) == 0 {
		return nil
	}
	out := make([]Object, 0, len(list))
	for i, o := range list {
		if o != nil {
			out = append(out, o.move())
			list[i] = nil
		}
	}
	return out
}

var errNoPass = fmt.Errorf("an object without RightPass: %w", ErrRights)

// passable reports why a list of objects cannot be sent.
func passable(list []Object) error {
	if len(list) > MaxObjects {
		return ErrTooBig
	}
	for _, o := range list {
		if o == nil {
			continue
		}
		if o.Rights()&RightPass == 0 {
			return errNoPass
		}
		if l, ok := o.(*Lane); ok && l.inUse() { // within the process it could be; over a ring not
			return ErrBusy
		}
	}
	return nil
}

// exportAll spends every object of list. On failure nothing is left open.
func exportAll(list []Object) ([]exported, error) {
	if err := passable(list); err != nil {
		closeObjects(list)
		return nil, err
	}
	out := make([]exported, 0, len(list))
	for i, o := range list {
		if o == nil {
			continue
		}
		list[i] = nil
		e, err := o.export()
		if err != nil {
			closeObjects(list)
			closeExported(out)
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func closeExported(list []exported) {
	for _, e := range list {
		closeFDs(e.fds[:e.n])
	}
}

// importObject makes an object of descriptors that came over a lane, which it
// owns from then on. What the sender claims counts only as far as the kernel
// confirms it.
func importObject(e exported) (Object, error) {
	want := map[uint8]int{kindFile: 1, kindLane: 2, kindEvent: 1, kindMemory: 1}[e.kind]
	if want == 0 || want != e.n {
		closeFDs(e.fds[:e.n])
		return nil, ErrProtocol
	}
	switch e.kind {
	case kindFile:
		return importFile(e.fds[0], e.rights)
	case kindLane:
		return importLane(e.fds[0], e.fds[1])
	case kindEvent:
		return importEvent(e.fds[0], e.rights)
	default:
		return importMemory(e.fds[0], e.rights)
	}
}
