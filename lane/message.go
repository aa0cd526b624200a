package lane

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
// Read, write and map are kept by the kernel (access modes and seals); Pass is
// kept by this package, since Linux lets whoever holds a descriptor send it.
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

// closeObjects gives up what nobody took; nil entries have been taken.
func closeObjects(list []Object) {
	for i, o := range list {
		if o != nil {
			o.Close()
			list[i] = nil
		}
	}
}

// passable reports why a list of objects cannot be sent.
func passable(list []Object) error {
	if len(list) > MaxObjects {
		return ErrTooBig
	}
	for _, o := range list {
		if o != nil && o.Rights()&RightPass == 0 {
			return ErrRights
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
