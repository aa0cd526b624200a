package posix

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"sync"
	"syscall"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/loader"
	"github.com/hati-os/hati/internal/machine"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Where programs are put, as Linux does: position independent ones with an
// interpreter two thirds up, everything else at the top.
const (
	pieBase    = 0x555555554000
	pieSpread  = 1 << 40
	topSpread  = 1 << 32
	stackGuard = 1 << 20
	stackMax   = 1 << 30
)

// readerAt reads a file of a server.
type readerAt struct {
	ctx context.Context
	f   vfs.File
}

func (r readerAt) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		m, err := vfs.Read(r.ctx, r.f, p[n:], off+int64(n))
		if err != nil {
			return n, err
		}
		if m == 0 {
			return n, io.EOF
		}
		n += m
	}
	return n, nil
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// load makes an address space with the program in it.
func (t *Task) load(p *program) (*program, error) {
	exe, f, err := t.resolveScripts(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p.exe = exe
	t.setID(p)
	img, err := parseFile(t, f, loader.Parse)
	if err != nil {
		return nil, err
	}
	var interp *loader.Image
	var interpFile vfs.File
	var interpPath Path
	if img.Interp != "" {
		if interpPath, interpFile, _, err = t.openExec(unix.AT_FDCWD, img.Interp, 0); err != nil {
			return nil, err
		}
		defer interpFile.Close()
		if interp, err = parseFile(t, interpFile, loader.ParseInterp); err != nil {
			return nil, err
		}
	}
	th, err := t.k.machine.NewThread()
	if err != nil {
		t.k.logf("execve %s: %v", p.name, err)
		return nil, syscall.EAGAIN
	}
	p.thread, p.mem = th, newMemory(th.Space())
	if err := t.fill(p, img, f, interp, interpFile, interpPath); err != nil {
		p.mem.release(t.k, th)
		return nil, err
	}
	return p, nil
}

func parseFile(t *Task, f vfs.File, parse func(io.ReaderAt, int64) (*loader.Image, error)) (*loader.Image, error) {
	a, err := f.Node().Stat(t.context())
	if err != nil {
		return nil, err
	}
	return parse(readerAt{t.context(), f}, a.Size)
}

// resolveScripts opens the program, or the interpreter that its "#!" line names.
func (t *Task) resolveScripts(p *program) (Path, vfs.File, error) {
	dirfd, name, flags := p.dirfd, p.name, p.flags
	for depth := 0; ; depth++ {
		exe, f, a, err := t.openExec(dirfd, name, flags)
		if err != nil {
			return Path{}, nil, err
		}
		p.attr = a
		if depth == 0 {
			p.comm = path.Base(name)
			if name == "" {
				p.comm = path.Base(exe.String())
			}
		}
		head, err := scriptHead(readerAt{t.context(), f})
		if err != nil {
			f.Close()
			return Path{}, nil, err
		}
		interp, args, ok, err := loader.Script(head)
		if !ok && err == nil {
			return exe, f, nil
		}
		f.Close()
		if err != nil {
			return Path{}, nil, err
		}
		if depth == loader.MaxInterpreters {
			return Path{}, nil, syscall.ELOOP
		}
		script := name
		if dirfd != unix.AT_FDCWD && !path.IsAbs(name) {
			script = fmt.Sprintf("/dev/fd/%d", dirfd)
			if name != "" {
				script += "/" + name
			}
		}
		argv := append([]string{interp}, args...)
		argv = append(argv, script)
		if len(p.argv) > 0 {
			argv = append(argv, p.argv[1:]...)
		}
		p.argv = argv
		dirfd, name, flags = unix.AT_FDCWD, interp, 0
	}
}

// fill maps the program, its interpreter and the stack, all with one crossing.
func (t *Task) fill(p *program, img *loader.Image, f vfs.File, interp *loader.Image, interpFile vfs.File, interpPath Path) error {
	// In an empty address space the places are the server's to choose: the stack
	// at the top, what is position independent below it.
	low, room := t.k.machine.Room()
	room -= p.randomPages(topSpread)
	top := room - p.randomPages(1<<20)
	room -= t.stackSize(p) + stackGuard
	p.mem.stackStart = room + stackGuard
	p.mem.stackEnd = p.mem.stackStart + t.stackSize(p)
	var bias, interpBias uint64
	if interp != nil {
		interpBias = below(&room, interp)
		bias = img.BiasFor(pieBase + p.randomPages(pieSpread))
	} else {
		bias = below(&room, img)
	}
	if room < low {
		return syscall.ENOMEM
	}
	plan, err := loader.NewPlan(img, bias, interp, interpBias)
	if err != nil {
		return err
	}
	if err := p.mapOps(t, plan, f, interpFile, interpPath); err != nil {
		return err
	}
	p.mem.brkStart = plan.Brk
	if plan.BrkAway {
		p.mem.brkStart = pieBase + p.randomPages(pieSpread)
	}
	p.mem.brkStart += p.randomPages(32 << 20)
	p.mem.brk = p.mem.brkStart
	return t.fillStack(p, plan, top)
}

// below takes room for an image that may lie anywhere, and returns its bias.
func below(room *uint64, img *loader.Image) uint64 {
	if !img.Dyn {
		return 0
	}
	low, high := img.Span()
	bias := img.BiasFor(*room - min(high-low, *room))
	*room = low + bias
	return bias
}

// mapOps makes the plan's mappings and the stack's.
func (p *program) mapOps(t *Task, plan *loader.Plan, f, interpFile vfs.File, interpPath Path) error {
	var groups []machine.WithFD
	for i := 0; i < len(plan.Ops); {
		from := plan.Ops[i].From
		j := i
		for j < len(plan.Ops) && (plan.Ops[j].From == from || plan.Ops[j].From == loader.Anonymous) {
			if from == loader.Anonymous {
				from = plan.Ops[j].From
			}
			j++
		}
		file, name := f, p.exe
		if from == loader.InterpFile {
			file, name = interpFile, interpPath
		}
		m, err := p.mapping(t, file, name)
		if err != nil {
			return err
		}
		if m.Release != nil {
			defer m.Release()
		}
		groups = append(groups, machine.WithFD{FD: m.FD, Calls: mapCalls(plan.Ops[i:j], m)})
		i = j
	}
	groups = append(groups, machine.WithFD{FD: -1, Calls: p.stackCalls(plan)})
	if err := p.thread.DoWithFDs(groups...); err != nil {
		return syscall.EAGAIN
	}
	for _, g := range groups {
		for _, c := range g.Calls {
			if _, err := hostResult(c.Ret); err != nil {
				return err
			}
		}
	}
	return p.copyRest(t, plan, f, interpFile)
}

// mapping is a file's memory object; FD is -1 when it has none.
func (p *program) mapping(t *Task, f vfs.File, name Path) (vfs.Mapping, error) {
	mp, ok := f.(vfs.Mapper)
	if !ok {
		return vfs.Mapping{FD: -1}, nil
	}
	m, err := mp.Map(t.context(), unix.PROT_READ|unix.PROT_EXEC, false)
	if err == syscall.ENODEV {
		return vfs.Mapping{FD: -1}, nil
	}
	if err != nil {
		return m, err
	}
	var st unix.Stat_t
	if unix.Fstat(m.FD, &st) == nil {
		p.mem.setName(hostObject{st.Dev, st.Ino}, name.String())
	}
	return m, nil
}

// mapCalls are the host calls that map a file. What cannot be mapped gets
// memory that copyRest fills.
func mapCalls(ops []loader.Op, m vfs.Mapping) []machine.Call {
	const base = unix.MAP_PRIVATE | unix.MAP_FIXED
	c := make([]machine.Call, len(ops))
	for i, o := range ops {
		c[i] = machine.Call{NR: unix.SYS_MMAP, Args: [6]uint64{o.Addr, o.Len, uint64(o.Prot), base | unix.MAP_ANONYMOUS, ^uint64(0), 0}}
		switch {
		case o.From == loader.Anonymous:
		case m.FD >= 0:
			c[i].Args[3], c[i].Args[4], c[i].Args[5] = base, machine.GuestFD, uint64(o.Off+m.Offset)
		default:
			c[i].Args[2] = unix.PROT_READ | unix.PROT_WRITE
		}
	}
	return c
}

// stackCalls are the host calls that map the stack and what guards it.
func (p *program) stackCalls(plan *loader.Plan) []machine.Call {
	at, size := p.mem.stackStart, p.mem.stackEnd-p.mem.stackStart
	prot := uint64(unix.PROT_READ | unix.PROT_WRITE)
	if plan.ExecStack {
		prot |= unix.PROT_EXEC
	}
	const flags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE | unix.MAP_STACK | unix.MAP_FIXED
	return []machine.Call{
		{NR: unix.SYS_MMAP, Args: [6]uint64{at - stackGuard, size + stackGuard, unix.PROT_NONE, flags, ^uint64(0), 0}},
		{NR: unix.SYS_MPROTECT, Args: [6]uint64{at, size, prot}},
	}
}

// copyRest fills the segments of files that cannot be mapped, and clears what
// lies behind a file's last byte.
func (p *program) copyRest(t *Task, plan *loader.Plan, f, interpFile vfs.File) error {
	zeros := make([]byte, abi.PageSize)
	for _, o := range plan.Ops {
		file := f
		if o.From == loader.InterpFile {
			file = interpFile
		}
		if _, maps := file.(vfs.Mapper); !maps && o.From != loader.Anonymous {
			if err := p.copySegment(t, file, o); err != nil {
				return err
			}
		}
		if o.ZeroLen > 0 {
			if _, err := p.mem.space.Write(o.Zero, zeros[:o.ZeroLen]); err != nil {
				return syscall.ENOEXEC
			}
		}
	}
	return nil
}

// copySegment fills a segment of a file that cannot be mapped.
func (p *program) copySegment(t *Task, f vfs.File, o loader.Op) error {
	buf := t.buffer(128 << 10)
	for done := uint64(0); done < o.Len; {
		n, err := vfs.Read(t.context(), f, buf[:min(uint64(len(buf)), o.Len-done)], o.Off+int64(done))
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if _, err := p.mem.space.Write(o.Addr+done, buf[:n]); err != nil {
			return syscall.ENOMEM
		}
		done += uint64(n)
	}
	_, err := p.thread.Do1(unix.SYS_MPROTECT, o.Addr, o.Len, uint64(o.Prot))
	return err
}

// stackSize is how large a new program's stack may become.
func (t *Task) stackSize(p *program) uint64 {
	return pageUp(p.limitStack(min(max(t.proc.limit(unix.RLIMIT_STACK), 256<<10), stackMax)))
}

// fillStack writes what a program finds on its stack, and sets the registers.
func (t *Task) fillStack(p *program, plan *loader.Plan, top uint64) error {
	m := p.mem
	c := p.creds
	in := &loader.StackInput{Argv: p.argv, Envp: p.envp, Path: p.name, Limit: t.proc.limit(unix.RLIMIT_STACK)}
	rand.Read(in.Random[:])
	host := hostAux()
	in.Aux = loader.Aux{
		SysinfoEhdr: t.k.machine.VDSO(), Minsigstksz: host[abi.AT_MINSIGSTKSZ],
		Hwcap: host[abi.AT_HWCAP], Hwcap2: host[abi.AT_HWCAP2],
		Phdr: plan.Phdr, Phnum: plan.Phnum, Base: plan.Base, Entry: plan.Entry,
		UID: c.UID, EUID: c.EUID, GID: c.GID, EGID: c.EGID, Secure: p.secure,
		RseqFeatureSize: host[abi.AT_RSEQ_FEATURE_SIZE], RseqAlign: host[abi.AT_RSEQ_ALIGN],
	}
	s, err := loader.Stack(top, in)
	if err != nil {
		return err
	}
	if s.SP < m.stackStart {
		return syscall.E2BIG
	}
	if _, err := m.space.Write(s.SP, s.Data); err != nil {
		return syscall.ENOMEM
	}
	m.argStart, m.argEnd, m.envStart, m.envEnd = s.ArgStart, s.ArgEnd, s.EnvStart, s.EnvEnd
	m.auxv = s.Data[s.AuxStart-s.SP : s.AuxEnd-s.SP]
	p.thread.Regs.RIP, p.thread.Regs.RSP = plan.Start, s.SP
	p.thread.SetDirty()
	return nil
}

// hostAux is the auxiliary vector that the host gave to this process: what it
// says of the processor holds for guests, too.
var hostAux = sync.OnceValue(func() map[uint64]uint64 {
	b, err := os.ReadFile("/proc/self/auxv")
	aux := map[uint64]uint64{}
	for ; err == nil && len(b) >= 16; b = b[16:] {
		aux[binary.LittleEndian.Uint64(b)] = binary.LittleEndian.Uint64(b[8:])
	}
	return aux
})

// randomPages returns a random multiple of the page below limit; 0 where
// personality(2) wants programs always in the same place.
func (p *program) randomPages(limit uint64) uint64 {
	if p.personality&addrNoRandomize != 0 {
		return 0
	}
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:]) % limit &^ (abi.PageSize - 1)
}
