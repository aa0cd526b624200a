package posix

import (
	"encoding/binary"
	"sync"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/machine"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// System V shared memory, see shmget(2), shmop(2), shmctl(2). A segment is a
// memory file without a name.
var shmCalls = calls{
	unix.SYS_SHMGET: {fn: sysShmget},
	unix.SYS_SHMAT:  {fn: sysShmat},
	unix.SYS_SHMDT:  {fn: sysShmdt},
	unix.SYS_SHMCTL: {fn: sysShmctl},
}

// The constants of <sys/ipc.h> and <sys/shm.h>.
const (
	ipcPrivate = 0
	ipcCreat   = 0o1000
	ipcExcl    = 0o2000
	ipcRMID    = 0
	ipcSet     = 1
	ipcStat    = 2
	ipcInfo    = 3

	shmRdonly  = 0o10000
	shmRnd     = 0o20000
	shmRemap   = 0o40000
	shmExec    = 0o100000
	shmLock    = 11
	shmUnlock  = 12
	shmStat    = 13
	shmInfo    = 14
	shmStatAny = 15
	shmDest    = 0o1000
	shmLocked  = 0o2000

	shmMax  = 1 << 40
	shmMany = 4096
)

// ipcOwner is who an object of System V belongs to.
type ipcOwner struct {
	key                  uint32
	uid, gid, cuid, cgid uint32
	mode                 uint32
}

// may checks permissions as ipcperms does: want has the bits of one class.
func (o *ipcOwner) may(c *Creds, want uint32) bool {
	if c.capable(unix.CAP_IPC_OWNER) {
		return true
	}
	mode := o.mode
	switch {
	case c.EUID == o.uid || c.EUID == o.cuid:
		mode >>= 6
	case c.inGroup(o.gid) || c.inGroup(o.cgid):
		mode >>= 3
	}
	return mode&want == want
}

func (o *ipcOwner) owns(c *Creds) bool {
	return c.EUID == o.uid || c.EUID == o.cuid || c.capable(unix.CAP_SYS_ADMIN)
}

func newIPCOwner(c *Creds, key, flags uint32) ipcOwner {
	return ipcOwner{key: key, uid: c.EUID, gid: c.EGID, cuid: c.EUID, cgid: c.EGID, mode: flags & 0o777}
}

// put writes struct ipc64_perm, 48 bytes.
func (o *ipcOwner) put(b []byte, extra uint32) {
	for i, v := range []uint32{o.key, o.uid, o.gid, o.cuid, o.cgid, o.mode | extra} {
		binary.LittleEndian.PutUint32(b[4*i:], v)
	}
}

// set takes what IPC_SET may change from a struct ipc64_perm.
func (o *ipcOwner) set(b []byte) {
	o.uid, o.gid = binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
	o.mode = binary.LittleEndian.Uint32(b[20:]) & 0o777
}

// shmTable are the segments of a box. mu is a leaf.
type shmTable struct {
	mu   sync.Mutex
	next int // id
	segs map[int]*shmSegment
}

type shmSegment struct {
	ipcOwner
	id, size            int
	file                vfs.File
	attached            int
	removed, locked     bool
	atime, dtime, ctime int64
	creator, last       int
}

// find returns the segment of a key. mu is held.
func (s *shmTable) find(key uint32) *shmSegment {
	for _, g := range s.segs {
		if g.key == key && !g.removed {
			return g
		}
	}
	return nil
}

func sysShmget(t *Task, a *Args) (uint64, error) {
	key, size, flags := a.Uint(0), a[1], a.Uint(2)
	s, c := &t.k.shm, t.creds.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	if key != ipcPrivate {
		if g := s.find(key); g != nil {
			switch {
			case flags&ipcCreat != 0 && flags&ipcExcl != 0:
				return 0, syscall.EEXIST
			case !g.may(c, (flags>>6|flags>>3|flags)&7):
				return 0, syscall.EACCES
			case size > uint64(g.size):
				return 0, syscall.EINVAL
			}
			return uint64(g.id), nil
		}
		if flags&ipcCreat == 0 {
			return 0, syscall.ENOENT
		}
	}
	if size == 0 || size > shmMax {
		return 0, syscall.EINVAL
	}
	if len(s.segs) >= shmMany {
		return 0, syscall.ENOSPC
	}
	f := t.k.memfds.NewMemfd(vfs.MakeOptions{Mode: 0o600, UID: c.EUID, GID: c.EGID}, false)
	if err := vfs.SetAttributes(t.context(), f.Node(), f, vfs.SetAttr{Valid: vfs.SetSize, Size: int64(pageUp(size))}); err != nil {
		f.Close()
		return 0, err
	}
	g := &shmSegment{
		ipcOwner: newIPCOwner(c, key, flags), id: s.next, size: int(size), file: f,
		ctime: time.Now().Unix(), creator: t.proc.pid,
	}
	if s.segs == nil {
		s.segs = map[int]*shmSegment{}
	}
	s.segs[g.id] = g
	s.next++
	return uint64(g.id), nil
}

func sysShmat(t *Task, a *Args) (uint64, error) {
	id, addr, flags := a.Int(0), a[1], a.Uint(2)
	if addr%4096 != 0 {
		if flags&shmRnd == 0 {
			return 0, syscall.EINVAL
		}
		addr = pageDown(addr)
	}
	if flags&shmRemap != 0 && addr == 0 {
		return 0, syscall.EINVAL
	}
	prot, want := uint64(unix.PROT_READ), uint32(4)
	if flags&shmRdonly == 0 {
		prot, want = prot|unix.PROT_WRITE, 6
	}
	if flags&shmExec != 0 {
		prot, want = prot|unix.PROT_EXEC, want|1
	}
	s := &t.k.shm
	s.mu.Lock()
	g := s.segs[id]
	if g == nil || g.removed && g.attached == 0 {
		s.mu.Unlock()
		return 0, syscall.EINVAL
	}
	if !g.may(t.creds.Load(), want) {
		s.mu.Unlock()
		return 0, syscall.EACCES
	}
	g.attached++ // it stays while it is mapped
	s.mu.Unlock()

	mapFlags := uint64(unix.MAP_SHARED)
	switch {
	case flags&shmRemap != 0:
		mapFlags |= unix.MAP_FIXED
	case addr != 0:
		mapFlags |= unix.MAP_FIXED_NOREPLACE
	}
	at, err := t.mapFile(g.file, anonymous(g.file.Node(), "/SYSV"+hex8(g.key)+" (deleted)"), mapRequest{
		addr: addr, length: pageUp(uint64(g.size)), prot: prot, flags: mapFlags, shared: true, writable: prot&unix.PROT_WRITE != 0,
	})
	if err == syscall.EEXIST {
		err = syscall.EINVAL
	}
	if err != nil {
		s.detach(g, t.proc.pid)
		return 0, err
	}
	s.mu.Lock()
	g.atime, g.last = time.Now().Unix(), t.proc.pid
	s.mu.Unlock()
	t.mem.attach(at, g)
	return at, nil
}

func hex8(v uint32) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 8)
	for i := range b {
		b[i] = digits[v>>(28-4*i)&15]
	}
	return string(b)
}

