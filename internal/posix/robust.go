package posix

import (
	"encoding/binary"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// releaseRobust gives up the robust mutexes that the ending thread still holds:
// their words say that the owner died, and a waiter is woken. The list is the
// guest's; whatever it holds, the walk ends. See set_robust_list(2).
func (t *Task) releaseRobust() {
	head := t.robustList
	if head == 0 {
		return
	}
	t.robustList = 0
	var b [abi.SizeRobustListHead]byte
	if t.copyIn(head, b[:]) != nil {
		return
	}
	var h abi.RobustListHead
	h.Decode(b[:])
	pending := h.Pending &^ 1
	entry := h.List
	for range abi.ROBUST_LIST_LIMIT {
		if entry&^1 == head {
			break
		}
		next, err := t.copyInUint64(entry &^ 1)
		if entry&^1 != pending && !t.releaseFutex(entry&^1+uint64(h.FutexOffset), entry&1 != 0, false) {
			return
		}
		if err != nil {
			return
		}
		entry = next
	}
	if pending != 0 {
		t.releaseFutex(pending+uint64(h.FutexOffset), h.Pending&1 != 0, true)
	}
}

// releaseFutex marks one word. Only the bit that says that there are waiters can
// change between reading and writing, and then the waiter has not slept yet or
// is woken here.
func (t *Task) releaseFutex(addr uint64, pi, pending bool) bool {
	if addr%4 != 0 {
		return false
	}
	var b [4]byte
	if t.copyIn(addr, b[:]) != nil {
		return false
	}
	v := binary.LittleEndian.Uint32(b[:])
	if pending && !pi && v == 0 {
		// It was given up, but perhaps nobody was woken.
		t.thread.Do1(unix.SYS_FUTEX, addr, abi.FUTEX_WAKE, 1)
		return true
	}
	if v&abi.FUTEX_TID_MASK != uint32(t.tid) {
		return true
	}
	if pi {
		t.leavePI(addr)
		return true
	}
	if t.copyOutUint32(addr, v&abi.FUTEX_WAITERS|abi.FUTEX_OWNER_DIED) != nil {
		return false
	}
	t.thread.Do1(unix.SYS_FUTEX, addr, abi.FUTEX_WAKE, 1)
	return true
}

var robustCalls = calls{
	unix.SYS_SET_ROBUST_LIST: {fn: sysSetRobustList},
	unix.SYS_GET_ROBUST_LIST: {fn: sysGetRobustList},
	unix.SYS_SET_TID_ADDRESS: {fn: func(t *Task, a *Args) (uint64, error) {
		t.clearTID = a[0]
		return uint64(t.tid), nil
	}},
}

func sysSetRobustList(t *Task, a *Args) (uint64, error) {
	if a[1] != abi.SizeRobustListHead {
		return 0, syscall.EINVAL
	}
	t.robustList = a[0]
	return 0, nil
}

func sysGetRobustList(t *Task, a *Args) (uint64, error) {
	// Of other threads the value is theirs alone.
	if tid := a.Int(0); tid != 0 && tid != t.tid {
		t.k.mu.Lock()
		o := t.k.tasks[tid]
		t.k.mu.Unlock()
		if o == nil {
			return 0, syscall.ESRCH
		}
		return 0, syscall.EPERM
	}
	if err := t.copyOutUint64(a[2], abi.SizeRobustListHead); err != nil {
		return 0, err
	}
	return 0, t.copyOutUint64(a[1], t.robustList)
}
