package machine

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// kickSignal is the host signal that stops a thread. Guests never see it: their
// own signals exist in the server only.
const kickSignal = int(unix.SIGURG)

// Machine makes and watches guest processes.
type Machine struct {
	stub   *stub
	reaper *reaper
	local  [8]uint64

	zygote *Thread
	spawn  sync.Mutex // one user of the zygote at a time
	stop   chan struct{}
	parent int // the host thread whose children all guest processes are

	fpSize int
	vdso   uint64
	top    uint64
}

// Options are choices that a machine has.
type Options struct {
	// AllCalls lets the stub make no host calls of its own: all traps are seen.
	AllCalls bool
}

// New starts a machine: one pristine host process from which all others come.
func New(o Options) (*Machine, error) {
	if err := addressSpace(); err != nil {
		return nil, err
	}
	st, err := findStub()
	if err != nil {
		return nil, err
	}
	r, err := newReaper()
	if err != nil {
		return nil, err
	}
	m := &Machine{stub: st, reaper: r, stop: make(chan struct{})}
	if !o.AllCalls {
		m.local = bitmap(localCalls)
	}
	s, err := m.newSpace()
	if err != nil {
		r.stop()
		return nil, err
	}
	t := s.allocateAt(0)
	atomic.StoreUint32(&t.slot.state, stateRun)
	pid, err := m.start(s)
	if err != nil {
		s.discard()
		r.stop()
		return nil, err
	}
	t.tid.Store(int32(pid))
	if err := s.born(pid); err == nil {
		err = m.boot(t)
	}
	if err != nil {
		m.zygote = t
		return nil, errors.Join(err, m.Close())
	}
	m.zygote = t
	return m, nil
}

// addressSpace checks that this process may map the slots of some guests. The Go
// runtime would end the program at the first thread that it cannot start.
func addressSpace() error {
	const least = 4 << 30
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_AS, &r) == nil && r.Cur < least {
		return fmt.Errorf("machine: the limit of the address space (ulimit -v) is %d MiB, and %d MiB are needed, %d MiB for each guest process: %w",
			r.Cur>>20, least>>20, slotsSize>>20, unix.ENOMEM)
	}
	return nil
}

// start runs the first process, from a thread that lives as long as the
// machine: the children die with the thread that is their parent.
func (m *Machine) start(s *Space) (int, error) {
	type result struct {
		pid, tid int
		err      error
	}
	c := make(chan result)
	own := func() {
		pid, err := m.exec(s)
		c <- result{pid, unix.Gettid(), err}
		if err == nil {
			<-m.stop
		}
	}
	go withoutChildren(make(chan struct{}), own)
	r := <-c
	m.parent = r.tid
	return r.pid, r.err
}

// withoutChildren closes found and calls f on a thread that has no child processes and
// gets none but f's: the runtime's threads may have started others for the embedding
// program, and what a thread leaves at its end goes to the program's first one.
func withoutChildren(found chan struct{}, f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tid := unix.Gettid()
	if pids, err := childrenOf(tid); tid != unix.Getpid() && (err != nil || len(pids) == 0) {
		close(found)
		f()
		return
	}
	// This thread stays locked till then, so the next try is on another one.
	go withoutChildren(found, f)
	<-found
}