// detach ends one attachment; a removed segment goes with the last.
func (s *shmTable) detach(g *shmSegment, pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.attached--
	g.dtime, g.last = time.Now().Unix(), pid
	s.drop(g)
}

// drop frees a segment that was removed and is attached nowhere. mu is held.
func (s *shmTable) drop(g *shmSegment) {
	if g.removed && g.attached == 0 && s.segs[g.id] == g {
		delete(s.segs, g.id)
		g.file.Close()
	}
}

func (m *Memory) attach(at uint64, g *shmSegment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.attached == nil {
		m.attached = map[uint64]*shmSegment{}
	}
	m.attached[at] = g
}

func sysShmdt(t *Task, a *Args) (uint64, error) {
	m := t.mem
	m.mu.Lock()
	g := m.attached[a[0]]
	delete(m.attached, a[0])
	m.mu.Unlock()
	if g == nil {
		return 0, syscall.EINVAL
	}
	c := []machine.Call{{NR: unix.SYS_MUNMAP, Args: [6]uint64{a[0], pageUp(uint64(g.size))}}}
	err := t.thread.Do(c)
	t.k.shm.detach(g, t.proc.pid)
	if err != nil {
		return 0, syscall.EINVAL
	}
	return 0, nil
}

// detachAll ends the attachments of an address space that goes away.
func (m *Memory) detachAll(k *Kernel) {
	m.mu.Lock()
	all := m.attached
	m.attached = nil
	m.mu.Unlock()
	for _, g := range all {
		k.shm.detach(g, 0)
	}
}

