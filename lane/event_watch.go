package lane

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
)

// Events in shared memory are watched with futexes: unlike a descriptor that
// all holders share, a futex on a page that a receiver can only read leaves it
// nothing with which to steal or block another's wake-up. One thread waits for
// up to 127 events, and none exists while nobody waits.

// watcher is one such thread. Its own word tells it that its list has changed.
type watcher struct {
	word    *uint32 // an atomic; kept in memory that does not move
	entries map[*eventCore]uint32
}

var watch struct {
	sync.Mutex // taken after an eventCore's mu
	list       []*watcher
	of         map[*eventCore]*watcher
}

var errNoWaitv = fmt.Errorf("lane: waiting for a shared event needs futex_waitv (Linux 5.16): %w", syscall.ENOSYS)

var noWaitv atomic.Bool

// watchLocked has c's shared word watched as long as somebody waits.
func (c *eventCore) watchLocked() error {
	if c.m == nil || c.watched {
		return nil
	}
	if noWaitv.Load() {
		return errNoWaitv
	}
	c.watched = true
	watch.Lock()
	defer watch.Unlock()
	if watch.of == nil {
		watch.of = make(map[*eventCore]*watcher)
	}
	var w *watcher
	for _, x := range watch.list {
		if len(x.entries) < futexWaitvLimit-1 {
			w = x
			break
		}
	}
	fresh := w == nil
	if fresh {
		w = &watcher{word: new(uint32), entries: make(map[*eventCore]uint32)}
		watch.list = append(watch.list, w)
	}
	w.entries[c] = word32(c.m, eventOffSeq).Load()
	watch.of[c] = w
	if fresh {
		go w.run()
	} else {
		w.changedLocked()
	}
	return nil
}

// unwatchLocked lets the watcher forget c when nobody waits.
func (c *eventCore) unwatchLocked() {
	if !c.watched || len(c.waiters) > 0 {
		return
	}
	c.watched = false
	watch.Lock()
	defer watch.Unlock()
	w := watch.of[c]
	delete(watch.of, c)
	delete(w.entries, c)
	w.changedLocked()
}

func (w *watcher) changedLocked() {
	atomic.AddUint32(w.word, 1)
	futexWakePrivate(w.word)
}

// run waits until the list is empty.
func (w *watcher) run() {
	for {
		watch.Lock()
		if len(w.entries) == 0 {
			for i, x := range watch.list {
				if x == w {
					watch.list = append(watch.list[:i:i], watch.list[i+1:]...)
					break
				}
			}
			watch.Unlock()
			return
		}
		list := []futexWaiter{{val: uint64(atomic.LoadUint32(w.word)), addr: futexAddrPrivate(w.word), flags: futex2SizeU32 | futex2Private}}
		var hit []*eventCore
		for c, seen := range w.entries {
			if word32(c.m, eventOffSeq).Load() != seen {
				hit = append(hit, c)
				continue
			}
			list = append(list, futexWaiter{val: uint64(seen), addr: futexAddr(c.m, eventOffSeq), flags: futex2SizeU32})
		}
		watch.Unlock()
		if len(hit) == 0 {
			if err := futexWaitv(list, 0); err == syscall.ENOSYS {
				noWaitv.Store(true)
				hit = w.all()
			}
		}
		for _, c := range hit {
			c.mu.Lock()
			c.notifyLocked()
			c.mu.Unlock()
		}
	}
}

func (w *watcher) all() []*eventCore {
	watch.Lock()
	defer watch.Unlock()
	var out []*eventCore
	for c := range w.entries {
		out = append(out, c)
	}
	return out
}
