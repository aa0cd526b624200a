package machine

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The layout of guest address spaces and slots; stub_amd64.h has the same.
const (
	textBase  = 0x7e9000000000
	textSize  = 0x1000
	slotsBase = 0x7e9010000000
	slotsSize = 0x8000000
	slotSize  = 0x8000
	maxSlots  = slotsSize/slotSize - 1 // the last place is the table of grants

	// stackOffset is where a slot's signal stack begins: above the fields.
	stackOffset = 0x1000

	// GuestLimit is the end of the addresses that programs are loaded at.
	GuestLimit = 0x7e0000000000
)

const (
	stateDead = 0 // also what the kernel writes when the thread is gone
	stateRun  = 1
	stateTrap = 2
)

const (
	opResume = 1 + iota
	opCalls
	opCallsResume
	opFork
	opThread
	opExit
	opWait
	opProbe
)

const (
	codeTrap = iota
	codeInterrupted
	codeCompleted
	codeLocalInterrupted
	codeGrantInterrupted
	codeShort
)

// maxCalls is how many host calls one round trip can carry.
const maxCalls = 32

// slot is a thread's shared memory.
type slot struct {
	state        uint32
	serverSleeps uint32
	stubSleeps   uint32
	hostCall     uint32
	frame        uint64
	sig          uint32
	code         uint32
	info         uint64
	kick         uint32
	spin         uint32
	op           uint32
	count        uint32
	ppid         uint32
	busy         uint32 // the stub uses a granted descriptor
	local        [8]uint64
	rangeBegin   uint64
	rangeEnd     uint64
	rangeCancel  uint64
	kickSet      uint64
	altStack     [3]uint64
	grants       uint64 // the address of the table, 0 for none
	calls        [maxCalls]call
	lastSP       uint64 // stack pointer of the last call on a granted descriptor
	waits        uint32 // counts the calls on granted descriptors that may wait
	_            [0x34]byte
	scratch      [stackOffset - 0x900]byte
}

// call is a host call in a slot.
type call struct {
	nr   uint64
	args [6]uint64
	ret  uint64
}

var (
	_ [stackOffset]byte = [unsafe.Sizeof(slot{})]byte{}
	_ [0xc0]byte        = [unsafe.Offsetof(slot{}.calls)]byte{}
	_ [0x80]byte        = [unsafe.Offsetof(slot{}.rangeBegin)]byte{}
	_ [0x8c0]byte       = [unsafe.Offsetof(slot{}.lastSP)]byte{}
	_ [0x900]byte       = [unsafe.Offsetof(slot{}.scratch)]byte{}
)

// scratchOffset is where a slot's scratch bytes are.
const scratchOffset = 0x900

// slotAt returns the i'th slot of a mapping.
func slotAt(mem []byte, i int) *slot {
	return (*slot)(unsafe.Pointer(&mem[i*slotSize]))
}

// futexWait sleeps while *addr is v. It may return early.
func futexWait(addr *uint32, v uint32) {
	unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), 0, uintptr(v), 0, 0, 0)
}

// futexWake wakes one sleeper. Not private: the other side is another process.
func futexWake(addr *uint32) {
	unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), 1, 1, 0, 0, 0)
}

// stubText returns the machine code of the stub where the linker has put it.
func stubText() []byte {
	return unsafe.Slice((*byte)(stubAddr()), textSize)
}

func stubAddr() unsafe.Pointer

//go:noescape
func spinWhile(addr *uint32, v uint32, n uint32) uint32

// give hands the slot to the stub with an operation, and tells whether the stub
// had to be woken.
func (s *slot) give(op uint32) (woken bool) {
	s.op = op
	// Not over the state of a thread that has died meanwhile: await would wait
	// for it for ever.
	if !atomic.CompareAndSwapUint32(&s.state, stateTrap, stateRun) {
		return false
	}
	if atomic.LoadUint32(&s.stubSleeps) == 0 {
		return false
	}
	futexWake(&s.state)
	return true
}

// await waits until the stub has handed the slot back or is gone, and returns
// the state. It spins n times before it sleeps.
func (s *slot) await(n uint32) uint32 {
	st, _ := s.awaitSlept(n)
	return st
}

// awaitSlept is await, and tells whether it had to sleep.
func (s *slot) awaitSlept(n uint32) (st uint32, slept bool) {
	if st := spinWhile(&s.state, stateRun, n); st != stateRun {
		return st, false
	}
	atomic.StoreUint32(&s.serverSleeps, 1)
	st = atomic.LoadUint32(&s.state)
	for st == stateRun {
		futexWait(&s.state, stateRun)
		st = atomic.LoadUint32(&s.state)
	}
	atomic.StoreUint32(&s.serverSleeps, 0)
	return st, true
}

// words views 8-byte aligned memory as words.
func words(b []byte) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/8)
}

// grantTable views the last place of a mapping, in which each granted number has
// a word of Grant bits.
func grantTable(mem []byte) *[maxGrants]uint32 {
	return (*[maxGrants]uint32)(unsafe.Pointer(&mem[maxSlots*slotSize]))
}
