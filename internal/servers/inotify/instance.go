package inotify

import (
	"context"
	"encoding/binary"
	"math"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/servers/anon"
	"github.com/hati-os/hati/vfs"
)

// allBits are the bits that inotify_add_watch(2) knows.
const allBits = unix.IN_ALL_EVENTS | unix.IN_UNMOUNT | unix.IN_Q_OVERFLOW | unix.IN_IGNORED | unix.IN_ONLYDIR |
	unix.IN_DONT_FOLLOW | unix.IN_EXCL_UNLINK | unix.IN_MASK_ADD | unix.IN_MASK_CREATE | unix.IN_ISDIR | unix.IN_ONESHOT

const headerLen = unix.SizeofInotifyEvent

// event is a struct inotify_event.
type event struct {
	wd           int32
	mask, cookie uint32
	name         string
}

// size is the event's length as read: the name is padded with NULs.
func (e *event) size() int {
	if e.name == "" {
		return headerLen
	}
	return headerLen + (len(e.name)+headerLen)&^(headerLen-1)
}

// Instance is an inotify descriptor's file. All methods may be called
// concurrently; none waits.
type Instance struct {
	vfs.Queue
	registry *Registry

	mu         sync.Mutex
	wds        map[int32]*watch
	lastWD     int32
	events     []event // from head on
	head       int
	bytes      int // what all events take to read
	overflowed bool
	closed     bool
}

var (
	_ vfs.File     = (*Instance)(nil)
	_ vfs.Reader   = (*Instance)(nil)
	_ vfs.Streamer = (*Instance)(nil)
	_ vfs.Pollable = (*Instance)(nil)
	_ vfs.Ioctler  = (*Instance)(nil)
)

// New returns an instance that watches nothing.
func (r *Registry) New() *Instance {
	return &Instance{registry: r, wds: make(map[int32]*watch)}
}

// CheckMask reports EINVAL for a mask that inotify_add_watch(2) refuses before
// it looks at the path.
func CheckMask(mask uint32) error {
	const both = unix.IN_MASK_ADD | unix.IN_MASK_CREATE
	if mask&^allBits != 0 || mask == 0 || mask&both == both {
		return syscall.EINVAL
	}
	return nil
}

// Add watches node for mask, or changes what it is watched for, and returns the
// watch descriptor (inotify_add_watch(2)). IN_DONT_FOLLOW is the caller's, who
// has found the node. EINVAL as CheckMask, ENOTDIR with IN_ONLYDIR, EEXIST with
// IN_MASK_CREATE, ENOSPC when there are too many watches.
func (i *Instance) Add(node vfs.Node, mask uint32) (wd int32, err error) {
	if err := CheckMask(mask); err != nil {
		return 0, err
	}
	if mask&unix.IN_ONLYDIR != 0 {
		if _, ok := node.(vfs.Dir); !ok {
			return 0, syscall.ENOTDIR
		}
	}
	events := mask&unix.IN_ALL_EVENTS | unix.IN_UNMOUNT
	flags := mask & (unix.IN_ONESHOT | unix.IN_EXCL_UNLINK)
	r := i.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.watches[node] {
		if w.instance != i || !i.has(w) {
			continue
		}
		if mask&unix.IN_MASK_CREATE != 0 {
			return 0, syscall.EEXIST
		}
		if mask&unix.IN_MASK_ADD != 0 {
			events |= w.mask
			flags |= w.flags
		}
		r.want(events, 1)
		r.want(w.mask, -1)
		w.mask, w.flags = events, flags
		return w.wd, nil
	}
	if r.count >= MaxWatches {
		return 0, syscall.ENOSPC
	}
	w := &watch{instance: i, node: node, mask: events, flags: flags}
	if !i.number(w) {
		return 0, syscall.EBADF
	}
	if r.watches == nil {
		r.watches = make(map[vfs.Node][]*watch)
	}
	r.watches[node] = append(r.watches[node], w)
	r.count++
	r.want(events, 1)
	return w.wd, nil
}

// number gives w the next free descriptor; false when the instance is closed.
func (i *Instance) number(w *watch) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return false
	}
	for {
		if i.lastWD == math.MaxInt32 {
			i.lastWD = 0
		}
		i.lastWD++
		if i.wds[i.lastWD] == nil {
			break
		}
	}
	w.wd = i.lastWD
	i.wds[w.wd] = w
	return true
}

func (i *Instance) has(w *watch) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.wds[w.wd] == w
}

