package posix

import (
	"context"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Shared maps whose server has to be told what is stored in them (vfs.Stores).
// The server hears of stores when a map ends and at msync; so once a process has
// such a map, its calls that change maps are the server's, and no more the
// stub's alone. A guest that makes them behind the server's back loses what it
// has stored.

var storesCalls = calls{
	unix.SYS_MUNMAP: {fn: sysMunmap, blocks: killable},
	unix.SYS_MREMAP: {fn: sysMremap, blocks: killable},
	unix.SYS_MSYNC:  {fn: sysMsync, blocks: killable},
}

// storesMap is a part of an address space in which such a map lies.
type storesMap struct {
	start, end uint64
	off        int64 // the file's offset at start
	s          *mapStores
}

// mapStores are the parts of one mmap(2), which may be cut, moved and inherited.
type mapStores struct {
	vfs.Stores
	d    *Description // open as long as there are any
	uses atomic.Int32
}

func (m storesMap) length() int64 { return int64(m.end - m.start) }

// drop gives a part back.
func (m storesMap) drop() {
	if m.s.uses.Add(-1) == 0 {
		m.s.Close()
		m.s.d.release()
	}
}

// watchStores has the process ask before it changes its maps.
func (m *Memory) watchStores() {
	m.space.Ask(unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MREMAP, unix.SYS_MSYNC)
}

// addStores notes a map. It takes a reference to d.
func (m *Memory) addStores(at, length uint64, off int64, s vfs.Stores, d *Description) {
	x := &mapStores{Stores: s, d: d.ref()}
	x.uses.Store(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stores = append(m.stores, storesMap{at, at + pageUp(length), off, x})
}

// cutStores takes out what lies in [from, to); the caller drops it.
func (m *Memory) cutStores(from, to uint64) []storesMap {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.stores) == 0 {
		return nil
	}
	var left, cut []storesMap
	for _, p := range m.stores {
		a, b := max(p.start, from), min(p.end, to)
		if a >= b {
			left = append(left, p)
			continue
		}
		cut = append(cut, storesMap{a, b, p.off + int64(a-p.start), p.s})
		parts := int32(0)
		if p.start < a {
			left, parts = append(left, storesMap{p.start, a, p.off, p.s}), parts+1
		}
		if b < p.end {
			left, parts = append(left, storesMap{b, p.end, p.off + int64(b-p.start), p.s}), parts+1
		}
		p.s.uses.Add(parts)
	}
	m.stores = left
	return cut
}

// storesIn returns what lies in [from, to), each with a use that the caller
// drops.
func (m *Memory) storesIn(from, to uint64) []storesMap {
	m.mu.Lock()
	defer m.mu.Unlock()
	var in []storesMap
	for _, p := range m.stores {
		if a, b := max(p.start, from), min(p.end, to); a < b {
			p.s.uses.Add(1)
			in = append(in, storesMap{a, b, p.off + int64(a-p.start), p.s})
		}
	}
	return in
}

// touchesStores reports whether something lies in [from, to).
func (m *Memory) touchesStores(from, to uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.stores, func(p storesMap) bool { return max(p.start, from) < min(p.end, to) })
}

// endStores writes back what was unmapped. Who unmaps does not learn of errors:
// the next fsync(2) or close(2) does.
func endStores(ctx context.Context, parts []storesMap) {
	for _, p := range parts {
		_ = p.s.WriteBack(ctx, p.off, p.length())
		p.drop()
	}
}

// inheritStores gives a forked child its parent's maps. m is the child's.
func (m *Memory) inheritStores(from *Memory) {
	from.mu.Lock()
	m.stores = slices.Clone(from.stores)
	for _, p := range m.stores {
		p.s.uses.Add(1)
	}
	from.mu.Unlock()
	if len(m.stores) != 0 {
		m.watchStores()
	}
}