// childrenOf returns the processes whose parent is the thread tid of this process.
func childrenOf(tid int) ([]int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", tid))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, f := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

func (m *Machine) exec(s *Space) (int, error) {
	fd, err := unix.MemfdCreate("hati", unix.MFD_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("machine: making the first program: %w", err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, m.stub.elf()); err != nil {
		return 0, fmt.Errorf("machine: writing the first program: %w", err)
	}
	// As one of the child's files: any other number ForkExec may use for itself.
	pid, err := syscall.ForkExec("/proc/self/fd/2", []string{"hati-guest"}, &syscall.ProcAttr{
		Files: []uintptr{uintptr(s.remoteFD), uintptr(s.memFD), uintptr(fd)},
		Sys:   &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return 0, fmt.Errorf("machine: starting the first process (is /proc mounted, and are memory files executable?): %w", err)
	}
	return pid, nil
}

// boot prepares the first process for all that will be copied from it.
func (m *Machine) boot(t *Thread) error {
	if t.slot.await(0) != stateTrap {
		return fmt.Errorf("machine: the first process ended at once: %w", ErrDead)
	}
	raiseFileLimit(t.space.pid)
	maps, err := readMaps(t.space.pid)
	if err != nil {
		return err
	}
	m.vdso = maps["[vdso]"][0]
	// A slot that no thread has yet serves for the arguments.
	const spare = slotSize
	mem, at := t.space.mem[spare:2*spare], uint64(slotsBase+spare)
	le := binary.LittleEndian

	calls := []Call{
		{NR: unix.SYS_CLOSE, Args: [6]uint64{1}},
		{NR: unix.SYS_CLOSE, Args: [6]uint64{2}}, // the program itself
		{NR: unix.SYS_PRCTL, Args: [6]uint64{unix.PR_SET_PDEATHSIG, uint64(unix.SIGKILL)}},
		{NR: unix.SYS_PRCTL, Args: [6]uint64{unix.PR_SET_NO_NEW_PRIVS, 1}},
		{NR: unix.SYS_SET_TID_ADDRESS, Args: [6]uint64{t.addr(0)}},
	}
	const siginfo, onstack, restorer = 4, 0x08000000, 0x04000000
	le.PutUint64(mem[0:], m.stub.handler)
	le.PutUint64(mem[8:], siginfo|onstack|restorer)
	le.PutUint64(mem[16:], m.stub.handler)
	le.PutUint64(mem[24:], ^uint64(0))
	for _, sig := range []unix.Signal{unix.SIGSYS, unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.Signal(kickSignal)} {
		calls = append(calls, Call{NR: unix.SYS_RT_SIGACTION, Args: [6]uint64{uint64(sig), at, 0, 8}})
	}
	// Granted descriptors may raise these: the call's error tells the guest enough,
	// or the server, which is asked then.
	le.PutUint64(mem[32:], 1) // SIG_IGN
	for _, sig := range []unix.Signal{unix.SIGPIPE, unix.SIGXFSZ} {
		calls = append(calls, Call{NR: unix.SYS_RT_SIGACTION, Args: [6]uint64{uint64(sig), at + 32, 0, 8}})
	}
	t.slot.altStack = [3]uint64{t.addr(stackOffset), 0, slotSize - stackOffset}
	calls = append(calls, Call{NR: unix.SYS_SIGALTSTACK, Args: [6]uint64{t.addr(0xa0)}})
	copy(mem[64:], "hati-guest\x00")
	calls = append(calls, Call{NR: unix.SYS_PRCTL, Args: [6]uint64{unix.PR_SET_NAME, at + 64}})
	// No core files (a limit of zero), no capabilities.
	calls = append(calls, Call{NR: unix.SYS_SETRLIMIT, Args: [6]uint64{unix.RLIMIT_CORE, at + 96}})
	le.PutUint32(mem[128:], unix.LINUX_CAPABILITY_VERSION_3)
	calls = append(calls, Call{NR: unix.SYS_CAPSET, Args: [6]uint64{at + 128, at + 144}})
	if r, ok := maps["[stack]"]; ok {
		calls = append(calls, Call{NR: unix.SYS_MUNMAP, Args: [6]uint64{r[0], r[1] - r[0]}})
	}
	must := len(calls)
	// Kernels since 6.10 can make the stub immutable; before, a guest that
	// overwrites it harms itself.
	calls = append(calls, Call{NR: sysMseal, Args: [6]uint64{textBase, textSize}})
	for len(calls) > 0 {
		n := min(len(calls), maxCalls)
		if err := t.Do(calls[:n]); err != nil {
			return fmt.Errorf("machine: preparing the first process: %w", err)
		}
		for i, c := range calls[:n] {
			if c.Ret < 0 && i < must {
				return fmt.Errorf("machine: preparing the first process: host call %d: %w", c.NR, unix.Errno(-c.Ret))
			}
		}
		calls, must = calls[n:], must-n
	}
	if m.top, err = top(t); err != nil {
		return err
	}
	if err := m.confine(t, mem, at); err != nil {
		return err
	}
	// The first trap makes the frame that all others are copies of.
	if err := t.do(nil, opProbe); err != nil {
		return fmt.Errorf("machine: first trap: %w", err)
	}
	off, ok := t.frameOffset()
	if !ok {
		return errors.New("machine: the first trap left no frame")
	}
	w := words(t.mem()[off:])
	fp := w[ucFPState/8] - t.addr(0)
	if fp > slotSize-512 {
		return errors.New("machine: the first frame has no extended registers")
	}
	m.fpSize = 512
	if sw := t.mem()[fp+464:]; le.Uint32(sw) == 0x46505853 {
		m.fpSize = int(le.Uint32(sw[4:]))
	}
	clear(mem[:4096])
	// Returning restores an empty mask, and everything else is the server's to set.
	w[ucSigmask/8] = 0
	t.load()
	return nil
}

const sysMseal = 462

// top finds where the host puts mappings: from there downwards.
func top(t *Thread) (uint64, error) {
	const size = 1 << 30 // more than any gap above
	at, err := t.Do1(unix.SYS_MMAP, 0, size, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE, ^uint64(0), 0)
	if err == nil {
		_, err = t.Do1(unix.SYS_MUNMAP, at, size)
	}
	if err != nil {
		return 0, fmt.Errorf("machine: the room for mappings: %w", err)
	}
	return at + size, nil
}

// confine installs the filter.
func (m *Machine) confine(t *Thread, mem []byte, at uint64) error {
	prog := m.stub.filter()
	le := binary.LittleEndian
	for i, f := range prog {
		b := mem[1024+8*i:]
		le.PutUint16(b, f.Code)
		b[2], b[3] = f.Jt, f.Jf
		le.PutUint32(b[4:], f.K)
	}
	le.PutUint16(mem[512:], uint16(len(prog)))
	le.PutUint64(mem[520:], at+1024)
	const setModeFilter, specAllow = 1, 4
	if _, err := t.Do1(unix.SYS_SECCOMP, setModeFilter, specAllow, at+512); err != nil {
		return fmt.Errorf("machine: the host kernel refuses the system call filter (seccomp is needed): %w", err)
	}
	return nil
}

// NewThread returns the only thread of a new, empty address space, stopped. All
// its registers are zero but what the processor wants.
func (m *Machine) NewThread() (*Thread, error) {
	m.spawn.Lock()
	defer m.spawn.Unlock()
	t, err := m.zygote.fork()
	if err != nil {
		return nil, fmt.Errorf("machine: a new process: %w", err)
	}
	t.Regs = Regs{CSGSFS: t.Regs.CSGSFS, EFLAGS: 0x202}
	t.SetDirty()
	return t, nil
}

// Close ends the first process and what watches the others, which must have
// ended before.
func (m *Machine) Close() error {
	s := m.zygote.space
	s.Kill()
	s.Free()
	m.endStrays()
	close(m.stop)
	m.reaper.stop()
	return nil
}

// endStrays ends the processes that nobody here knows: a hostile guest can make some
// where the stub does. All children of the thread are guests (withoutChildren).
func (m *Machine) endStrays() {
	for {
		pids, err := childrenOf(m.parent)
		if err != nil || len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			unix.Kill(pid, unix.SIGKILL)
			if _, err := unix.Wait4(pid, nil, 0, nil); err != nil && err != unix.EINTR {
				return
			}
		}
	}
}

// VDSO returns where the host's vDSO lies in all guest processes, 0 if nowhere.
func (m *Machine) VDSO() uint64 { return m.vdso }

// Room returns a large part of the addresses that are free in a new, empty
// address space, up to where the host would put a mapping.
func (m *Machine) Room() (low, high uint64) {
	if m.top > textBase {
		return slotsBase + slotsSize, m.top
	}
	return min(1<<32, m.top), m.top
}

// FPSize returns the size of the extended registers in a frame, in bytes.
func (m *Machine) FPSize() int { return m.fpSize }

// readMaps returns the named areas of a process.
func readMaps(pid int) (map[string][2]uint64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, fmt.Errorf("machine: looking at the first process: %w", err)
	}
	defer f.Close()
	areas := map[string][2]uint64{}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		w := strings.Fields(sc.Text())
		if len(w) < 6 {
			continue
		}
		from, to, _ := strings.Cut(w[0], "-")
		a, err1 := strconv.ParseUint(from, 16, 64)
		b, err2 := strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil {
			areas[w[5]] = [2]uint64{a, b}
		}
	}
	return areas, sc.Err()
}
