package remote

import (
	"runtime"
	"sync"
	"syscall"
	"weak"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// knownNodes finds the node of a number, weakly: one that nobody holds is
// forgotten, and the server told.
type knownNodes struct {
	mu   sync.Mutex // a leaf
	byID map[uint64]*known

	retired bool // another session has followed, which has them as orphans
}

// known is what remains of a node when it is collected.
type known struct {
	node  weak.Pointer[node]
	id    uint64
	bits  uint32
	times uint32 // how often the server told of it
}

// node returns the node that the server named.
func (c *session) node(w wire.Node) (vfs.Node, error) {
	const both = wire.NodeDir | wire.NodeLink
	if w.ID == 0 || w.Bits&^uint32(wire.NodeBits) != 0 || w.Bits&both == both {
		return nil, c.broken("node %d of kind %#x", w.ID, w.Bits)
	}
	t := &c.nodes
	t.mu.Lock()
	k := t.byID[w.ID]
	if k != nil && k.bits != w.Bits {
		t.mu.Unlock()
		return nil, c.broken("node %d of kind %#x was of kind %#x", w.ID, w.Bits, k.bits)
	}
	if k != nil {
		if n := k.node.Value(); n != nil {
			k.times++
			t.mu.Unlock()
			if n.at.Load().c != c && c.current() {
				n.at.Store(&place{c, w.ID})
			}
			return n.self, nil
		}
	}
	if t.retired {
		// Another server's nodes are compared with those known by now: this one would be
		// a second node of its file.
		t.mu.Unlock()
		return nil, &doubt{"the server died while its answer was read"}
	}
	var old *node // what it was before its server died
	if c.survives && !c.client.orphans.empty() {
		old = c.client.orphans.find(w)
	}
	n := c.enterLocked(w, k, old)
	t.mu.Unlock()
	return n.self, nil
}

// enterLocked enters a node that is told of for the first time, as old if that is
// not nil. k is what remains of one that was collected and not forgotten yet.
func (c *session) enterLocked(w wire.Node, k *known, old *node) *node {
	t := &c.nodes
	fresh := &known{id: w.ID, bits: w.Bits, times: 1}
	if k != nil {
		fresh.times += k.times
		k.times = 0
	}
	n := old
	if n == nil {
		n = newNode(c, w)
		if c.survives && w.Ino != 0 {
			n.trace.ident = identityOf(w)
		}
	} else {
		n.at.Store(&place{c, w.ID})
		c.client.orphans.remove(n)
	}
	fresh.node = weak.Make(n)
	t.byID[w.ID] = fresh
	runtime.AddCleanup(n, collected, collectedNode{weak.Make(c), fresh})
	return n
}

// collectedNode must not lead to the node, as a client does to its root.
type collectedNode struct {
	session weak.Pointer[session]
	known   *known
}

func collected(x collectedNode) {
	c, k := x.session.Value(), x.known
	if c == nil {
		return
	}
	t := &c.nodes
	t.mu.Lock()
	times := k.times
	if t.byID[k.id] == k {
		delete(t.byID, k.id)
	}
	t.mu.Unlock()
	if times > 0 {
		c.settle.forget(wire.Count{Node: k.id, Times: times})
	}
}

func (t *knownNodes) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byID)
}

// knownFiles are the open files that can be waited for.
type knownFiles struct {
	mu   sync.Mutex // a leaf
	byID map[uint64]*pollFile
}

func (t *knownFiles) add(f *pollFile) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.of = f
	t.byID[f.first.id] = f
}

func (t *knownFiles) remove(f *pollFile) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[f.first.id] == f {
		delete(t.byID, f.first.id)
	}
}

func (t *knownFiles) ready(m *wire.ReadyNote) {
	t.mu.Lock()
	f := t.byID[m.File]
	t.mu.Unlock()
	if f != nil { // else closed meanwhile
		f.came(m.Seq, vfs.Events(m.Events))
	}
}

// wakeAll tells those who wait for a file that its server is gone.
func (t *knownFiles) wakeAll() {
	t.mu.Lock()
	all := make([]*pollFile, 0, len(t.byID))
	for _, f := range t.byID {
		all = append(all, f)
	}
	t.mu.Unlock()
	for _, f := range all {
		f.queue.Notify(goneEvents)
	}
}

// checkName is false for a name that no directory has.
func checkName(s string) bool {
	if s == "" || s == "." || s == ".." {
		return false
	}
	for i := range len(s) {
		if s[i] == '/' || s[i] == 0 {
			return false
		}
	}
	return true
}

// askable refuses names that must not be asked for (see vfs.Dir), as the kernel
// would a name with a slash or a zero in it.
func askable(name string) error {
	if !checkName(name) {
		return syscall.EINVAL
	}
	if len(name) > 4096 {
		return syscall.ENAMETOOLONG
	}
	return nil
}
