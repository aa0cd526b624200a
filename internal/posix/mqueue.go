package posix

import (
	"encoding/binary"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/servers/anon"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// POSIX message queues, see mq_overview(7). The queue as a file is in
// mqfile.go.
var mqCalls = calls{
	unix.SYS_MQ_OPEN:         {fn: sysMqOpen},
	unix.SYS_MQ_UNLINK:       {fn: sysMqUnlink},
	unix.SYS_MQ_TIMEDSEND:    {fn: sysMqTimedsend, blocks: interruptible},
	unix.SYS_MQ_TIMEDRECEIVE: {fn: sysMqTimedreceive, blocks: interruptible},
	unix.SYS_MQ_NOTIFY:       {fn: sysMqNotify},
	unix.SYS_MQ_GETSETATTR:   {fn: sysMqGetsetattr},
}

const (
	mqPrioMax     = 32768
	mqMsgMax      = 10   // messages; also without an attribute
	mqMsgsizeMax  = 8192 // bytes; also without an attribute
	mqHardMsgMax  = 65536
	mqHardMsgsize = 16 << 20
	mqMany        = 256
	sizeMqAttr    = 64
)

// mqTable are the named queues of a box. mu guards them and all queues; Kernel.mu
// and a queue's waiters come below it.
type mqTable struct {
	mu     sync.Mutex
	queues map[string]*mqueue
}

type mqueue struct {
	node      *anon.Node
	max, size int         // messages, bytes of each
	messages  []mqMessage // the next first
	senders   []*mqSender // in the order of arrival
	receivers []*mqReceiver
	notify    *mqNotify
	watchers  vfs.Queue
}

type mqMessage struct {
	prio uint32
	text []byte
}

type mqSender struct {
	ipcWaiter
	m mqMessage
}

type mqReceiver struct {
	ipcWaiter
	m mqMessage
}

// mqNotify is who hears of a message in an empty queue.
type mqNotify struct {
	p     *Process
	event abi.Sigevent
}

func (t *Task) mqName(addr uint64) (string, error) {
	name, err := t.copyInPath(addr)
	switch {
	case err != nil:
		return "", err
	case name == "":
		return "", syscall.ENOENT
	case len(name) > 255:
		return "", syscall.ENAMETOOLONG
	case slices.Contains([]byte(name), '/'):
		return "", syscall.EACCES
	}
	return name, nil
}

func sysMqOpen(t *Task, a *Args) (uint64, error) {
	flags := a.Int(1)
	limits := [2]int64{mqMsgMax, mqMsgsizeMax}
	if flags&unix.O_CREAT != 0 && a[3] != 0 {
		var b [sizeMqAttr]byte
		if err := t.copyIn(a[3], b[:]); err != nil {
			return 0, err
		}
		limits[0], limits[1] = int64(binary.LittleEndian.Uint64(b[8:])), int64(binary.LittleEndian.Uint64(b[16:]))
	}
	name, err := t.mqName(a[0])
	if err != nil {
		return 0, err
	}
	q, err := t.mqOpen(name, flags, a.Uint(2), limits)
	if err != nil {
		return 0, err
	}
	const kept = unix.O_ACCMODE | unix.O_NONBLOCK
	return t.installObject(&mqFile{q: q, table: &t.k.mq}, flags&kept|unix.O_CLOEXEC, "/"+name)
}

func (t *Task) mqOpen(name string, flags int, mode uint32, limits [2]int64) (*mqueue, error) {
	s, c := &t.k.mq, t.creds.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.queues[name]; q != nil {
		if flags&unix.O_CREAT != 0 && flags&unix.O_EXCL != 0 {
			return nil, syscall.EEXIST
		}
		access := flags & unix.O_ACCMODE
		if access == unix.O_ACCMODE {
			return nil, syscall.EINVAL
		}
		attr, err := q.node.Stat(t.context())
		if err == nil {
			err = c.may(&attr, []uint32{mayRead, mayWrite, mayRead | mayWrite}[access])
		}
		return q, err
	}
	if flags&unix.O_CREAT == 0 {
		return nil, syscall.ENOENT
	}
	most := [2]int64{mqMsgMax, mqMsgsizeMax}
	if c.capable(unix.CAP_SYS_RESOURCE) {
		most = [2]int64{mqHardMsgMax, mqHardMsgsize}
	}
	switch {
	case limits[0] <= 0 || limits[1] <= 0 || limits[0] > most[0] || limits[1] > most[1]:
		return nil, syscall.EINVAL
	case len(s.queues) >= mqMany && !c.capable(unix.CAP_SYS_RESOURCE):
		return nil, syscall.ENOSPC
	}
	q := &mqueue{max: int(limits[0]), size: int(limits[1])}
	q.node = anon.New(anon.DevInode, unix.S_IFREG|mode&0o777&^t.fs.umask.Load(), c.FSUID, c.FSGID)
	if s.queues == nil {
		s.queues = map[string]*mqueue{}
	}
	s.queues[name] = q
	return q, nil
}

func sysMqUnlink(t *Task, a *Args) (uint64, error) {
	name, err := t.mqName(a[0])
	if err != nil {
		return 0, err
	}
	s := &t.k.mq
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[name]
	if q == nil {
		return 0, syscall.ENOENT
	}
	// The directory is sticky.
	attr, err := q.node.Stat(t.context())
	if c := t.creds.Load(); err == nil && attr.UID != c.FSUID && !c.capable(unix.CAP_FOWNER) {
		err = syscall.EPERM
	}
	if err != nil {
		return 0, err
	}
	delete(s.queues, name)
	return 0, nil
}

// mqDeadline reads the absolute time of a timed call.
func (t *Task) mqDeadline(addr uint64) (time.Time, error) {
	if addr == 0 {
		return noDeadline, nil
	}
	var b [abi.SizeTimespec]byte
	if err := t.copyIn(addr, b[:]); err != nil {
		return noDeadline, err
	}
	var ts abi.Timespec
	ts.Decode(b[:])
	if !ts.Valid() {
		return noDeadline, syscall.EINVAL
	}
	return time.Unix(min(ts.Sec, 1<<40), ts.Nsec), nil
}

// mqOf returns the queue behind fd, with a reference to its description.
func (t *Task) mqOf(fd int) (*Description, *mqueue, error) {
	d, f, err := fileOfKind[*mqFile](t, fd, syscall.EBADF)
	if err != nil {
		return nil, nil, err
	}
	return d, f.q, nil
}

func sysMqTimedsend(t *Task, a *Args) (uint64, error) {
	size, prio := a[2], a.Uint(3)
	deadline, err := t.mqDeadline(a[4])
	if err != nil {
		return 0, err
	}
	if prio >= mqPrioMax {
		return 0, syscall.EINVAL
	}
	d, q, err := t.mqOf(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	switch {
	case !d.canWrite():
		return 0, syscall.EBADF
	case size > uint64(q.size):
		return 0, syscall.EMSGSIZE
	}
	w := &mqSender{ipcWaiter{t: t}, mqMessage{prio, make([]byte, size)}}
	if err := t.copyIn(a[1], w.m.text); err != nil {
		return 0, err
	}
	mu := &t.k.mq.mu
	mu.Lock()
	defer mu.Unlock()
	if len(q.messages) < q.max {
		q.send(t, w.m)
		return 0, nil
	}
	if d.nonblocking() {
		return 0, syscall.EAGAIN
	}
	q.senders = append(q.senders, w)
	err = w.await(mu, deadline)
	q.senders = without(q.senders, w)
	return 0, mqTimeout(err)
}

func mqTimeout(err error) error {
	if err == errTimeout {
		return syscall.ETIMEDOUT
	}
	return err
}

// send gives a message to the first who waits, or queues it. The table's lock
// is held.
func (q *mqueue) send(t *Task, m mqMessage) {
	if len(q.receivers) > 0 {
		r := q.receivers[0]
		q.receivers = q.receivers[1:]
		r.m = m
		r.finish(nil)
		return
	}
	q.insert(m)
	if n := q.notify; n != nil && len(q.messages) == 1 {
		q.notify = nil
		n.tell(t)
	}
	q.watchers.Notify(vfs.EventsIn)
}

// insert puts a message behind those of its priority.
func (q *mqueue) insert(m mqMessage) {
	i := slices.IndexFunc(q.messages, func(o mqMessage) bool { return o.prio < m.prio })
	if i < 0 {
		i = len(q.messages)
	}
	q.messages = slices.Insert(q.messages, i, m)
}

func sysMqTimedreceive(t *Task, a *Args) (uint64, error) {
	deadline, err := t.mqDeadline(a[4])
	if err != nil {
		return 0, err
	}
	d, q, err := t.mqOf(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer d.release()
	switch {
	case !d.canRead():
		return 0, syscall.EBADF
	case a[2] < uint64(q.size):
		return 0, syscall.EMSGSIZE
	}
	m, err := t.mqReceive(q, d.nonblocking(), deadline)
	if err != nil {
		return 0, err
	}
	if a[3] != 0 {
		if err := t.copyOutUint32(a[3], m.prio); err != nil {
			return 0, err
		}
	}
	return uint64(len(m.text)), t.copyOut(a[1], m.text)
}

func (t *Task) mqReceive(q *mqueue, nonblocking bool, deadline time.Time) (mqMessage, error) {
	mu := &t.k.mq.mu
	mu.Lock()
	defer mu.Unlock()
	if len(q.messages) == 0 {
		if nonblocking {
			return mqMessage{}, syscall.EAGAIN
		}
		r := &mqReceiver{ipcWaiter: ipcWaiter{t: t}}
		q.receivers = append(q.receivers, r)
		err := r.await(mu, deadline)
		q.receivers = without(q.receivers, r)
		return r.m, mqTimeout(err)
	}
	m := q.messages[0]
	q.messages = slices.Delete(q.messages, 0, 1)
	if len(q.senders) > 0 {
		w := q.senders[0]
		q.senders = q.senders[1:]
		q.insert(w.m)
		w.finish(nil)
	} else {
		q.watchers.Notify(vfs.EventsOut)
	}
	return m, nil
}

// tell sends the signal; by is the task whose message it is about.
func (n *mqNotify) tell(by *Task) {
	if n.event.Notify != abi.SIGEV_SIGNAL {
		return
	}
	info := abi.QueueInfo(syscall.Signal(n.event.Signo), abi.SI_MESGQ, int32(by.proc.pid), by.creds.Load().UID, n.event.Value)
	n.p.signal(info)
}
