package lane

import "fmt"

// The memory of a ring lane, a sealed memfd, in bytes from its start. All words
// are little-endian and naturally aligned. docs/lane-protocol.md says the same
// for readers of other languages.
//
//	page 0          header: magic, version, slots, arena
//	half 0          requests from side 0 (the maker) to side 1
//	half 1          requests from side 1 to side 0
//
// A half is:
//
//	control page    one cache line per word, so that the sides do not share any
//	ring            slots x 8 bytes: what was posted, in order
//	slots           slots x 128 bytes
//	data            slots x slotRoom, then the arena
const (
	ringMagic   = 0x656e616c69746168 // "hatilane"
	ringVersion = 1
	pageSize    = 4096

	hdrMagic   = 0
	hdrVersion = 8  // uint32; then slots
	hdrSlots   = 12 // uint32
	hdrArena   = 16 // uint64

	// How each side wants its bells, one line per word: the mode (uint64), then two
	// futexes (uint32) that count bells.
	hdrBell     = 128
	hdrBellSize = 192
	hdrBellSeq  = 64

	bellSocket   = 0 // through the socket
	bellLeader   = 1 // by the first futex
	bellFollower = 2 // by the second

	// Control words of a half.
	ctlTail    = 0    // uint64, requester: entries posted so far
	ctlSleep   = 64   // uint64, server: non-zero asks for a bell on work
	ctlWant    = 128  // uint64, requester: non-zero asks for a bell on completion
	ctlCancels = 1024 // bitmap, requester: slots whose cancel word changed
	ctlDones   = 2048 // bitmap, server: slots that are DONE or SETTLED
	ctlSize    = pageSize

	// A slot. The requester writes the first line, the server the second.
	slotState   = 0
	slotCause   = 8
	slotTime    = 16 // deadline, CLOCK_MONOTONIC nanoseconds, 0 none
	slotOp      = 24 // op | flags<<32 | objects<<48
	slotReq     = 32 // data offset | data length<<32
	slotReqBulk = 40 // bulk offset | bulk length<<32
	slotRep     = 48 // room for data: offset | length<<32
	slotRepBulk = 56 // room for bulk: offset | length<<32
	slotStatus  = 64 // status | value<<32
	slotRepLens = 72 // data length | bulk length<<32
	slotRepObjs = 80 // objects
	slotWait    = 96 // uint32, requester: it waits with a futex on the state's lower half
	slotSize    = 128

	flagNote = 1 // a message without an answer

	arenaUnit = pageSize // the arena is given out in these

	// A slot's own room in the data area: request data, request bulk, reply data,
	// reply bulk, InlineData each.
	slotRoom = 4 * InlineData
)

// Status of a reply.
const (
	statusDone    = 1 // value is the errno, 0 for success
	statusNothing = 2 // cancelled without effect; value is the cause's code
	statusDoubt   = 3 // the server itself cannot tell
	statusText    = 4 // failed with an error that is text, in the data
)

// layout holds the offsets that follow from a lane's size.
type layout struct {
	slots, arena int
	half         [2]int
	ring         int // from the start of a half
	slot         int
	data         int
	dataLen      int
	total        int
}

func newLayout(slots, arena int) layout {
	l := layout{slots: slots, arena: arena}
	l.ring = ctlSize
	l.slot = l.ring + roundUp(slots*8, 128)
	l.data = roundUp(l.slot+slots*slotSize, pageSize)
	l.dataLen = roundUp(slots*slotRoom, pageSize) + arena
	halfLen := l.data + l.dataLen
	l.half = [2]int{pageSize, pageSize + halfLen}
	l.total = pageSize + 2*halfLen
	return l
}

// checkLayout decides whether a peer's numbers describe a lane that this end
// will map.
func checkLayout(magic uint64, version, slots uint32, arena uint64, size int64) (layout, error) {
	switch {
	case magic != ringMagic:
		return layout{}, fmt.Errorf("%w: no lane memory", ErrVersion)
	case version != ringVersion:
		return layout{}, fmt.Errorf("%w: lane format %d, not %d", ErrVersion, version, ringVersion)
	case slots == 0 || slots > MaxSlots || slots%64 != 0,
		arena == 0 || arena > MaxArena || arena%arenaUnit != 0:
		return layout{}, fmt.Errorf("%w: %d slots, %d bytes", ErrProtocol, slots, arena)
	}
	l := newLayout(int(slots), int(arena))
	if int64(l.total) != size {
		return layout{}, fmt.Errorf("%w: %d bytes of memory, not %d", ErrProtocol, size, l.total)
	}
	return l, nil
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

func pack(lo, hi uint32) uint64             { return uint64(lo) | uint64(hi)<<32 }
func unpack(w uint64) (lo, hi uint32)       { return uint32(w), uint32(w >> 32) }
func inBounds(off, n uint32, size int) bool { return uint64(off)+uint64(n) <= uint64(size) }
