package machine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

var (
	// ErrDead: the guest thread or process is gone.
	ErrDead = errors.New("machine: the guest process is gone")
	// ErrThreads: an address space has all the threads it can.
	ErrThreads = fmt.Errorf("machine: too many threads: %w", unix.EAGAIN)
)

// Space is an address space: a host process.
type Space struct {
	machine  *Machine
	mem      []byte // all slots
	memFD    int    // until the process has mapped it
	channel  sync.Mutex
	localFD  int // our end of the descriptor channel
	remoteFD int // the process's end, until it has it

	mu      sync.Mutex
	pid     int // 0 when reaped or not yet born
	pidFD   int
	local   [8]uint64 // the calls that the stub makes without asking
	threads map[int]*Thread
	next    int   // slots from here on were never used, but for a forked thread's
	free    []int // used ones below next
	dead    bool
	done    chan struct{}
	status  unix.WaitStatus
	then    func() // FreeThen's
	settles []*settle
}

// newSpace prepares what a new process will share with the server.
func (m *Machine) newSpace() (*Space, error) {
	fd, err := unix.MemfdCreate("hati-slots", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("machine: making shared memory: %w", err)
	}
	s := &Space{machine: m, memFD: fd, localFD: -1, remoteFD: -1, pidFD: -1, local: m.local, threads: map[int]*Thread{}, done: make(chan struct{})}
	if err := s.prepare(); err != nil {
		s.discard()
		return nil, err
	}
	return s, nil
}

func (s *Space) prepare() error {
	if err := unix.Ftruncate(s.memFD, slotsSize); err != nil {
		return fmt.Errorf("machine: sizing shared memory: %w", err)
	}
	// A process that shrank it could make the server fault.
	if _, err := unix.FcntlInt(uintptr(s.memFD), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		return fmt.Errorf("machine: sealing shared memory: %w", err)
	}
	var err error
	s.mem, err = unix.Mmap(s.memFD, 0, slotsSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("machine: mapping shared memory: %w", err)
	}
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("machine: making a descriptor channel: %w", err)
	}
	s.localFD, s.remoteFD = p[0], p[1]
	return nil
}

// allocate finds a free slot, one that was used before if there is one: its
// pages are there already.
func (s *Space) allocate() (*Thread, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return nil, ErrDead
	}
	if err := mayGrow(); err != nil {
		return nil, err
	}
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return s.place(i), nil
	}
	for s.next < maxSlots {
		i := s.next
		s.next++
		if s.threads[i] == nil {
			return s.place(i), nil
		}
	}
	return nil, ErrThreads
}

func (s *Space) allocateAt(i int) *Thread {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.place(i)
}

func (s *Space) place(i int) *Thread {
	t := &Thread{space: s, index: i, slot: slotAt(s.mem, i)}
	m := s.machine
	*t.slot = slot{
		ppid: uint32(os.Getpid()), local: s.local,
		rangeBegin: m.stub.begin, rangeEnd: m.stub.end, rangeCancel: m.stub.cancel,
		kickSet: 1 << (kickSignal - 1),
	}
	s.threads[i] = t
	guestThreads.Add(1)
	return t
}

// Ask has the stub ask the server before it makes these calls, from now on and
// in all threads. It is not inherited.
func (s *Space) Ask(calls ...uintptr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, nr := range calls {
		s.local[nr/64] &^= 1 << (nr % 64)
	}
	for _, t := range s.threads {
		t.setLocal()
	}
}

// release frees a thread's slot; with the last thread the process ends.
func (s *Space) release(t *Thread) {
	s.mu.Lock()
	if s.threads[t.index] == t {
		delete(s.threads, t.index)
		guestThreads.Add(-1)
	}
	if t.index < s.next {
		s.free = append(s.free, t.index)
	}
	last := len(s.threads) == 0
	s.mu.Unlock()
	s.settled(t)
	if last {
		s.Kill()
	}
}

// born records the host process and forgets what is its own now. When it fails,
// the process and the space are gone.
func (s *Space) born(pid int) error {
	unix.Close(s.memFD)
	unix.Close(s.remoteFD)
	s.memFD, s.remoteFD = -1, -1
	fd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		s.mu.Lock()
		s.pid, s.pidFD = pid, fd
		s.mu.Unlock()
		if err = s.machine.reaper.add(s, fd); err == nil {
			return nil
		}
		s.mu.Lock()
		s.pid = 0
		s.mu.Unlock()
	}
	// It has no more than begun; nobody else will wait for it.
	unix.Kill(pid, unix.SIGKILL)
	unix.Wait4(pid, nil, 0, nil)
	s.mu.Lock()
	s.dead = true
	s.mu.Unlock()
	s.discard()
	close(s.done)
	return fmt.Errorf("machine: watching a new process: %w", err)
}

// discard frees a space that never became a process.
func (s *Space) discard() {
	for _, fd := range []*int{&s.memFD, &s.localFD, &s.remoteFD, &s.pidFD} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
	s.unmap()
}

// unmap gives back the memory of all slots, whose threads nobody uses any more.
func (s *Space) unmap() {
	if s.mem == nil {
		return
	}
	unix.Munmap(s.mem)
	s.mem = nil
	guestThreads.Add(-int64(len(s.threads)))
	clear(s.threads)
}

// signal sends the kick. The process is not reaped while s.mu is held, so its
// number is its own.
func (s *Space) signal(tid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pid != 0 {
		unix.Tgkill(s.pid, tid, unix.Signal(kickSignal))
	}
}

