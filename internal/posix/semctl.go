package posix

import (
	"encoding/binary"
	"syscall"
	"time"
)

// The commands of <sys/sem.h>.
const (
	semGetPID  = 11
	semGetVal  = 12
	semGetAll  = 13
	semGetNcnt = 14
	semGetZcnt = 15
	semSetVal  = 16
	semSetAll  = 17
	semStat    = 18
	semInfo    = 19
	semStatAny = 20
)

func sysSemctl(t *Task, a *Args) (uint64, error) {
	id, num, cmd := a.Int(0), a.Int(1), a.Int(2)
	s, c := &t.k.sem, t.creds.Load()
	if id < 0 {
		return 0, syscall.EINVAL
	}
	var in []byte
	switch cmd {
	case ipcSet:
		in = make([]byte, 104)
	case semSetAll:
		n, err := s.size(c, id)
		if err != nil {
			return 0, err
		}
		in = make([]byte, 2*n)
	}
	if err := t.copyIn(a[3], in); err != nil {
		return 0, err
	}
	out, ret, err := s.control(t, id, num, cmd, int32(a[3]), in)
	if err == nil && out != nil {
		err = t.copyOut(a[3], out)
	}
	return ret, err
}

// size is for SETALL, which reads the values before it looks at the set again.
func (s *semTable) size(c *Creds, id int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.sets[id]
	switch {
	case g == nil:
		return 0, syscall.EINVAL
	case !g.may(c, 2):
		return 0, syscall.EACCES
	}
	return len(g.sems), nil
}

func (s *semTable) control(t *Task, id, num, cmd int, val int32, in []byte) (out []byte, ret uint64, err error) {
	c, le := t.creds.Load(), binary.LittleEndian
	s.mu.Lock()
	defer s.mu.Unlock()
	switch cmd {
	case ipcInfo, semInfo:
		out = make([]byte, 40)
		for i, v := range semInfoValues {
			le.PutUint32(out[4*i:], v)
		}
		if cmd == semInfo {
			le.PutUint32(out[28:], uint32(len(s.sets)))
			le.PutUint32(out[36:], uint32(s.used))
		}
		return out, uint64(max(0, s.next-1)), nil
	}
	g := s.sets[id]
	if g == nil {
		return nil, 0, syscall.EINVAL
	}
	switch cmd {
	case ipcStat, semStat, semGetPID, semGetVal, semGetAll, semGetNcnt, semGetZcnt:
		if !g.may(c, 4) {
			return nil, 0, syscall.EACCES
		}
	case semStatAny:
	case semSetVal, semSetAll:
		if !g.may(c, 2) {
			return nil, 0, syscall.EACCES
		}
	case ipcSet, ipcRMID:
		if !g.owns(c) {
			return nil, 0, syscall.EPERM
		}
	default:
		return nil, 0, syscall.EINVAL
	}
	switch cmd {
	case semGetPID, semGetVal, semGetNcnt, semGetZcnt, semSetVal:
		if num < 0 || num >= len(g.sems) {
			return nil, 0, syscall.EINVAL
		}
	}
	switch cmd {
	case ipcStat:
		out = g.encode()
	case semStat, semStatAny:
		out, ret = g.encode(), uint64(id)
	case semGetPID:
		ret = uint64(g.sems[num].pid)
	case semGetVal:
		ret = uint64(g.sems[num].value)
	case semGetNcnt, semGetZcnt:
		for _, w := range g.waiting {
			if w.on.num == num && (w.on.op == 0) == (cmd == semGetZcnt) {
				ret++
			}
		}
	case semGetAll:
		out = make([]byte, 2*len(g.sems))
		for i, v := range g.sems {
			le.PutUint16(out[2*i:], uint16(v.value))
		}
	case semSetVal:
		if val < 0 || val > semMax {
			return nil, 0, syscall.ERANGE
		}
		g.forget(num)
		g.sems[num] = semaphore{val, t.proc.pid}
		g.changed()
	case semSetAll:
		for i := range g.sems {
			if le.Uint16(in[2*i:]) > semMax {
				return nil, 0, syscall.ERANGE
			}
		}
		g.forget(-1)
		for i := range g.sems {
			g.sems[i] = semaphore{int32(le.Uint16(in[2*i:])), t.proc.pid}
		}
		g.changed()
	case ipcSet:
		g.set(in)
		g.ctime = time.Now().Unix()
	case ipcRMID:
		delete(s.sets, id)
		s.used -= len(g.sems)
		for _, w := range g.waiting {
			w.finish(syscall.EIDRM)
		}
		g.waiting = nil
	}
	return out, ret, nil
}

// changed is after values were set.
func (g *semSet) changed() {
	g.ctime = time.Now().Unix()
	g.wake()
}

// encode makes struct semid64_ds.
func (g *semSet) encode() []byte {
	b := make([]byte, 104)
	g.put(b, 0)
	binary.LittleEndian.PutUint64(b[48:], uint64(g.otime))
	binary.LittleEndian.PutUint64(b[64:], uint64(g.ctime))
	binary.LittleEndian.PutUint64(b[80:], uint64(len(g.sems)))
	return b
}
