package lane

import (
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ring is one end of a lane over shared memory: a memory object that both ends
// map and a socket that carries bells, descriptors and the news of the other
// end's death.
type ring struct {
	lane *Lane
	side int // 0 made the memory, 1 received it
	lay  layout
	shm  []byte
	sock int
	peer atomic.Pointer[Credentials]

	out caller // requests of this end
	in  server // requests of the other end

	refs atomic.Int64 // users of shm and sock, and 1 while alive
	once sync.Once
	dead atomic.Bool
	err  error // why, valid once dead

	hub     *hub
	hubID   uint64
	polling sync.Mutex    // held by who polls
	polls   atomic.Uint64 // wishes to poll
	warm    atomic.Bool
	heat    atomic.Int32
	used    atomic.Uint64 // when it last had something to do
	blocked int32         // handlers under way when the leader last slept; its own

	recvMu sync.Mutex
	fds    map[fdKey]fdSet
	rung   bool // a bell was read

	wmu      sync.Mutex
	writable chan struct{} // closed when the socket may take more; nil when nobody waits
}

// newRing maps the memory behind memfd and takes sock over. memfd stays the
// caller's.
func newRing(l *Lane, side, sock, memfd int, lay layout) (*ring, error) {
	m, err := unix.Mmap(memfd, 0, lay.total, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	r := &ring{lane: l, side: side, lay: lay, shm: m, sock: sock, fds: make(map[fdKey]fdSet)}
	r.refs.Store(1)
	r.out.init(r, m[lay.half[side]:])
	r.in.init(r, m[lay.half[1-side]:])
	if err := hubAdd(r); err != nil {
		unix.Munmap(m)
		return nil, err
	}
	return r, nil
}

// newMemory makes the memory of a ring lane.
func newRingMemory(cfg *Config) (memfd int, lay layout, err error) {
	lay = newLayout(cfg.Slots, cfg.Arena)
	memfd, err = newMemfd("lane", lay.total)
	if err != nil {
		return -1, layout{}, err
	}
	m, err := unix.Mmap(memfd, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		unix.Close(memfd)
		return -1, layout{}, err
	}
	defer unix.Munmap(m)
	word32(m, hdrVersion).Store(ringVersion)
	word32(m, hdrSlots).Store(uint32(lay.slots))
	word(m, hdrArena).Store(uint64(lay.arena))
	word(m, hdrMagic).Store(ringMagic)
	return memfd, lay, nil
}

// readLayout checks a memory object that a peer sent as a lane's.
func readLayout(memfd int) (layout, error) {
	size, seals, err := checkMemfd(memfd)
	if err != nil {
		return layout{}, err
	}
	if size < pageSize || seals&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 {
		return layout{}, ErrProtocol
	}
	var p [pageSize]byte
	if _, err := unix.Pread(memfd, p[:], 0); err != nil {
		return layout{}, err
	}
	return checkLayout(word(p[:], hdrMagic).Load(), word32(p[:], hdrVersion).Load(),
		word32(p[:], hdrSlots).Load(), word(p[:], hdrArena).Load(), size)
}

// enter keeps the memory and the socket in place until leave.
func (r *ring) enter() bool {
	for {
		n := r.refs.Load()
		if n <= 0 {
			return false
		}
		if r.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (r *ring) leave() {
	if r.refs.Add(-1) > 0 {
		return
	}
	r.recvMu.Lock()
	r.drainLocked() // what still lies in the socket is closed with it
	for k, set := range r.fds {
		set.close()
		delete(r.fds, k)
	}
	r.recvMu.Unlock()
	unix.Close(r.sock)
	unix.Munmap(r.shm)
	r.shm = nil
}

// fail ends the lane at this end. All that waits is told; the other end sees the
// socket's hang-up.
func (r *ring) fail(err error) {
	r.once.Do(func() {
		r.err = err
		r.dead.Store(true)
		r.lane.end(err)
		unix.Shutdown(r.sock, unix.SHUT_RDWR)
		r.hub.cool(r)
		hubRemove(r)
		r.notifyWritable()
		r.out.died()
		why := codeCallerDied
		if errors.Is(err, ErrClosed) {
			why = codeShutdown
		}
		r.in.died(r.lane.endCause(uint8(why)))
		r.leave()
	})
}

// ready is called by the hub when the socket has something, and by whoever wants
// the lane looked at.
func (r *ring) ready(events uint32) {
	if !r.enter() {
		return
	}
	defer r.leave()
	if events&unix.EPOLLOUT != 0 {
		r.notifyWritable()
	}
	var err error
	if events != 0 {
		r.recvMu.Lock()
		err = r.drainLocked()
		r.recvMu.Unlock()
	}
	for n := 0; ; n++ {
		progress, _ := r.poll(false)
		if !r.arm() && !progress {
			break
		}
		if n == 4 {
			hubAgain(r) // a peer that is this busy must not keep the others waiting
			break
		}
	}
	if err != nil {
		r.fail(err)
	} else if events&unix.EPOLLIN != 0 {
		r.hub.warm(r)
	}
}

// poll does what there is to do, without blocking, and reports whether there was
// anything. One goroutine at a time does it; what comes meanwhile is left to it.
// With hold, one request may be left to the caller.
func (r *ring) poll(hold bool) (progress bool, held *Request) {
	r.polls.Add(1)
	if !r.polling.TryLock() {
		return false, nil
	}
	for {
		seen := r.polls.Load()
		did, h := r.in.work(hold)
		if h != nil {
			if held != nil {
				go held.ring.serveAll(held)
			}
			held = h
		}
		progress = r.out.reap() || did || progress
		r.polling.Unlock()
		if r.polls.Load() == seen || !r.polling.TryLock() {
			return progress, held
		}
	}
}

// arm asks for bells and reports whether there is something to do after all.
func (r *ring) arm() bool {
	in := r.in.arm()
	out := r.out.interest.Load() > 0 && r.out.armAndLook()
	return in || out
}

// bell wakes the other end: with a futex if it waits so, else through the
// socket. A full socket means that bells are waiting there already.
func (r *ring) bell() {
	side := 1 - r.side
	mode := r.bellMode(side).Load()
	if mode != bellLeader && mode != bellFollower {
		sendBell(r.sock)
		return
	}
	off := r.bellSeq(side, int(mode))
	word32(r.shm, off).Add(1)
	futexWake(r.shm, off)
}

func (r *ring) bellMode(side int) *atomic.Uint64 { return word(r.shm, hdrBell+side*hdrBellSize) }

// bellSeq returns the offset of a side's futex for a mode.
func (r *ring) bellSeq(side, mode int) int { return hdrBell + side*hdrBellSize + mode*hdrBellSeq }

// setBit sets bit i of the bitmap at off of a half.
func setBit(half []byte, off, i int) { word(half, off+i/64*8).Or(1 << (i % 64)) }
