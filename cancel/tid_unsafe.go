package cancel

import (
	"runtime"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

const goarch = runtime.GOARCH

// A cancellable call must say which thread it is on. gettid(2) costs as much as a short read, but the Go runtime
// keeps each thread's id: the g has a pointer to its m, and the m the id. Where, is the runtime's business and may
// change; so findTID looks for it once, believes only what holds on several threads, and else leaves it to gettid.

// place is a candidate: the offset of the m in the g, and of the id in the m.
type place struct{ m, tid uintptr }

// findTID sets gToM and mToTID, or leaves them 0.
func findTID() {
	const threads = 4
	var all, locked sync.WaitGroup
	found := make([][]place, threads+1)
	locked.Add(threads)
	for i := range threads {
		all.Go(func() {
			// Locked until all are, so that each is on a thread of its own.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			found[i] = places()
			locked.Done()
			locked.Wait()
		})
	}
	all.Wait()
	// And not locked, because a locked g points to its m in a second place.
	all.Go(func() { found[threads] = places() })
	all.Wait()

	good := found[0]
	for _, other := range found[1:] {
		good = slices.DeleteFunc(good, func(p place) bool { return !slices.Contains(other, p) })
	}
	if len(good) == 1 {
		gToM, mToTID = good[0].m, good[0].tid
	}
}

// places returns where the id of this thread can be reached from this g. It reads memory by way of the kernel, because
// it follows what may not be pointers.
func places() []place {
	var r []place
	var gWords [32]uintptr // g.m has been the 7th word since Go 1.3
	var mWords [128]uintptr
	g := getg()
	if !peek(g, unsafe.Pointer(&gWords), unsafe.Sizeof(gWords)) {
		return nil
	}
	for i, m := range gWords {
		// A g begins with the bounds of its stack. What lies there can be the id too, but in our own variables.
		if m%8 != 0 || m >= gWords[0] && m < gWords[1] || !peek(m, unsafe.Pointer(&mWords), unsafe.Sizeof(mWords)) {
			continue
		}
		tid := uintptr(unix.Gettid())
		for j, v := range mWords {
			if v == tid {
				r = append(r, place{uintptr(i) * 8, uintptr(j) * 8})
			}
		}
	}
	return r
}

// peek copies n bytes at addr of this process, if they can be read.
func peek(addr uintptr, to unsafe.Pointer, n uintptr) bool {
	local := unix.Iovec{Base: (*byte)(to)}
	local.SetLen(int(n))
	got, err := unix.ProcessVMReadv(unix.Getpid(), []unix.Iovec{local}, []unix.RemoteIovec{{Base: addr, Len: int(n)}}, 0)
	return err == nil && got == int(n)
}