// leaveStores ends the maps of an address space that is no more: what was stored
// is written back before the parent hears of the end, unless the process was
// killed, or that takes too long.
func (m *Memory) leaveStores(killed bool) {
	parts := m.cutStores(0, ^uint64(0))
	if len(parts) == 0 {
		return
	}
	ctx, cancel := closeContext(nil)
	defer cancel()
	for _, p := range parts {
		if s, ok := p.s.d.file.(stuck); !killed && !(ok && s.Stuck()) {
			_ = p.s.WriteBack(ctx, p.off, p.length()) // nobody is there to hear of it
		}
		p.drop()
	}
}

func sysMunmap(t *Task, a *Args) (uint64, error) {
	end := a[0] + pageUp(a[1])
	if !t.mem.touchesStores(a[0], end) {
		return t.onHost(unix.SYS_MUNMAP, a[:]...)
	}
	if _, err := t.thread.Do1(unix.SYS_MUNMAP, a[0], a[1]); err != nil {
		return 0, err
	}
	endStores(t.context(), t.mem.cutStores(a[0], end))
	return 0, nil
}

// mapOver is an anonymous mmap in the place of other maps.
func mapOver(t *Task, a *Args) (uint64, error) {
	end := a[0] + pageUp(a[1])
	if a[3]&unix.MAP_FIXED == 0 || !t.mem.touchesStores(a[0], end) {
		return t.onHost(unix.SYS_MMAP, a[:]...)
	}
	at, err := t.thread.Do1(unix.SYS_MMAP, a[:]...)
	if err == nil {
		endStores(t.context(), t.mem.cutStores(a[0], end))
	}
	return at, err
}

func sysMremap(t *Task, a *Args) (uint64, error) {
	old, oldLen, newLen := a[0], pageUp(a[1]), pageUp(a[2])
	if !t.mem.touchesStores(0, ^uint64(0)) {
		return t.onHost(unix.SYS_MREMAP, a[:]...)
	}
	at, err := t.thread.Do1(unix.SYS_MREMAP, a[:5]...)
	if err != nil {
		return 0, err
	}
	var moved, gone []storesMap
	if oldLen == 0 { // a second map of the same
		moved = t.mem.storesIn(old, old+1)
	} else {
		moved = t.mem.cutStores(old, old+oldLen)
	}
	if at != old {
		gone = t.mem.cutStores(at, at+newLen)
	}
	endStores(t.context(), append(gone, t.mem.placeStores(moved, old, at, newLen)...))
	return at, nil
}

// placeStores enters parts that were moved, and returns what is no more mapped.
// The last one has what the map was made longer by.
func (m *Memory) placeStores(parts []storesMap, from, to, length uint64) (gone []storesMap) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, p := range parts {
		p.start, p.end = p.start-from+to, p.end-from+to
		if i == len(parts)-1 {
			p.end = max(p.end, to+length)
		}
		if end := to + length; p.end > end {
			at := max(p.start, end)
			gone = append(gone, storesMap{at, p.end, p.off + int64(at-p.start), p.s})
			if p.start >= end {
				continue
			}
			p.end = end
			p.s.uses.Add(1)
		}
		m.stores = append(m.stores, p)
	}
	return gone
}

func sysMsync(t *Task, a *Args) (uint64, error) {
	parts := t.mem.storesIn(a[0], a[0]+pageUp(a[1]))
	if len(parts) == 0 || a.Int(2)&unix.MS_SYNC == 0 {
		for _, p := range parts {
			p.drop()
		}
		return t.onHost(unix.SYS_MSYNC, a[:]...)
	}
	_, err := t.thread.Do1(unix.SYS_MSYNC, a[0], a[1], a[2])
	for _, p := range parts {
		if err == nil || err == syscall.ENOMEM { // a hole: the rest is synced, as on Linux
			if e := p.s.Sync(t.context(), p.off, p.length()); e != nil {
				err = e
			}
		}
		p.drop()
	}
	return 0, err
}
