package posix

import (
	"encoding/binary"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The commands of <sys/msg.h>.
const (
	msgStat    = 11
	msgInfo    = 12
	msgStatAny = 13
)

func sysMsgctl(t *Task, a *Args) (uint64, error) {
	id, cmd := a.Int(0), a.Int(1)
	if id < 0 || cmd < 0 {
		return 0, syscall.EINVAL
	}
	var in [120]byte
	if cmd == ipcSet {
		if err := t.copyIn(a[2], in[:]); err != nil {
			return 0, err
		}
	}
	out, ret, err := t.k.msg.control(t, id, cmd, in[:])
	if err == nil && out != nil {
		err = t.copyOut(a[2], out)
	}
	return ret, err
}

func (s *msgTable) control(t *Task, id, cmd int, in []byte) (out []byte, ret uint64, err error) {
	c, le := t.creds.Load(), binary.LittleEndian
	s.mu.Lock()
	defer s.mu.Unlock()
	switch cmd {
	case ipcInfo, msgInfo:
		pool, many, all := uint32(msgMany*msgQueue/1024), uint32(msgQueue), uint32(msgQueue)
		if cmd == msgInfo {
			pool, many, all = uint32(len(s.queues)), 0, 0
			for _, q := range s.queues {
				many += uint32(len(q.messages))
				all += uint32(q.bytes)
			}
		}
		out = make([]byte, 32)
		for i, v := range []uint32{pool, many, msgMax, msgQueue, msgMany, 16, all, 0xffff} {
			le.PutUint32(out[4*i:], v)
		}
		return out, uint64(max(0, s.next-1)), nil
	}
	q := s.queues[id]
	if q == nil {
		return nil, 0, syscall.EINVAL
	}
	switch cmd {
	case ipcStat, msgStat, msgStatAny:
		if cmd != msgStatAny && !q.may(c, 4) {
			return nil, 0, syscall.EACCES
		}
		if cmd != ipcStat {
			ret = uint64(id)
		}
		return q.encode(), ret, nil
	case ipcSet, ipcRMID:
		if !q.owns(c) {
			return nil, 0, syscall.EPERM
		}
	default:
		return nil, 0, syscall.EINVAL
	}
	if cmd == ipcRMID {
		delete(s.queues, id)
		for _, w := range q.senders {
			w.finish(syscall.EIDRM)
		}
		for _, w := range q.receivers {
			w.finish(syscall.EIDRM)
		}
		q.senders, q.receivers = nil, nil
		return nil, 0, nil
	}
	limit := le.Uint64(in[88:])
	if limit > msgQueue && !c.capable(unix.CAP_SYS_RESOURCE) {
		return nil, 0, syscall.EPERM
	}
	q.set(in)
	q.limit, q.ctime = limit, time.Now().Unix()
	q.admit()
	return nil, 0, nil
}

// encode makes struct msqid64_ds.
func (q *msgQ) encode() []byte {
	b := make([]byte, 120)
	q.put(b, 0)
	for i, v := range []uint64{uint64(q.stime), uint64(q.rtime), uint64(q.ctime), q.bytes, uint64(len(q.messages)), q.limit} {
		binary.LittleEndian.PutUint64(b[48+8*i:], v)
	}
	binary.LittleEndian.PutUint32(b[96:], uint32(q.lastSend))
	binary.LittleEndian.PutUint32(b[100:], uint32(q.lastReceive))
	return b
}
