package host

import (
	"runtime"
	"sync"
	"weak"

	"golang.org/x/sys/unix"
)

// key is a file's identity on the host.
type key struct{ dev, ino uint64 }

func keyOf(st *unix.Statx_t) key {
	return key{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino}
}

// table finds the node of a file. It holds nodes weakly: an entry goes when its
// node is collected.
type table struct{ shards [32]shard }

type shard struct {
	mu sync.Mutex
	m  map[key]weak.Pointer[node]
}

func newTable() *table {
	t := &table{}
	for i := range t.shards {
		t.shards[i].m = make(map[key]weak.Pointer[node])
	}
	return t
}

func (t *table) shard(k key) *shard { return &t.shards[(k.ino^k.ino>>7)%uint64(len(t.shards))] }

// find returns the node of the file that st describes, or nil.
func (t *table) find(st *unix.Statx_t) *node {
	k := keyOf(st)
	s := t.shard(k)
	s.mu.Lock()
	n := s.m[k].Value()
	s.mu.Unlock()
	if n != nil && n.is(st) {
		return n
	}
	return nil
}

// intern returns the node of the file that st describes, and makes it, to be
// found at p, when there is none.
func (t *table) intern(fs *FS, p place, st *unix.Statx_t, veiled bool) *node {
	k := keyOf(st)
	s := t.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.m[k].Value(); n != nil && n.is(st) && n.veiled == veiled {
		return n
	}
	n := newNode(fs, p, st, veiled)
	w := weak.Make(n)
	s.m[k] = w
	e := entry{table: t, key: k, node: w}
	if d, ok := n.self.(*dir); ok {
		e.cache, e.slot = fs.dirs, d.slot
	}
	runtime.AddCleanup(n, entry.drop, e)
	return n
}

// forget makes the table find n no more: its file has lost its last name, and
// the host may use the number again.
func (t *table) forget(n *node) {
	s := t.shard(n.key)
	s.mu.Lock()
	if s.m[n.key].Value() == n {
		delete(s.m, n.key)
	}
	s.mu.Unlock()
}

// entry is what remains to be undone after a node; it must not lead to it.
type entry struct {
	table *table
	key   key
	node  weak.Pointer[node]
	cache *cache
	slot  *slot
}

func (e entry) drop() {
	s := e.table.shard(e.key)
	s.mu.Lock()
	if s.m[e.key] == e.node { // else a successor's
		delete(s.m, e.key)
	}
	s.mu.Unlock()
	if e.slot != nil {
		e.cache.drop(e.slot)
	}
}

// size is the number of entries.
func (t *table) size() int {
	n := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += len(s.m)
		s.mu.Unlock()
	}
	return n
}
