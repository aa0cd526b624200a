package remote

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
	"golang.org/x/sys/unix"
)

// trace is what a node can be found by when its server was started anew.
type trace struct {
	way    atomic.Pointer[way]
	ident  identity
	locked atomic.Pointer[session] // where it has had locks
}

// way is a directory and the name in it that leads to a node.
type way struct {
	dir  *dir
	name string
}

// identity is what a file is known by; it has no number if that is unknown.
type identity struct {
	dev, ino uint64
	sec, ns  int64 // born
	bits     uint32
}

func identityOf(w wire.Node) identity { return identity{w.Dev, w.Ino, w.BornSec, w.BornNsec, w.Bits} }

func (t *trace) by(d *dir, name string) {
	if w := t.way.Load(); w == nil || w.dir != d || w.name != name {
		t.way.Store(&way{d, name})
	}
}

// locking notes that a lock was set, or perhaps.
func (t *trace) locking(c *session, l *vfs.Lock, err error) {
	if l.Type != unix.F_UNLCK && (err == nil || errors.Is(err, vfs.ErrInDoubt)) {
		t.locked.Store(c)
	}
}

// moved looks where a rename has led: what is in use must be found there.
func (c *session) moved(ctx context.Context, d *dir, name string, to *node, toName string, flags uint) {
	if t, ok := to.self.(interface{ directory() *dir }); ok {
		if c2, id, err := to.where(ctx); err == nil && c2 == c {
			_, _ = t.directory().lookupAt(ctx, c, id, toName)
		}
	}
	if flags&unix.RENAME_EXCHANGE != 0 {
		_, _ = d.Lookup(ctx, name)
	}
}

func (d *dir) directory() *dir { return d }

// orphans are nodes of dead servers that may be found again: whatever a new server
// names is compared with them, so that a file in use goes on as the same node. They
// are held weakly.
type orphans struct {
	mu    sync.Mutex // a leaf, taken with knownNodes.mu held
	known map[identity]weak.Pointer[node]
	count atomic.Int64
}

func (o *orphans) empty() bool { return o.count.Load() == 0 }

// add takes in what a session knew.
func (o *orphans) add(c *session) {
	if !c.survives {
		return
	}
	c.nodes.mu.Lock()
	c.nodes.retired = true
	all := make([]weak.Pointer[node], 0, len(c.nodes.byID))
	for _, k := range c.nodes.byID {
		all = append(all, k.node)
	}
	c.nodes.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known == nil {
		o.known = map[identity]weak.Pointer[node]{}
	}
	for _, w := range all {
		n := w.Value()
		if n == nil || n.at.Load().c != c {
			continue
		}
		id := n.trace.ident
		if id.ino == 0 {
			continue
		}
		o.known[id] = w
		runtime.AddCleanup(n, orphanGone, orphan{weak.Make(c.client), id, w})
	}
	o.count.Store(int64(len(o.known)))
}

// orphan is what remains of an orphan when it is collected.
type orphan struct {
	client weak.Pointer[Client]
	id     identity
	node   weak.Pointer[node]
}

func orphanGone(x orphan) {
	if c := x.client.Value(); c != nil {
		c.orphans.drop(x.id, x.node)
	}
}

func (o *orphans) drop(id identity, w weak.Pointer[node]) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known[id] == w {
		delete(o.known, id)
		o.count.Store(int64(len(o.known)))
	}
}

// remove is called when n is found.
func (o *orphans) remove(n *node) { o.drop(n.trace.ident, weak.Make(n)) }

// find returns the orphan that the node is which a server named, or nil.
func (o *orphans) find(w wire.Node) *node {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known[identityOf(w)].Value()
}