// inheritAttached counts a forked child's attachments. m is the child's.
func (m *Memory) inheritAttached(k *Kernel, from *Memory) {
	from.mu.Lock()
	defer from.mu.Unlock()
	k.shm.mu.Lock()
	defer k.shm.mu.Unlock()
	for at, g := range from.attached {
		if m.attached == nil {
			m.attached = map[uint64]*shmSegment{}
		}
		m.attached[at] = g
		g.attached++
	}
}

func sysShmctl(t *Task, a *Args) (uint64, error) {
	s, c := &t.k.shm, t.creds.Load()
	cmd := a.Int(1)
	var in [112]byte
	if cmd == ipcSet {
		if err := t.copyIn(a[2], in[:]); err != nil {
			return 0, err
		}
	}
	out, ret, err := s.control(c, a.Int(0), cmd, in[:])
	if err == nil && out != nil {
		err = t.copyOut(a[2], out)
	}
	return ret, err
}

func (s *shmTable) control(c *Creds, id, cmd int, in []byte) (out []byte, ret uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch cmd {
	case ipcInfo:
		out = make([]byte, 72)
		for i, v := range []uint64{shmMax, 1, shmMany, shmMany, shmMax / 4096} {
			binary.LittleEndian.PutUint64(out[8*i:], v)
		}
		return out, uint64(max(0, s.next-1)), nil
	case shmInfo:
		out = make([]byte, 48)
		pages := 0
		for _, g := range s.segs {
			pages += (g.size + 4095) / 4096
		}
		binary.LittleEndian.PutUint32(out, uint32(len(s.segs)))
		binary.LittleEndian.PutUint64(out[8:], uint64(pages))
		return out, uint64(max(0, s.next-1)), nil
	}
	g := s.segs[id]
	if g == nil {
		return nil, 0, syscall.EINVAL
	}
	switch cmd {
	case ipcStat, shmStat, shmStatAny:
		if cmd != shmStatAny && !g.may(c, 4) {
			return nil, 0, syscall.EACCES
		}
		if cmd != ipcStat {
			ret = uint64(id)
		}
		return g.encode(), ret, nil
	case ipcSet, ipcRMID, shmLock, shmUnlock:
		if !g.owns(c) {
			return nil, 0, syscall.EPERM
		}
	default:
		return nil, 0, syscall.EINVAL
	}
	switch cmd {
	case ipcSet:
		g.set(in)
		g.ctime = time.Now().Unix()
	case ipcRMID:
		g.removed, g.key = true, ipcPrivate
		s.drop(g)
	default:
		g.locked = cmd == shmLock
	}
	return nil, 0, nil
}

// encode makes struct shmid64_ds.
func (g *shmSegment) encode() []byte {
	b := make([]byte, 112)
	extra := uint32(0)
	if g.removed {
		extra |= shmDest
	}
	if g.locked {
		extra |= shmLocked
	}
	g.put(b, extra)
	le := binary.LittleEndian
	for i, v := range []int64{int64(g.size), g.atime, g.dtime, g.ctime} {
		le.PutUint64(b[48+8*i:], uint64(v))
	}
	le.PutUint32(b[80:], uint32(g.creator))
	le.PutUint32(b[84:], uint32(g.last))
	le.PutUint64(b[88:], uint64(g.attached))
	return b
}
