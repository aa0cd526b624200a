package posix

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/abi"
	"github.com/hati-os/hati/internal/servers/anon"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// epoll is an epoll instance, see epoll(7).
//
// Lock order: mu, then a watched file's own locks and its Queue, then readyMu,
// then the epoll's own Queue. Wake functions run under a file's Queue, so they
// take readyMu only.
type epoll struct {
	vfs.Queue

	mu    sync.Mutex
	items map[epollKey]*epollItem
	late  map[lateTeller]int // how many items each has

	readyMu sync.Mutex
	ready   []*epollItem // may have become ready, in order
}

// epollKey is what an item is known by: the number and the description that it
// stood for when it was added.
type epollKey struct {
	fd   int
	desc *Description
}

// lateTeller is a file, or what it has in common with others, whose waiters hear of
// some events only soon after they came, or when it is asked to catch up.
type lateTeller = interface{ CatchUp() }

// lateOf returns p's, or nil.
func lateOf(p vfs.Pollable) lateTeller {
	if s, ok := p.(*netSocket); ok {
		p = s.Socket
	}
	switch f := p.(type) {
	case lateTeller:
		return f
	case interface{ Late() lateTeller }:
		return f.Late()
	}
	return nil
}

type epollItem struct {
	ep     *epoll
	key    epollKey
	poll   vfs.Pollable // as the task that added it sees it
	late   lateTeller   // or nil
	waiter vfs.Waiter

	// Guarded by readyMu.
	events uint32 // 0 when a one-shot item has fired
	data   uint64
	queued bool // in ready
	gone   bool
}

const epollPrivate = unix.EPOLLET | unix.EPOLLONESHOT | unix.EPOLLEXCLUSIVE | unix.EPOLLWAKEUP

func newEpoll() *epoll { return &epoll{items: map[epollKey]*epollItem{}} }

func (e *epoll) Node() vfs.Node { return anon.Inode }
func (e *epoll) IsStream() bool { return true }

// Close forgets all items.
func (e *epoll) Close() error {
	e.mu.Lock()
	items := e.items
	e.items, e.late = map[epollKey]*epollItem{}, nil
	e.mu.Unlock()
	for _, it := range items {
		it.key.desc.forget(it)
		it.detach()
	}
	return nil
}

// Poll reports whether epoll_wait would find something.
func (e *epoll) Poll(mask vfs.Events) vfs.Events {
	e.catchUp()
	e.readyMu.Lock()
	list := append([]*epollItem(nil), e.ready...)
	e.readyMu.Unlock()
	for _, it := range list {
		if it.now() != 0 {
			return mask & vfs.EventsIn
		}
	}
	return 0
}

// catchUp has all items entered for which something came by now.
func (e *epoll) catchUp() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for f := range e.late {
		f.CatchUp()
	}
}

// FDInfo is for /proc.
func (e *epoll) FDInfo() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var b strings.Builder
	for _, it := range e.items {
		e.readyMu.Lock()
		events, data := it.events, it.data
		e.readyMu.Unlock()
		fmt.Fprintf(&b, "tfd: %8d events: %8x data: %16x  pos:0 ino:%x sdev:0\n", it.key.fd, events, data, inoOf(it.key.desc.file))
	}
	return b.String()
}

// now returns the events that an item has to report.
func (it *epollItem) now() uint32 {
	it.ep.readyMu.Lock()
	want, gone := it.events, it.gone
	it.ep.readyMu.Unlock()
	if gone || want == 0 {
		return 0
	}
	return uint32(it.poll.Poll(vfs.Events(want&^epollPrivate) | vfs.EventErr | vfs.EventHup))
}

// enqueue notes that an item may be ready, and tells the waiters.
func (it *epollItem) enqueue() {
	e := it.ep
	e.readyMu.Lock()
	add := !it.queued && !it.gone && it.events != 0
	if add {
		it.queued = true
		e.ready = append(e.ready, it)
	}
	e.readyMu.Unlock()
	if add {
		e.Notify(vfs.EventsIn)
	}
}

func (it *epollItem) detach() {
	it.poll.Unwatch(&it.waiter)
	it.ep.readyMu.Lock()
	it.gone = true
	it.ep.readyMu.Unlock()
}

// descriptionClosed is called when the description of an item is closed for
// good: the item goes with it.
func (it *epollItem) descriptionClosed() {
	e := it.ep
	e.mu.Lock()
	e.remove(it)
	e.mu.Unlock()
	it.detach()
}