// Kill ends the host process at once. Anyone may call it.
func (s *Space) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pid != 0 {
		unix.Kill(s.pid, unix.SIGKILL)
	}
}

// Done is closed when the host process is gone.
func (s *Space) Done() <-chan struct{} { return s.done }

// Status returns how the host process ended, after Done.
func (s *Space) Status() unix.WaitStatus { return s.status }

// Ended returns how the host process ended, if it has. A thread that the server
// has given up (see Thread.fail) may be ahead of that.
func (s *Space) Ended() (status unix.WaitStatus, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status, s.dead
}

// PID returns the host process's id, or 0 when it is gone. It is for looking
// into /proc; signals go through Kick and Kill.
func (s *Space) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pid
}

// reaped is called by the reaper when the host process is a zombie.
func (s *Space) reaped() {
	s.mu.Lock()
	pid := s.pid
	s.pid, s.dead = 0, true
	unix.Wait4(pid, &s.status, 0, nil)
	unix.Close(s.pidFD)
	s.pidFD = -1
	for _, t := range s.threads {
		t.tid.Store(0)
		atomic.StoreUint32(&t.slot.state, stateDead)
		if atomic.LoadUint32(&t.slot.serverSleeps) != 0 {
			futexWake(&t.slot.state)
		}
	}
	then := s.then
	settles := s.settles
	s.settles = nil
	s.mu.Unlock()
	for _, w := range settles {
		w.then()
	}
	close(s.done)
	if then != nil {
		s.Free()
		then()
	}
}

// FreeThen is Free, but does not wait for the process's end: that is when it
// happens, and then is called.
func (s *Space) FreeThen(then func()) {
	s.mu.Lock()
	gone := s.dead
	if !gone {
		s.then = then
	}
	s.mu.Unlock()
	if gone {
		s.Free()
		then()
	}
}

// Free returns the server's side of a space whose process is gone and whose
// threads nobody uses any more.
func (s *Space) Free() {
	<-s.done
	s.channel.Lock()
	defer s.channel.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unmap()
	if s.localFD >= 0 {
		unix.Close(s.localFD)
		s.localFD = -1
	}
}

// send puts descriptors into the channel.
func (s *Space) send(fds ...int) error {
	err := unix.Sendmsg(s.localFD, []byte{0}, unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	if err != nil {
		return fmt.Errorf("machine: passing descriptors: %w", err)
	}
	return nil
}

// recvCall prepares a recvmsg that takes what send sent. Descriptors get the
// lowest numbers, so they are 1 and 2: 0 is the channel itself, and there is
// nothing else while the channel is locked.
func (t *Thread) recvCall() [1]Call {
	const hdr, iov, data, control = 0x000, 0x040, 0x050, 0x060
	mem, at := t.Scratch()
	le := binary.LittleEndian
	clear(mem[:0x100])
	le.PutUint64(mem[iov:], at+data)
	le.PutUint64(mem[iov+8:], 1)
	le.PutUint64(mem[hdr+16:], at+iov)
	le.PutUint64(mem[hdr+24:], 1)
	le.PutUint64(mem[hdr+32:], at+control)
	le.PutUint64(mem[hdr+40:], 0x40)
	return [1]Call{{NR: unix.SYS_RECVMSG, Args: [6]uint64{0, at + hdr, unix.MSG_DONTWAIT}}}
}

// WithFD are host calls that are made with FD as the process's descriptor
// [GuestFD]; it is closed there afterwards. -1 is none.
type WithFD struct {
	FD    int
	Calls []Call
}

// DoWithFDs makes the host calls of all groups, one after the other, and fills
// in the results. t is stopped.
func (t *Thread) DoWithFDs(groups ...WithFD) error {
	s := t.space
	s.channel.Lock()
	defer s.channel.Unlock()
	if t.dead {
		return ErrDead
	}
	recv := t.recvCall()
	var all []Call
	sent := 0
	for _, g := range groups {
		if g.FD < 0 {
			all = append(all, g.Calls...)
			continue
		}
		if err := s.send(g.FD); err != nil {
			if sent > 0 {
				s.Kill() // what was sent must not be taken for something else later
			}
			return err
		}
		sent++
		all = append(all, recv[0])
		all = append(all, g.Calls...)
		all = append(all, Call{NR: unix.SYS_CLOSE, Args: [6]uint64{GuestFD}})
	}
	if err := t.Do(all); err != nil {
		return err
	}
	for _, g := range groups {
		if g.FD >= 0 {
			if r := all[0].Ret; r < 0 {
				s.Kill()
				return fmt.Errorf("machine: passing a descriptor: %w", unix.Errno(-r))
			}
			all = all[1:]
		}
		for i := range g.Calls {
			g.Calls[i].Ret = all[i].Ret
		}
		all = all[len(g.Calls):]
		if g.FD >= 0 {
			all = all[1:]
		}
	}
	return nil
}

// GuestFD is the number that a descriptor of DoWithFDs has in the guest process.
const GuestFD = 1

// OwnSize is how much of a guest process's address space the machine takes, in
// bytes.
const OwnSize = slotsSize + textSize

// IsOwn reports whether an address of a guest process belongs to the machine:
// the stub or the slots.
func IsOwn(addr uint64) bool { return addr >= textBase && addr < slotsBase+slotsSize }
