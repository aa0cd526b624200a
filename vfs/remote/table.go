package remote

import (
	"sync"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// nodeTable is what one client knows of a server's nodes. A node stays in it, and
// so the same for the server, until the client has forgotten it as often as it
// was told of it.
type nodeTable struct {
	mu   sync.Mutex
	byID map[uint64]*heldNode
	ids  map[vfs.Node]*heldNode
	last uint64
	max  int
	left func(lineNode) // hears of terminals that the client has forgotten; or nil
}

type heldNode struct {
	id    uint64
	node  vfs.Node
	bits  uint32
	times uint64
	ident wire.Node // Dev, Ino, BornSec and BornNsec, once they are known
}

// clear forgets everything; afterwards there is room for limit nodes.
func (t *nodeTable) clear(limit int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left != nil {
		for n := range t.ids {
			if l, ok := n.(lineNode); ok {
				t.left(l)
			}
		}
	}
	t.byID, t.ids, t.max = map[uint64]*heldNode{}, map[vfs.Node]*heldNode{}, limit
}

func nodeBits(n vfs.Node) (bits uint32) {
	if _, ok := n.(lineNode); ok {
		return wire.NodeLine
	}
	if _, ok := n.(vfs.Dir); ok {
		bits |= wire.NodeDir
	}
	if _, ok := n.(vfs.Readlinker); ok {
		bits |= wire.NodeLink
	}
	if _, ok := n.(vfs.Opener); ok {
		bits |= wire.NodeOpener
	}
	if _, ok := n.(vfs.Locker); ok {
		bits |= wire.NodeLocker
	}
	if _, ok := n.(vfs.Accesser); ok {
		bits |= wire.NodeAccesser
	}
	return bits
}

// tell counts that the client hears of n; first is true for the first time.
func (t *nodeTable) tell(n vfs.Node) (w wire.Node, first bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.ids[n]
	if h == nil {
		if len(t.byID) >= t.max {
			return wire.Node{}, false, syscall.ENFILE
		}
		t.last++
		h = &heldNode{id: t.last, node: n, bits: nodeBits(n)}
		t.byID[h.id], t.ids[n] = h, h
	}
	h.times++
	w = h.ident
	w.ID, w.Bits = h.id, h.bits
	return w, h.times == 1, nil
}

// identify notes what a node is known by.
func (t *nodeTable) identify(w wire.Node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.byID[w.ID]; h != nil {
		h.ident = w
	}
}

// forget takes counts back. It is false for a count that the client never had.
func (t *nodeTable) forget(id uint64, times uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.byID[id]
	if h == nil || times > h.times {
		return false
	}
	if h.times -= times; h.times == 0 {
		delete(t.byID, id)
		delete(t.ids, h.node)
		if l, ok := h.node.(lineNode); ok && t.left != nil {
			t.left(l)
		}
	}
	return true
}

// get returns a node. known is false for a number that was never given out: an
// honest client has none.
func (t *nodeTable) get(id uint64) (n vfs.Node, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.byID[id]; h != nil {
		return h.node, true
	}
	return nil, id != 0 && id <= t.last
}

func (t *nodeTable) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byID)
}

// fileTable is a client's open files.
type fileTable struct {
	mu     sync.Mutex
	byID   map[uint64]*openFile
	last   uint64
	max    int
	closed bool
	loans  *loanTable
}

// openFile is a file that a client has open. It is closed when the client has
// closed it and no request uses it.
type openFile struct {
	id    uint64
	file  vfs.File
	flags int
	watch watched
	refs  int      // guarded by fileTable.mu; 1 while in the table
	loans []uint64 // likewise
}

// add enters f; it is closed if that fails.
func (t *fileTable) add(f vfs.File, flags int) (*openFile, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, vfs.ErrCallerDied
	}
	if len(t.byID) >= t.max {
		return nil, syscall.ENFILE
	}
	t.last++
	o := &openFile{id: t.last, file: f, flags: flags, refs: 1}
	t.byID[o.id] = o
	return o, nil
}

// get returns an open file for a request, which gives it back with put.
func (t *fileTable) get(id uint64) (f *openFile, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f = t.byID[id]; f != nil {
		f.refs++
		return f, true
	}
	return nil, id != 0 && id <= t.last
}

func (t *fileTable) put(f *openFile) {
	t.mu.Lock()
	f.refs--
	last := f.refs == 0
	t.mu.Unlock()
	if last {
		for _, id := range f.loans {
			t.loans.end(id)
		}
		f.watch.end()
		f.file.Close()
	}
}

// maxLoans bounds how often a client may ask for a file's host file.
const maxLoans = 16

func (t *fileTable) mayLend(f *openFile) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(f.loans) < maxLoans
}

// lent notes a loan of f's, which ends with f.
func (t *fileTable) lent(f *openFile, id uint64) {
	t.mu.Lock()
	f.loans = append(f.loans, id)
	t.mu.Unlock()
}

// remove takes a file out, once.
func (t *fileTable) remove(id uint64) (known bool) {
	t.mu.Lock()
	f := t.byID[id]
	delete(t.byID, id)
	known = id != 0 && id <= t.last
	t.mu.Unlock()
	if f != nil {
		t.put(f)
	}
	return known
}

// end closes everything, and whatever is added later.
func (t *fileTable) end() {
	t.mu.Lock()
	all := t.byID
	t.byID, t.closed = map[uint64]*openFile{}, true
	t.mu.Unlock()
	for _, f := range all {
		t.put(f)
	}
}

func (t *fileTable) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byID)
}