// remove takes an item out, if it is still in. mu is held.
func (e *epoll) remove(it *epollItem) {
	if e.items[it.key] != it {
		return
	}
	delete(e.items, it.key)
	if it.late == nil {
		return
	}
	if e.late[it.late]--; e.late[it.late] == 0 {
		delete(e.late, it.late)
	}
}

// set changes what an item waits for, and looks whether it is there already.
func (it *epollItem) set(events uint32, data uint64) {
	it.poll.Unwatch(&it.waiter)
	if it.late != nil {
		it.late.CatchUp() // what came before is no news
	}
	it.ep.readyMu.Lock()
	it.events, it.data = events|unix.EPOLLERR|unix.EPOLLHUP, data
	it.ep.readyMu.Unlock()
	it.waiter = vfs.Waiter{
		Mask: vfs.Events(events &^ epollPrivate),
		Wake: func(*vfs.Waiter, vfs.Events) { it.enqueue() },
	}
	it.poll.Watch(&it.waiter)
	if it.now() != 0 {
		it.enqueue()
	}
}

// collect returns up to limit events.
func (e *epoll) collect(limit int) []abi.EpollEvent {
	e.catchUp()
	e.readyMu.Lock()
	list := e.ready
	e.ready = nil
	// A notification that comes from here on enters the item again.
	for _, it := range list {
		it.queued = false
	}
	e.readyMu.Unlock()
	var out []abi.EpollEvent
	var rest, again []*epollItem
	for i, it := range list {
		if len(out) == limit {
			rest = list[i:]
			break
		}
		events := it.now()
		if events == 0 {
			continue
		}
		e.readyMu.Lock()
		if it.gone { // and its file, whatever that seemed to have
			e.readyMu.Unlock()
			continue
		}
		out = append(out, abi.EpollEvent{Events: events, Data: it.data})
		switch {
		case it.events&unix.EPOLLONESHOT != 0:
			it.events = 0
		case it.events&unix.EPOLLET == 0:
			again = append(again, it)
		}
		e.readyMu.Unlock()
	}
	// Those that were not looked at come before those that were: nobody starves.
	e.requeue(append(rest, again...))
	return out
}

// requeue enters items again: those that were not looked at, and level-triggered
// ones, which stay until they are found not ready.
func (e *epoll) requeue(items []*epollItem) {
	if len(items) == 0 {
		return
	}
	e.readyMu.Lock()
	added := false
	for _, it := range items {
		if !it.queued && !it.gone {
			it.queued, added = true, true
			e.ready = append(e.ready, it)
		}
	}
	e.readyMu.Unlock()
	if added {
		e.Notify(vfs.EventsIn) // another thread may sleep meanwhile
	}
}

// nested returns how deep epolls are nested in e, and whether target is there.
func (e *epoll) nested(target *epoll, depth int) (int, bool) {
	if e == target {
		return depth, true
	}
	if depth > 6 {
		return depth, false
	}
	e.mu.Lock()
	var inner []*epoll
	for k := range e.items {
		if x, ok := k.desc.file.(*epoll); ok {
			inner = append(inner, x)
		}
	}
	e.mu.Unlock()
	deepest := depth
	for _, x := range inner {
		d, found := x.nested(target, depth+1)
		if found {
			return d, true
		}
		deepest = max(deepest, d)
	}
	return deepest, false
}

func sysEpollCreate1(t *Task, a *Args) (uint64, error) {
	if a.Int(0)&^unix.EPOLL_CLOEXEC != 0 {
		return 0, syscall.EINVAL
	}
	return t.installObject(newEpoll(), unix.O_RDWR|a.Int(0)&unix.EPOLL_CLOEXEC, "anon_inode:[eventpoll]")
}

func sysEpollCreate(t *Task, a *Args) (uint64, error) {
	if a.Int(0) <= 0 {
		return 0, syscall.EINVAL
	}
	return t.installObject(newEpoll(), unix.O_RDWR, "anon_inode:[eventpoll]")
}