// spend takes w's descriptor away; false when it is gone already.
func (i *Instance) spend(w *watch) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.wds[w.wd] != w {
		return false
	}
	delete(i.wds, w.wd)
	return true
}

// Remove ends a watch, which queues IN_IGNORED (inotify_rm_watch(2)); EINVAL
// when there is none with the descriptor.
func (i *Instance) Remove(wd int32) error {
	i.registry.mu.Lock()
	defer i.registry.mu.Unlock()
	i.mu.Lock()
	w := i.wds[wd]
	i.mu.Unlock()
	if w == nil {
		return syscall.EINVAL
	}
	i.registry.ignore(w)
	return nil
}

// Watches calls f for each watch until it returns false (/proc's fdinfo). f must
// not call the Instance.
func (i *Instance) Watches(f func(wd int32, node vfs.Node, mask uint32) bool) {
	i.registry.mu.RLock()
	defer i.registry.mu.RUnlock()
	i.mu.Lock()
	defer i.mu.Unlock()
	for wd, w := range i.wds {
		if !f(wd, w.node, w.mask&^unix.IN_UNMOUNT|w.flags) {
			return
		}
	}
}

// push queues e, unless it is the same as the last one.
func (i *Instance) push(e event) {
	i.mu.Lock()
	n := len(i.events) - i.head
	switch {
	case i.closed:
		i.mu.Unlock()
		return
	case n >= MaxQueued:
		if i.overflowed {
			i.mu.Unlock()
			return
		}
		i.overflowed = true
		e = event{wd: -1, mask: unix.IN_Q_OVERFLOW}
	case n > 0:
		last := &i.events[len(i.events)-1]
		if last.mask&unix.IN_IGNORED == 0 && last.mask == e.mask && last.wd == e.wd && last.name == e.name {
			i.mu.Unlock()
			return
		}
	}
	if len(i.events) == cap(i.events) && i.head > n {
		copy(i.events, i.events[i.head:])
		clear(i.events[n:])
		i.events, i.head = i.events[:n], 0
	}
	i.events = append(i.events, e)
	i.bytes += e.size()
	i.mu.Unlock()
	i.Notify(vfs.EventsIn)
}

// Read returns whole events. EAGAIN when there are none, EINVAL when the next
// one is longer than p.
func (i *Instance) Read(_ context.Context, p []byte, _ int64) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.head == len(i.events) {
		return 0, syscall.EAGAIN
	}
	n := 0
	for i.head < len(i.events) {
		e := &i.events[i.head]
		size := e.size()
		if size > len(p)-n {
			break
		}
		b := p[n : n+size]
		order := binary.NativeEndian
		order.PutUint32(b, uint32(e.wd))
		order.PutUint32(b[4:], e.mask)
		order.PutUint32(b[8:], e.cookie)
		order.PutUint32(b[12:], uint32(size-headerLen))
		clear(b[headerLen+copy(b[headerLen:], e.name):])
		n += size
		if e.mask&unix.IN_Q_OVERFLOW != 0 {
			i.overflowed = false
		}
		*e = event{}
		i.head++
	}
	i.bytes -= n
	if i.head == len(i.events) {
		i.head = 0
		if i.events = i.events[:0]; cap(i.events) > 64 {
			i.events = nil
		}
	}
	if n == 0 {
		return 0, syscall.EINVAL
	}
	return n, nil
}

// Poll implements vfs.Pollable.
func (i *Instance) Poll(mask vfs.Events) vfs.Events {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.head == len(i.events) {
		return 0
	}
	return mask & vfs.EventsIn
}

// Buffered returns how many bytes all queued events take (FIONREAD).
func (i *Instance) Buffered() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.bytes
}

// Ioctl implements vfs.Ioctler: FIONREAD.
func (i *Instance) Ioctl(_ context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	if cmd != unix.TIOCINQ {
		return 0, syscall.ENOTTY
	}
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(i.Buffered()))
	return 0, arg.WriteAt(b[:], 0)
}

// Node implements vfs.File.
func (i *Instance) Node() vfs.Node { return anon.Inode }

// IsStream implements vfs.Streamer.
func (i *Instance) IsStream() bool { return true }

// Close ends all watches.
func (i *Instance) Close() error {
	r := i.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	i.mu.Lock()
	wds := i.wds
	i.closed, i.wds, i.events, i.head, i.bytes = true, nil, nil, 0, 0
	i.mu.Unlock()
	for _, w := range wds {
		r.drop(w)
	}
	return nil
}
