package posix

import (
	"encoding/binary"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// System V message queues, see msgget(2), msgop(2); msgctl is in msgctl.go.
var msgCalls = calls{
	unix.SYS_MSGGET: {fn: sysMsgget},
	unix.SYS_MSGSND: {fn: sysMsgsnd, blocks: interruptible, restart: restartHand},
	unix.SYS_MSGRCV: {fn: sysMsgrcv, blocks: interruptible, restart: restartHand},
	unix.SYS_MSGCTL: {fn: sysMsgctl},
}

const (
	msgMax     = 8192  // bytes of a message
	msgQueue   = 16384 // bytes of a queue
	msgMany    = 32000
	msgNoerror = 0o10000
	msgExcept  = 0o20000
	msgCopy    = 0o40000
)

// msgTable are the message queues of a box. mu is a leaf, but for Task.wakeUp.
type msgTable struct {
	mu     sync.Mutex
	next   int // id
	queues map[int]*msgQ
}

type msgQ struct {
	ipcOwner
	id                    int
	messages              []message
	bytes, limit          uint64
	stime, rtime, ctime   int64
	lastSend, lastReceive int
	senders               []*msgSender // in the order of arrival
	receivers             []*msgReceiver
}

type message struct {
	kind int64
	text []byte
}

type msgSender struct {
	ipcWaiter
	m message
}

// msgReceiver is a msgrcv: which messages it takes, and the one it was given.
type msgReceiver struct {
	ipcWaiter
	size  uint64
	kind  int64
	flags int
	m     message
}

func sysMsgget(t *Task, a *Args) (uint64, error) {
	key, flags := a.Uint(0), a.Uint(1)
	s, c := &t.k.msg, t.creds.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	if key != ipcPrivate {
		for _, q := range s.queues {
			if q.key != key {
				continue
			}
			switch {
			case flags&ipcCreat != 0 && flags&ipcExcl != 0:
				return 0, syscall.EEXIST
			case !q.may(c, (flags>>6|flags>>3|flags)&7):
				return 0, syscall.EACCES
			}
			return uint64(q.id), nil
		}
		if flags&ipcCreat == 0 {
			return 0, syscall.ENOENT
		}
	}
	if len(s.queues) >= msgMany {
		return 0, syscall.ENOSPC
	}
	q := &msgQ{ipcOwner: newIPCOwner(c, key, flags), id: s.next, limit: msgQueue, ctime: time.Now().Unix()}
	if s.queues == nil {
		s.queues = map[int]*msgQ{}
	}
	s.queues[q.id] = q
	s.next++
	return uint64(q.id), nil
}

// queue returns a queue that the task may use. mu is held.
func (s *msgTable) queue(t *Task, id int, want uint32) (*msgQ, error) {
	q := s.queues[id]
	switch {
	case q == nil:
		return nil, syscall.EINVAL
	case !q.may(t.creds.Load(), want):
		return nil, syscall.EACCES
	}
	return q, nil
}

func sysMsgsnd(t *Task, a *Args) (uint64, error) {
	id, size, flags := a.Int(0), a[2], a.Int(3)
	kind, err := t.copyInUint64(a[1])
	switch {
	case err != nil:
		return 0, err
	case size > msgMax || id < 0 || int64(kind) < 1:
		return 0, syscall.EINVAL
	}
	w := &msgSender{ipcWaiter: ipcWaiter{t: t}, m: message{int64(kind), make([]byte, size)}}
	if err := t.copyIn(a[1]+8, w.m.text); err != nil {
		return 0, err
	}
	s := &t.k.msg
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.queue(t, id, 2)
	if err != nil {
		return 0, err
	}
	if q.fits(&w.m) {
		q.send(t, w.m)
		return 0, nil
	}
	if flags&ipcNowait != 0 {
		return 0, syscall.EAGAIN
	}
	q.senders = append(q.senders, w)
	err = w.await(&s.mu, noDeadline)
	q.senders = without(q.senders, w)
	return 0, err
}

// fits reports whether the queue has room for a message.
func (q *msgQ) fits(m *message) bool {
	return q.bytes+uint64(len(m.text)) <= q.limit && uint64(len(q.messages))+1 <= q.limit
}

// send gives a message to the first receiver who wants it, or queues it. The
// table's lock is held.
func (q *msgQ) send(t *Task, m message) {
	q.lastSend, q.stime = t.proc.pid, time.Now().Unix()
	for i := 0; i < len(q.receivers); {
		r := q.receivers[i]
		if !r.wants(m.kind) {
			i++
			continue
		}
		q.receivers = slices.Delete(q.receivers, i, i+1)
		if uint64(len(m.text)) > r.size && r.flags&msgNoerror == 0 {
			r.finish(syscall.E2BIG)
			continue
		}
		r.m = m
		q.lastReceive, q.rtime = r.t.proc.pid, time.Now().Unix()
		r.finish(nil)
		return
	}
	q.messages = append(q.messages, m)
	q.bytes += uint64(len(m.text))
}

func (r *msgReceiver) wants(kind int64) bool {
	switch {
	case r.kind == 0 || r.flags&msgCopy != 0:
		return true
	case r.kind < 0:
		return kind <= -r.kind
	case r.flags&msgExcept != 0:
		return kind != r.kind
	}
	return kind == r.kind
}

// find returns the index of the message that r takes, -1 for none.
func (q *msgQ) find(r *msgReceiver) int {
	if r.flags&msgCopy != 0 {
		if r.kind < 0 || r.kind >= int64(len(q.messages)) {
			return -1
		}
		return int(r.kind)
	}
	found := -1
	for i, m := range q.messages {
		if !r.wants(m.kind) || found >= 0 && m.kind >= q.messages[found].kind {
			continue
		}
		found = i
		if r.kind >= 0 {
			break
		}
	}
	return found
}

func sysMsgrcv(t *Task, a *Args) (uint64, error) {
	id := a.Int(0)
	r := &msgReceiver{ipcWaiter: ipcWaiter{t: t}, size: a[2], kind: int64(a[3]), flags: a.Int(4)}
	if id < 0 || int64(r.size) < 0 {
		return 0, syscall.EINVAL
	}
	if r.flags&msgCopy != 0 && (r.flags&msgExcept != 0 || r.flags&ipcNowait == 0) {
		return 0, syscall.EINVAL
	}
	if r.kind == -1<<63 {
		r.kind++
	}
	if err := t.receiveMessage(id, r); err != nil {
		return 0, err
	}
	text := r.m.text[:min(uint64(len(r.m.text)), r.size)]
	b := make([]byte, 8+len(text))
	binary.LittleEndian.PutUint64(b, uint64(r.m.kind))
	copy(b[8:], text)
	return uint64(len(text)), t.copyOut(a[1], b)
}

func (t *Task) receiveMessage(id int, r *msgReceiver) error {
	s := &t.k.msg
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.queue(t, id, 4)
	if err != nil {
		return err
	}
	if i := q.find(r); i >= 0 {
		r.m = q.messages[i]
		if uint64(len(r.m.text)) > r.size && r.flags&msgNoerror == 0 {
			return syscall.E2BIG
		}
		if r.flags&msgCopy == 0 {
			q.messages = slices.Delete(q.messages, i, i+1)
			q.bytes -= uint64(len(r.m.text))
			q.lastReceive, q.rtime = t.proc.pid, time.Now().Unix()
			q.admit()
		}
		return nil
	}
	if r.flags&ipcNowait != 0 {
		return syscall.ENOMSG
	}
	q.receivers = append(q.receivers, r)
	err = r.await(&s.mu, noDeadline)
	q.receivers = without(q.receivers, r)
	return err
}

// admit lets senders go on for whom there is room. The table's lock is held.
func (q *msgQ) admit() {
	for len(q.senders) > 0 && q.fits(&q.senders[0].m) {
		w := q.senders[0]
		q.senders = q.senders[1:]
		q.send(w.t, w.m)
		w.finish(nil)
	}
}