func sysEpollCtl(t *Task, a *Args) (uint64, error) {
	op, fd := a.Int(1), a.Int(2)
	var ev abi.EpollEvent
	if op != unix.EPOLL_CTL_DEL {
		var b [12]byte
		if err := t.copyIn(a[3], b[:]); err != nil {
			return 0, err
		}
		ev.Decode(b[:])
	}
	ed, err := t.fds.get(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer ed.release()
	d, err := t.fds.get(fd)
	if err != nil {
		return 0, err
	}
	defer d.release()
	if _, ok := d.file.(vfs.Pollable); !ok {
		return 0, syscall.EPERM
	}
	e, ok := ed.file.(*epoll)
	if !ok || d.file == ed.file {
		return 0, syscall.EINVAL
	}
	if ev.Events&unix.EPOLLEXCLUSIVE != 0 {
		const allowed = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLERR | unix.EPOLLHUP | unix.EPOLLWAKEUP | unix.EPOLLET | unix.EPOLLEXCLUSIVE
		_, nested := d.file.(*epoll)
		if op == unix.EPOLL_CTL_MOD || nested || ev.Events&^allowed != 0 {
			return 0, syscall.EINVAL
		}
	}
	if inner, ok := d.file.(*epoll); ok && op == unix.EPOLL_CTL_ADD {
		if depth, loop := inner.nested(e, 1); loop || depth > 4 {
			return 0, syscall.ELOOP
		}
	}
	return 0, e.control(op, epollKey{fd, d}, t.pollable(d.file), ev)
}

func (e *epoll) control(op int, key epollKey, p vfs.Pollable, ev abi.EpollEvent) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	it := e.items[key]
	switch op {
	case unix.EPOLL_CTL_ADD:
		if it != nil {
			return syscall.EEXIST
		}
		it = &epollItem{ep: e, key: key, poll: p}
		e.items[key] = it
		if it.late = lateOf(p); it.late != nil {
			if e.late == nil {
				e.late = map[lateTeller]int{}
			}
			e.late[it.late]++
		}
		key.desc.remember(it)
		it.set(ev.Events, ev.Data)
	case unix.EPOLL_CTL_MOD:
		if it == nil {
			return syscall.ENOENT
		}
		it.set(ev.Events, ev.Data)
	case unix.EPOLL_CTL_DEL:
		if it == nil {
			return syscall.ENOENT
		}
		e.remove(it)
		key.desc.forget(it)
		it.detach()
	default:
		return syscall.EINVAL
	}
	return nil
}

func sysEpollWait(t *Task, a *Args) (uint64, error) {
	return t.epollWait(a.Int(0), a[1], a.Int(2), millis(a.Int(3)))
}

func sysEpollPwait(t *Task, a *Args) (uint64, error) {
	return t.withSigmask(a[4], a[5], func() (uint64, error) {
		return t.epollWait(a.Int(0), a[1], a.Int(2), millis(a.Int(3)))
	})
}

func sysEpollPwait2(t *Task, a *Args) (uint64, error) {
	deadline, err := t.relativeDeadline(a[3])
	if err != nil {
		return 0, err
	}
	return t.withSigmask(a[4], a[5], func() (uint64, error) {
		return t.epollWait(a.Int(0), a[1], a.Int(2), deadline)
	})
}

func (t *Task) epollWait(fd int, at uint64, limit int, end pollEnd) (uint64, error) {
	d, e, err := fileOfKind[*epoll](t, fd, syscall.EINVAL)
	if err != nil {
		return 0, err
	}
	defer d.release()
	if limit <= 0 || limit > 1<<31/12 {
		return 0, syscall.EINVAL
	}
	out := e.collect(limit)
	if len(out) == 0 && !end.now {
		out, err = t.epollSleep(e, limit, end.at)
	}
	if err != nil || len(out) == 0 {
		return 0, err
	}
	buf := t.buffer(12 * len(out))
	for i := range out {
		out[i].Encode(buf[12*i:])
	}
	return uint64(len(out)), t.copyOut(at, buf)
}

func (t *Task) epollSleep(e *epoll, limit int, deadline time.Time) ([]abi.EpollEvent, error) {
	w := vfs.Waiter{Mask: vfs.EventsIn, Wake: func(*vfs.Waiter, vfs.Events) { t.wakeUp() }}
	e.Watch(&w)
	defer e.Unwatch(&w)
	for {
		if out := e.collect(limit); len(out) > 0 {
			return out, nil
		}
		if err := t.sleep(deadline); err == errTimeout {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
}

var _ interface {
	vfs.Pollable
	vfs.Streamer
} = (*epoll)(nil)
