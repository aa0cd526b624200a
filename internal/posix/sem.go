package posix

import (
	"encoding/binary"
	"math"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// System V semaphores, see semget(2), semop(2); semctl is in semctl.go.
var semCalls = calls{
	unix.SYS_SEMGET:     {fn: sysSemget},
	unix.SYS_SEMOP:      {fn: sysSemop, blocks: interruptible, restart: restartNever},
	unix.SYS_SEMTIMEDOP: {fn: sysSemtimedop, blocks: interruptible, restart: restartNever},
	unix.SYS_SEMCTL:     {fn: sysSemctl},
}

const (
	semMax     = 32767 // value
	semPerSet  = 32000
	semSets    = 32000
	semOps     = 500
	semTotal   = semPerSet * semSets
	semUndo    = 0x1000
	ipcNowait  = 0o4000
	sizeSembuf = 6
)

// semTable are the semaphores of a box. mu is a leaf, but for Task.wakeUp.
type semTable struct {
	mu   sync.Mutex
	next int // id
	used int // semaphores
	sets map[int]*semSet
}

type semSet struct {
	ipcOwner
	id           int
	sems         []semaphore
	otime, ctime int64
	waiting      []*semWaiter               // in the order of arrival
	undo         map[*Process]map[int]int32 // what a process's end adds, by number
}

type semaphore struct {
	value int32
	pid   int
}

type semOp struct {
	num   int
	op    int32
	flags int
}

// semWaiter is a semop that waits; on is the operation that it waits for.
type semWaiter struct {
	ipcWaiter
	ops []semOp
	on  semOp
}

func sysSemget(t *Task, a *Args) (uint64, error) {
	key, n, flags := a.Uint(0), a.Int(1), a.Uint(2)
	s, c := &t.k.sem, t.creds.Load()
	if n < 0 || n > semPerSet {
		return 0, syscall.EINVAL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if key != ipcPrivate {
		for _, g := range s.sets {
			if g.key != key {
				continue
			}
			switch {
			case flags&ipcCreat != 0 && flags&ipcExcl != 0:
				return 0, syscall.EEXIST
			case n > len(g.sems):
				return 0, syscall.EINVAL
			case !g.may(c, (flags>>6|flags>>3|flags)&7):
				return 0, syscall.EACCES
			}
			return uint64(g.id), nil
		}
		if flags&ipcCreat == 0 {
			return 0, syscall.ENOENT
		}
	}
	switch {
	case n == 0:
		return 0, syscall.EINVAL
	case s.used+n > semTotal, len(s.sets) >= shmMany:
		return 0, syscall.ENOSPC
	}
	g := &semSet{ipcOwner: newIPCOwner(c, key, flags), id: s.next, sems: make([]semaphore, n), ctime: time.Now().Unix()}
	if s.sets == nil {
		s.sets = map[int]*semSet{}
	}
	s.sets[g.id] = g
	s.next++
	s.used += n
	return uint64(g.id), nil
}

func sysSemop(t *Task, a *Args) (uint64, error) { return t.semop(a, noDeadline) }

func sysSemtimedop(t *Task, a *Args) (uint64, error) {
	deadline := noDeadline
	if a[3] != 0 {
		d, err := t.copyInTimespec(a[3])
		if err != nil {
			return 0, err
		}
		deadline = time.Now().Add(d)
	}
	return t.semop(a, deadline)
}

func (t *Task) semop(a *Args, deadline time.Time) (uint64, error) {
	id, n := a.Int(0), a.Uint(2)
	switch {
	case n < 1 || id < 0:
		return 0, syscall.EINVAL
	case n > semOps:
		return 0, syscall.E2BIG
	}
	b := make([]byte, n*sizeSembuf)
	if err := t.copyIn(a[1], b); err != nil {
		return 0, err
	}
	w := &semWaiter{ipcWaiter: ipcWaiter{t: t}, ops: make([]semOp, n)}
	want, most := uint32(4), 0
	for i := range w.ops {
		r := b[i*sizeSembuf:]
		o := semOp{int(binary.LittleEndian.Uint16(r)), int32(int16(binary.LittleEndian.Uint16(r[2:]))), int(int16(binary.LittleEndian.Uint16(r[4:])))}
		w.ops[i], most = o, max(most, o.num)
		if o.op != 0 {
			want = 2
		}
	}
	s := &t.k.sem
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.sets[id]
	switch {
	case g == nil:
		return 0, syscall.EINVAL
	case most >= len(g.sems):
		return 0, syscall.EFBIG
	case !g.may(t.creds.Load(), want):
		return 0, syscall.EACCES
	}
	if ready, err := g.try(w); ready {
		if err == nil {
			g.wake()
		}
		return 0, err
	}
	g.waiting = append(g.waiting, w)
	err := w.await(&s.mu, deadline)
	g.waiting = without(g.waiting, w)
	if err == errTimeout {
		err = syscall.EAGAIN
	}
	return 0, err
}

// try does all operations or none, and reports whether the call is settled.
// The table's lock is held.
func (g *semSet) try(w *semWaiter) (ready bool, err error) {
	undo := g.undo[w.t.proc]
	done := 0
	for _, o := range w.ops {
		v := g.sems[o.num].value
		switch {
		case o.op == 0 && v != 0, v+o.op < 0:
			w.on = o
			ready = o.flags&ipcNowait != 0
			err = syscall.EAGAIN
		case v+o.op > semMax:
			ready, err = true, syscall.ERANGE
		case o.flags&semUndo != 0 && (undo[o.num]-o.op < -semMax-1 || undo[o.num]-o.op > semMax):
			ready, err = true, syscall.ERANGE
		}
		if err != nil {
			break
		}
		g.sems[o.num].value += o.op
		if o.flags&semUndo != 0 && o.op != 0 {
			if undo == nil {
				undo = g.undoOf(w.t.proc)
			}
			undo[o.num] -= o.op
		}
		done++
	}
	if err == nil {
		for _, o := range w.ops {
			g.sems[o.num].pid = w.t.proc.pid
		}
		g.otime = time.Now().Unix()
		return true, nil
	}
	for _, o := range w.ops[:done] {
		g.sems[o.num].value -= o.op
		if o.flags&semUndo != 0 && o.op != 0 {
			undo[o.num] += o.op
		}
	}
	return ready, err
}

func (g *semSet) undoOf(p *Process) map[int]int32 {
	if g.undo == nil {
		g.undo = map[*Process]map[int]int32{}
	}
	u := g.undo[p]
	if u == nil {
		u = map[int]int32{}
		g.undo[p] = u
	}
	return u
}

// wake lets those go on who can, the first first. The table's lock is held.
func (g *semSet) wake() {
	for i := 0; i < len(g.waiting); {
		w := g.waiting[i]
		ready, err := g.try(w)
		if !ready {
			i++
			continue
		}
		g.waiting = append(g.waiting[:i:i], g.waiting[i+1:]...)
		w.finish(err)
		if err == nil {
			i = 0 // the values have changed
		}
	}
}

// undoSemaphores takes back what a process that ends has done with SEM_UNDO.
func (k *Kernel) undoSemaphores(p *Process) {
	s := &k.sem
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.sets {
		u := g.undo[p]
		if u == nil {
			continue
		}
		delete(g.undo, p)
		for num, add := range u {
			if add == 0 {
				continue
			}
			v := &g.sems[num]
			v.value = min(max(v.value+add, 0), semMax)
			v.pid = p.pid
		}
		g.otime = time.Now().Unix()
		g.wake()
	}
}

// forget drops all undos of a semaphore, as setting it does; num -1 is all.
func (g *semSet) forget(num int) {
	for p, u := range g.undo {
		if delete(u, num); num < 0 || len(u) == 0 {
			delete(g.undo, p)
		}
	}
}

// semInfoValues are struct seminfo's limits.
var semInfoValues = [10]uint32{semTotal & math.MaxInt32, semSets, semTotal & math.MaxInt32, semTotal & math.MaxInt32, semPerSet, semOps, semOps, 20, semMax, semMax}
